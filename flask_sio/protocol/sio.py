"""Socket.IO packets, revision 5.

Source: Socket.IO v5, *Packet encoding*. The decoder is stricter than the reference where
that is lenient by accident: ASCII digits only, an EVENT and an ACK need their array, a
binary packet needs an attachment.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from flask_sio.errors import PacketError, PayloadTooBig
from flask_sio.protocol.encoded import Encoded
from flask_sio.protocol.json_codec import Codec, JsonCodec

__all__ = [
    "ABSENT",
    "ACK",
    "BINARY_ACK",
    "BINARY_EVENT",
    "CONNECT",
    "CONNECT_ERROR",
    "DISCONNECT",
    "EVENT",
    "RESERVED",
    "Decoder",
    "Packet",
    "check_data",
    "check_name",
    "check_namespace",
    "check_outgoing",
    "compose",
    "encode",
    "render",
]

CONNECT = 0
DISCONNECT = 1
EVENT = 2
ACK = 3
CONNECT_ERROR = 4
BINARY_EVENT = 5
BINARY_ACK = 6

RESERVED = frozenset(
    ("connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener")
)
"""Event names of the protocol's own; a JavaScript client drops the link on one."""

# More digits than any counter needs, and exact where JavaScript would round.
_MAX_ID_DIGITS = 20
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# A name ends at its comma or with the packet. A control character ends it too, and is then
# refused as JSON: a name is written raw, where 0x1E would split a polling payload.
_HEADER = re.compile(
    r"(?:([0-4])|([56])([0-9]+)-)"  # type | binary type and count
    r"(?:(/[^,\x00-\x1f\x7f-\x9f\u2028\u2029]*),?)?"  # namespace
    r"([0-9]*)"  # id
)
_BINARY_TYPES = {"3": ACK, "5": EVENT, "6": ACK}
_NAME_TYPES = frozenset((str, int, float))
_DEFAULT_CODEC = JsonCodec()
ABSENT: Any = object()
"""Stands for the data of a packet that has none."""

Body = tuple[str, tuple[bytes, ...]]
"""A packet's data, rendered: JSON text and attachments, or what another codec makes of it."""


@dataclass(slots=True)
class Packet:
    """One Socket.IO packet; binary ones are EVENT and ACK here, with bytes in ``data``."""

    type: int
    """CONNECT, DISCONNECT, EVENT, ACK or CONNECT_ERROR."""
    namespace: str = "/"
    data: Any = field(default=None, repr=False)
    """``[name, *args]`` of an EVENT, ``[*args]`` of an ACK, else what came or None."""
    id: int | None = None
    """The acknowledgement's number; 0 is one."""


class Decoder:
    """Put the packets of one connection together from its Engine.IO messages.

    After a PacketError the connection must be closed. One reader at a time.
    """

    __slots__ = (
        "_attachments",
        "_due",
        "_header",
        "_loads",
        "_max_attachments",
        "_max_bytes",
        "_size",
    )

    _pattern = _HEADER
    _least_attachments = 1

    def __init__(
        self,
        max_attachments: int = 10,
        max_bytes: int = 10_000_000,
        codec: Codec = _DEFAULT_CODEC,
    ) -> None:
        """Bound one packet: the count, and the bytes in all, of its attachments."""
        self._loads: Callable[[str, int], Any] = codec.loads
        self._max_attachments = max_attachments
        self._max_bytes = max_bytes
        self._header: Packet | None = None
        self._due = 0
        self._size = 0
        self._attachments: list[bytes] = []

    def feed(self, message: str | bytes) -> Packet | None:
        """Take the data of one Engine.IO message; return a packet once it is whole.

        A binary packet spans ``1 + n`` messages: the header, then its attachments.
        Returns None while attachments are due.

        Raises:
            PacketError: malformed, too many or too big attachments, or an attachment
                that no header announced.
        """
        if message.__class__ is not str:
            return self._take_attachment(message)  # type: ignore[arg-type]
        if self._header is not None:
            self._discard()
            raise PacketError("text while attachments are due")
        # The usual event, "2[...": no attachments, no namespace, no id.
        if message[:2] == "2[":
            try:
                data = self._loads(message, 1)
            except ValueError as exc:
                raise PacketError("invalid payload") from exc
            _check_event(data)
            return Packet(EVENT, "/", data)
        return self._parse(message)

    def _parse(self, text: str) -> Packet | None:
        match = self._pattern.match(text)
        if match is None:
            raise PacketError("unknown packet type or illegal attachments")
        plain, binary, count, namespace, digits = match.groups()
        if len(digits) > _MAX_ID_DIGITS:
            raise PacketError("packet id too long")
        due = 0 if count is None else self._checked_count(count)
        data = ABSENT
        if match.end() < len(text):
            try:
                data = self._loads(text, match.end())
            except ValueError as exc:
                raise PacketError("invalid payload") from exc
        kind = int(plain) if count is None else _BINARY_TYPES[binary]
        check_data(kind, data)
        packet = Packet(
            kind,
            namespace or "/",
            None if data is ABSENT else data,
            int(digits) if digits else None,
        )
        if not due:
            return packet
        self._header, self._due = packet, due
        return None

    def _checked_count(self, digits: str) -> int:
        # 9 digits are more than enough, and no work for int().
        count = int(digits) if len(digits) < 10 else self._max_attachments + 1
        if count > self._max_attachments:
            raise PacketError("too many attachments")
        if count < self._least_attachments:
            # The reference up to 4.2.6 waited for ever here; later ones refuse, as we do.
            raise PacketError("illegal attachments")
        return count

    def _take_attachment(self, data: bytes) -> Packet | None:
        packet = self._header
        if packet is None:
            raise PacketError("binary data that no packet announced")
        self._size += len(data)
        if self._size > self._max_bytes:
            self._discard()
            raise PayloadTooBig("attachments too big")
        self._attachments.append(bytes(data))
        if len(self._attachments) < self._due:
            return None
        attachments = self._attachments
        self._discard()
        try:
            packet.data = _restore(packet.data, attachments)
        except RecursionError:
            raise PacketError("packet too deep") from None
        return packet

    def _discard(self) -> None:
        self._header = None
        self._due = self._size = 0
        self._attachments = []


def _restore(value: Any, attachments: list[bytes]) -> Any:
    """Put the attachments in the places of their placeholders."""
    if isinstance(value, dict):
        if value.get("_placeholder") is True:
            number = value.get("num")
            # Exactly int: True is no number here, and -1 would be the last attachment.
            if type(number) is not int or not 0 <= number < len(attachments):
                raise PacketError("illegal attachments")
            return attachments[number]
        return {key: _restore(item, attachments) for key, item in value.items()}
    if isinstance(value, list):
        return [_restore(item, attachments) for item in value]
    return value


def _check_event(data: Any) -> None:
    if not isinstance(data, list) or not data:
        raise PacketError("invalid payload")
    name = data[0]
    # Before attachments are filled in: a placeholder is no name.
    if name.__class__ not in _NAME_TYPES or name in RESERVED:
        raise PacketError("invalid event name")


def _check_connect(data: Any) -> None:
    if data is not ABSENT and not isinstance(data, dict):
        raise PacketError("invalid payload")


def _check_disconnect(data: Any) -> None:
    if data is not ABSENT:
        raise PacketError("invalid payload")


def _check_ack(data: Any) -> None:
    if not isinstance(data, list):
        raise PacketError("invalid payload")


def _check_connect_error(data: Any) -> None:
    if not isinstance(data, (str, dict)):
        raise PacketError("invalid payload")


_CHECKS = (_check_connect, _check_disconnect, _check_event, _check_ack, _check_connect_error)


def check_data(kind: int, data: Any) -> None:
    """Check what a packet of a peer carries, whatever codec it came by.

    Raises:
        PacketError: not what its kind holds, or a reserved event name.
    """
    _CHECKS[kind](data)


def encode(packet: Packet, codec: Codec = _DEFAULT_CODEC) -> Encoded:
    """Render a packet; bytes-like values in an EVENT or ACK become its attachments.

    The data is left as it is, and a mutable buffer is copied.

    Raises:
        TypeError: data that is no JSON, or no array where there must be one.
        ValueError: a reserved event name, or a namespace that cannot be written.
    """
    body = render(packet, codec)
    if packet.namespace != "/" or body[1]:
        return compose(packet, body)
    head, number = _HEADS[packet.type], packet.id
    return Encoded(head + body[0] if number is None else f"{head}{number}{body[0]}")


def render(packet: Packet, codec: Codec = _DEFAULT_CODEC) -> Body:
    """Render what a packet carries: the part that runs user objects' code, and may raise.

    See `encode`; `compose` makes the packet of it, with any ack id.
    """
    data = packet.data
    # The usual event needs no further check: a list that begins with an ordinary name.
    if (
        packet.type != EVENT
        or packet.namespace != "/"
        or data.__class__ is not list
        or not data
        or data[0].__class__ is not str
        or data[0] in RESERVED
    ):
        check_outgoing(packet)
    if packet.type in (EVENT, ACK):
        return codec.pack(data)
    return ("" if data is None else codec.dumps(data)), ()


def compose(packet: Packet, body: Body) -> Encoded:
    """Return a packet whose data `render` has rendered. Never raises."""
    text, attachments = body
    if attachments:
        head = f"4{packet.type + 3}{len(attachments)}-"
    else:
        head = _HEADS[packet.type]
    if packet.namespace != "/":
        head = f"{head}{packet.namespace},"
    if packet.id is not None:
        head = f"{head}{packet.id}"
    return Encoded(head + text, attachments)


_HEADS = ("40", "41", "42", "43", "44")


def check_outgoing(packet: Packet) -> None:
    """Refuse a packet that no peer would take, whatever codec it goes by.

    Raises:
        TypeError: no array where there must be one, or an event's name that is no name.
        ValueError: a reserved event name, or a namespace that cannot be written.
    """
    kind, data = packet.type, packet.data
    if packet.namespace != "/":
        check_namespace(packet.namespace)
    if kind not in (EVENT, ACK):
        return
    if not isinstance(data, (list, tuple)):
        raise TypeError("the data of an event or an acknowledgement is a list")
    if kind == EVENT:
        if not data:
            raise TypeError("an event needs a name")
        check_name(data[0])


def check_name(name: str | int) -> None:
    """Refuse an event name that no peer would take.

    Raises:
        TypeError: neither text nor a whole number.
        ValueError: reserved by the protocol.
    """
    if not isinstance(name, str) and type(name) is not int:
        raise TypeError(f"an event name is text, not {type(name).__name__}")
    if name in RESERVED:
        raise ValueError(f"{name!r} is a reserved event name")


def check_namespace(name: str) -> None:
    """Refuse a namespace that cannot be written: it stands raw in the packet.

    Raises:
        ValueError: no leading slash, a comma or a control character.
    """
    if name[:1] != "/" or "," in name or _CONTROL.search(name) is not None:
        raise ValueError(f"{name!r} is not a namespace: /name, no commas or control characters")
