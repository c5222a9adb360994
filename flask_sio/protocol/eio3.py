"""Engine.IO packets, revision 3: what socket.io-client 1.x and 2.x speak.

A packet is that of revision 4 (`eio.Packet`); how it is written differs. On a WebSocket a
binary message begins with its type's byte. A polling payload is text, each packet after its
length in UTF-16 units, or binary, each after its length in bytes:

======================== ==================================================
``6:4hello2:4€``         text; ``10:b4AQIDBA==`` is a binary message
``00 04 ff 34 e2 82 ac`` binary form of a text packet, four bytes of UTF-8
``01 03 ff 04 01 02``    binary form of a binary message
======================== ==================================================

Source: Engine.IO v3, *Encoding*; the lengths as engine.io-parser 2 counts them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote_to_bytes

from flask_sio.errors import PacketError
from flask_sio.protocol.eio import MAX_PACKETS, MESSAGE, Packet, decode_base64
from flask_sio.protocol.eio import decode_packet as decode_packet_4
from flask_sio.protocol.encoded import Part

__all__ = [
    "decode_binary",
    "decode_binary_payload",
    "decode_form",
    "decode_packet",
    "encode_binary_payload",
    "encode_payload",
    "encode_script",
    "split_payload",
    "undouble",
]

_END = b"\xff"
_MAX_DIGITS = 10
_LENGTH = re.compile(r"([0-9]{1,10}):")
_LINE_END = re.compile(rb"\\{1,2}n")
_TO_DIGITS = bytes.maketrans(b"0123456789", bytes(range(10)))
_TO_ASCII = bytes.maketrans(bytes(range(10)), b"0123456789")


def decode_packet(text: str) -> Packet:
    """Read one text packet; ``b4...`` gives a message of bytes.

    Raises:
        PacketError: empty, an unknown type, or bytes that are no base64.
    """
    if text[:1] != "b":
        return decode_packet_4(text)
    if text[1:2] != MESSAGE:
        raise PacketError("only a message can be binary")
    return Packet(MESSAGE, decode_base64(text[2:]))


def decode_binary(data: bytes) -> Packet:
    """Read one binary packet, which begins with its type as a number.

    Raises:
        PacketError: empty, or no message.
    """
    if data[:1] != b"\x04":
        raise PacketError("only a message can be binary")
    return Packet(MESSAGE, data[1:])


# -- payloads of text --------------------------------------------------------------------


def split_payload(body: bytes) -> list[str]:
    """Split a payload of text into packets for `decode_packet`.

    Invalid UTF-8 becomes U+FFFD, as in a browser; ``0:`` holds no packet.

    Raises:
        PacketError: empty, a length that is no number or points beyond the body, or more than
            16384 packets.
    """
    text = body.decode("utf-8", "replace")
    if not text:
        raise PacketError("empty payload")
    if text.isascii():
        return _split(text, 1, str)
    units = text.encode("utf-16-le")
    if len(units) == 2 * len(text):  # a character is a unit, but for those beyond the BMP
        return _split(text, 1, str)
    return _split(units, 2, _from_utf_16)


def _from_utf_16(units: bytes) -> str:
    # A piece may begin or end between the two surrogates of a character.
    return units.decode("utf-16-le", "surrogatepass")


def _split(body: Any, width: int, to_text: Callable[[Any], str]) -> list[str]:
    """Take the packets out of a body whose units are ``width`` elements of it."""
    packets: list[str] = []
    at = count = 0
    while at < len(body):
        count += 1
        if count > MAX_PACKETS:  # "0:" holds none, and costs as much to find
            raise PacketError("too many packets")
        match = _LENGTH.match(to_text(body[at : at + (_MAX_DIGITS + 1) * width]))
        if match is None:
            raise PacketError("a packet without its length")
        start = at + match.end() * width
        at = start + int(match.group(1)) * width
        if at > len(body):
            raise PacketError("a packet shorter than its length")
        if at > start:
            packets.append(to_text(body[start:at]))
    return packets


def encode_payload(packets: Iterable[str]) -> bytes:
    """Make a payload of text."""
    return "".join([f"{_units(text)}:{text}" for text in packets]).encode("utf-8", "replace")


def _units(text: str) -> int:
    """Return a text's length as JavaScript has it."""
    if text.isascii():
        return len(text)
    return len(text.encode("utf-16-le", "replace")) // 2


def undouble(text: str) -> str | None:
    """Return the text that a 1.x client has encoded twice, or None if this is no such text.

    Up to engine.io-parser 1 a payload's text was turned into UTF-8, each byte of it into a
    character, and these into UTF-8 once more.
    """
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return None


# -- binary payloads ---------------------------------------------------------------------


def decode_binary_payload(body: bytes) -> list[Packet]:
    """Read a payload of the binary form: all of its packets or none. An empty one holds none.

    Raises:
        PacketError: a mark that is none, a length that is no number or points beyond the
            body, a bad packet, or more than 16384.
    """
    packets: list[Packet] = []
    at = 0
    while at < len(body):
        mark = body[at]
        end = body.find(_END, at + 1, at + 2 + _MAX_DIGITS)
        digits = body[at + 1 : max(end, 0)]
        if mark > 1 or not digits or max(digits) > 9:
            raise PacketError("a packet without its mark or its length")
        start = end + 1
        at = start + int(digits.translate(_TO_ASCII))
        if at > len(body):
            raise PacketError("a packet shorter than its length")
        data = body[start:at]
        if mark:
            packets.append(decode_binary(data))
        else:
            packets.append(decode_packet(data.decode("utf-8", "replace")))
        if len(packets) > MAX_PACKETS:
            raise PacketError("too many packets")
    return packets


def encode_binary_payload(parts: Iterable[Part]) -> bytes:
    """Make a payload of the binary form, of text packets and of messages' bytes."""
    pieces: list[bytes] = []
    for part in parts:
        if isinstance(part, str):
            mark, data = b"\x00", part.encode("utf-8", "replace")
        else:
            mark, data = b"\x01", b"\x04" + part
        pieces += (mark, str(len(data)).encode().translate(_TO_DIGITS), _END, data)
    return b"".join(pieces)


# -- JSONP -------------------------------------------------------------------------------


def encode_script(index: str, payload: str) -> bytes:
    """Make the script that calls a JSONP client with a payload of text.

    The result is ASCII, and holds no ``<``: no page that it may get into takes it for more
    than a string.
    """
    text = json.dumps(payload).replace("<", "\\u003c")
    return f"___eio[{index}]({text});".encode("ascii")


def decode_form(body: bytes) -> bytes:
    """Return the payload that a JSONP client has posted as the field ``d`` of a form.

    A form turns line ends into CR LF, so the client has written each as ``\\n``, and a
    ``\\n`` of the text as ``\\\\n``.

    Raises:
        PacketError: no such field, or several.
    """
    fields = [field[2:] for field in body.split(b"&") if field[:2] == b"d="]
    if len(fields) != 1:
        raise PacketError("a form with one field d was due")
    payload = unquote_to_bytes(fields[0].replace(b"+", b" "))
    return _LINE_END.sub(lambda found: b"\n" if len(found[0]) == 2 else b"\\n", payload)
