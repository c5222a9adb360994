"""Who is online, by user: the sockets of one user are a room of their own kind.

So a user costs what a room costs: nothing per emit to others, and on leaving only the own
rooms are looked at. A socket counts from its acceptance until it begins to leave.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask_sio.adapters.memory import Recipient, UserRoom
from flask_sio.server.socket import Socket

if TYPE_CHECKING:
    from flask_sio.server.server import Server

__all__ = ["Users", "user_id", "user_rooms"]


def user_id(user: Any) -> str | None:
    """Return a user's id as text, so that 7 and ``"7"`` are one; None for nobody.

    Takes an id, or what has a ``get_id()``, such as Flask-Login's users.
    """
    get_id = getattr(user, "get_id", None)
    if callable(get_id):
        user = get_id()
    return None if user is None or user is False or user == "" else str(user)


def user_rooms(users: Any) -> list[UserRoom]:
    """Return the rooms of one user, or of a list, tuple or set of users.

    Raises:
        ValueError: one without an id, who is nobody: an emit must not go to everybody.
    """
    several = isinstance(users, (list, tuple, set, frozenset))
    rooms = []
    for user in users if several else (users,):
        found = user_id(user)
        if found is None:
            raise ValueError(f"{user!r} has no id: only a user who was identified has clients")
        rooms.append(UserRoom(found))
    return rooms


class Users:
    """The users of one server's own clients. Any thread."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def claim(self, socket: Socket, user: Any) -> None:
        """Say whose a socket is; nobody's if ``user`` has no id."""
        found = user_id(user)
        if found is not None:
            self._server.engine.loop.run(self._claim, socket, UserRoom(found))

    def _claim(self, socket: Socket, room: UserRoom) -> None:
        if socket.state in ("connecting", "connected"):
            socket.space.adapter.join(socket, room)

    def sids(self, user: Any, namespace: str) -> list[str]:
        """Return the ids of a user's connected sockets in a namespace, oldest first."""
        found, engine = user_id(user), self._server.engine
        if found is None or not engine.has_loop:
            return []
        return engine.loop.call(self._sids, UserRoom(found), namespace)

    def _sids(self, room: UserRoom, namespace: str) -> list[str]:
        return [socket.id for socket in self._sockets(room, namespace) if socket.connected]

    def disconnect(self, user: Any, namespace: str | None) -> None:
        """Disconnect a user's sockets of a namespace, or of all. Never blocks."""
        found, server = user_id(user), self._server
        if found is None:
            return
        server.tell_disconnect(UserRoom(found), namespace)
        if server.engine.has_loop:
            server.engine.loop.run(self._disconnect, UserRoom(found), namespace)

    def _disconnect(self, room: UserRoom, namespace: str | None) -> None:
        names = list(self._server.spaces) if namespace is None else [namespace]
        for name in names:
            for socket in self._sockets(room, name):
                socket.client.disconnect(socket)

    def _sockets(self, room: UserRoom, namespace: str) -> list[Socket]:
        space = self._server.spaces.get(namespace)
        members: list[Recipient] = [] if space is None else space.adapter.members(room)
        return [each for each in members if isinstance(each, Socket)]
