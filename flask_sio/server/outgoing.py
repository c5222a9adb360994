"""Tells listeners what is sent to each client: in order, on a worker, bounded.

A server has one only where `Server.on_any_outgoing` was used; what is sent is decoded here,
so that sending costs nothing more without a listener.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from flask_sio.errors import PacketError
from flask_sio.protocol import sio
from flask_sio.protocol.encoded import Encoded
from flask_sio.server.beside import beside

if TYPE_CHECKING:
    from flask_sio.runtime.loop import Waiter
    from flask_sio.server.server import Server
    from flask_sio.server.socket import Socket

__all__ = ["Outgoing"]

MAX_WAITING = 10_000
"""Packets that listeners have not seen yet; beyond them they miss some, and the log says so."""
_AT_ONCE = 100
_EVENTS = ("42", "45")
"""What the text of an event begins with; one with attachments is the second."""


class Outgoing:
    """What listeners are still to be told. Owner's turn, but for `_tell`."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._waiting: deque[tuple[Socket, Encoded]] = deque()
        self._is_telling = False
        self.waiters: list[Waiter] = []
        """Who wants to know when nothing is left to tell."""
        self.errors: list[BaseException] = []
        """Always empty: what a listener raises goes to its client."""

    def note(self, socket: Socket, encoded: Encoded) -> None:
        """Take what is sent to a client; never raises or waits."""
        if encoded.text and not encoded.text.startswith(_EVENTS):
            return  # of a codec without texts any packet may be an event
        if socket.state not in ("connected", "connecting"):
            return
        if len(self._waiting) >= MAX_WAITING:
            self._server.engine.warn_once(
                "on_any_outgoing listeners are slower than what is sent: beyond %d packets "
                "they miss some (said once)",
                MAX_WAITING,
            )
            return
        self._waiting.append((socket, encoded))
        if not self._is_telling:
            self._is_telling = True
            self._server.engine.loop.defer(self._tell)

    def busy(self) -> str:
        """Say what is under way; empty if nothing. As `engine.memory.MemoryStream`."""
        return "an on_any_outgoing listener" if self._is_telling else ""

    def _take(self) -> list[tuple[Socket, Encoded]]:
        waiting = self._waiting
        taken = [waiting.popleft() for _ in range(min(_AT_ONCE, len(waiting)))]
        if not taken:
            self._is_telling = False
            waiters, self.waiters = self.waiters, []
            for waiter in waiters:
                waiter.set()
        return taken

    # -- on a worker -------------------------------------------------------------------

    def _tell(self) -> None:
        loop = self._server.engine.loop
        known: tuple[Encoded | None, list[Any]] = (None, [])
        while taken := loop.call(self._take):
            for socket, encoded in taken:
                if encoded is not known[0]:  # a broadcast is decoded once
                    known = (encoded, self._decode(encoded))
                if known[1]:
                    self._tell_of(socket, *known[1])

    def _tell_of(self, socket: Socket, event: str, *args: Any) -> None:
        around = self._server.handlers.middleware
        for hook in around.hooks("outgoing", self._server.handlers.key(socket.namespace)):
            beside(socket, event, hook.call, args)

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
