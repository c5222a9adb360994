"""How a Flask application's handlers are called: in an event's context, without an id first."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from contextvars import Context
from typing import TYPE_CHECKING, Any

from flask import Flask
from flask.signals import got_request_exception

from flask_sio.adapters.rooms import UserRoom
from flask_sio.errors import ConnectionRefusedError, EventRefusedError, PayloadError
from flask_sio.extension.adapting import Adapting
from flask_sio.extension.callables import (
    Bound,
    EmitterCallback,
    as_sync,
    is_of_the_call,
)
from flask_sio.extension.context import (
    AnswerContext,
    EventContext,
    current_event,
    event_request_type,
    read_request,
)
from flask_sio.extension.hooks import Hooks
from flask_sio.extension.identity import has_flask_login, identifying
from flask_sio.extension.sessions import SESSION_KEY, Sessions
from flask_sio.extension.settings import OWN_OPTIONS, Extension
from flask_sio.server.around import note_handled
from flask_sio.server.handlers import ANY, FAILED_LINE, INTERNAL_ERROR, Kind, Registered
from flask_sio.server.middleware import Called
from flask_sio.server.per_client import of_client
from flask_sio.signals import (
    client_connected,
    client_disconnected,
    event_emitted,
    event_received,
)

if TYPE_CHECKING:
    from flask_sio.adapters.adapter import BroadcastOptions
    from flask_sio.server.server import Server
    from flask_sio.server.socket import Socket

__all__ = ["EmitterCallback", "FlaskConvention"]

Function = Callable[..., Any]

_REFUSALS = (ConnectionRefusedError, builtins.ConnectionRefusedError)
_REPORTED = "_flask_sio_reported"
"""Marks an exception that was logged within its event's context."""


class FlaskConvention(Adapting):
    """Flask-SocketIO's way to call user code: no sid, an event's context around it."""

    __slots__ = ("_hooks", "_request_type", "extension", "server", "sessions")

    server: Server
    """Set by `SocketIO.init_app`, since the server is made with its convention."""
    options: tuple[str, ...] = (*OWN_OPTIONS, "message_queue", "channel")

    def __init__(self, app: Flask, extension: Extension) -> None:
        self.app = app
        self.extension = extension
        self.sessions = Sessions(app, extension)
        self._hooks = extension.hooks
        self._request_type: type[Any] | None = None

    @staticmethod
    def guarded(socket: Socket, middleware: Sequence[Called], handler: Function) -> Function:
        """Return a connect handler that runs the middleware first, in the same context."""

        def connect(auth: Any) -> Any:
            for each in middleware:
                if each(socket, "connect", (auth,)) is False:
                    return False
            return handler(auth)

        if isinstance(handler, Bound):
            return Bound(connect, handler.hooks, handler.instance)
        return connect

    def inherit(self, context: Context) -> Context:
        """Return it as it is: what Flask keeps in it is set anew for each event."""
        return context

    def watches(self, kind: Registered) -> bool:
        """Whether a connect or disconnect matters where no handler is registered for it."""
        if kind == "connect":
            return bool(
                client_connected.receivers
                or self.extension.identifier is not None
                or has_flask_login(self.app)
            )
        return bool(client_disconnected.receivers)

    # -- emits -------------------------------------------------------------------------

    def callback(self, fn: Function) -> Function:
        """Return a callback that runs in the context of the client whose handler emits."""
        fn, context = as_sync(fn), current_event()
        return fn if context is None else EmitterCallback(context, fn)

    def hears_emits(self) -> bool:
        return bool(event_emitted.receivers)

    def emitted(
        self, event: str | int, args: Sequence[Any], namespace: str, options: BroadcastOptions
    ) -> None:
        """Send the signal of an emit."""
        if event_emitted.receivers:
            rooms = options.rooms
            event_emitted.send(
                self.app,
                _async_wrapper=self.app.ensure_sync,
                event=event,
                args=args,
                namespace=namespace,
                to=None if rooms is None else [each for each in rooms if not _is_user(each)],
                users=[each.user for each in rooms or () if isinstance(each, UserRoom)],
                skip_sid=list(options.skip),
            )

    # -- running -----------------------------------------------------------------------

    def invoke_bare(self, fn: Function, args: tuple[Any, ...]) -> Any:
        """Run user code that concerns no client, in an application context."""
        with self.app.app_context():
            return as_sync(fn)(*args)

    def ask(self, socket: Socket, fn: Function, args: tuple[Any, ...]) -> Any:
        """Run user code about a client in its context; another client's, and g, are not it."""
        current = current_event()
        if current is not None and current.socket is socket:
            return fn(*args)
        return self._within(EventContext(self, socket, None, ()), fn, args)

    def fail(
        self,
        socket: Socket,
        event: str,
        handler: Function,
        args: tuple[Any, ...],
        error: Exception,
    ) -> Any:
        """Ask the error handlers in a context of theirs: the handler has its own still."""
        context = EventContext(self, socket, event, args)

        def handle() -> Any:
            try:
                return self._handle(context, error, handler, "event")
            except Exception as left:
                self._report_within(context, left, handler)
                raise

        return self._within(context, handle, ())

    def _within(self, context: EventContext, fn: Function, args: tuple[Any, ...]) -> Any:
        """Run it in a context, as an event's handler but for what that does of errors."""
        context.open()
        try:
            answer = fn(*args)
            if context._session is not None:
                self.sessions.save(context, context._session)
        except BaseException as error:
            context.pop(error)
            raise
        context.pop()
        return answer

    def invoke(
        self,
        socket: Socket,
        event: str | None,
        handler: Function,
        args: tuple[Any, ...],
        kind: Kind = "event",
    ) -> Any:
        """Run user code as an event of this socket; what nobody handles passes through.

        ``handler`` may be an `EmitterCallback`, which brings its own socket along.
        """
        surround: Any = False
        if kind == "event":
            context = EventContext(self, socket, event, args)
            surround = self._hooks.are_there or event_received.receivers
        elif kind == "ack":
            context, handler = self._answer(socket, handler, args)
        else:
            context = EventContext(self, socket, event, args)
            if kind == "connect":
                handler = identifying(self, context, handler)
        context.open()
        try:
            if surround:
                result = self._surrounded(context, handler)
            elif kind == "hook":
                result = handler(*args)
            else:
                try:
                    result = handler(*args)
                except Exception as error:
                    result = self._handle(context, error, handler, kind)
            if context._session is not None:
                self.sessions.save(context, context._session)
        except BaseException as error:
            if not (kind == "connect" and isinstance(error, _REFUSALS)):
                self._report_within(context, error, handler)
            context.pop(error)
            raise
        context.pop()
        return result

    def _answer(
        self, answering: Socket, handler: Function, args: tuple[Any, ...]
    ) -> tuple[EventContext, Function]:
        """Return the context of an ack callback, and the function."""
        socket = answering
        if isinstance(handler, EmitterCallback):
            socket, handler = handler.socket, handler.function
        context = AnswerContext(self, socket, None, args)
        context.answered_by = answering.id
        return context, handler

    def _surrounded(self, context: EventContext, handler: Function) -> Any:
        """Run a handler between the hooks of its scopes."""
        own = handler.hooks if isinstance(handler, Bound) else None
        scopes = self._hooks.scopes(context.socket.space.key, own)
        unhandled: BaseException | None = None
        try:
            try:
                result = self._before(context, scopes, handler)
            except Exception as error:
                result = self._handle(context, error, handler, "event")
            for scope in reversed(scopes):
                for after in reversed(scope.after):
                    replaced = after(result)
                    result = result if replaced is None else replaced
            return result
        except BaseException as error:
            unhandled = error
            raise
        finally:
            for scope in reversed(scopes):
                for teardown in reversed(scope.teardown):
                    try:
                        teardown(unhandled)
                    except Exception as error:
                        self.report(context.socket, f"{context.message} (teardown)", error)

    def _before(self, context: EventContext, scopes: list[Hooks], handler: Function) -> Any:
        if event_received.receivers:
            name, args = context.message, context.args
            if name == ANY and args:
                name, args = args[0], args[1:]
            self._send(event_received, context.socket, event=name, args=args)
        for scope in scopes:
            for before in scope.before:
                result = before()
                if result is not None:
                    return result
        return handler(*context.args)

    def announce(self, socket: Socket, kind: Registered, args: tuple[Any, ...]) -> None:
        """Send the signal of a client that was accepted, or has left."""
        signal = client_connected if kind == "connect" else client_disconnected
        if not signal.receivers:
            return
        context = EventContext(self, socket, kind, args)
        details = {} if kind == "connect" else {"reason": args[0]}
        self._within(context, lambda: self._send(signal, socket, **details), ())

    def _send(self, signal: Any, socket: Socket, **details: Any) -> None:
        details.update(sid=socket.id, namespace=socket.namespace)
        signal.send(self.app, _async_wrapper=self.app.ensure_sync, **details)

    # -- exceptions --------------------------------------------------------------------

    def _handle(
        self, context: EventContext, error: Exception, handler: Function, kind: Kind
    ) -> Any:
        """Return what the error handlers make of an exception; raise what they leave.

        The nearest handler of its class comes first, then the ``error`` method of the
        handler's own class. A refusal by `ConnectionRefusedError` is for the latter only.
        """
        bound = handler if isinstance(handler, Bound) else None
        found = None
        if not isinstance(error, (ConnectionRefusedError, EventRefusedError)):
            own = None if bound is None else bound.hooks
            found = self._hooks.error_handler(error, context.socket.space.key, own)
        method = None if bound is None else of_client(getattr(bound.instance, "error", None))
        raised = error
        for handle in (found, method):
            if not callable(handle):
                continue
            try:
                result = handle(raised)
            except Exception as another:
                raised = another
                continue
            note_handled(error)
            if kind != "connect":
                return result
            if isinstance(error, ConnectionRefusedError) and result is not True:
                raise error
            if self.extension.connect_errors == "accept":
                return result is not False
            return result is True
        raise raised

    def _report_within(self, context: EventContext, error: BaseException, handler: Any) -> None:
        """Log an exception while its context is still there, as Flask does."""
        socket = context.socket
        is_told = isinstance(error, (EventRefusedError, PayloadError))  # to its client
        if is_told or not isinstance(error, Exception) or socket.client.on_error is not None:
            return
        if got_request_exception.receivers:
            app = self.app
            got_request_exception.send(app, _async_wrapper=app.ensure_sync, exception=error)
        if isinstance(error, TypeError) and is_of_the_call(error, handler, context.args):
            self.app.logger.warning(
                "the handler of %.200r takes no %d arguments, which %s in %.200s has sent",
                context.message,
                len(context.args),
                socket.id,
                socket.namespace,
            )
        else:
            self.report(socket, context.message or "ack", error)
        error.__dict__[_REPORTED] = True

    def report(self, socket: Socket, name: str, error: Exception) -> None:
        """Log what nobody handled through ``app.logger``, unless that was done within."""
        if not error.__dict__.pop(_REPORTED, False):
            line = (name, socket.id, socket.namespace)
            self.app.logger.error(FAILED_LINE, *line, exc_info=error)

    def told(self, error: Exception) -> str:
        """Return what a client is told of an exception: details in debug mode only."""
        return f"{type(error).__name__}: {error}" if self.app.debug else INTERNAL_ERROR

    def surround(self, environ: dict[str, Any]) -> AbstractContextManager[Any]:
        """Give a request context of Flask's own for a request that no client has made yet."""
        return self.app.request_context(environ)

    # -- what contexts are made of -----------------------------------------------------

    def new_request(self, context: EventContext) -> Any:
        """Return a Request for one event, beside those of the connection's other events."""
        socket = context.socket
        state = socket.client.kept
        if state is None:
            state = socket.client.kept = read_request(self.app, socket.environ)
        kind = self._request_type
        if kind is None or kind.__base__ is not self.app.request_class:
            kind = self._request_type = event_request_type(self.app.request_class)
        request: Any = object.__new__(kind)
        request.__dict__ = state.copy()
        request.sid = socket.id
        request.namespace = socket.namespace
        if socket.space.values:
            request.view_args = dict(socket.space.values)
        request.answered_by = getattr(context, "answered_by", None)
        args = context.args
        if context.message == "connect":
            args = (socket.environ, *(args or (None,)))
        request.event = {"message": context.message, "args": args}
        return request

    def keep_session(self, socket: Socket) -> None:
        """Make the managed session that is otherwise made when a handler asks for it."""
        extension = self.extension
        is_one = extension.manage_session and extension.session_scope == "connection"
        if is_one and SESSION_KEY not in socket.environ:
            context = EventContext(self, socket, None, ())
            self._within(context, self.sessions.open, (context,))


def _is_user(room: Any) -> bool:
    return isinstance(room, UserRoom)
