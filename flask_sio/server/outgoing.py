"""Tells listeners what is sent to each client.

A server has one only where `Server.on_any_outgoing` was used; what is sent is decoded here,
so that sending costs nothing more without a listener.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask_sio.errors import PacketError
from flask_sio.protocol import sio
from flask_sio.protocol.encoded import Encoded
from flask_sio.server.beside import beside
from flask_sio.server.telling import Telling

if TYPE_CHECKING:
    from flask_sio.runtime.loop import Waiter
    from flask_sio.server.server import Server
    from flask_sio.server.socket import Socket

__all__ = ["Outgoing"]

_EVENTS = ("42", "45")
"""What the text of an event begins with; one with attachments is the second."""


class Outgoing:
    """What listeners are still to be told. Owner's turn, but for what says otherwise."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._telling: Telling[tuple[Socket, Encoded]] = Telling(
            server, "on_any_outgoing", self._tell, self._is_idle
        )
        self._known: tuple[Encoded | None, list[Any]] = (None, [])
        """The packet told of last, decoded: a broadcast is decoded once."""
        self.waiters: list[Waiter] = []
        """Who wants to know when nothing is left to tell."""
        self.errors: list[BaseException] = []
        """Always empty: what a listener raises goes to its client."""

    def note(self, socket: Socket, encoded: Encoded) -> None:
        """Take what is sent to a client; never raises or waits."""
        if not encoded.text or encoded.text.startswith(_EVENTS):
            self._telling.put((socket, encoded))  # without a text any packet may be an event

    def busy(self) -> str:
        """Say what is under way; empty if nothing. As `engine.memory.MemoryStream`."""
        return "an on_any_outgoing listener" if self._telling.is_busy else ""

    def _is_idle(self) -> None:
        self._known = (None, [])
        waiters, self.waiters = self.waiters, []
        for waiter in waiters:
            waiter.set()

    # -- on a worker -------------------------------------------------------------------

    def _tell(self, sent: tuple[Socket, Encoded]) -> None:
        socket, encoded = sent
        if encoded is not self._known[0]:
            self._known = (encoded, self._decode(encoded))
        event = self._known[1]
        if event:
            around = self._server.handlers.middleware
            for hook in around.hooks("outgoing", self._server.handlers.key(socket.namespace)):
                beside(socket, event[0], hook.call, event[1:])

    def _decode(self, encoded: Encoded) -> list[Any]:
        """Return the event as its client gets it; [] for what this cannot read."""
        decoder = self._server.codec.decoder(1 << 30, 1 << 62)
        packet: sio.Packet | None = None
        try:
            if encoded.text:
                packet = decoder.feed(encoded.text[1:])
            for attachment in encoded.attachments:
                packet = decoder.feed(attachment)
        except PacketError:  # a codec of the program's own that does not read what it writes
            return []
        return list(packet.data) if packet is not None and packet.type == sio.EVENT else []
