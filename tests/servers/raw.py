"""HTTP, polling and WebSocket clients by hand: what they send is written out."""

from __future__ import annotations

import base64
import json
import os
import socket
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

from tests.servers.launch import Running

ENDPOINT = "/socket.io/?EIO=4&transport="


class Reader:
    """A socket and what was read from it too early."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.data = b""

    def fileno(self) -> int:
        return self.sock.fileno()

    def exactly(self, count: int) -> bytes:
        while len(self.data) < count:
            self._more()
        taken, self.data = self.data[:count], self.data[count:]
        return taken

    def through(self, mark: bytes) -> bytes:
        while mark not in self.data:
            self._more()
        end = self.data.index(mark) + len(mark)
        taken, self.data = self.data[:end], self.data[end:]
        return taken

    def _more(self) -> None:
        chunk = self.sock.recv(65536)
        if not chunk:
            raise EOFError(f"the connection ended after {self.data!r}")
        self.data += chunk

    def response(self) -> tuple[int, dict[str, str], bytes]:
        """Read one HTTP response: status, headers with small names, body."""
        head = self.through(b"\r\n\r\n").decode("latin-1").split("\r\n")
        headers = {}
        for line in head[1:]:
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        body = self.exactly(int(headers.get("content-length", 0)))
        return int(head[0].split()[1]), headers, body

    def frame(self) -> tuple[int, bytes]:
        """Read one unmasked WebSocket frame: its opcode and its payload."""
        first, size = self.exactly(2)
        assert first & 0xF0 == 0x80, "the server fragments nothing and sets no other bit"
        if size == 126:
            size = int.from_bytes(self.exactly(2), "big")
        elif size == 127:
            size = int.from_bytes(self.exactly(8), "big")
        return first & 0x0F, self.exactly(size)

    def close(self) -> None:
        self.sock.close()


def send_request(sock: socket.socket, method: str, path: str, body: bytes = b"") -> None:
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    if method == "POST":
        head += f"Content-Type: text/plain;charset=UTF-8\r\nContent-Length: {len(body)}\r\n"
    sock.sendall(f"{head}\r\n".encode() + body)


def http(
    server: Running, method: str, path: str, body: bytes = b""
) -> tuple[int, dict[str, str], bytes]:
    """Ask on a connection of its own."""
    with server.connect() as sock:
        send_request(sock, method, path, body)
        return Reader(sock).response()


def get_json(server: Running, path: str) -> Any:
    status, _, body = http(server, "GET", path)
    assert status == 200, body
    return json.loads(body)


class WebSocketClient(Reader):
    """A Socket.IO client on a WebSocket from its first byte."""

    def __init__(self, server: Running) -> None:
        super().__init__(server.connect())
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        key = base64.b64encode(os.urandom(16)).decode()
        self.sock.sendall(
            f"GET {ENDPOINT}websocket HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
            "\r\n".encode()
        )
        head = self.through(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        assert self.text().startswith("0{")
        self.send("40")
        assert self.text().startswith("40{")

    def send(self, text: str) -> None:
        self._send_frame(1, text.encode())

    def leave(self) -> None:
        """Close by the book: a close frame, and the server's answer."""
        self._send_frame(8, (1000).to_bytes(2, "big"))
        while self.frame()[0] != 8:
            pass
        self.close()

    def text(self) -> str:
        opcode, payload = self.frame()
        assert opcode == 1, (opcode, payload)
        return payload.decode()

    def _send_frame(self, opcode: int, payload: bytes) -> None:
        assert len(payload) < 126
        # The mask may be anything; zeros leave the payload readable.
        self.sock.sendall(bytes([0x80 | opcode, 0x80 | len(payload)]) + bytes(4) + payload)


class PollingClient(Reader):
    """A Socket.IO client whose poll is parked at the server."""

    def __init__(self, server: Running) -> None:
        status, _, body = http(server, "GET", f"{ENDPOINT}polling")
        assert status == 200, body
        self.path = f"{ENDPOINT}polling&sid={json.loads(body[1:])['sid']}"
        assert http(server, "POST", self.path, b"40")[0] == 200
        assert http(server, "GET", self.path)[2].startswith(b"40{")
        super().__init__(server.connect())
        send_request(self.sock, "GET", self.path)


Client = WebSocketClient | PollingClient


@contextmanager
def crowd(server: Running, websockets: int, polls: int = 0) -> Iterator[list[Client]]:
    """Connect so many of each, several at a time; close them at the end."""
    kinds = [WebSocketClient] * websockets + [PollingClient] * polls
    with ExitStack() as stack, ThreadPoolExecutor(8) as pool:
        futures: list[Future[Client]] = [pool.submit(kind, server) for kind in kinds]
        stack.callback(lambda: [each.result().close() for each in futures if not each.exception()])
        connected = [future.result() for future in futures]
        # The last polls were sent, perhaps not read yet; this request comes after them.
        get_json(server, "/stats")
        yield connected
