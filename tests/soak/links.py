"""Engine.IO clients by hand on asyncio: WebSocket and polling, revisions 3 and 4."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections import deque

WAIT_S = 60.0
Part = str | bytes

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
_LENGTH = re.compile(r"(\d+):")


class Gone(Exception):
    """The server has ended the connection."""


async def connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), WAIT_S)


def abort(writer: asyncio.StreamWriter) -> None:
    """End a connection by a reset."""
    writer.transport.abort()


async def request(
    port: int, method: str, path: str, body: bytes = b"", content: str = "text/plain;charset=UTF-8"
) -> tuple[int, str, bytes]:
    """Ask on a connection of its own; return status, content type and body."""
    reader, writer = await connect(port)
    try:
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        if method == "POST":
            head += f"Content-Type: {content}\r\nContent-Length: {len(body)}\r\n"
        writer.write(f"{head}\r\n".encode() + body)
        return await asyncio.wait_for(response(reader), WAIT_S)
    except (OSError, asyncio.IncompleteReadError) as error:
        raise Gone(str(error)) from error
    finally:
        abort(writer)


async def response(reader: asyncio.StreamReader) -> tuple[int, str, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = re.search(r"\r\ncontent-length: (\d+)", head)
    kind = re.search(r"\r\ncontent-type: ([^\r]*)", head)
    body = await reader.readexactly(int(length[1]) if length else 0)
    return int(head.split()[1]), kind[1] if kind else "", body


class WsLink:
    """A WebSocket from its first byte, or beside a polling session."""

    def __init__(self, port: int, revision: int, sid: str = "") -> None:
        self.port, self.revision, self.sid = port, revision, sid

    async def open(self) -> WsLink:
        self.reader, self.writer = await connect(self.port)
        try:
            path = f"/socket.io/?EIO={self.revision}&transport=websocket"
            path += f"&sid={self.sid}" if self.sid else ""
            self.writer.write(
                f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
                "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                f"Sec-WebSocket-Key: {KEY}\r\n\r\n".encode()
            )
            head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), WAIT_S)
            if not head.startswith(b"HTTP/1.1 101 "):
                raise Gone(head.decode("latin-1"))
            if not self.sid:
                (opened,) = await self.receive()
                assert isinstance(opened, str)
                self.sid = json.loads(opened[1:])["sid"]
        except (OSError, asyncio.IncompleteReadError) as error:
            self.abort()
            raise Gone(str(error)) from error
        except BaseException:
            self.abort()
            raise
        return self

    async def send(self, *packets: Part) -> None:
        self.write(
            b"".join(
                frame(1, each.encode())
                if isinstance(each, str)
                else frame(2, b"\x04" + each if self.revision == 3 else each)
                for each in packets
            )
        )
        try:
            await asyncio.wait_for(self.writer.drain(), WAIT_S)
        except OSError as error:
            raise Gone(str(error)) from error

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    async def receive(self) -> list[Part]:
        """Return the next packet, and answer control frames."""
        try:
            while True:
                opcode, payload = await asyncio.wait_for(self._frame(), WAIT_S)
                if opcode == 1:
                    return [payload.decode()]
                if opcode == 2:
                    return [payload[1:] if self.revision == 3 else payload]
                if opcode == 8:
                    raise Gone("close frame")
        except (OSError, asyncio.IncompleteReadError) as error:
            raise Gone(str(error)) from error

    async def _frame(self) -> tuple[int, bytes]:
        first, size = await self.reader.readexactly(2)
        if size > 125:
            size = int.from_bytes(await self.reader.readexactly(2 if size == 126 else 8), "big")
        return first & 0xF, await self.reader.readexactly(size)

    async def close(self) -> None:
        """Close by the book."""
        try:
            self.write(frame(8, b"\x03\xe8"))
            while True:
                await self.receive()
        except Gone:
            pass
        finally:
            self.abort()

    def abort(self) -> None:
        if hasattr(self, "writer"):
            abort(self.writer)


class PollLink:
    """A session on long polling; each request has a connection of its own."""

    def __init__(self, port: int, revision: int) -> None:
        self.port, self.revision = port, revision
        self.path = f"/socket.io/?EIO={revision}&transport=polling"
        self._read: deque[Part] = deque()
        self._posting = asyncio.Lock()

    async def open(self) -> PollLink:
        (opened, *more) = await self._poll()
        assert isinstance(opened, str)
        self.sid = json.loads(opened[1:])["sid"]
        self.path += f"&sid={self.sid}"
        self._read.extend(more)
        return self

    async def send(self, *packets: Part) -> None:
        body, content = self._encode(packets)
        async with self._posting:
            status, _, _ = await request(self.port, "POST", self.path, body, content)
        if status != 200:
            raise Gone(f"POST: {status}")

    def _encode(self, packets: tuple[Part, ...]) -> tuple[bytes, str]:
        text = "text/plain;charset=UTF-8"
        if self.revision == 4:
            parts = [p if isinstance(p, str) else "b" + _base64(p) for p in packets]
            return "\x1e".join(parts).encode(), text
        parts = [p if isinstance(p, str) else "b4" + _base64(p) for p in packets]
        return "".join(f"{len(part)}:{part}" for part in parts).encode(), text

    async def _poll(self) -> list[Part]:
        status, content, body = await request(self.port, "GET", self.path)
        if status != 200:
            raise Gone(f"GET: {status}")
        return self._decode(content, body)

    def _decode(self, content: str, body: bytes) -> list[Part]:
        if self.revision == 4:
            texts = body.decode().split("\x1e")
            return [base64.b64decode(t[1:]) if t[:1] == "b" else t for t in texts]
        found: list[Part] = []
        if "octet-stream" in content:
            while body:
                end = body.index(b"\xff")
                size = int("".join(map(str, body[1:end])))
                data = body[end + 1 : end + 1 + size]
                found.append(data[1:] if body[0] else data.decode())
                body = body[end + 1 + size :]
            return found
        text = body.decode()
        while text:
            match = _LENGTH.match(text)
            assert match is not None, text
            end = match.end() + int(match[1])
            found.append(text[match.end() : end])
            text = text[end:]
        return found

    async def receive(self) -> list[Part]:
        if not self._read:
            self._read.extend(await self._poll())
        parts = list(self._read)
        self._read.clear()
        if "1" in parts:
            raise Gone("close packet")
        return parts

    async def probe(self) -> WsLink:
        """Return a WebSocket beside this session; once no GET is held, ``5`` commits it."""
        socket = await WsLink(self.port, self.revision, self.sid).open()
        await socket.send("2probe")
        assert await socket.receive() == ["3probe"]
        return socket

    async def close(self) -> None:
        try:
            await self.send("1")
        except Gone:
            pass

    def abort(self) -> None: ...


Link = WsLink | PollLink


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def frame(opcode: int, payload: bytes, *, fin: bool = True) -> bytes:
    """Return a client's frame, masked by zeros."""
    size, head = len(payload), bytes([opcode | (0x80 if fin else 0)])
    if size < 126:
        head += bytes([0x80 | size])
    elif size < 65536:
        head += b"\xfe" + size.to_bytes(2, "big")
    else:
        head += b"\xff" + size.to_bytes(8, "big")
    return head + bytes(4) + payload
