"""The pieces of user code that a client's mailbox runs, on a worker.

Each runs in a copy of its own of the connection's base context, so that nothing it sets
reaches another. What user code raises ends here, in `_Job.run`.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any

from flask_sio.adapters.adapter import EmitResult
from flask_sio.adapters.answers import Callback
from flask_sio.errors import ConnectionRefusedError, EventRefusedError, PayloadError
from flask_sio.protocol import sio
from flask_sio.protocol.encoded import Encoded
from flask_sio.runtime import watchdog
from flask_sio.runtime.loop import TimeIsUp
from flask_sio.server.beside import beside
from flask_sio.server.handlers import ANY, INTERNAL_ERROR, NOBODY, Handler, is_refusal
from flask_sio.server.late import Ack

if TYPE_CHECKING:
    from flask_sio.server.middleware import Called, Watchers
    from flask_sio.server.reasons import Reason
    from flask_sio.server.socket import Socket

REJECTED = {"message": "Connection rejected by server"}
NO_NAMESPACE = {"message": "Invalid namespace"}
REFUSED = {"message": "Connection refused by server"}
FAILED = {"message": INTERNAL_ERROR}
INVALID = "Invalid payload"
"""What a client is told of a payload that its handler does not take, before the details."""
INVALID_PAYLOAD = "invalid_payload"
"""The event that tells it where it has asked for no ack."""


class _Job:
    """One call of user code for one socket."""

    __slots__ = ("args", "handler", "name", "size", "socket")

    concurrent = False
    is_last = False

    def __init__(
        self, socket: Socket, name: str, handler: Handler | None, args: tuple[Any, ...], size: int
    ) -> None:
        self.socket = socket
        self.name = name
        self.handler = handler
        self.args = args
        self.size = size

    @property
    def title(self) -> str:
        """Who this is, for the log."""
        return f"the handler of {str(self.name)[:200]!r} in {self.socket.namespace[:200]}"

    def run(self) -> None:
        client = self.socket.client
        context = client.context.copy()
        try:
            context.run(self._run)
        except BaseException as error:
            if error.__class__ is TimeIsUp:  # answered when it was: nobody waits for this one
                return
            if client.on_error is not None:
                client.on_error(error)
            elif not isinstance(error, Exception):
                raise
            if isinstance(error, Exception):
                context.run(self._failed, error)  # what logs it may look at the variables

    def _failed(self, error: Exception) -> None:
        client = self.socket.client
        if client.on_error is None:
            client.server.convention.report(self.socket, self.name, error)

    def _run(self) -> None:
        raise NotImplementedError


watchdog.titled[_Job.run.__code__] = lambda frame: str(frame.f_locals["self"].title)


_carried: ContextVar[Socket | None] = ContextVar("flask_sio.running_socket", default=None)


def carry(socket: Socket) -> None:
    """Let `running_socket` find the socket in the current context, whatever thread runs that."""
    _carried.set(socket)


def running_socket() -> Socket | None:
    """Return the socket whose user code runs here; None elsewhere, and in a thread it has begun.

    Few ask, so the stack is read, and nothing is noted for those who do not: 1 µs. What goes on
    in another thread by itself, as an async function does, is to `carry` it there.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code is _Job.run.__code__:
            job: _Job = frame.f_locals["self"]
            return job.socket
        frame = frame.f_back
    return _carried.get()


class EventJob(_Job):
    """An event's handler, and the ack of what it returns."""

    __slots__ = ("ack_id", "concurrent")

    def __init__(
        self,
        socket: Socket,
        name: str,
        handler: Handler,
        args: tuple[Any, ...],
        size: int,
        ack_id: int | None,
    ) -> None:
        self.socket = socket  # not by super(): one call less for each event
        self.name = name
        self.handler = handler
        self.args = args
        self.size = size
        self.ack_id = ack_id
        # What comes before the connect handler has decided waits for it, in order.
        self.concurrent = handler.concurrent and not socket.is_deciding

    def _run(self) -> None:
        socket, handler = self.socket, self.handler
        if handler is None or not socket.was_accepted:
            return  # refused: what it sent meanwhile is dropped
        server = socket.client.server
        try:
            result = server.invoke(socket, self.name, handler.fn, self.args, "event")
        except PayloadError as error:
            if self.ack_id is None:
                socket.client.tell_invalid(socket, self.name, error)
                return
            result = {"error": INVALID, "errors": error.errors}
        except EventRefusedError as error:
            result = error.payload
        if result.__class__ is Ack:
            result.bind(socket, self.ack_id)
        elif self.ack_id is not None:
            socket.client.acknowledge(socket, self.ack_id, result)

    def _failed(self, error: Exception) -> None:
        super()._failed(error)
        client = self.socket.client
        if self.ack_id is not None and client.server.options.error_acks:
            told = {"error": client.server.convention.told(error)}
            client.acknowledge(self.socket, self.ack_id, told)


class WatchedJob(EventJob):
    """An event that listeners and middleware see before its handlers, if it has any."""

    __slots__ = ("event_args", "watchers")

    def __init__(
        self,
        socket: Socket,
        name: str,
        handler: Handler,
        args: tuple[Any, ...],
        size: int,
        ack_id: int | None,
        watchers: Watchers,
    ) -> None:
        super().__init__(socket, name, handler, args, size, ack_id)
        self.watchers = watchers
        self.event_args: Sequence[Any] = args

    def _run(self) -> None:
        socket, watchers, event = self.socket, self.watchers, self.name
        handler = self.handler
        if handler is None or not socket.was_accepted:
            return
        for hook in watchers.incoming:
            beside(socket, event, hook.call, self.event_args)
        try:
            for hook in watchers.event:
                self._pass_through(hook.call)
        except EventRefusedError as error:
            if self.ack_id is not None:
                socket.client.acknowledge(socket, self.ack_id, error.payload)
            return
        if handler is NOBODY:
            return
        args = tuple(self.event_args)
        self.args = (event, *args) if handler.any_event else args
        self.name = ANY if handler.any_event else event
        try:
            super()._run()
        finally:
            for added in handler.more:
                beside(socket, self.name, added.fn, self.args, "event")

    def _pass_through(self, middleware: Called) -> None:
        """Let middleware see the event, and take what it gives for the arguments."""
        socket, event, args = self.socket, self.name, self.event_args
        client = socket.client
        run, invoke = client.context.copy().run, client.server.convention.invoke
        call = partial(middleware, socket, event, args)
        given = run(invoke, socket, event, lambda *_: call(), tuple(args), "hook")
        if given is not None:
            if not isinstance(given, (tuple, list)):
                raise TypeError(
                    "event middleware returns the arguments, a tuple or list, or None; "
                    f"it returned {given!r:.200}"
                )
            self.event_args = given


class LateJob(EventJob):
    """An event whose namespace was not known when it came; its handler is found now."""

    __slots__ = ()

    def _run(self) -> None:
        socket = self.socket
        if not socket.was_accepted:
            return
        server = socket.client.server
        handlers = server.handlers
        handler = handlers.find(socket.namespace, self.name) or NOBODY
        if not handler.is_plain:
            server.engine.loop.run(handlers.spend, handler)
        watchers = handlers.middleware.of(handlers.key(socket.namespace))
        job = WatchedJob(socket, self.name, handler, self.args, 0, self.ack_id, watchers)
        job._run()


class AckJob(_Job):
    """A callback that a client's ack is for."""

    __slots__ = ("callback",)

    def __init__(
        self, socket: Socket, callback: Callback, args: tuple[Any, ...], size: int
    ) -> None:
        super().__init__(socket, "ack", None, args, size)
        self.callback = callback

    def _run(self) -> None:
        invoke = self.socket.client.server.invoke
        invoke(self.socket, None, self.callback, self.args, "ack")


class ConnectJob(_Job):
    """The connect handler, and whether its client is accepted."""

    __slots__ = ()

    def __init__(self, socket: Socket, handler: Handler) -> None:
        super().__init__(socket, "connect", handler, (socket.auth,), 0)

    def _run(self) -> None:
        socket, server = self.socket, self.socket.client.server
        # Also what goes out where a worker is killed in between, or a refusal is no JSON.
        encode = server.codec.encode_control
        refusal: Encoded | None = encode(socket.client.refusal(socket.namespace, FAILED))
        try:
            if self.handler is None or socket.state in ("leaving", "gone"):
                return  # the client left before its turn came
            refusal = self._refusal(self.handler)
        except ConnectionRefusedError as error:
            refusal = server.codec.encode(socket.client.refusal(socket.namespace, error.payload))
        except builtins.ConnectionRefusedError:
            refusal = encode(socket.client.refusal(socket.namespace, REFUSED))
        except EventRefusedError as error:  # a room that it may not enter
            told = ConnectionRefusedError(*error.args).payload
            refusal = server.codec.encode(socket.client.refusal(socket.namespace, told))
        except PayloadError as error:
            told = {"message": INVALID, "data": {"errors": error.errors}}
            refusal = encode(socket.client.refusal(socket.namespace, told))
        except Exception as error:
            told = {"message": server.convention.told(error)}
            refusal = encode(socket.client.refusal(socket.namespace, told))
            raise
        finally:
            server.engine.loop.run(socket.client.decide, socket, refusal)
        if refusal is None and socket.was_accepted is not False:
            server.convention.announce(socket, "connect", self.args)

    def _refusal(self, first: Handler) -> Encoded | None:
        """Run the handlers until one says no; return what tells the client."""
        server, socket = self.socket.client.server, self.socket
        handlers = server.handlers
        guards = handlers.middleware.hooks("connect", handlers.key(socket.namespace))
        for handler in (first, *first.more):
            fn = handler.fn
            if guards and handler is first:
                fn = server.convention.guarded(socket, [each.call for each in guards], fn)
            if is_refusal(server.invoke(socket, "connect", fn, self.args, "connect")):
                return server.codec.encode_control(
                    socket.client.refusal(socket.namespace, REJECTED)
                )
        return None


class DoorJob(ConnectJob):
    """The connect of a client whose namespace a pattern has still to recognise."""

    __slots__ = ()

    def _refusal(self, first: Handler) -> Encoded | None:
        socket, client = self.socket, self.socket.client
        server = client.server
        known = socket.space.parent
        assert known is not None
        ask = partial(server.handlers.patterns.ask, socket.namespace, socket.auth, known)
        run, invoke = client.context.copy().run, server.convention.invoke
        found = run(invoke, socket, "connect", lambda *_: ask(), self.args, "hook")
        handler, is_new = server.engine.loop.call(client.enter, socket, found)
        if handler is None:
            return server.codec.encode_control(client.refusal(socket.namespace, NO_NAMESPACE))
        if is_new:
            for created in server.namespace_created:
                beside(socket, "connect", partial(_tell_name, created), ())
        return super()._refusal(handler)


def _tell_name(fn: Callable[[str], Any], socket: Socket, event: str, args: Sequence[Any]) -> None:
    fn(socket.namespace)


class DisconnectJob(_Job):
    """The disconnect handler, the last of a socket; then it leaves its rooms.

    The ``disconnecting`` handler, for Node's sake, comes just before it.
    """

    __slots__ = ("leaving",)

    is_last = True

    def __init__(
        self, socket: Socket, handler: Handler | None, reason: Reason, leaving: Handler | None
    ) -> None:
        super().__init__(socket, "disconnect", handler, (reason,), 0)
        self.leaving = leaving

    def _run(self) -> None:
        socket, server = self.socket, self.socket.client.server
        has_handler = self.handler is not None or self.leaving is not None
        if socket.was_accepted is None and has_handler:
            server.engine.loop.run(socket.client.part, self)
            return
        try:
            if has_handler and socket.was_accepted:
                for event, first in (("disconnecting", self.leaving), ("disconnect", self.handler)):
                    for handler in () if first is None else (first, *first.more):
                        self._say_goodbye(event, handler)
                server.convention.announce(socket, "disconnect", self.args)
        finally:
            server.engine.loop.run(socket.end)

    def _say_goodbye(self, event: str, handler: Handler) -> None:
        client = self.socket.client
        try:
            client.server.invoke(self.socket, event, handler.fn, self.args, "disconnect")
        except Exception as error:
            if client.on_error is not None:
                client.on_error(error)
            self._failed(error)


def ack_args(result: Any) -> list[Any]:
    """Return the arguments of the ack for what a handler returned."""
    if result is None or result.__class__ is EmitResult:  # return emit(...)
        return []
    return list(result) if isinstance(result, tuple) else [result]


def answer_value(answer: list[Any]) -> Any:
    """Return what `call()` returns for a client's answer."""
    if not answer:
        return None
    return answer[0] if len(answer) == 1 else tuple(answer)


def ack_packet(namespace: str, ack_id: int, result: Any) -> sio.Packet:
    """Return the ACK for what a handler returned."""
    return sio.Packet(sio.ACK, namespace, ack_args(result), ack_id)
