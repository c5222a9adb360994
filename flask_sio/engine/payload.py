"""How polls are written and POSTs are read: one form per revision, and JSONP.

A connection has one of these for its life. That of revision 4 is shared by all, since
nothing in it depends on the client.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple, Protocol, cast

from flask_sio.engine import http
from flask_sio.engine.http import Response
from flask_sio.protocol import eio, eio3
from flask_sio.protocol.encoded import Part

OCTETS = "application/octet-stream"
_SCRIPT = "text/javascript; charset=UTF-8"
_NO_DIGIT = re.compile("[^0-9]")
_INDEX_DIGITS = 16


class Payload(Protocol):
    """What the endpoint asks of a revision."""

    def decode(self, body: bytes, content_type: str) -> list[eio.Packet]:
        """Read a POST: all of its packets or none. Raises PacketError."""

    def answer(self, parts: list[Part]) -> Response:
        """Answer a GET with these packets."""


class Payload4:
    """Engine.IO 4: text packets with a separator between them."""

    __slots__ = ()

    def decode(self, body: bytes, content_type: str) -> list[eio.Packet]:
        return eio.decode_payload(body)

    def answer(self, parts: list[Part]) -> Response:
        return http.poll_answer(eio.encode_payload(cast("list[str]", parts)))


class Payload3:
    """Engine.IO 3 for a client that takes bytes, or, with ``base64``, text only.

    The form of a POST is up to its client; see `eio3`. Nothing tells a 1.x client, which
    encodes the texts of a payload twice, from a 2.x one but those texts: what can be read
    twice is, until there is one that cannot, since then the client is of the other kind.
    """

    __slots__ = ("_may_double", "takes_base64")

    def __init__(self, base64: bool) -> None:
        self.takes_base64 = base64
        """Whether the client takes text only."""
        self._may_double = True

    def decode(self, body: bytes, content_type: str) -> list[eio.Packet]:
        if content_type == OCTETS:
            return eio3.decode_binary_payload(body)
        return [eio3.decode_packet(self._once(text)) for text in eio3.split_payload(body)]

    def _once(self, text: str) -> str:
        if not self._may_double or text.isascii():
            return text
        undoubled = eio3.undouble(text)
        self._may_double = undoubled is not None
        return text if undoubled is None else undoubled

    def answer(self, parts: list[Part]) -> Response:
        # The binary form is read alike by both generations, text is only if it is ASCII.
        if self.takes_base64 or all(type(part) is str and part.isascii() for part in parts):
            return http.poll_answer(eio3.encode_payload(cast("list[str]", parts)))
        return http.poll_answer(eio3.encode_binary_payload(parts), OCTETS)


class Jsonp3(Payload3):
    """Engine.IO 3 by script tags and forms."""

    __slots__ = ("_index",)

    def __init__(self, index: str) -> None:
        """Use the index of the handshake, whatever later requests say."""
        super().__init__(base64=True)
        self._index = _NO_DIGIT.sub("", index)[:_INDEX_DIGITS]

    def decode(self, body: bytes, content_type: str) -> list[eio.Packet]:
        return super().decode(eio3.decode_form(body), "")

    def answer(self, parts: list[Part]) -> Response:
        payload = eio3.encode_payload(cast("list[str]", parts)).decode("utf-8")
        return http.poll_answer(eio3.encode_script(self._index, payload), _SCRIPT)


class Packets(NamedTuple):
    """The packets of one answer, and how they are written."""

    payload: Payload
    parts: list[Part]

    @property
    def size(self) -> int:
        """About how large the answer is."""
        return sum(map(len, self.parts))

    def response(self) -> Response:
        """Write the answer. Any thread."""
        return self.payload.answer(self.parts)


PAYLOAD_4 = Payload4()


def payload_3(query: Mapping[str, str]) -> Payload3:
    """Return the form that a handshake of Engine.IO 3 asks for."""
    index = query.get("j")
    return Payload3(bool(query.get("b64"))) if index is None else Jsonp3(index)
