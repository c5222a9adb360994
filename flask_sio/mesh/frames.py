"""What goes over a link: ``u32 length | u8 kind | u64 id | payload``, big endian.

``length`` counts what follows it. Kinds, and what their payloads are:

========= ======================================================== =================
kind      payload                                                  id
========= ======================================================== =================
HELLO     JSON: ``proto``, ``tag``, ``pid``, ``draining``          0
STATE     JSON: ``draining``, ``clients``, ``stalled_s``           0
REQUEST   head: JSON ``m``, ``q``, ``c``; body: of a POST          the asker's own
ANSWER    head: JSON ``s``, ``h``; body                            that of the request
ABORT     the session's id: nobody takes the answer                that of the request
RELEASE   nothing: answer this GET now                             that of the request
END       head: the session's id; body: why it ends                0
SOCKET    head: JSON ``q``; head: the 101; body: early bytes       0; with a descriptor
BROADCAST the layer above's, for every peer                        0
DIRECT    the layer above's, for this peer                         0
========= ======================================================== =================

``m`` is the method, ``q`` the query string, ``c`` the content type, ``s`` the status, ``h``
the headers. A head is ``u32 length | bytes``. A link begins with HELLO from both ends; a
connection that begins with SOCKET carries nothing else. Anything unknown ends a link: peers
are of one release, or of two whose ``proto`` is the same.
"""

from __future__ import annotations

import json
import struct
from typing import Any, NamedTuple

from flask_sio.errors import ProtocolError

PROTO = 1

HELLO, STATE, REQUEST, ANSWER, ABORT, RELEASE, END, SOCKET, BROADCAST, DIRECT = range(1, 11)
_KINDS = frozenset(range(1, 11))

MAX_PAYLOAD = 16 * 2**20
"""Bytes of one frame, unless a POST or an answer may have more."""

_HEAD = struct.Struct("!IBQ")
_LENGTH = struct.Struct("!I")
_REST = _HEAD.size - _LENGTH.size


class LinkError(ProtocolError):
    """A peer sent what no peer sends; the link ends."""


class Frame(NamedTuple):
    kind: int
    id: int
    payload: bytes


def encode(kind: int, number: int, payload: bytes = b"") -> bytes:
    """Return one frame."""
    return _HEAD.pack(_REST + len(payload), kind, number) + payload


def join(head: bytes, body: bytes) -> bytes:
    """Return a payload of a head and what follows."""
    return _LENGTH.pack(len(head)) + head + body


def split(payload: bytes) -> tuple[bytes, bytes]:
    """Return the head of a payload and what follows.

    Raises:
        LinkError: the payload is shorter than it says.
    """
    if len(payload) < _LENGTH.size:
        raise LinkError("a payload without a head")
    (size,) = _LENGTH.unpack_from(payload)
    end = _LENGTH.size + size
    if len(payload) < end:
        raise LinkError("a head that is cut off")
    return payload[_LENGTH.size : end], payload[end:]


def to_json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def from_json(data: bytes) -> dict[str, Any]:
    """Return the object that a peer has sent.

    Raises:
        LinkError: it is none.
    """
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise LinkError("no JSON") from error
    if not isinstance(value, dict):
        raise LinkError("no JSON object")
    return value


class Decoder:
    """Turns the bytes of one link into frames. One reader at a time."""

    __slots__ = ("_buffer", "_max")

    def __init__(self, max_payload: int = MAX_PAYLOAD) -> None:
        self._buffer = bytearray()
        self._max = max_payload

    def feed(self, data: bytes) -> list[Frame]:
        """Return the frames that are whole now.

        Raises:
            LinkError: an unknown kind, or a frame too big; nothing after it is to be read.
        """
        buffer, frames, place = self._buffer, [], 0
        buffer += data
        while len(buffer) - place >= _HEAD.size:
            length, kind, number = _HEAD.unpack_from(buffer, place)
            if kind not in _KINDS or not _REST <= length <= _REST + self._max:
                raise LinkError(f"a frame of kind {kind} and {length} bytes")
            end = place + _LENGTH.size + length
            if len(buffer) < end:
                break
            frames.append(Frame(kind, number, bytes(buffer[place + _HEAD.size : end])))
            place = end
        if place:
            del buffer[:place]
        return frames

    def rest(self) -> bytes:
        """Return what has come of the next frame."""
        return bytes(self._buffer)
