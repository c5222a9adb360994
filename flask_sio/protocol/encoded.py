"""One packet and its wire forms, each rendered once, at the first need."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable

from flask_sio.protocol.websocket import BINARY, TEXT, frame

__all__ = ["Encoded", "Encoded3", "Part"]

Part = str | bytes
"""A packet of a polling payload: text with its type's character, or the bytes of a message."""

# A Socket.IO packet with data: what precedes its JSON. A name may hold anything but a comma.
_BEFORE_JSON = re.compile(r"4[0-6](?:[0-9]+-)?(?:/[^,]*,)?[0-9]*(?=[\[{\"])")
_NOT_ASCII = re.compile("[^\\x00-\\x7f]")


class Encoded:
    """A packet ready for any transport; shared by all recipients of a broadcast.

    ``text`` is the whole Engine.IO text packet, type character included (``42["a"]``), or
    empty for what `after` leaves; ``attachments`` follow it directly, each an Engine.IO
    message of its own. A form is rendered when first read and kept. Any thread: two that
    meet there render the same value.
    """

    __slots__ = ("_deflated", "_polling", "_rev3", "_ws", "attachments", "compress", "text")

    def __init__(self, text: str, attachments: tuple[bytes, ...] = ()) -> None:
        self.text = text
        self.attachments = attachments
        self.compress = True
        """Whether `deflated` may compress it; to be changed before the packet is first sent."""
        self._ws: bytes | None = None
        self._deflated: bytes | None = None
        self._polling: tuple[Part, ...] | None = None
        self._rev3: Encoded3 | None = None

    @property
    def ws(self) -> bytes:
        """Every frame of the packet in one object, so that nothing can come between them.

        Source: Engine.IO v4, *Packet encoding*: an attachment is its raw bytes.
        """
        rendered = self._ws
        if rendered is None:
            # A custom JSON module may leave lone surrogates; they must not end the connection.
            rendered = frame(TEXT, self.text.encode("utf-8", "replace")) if self.text else b""
            if self.attachments:
                parts = [rendered, *(frame(BINARY, data) for data in self.attachments)]
                rendered = b"".join(parts)
            self._ws = rendered
        return rendered

    def deflated(self, deflate: Callable[[bytes], bytes]) -> bytes:
        """The same frames for WebSockets that take compressed ones; one server has one ``deflate``.

        Source: RFC 7692.
        """
        rendered = self._deflated
        if rendered is None:
            rendered = self._deflated = deflate(self.ws) if self.compress else self.ws
        return rendered

    @property
    def polling(self) -> tuple[Part, ...]:
        """The packets of a payload: the text, then ``b`` + base64 for each attachment."""
        rendered = self._polling
        if rendered is None:
            encoded = ("b" + b64encode(data).decode("ascii") for data in self.attachments)
            rendered = self._polling = (self.text, *encoded) if self.text else tuple(encoded)
        return rendered

    @property
    def rev3(self) -> Encoded:
        """The packet for clients of Engine.IO 3; itself where nothing differs."""
        rendered = self._rev3
        if rendered is None:
            if not self.attachments and self.text.isascii():
                return self
            rendered = Encoded3(ascii_json(self.text), self.attachments)
            rendered.compress = self.compress
            self._rev3 = rendered
        return rendered

    @property
    def rev3_base64(self) -> Encoded:
        """The packet for clients of Engine.IO 3 that take no bytes."""
        return self.rev3.rev3_base64 if self.attachments else self.rev3

    @property
    def packets(self) -> int:
        """How many Engine.IO packets this is."""
        return len(self.attachments) + (1 if self.text else 0)

    def after(self, count: int) -> Encoded:
        """Return what is left when ``count`` of the packets, at least one, have been sent."""
        return type(self)("", self.attachments[count - 1 if self.text else count :])

    @property
    def size(self) -> int:
        """About how many bytes this is on the wire; renders nothing."""
        if not self.attachments:
            return len(self.text)
        return len(self.text) + sum(map(len, self.attachments))

    def __repr__(self) -> str:
        # Its types and how much it is: an open packet has the secret sid, others users' data.
        return f"<Encoded {self.text[:2]!r}... {len(self.text)} +{len(self.attachments)}>"


class Encoded3(Encoded):
    """A packet for Engine.IO 3: its JSON is ASCII, and its bytes have a type before them.

    Some clients of that age read what is not ASCII wrongly on long polling; all of them
    read JSON's escapes.
    """

    __slots__ = ("_base64",)

    def __init__(self, text: str, attachments: tuple[bytes, ...] = ()) -> None:
        super().__init__(text, attachments)
        self._base64: Encoded3Base64 | None = None

    @property
    def ws(self) -> bytes:
        """Every frame of the packet; an attachment's begins with the type of a message."""
        rendered = self._ws
        if rendered is None:
            frames = [frame(BINARY, b"\x04" + data) for data in self.attachments]
            if self.text:
                frames.insert(0, frame(TEXT, self.text.encode("utf-8", "replace")))
            rendered = self._ws = b"".join(frames)
        return rendered

    @property
    def polling(self) -> tuple[Part, ...]:
        """The packets of a payload: the text, then the bytes of each attachment."""
        return (self.text, *self.attachments) if self.text else self.attachments

    @property
    def rev3(self) -> Encoded:
        return self

    @property
    def rev3_base64(self) -> Encoded:
        rendered = self._base64
        if rendered is None:
            rendered = Encoded3Base64(self.text, self.attachments)
            rendered.compress = self.compress
            self._base64 = rendered
        return rendered


class Encoded3Base64(Encoded):
    """A packet for Engine.IO 3 and a client that takes text only."""

    __slots__ = ()

    @property
    def ws(self) -> bytes:
        """Every frame of the packet, of text."""
        rendered = self._ws
        if rendered is None:
            texts = (str(part).encode("utf-8", "replace") for part in self.polling)
            rendered = self._ws = b"".join([frame(TEXT, text) for text in texts])
        return rendered

    @property
    def polling(self) -> tuple[Part, ...]:
        """The packets of a payload: the text, then ``b4`` + base64 for each attachment."""
        rendered = self._polling
        if rendered is None:
            encoded = ("b4" + b64encode(data).decode("ascii") for data in self.attachments)
            rendered = self._polling = (self.text, *encoded) if self.text else tuple(encoded)
        return rendered

    @property
    def rev3(self) -> Encoded:
        return Encoded3(self.text, self.attachments)

    @property
    def rev3_base64(self) -> Encoded:
        return self


def ascii_json(text: str) -> str:
    """Return a Socket.IO packet with the JSON in it escaped to ASCII; other text as it is."""
    head = _BEFORE_JSON.match(text)
    if head is None or text.isascii():
        return text
    return text[: head.end()] + _NOT_ASCII.sub(_escaped, text[head.end() :])


def _escaped(char: re.Match[str]) -> str:
    """Write a character as JSON's ``\\uXXXX``, or as two of them beyond the BMP."""
    code = ord(char[0])
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
