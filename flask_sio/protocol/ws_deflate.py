"""Compression of WebSocket messages: permessage-deflate, RFC 7692.

Neither side keeps anything from one message to the next (``no_context_takeover``). So the
compressed frame of a broadcast is one for all of its recipients, and an idle connection has
no memory of zlib's. An offer that would need frames of its own is declined.
"""

from __future__ import annotations

import re
import zlib
from typing import NamedTuple

from flask_sio.errors import FrameError
from flask_sio.protocol import websocket
from flask_sio.protocol.websocket import BINARY, TEXT, Message

__all__ = ["DeflateOptions", "Deflater", "InflatingDecoder", "is_negotiated", "negotiate"]

_ANSWER = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
_FLAGS = frozenset(("server_no_context_takeover", "client_no_context_takeover"))
_BITS = {str(bits): bits for bits in range(8, 16)}
_NEGOTIATED = re.compile(rb"\r\nSec-WebSocket-Extensions: permessage-deflate\b", re.IGNORECASE)

_RSV1 = 0x40
_FIN = 0x80
_PROTOCOL_ERROR = 1002
_BAD_DATA = 1007
_TOO_BIG = 1009

_TAIL = b"\x00\x00\xff\xff"
"""What a compressed message ends with, and is sent without. RFC 7692 §7.2.1."""


class DeflateOptions(NamedTuple):
    """What ``per_message_deflate=True`` stands for."""

    threshold: int = 1024
    """Bytes from which a message is compressed."""
    level: int = 3
    """zlib's, 1 to 9. Of 4 KB of JSON 3 leaves 1,211 bytes in 27 µs, 6 leaves 1,144 in 58."""
    window_bits: int = 12
    """9 to 15: how far back a message refers. Beyond 12, 400 KB of JSON lose 2 % more, for half
    as much time again; the `websockets` package accepts no more than 12."""
    mem_level: int = 5
    """zlib's, 1 to 9. The 32 KB that this takes are there in 5 µs, the 256 KB of 15 and 8 in 29."""


def negotiate(offers: str, window_bits: int) -> str | None:
    """Return the answer to a ``Sec-WebSocket-Extensions`` header, None if no offer will do.

    Source: RFC 7692 §5.1, §7.1.
    """
    for offer in offers.split(","):
        name, *parameters = (part.strip(" \t") for part in offer.split(";"))
        if name == "permessage-deflate":
            answer = _answer(parameters, window_bits)
            if answer is not None:
                return answer
    return None


def _answer(parameters: list[str], window_bits: int) -> str | None:
    answer = _ANSWER
    seen = set()
    for parameter in parameters:
        name, equals, value = (part.strip(" \t") for part in parameter.partition("="))
        if name in seen:
            return None
        seen.add(name)
        if len(value) > 1 and value[0] == value[-1] == '"':
            value = value[1:-1]
        if name in _FLAGS:
            if equals:
                return None
        elif name == "server_max_window_bits":
            if _BITS.get(value, 0) < window_bits:
                return None  # would need a frame of its own
            answer = f"{_ANSWER}; server_max_window_bits={window_bits}"
        elif name != "client_max_window_bits" or (equals and value not in _BITS):
            return None
    return answer


def is_negotiated(response: bytes) -> bool:
    """Whether a 101 answer has accepted it."""
    return _NEGOTIATED.search(response) is not None


class Deflater:
    """Compress the frames that a server sends. Stateless; any thread."""

    __slots__ = ("options",)

    def __init__(self, options: DeflateOptions) -> None:
        self.options = options

    def __call__(self, frames: bytes) -> bytes:
        """Return whole unmasked data frames, those compressed that get smaller by it."""
        threshold = self.options.threshold
        compressed: list[bytes] = []
        at = shrunk = 0
        while at < len(frames):
            body, end = _bounds(frames, at)
            piece = frames[at:end]
            if end - body >= threshold:
                payload = self._compress(frames[body:end])
                if len(payload) < end - body:
                    piece = websocket.frame(frames[at] | _RSV1, payload)
                    shrunk += 1
            compressed.append(piece)
            at = end
        return b"".join(compressed) if shrunk else frames

    def _compress(self, payload: bytes) -> bytes:
        _, level, bits, mem_level = self.options
        packer = zlib.compressobj(level, zlib.DEFLATED, -bits, mem_level)
        return (packer.compress(payload) + packer.flush(zlib.Z_SYNC_FLUSH))[: -len(_TAIL)]


def _bounds(frames: bytes, at: int) -> tuple[int, int]:
    """Return where the payload of a frame of ours begins and ends."""
    size, body = frames[at + 1], at + 2
    if size > 125:
        width = 2 if size == 126 else 8
        size = int.from_bytes(frames[body : body + width], "big")
        body += width
    return body, body + size


class InflatingDecoder(websocket.Decoder):
    """A decoder for connections that have negotiated compression."""

    __slots__ = ("_inflation", "_slack")

    def __init__(
        self, max_message_bytes: int, max_fragments: int = 16384, mask_required: bool = True
    ) -> None:
        super().__init__(max_message_bytes, max_fragments, mask_required)
        # What cannot be compressed grows by it, with the smallest memory by a 25th.
        self._slack = (max_message_bytes >> 4) + 64
        self._inflation: _Inflation | None = None

    def _check_head(self, head: int, size: int) -> None:
        """Let RSV1 stand on what begins a message, and nowhere else. RFC 7692 §6."""
        if head & _RSV1 and head & 0x0F in (TEXT, BINARY):
            head ^= _RSV1
        super()._check_head(head, size)

    def _check_size(self, head: int, size: int) -> None:
        if not head & 0x08 and (head & _RSV1 or self._inflation is not None):
            size -= self._slack
        super()._check_size(head, size)

    def _take(self, head: int, payload: bytes, messages: list[Message]) -> None:
        if not head & 0x08:
            if head & _RSV1:
                self._inflation = _Inflation(self._max_bytes)
            if self._inflation is not None:
                payload = self._inflation.take(payload, final=bool(head & _FIN))
                if head & _FIN:
                    self._inflation = None
        super()._take(head, payload, messages)

    def _stop(self) -> None:
        super()._stop()
        self._inflation = None


class _Inflation:
    """One message on its way out of its compression; never more of it than the bound."""

    __slots__ = ("_room", "_unpacker")

    def __init__(self, max_bytes: int) -> None:
        self._room = max_bytes
        self._unpacker = zlib.decompressobj(-zlib.MAX_WBITS)

    def take(self, data: bytes, final: bool) -> bytes:
        """Take the payload of one frame; return what it holds.

        Raises:
            FrameError: more than the bound, or what is no DEFLATE.
        """
        inflated = self._inflate(data)
        unpacker = self._unpacker
        if final and not unpacker.eof:
            inflated += self._inflate(_TAIL)
        # A last block may have been marked as such, and have a zero byte behind (§7.2.3.4).
        if unpacker.unused_data not in (b"", b"\x00"):
            raise FrameError(_BAD_DATA, "data behind the end of the compressed message")
        return inflated

    def _inflate(self, data: bytes) -> bytes:
        try:
            inflated = self._unpacker.decompress(data, self._room + 1)
        except zlib.error as exc:
            raise FrameError(_BAD_DATA, "bad compressed data") from exc
        self._room -= len(inflated)
        if self._room < 0:
            raise FrameError(_TOO_BIG, "message too big")
        return inflated
