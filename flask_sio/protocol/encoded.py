"""One packet and its wire forms, each rendered once, at the first need."""

from __future__ import annotations

from base64 import b64encode

from flask_sio.protocol.websocket import BINARY, TEXT, frame

__all__ = ["Encoded"]


class Encoded:
    """A packet ready for any transport; shared by all recipients of a broadcast.

    ``text`` is the whole Engine.IO text packet, type character included (``42["a"]``), or
    empty for what `after` leaves; ``attachments`` follow it directly, each an Engine.IO
    message of its own. A form is rendered when first read and kept. Any thread: two that
    meet there render the same value.
    """

    __slots__ = ("_polling", "_ws", "attachments", "text")

    def __init__(self, text: str, attachments: tuple[bytes, ...] = ()) -> None:
        self.text = text
        self.attachments = attachments
        self._ws: bytes | None = None
        self._polling: tuple[str, ...] | None = None

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

    @property
    def polling(self) -> tuple[str, ...]:
        """The packets of a payload: the text, then ``b`` + base64 for each attachment."""
        rendered = self._polling
        if rendered is None:
            encoded = ("b" + b64encode(data).decode("ascii") for data in self.attachments)
            rendered = self._polling = (self.text, *encoded) if self.text else tuple(encoded)
        return rendered

    @property
    def packets(self) -> int:
        """How many Engine.IO packets this is."""
        return len(self.attachments) + (1 if self.text else 0)

    def after(self, count: int) -> Encoded:
        """Return what is left when ``count`` of the packets, at least one, have been sent."""
        return Encoded("", self.attachments[count - 1 if self.text else count :])

    @property
    def size(self) -> int:
        """About how many bytes this is on the wire; renders nothing."""
        if not self.attachments:
            return len(self.text)
        return len(self.text) + sum(map(len, self.attachments))

    def __repr__(self) -> str:
        # Its types and how much it is: an open packet has the secret sid, others users' data.
        return f"<Encoded {self.text[:2]!r}... {len(self.text)} +{len(self.attachments)}>"
