"""Who is online, by user: the sockets of one user are a room of their own kind.

So a user costs what a room costs: nothing per emit to others, and on leaving only the own
rooms are looked at. A socket counts from its acceptance until it begins to leave.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask_sio.adapters.adapter import BroadcastOptions
from flask_sio.adapters.rooms import UserRoom

if TYPE_CHECKING:
    from flask_sio.server.server import Server
    from flask_sio.server.socket import Socket

__all__ = ["LOGIN_MESSAGE", "Users", "user_id", "user_rooms"]

LOGIN_MESSAGE = "Please log in."
"""What the ``login_required`` of each framework tells a client that is nobody's."""


def user_id(user: Any) -> str | None:
    """Return a user's id as text, so that 7 and ``"7"`` are one; None for nobody.

    Takes an id, or what has a ``get_id()``, as Flask-Login's users, or a ``pk``, as Django's.
    """
    get_id = getattr(user, "get_id", None)
    user = get_id() if callable(get_id) else getattr(user, "pk", user)
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
    """The users of a server's clients. Any thread."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def claim(self, socket: Socket, user: Any) -> None:
        """Say whose a socket is; nobody's if ``user`` has no id."""
        found = user_id(user)
        if found is not None:
            socket.user = found
            self._server.engine.loop.run(self._claim, socket, UserRoom(found))

    def _claim(self, socket: Socket, room: UserRoom) -> None:
        socket.enter(room)
        presence = self._server.presence
        if presence.is_watched and socket.connected:
            presence.came(socket)

    def sids(self, user: Any, namespace: str = "/") -> list[str]:
        """Return the ids of a user's connected sockets in a namespace, own clients first."""
        found = user_id(user)
        if found is None:
            return []
        return list(self._server.adapter.ids(namespace, BroadcastOptions((UserRoom(found),))))

    def disconnect(self, user: Any, namespace: str | None = None) -> None:
        """Disconnect a user's sockets of a namespace, or of all. Never blocks."""
        found, server = user_id(user), self._server
        if found is None:
            return
        server.adapter.disconnect(namespace, BroadcastOptions((UserRoom(found),)))
