"""Socket.IO packets as MessagePack, each one binary Engine.IO message.

Both ends must agree on it: nothing on the wire tells. The bytes are those of the npm package
socket.io-msgpack-parser, which is notepack.io 2: a map of ``type``, ``nsp`` and, where there
are any, ``data`` and ``id``. It writes JavaScript's own types as extension 0: one byte is
``undefined``, a fixext of eight bytes a Date, any other an ArrayBuffer.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterator
from math import isfinite
from typing import Any

from msgpack import ExtType, packb, unpackb  # type: ignore[import-untyped]

from flask_sio.errors import PacketError
from flask_sio.protocol import sio
from flask_sio.protocol.codec import check_packet
from flask_sio.protocol.encoded import Encoded
from flask_sio.protocol.json_codec import to_json

__all__ = ["MsgpackCodec"]

_SCALARS = frozenset((str, bool, type(None), bytes))
_BINARY = (bytes, bytearray, memoryview)
_MIN_INT, _MAX_INT = -(2**63), 2**64 - 1
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_MILLISECOND = datetime.timedelta(milliseconds=1)
_JAVASCRIPT = 0  # the number of notepack's extension


# Of packets in the main namespace, by how many entries come behind, and by type.
_ROOT = [
    [b"%c\xa4type%c\xa3nsp\xa1/" % (0x82 + behind, kind) for kind in range(5)]
    for behind in range(3)
]


class MsgpackCodec:
    """The codec of ``serializer="msgpack"``. Stateless; any thread."""

    def render(self, packet: sio.Packet) -> sio.Body:
        """Write what a packet carries, as bytes, or nothing.

        Raises:
            TypeError: what has no form in MessagePack, a loop, or too deep a nesting.
            ValueError: a reserved event name, or a namespace that cannot be written.
        """
        sio.check_outgoing(packet)
        return "", () if packet.data is None else (_pack(packet.data),)

    def compose(self, packet: sio.Packet, body: sio.Body) -> Encoded:
        namespace, data, number = packet.namespace, body[1], packet.id
        entries = 2 + len(data) + (0 if number is None else 1)
        message = _ROOT[entries - 2][packet.type]
        if namespace != "/":
            message = message[:-2] + packb(namespace, unicode_errors="replace")
        if data:
            message = b"%b\xa4data%b" % (message, data[0])
        if number is not None:
            message += b"\xa2id" + packb(number)
        return Encoded("", (message,))

    def encode(self, packet: sio.Packet) -> Encoded:
        return self.compose(packet, self.render(packet))

    encode_control = encode

    def decoder(self, max_attachments: int, max_bytes: int) -> Decoder:
        """Return a decoder. Bytes stand in the message itself, which the transport has bounded."""
        return Decoder()

    decoder_4 = decoder


class Decoder:
    """Read the packets of one connection. It keeps nothing between them."""

    __slots__ = ()

    def feed(self, message: str | bytes) -> sio.Packet:
        """Read the packet that one Engine.IO message is.

        Unknown keys are ignored: the JavaScript client sends ``options``. nil is as good as
        absent: python-socketio sends it.

        Raises:
            PacketError: text, or anything else that is no packet.
        """
        if isinstance(message, str):
            raise PacketError("text where MessagePack is due")
        try:
            value = _unpack(message)
        except (ValueError, TypeError, OverflowError, RecursionError) as exc:
            raise PacketError("invalid payload") from exc
        if type(value) is not dict:
            raise PacketError("invalid payload")
        get: Callable[[str], Any] = value.get
        packet = sio.Packet(get("type"), get("nsp"), get("data"), get("id"))
        check_packet(packet)
        return packet


# -- reading -----------------------------------------------------------------------------


class _Ambiguous(Exception):
    """An extension 0 of one or eight bytes, whose head the library does not show."""


def _unpack(data: bytes) -> Any:
    """Read one value that fills ``data``; lengths and depth are bounded by the library."""
    try:
        return _read(data, _plain_extension)
    except _Ambiguous:
        return _read(data, _told_apart(data))


def _read(data: bytes, extension: Callable[[int, bytes], Any]) -> Any:
    # timestamp=3: extension -1, which other writers of MessagePack use, is a datetime too.
    return unpackb(data, ext_hook=extension, unicode_errors="replace", timestamp=3)


def _plain_extension(code: int, data: bytes) -> Any:
    if code != _JAVASCRIPT:
        raise ValueError(f"unknown extension {code}")
    if len(data) in (1, 8):
        raise _Ambiguous
    return data


def _told_apart(data: bytes) -> Callable[[int, bytes], Any]:
    """Return a hook for extensions that knows which of them are fixext, in their order."""
    # A client without typed arrays, as every browser, has sent none of these.
    heads = iter(list(_fixexts(data)) if _BUFFER.search(data) else ())

    def extension(code: int, body: bytes) -> Any:
        if code != _JAVASCRIPT:
            raise ValueError(f"unknown extension {code}")
        if len(body) not in (1, 8) or not next(heads, True):
            return body
        return None if len(body) == 1 else _date(body)

    return extension


def _date(body: bytes) -> datetime.datetime:
    return _EPOCH + int.from_bytes(body, "big", signed=True) * _MILLISECOND


# An ArrayBuffer of one or eight bytes, or what looks like one inside text.
_BUFFER = re.compile(rb"(?:\xc7|\xc8\0|\xc9\0\0\0)[\x01\x08]\0")

# Of each head byte that is not a whole value by itself: the bytes of the head, the type of an
# extension included, and how many of them are a length that comes on top.
_HEADS = """
    c4 2 1  c5 3 2  c6 5 4  c7 3 1  c8 4 2  c9 6 4  ca 5 0  cb 9 0  cc 2 0  cd 3 0
    ce 5 0  cf 9 0  d0 2 0  d1 3 0  d2 5 0  d3 9 0  d4 3 0  d5 4 0  d6 6 0  d7 10 0
    d8 18 0  d9 2 1  da 3 2  db 5 4  dc 3 0  dd 5 0  de 3 0  df 5 0
"""


def _tables() -> tuple[bytes, bytes]:
    sizes, widths = bytearray([1] * 256), bytearray(256)
    sizes[0xA0:0xC0] = range(1, 33)
    cells = iter(_HEADS.split())
    for head, size, width in zip(cells, cells, cells, strict=True):
        sizes[int(head, 16)], widths[int(head, 16)] = int(size), int(width)
    return bytes(sizes), bytes(widths)


_SIZES, _WIDTHS = _tables()


def _fixexts(data: bytes) -> Iterator[bool]:
    """Tell of each extension 0 of one or eight bytes whether it is a fixext."""
    at = 0
    while at < len(data):
        head = data[at]
        size, width = _SIZES[head], _WIDTHS[head]
        if width:
            length = int.from_bytes(data[at + 1 : at + 1 + width], "big")
            if (
                0xC7 <= head <= 0xC9
                and length in (1, 8)
                and data[at + size - 1 : at + size] == b"\0"
            ):
                yield False
            size += length
        elif head in (0xD4, 0xD7) and data[at + 1 : at + 2] == b"\0":
            yield True
        at += size


# -- writing -----------------------------------------------------------------------------


def _pack(data: Any) -> bytes:
    try:
        plain = _plain(data)
        try:
            packed: bytes = packb(plain)
        except UnicodeEncodeError:
            packed = packb(_repaired(plain))
    except (ValueError, OverflowError, RecursionError) as exc:
        raise TypeError(f"not serializable by MessagePack: {exc}") from exc
    return packed


def _plain(obj: Any) -> Any:
    """Copy ``obj`` in types that the library writes as a peer reads them.

    What JSON would make text is the same text here, keys too.
    """
    kind = type(obj)
    if kind in _SCALARS:
        return obj
    if kind is int:
        # JavaScript would read the digits as a float, too.
        return obj if _MIN_INT <= obj <= _MAX_INT else float(obj)
    # Scalars are let by without a call: that halves the time of the usual event.
    if kind is dict or isinstance(obj, dict):
        return {
            key if type(key) is str else _key(key): (
                value if type(value) in _SCALARS else _plain(value)
            )
            for key, value in obj.items()
        }
    if kind is list or isinstance(obj, (list, tuple)):
        return [value if type(value) in _SCALARS else _plain(value) for value in obj]
    if isinstance(obj, float):
        return float(obj) if isfinite(obj) else None
    if isinstance(obj, _BINARY):
        return bytes(obj)
    if isinstance(obj, datetime.datetime) and obj.utcoffset() is not None:
        return ExtType(_JAVASCRIPT, _milliseconds(obj))
    return _plain(to_json(obj))


def _milliseconds(moment: datetime.datetime) -> bytes:
    return ((moment - _EPOCH) // _MILLISECOND).to_bytes(8, "big", signed=True)


_WORDS = {True: "true", False: "false", None: "null"}


def _key(key: Any) -> str:
    """Return a key as the text that JSON makes of it."""
    if isinstance(key, str):
        return str.__str__(key)
    if key is None or isinstance(key, bool):
        return _WORDS[key]
    if isinstance(key, int):
        return int.__repr__(key)
    if isinstance(key, float) and isfinite(key):
        return float.__repr__(key)
    raise TypeError(f"keys must be str, int, float, bool or None, not {type(key).__name__}")


def _repaired(plain: Any) -> Any:
    """Copy what `_plain` gave with U+FFFD for each lone surrogate, which UTF-8 cannot hold."""
    if isinstance(plain, str):
        return plain.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(plain, dict):
        return {_repaired(key): _repaired(value) for key, value in plain.items()}
    if type(plain) is list:
        return [_repaired(value) for value in plain]
    return plain
