"""What a server sends: events to rooms, clients or everybody, and calls that wait.

Rendered in the caller's thread, which is where bad data raises; delivered in the owner's
turn. Any thread; only `Emitting.call` waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

from flask_sio.adapters.adapter import EVERYBODY, BroadcastOptions, EmitResult
from flask_sio.adapters.answers import Callback, CallbackWithin
from flask_sio.adapters.rooms import check_hashable
from flask_sio.errors import DisconnectedError, NotConnectedError, TimeoutError
from flask_sio.protocol import sio
from flask_sio.server.clients import Clients, Room
from flask_sio.server.jobs import answer_value
from flask_sio.server.users import user_rooms

if TYPE_CHECKING:
    from flask_sio.server.socket import Socket

Rooms = Room | Iterable[Room] | None


class Emitting(Clients):
    """The part of `Server` that sends."""

    def emit(
        self,
        event: str | int,
        data: Any = None,
        to: Rooms = None,
        room: Rooms = None,
        skip_sid: str | Iterable[str] | None = None,
        namespace: str | None = None,
        callback: Callback | None = None,
        ignore_queue: bool = False,
        *,
        except_rooms: Rooms = None,
        user: Any = None,
        volatile: bool = False,
        timeout: float | None = None,
    ) -> EmitResult:
        """Send an event to a room, a client, or everybody in the namespace.

        ``data``: a tuple is several arguments, None is none, anything else is one.
        ``to`` (or ``room``): a room, a socket's id, or several; each client gets one copy.
        ``user``: a user's id, or several, for all clients of that user, beside those of
        ``to``. ``skip_sid`` and ``except_rooms`` leave clients out. ``callback`` is called
        with each client's answer; with ``timeout``, in seconds, it is called once for each
        client that was asked: without an answer with a `TimeoutError`, or the
        `DisconnectedError` of one who left, as its only argument. ``ignore_queue``: clients of
        other servers get nothing. ``volatile``: nor do clients that cannot take it at once.
        Returns what became of it. Any thread; never blocks.

        Raises:
            TypeError: data that is no JSON; or a ``timeout`` and no ``callback``.
            ValueError: a reserved event name, or a user without an id.
            ConfigError: a message queue that this release cannot reach.
        """
        rooms = room_list(to if to is not None else room)
        if user is not None:
            rooms = [*(rooms or ()), *user_rooms(user)]
        options = BroadcastOptions(
            None if rooms is None else tuple(rooms),
            left_out(skip_sid, except_rooms),
            ignore_queue,
            volatile,
        )
        args = event_args(data)
        return self.emit_args(event, args, namespace or "/", options, callback, timeout)

    def send(
        self,
        data: Any,
        to: Rooms = None,
        room: Rooms = None,
        skip_sid: str | Iterable[str] | None = None,
        namespace: str | None = None,
        callback: Callback | None = None,
        ignore_queue: bool = False,
        *,
        except_rooms: Rooms = None,
        user: Any = None,
        volatile: bool = False,
        timeout: float | None = None,
    ) -> EmitResult:
        """Send a ``message`` event; the rest as `emit`."""
        rest = (to, room, skip_sid, namespace, callback, ignore_queue)
        more: dict[str, Any] = {"except_rooms": except_rooms, "user": user, "volatile": volatile}
        return self.emit("message", data, *rest, timeout=timeout, **more)

    def emit_args(
        self,
        event: str | int,
        args: Sequence[Any],
        namespace: str = "/",
        options: BroadcastOptions = EVERYBODY,
        callback: Callback | None = None,
        timeout: float | None = None,
    ) -> EmitResult:
        """Send an event with these arguments to whom ``options`` name. Any thread."""
        body = self.codec.render(sio.Packet(sio.EVENT, namespace, [event, *args]))
        if callback is None:
            if timeout is not None:
                raise TypeError("timeout= is for the answers that callback= gets: give it one")
            result = self.adapter.emit(namespace, body, options)
        else:
            if options.coalesce is not None:
                raise TypeError("coalesce() keeps one packet of many: callback= has no place in it")
            callback = self.convention.callback(callback)
            if timeout is not None:
                callback = CallbackWithin(callback, timeout, event)
            result = self.adapter.emit_asking(namespace, body, options, callback)
        self.convention.emitted(event, args, namespace, options)
        return result

    def emit_to(self, socket: Socket, event: str | int, args: Sequence[Any]) -> EmitResult:
        """Send an event to one client of this server, which no adapter need look for.

        Any thread.
        """
        namespace, loop = socket.namespace, self.engine.loop
        result = EmitResult(loop)
        encoded = self.codec.encode(sio.Packet(sio.EVENT, namespace, [event, *args]))
        loop.run(socket.deliver, encoded, result)
        if self.convention.hears_emits():
            self.convention.emitted(event, args, namespace, BroadcastOptions((socket.id,)))
        return result

    def call(
        self,
        event: str | int,
        data: Any = None,
        to: str | None = None,
        sid: str | None = None,
        namespace: str | None = None,
        timeout: float | None = 60,
        ignore_queue: bool = False,
    ) -> Any:
        """Send an event to one client and wait for its answer.

        Returns None, the one argument of the answer, or a tuple of them. Any thread; under
        gevent other greenlets run meanwhile.

        Raises:
            TimeoutError: no answer within ``timeout`` seconds.
            DisconnectedError: the client left; at once when it does.
            NotConnectedError: no such client.
            ValueError: no client was named.
        """
        whom = to or sid
        if whom is None:
            raise ValueError("call() asks one client: name it by to= or sid=")
        args = event_args(data)
        return self.call_args(event, args, whom, namespace or "/", timeout, ignore_queue)

    def call_args(
        self,
        event: str | int,
        args: Sequence[Any],
        sid: str,
        namespace: str = "/",
        timeout: float | None = 60,
        ignore_queue: bool = False,
    ) -> Any:
        """Like `call`, with the arguments as they are sent."""
        several: Any = sid
        if isinstance(several, (list, tuple, set, frozenset)):
            raise TypeError(f"call() asks one client: its id, not {sid!r}")
        body = self.codec.render(sio.Packet(sio.EVENT, namespace, [event, *args]))
        gathering = self.adapter.ask(
            namespace,
            body,
            BroadcastOptions((sid,), local=ignore_queue or self.has(sid, namespace)),
        )
        if not gathering.wait(timeout):
            raise TimeoutError(f"no answer to {event!r} within {timeout} s")
        for answer in gathering.answers.values():
            return answer_value(answer)
        if gathering.asked_any:
            raise DisconnectedError(f"the client left before it answered {event!r}")
        raise NotConnectedError(f"{sid!r} is not connected to {namespace!r}")


def room_list(to: Rooms) -> list[Room] | None:
    """Return the rooms of a ``to``; None where it names none, which means everybody."""
    if to is None or to == "" or (to == 0 and to is not False):
        return None
    if isinstance(to, (list, tuple, set, frozenset)):
        rooms: list[Room] = list(to)
    else:
        rooms = [cast("Room", to)]
    check_hashable("to=, room= and their like", "a room", rooms)
    return rooms or None


def left_out(skip_sid: str | Iterable[str] | None, except_rooms: Rooms = None) -> tuple[Room, ...]:
    """Return whom an emit is not for."""
    if not skip_sid and except_rooms is None:
        return ()
    skipped = (skip_sid,) if isinstance(skip_sid, str) else tuple(skip_sid or ())
    check_hashable("skip_sid=", "an id", skipped)
    return (*skipped, *(room_list(except_rooms) or ()))


def event_args(data: Any) -> tuple[Any, ...]:
    """Return the arguments of an event for what python-socketio calls ``data``."""
    if data is None:
        return ()
    return data if isinstance(data, tuple) else (data,)
