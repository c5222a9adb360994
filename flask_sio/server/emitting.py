"""What a server sends: events to rooms, clients or everybody, and calls that wait.

Rendered in the caller's thread, which is where bad data raises; delivered in the owner's
turn. Any thread; only `Emitting.call` waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

from flask_sio.errors import DisconnectedError, TimeoutError
from flask_sio.protocol import sio
from flask_sio.server.acks import Callback, PendingCall
from flask_sio.server.clients import Clients, Room
from flask_sio.server.jobs import answer_value
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
    ) -> None:
        """Send an event to a room, a client, or everybody in the namespace.

        ``data``: a tuple is several arguments, None is none, anything else is one.
        ``to`` (or ``room``): a room, a socket's id, or several; each client gets one copy.
        ``callback`` is called with each client's answer. ``ignore_queue``: clients of other
        servers on the same message queue get nothing. Any thread; never blocks.

        Raises:
            TypeError: data that is no JSON.
            ValueError: a reserved event name.
            ConfigError: a message queue that this release cannot reach.
        """
        rooms = room_list(to if to is not None else room)
        skip = [skip_sid] if isinstance(skip_sid, str) else list(skip_sid or ())
        args = event_args(data)
        self.emit_args(event, args, namespace or "/", rooms, skip, callback, ignore_queue)

    def send(
        self,
        data: Any,
        to: Rooms = None,
        room: Rooms = None,
        skip_sid: str | Iterable[str] | None = None,
        namespace: str | None = None,
        callback: Callback | None = None,
        ignore_queue: bool = False,
    ) -> None:
        """Send a ``message`` event; see `emit`."""
        self.emit("message", data, to, room, skip_sid, namespace, callback, ignore_queue)

    def emit_args(
        self,
        event: str | int,
        args: Sequence[Any],
        namespace: str = "/",
        rooms: Sequence[Room] | None = None,
        skip: Sequence[str] = (),
        callback: Callback | None = None,
        ignore_queue: bool = False,
    ) -> None:
        """Send an event with these arguments; ``rooms`` None means everybody. Any thread."""
        packet = sio.Packet(sio.EVENT, namespace, [event, *args])
        body = sio.render(packet, self.codec)
        if self._member is not None and not ignore_queue:
            self._member.emit(namespace, body, rooms, skip, callback)
        if not self.engine.has_loop:
            return  # nobody has ever connected
        if callback is None:
            encoded = sio.compose(packet, body)
            self.engine.loop.run(self._emit_now, namespace, encoded, rooms, skip)
        else:
            self.engine.loop.run(self._emit_asking, namespace, body, rooms, skip, callback)

    def _emit_now(
        self, namespace: str, encoded: Any, rooms: Sequence[Room] | None, skip: Sequence[str]
    ) -> None:
        space = self._spaces.get(namespace)
        if space is not None:
            space.adapter.broadcast(encoded, rooms, skip)

    def _emit_asking(
        self,
        namespace: str,
        body: sio.Body,
        rooms: Sequence[Room] | None,
        skip: Sequence[str],
        callback: Callback,
    ) -> None:
        space = self._spaces.get(namespace)
        if space is None:
            return
        for socket in space.adapter.recipients(rooms):
            if isinstance(socket, Socket) and socket.id not in skip:
                number = socket.ask(callback)
                asked = sio.Packet(sio.EVENT, namespace, id=number)
                if not socket.deliver(sio.compose(asked, body)):
                    socket.take_ack(number)

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
        body = sio.render(sio.Packet(sio.EVENT, namespace, [event, *args]), self.codec)
        if self._member is not None and not ignore_queue and not self.has(sid, namespace):
            return self._member.call(body, sid, namespace, timeout)
        loop = self._loop_of(sid, namespace)
        call = PendingCall(loop.waiter())
        socket, number = loop.call(self._ask, body, sid, namespace, call)
        if not call.wait(timeout):
            loop.run(socket.take_ack, number)
            raise TimeoutError(f"no answer to {event!r} within {timeout} s")
        if call.answer is None:
            raise DisconnectedError(f"the client left before it answered {event!r}")
        return answer_value(call.answer)

    def _ask(
        self, body: sio.Body, sid: str, namespace: str, call: PendingCall
    ) -> tuple[Socket, int]:
        socket = self._socket(sid, namespace)
        number = socket.ask(call)
        packet = sio.Packet(sio.EVENT, namespace, id=number)
        if not socket.deliver(sio.compose(packet, body)):
            socket.take_ack(number)
            call.fail()
        return socket, number


def room_list(to: Rooms) -> list[Room] | None:
    """Return the rooms of a ``to``; None where it names none, which means everybody."""
    if to is None or to == "" or (to == 0 and to is not False):
        return None
    if isinstance(to, (list, tuple, set, frozenset)):
        return list(to) or None
    return [cast("Room", to)]


def event_args(data: Any) -> tuple[Any, ...]:
    """Return the arguments of an event for what python-socketio calls ``data``."""
    if data is None:
        return ()
    return data if isinstance(data, tuple) else (data,)
