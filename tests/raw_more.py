"""Clients by hand that may break every rule: raw connections, frames, polls.

What they send is written out; a client that is told nothing else behaves.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from tests.servers.raw import ENDPOINT, Reader

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""The pair of RFC 6455 §1.3."""

NO_CODE = 1005
"""Read where the peer's close frame was empty (RFC 6455 §7.1.5)."""
NO_FRAME = 1006
"""Read where the connection ended without a close frame."""

TEXT, BINARY, CONTINUED, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10


class Place(Protocol):
    """Where a server listens; `tests.live.Live` is one."""

    def connect(self) -> socket.socket: ...


class Answer(NamedTuple):
    """One HTTP response; the names of its headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


def request(
    method: str, path: str, headers: Mapping[str, str | None] | None = None, body: bytes = b""
) -> bytes:
    """Write out a request; a header that is None is left out."""
    every: dict[str, str | None] = {"Host": "127.0.0.1"}
    if method == "POST":
        every["Content-Type"] = "text/plain;charset=UTF-8"
        every["Content-Length"] = str(len(body))
    every.update(headers or {})
    lines = [f"{method} {path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in every.items() if value is not None]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def upgrade_request(path: str, headers: Mapping[str, str | None] | None = None) -> bytes:
    """Write out the request for a WebSocket; a header that is None is left out."""
    every: dict[str, str | None] = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": KEY,
    }
    every.update(headers or {})
    return request("GET", path, every)


def frame(opcode: int, payload: bytes, *, fin: bool = True, mask: bytes | None = bytes(4)) -> bytes:
    """Write out a frame; a mask of zeros leaves the payload readable, None masks nothing."""
    size = len(payload)
    head = bytes([opcode | (0x80 if fin else 0)])
    bit = 0 if mask is None else 0x80
    if size < 126:
        head += bytes([bit | size])
    elif size < 65536:
        head += struct.pack("!BH", bit | 126, size)
    else:
        head += struct.pack("!BQ", bit | 127, size)
    if mask is None:
        return head + payload
    return head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


class Peer(Reader):
    """A connection on which anything may be sent."""

    def __init__(self, place: Place, data: bytes = b"") -> None:
        super().__init__(place.connect())
        if data:
            self.sendall(data)

    def sendall(self, data: bytes) -> None:
        self.sock.sendall(data)

    def answer(self) -> Answer:
        """Read one response."""
        return Answer(*self.response())

    def rest(self) -> bytes:
        """Read until the server has closed its side."""
        while True:
            try:
                chunk = self.sock.recv(65536)
            except ConnectionResetError:
                chunk = b""
            if not chunk:
                return self.data
            self.data += chunk

    def reset(self) -> None:
        """End the connection as a crash does, by a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class Frames(Peer):
    """A WebSocket: a new session's, or beside the polling session ``sid``."""

    endpoint = ENDPOINT

    def __init__(self, place: Place, sid: str = "", *, early: bytes = b"", query: str = "") -> None:
        path = f"{self.endpoint}websocket{query}" + (f"&sid={sid}" if sid else "")
        super().__init__(place, upgrade_request(path) + early)
        self.head = self.through(b"\r\n\r\n").decode()
        assert self.head.startswith("HTTP/1.1 101 Switching Protocols\r\n"), self.head
        assert f"\r\nSec-WebSocket-Accept: {ACCEPT}\r\n" in self.head
        self.opened = "" if sid else self.text()
        """The open packet."""
        self.sid = sid or json.loads(self.opened[1:])["sid"]

    def send(self, *messages: str | bytes) -> None:
        """Send messages, each in a frame of its own, all in one segment."""
        frames = [
            frame(TEXT, message.encode()) if isinstance(message, str) else frame(BINARY, message)
            for message in messages
        ]
        self.sendall(b"".join(frames))

    def text(self) -> str:
        """Read one text message."""
        opcode, payload = self.frame()
        assert opcode == TEXT, (opcode, payload)
        return payload.decode()

    def binary(self) -> bytes:
        """Read one binary message."""
        opcode, payload = self.frame()
        assert opcode == BINARY, (opcode, payload)
        return payload

    def settle(self) -> None:
        """Wait until the server has read all that was sent; nothing may be due before that."""
        self.sendall(frame(PING, b"read?"))
        assert self.frame() == (PONG, b"read?")

    def ends(self) -> int:
        """Read the end of the connection, which must be next; return its code."""
        try:
            opcode, payload = self.frame()
        except (EOFError, ConnectionResetError):
            return NO_FRAME
        assert opcode == CLOSE, (opcode, payload)
        assert self.rest() == b""
        return int.from_bytes(payload[:2], "big") if payload else NO_CODE

    def skip_to_end(self) -> int:
        """Read whatever comes until the end of the connection; return its code."""
        while True:
            try:
                opcode, payload = self.frame()
            except (EOFError, ConnectionResetError):
                return NO_FRAME
            if opcode == CLOSE:
                return int.from_bytes(payload[:2], "big") if payload else NO_CODE

    def leave(self) -> None:
        """Close by the book."""
        self.sendall(frame(CLOSE, b"\x03\xe8"))
        assert self.skip_to_end() == 1000
        self.close()


class Poller:
    """A session on long polling; each request has a connection of its own."""

    endpoint = ENDPOINT

    def __init__(self, place: Place, query: str = "") -> None:
        self.place = place
        answer = ask(place, request("GET", f"{self.endpoint}polling{query}"))
        assert answer.status == 200, answer
        self.handshake = answer
        self.opened = answer.body.decode()
        """The open packet, as this revision writes it."""
        self.sid = str(json.loads(self.opened[self.opened.index("{") :])["sid"])
        self.path = f"{self.endpoint}polling&sid={self.sid}"

    def ask(
        self, method: str, headers: Mapping[str, str | None] | None = None, body: bytes = b""
    ) -> Answer:
        return ask(self.place, request(method, self.path, headers, body))

    def get(self) -> tuple[int, bytes]:
        """Poll once; wait for the answer."""
        answer = self.ask("GET")
        return answer.status, answer.body

    def post(self, body: bytes) -> tuple[int, bytes]:
        """Send a payload; wait for the answer."""
        answer = self.ask("POST", body=body)
        return answer.status, answer.body

    def hold(self) -> Peer:
        """Poll, and read the answer later."""
        return Peer(self.place, request("GET", self.path))

    def leave(self) -> None:
        """Close by the book."""
        assert self.post(b"1") == (200, b"ok")


def ask(place: Place, data: bytes) -> Answer:
    """Send a request on a connection of its own and return its answer."""
    peer = Peer(place, data)
    try:
        return peer.answer()
    finally:
        peer.close()
