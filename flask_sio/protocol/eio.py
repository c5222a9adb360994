"""Engine.IO packets, revision 4.

Source: Engine.IO v4, *Packet encoding*.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterable
from dataclasses import dataclass, field

from flask_sio.errors import PacketError
from flask_sio.protocol.encoded import Encoded

__all__ = [
    "CLOSE",
    "CLOSE_PACKET",
    "MAX_PACKETS",
    "MESSAGE",
    "NOOP",
    "NOOP_PACKET",
    "OPEN",
    "PING",
    "PING_PACKET",
    "PONG",
    "PONG_PACKET",
    "PROBE_REPLY",
    "SEPARATOR",
    "UPGRADE",
    "Packet",
    "decode_base64",
    "decode_packet",
    "decode_payload",
    "encode_payload",
    "open_packet",
]

OPEN = "0"
CLOSE = "1"
PING = "2"
PONG = "3"
MESSAGE = "4"
UPGRADE = "5"
NOOP = "6"

SEPARATOR = "\x1e"
_SEPARATOR = b"\x1e"

CLOSE_PACKET = Encoded("1")
PING_PACKET = Encoded("2")
PONG_PACKET = Encoded("3")
NOOP_PACKET = Encoded("6")
PROBE_REPLY = Encoded("3probe")

_TYPES = frozenset("0123456")
MAX_PACKETS = 16384
"""Packets of one payload, as fragments of one message: more is nothing but work."""
_URL_SAFE = str.maketrans("-_", "+/")


@dataclass(slots=True)
class Packet:
    """One Engine.IO packet."""

    type: str
    """One of the type characters."""
    data: str | bytes = field(repr=False)
    """What follows the type; bytes only for a binary message."""


def decode_packet(text: str) -> Packet:
    """Read one text packet; ``b...`` gives a message of bytes.

    Raises:
        PacketError: empty, an unknown type, or bytes that are no base64.
    """
    kind = text[:1]
    if kind in _TYPES:
        return Packet(kind, text[1:])
    if kind == "b":
        return Packet(MESSAGE, decode_base64(text[1:]))
    raise PacketError("unknown Engine.IO packet type")


def decode_base64(text: str) -> bytes:
    """Read base64 of either alphabet, padded or not, and nothing laxer."""
    body = text.rstrip("=")
    padding = len(text) - len(body)
    if padding and (padding > 2 or len(text) % 4):
        raise PacketError("bad base64 padding")
    try:
        # b64decode(validate=True) also refuses a length of 4n+1.
        return b64decode(body.translate(_URL_SAFE) + "=" * (-len(body) % 4), validate=True)
    except ValueError as exc:
        raise PacketError("bad base64") from exc


def decode_payload(body: bytes) -> list[Packet]:
    """Read the body of a POST: all of its packets or none.

    Invalid UTF-8 becomes U+FFFD, as in a browser.

    Raises:
        PacketError: any packet that cannot be read, or more than 16384; an empty body and a
            trailing separator hold an empty one.
    """
    if body.count(_SEPARATOR) >= MAX_PACKETS:
        raise PacketError("too many packets")
    return [decode_packet(text) for text in body.decode("utf-8", "replace").split(SEPARATOR)]


def encode_payload(parts: Iterable[str]) -> bytes:
    """Join text packets (``Encoded.polling``) to the body of a poll's answer."""
    return SEPARATOR.join(parts).encode("utf-8", "replace")


def open_packet(
    sid: str,
    upgrades: list[str],
    ping_interval_s: float,
    ping_timeout_s: float,
    max_payload: int,
) -> Encoded:
    """Make the handshake packet; on the wire times are whole milliseconds.

    Source: Engine.IO v4, *Handshake*.
    """
    handshake = {
        "sid": sid,
        "upgrades": upgrades,
        "pingInterval": round(ping_interval_s * 1000),
        "pingTimeout": round(ping_timeout_s * 1000),
        "maxPayload": max_payload,
    }
    return Encoded(OPEN + json.dumps(handshake, separators=(",", ":")))
