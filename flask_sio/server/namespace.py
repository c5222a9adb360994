"""One namespace of a server as it is now: who is in it, in which rooms."""

from __future__ import annotations

from flask_sio.adapters.rooms import Rooms
from flask_sio.server.outgoing import Outgoing
from flask_sio.server.socket import Socket


class LiveNamespace:
    """A namespace that clients have joined. Owner's turn only."""

    __slots__ = ("name", "outgoing", "rooms")

    def __init__(self, name: str, outgoing: Outgoing | None = None) -> None:
        self.name = name
        self.outgoing = outgoing
        """Who listens to what is sent to its clients; None is nobody."""
        self.rooms = Rooms()

    def find(self, socket_id: str) -> Socket | None:
        """Return the socket of an id, connected or on its way in or out."""
        socket = self.rooms.everyone.get(socket_id)
        return socket if isinstance(socket, Socket) else None
