"""One namespace of a server as it is now: who is in it, in which rooms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flask_sio.adapters.rooms import Rooms
from flask_sio.server.outgoing import Outgoing
from flask_sio.server.patterns import NO_VALUES, Parent
from flask_sio.server.socket import Socket

if TYPE_CHECKING:
    from flask_sio.server.class_namespace import Namespace


class LiveNamespace:
    """A namespace that clients have joined. Owner's turn only."""

    __slots__ = ("name", "objects", "outgoing", "parent", "rooms", "values")

    def __init__(self, name: str, outgoing: Outgoing | None = None) -> None:
        self.name = name
        self.outgoing = outgoing
        """Who listens to what is sent to its clients; None is nobody."""
        self.parent: Parent | None = None
        """The pattern that has recognised its name, or `UNDECIDED`; None for an exact one."""
        self.values: Mapping[str, Any] = NO_VALUES
        """What the pattern has found in the name."""
        self.rooms = Rooms()
        self.objects: dict[str, Namespace] | None = None
        """The clients' own objects of a class, by id; None while there are none."""

    @property
    def key(self) -> Any:
        """What its handlers, middleware and hooks are registered for: name or pattern."""
        return self.name if self.parent is None else self.parent.spec

    def find(self, socket_id: str) -> Socket | None:
        """Return the socket of an id, connected or on its way in or out."""
        socket = self.rooms.everyone.get(socket_id)
        return socket if isinstance(socket, Socket) else None
