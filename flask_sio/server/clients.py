"""What a server knows of its clients, and does with them: rooms, sessions, disconnecting.

Clients are named by their public id. Methods that return something of one wait for a
turn, which under gevent is at once; the others never wait. Any thread.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from flask_sio.engine.server import Engine
from flask_sio.errors import NotConnectedError
from flask_sio.options import ServerOptions
from flask_sio.protocol.json_codec import Codec
from flask_sio.server.handlers import Handlers
from flask_sio.server.namespace import LiveNamespace
from flask_sio.server.socket import Socket

if TYPE_CHECKING:
    from flask_sio.server.cluster import Member

Room = Hashable
MAX_ROOM_CHARS = 1024
"""Names of rooms often come from clients, and are kept."""


class Clients:
    """The part of `Server` that is about single clients and rooms."""

    options: ServerOptions
    codec: Codec
    engine: Engine
    handlers: Handlers
    _spaces: dict[str, LiveNamespace]
    _member: Member | None

    def _loop_of(self, sid: str, namespace: str) -> Any:
        if not self.engine.has_loop:
            raise NotConnectedError(f"{sid!r} is not connected to {namespace!r}")
        return self.engine.loop

    def _socket(self, sid: str, namespace: str) -> Socket:
        """Return a socket that has not left. Owner's turn."""
        space = self._spaces.get(namespace)
        socket = None if space is None else space.find(sid)
        if socket is None:
            raise NotConnectedError(f"{sid!r} is not connected to {namespace!r}")
        return socket

    def has(self, sid: object, namespace: str = "/") -> bool:
        """Whether an id is one of this server's own clients. Any thread; never blocks."""
        space = self._spaces.get(namespace)
        return space is not None and sid in space.adapter.everyone

    def _with_socket(self, sid: str, namespace: str | None, act: Callable[[Socket], Any]) -> Any:
        name = namespace or "/"
        return self._loop_of(sid, name).call(lambda: act(self._socket(sid, name)))

    def socket(self, sid: str, namespace: str | None = None) -> Socket:
        """Return the socket of an id.

        Raises:
            NotConnectedError: no such client.
        """
        return self._with_socket(sid, namespace, lambda socket: socket)  # type: ignore[no-any-return]

    def enter_room(self, sid: str, room: Room, namespace: str | None = None) -> None:
        """Put a client into a room; the client may be another server's on the message queue.

        Raises:
            NotConnectedError: no such client.
            ValueError: the room's name is another client's id, or too long, or the client is
                in ``max_rooms`` rooms already.
        """
        if isinstance(room, str) and len(room) > MAX_ROOM_CHARS:
            raise ValueError(f"a room's name has at most {MAX_ROOM_CHARS} characters")
        if self._member is not None and self._member.enter(sid, room, namespace or "/"):
            return

        def join(socket: Socket) -> None:
            if room != socket.id and room in socket.space.adapter.everyone:
                raise ValueError("a client's id is its own room: another cannot enter it")
            if socket.state in ("connecting", "connected"):
                socket.join(room)

        self._with_socket(sid, namespace, join)

    def leave_room(self, sid: str, room: Room, namespace: str | None = None) -> None:
        """Take a client out of a room; nothing happens if it is not in it."""
        if self._member is not None and self._member.leave_room(sid, room, namespace or "/"):
            return

        def leave() -> None:
            space = self._spaces.get(namespace or "/")
            socket = None if space is None else space.find(sid)
            if space is not None and socket is not None:
                space.adapter.leave(socket, room)

        if self.engine.has_loop:
            self.engine.loop.run(leave)

    def close_room(self, room: Room, namespace: str | None = None) -> None:
        """Let everybody leave a room.

        Raises:
            ValueError: the room's name is a client's id.
        """

        def close() -> None:
            space = self._spaces.get(namespace or "/")
            if space is None:
                return
            if room in space.adapter.everyone:
                raise ValueError("a client's id is its own room: it cannot be closed")
            space.adapter.close(room)

        if self._member is not None:
            self._member.close_room(room, namespace or "/")
        if self.engine.has_loop:
            self.engine.loop.call(close)

    def rooms(self, sid: str, namespace: str | None = None) -> list[Room]:
        """Return the rooms of a client, its own id's first; [] for one who has left."""
        try:
            return self._with_socket(sid, namespace, lambda socket: socket.rooms)  # type: ignore[no-any-return]
        except NotConnectedError:
            return []

    def disconnect(
        self, sid: str, namespace: str | None = None, ignore_queue: bool = False
    ) -> None:
        """Make a client leave a namespace; its disconnect handler runs after what it sent.

        Nothing happens if it has left. Any thread; never blocks.
        """
        if self._member is not None and not ignore_queue:
            if self._member.disconnect(sid, namespace or "/"):
                return

        def act() -> None:
            space = self._spaces.get(namespace or "/")
            socket = None if space is None else space.find(sid)
            if socket is not None:
                socket.client.disconnect(socket)

        if self.engine.has_loop:
            self.engine.loop.run(act)

    def tell_disconnect(self, room: Room, namespace: str | None) -> None:
        """Let the other servers of the message queue disconnect everybody in a room."""
        if self._member is not None:
            names = {*self._spaces, *self.handlers.namespaces}
            for name in names if namespace is None else (namespace,):
                self._member.disconnect_room(room, name)

    def get_environ(self, sid: str, namespace: str | None = None) -> dict[str, Any] | None:
        """Return the WSGI environ of a client's first request; None for one who has left."""
        try:
            return self.socket(sid, namespace).environ
        except NotConnectedError:
            return None

    def transport(self, sid: str, namespace: str | None = None) -> Literal["polling", "websocket"]:
        """Return the transport a client uses now.

        Raises:
            NotConnectedError: no such client.
        """
        return self.socket(sid, namespace).transport

    def get_session(self, sid: str, namespace: str | None = None) -> dict[str, Any]:
        """Return a client's session, a dict that lives as long as it is connected.

        Raises:
            NotConnectedError: no such client.
        """
        return self.socket(sid, namespace).session

    def save_session(self, sid: str, session: dict[str, Any], namespace: str | None = None) -> None:
        """Replace a client's session.

        Raises:
            NotConnectedError: no such client.
        """
        self.socket(sid, namespace).session = session

    @contextmanager
    def session(self, sid: str, namespace: str | None = None) -> Iterator[dict[str, Any]]:
        """Give a client's session to a ``with`` block and save it at its end."""
        session = self.get_session(sid, namespace)
        try:
            yield session
        finally:
            self.save_session(sid, session, namespace)
