"""Clients by hand for the tests of the server, and a gate that handlers wait at."""

from __future__ import annotations

import base64
import json
import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from flask_sio import Server
from tests.live import WAIT_S, Live
from tests.servers.raw import ENDPOINT, Reader, http, send_request

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10

clients: list[Reader] = []
"""Those of the running test; what a failed one has left open is closed after it."""


class Peer(Reader):
    """A client on a WebSocket. Answers Engine.IO pings while it reads, unless it is dead."""

    def __init__(self, server: Any, join: str | None = "40", dead: bool = False) -> None:
        super().__init__(server.connect())
        clients.append(self)
        self.inbox: deque[str | bytes] = deque()
        self.dead = dead
        key = base64.b64encode(os.urandom(16)).decode()
        self.sock.sendall(
            f"GET {ENDPOINT}websocket HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
            "\r\n".encode()
        )
        self.head = self.through(b"\r\n\r\n")
        assert self.head.startswith(b"HTTP/1.1 101 "), self.head
        opened = self.text()
        assert opened.startswith("0{"), opened
        self.sid = ""
        if join is not None:
            self.sid = self.join(join)

    def join(self, packet: str = "40") -> str:
        """Connect to a namespace; return the public id."""
        self.send(packet)
        answer = self.text()
        assert answer.startswith("40"), answer
        return str(json.loads(answer[answer.index("{") :])["sid"])

    # -- out ---------------------------------------------------------------------------

    def send(self, *messages: str | bytes) -> None:
        """Send messages in one piece, each a frame of its own."""
        frames = (
            frame(TEXT, message.encode()) if isinstance(message, str) else frame(BINARY, message)
            for message in messages
        )
        self.sock.sendall(b"".join(frames))

    def leave(self) -> None:
        """Close by the book: a close frame, and the server's answer."""
        self.sock.sendall(frame(CLOSE, (1000).to_bytes(2, "big")))
        self.rest()

    # -- in ----------------------------------------------------------------------------

    def message(self) -> str | bytes:
        """Return the next message."""
        while not self.inbox:
            self._take_frame()
        return self.inbox.popleft()

    def text(self) -> str:
        message = self.message()
        assert isinstance(message, str), message
        return message

    def binary(self) -> bytes:
        message = self.message()
        assert isinstance(message, bytes), message
        return message

    def _take_frame(self) -> int:
        opcode, payload = self.frame()
        if opcode == TEXT and payload == b"2" and not self.dead:
            self.send("3")
        elif opcode == TEXT:
            self.inbox.append(payload.decode())
        elif opcode == BINARY:
            self.inbox.append(payload)
        elif opcode == CLOSE:
            raise EOFError(payload)
        return opcode

    def sync(self) -> list[str | bytes]:
        """Wait until the server has read what was sent; return what came, taking nothing."""
        self.sock.sendall(frame(PING, b"sync"))
        while self._take_frame() != PONG:
            pass
        return list(self.inbox)

    def rest(self) -> list[str | bytes]:
        """Return what comes until the server ends the connection, and close it."""
        try:
            while True:
                self._take_frame()
        except (EOFError, ConnectionResetError):
            pass
        self.close()
        return list(self.inbox)


class Poller:
    """A client on long polling; each request has a connection of its own."""

    def __init__(self, server: Any, join: str | None = "40") -> None:
        self.server = server
        status, _, body = http(server, "GET", f"{ENDPOINT}polling")
        assert status == 200, body
        self.path = f"{ENDPOINT}polling&sid={json.loads(body[1:])['sid']}"
        self.sid = ""
        if join is not None:
            self.post(join)
            answer = self.get()[0]
            while answer == "2":  # a ping that came first, on a slow machine
                self.post("3")
                answer = self.get()[0]
            assert answer.startswith("40"), answer
            self.sid = str(json.loads(answer[answer.index("{") :])["sid"])

    def post(self, *packets: str) -> None:
        status, _, body = http(self.server, "POST", self.path, "\x1e".join(packets).encode())
        assert (status, body) == (200, b"ok")

    def get(self) -> list[str]:
        """Poll once; return the packets."""
        return self.finish(self.park())

    def park(self) -> Reader:
        """Begin a poll; `finish` ends it."""
        reader = connection(self.server)
        send_request(reader.sock, "GET", self.path)
        return reader

    def finish(self, reader: Reader) -> list[str]:
        status, _, body = reader.response()
        reader.close()
        assert status == 200, (status, body)
        return body.decode().split("\x1e")

    def leave(self) -> None:
        """Say good-bye."""
        self.post("1")


def connection(server: Any) -> Reader:
    """Return a connection on which nothing was said yet."""
    reader = Reader(server.connect())
    clients.append(reader)
    return reader


def frame(opcode: int, payload: bytes) -> bytes:
    """Return a client's frame; its mask is zero, so the payload stays readable."""
    size = len(payload)
    if size < 126:
        head = bytes([0x80 | opcode, 0x80 | size])
    elif size < 65536:
        head = bytes([0x80 | opcode, 0x80 | 126]) + size.to_bytes(2, "big")
    else:
        head = bytes([0x80 | opcode, 0x80 | 127]) + size.to_bytes(8, "big")
    return head + bytes(4) + payload


class Gate:
    """Handlers wait at it until the test opens it.

    ``held=True`` keeps the waiting handler's place in the pool taken, as a foreign library
    would that blocks; else it waits as `Server.call` does.
    """

    def __init__(self, server: Server, *, held: bool = False) -> None:
        self._server = server
        self._held = held
        self._waiters: list[Any] = []
        self._is_open = False
        self._arrived = threading.Semaphore(0)

    def wait(self) -> None:
        """Wait until it is open. In a handler."""
        loop = self._server.engine.loop
        if self._held and loop.name == "threading":
            waiter: Any = threading.Event()
        else:
            waiter = loop.waiter()
        loop.call(self._enter, waiter)
        assert waiter.wait(WAIT_S), "the gate was never opened"

    def _enter(self, waiter: Any) -> None:
        if self._is_open:
            waiter.set()
        else:
            self._waiters.append(waiter)
        self._arrived.release()

    def arrived(self, count: int = 1) -> None:
        """Wait until ``count`` more handlers have come to it. In the test."""
        for _ in range(count):
            assert self._arrived.acquire(timeout=WAIT_S), "nobody came to the gate"

    def nobody_arrived(self) -> bool:
        """Whether no handler came that `arrived` has not counted."""
        return not self._arrived.acquire(blocking=False)

    def open(self) -> None:
        """Let all go on, and those who come later. Any thread."""
        self._server.engine.loop.run(self._open)

    def _open(self) -> None:
        self._is_open = True
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.set()


class Log:
    """What handlers did, in order, for a test that waits for it."""

    def __init__(self) -> None:
        self.entries: list[Any] = []
        self._changed = threading.Condition()

    def add(self, entry: Any) -> None:
        """Note something. Any thread; the lock is held for an append only."""
        with self._changed:
            self.entries.append(entry)
            self._changed.notify_all()

    def wait(self, count: int) -> list[Any]:
        """Return the entries once there are ``count``."""
        self.wait_for(lambda entries: len(entries) >= count)
        return list(self.entries)

    def wait_for(self, test: Callable[[list[Any]], Any]) -> None:
        with self._changed:
            met = self._changed.wait_for(lambda: test(self.entries), WAIT_S)
        assert met, f"only this happened: {self.entries}"


def in_threads(count: int, work: Callable[[int], None]) -> None:
    """Run ``work(0)``, ``work(1)``, ... in OS threads at once; raise what one raises."""
    errors: list[BaseException] = []
    start = threading.Barrier(count)

    def run(number: int) -> None:
        try:
            start.wait(WAIT_S)
            work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    if errors:
        raise errors[0]


def everyone(live: Live, namespace: str = "/") -> list[str]:
    """Return the ids the server knows in a namespace, those on their way in or out too."""

    def look() -> list[str]:
        space = live.server._spaces.get(namespace)
        return [] if space is None else list(space.rooms.everyone)

    found: list[str] = live.server.engine.loop.call(look)
    return found
