"""A server's place among those that share its message queue.

Outgoing: `Server` does for its own clients what it is told, and a `Member` tells the others.
Incoming: a message is acted on in a turn of this server's loop. A server that no client has
reached yet has no loop, and nothing to do.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Sequence
from contextvars import Context
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from flask_sio import ids
from flask_sio.adapters.memory import Room
from flask_sio.adapters.queue import Message, MessageQueue, Reply
from flask_sio.errors import DisconnectedError, NotConnectedError, TimeoutError
from flask_sio.protocol import sio
from flask_sio.server.acks import Callback, PendingCall
from flask_sio.server.jobs import answer_value
from flask_sio.server.socket import Socket

if TYPE_CHECKING:
    from flask_sio.runtime.loop import Loop
    from flask_sio.server.server import Server

logger = logging.getLogger("flask_sio.server")


class _Request:
    """An emit whose answers come from clients of other members. Owner's turn.

    It borrows the loop, for a server that no client has reached, until all have concluded.
    """

    __slots__ = ("asked", "call", "callback", "heard", "loop", "number", "owed", "replies")

    def __init__(self, number: int, callback: Callback | None) -> None:
        self.number = number
        self.callback = callback
        self.call: PendingCall | None = None
        """What waits, where there is no callback."""
        self.loop: Loop
        self.heard: int | None = None
        """How many members have it; None until all are told."""
        self.replies = 0
        self.asked = 0
        self.owed = 0


class _FarAnswer(PendingCall):
    """What a client's answer is for when another member has asked for it."""

    __slots__ = ("_reply",)

    def __init__(self, reply: Callable[[tuple[Any, ...] | None], None]) -> None:
        self._reply = reply
        self.disconnected = False

    def resolve(self, answer: list[Any]) -> None:
        self._reply(tuple(answer))

    def fail(self) -> None:
        if not self.disconnected:
            self.disconnected = True
            self._reply(None)


class Member:
    """What a server tells the other members, and does for them."""

    def __init__(self, server: Server, queue: MessageQueue) -> None:
        self.id = ids.new_id()
        self._server = server
        self._queue = queue
        self._requests: dict[int, _Request] = {}
        self._numbers = itertools.count(1)
        if queue.is_open and not queue.write_only:
            queue.open().join(self)

    def leave(self) -> None:
        """Hear nothing more."""
        if self._queue.is_open:
            self._queue.open().leave(self)

    # -- out: any thread ---------------------------------------------------------------

    def emit(
        self,
        namespace: str,
        body: sio.Body,
        rooms: Sequence[Room] | None,
        skip: Sequence[str],
        callback: Callback | None,
    ) -> None:
        """Tell the others to emit, unless only own clients are meant.

        ``callback`` is called on a worker with each answer of their clients.

        Raises:
            ConfigError: the queue cannot be opened.
            RuntimeError: a callback, but the queue is write-only.
        """
        if rooms and all(self._server.has(room, namespace) for room in rooms):
            return
        whom = None if rooms is None else tuple(rooms)
        message = Message("emit", namespace, whom, tuple(skip), body, sender=self.id)
        if callback is None:
            self._queue.open().publish(message)
        else:
            self._ask(message, callback)

    def enter(self, sid: str, room: Room, namespace: str) -> bool:
        """Tell the others to let a client of theirs into a room; False: it is an own one."""
        return self._pass_on(Message("enter", namespace, (sid,), room=room, sender=self.id), sid)

    def leave_room(self, sid: str, room: Room, namespace: str) -> bool:
        """Tell the others to take a client of theirs out of a room; False: it is an own one."""
        return self._pass_on(Message("leave", namespace, (sid,), room=room, sender=self.id), sid)

    def disconnect(self, sid: str, namespace: str) -> bool:
        """Tell the others to disconnect a client of theirs; False: it is an own one."""
        return self._pass_on(Message("disconnect", namespace, (sid,), sender=self.id), sid)

    def disconnect_room(self, room: Room, namespace: str) -> None:
        """Tell the others to disconnect everybody in a room."""
        self._queue.open().publish(Message("disconnect", namespace, (room,), sender=self.id))

    def close_room(self, room: Room, namespace: str) -> None:
        """Tell the others to let everybody leave a room."""
        self._queue.open().publish(Message("leave", namespace, (room,), room=room, sender=self.id))

    def _pass_on(self, message: Message, sid: str) -> bool:
        if self._server.has(sid, message.namespace):
            return False
        self._queue.open().publish(message)
        return True

    def call(self, body: sio.Body, sid: str, namespace: str, timeout: float | None) -> Any:
        """Ask a client of another member and wait for its answer; see `Server.call`."""
        message = Message("emit", namespace, (sid,), body=body, sender=self.id)
        request = self._ask(message, None)
        call = request.call
        assert call is not None
        if not call.wait(timeout):
            request.loop.run(self._end, request)
            raise TimeoutError(f"no answer within {timeout} s")
        if call.answer is not None:
            return answer_value(call.answer)
        if request.asked:
            raise DisconnectedError("the client left before it answered")
        raise NotConnectedError(f"{sid!r} is not connected to {namespace!r}")

    def _ask(self, message: Message, callback: Callback | None) -> _Request:
        if self._queue.write_only:
            raise RuntimeError("a write-only message queue brings no answers back")
        channel = self._queue.open()
        request = _Request(next(self._numbers), callback)
        request.loop = self._server.engine.start(None, request)
        if callback is None:
            request.call = PendingCall(request.loop.waiter())
        self._requests[request.number] = request
        heard = channel.publish(replace(message, request=request.number))
        request.loop.run(self._published, request, heard)
        return request

    # -- replies -----------------------------------------------------------------------

    def settle(self, reply: Reply) -> None:
        """Take what another member says about a request. Any thread."""
        request = self._requests.get(reply.request)
        if request is not None:  # its call has not timed out
            request.loop.run(self._settle, request, reply)

    def _published(self, request: _Request, heard: int) -> None:
        request.heard = heard
        self._end_if_over(request)

    def _settle(self, request: _Request, reply: Reply) -> None:
        if reply.asked is not None:
            request.replies += 1
            request.asked += reply.asked
            request.owed += reply.asked
        elif reply.answer is not None and request.callback is not None:
            request.loop.defer(self._call_back, request, reply.answer)
            return
        else:
            request.owed -= 1
            call = request.call
            if reply.answer is not None and call is not None and call.answer is None:
                call.resolve(list(reply.answer))
        self._end_if_over(request)

    def _call_back(self, request: _Request, answer: tuple[Any, ...]) -> None:
        """Run a callback in a context of its own. On a worker."""
        try:
            if request.callback is not None:
                Context().run(request.callback, *answer)
        except Exception:
            logger.exception("the callback of an emit failed")
        finally:
            request.loop.run(self._settle, request, Reply(request.number))

    def _end_if_over(self, request: _Request) -> None:
        if request.replies == request.heard and not request.owed:
            self._end(request)

    def _end(self, request: _Request) -> None:
        if self._requests.pop(request.number, None) is not None:
            if request.call is not None and request.call.answer is None:
                request.call.fail()
            self._server.engine.give_back(request)

    # -- in ----------------------------------------------------------------------------

    def deliver(self, message: Message) -> None:
        """Take what another member asks for. Any thread; never blocks."""
        if self._server.engine.has_loop:
            self._server.engine.loop.run(self._act, message)
        elif message.request is not None:
            self._reply(message, asked=0)

    def _act(self, message: Message) -> None:
        space = self._server.spaces.get(message.namespace)
        found = () if space is None else space.adapter.recipients(message.rooms)
        sockets = [socket for socket in found if isinstance(socket, Socket)]
        if message.kind == "emit":
            self._emit(message, [each for each in sockets if each.id not in message.skip])
            return
        for socket in sockets:
            # A client's id is its own room: nobody else enters it, and it is not closed.
            if message.room in socket.space.adapter.everyone:
                continue
            if message.kind == "disconnect":
                socket.client.disconnect(socket)
            elif message.kind == "leave":
                socket.space.adapter.leave(socket, message.room)
            elif socket.state in ("connecting", "connected"):
                try:
                    socket.join(message.room)
                except ValueError:  # its own server's limit; who asked is elsewhere
                    self._server.engine.warn_once("max_rooms keeps a client out of a room")

    def _emit(self, message: Message, sockets: list[Socket]) -> None:
        body = message.body or ("[]", ())
        if message.request is None:
            encoded = sio.compose(sio.Packet(sio.EVENT, message.namespace), body)
            for socket in sockets:
                socket.deliver(encoded)
            return
        self._reply(message, asked=len(sockets))
        for socket in sockets:
            answer = _FarAnswer(partial(self._reply, message, None))
            number = socket.ask(answer)
            packet = sio.Packet(sio.EVENT, message.namespace, id=number)
            if not socket.deliver(sio.compose(packet, body)):
                socket.take_ack(number)
                answer.fail()

    def _reply(
        self, message: Message, asked: int | None = None, answer: tuple[Any, ...] | None = None
    ) -> None:
        if message.request is not None:
            self._queue.open().reply(message.sender, Reply(message.request, asked, answer))
