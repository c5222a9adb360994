"""One client in one namespace. It changes in the owner's turn only."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from flask_sio.adapters.adapter import EVERYBODY, BroadcastOptions, EmitResult, SocketRecord
from flask_sio.adapters.answers import CallbackWithin
from flask_sio.protocol import sio
from flask_sio.protocol.encoded import Encoded
from flask_sio.server import handshake, operators
from flask_sio.server.acks import Acks
from flask_sio.server.expiry import Expiry
from flask_sio.server.late import TimedCallback

if TYPE_CHECKING:
    from flask_sio.adapters.answers import Asker
    from flask_sio.adapters.rooms import Room
    from flask_sio.protocol.sio import Body
    from flask_sio.runtime.loop import Waiter
    from flask_sio.server.client import Client
    from flask_sio.server.jobs import DisconnectJob
    from flask_sio.server.namespace import LiveNamespace

State = Literal["connecting", "connected", "leaving", "gone"]


class Socket:
    """A connected client as handlers of one namespace see it.

    Its methods may be called from any thread, but for those that say otherwise. After it has
    left they do nothing.
    """

    __slots__ = (
        "_acks",
        "_data",
        "_pending",
        "_pending_bytes",
        "_session",
        "auth",
        "client",
        "id",
        "is_deciding",
        "issued",
        "namespace",
        "parting",
        "space",
        "state",
        "user",
        "was_accepted",
    )

    def __init__(self, client: Client, space: LiveNamespace, socket_id: str, auth: Any) -> None:
        self.client = client
        self.space = space
        self.namespace = space.name
        self.id = socket_id
        """The public id; not the secret one of the connection."""
        self.user: str | None = None
        """Whose it is: a user's id as text; None if nobody's. It keeps that when it leaves."""
        self.auth = auth
        """What the client sent to connect here, or None."""
        self.issued = time.time()
        """When it asked to connect, in seconds since 1970."""
        self.state: State = "connecting"
        self.was_accepted: bool | None = None
        """None until its connect handler, if there is one, has decided."""
        self.is_deciding = False
        """Whether a connect handler is still to run or to end; `always_connect` does not wait."""
        self.parting: DisconnectJob | None = None
        """What runs when it left before its connect handler has decided."""
        self._pending: list[Encoded] | None = None
        self._pending_bytes = 0
        self._acks: Acks | None = None
        self._session: dict[str, Any] | None = None
        self._data: dict[str, Any] | None = None

    @property
    def environ(self) -> dict[str, Any]:
        """The WSGI environ of the client's first request, without the server's own objects."""
        return self.client.connection.environ

    @property
    def transport(self) -> Literal["polling", "websocket"]:
        return self.client.connection.transport_name

    @property
    def connected(self) -> bool:
        return self.state == "connected"

    @property
    def rooms(self) -> list[Room]:
        """The rooms it is in, its own first."""
        return self.client.server.engine.loop.call(self.space.rooms.rooms_of, self)

    @property
    def handshake(self) -> handshake.Handshake:
        """What its connection began with."""
        return handshake.read(self)

    @property
    def data(self) -> dict[str, Any]:
        """A dict of yours, which `BroadcastOperator.fetch_sockets` shows to other servers."""
        if self._data is None:
            self._data = {}
        return self._data

    @property
    def session(self) -> dict[str, Any]:
        """A dict for this client in this namespace; gone with it."""
        if self._session is None:
            self._session = {}
        return self._session

    @session.setter
    def session(self, session: dict[str, Any]) -> None:
        self._session = session

    def sibling(self, namespace: str) -> Socket | None:
        """Return the same client in another namespace, if it is connected there."""
        socket = self.client.sockets.get(namespace)
        return socket if socket is not None and socket.state != "connecting" else None

    # -- what handlers do --------------------------------------------------------------

    def _itself(self) -> BroadcastOptions:
        return BroadcastOptions((self.id,), local=True)

    def emit(
        self,
        event: str | int,
        *args: Any,
        callback: Callable[..., object] | None = None,
        timeout: float | None = None,
    ) -> EmitResult:
        """Send an event to this client; ``callback`` is called with its answer. Never blocks.

        ``timeout`` is as in `Server.emit`.

        Raises:
            TypeError: data that is no JSON.
            ValueError: a reserved event name.
        """
        server = self.client.server
        if callback is None and timeout is None:
            return server.emit_to(self, event, args)
        return server.emit_args(event, args, self.namespace, self._itself(), callback, timeout)

    def send(self, *args: Any) -> EmitResult:
        """Send a ``message`` event to this client."""
        return self.emit("message", *args)

    def call(self, event: str | int, *args: Any, timeout: float | None = 60) -> Any:
        """Send an event to this client and wait for its answer; see `Server.call`."""
        return self.client.server.call_args(
            event, args, self.id, self.namespace, timeout, ignore_queue=True
        )

    @property
    def broadcast(self) -> operators.BroadcastOperator:
        """Everybody else in the namespace."""
        options = BroadcastOptions(skip=(self.id,))
        return operators.BroadcastOperator(self.client.server, self.namespace, options)

    def to(self, *rooms: Room, user: Any = None) -> operators.BroadcastOperator:
        """Who else is in these rooms; see `BroadcastOperator.to`."""
        return self.broadcast.to(*rooms, user=user)

    in_ = to

    def except_(self, *rooms: Room) -> operators.BroadcastOperator:
        """Everybody else who is in none of these rooms."""
        return self.broadcast.except_(*rooms)

    @property
    def volatile(self) -> operators.BroadcastOperator:
        """This client, if it can take what is sent at once."""
        options = self._itself()._replace(volatile=True)
        return operators.BroadcastOperator(self.client.server, self.namespace, options)

    def join(self, *rooms: Room) -> None:
        """Enter rooms, before this returns; a list or set is several.

        Raises:
            EventRefusedError: it may not, says `Server.use_join`.
            ValueError: a room's name is another client's id, or ``max_rooms`` are entered.
        """
        self.client.server.enter_room(self.id, list(operators.each_room(rooms)), self.namespace)

    def leave(self, *rooms: Room) -> None:
        """Leave rooms; nothing happens where it is in none. Never blocks."""
        self.client.server.leave_room(self.id, list(operators.each_room(rooms)), self.namespace)

    def sleep(self, seconds: float) -> bool:
        """Wait, but not longer than the client stays; return whether it is still there.

        A background task that goes on ``while socket.sleep(1):`` ends with its client.
        """
        loop = self.client.server.engine.loop
        waiter = loop.waiter()
        if not loop.call(self._await_end, waiter):
            return False
        has_left = False
        try:
            has_left = bool(waiter.wait(seconds))
        finally:
            if not has_left:
                loop.run(self._await_no_more, waiter)
        return not has_left

    def _await_end(self, waiter: Waiter) -> bool:
        if self.state not in ("connected", "connecting"):
            return False
        acks = self._acks_made()
        if acks.waiters is None:
            acks.waiters = set()
        acks.waiters.add(waiter)
        return True

    def _await_no_more(self, waiter: Waiter) -> None:
        if self._acks is not None and self._acks.waiters is not None:
            self._acks.waiters.discard(waiter)

    def disconnect(self, close: bool = False, *, after_flush: bool = False) -> None:
        """Leave the namespace, or ``close`` the whole connection. Never blocks.

        Disconnect handlers run after what the client had sent before. ``after_flush``: not
        before all that was emitted to it has left this server.
        """
        leave = self.disconnect_flushed if after_flush else self.disconnect_now
        self.client.server.engine.loop.run(leave, close)

    def expire_at(self, when: float | None) -> None:
        """Let the client leave the namespace at a time, as by `disconnect`. Never blocks.

        ``when``: seconds since 1970, a JWT's ``exp``; one that is past is now. A later call
        replaces it, and None lifts it. A disconnect handler's ``details.description`` is
        ``"expired"``; a client that is still connecting is refused.
        """
        # What is no time, a NaN, is past: max() returns its first argument then.
        seconds = None if when is None else max(0.0, when - time.time())
        self.client.server.engine.loop.run(self._expire_in, seconds)

    def _expire_in(self, seconds: float | None) -> None:
        if seconds is None:
            if self._acks is not None and self._acks.expiry is not None:
                self._acks.expiry.cancel()
        elif self.state in ("connected", "connecting"):
            acks = self._acks_made()
            if acks.expiry is None:
                acks.expiry = Expiry(self)
            acks.expiry.set(self.client.server.engine.loop.now() + seconds)

    # -- out: owner's turn -------------------------------------------------------------

    def deliver(self, encoded: Encoded, result: EmitResult | None = None) -> bool:
        """Send a packet, or keep it until the client is accepted; False once it left.

        ``result`` is that of a packet for this client alone.
        """
        space = self.space
        if space.rooms.fan_outs:
            self.catch_up()
        state = self.state
        if state == "connected":
            taken = self.client.connection.send(encoded)
        else:
            taken = state == "connecting" and self._hold(encoded)
        if taken and space.outgoing is not None:
            space.outgoing.note(self, encoded)
        if result is not None and state != "gone":
            result.counts = 1, int(taken)
        return taken

    def _hold(self, encoded: Encoded) -> bool:
        """Keep a packet until the client is accepted."""
        if self._pending is None:
            self._pending = []
        options = self.client.server.options
        self._pending_bytes += encoded.size
        if (
            self._pending_bytes > options.max_outbound_bytes
            or len(self._pending) >= options.max_outbound_packets
        ):
            self.client.connection.overflow()
            return False
        self._pending.append(encoded)
        return True

    def catch_up(self) -> None:
        """Send what broadcasts on their way have for this client: it was emitted before."""
        for fan_out in self.space.rooms.fan_outs:
            fan_out.serve(self)

    def deliver_if_ready(self, encoded: Encoded) -> bool:
        """Send a packet if nothing waits before it."""
        self.catch_up()
        connection = self.client.connection
        if self.state != "connected" or not connection.is_ready:
            return False
        taken = connection.send(encoded)
        if taken and self.space.outgoing is not None:
            self.space.outgoing.note(self, encoded)
        return taken

    def deliver_latest(self, encoded: Encoded, key: Hashable) -> bool:
        """Send a packet; while it waits, a later one of the same key takes its place."""
        self.catch_up()
        if self.state != "connected":
            return self.deliver(encoded)
        taken = self.client.connection.send_latest(encoded, self.namespace, key)
        if taken and self.space.outgoing is not None:
            self.space.outgoing.note(self, encoded)
        return taken

    def request(self, body: Body, whom: Asker, options: BroadcastOptions = EVERYBODY) -> int:
        """Send an event whose answer is for ``whom``; return its number, 0 if it is not taken."""
        if self.state not in ("connected", "connecting"):
            return 0
        acks = self._acks_made()  # what follows may end the connection
        if isinstance(whom, CallbackWithin):
            whom = TimedCallback(self, whom)
        number = acks.ask(whom)
        packet = sio.Packet(sio.EVENT, self.namespace, id=number)
        encoded = self.client.server.codec.compose(packet, body)
        encoded.compress = options.compress
        if (self.deliver_if_ready if options.volatile else self.deliver)(encoded):
            if isinstance(whom, TimedCallback):
                whom.start(number)
            return number
        acks.take(number)
        return 0

    def _acks_made(self) -> Acks:
        if self._acks is None:
            self._acks = Acks(self.client.server.options.max_unanswered_acks)
        return self._acks

    def take_ack(self, number: int) -> Asker | None:
        """Return who waits for an answer, and wait for it no more."""
        return None if self._acks is None else self._acks.take(number)

    def record(self, rooms: Sequence[Room]) -> SocketRecord:
        """Describe it for others. Any thread."""
        return SocketRecord(self.id, tuple(rooms), self.handshake.as_dict(), dict(self._data or {}))

    def is_of_another(self, room: Room) -> bool:
        """Whether a room's name is another client's id, also one of another server."""
        if room == self.id:
            return False
        adapter = self.client.server.adapter
        return room in self.space.rooms.everyone or adapter.is_elsewhere(self.namespace, room)

    def has_place(self, room: Room) -> bool:
        """Whether it may enter one room more, by ``max_rooms``."""
        return self.space.rooms.has_place(self, room, self.client.server.options.max_rooms)

    def enter(self, room: Room) -> None:
        """Enter a room; not if it leaves, has no place for it, or the room is another's own."""
        if self.state not in ("connecting", "connected") or self.is_of_another(room):
            return
        if self.has_place(room):
            self.space.rooms.join(self, room)
        else:
            self.client.server.engine.warn_once("max_rooms keeps a client out of a room")

    def disconnect_now(self, close: bool = False) -> None:
        """Leave for the server; with ``close`` its whole connection ends."""
        self.client.disconnect(self)
        if close:
            self.client.connection.close()

    def disconnect_flushed(self, close: bool = False) -> None:
        """Do that once all that was emitted to it has left this server."""
        self.catch_up()
        self.client.connection.when_flushed(partial(self.disconnect_now, close))

    # -- life: owner's turn ------------------------------------------------------------

    def accept(self) -> None:
        """Tell the client that it is connected, then what was emitted to it meanwhile."""
        self.state = "connected"
        presence = self.client.server.presence
        if presence.is_watched and self.user is not None:
            presence.came(self)
        send = self.client.connection.send
        send(self.client.server.codec.encode_control(self.client.welcome(self)))
        pending, self._pending = self._pending, None
        for encoded in pending or ():
            send(encoded)

    def refuse(self, refusal: Encoded) -> None:
        """Send a CONNECT_ERROR to a client that may not connect, and forget it."""
        if self.state == "connecting":
            self.client.connection.send(refusal)
        self.was_accepted = False
        self.parting = None
        self.end()

    def start_leaving(self) -> None:
        """Take and give no more; rooms and session last until its disconnect handler ends."""
        presence = self.client.server.presence
        if presence.is_watched and self.user is not None and self.state == "connected":
            presence.left(self)
        self.state = "leaving"
        self._pending = None
        if self._acks is not None:
            self._acks.fail_all()
            self._acks = None

    def end(self) -> None:
        """Leave the rooms and the namespace."""
        self.start_leaving()
        self.state = "gone"
        self.space.rooms.remove(self)
        objects = self.space.objects
        if objects is not None and self.id in objects:
            # On a worker, since what is let go there may be user code.
            self.client.server.engine.loop.defer(objects.pop, self.id, None)
        self.client.server.drop_if_empty(self.space)
        if self.client.sockets.get(self.space.name) is self:
            del self.client.sockets[self.space.name]

    def __repr__(self) -> str:
        return f"<Socket {self.id} in {self.space.name!r} {self.state}>"
