"""What the packets of a server are written in: the option `serializer`.

A codec works in two steps. It *renders* what a packet carries in the thread of who emits, so
that bad data raises there, once for all recipients; it *composes* the packet of that in the
owner's turn, where each recipient that is asked for an answer gets an ack id of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any, Protocol, TypeAlias, cast

from flask_sio.errors import ConfigError, PacketError
from flask_sio.protocol import json_codec, sio, sio4
from flask_sio.protocol.encoded import Encoded

__all__ = ["Codec", "Messages", "PacketCodec", "PacketDecoder", "json_of", "make_codec"]

Messages: TypeAlias = "str | bytes | Sequence[str | bytes]"
"""Engine.IO messages of one packet; of several the first may be text, the others are bytes."""


class PacketDecoder(Protocol):
    """What puts the packets of one connection together."""

    def feed(self, message: str | bytes) -> sio.Packet | None:
        """Take one Engine.IO message; return a packet once it is whole.

        In the owner's turn: must not wait. Whatever it raises ends the connection.
        """


class Codec(Protocol):
    """A codec of your own, for ``serializer=``. Any thread."""

    def render(self, packet: sio.Packet) -> str | bytes:
        """Return ``packet.data`` as `compose` wants it; what this raises, emit raises."""

    def compose(self, packet: sio.Packet, body: Any) -> Messages:
        """Return the messages of a packet whose data `render` has rendered to ``body``.

        ``packet.data`` may be missing. May be called in the owner's turn, once for each
        recipient: must neither wait nor raise.
        """

    def decoder(self, max_attachments: int, max_bytes: int) -> PacketDecoder:
        """Return a decoder for a new connection, with the bounds of one packet."""


class PacketCodec(Protocol):
    """What a server asks of its codec, its own ones and a wrapped `Codec`."""

    def render(self, packet: sio.Packet) -> sio.Body:
        """Render what a packet carries. Raises TypeError or ValueError for what no peer takes."""

    def compose(self, packet: sio.Packet, body: sio.Body) -> Encoded:
        """Return a packet whose data was rendered. Never raises."""

    def encode(self, packet: sio.Packet) -> Encoded:
        """Do both at once."""

    def encode_control(self, packet: sio.Packet) -> Encoded:
        """Encode what the server itself says: CONNECT, DISCONNECT, a refusal of its own words."""

    def decoder(self, max_attachments: int, max_bytes: int) -> PacketDecoder:
        """Return a decoder for a new connection. Its `feed` raises PacketError only."""

    def decoder_4(self, max_attachments: int, max_bytes: int) -> PacketDecoder:
        """Return the same for a client of revision 4, socket.io-client 1 or 2."""


class TextCodec:
    """Socket.IO's own codec: JSON text, and bytes as attachments."""

    def __init__(self, json: json_codec.Codec) -> None:
        self._json = json

    def render(self, packet: sio.Packet) -> sio.Body:
        return sio.render(packet, self._json)

    def compose(self, packet: sio.Packet, body: sio.Body) -> Encoded:
        return sio.compose(packet, body)

    def encode(self, packet: sio.Packet) -> Encoded:
        return sio.encode(packet, self._json)

    def encode_control(self, packet: sio.Packet) -> Encoded:
        return sio.encode(packet)  # in the owner's turn: no module of the user's

    def decoder(self, max_attachments: int, max_bytes: int) -> sio.Decoder:
        return sio.Decoder(max_attachments, max_bytes, self._json)

    def decoder_4(self, max_attachments: int, max_bytes: int) -> sio.Decoder:
        return sio4.Decoder4(max_attachments, max_bytes, self._json)


class OwnCodec:
    """A user's codec, held to the rules of the protocol."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    def render(self, packet: sio.Packet) -> sio.Body:
        sio.check_outgoing(packet)
        body = self._codec.render(packet)
        if isinstance(body, str):
            return body, ()
        if isinstance(body, bytes):
            return "", (body,)
        raise TypeError(f"a codec's render() returns str or bytes, not {type(body).__name__}")

    def compose(self, packet: sio.Packet, body: sio.Body) -> Encoded:
        text, data = body
        return _encoded(self._codec.compose(packet, data[0] if data else text))

    def encode(self, packet: sio.Packet) -> Encoded:
        return self.compose(packet, self.render(packet))

    encode_control = encode

    def decoder(self, max_attachments: int, max_bytes: int) -> PacketDecoder:
        return _CheckingDecoder(self._codec.decoder(max_attachments, max_bytes))

    decoder_4 = decoder


class _CheckingDecoder:
    """A user's decoder; what it returns can be trusted, and it raises PacketError only."""

    __slots__ = ("_decoder",)

    def __init__(self, decoder: PacketDecoder) -> None:
        self._decoder = decoder

    def feed(self, message: str | bytes) -> sio.Packet | None:
        try:
            packet = self._decoder.feed(message)
        except PacketError:
            raise
        except Exception as exc:
            raise PacketError("the codec cannot read this") from exc
        if packet is not None:
            if not isinstance(packet, sio.Packet):
                raise TypeError(
                    f"serializer={type(self._decoder).__name__}: feed() returns a "
                    f"flask_sio.protocol.sio.Packet or None, not {type(packet).__name__}"
                )
            check_packet(packet)
        return packet


def check_packet(packet: sio.Packet) -> None:
    """Check a packet of a peer that did not come by Socket.IO's own header.

    Raises:
        PacketError: a type, namespace, id or data that no packet has.
    """
    kind, namespace, number = packet.type, packet.namespace, packet.id
    if type(kind) is not int or not sio.CONNECT <= kind <= sio.CONNECT_ERROR:
        raise PacketError("unknown packet type")
    if namespace != "/":
        if not isinstance(namespace, str):
            raise PacketError("invalid namespace")
        try:
            sio.check_namespace(namespace)
        except ValueError as exc:
            raise PacketError("invalid namespace") from exc
    # Exactly int: True is no number here.
    if number is not None and (type(number) is not int or number < 0):
        raise PacketError("invalid packet id")
    sio.check_data(kind, sio.ABSENT if packet.data is None else packet.data)


def _encoded(messages: Messages) -> Encoded:
    if isinstance(messages, str):
        return Encoded("4" + messages)
    if isinstance(messages, bytes):
        return Encoded("", (messages,))
    first, *others = messages
    text, attachments = ("4" + first, others) if isinstance(first, str) else ("", messages)
    if not all(isinstance(each, bytes) for each in attachments):
        raise TypeError("compose() returns text, bytes, or a list of them with text first only")
    return Encoded(text, tuple(cast("Sequence[bytes]", attachments)))


def json_of(module: Any) -> json_codec.Codec:
    """Return what reads and writes JSON for a server, for its option ``json``."""
    return json_codec.JsonCodec() if module is None else json_codec.ModuleCodec(module)


def make_codec(serializer: Any, json: json_codec.Codec) -> PacketCodec:
    """Return the codec of a server for its option ``serializer``.

    Raises:
        ConfigError: msgpack is not installed.
    """
    if serializer == "default":
        return TextCodec(json)
    if serializer != "msgpack":
        return OwnCodec(serializer)
    try:
        module = import_module("flask_sio.protocol.msgpack_codec")
    except ImportError as exc:
        raise ConfigError(
            "serializer='msgpack' needs the msgpack package: pip install 'flask-sio[msgpack]'"
        ) from exc
    return cast("PacketCodec", module.MsgpackCodec())
