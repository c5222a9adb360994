"""Whom to reach, in words: ``server.of("/chat").to("room").except_("muted").emit("news")``.

A chain is a value: each step returns a new one, so it can be kept, shared and gone on from.
Nothing happens before its last step. Any thread; what returns something of clients waits,
which under gevent lets other greenlets run.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from flask_sio.adapters import wire
from flask_sio.adapters.adapter import EVERYBODY, BroadcastOptions, EmitResult, SocketRecord
from flask_sio.adapters.answers import Found
from flask_sio.adapters.rooms import check_hashable
from flask_sio.errors import TimeoutError
from flask_sio.protocol import sio
from flask_sio.server.handshake import Handshake
from flask_sio.server.jobs import answer_value
from flask_sio.server.parents import HandlersOf
from flask_sio.server.users import user_rooms

if TYPE_CHECKING:
    from typing_extensions import Self

    from flask_sio.adapters.rooms import Room
    from flask_sio.server.server import Server
    from flask_sio.server.socket import Socket

__all__ = ["BroadcastOperator", "RemoteSocket", "ServerNamespace", "each_room"]

ACK_S = 5.0
"""Seconds that `BroadcastOperator.call` waits without a `BroadcastOperator.timeout`."""


_NOT_SAID: Any = object()


class BroadcastOperator:
    """Some clients of a namespace, and how what is sent to them is sent."""

    __slots__ = ("_namespace", "_options", "_picked", "_server", "_timeout")

    def __init__(
        self,
        server: Server,
        namespace: str,
        options: BroadcastOptions = EVERYBODY,
        timeout: Any = _NOT_SAID,
        picked: tuple[tuple[str, ...], tuple[Room, ...]] | None = None,
    ) -> None:
        self._server = server
        self._namespace = namespace
        self._options = options
        self._timeout: Any = timeout
        self._picked = picked
        """Whom `where` has found, and the rooms named since."""

    def _with(self, **changes: Any) -> BroadcastOperator:
        options = self._options._replace(**changes)
        return BroadcastOperator(
            self._server, self._namespace, options, self._timeout, self._picked
        )

    # -- whom --------------------------------------------------------------------------

    def to(self, *rooms: Room, user: Any = None) -> BroadcastOperator:
        """Reach who is in any of these rooms, beside those named before; each once.

        After `where` only those that it has found, of who is in the rooms now. A room is a
        name, a socket's id, or a list, tuple or set of these. ``user``: a user's id, or
        several, for all clients of that user.

        Raises:
            TypeError: no room at all; that would be everybody.
            ValueError: a user without an id.
        """
        names = _flat(rooms)
        if user is not None:
            names = (*names, *user_rooms(user))
        elif not rooms:
            raise TypeError("to() needs a room, an id, or user=")
        if self._picked is not None:
            return self._of_picked(names)
        return self._with(rooms=(*(self._options.rooms or ()), *names))

    in_ = to

    def except_(self, *rooms: Room) -> BroadcastOperator:
        """Leave out who is in any of these rooms; an id is a room too."""
        return self._with(skip=(*self._options.skip, *_flat(rooms)))

    def where(self, test: Callable[[Socket], object]) -> BroadcastOperator:
        """Reach only those of this server's clients for which ``test(socket)`` is true.

        They are asked for and tested here and now, in this thread; who comes later is not
        among them.
        """
        options = self._options
        found = tuple(each.id for each in self._own(options.rooms, options.skip) if test(each))
        chain = self._with(rooms=found, skip=(), local=True)
        chain._picked = (found, ())
        return chain

    def _of_picked(self, names: tuple[Room, ...]) -> BroadcastOperator:
        """Return the chain of those whom `where` has found and who are in one of the rooms."""
        assert self._picked is not None
        found, named = self._picked
        named = (*named, *names)
        there = {each.id for each in self._own(named, ())}
        chain = self._with(rooms=tuple(each for each in found if each in there))
        chain._picked = (found, named)
        return chain

    def _own(self, rooms: tuple[Room, ...] | None, skip: tuple[Room, ...]) -> list[Socket]:
        server = self._server

        def select() -> list[Any]:
            space = server.spaces.get(self._namespace)
            return [] if space is None else space.rooms.select(rooms, skip)

        found = server.engine.loop.call(select) if server.engine.has_loop else []
        return [each for each in found if each.connected]

    @property
    def local(self) -> BroadcastOperator:
        """Only clients of this server."""
        return self._with(local=True)

    # -- how ---------------------------------------------------------------------------

    @property
    def volatile(self) -> BroadcastOperator:
        """Drop what a client cannot take at once: it is slow, or between two polls."""
        return self._with(volatile=True)

    def coalesce(self, key: Hashable) -> BroadcastOperator:
        """Where a client cannot take it at once, keep only the latest one of this key.

        Raises:
            TypeError: a key that cannot be hashed.
        """
        check_hashable("coalesce()", "a key", (key,))
        return self._with(coalesce=key)

    def compress(self, compress: bool = True) -> BroadcastOperator:
        """Say whether ``per_message_deflate`` may compress it; it may by default."""
        return self._with(compress=compress)

    def timeout(self, seconds: float | None) -> BroadcastOperator:
        """Wait so long for answers; None for ever.

        Without it `call` waits 5 seconds, and the callback of `emit` is never told that there
        is no answer; see `Server.emit`.
        """
        return BroadcastOperator(
            self._server, self._namespace, self._options, seconds, self._picked
        )

    def _time(self, otherwise: float | None) -> float | None:
        return otherwise if self._timeout is _NOT_SAID else self._timeout

    # -- what --------------------------------------------------------------------------

    def emit(
        self, event: str | int, *args: Any, callback: Callable[..., object] | None = None
    ) -> EmitResult:
        """Send an event; ``callback`` is called with each client's answer. Never blocks.

        Raises:
            TypeError: data that is no JSON.
            ValueError: a reserved event name.
        """
        timeout = self._time(None) if callback is not None else None
        server, options = self._server, self._options
        return server.emit_args(event, args, self._namespace, options, callback, timeout)

    def send(self, *args: Any) -> EmitResult:
        """Send a ``message`` event."""
        return self.emit("message", *args)

    def call(self, event: str | int, *args: Any) -> dict[str, Any]:
        """Send an event and gather one answer of each client, by its id.

        An answer is None, a value, or a tuple of several. Who leaves without one is not
        among them.

        Raises:
            TimeoutError: not all have answered in time; ``answers`` has those that came,
                ``owed`` the ids of the clients and ``missing`` of the servers that owe some.
        """
        server, namespace = self._server, self._namespace
        body = server.codec.render(sio.Packet(sio.EVENT, namespace, [event, *args]))
        gathering = server.adapter.ask(namespace, body, self._options)
        timeout = self._time(ACK_S)
        in_time = gathering.wait(timeout)
        answers = {own_id: answer_value(each) for own_id, each in gathering.answers.items()}
        if not in_time or gathering.missing:
            raise TimeoutError(
                f"{len(gathering.owed)} of {len(answers) + len(gathering.owed)} clients have not "
                f"answered {event!r} within {timeout} s",
                answers=answers,
                owed=gathering.owed,
                missing=tuple(gathering.silent),
            )
        return answers

    def fetch_sockets(self) -> Found[RemoteSocket]:
        """Describe the clients, those of other servers too.

        ``missing`` of what it returns names servers that did not answer.
        """
        server, namespace = self._server, self._namespace
        records = server.adapter.sockets(namespace, self._options)
        found = Found(RemoteSocket(server, namespace, record) for record in records)
        found.missing = records.missing
        return found

    def sids(self) -> Found[str]:
        """Return the ids of the clients; ``missing`` names servers that did not answer."""
        return self._server.adapter.ids(self._namespace, self._options)

    def count(self) -> int:
        """Return how many clients there are."""
        return len(self.sids())

    def sockets_join(self, *rooms: Room) -> None:
        """Put the clients into rooms; a list or set is several. Never blocks.

        `Server.use_join` is not asked.
        """
        self._server.adapter.join(self._namespace, self._options, each_room(rooms))

    def sockets_leave(self, *rooms: Room) -> None:
        """Take the clients out of rooms; a list or set is several. Never blocks."""
        self._server.adapter.leave(self._namespace, self._options, each_room(rooms))

    def disconnect_sockets(self, close: bool = False) -> None:
        """Disconnect the clients from the namespace, or ``close`` their connections."""
        self._server.adapter.disconnect(self._namespace, self._options, close)

    def __repr__(self) -> str:
        chosen = self._options._asdict().items()
        named = [f"{key}={value!r}" for key, value in chosen if value != getattr(EVERYBODY, key)]
        return f"<{type(self).__name__} {self._namespace!r} {' '.join(named)}>"


class ServerNamespace(HandlersOf, BroadcastOperator):
    """One namespace of a server: everybody in it, its rooms, and its handlers.

    `Server.of` returns it. It says nothing of whether clients may connect to it: handlers and
    the option ``namespaces`` decide that.
    """

    __slots__ = ()

    @property
    def name(self) -> str:
        return str(self._namespace)

    @property
    def server(self) -> Server:
        return self._server

    @property
    def sockets(self) -> Mapping[str, Socket]:
        """The connected sockets of this server, by id. A snapshot."""
        engine = self._server.engine
        return engine.loop.call(self._sockets) if engine.has_loop else {}

    def _sockets(self) -> dict[str, Socket]:
        space = self._server.spaces.get(self._namespace)
        found = () if space is None else space.rooms.everyone.values()
        return {each.id: cast("Socket", each) for each in found if each.connected}

    def room_sizes(self) -> dict[Room, int]:
        """Return how many clients are in each room that somebody has joined."""
        return dict(self._server.adapter.sizes(self._namespace)[0])

    def room_members(self, room: Room) -> list[str]:
        """Return the ids of who is in a room."""
        return list(self.to(room).sids())

    # -- other servers -----------------------------------------------------------------

    def server_side_emit(self, event: str, *args: Any) -> None:
        """Send an event to the other servers' `Server.on_server_event`. Never blocks."""
        self._server.adapter.server_event(self._namespace, self._render(event, args))

    def server_side_call(self, event: str, *args: Any) -> Found[Any]:
        """Send an event to the other servers and return what their functions return.

        Waits for at most `timeout` seconds, 5 by default, or for ever; ``missing`` of what it
        returns names servers that did not answer.
        """
        body = self._render(event, args)
        waits = self._time(ACK_S)
        answers, missing = self._server.adapter.server_call(self._namespace, body, waits)
        found = Found(answers)
        found.missing = tuple(missing)
        return found

    def _render(self, event: str, args: tuple[Any, ...]) -> sio.Body:
        sio.check_outgoing(sio.Packet(sio.EVENT, self._namespace, [event, *args]))
        return wire.pack([event, *args], self._server.json)

    def timeout(self, seconds: float | None) -> Self:
        return type(self)(self._server, self._namespace, self._options, seconds)


class RemoteSocket(BroadcastOperator):
    """A client as it was when it was asked for; it may be another server's.

    As of a `Socket`, what it emits and is asked goes to that client, and ``broadcast``, `to`,
    ``in_`` and `except_` begin a chain that leaves it out.
    """

    __slots__ = ("data", "handshake", "id", "rooms")

    def __init__(self, server: Server, namespace: str, record: SocketRecord) -> None:
        super().__init__(server, namespace, BroadcastOptions((record.id,)))
        self.id = record.id
        self.rooms = record.rooms
        """Its own id's first."""
        self.handshake = Handshake(**record.handshake)
        self.data = record.data
        """A copy of its `Socket.data`."""

    @property
    def namespace(self) -> str:
        return self._namespace

    @property
    def broadcast(self) -> BroadcastOperator:
        """Everybody else in the namespace."""
        options = BroadcastOptions(skip=(self.id,))
        return BroadcastOperator(self._server, self._namespace, options)

    def to(self, *rooms: Room, user: Any = None) -> BroadcastOperator:
        """Who else is in these rooms; see `BroadcastOperator.to`."""
        return self.broadcast.to(*rooms, user=user)

    in_ = to

    def except_(self, *rooms: Room) -> BroadcastOperator:
        """Everybody else who is in none of these rooms."""
        return self.broadcast.except_(*rooms)

    def call(self, event: str | int, *args: Any, timeout: float | None = 60) -> Any:
        """Send an event to the client and wait for its answer; see `Server.call`."""
        return self._server.call_args(event, args, self.id, self._namespace, timeout)

    def join(self, *rooms: Room) -> None:
        """Put the client into rooms. Never blocks; `Server.use_join` is not asked."""
        self.sockets_join(*rooms)

    def leave(self, *rooms: Room) -> None:
        """Take the client out of rooms. Never blocks."""
        self.sockets_leave(*rooms)

    def disconnect(self, close: bool = False) -> None:
        """Disconnect the client from the namespace, or ``close`` its connection.

        Without the ``after_flush`` of a `Socket`: what waits for it is known to its server.
        """
        self.disconnect_sockets(close)

    def __repr__(self) -> str:
        return f"<RemoteSocket {self.id} in {self._namespace!r}>"


def each_room(rooms: Iterable[Any]) -> tuple[Room, ...]:
    """Return the rooms to join or leave: a list or set is several, a tuple is one."""
    flat: list[Room] = []
    for room in rooms:
        if isinstance(room, (list, set, frozenset)):
            flat.extend(room)
        else:
            flat.append(room)
    return tuple(flat)


def _flat(rooms: tuple[Any, ...]) -> tuple[Room, ...]:
    """Return the rooms to reach: a list, tuple or set is several, as in ``to=``."""
    flat: list[Room] = []
    for room in rooms:
        if isinstance(room, (list, tuple, set, frozenset)):
            flat.extend(room)
        else:
            flat.append(room)
    check_hashable("to() and its like", "a room", flat)
    return tuple(flat)
