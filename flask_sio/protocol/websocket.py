"""WebSocket frames of RFC 6455: an incremental decoder, and the frames we send.

No extension is negotiated, so all reserved bits must be zero.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import TypeAlias

from flask_sio.errors import FrameError

__all__ = [
    "BINARY",
    "CLOSE",
    "CONT",
    "PING",
    "PONG",
    "TEXT",
    "Decoder",
    "Message",
    "close_frame",
    "frame",
]

CONT = 0x0
TEXT = 0x1
BINARY = 0x2
CLOSE = 0x8
PING = 0x9
PONG = 0xA

Message: TypeAlias = "tuple[int, str | bytes]"
"""An opcode and its payload: str for TEXT, bytes for the others."""

_PROTOCOL_ERROR = 1002
_BAD_DATA = 1007
_TOO_BIG = 1009

_OPCODES = frozenset((CONT, TEXT, BINARY, CLOSE, PING, PONG))
# RFC 6455 §7.4 and the IANA registry; 1004-1006 and 1015 never go over the wire.
_CLOSE_CODES = frozenset((1000, 1001, 1002, 1003, *range(1007, 1015)))
_FIN_TEXT = 0x80 | TEXT

_UINT16 = Struct("!H")
_UINT64 = Struct("!Q")
_HEAD16 = Struct("!BBH")
_HEAD64 = Struct("!BBQ")


def _unmask_by_int(data: bytes | bytearray, mask: bytes | bytearray) -> bytes:
    """XOR as two long integers: 0.5 µs for 45 bytes, 2.6 µs for 1 KB."""
    size = len(data)
    key = (mask * ((size + 3) >> 2))[:size]
    return (int.from_bytes(data, "little") ^ int.from_bytes(key, "little")).to_bytes(size, "little")


_unmask: Callable[[bytes | bytearray, bytes | bytearray], bytes]
try:
    # In C: 0.1 µs for 45 bytes, 0.25 µs for 1 KB.
    from websockets.speedups import apply_mask as _unmask
except ImportError:
    _unmask = _unmask_by_int


def frame(opcode: int, payload: bytes) -> bytes:
    """Make one whole unmasked frame."""
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, size)) + payload
    if size < 65536:
        return _HEAD16.pack(0x80 | opcode, 126, size) + payload
    return _HEAD64.pack(0x80 | opcode, 127, size) + payload


def close_frame(code: int | None = None, reason: str = "") -> bytes:
    """Make a close frame; without a code it is empty, and the peer reads 1005.

    A reason too long for a control frame is cut between characters.
    """
    if code is None:
        return b"\x88\x00"
    text = reason.encode("utf-8", "replace")[:123].decode("utf-8", "ignore")
    return frame(CLOSE, _UINT16.pack(code) + text.encode("utf-8"))


class Decoder:
    """Turn the bytes of one connection into complete messages.

    A violation ends it: ``error`` is set and further bytes are dropped. Bytes after a
    close frame are dropped too. One reader at a time.
    """

    __slots__ = (
        "_begun",
        "_buffer",
        "_fast",
        "_fragments",
        "_mask_bit",
        "_max_bytes",
        "_max_fragments",
        "_needed",
        "_opcode",
        "_small",
        "_stopped",
        "error",
    )

    def __init__(
        self, max_message_bytes: int, max_fragments: int = 16384, mask_required: bool = True
    ) -> None:
        """Set the bounds of one message; a client passes ``mask_required=False``."""
        self.error: FrameError | None = None
        """The violation that ended decoding; send its ``code``, then close."""
        self._max_bytes = max_message_bytes
        self._max_fragments = max_fragments
        self._mask_bit = 0x80 if mask_required else 0
        # The largest payload the fast path takes: -1 inside a frame or a fragmented message.
        self._small = min(125, max_message_bytes) if mask_required else -1
        self._fast = self._small
        self._stopped = False
        self._buffer = bytearray()
        self._needed = 2  # buffered bytes before it is worth looking again
        self._opcode = CONT  # of the message that is being put together
        self._begun: bytearray | None = None
        self._fragments = 0

    def feed(self, data: bytes) -> list[Message]:
        """Take what was received; return the messages it completes, in order.

        After each call look at ``error``: the messages returned with it came before the
        violation and are good. A CLOSE payload has been validated: empty, or a code and
        a reason.
        """
        size = len(data) - 6
        # One whole small masked text frame, the usual event: 0.7 µs against 2.0 below.
        if 0 <= size <= self._fast and data[0] == _FIN_TEXT and data[1] == size | 0x80:
            try:
                return [(TEXT, _unmask(data[6:], data[2:6]).decode("utf-8"))]
            except UnicodeDecodeError:
                pass  # reported below, like any other
        if self._stopped:
            return []
        buffer = self._buffer
        buffer += data
        messages: list[Message] = []
        if len(buffer) >= self._needed:
            try:
                self._parse(messages)
            except FrameError as error:
                self.error = error
                self._stop()
        self._fast = -1 if buffer or self._begun is not None or self._stopped else self._small
        return messages

    def awaited(self) -> int:
        """Return how many bytes the frame that has begun still needs; 0 between two."""
        return self._needed - len(self._buffer) if self._buffer else 0

    def _stop(self) -> None:
        self._stopped = True
        self._buffer.clear()
        self._begun = None

    def _parse(self, messages: list[Message]) -> None:
        """Take every whole frame out of the buffer."""
        buffer = self._buffer
        start = 0
        while True:
            self._needed = 2
            if len(buffer) - start < 2:
                break
            head, size = buffer[start], buffer[start + 1]
            self._check_head(head, size)
            masked = size & 0x80
            size &= 0x7F
            body = start + 2
            if size > 125:
                width = 2 if size == 126 else 8
                if len(buffer) - body < width:
                    self._needed = 2 + width
                    break
                size = self._long_size(body, width)
                body += width
            self._check_size(head, size)
            if masked:
                body += 4
            end = body + size
            if len(buffer) < end:
                self._needed = end - start
                break
            raw = buffer[body:end]
            payload = _unmask(raw, buffer[body - 4 : body]) if masked else bytes(raw)
            start = end
            self._take(head, payload, messages)
            if self._stopped:
                return
        del buffer[:start]

    def _check_head(self, head: int, size: int) -> None:
        """Refuse what the first two bytes of a frame already show. RFC 6455 §5.2, §5.5."""
        opcode = head & 0x0F
        if head & 0x70:
            raise FrameError(_PROTOCOL_ERROR, "reserved bits are set")
        if opcode not in _OPCODES:
            raise FrameError(_PROTOCOL_ERROR, "unknown opcode")
        if size & 0x80 != self._mask_bit:
            raise FrameError(_PROTOCOL_ERROR, "wrong masking")
        if opcode >= CLOSE:
            if not head & 0x80:
                raise FrameError(_PROTOCOL_ERROR, "fragmented control frame")
            if size & 0x7F > 125:
                raise FrameError(_PROTOCOL_ERROR, "control frame too long")
        elif (opcode == CONT) == (self._begun is None):
            raise FrameError(_PROTOCOL_ERROR, "fragments out of order")

    def _long_size(self, at: int, width: int) -> int:
        size: int
        if width == 2:
            (size,) = _UINT16.unpack_from(self._buffer, at)
            shortest = 126
        else:
            (size,) = _UINT64.unpack_from(self._buffer, at)
            shortest = 65536
        if size < shortest or size >> 63:
            raise FrameError(_PROTOCOL_ERROR, "bad length")
        return size

    def _check_size(self, head: int, size: int) -> None:
        """Refuse a message that grows too big, before its bytes arrive."""
        if head & 0x08:
            return
        begun = self._begun
        if begun is not None:
            size += len(begun)
            if self._fragments >= self._max_fragments:
                raise FrameError(_TOO_BIG, "too many fragments")
        if size > self._max_bytes:
            raise FrameError(_TOO_BIG, "message too big")

    def _take(self, head: int, payload: bytes, messages: list[Message]) -> None:
        opcode = head & 0x0F
        if opcode >= CLOSE:
            messages.append((opcode, payload if opcode != CLOSE else _checked_close(payload)))
            if opcode == CLOSE:
                self._stop()
            return
        if opcode == CONT:
            assert self._begun is not None  # _check_head refused it otherwise
            self._begun += payload
            self._fragments += 1
            if not head & 0x80:
                return
            opcode, payload, self._begun = self._opcode, bytes(self._begun), None
        elif not head & 0x80:
            self._opcode, self._begun, self._fragments = opcode, bytearray(payload), 1
            return
        messages.append((opcode, payload if opcode == BINARY else _decode_text(payload)))


def _decode_text(payload: bytes) -> str:
    """Read the text of a whole message: a character may span two fragments."""
    try:
        return payload.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise FrameError(_BAD_DATA, "text is not UTF-8") from exc


def _checked_close(payload: bytes) -> bytes:
    """Return the payload of a valid close frame. RFC 6455 §5.5.1, §7.4."""
    if payload:
        if len(payload) == 1:
            raise FrameError(_PROTOCOL_ERROR, "close code cut short")
        (code,) = _UINT16.unpack_from(payload)
        if code not in _CLOSE_CODES and not 3000 <= code < 5000:
            raise FrameError(_PROTOCOL_ERROR, "bad close code")
        _decode_text(payload[2:])
    return payload
