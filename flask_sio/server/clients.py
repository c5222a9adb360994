"""What a server knows of its clients, and does with them: rooms, sessions, disconnecting.

Clients are named by their public id. Methods that return something of one wait for a
turn, which under gevent is at once; the others never wait. Any thread.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from flask_sio.adapters.adapter import Adapter, BroadcastOptions
from flask_sio.adapters.memory import MemoryAdapter
from flask_sio.engine.server import Engine
from flask_sio.errors import NotConnectedError
from flask_sio.options import ServerOptions
from flask_sio.protocol.codec import PacketCodec
from flask_sio.server.handlers import Handlers
from flask_sio.server.joining import ask_to_join, concerns
from flask_sio.server.namespace import LiveNamespace
from flask_sio.server.operators import each_room
from flask_sio.server.socket import Socket

if TYPE_CHECKING:
    from flask_sio.server.handlers import Convention

Room = Hashable
MAX_ROOM_CHARS = 1024
"""Names of rooms often come from clients, and are kept."""


def _enter(socket: Socket, rooms: tuple[Room, ...]) -> None:
    for room in rooms:
        if socket.is_of_another(room):
            raise ValueError("a client's id is its own room: another cannot enter it")
        if not socket.has_place(room):
            limit = socket.client.server.options.max_rooms
            raise ValueError(
                f"a client may be in max_rooms={limit} rooms: leave_room() first, or raise it"
            )
        socket.enter(room)


class Clients:
    """The part of `Server` that is about single clients and rooms."""

    options: ServerOptions
    codec: PacketCodec
    engine: Engine
    handlers: Handlers
    convention: Convention
    _spaces: dict[str, LiveNamespace]

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

    @property
    def adapter(self) -> Adapter:
        """What reaches clients, also those of other servers."""
        raise NotImplementedError

    @property
    def is_alone(self) -> bool:
        """Whether no other servers are reached through this one."""
        return type(self.adapter) is MemoryAdapter

    def has(self, sid: object, namespace: str = "/") -> bool:
        """Whether an id is one of this server's own clients. Any thread; never blocks."""
        space = self._spaces.get(namespace)
        return space is not None and sid in space.rooms.everyone

    def _with_socket(self, sid: str, namespace: str | None, act: Callable[[Socket], Any]) -> Any:
        name = namespace or "/"
        return self._loop_of(sid, name).call(lambda: act(self._socket(sid, name)))

    def socket(self, sid: str, namespace: str | None = None) -> Socket:
        """Return the socket of an id.

        Raises:
            NotConnectedError: no such client.
        """
        return self._with_socket(sid, namespace, lambda socket: socket)  # type: ignore[no-any-return]

    def enter_room(
        self, sid: str, room: Room | list[Room] | set[Room], namespace: str | None = None
    ) -> None:
        """Put a client into a room, or the rooms of a list or set.

        The client may be another server's.

        Raises:
            NotConnectedError: no such client, where this server stands alone or `use_join`
                says who may enter, which only a client's own server can ask.
            EventRefusedError: the client may not, says `use_join`; it enters none of them.
            ValueError: the room's name is another client's id, or too long, or the client is
                in ``max_rooms`` rooms already. Of several rooms it is in those before then.
        """
        rooms = each_room((room,))
        if any(isinstance(each, str) and len(each) > MAX_ROOM_CHARS for each in rooms):
            raise ValueError(f"a room's name has at most {MAX_ROOM_CHARS} characters")
        name = namespace or "/"
        is_here = self.is_alone or self.has(sid, name)
        if self.handlers.middleware.guards_rooms:
            self._ask_to_join(sid, rooms, name, is_here)
        if is_here:
            self._with_socket(sid, name, lambda socket: _enter(socket, rooms))
        else:
            self.adapter.join(name, BroadcastOptions((sid,)), rooms)

    def _ask_to_join(self, sid: str, rooms: tuple[Room, ...], name: str, is_here: bool) -> None:
        if is_here:
            ask_to_join(self.convention, self.handlers, self.socket(sid, name), rooms)
        elif concerns(self.handlers, name):
            raise NotConnectedError(
                f"{sid!r} is not connected to {name!r} here, and only its own server can ask "
                "what use_join() has registered; of(namespace).to(sid).sockets_join(room) does "
                "not ask"
            )

    def leave_room(
        self, sid: str, room: Room | list[Room] | set[Room], namespace: str | None = None
    ) -> None:
        """Take a client out of a room, or those of a list or set; nothing if it is in none."""
        self.adapter.leave(namespace or "/", BroadcastOptions((sid,)), each_room((room,)))

    def close_room(self, room: Room, namespace: str | None = None) -> None:
        """Let everybody leave a room.

        Raises:
            ValueError: the room's name is a client's id.
        """
        name = namespace or "/"
        if self.has(room, name):
            raise ValueError("a client's id is its own room: it cannot be closed")
        self.adapter.leave(name, BroadcastOptions((room,)), (room,))

    def rooms(self, sid: str, namespace: str | None = None) -> list[Room]:
        """Return the rooms of a client, its own id's first; [] for one who has left."""
        try:
            return self._with_socket(sid, namespace, lambda socket: socket.rooms)  # type: ignore[no-any-return]
        except NotConnectedError:
            return []

    def room_members(self, room: Room, namespace: str | None = None) -> list[str]:
        """Return the ids of who is in a room, this server's clients first."""
        return list(self.adapter.ids(namespace or "/", BroadcastOptions((room,))))

    def room_size(self, room: Room, namespace: str | None = None) -> int:
        """Return how many clients are in a room."""
        return len(self.room_members(room, namespace))

    def all_rooms(self, namespace: str | None = None) -> list[Room]:
        """Return the rooms that somebody has joined; not those of single clients."""
        return list(self.adapter.sizes(namespace or "/")[0])

    def disconnect(
        self,
        sid: str,
        namespace: str | None = None,
        ignore_queue: bool = False,
        *,
        after_flush: bool = False,
    ) -> None:
        """Make a client leave a namespace; its disconnect handler runs after what it sent.

        What was emitted to it goes out before. With ``after_flush`` it stays, and may be
        emitted to, until all of that has left this server: for a slow client, not at once.
        Nothing happens if it has left. Any thread; never blocks.
        """
        options = BroadcastOptions((sid,), local=ignore_queue)
        self.adapter.disconnect(namespace or "/", options, after_flush=after_flush)

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
