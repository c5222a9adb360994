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
    from flask_sio.server.server import Server

logger = logging.getLogger("flask_sio.server")


class _Request:
    """An emit whose answers come from clients of other members. Owner's turn."""

    __slots__ = ("asked", "heard", "owed", "replies", "whom")

    def __init__(self, whom: PendingCall | Callback) -> None:
        self.whom = whom
        self.heard: int | None = None
        """How many members have it; None until all are told."""
        self.replies = 0
        self.asked = 0
        self.owed = 0

    @property
    def is_over(self) -> bool:
        return self.replies == self.heard and not self.owed


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
        call = PendingCall(self._server.engine.loop.waiter())
        message = Message("emit", namespace, (sid,), body=body, sender=self.id)
        number, request = self._ask(message, call)
        if not call.wait(timeout):
            self._requests.pop(number, None)
            raise TimeoutError(f"no answer within {timeout} s")
        if call.answer is not None:
            return answer_value(call.answer)
        if request.asked:
            raise DisconnectedError("the client left before it answered")
        raise NotConnectedError(f"{sid!r} is not connected to {namespace!r}")

    def _ask(self, message: Message, whom: PendingCall | Callback) -> tuple[int, _Request]:
        if self._queue.write_only:
            raise RuntimeError("a write-only message queue brings no answers back")
        channel = self._queue.open()
        number = next(self._numbers)
        request = self._requests[number] = _Request(whom)
        heard = channel.publish(replace(message, request=number))
        self._server.engine.loop.run(self._published, number, heard)
        return number, request

    # -- replies -----------------------------------------------------------------------

    def settle(self, reply: Reply) -> None:
        """Take what another member says about a request. Any thread."""
        self._server.engine.loop.run(self._settle, reply)

    def _published(self, number: int, heard: int) -> None:
        request = self._requests.get(number)
        if request is not None:
            request.heard = heard
            self._end_if_over(number, request)

    def _settle(self, reply: Reply) -> None:
        request = self._requests.get(reply.request)
        if request is None:  # the call has timed out
            return
        if reply.asked is not None:
            request.replies += 1
            request.asked += reply.asked
            request.owed += reply.asked
        else:
            request.owed -= 1
            if reply.answer is not None:
                self._answer(request.whom, reply.answer)
        self._end_if_over(reply.request, request)

    def _answer(self, whom: PendingCall | Callback, answer: tuple[Any, ...]) -> None:
        if isinstance(whom, PendingCall):
            whom.resolve(list(answer))
        else:
            self._server.engine.loop.defer(_call_back, whom, answer)

    def _end_if_over(self, number: int, request: _Request) -> None:
        if request.is_over:
            del self._requests[number]
            if isinstance(request.whom, PendingCall):
                request.whom.fail()  # lets the caller go, if no answer has

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
                socket.space.adapter.join(socket, message.room)

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


def _call_back(callback: Callback, answer: tuple[Any, ...]) -> None:
    """Run a callback in a context of its own. On a worker."""
    try:
        Context().run(callback, *answer)
    except Exception:
        logger.exception("a callback of an emit failed")
