"""The Flask context of one piece of user code: an event, an ack callback, connect, disconnect.

Each gets its own application context and ``g``, and a request context that is light: no URL
is matched and no session opened until somebody asks for it. ``app.request_context(environ)``
costs 41 µs an event, this one 1.5, and 3.5 where the handler reads ``request`` (CPython 3.11,
Flask 3.1.3, one core).

Rules this file holds:

* Private names of Flask stand here alone: the two context variables, and the attributes
  `RequestContext` and `AppContext` keep (Flask 3.0 to 3.1).
* What is dear is kept per connection and built at first need: the state of the Request in
  ``client.kept``, the managed session in ``environ["saved_session"]``. What differs per
  event is never stored on either, since events of one connection may run side by side.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, cast

from flask import Flask, Request, current_app
from flask.ctx import AppContext, RequestContext
from flask.globals import _cv_app, _cv_request
from flask.sessions import SessionMixin
from flask.signals import (
    appcontext_popped,
    appcontext_pushed,
    appcontext_tearing_down,
    request_tearing_down,
)
from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter

from flask_sio.server.class_namespace import Namespace
from flask_sio.server.handlers import (
    ANY,
    Kind,
    PlainConvention,
    Registered,
    fitting,
    kind_of,
)

if TYPE_CHECKING:
    from flask_sio.server.server import Server
    from flask_sio.server.socket import Socket

__all__ = [
    "EmitterCallback",
    "EventContext",
    "FlaskConvention",
    "ManagedSession",
    "current_event",
    "current_extension",
]

SESSION_KEY = "saved_session"
"""Where the connection's environ keeps the managed session; Flask-SocketIO's name."""

_UNSET: Any = object()


class Extension(Protocol):
    """The SocketIO object, as far as this file knows it."""

    manage_session: bool
    """Read at each event, so it may be changed at any time."""

    def handle_error(
        self, error: Exception, namespace: str, handler: Callable[..., Any], kind: Kind
    ) -> Any:
        """Return what an error handler makes of an exception, or raise it."""


class ManagedSession(dict[str, Any], SessionMixin):
    """A connection's own copy of the user's session; no cookie is ever written from it."""


class EventAppContext(AppContext):
    """The application context of one event; the URL adapter is made when it is asked for."""

    __slots__ = ("_adapter", "_cv_tokens", "app", "g")

    def __init__(self, app: Flask) -> None:
        # Not AppContext.__init__: with SERVER_NAME set it binds a URL adapter at once.
        self.app = app
        self.g = app.app_ctx_globals_class()
        self._cv_tokens = []
        self._adapter: MapAdapter | None = _UNSET

    @property
    def url_adapter(self) -> MapAdapter | None:  # type: ignore[override] # lazy here
        if self._adapter is _UNSET:
            self._adapter = self.app.create_url_adapter(None)
        return self._adapter

    def push(self) -> None:
        self._cv_tokens.append(_cv_app.set(self))
        if appcontext_pushed.receivers:
            appcontext_pushed.send(self.app, _async_wrapper=self.app.ensure_sync)

    def pop(self, exc: BaseException | None = None) -> None:
        app = self.app
        try:
            if len(self._cv_tokens) == 1 and _app_teardown_due(app):
                app.do_teardown_appcontext(exc)
        finally:
            _cv_app.reset(self._cv_tokens.pop())
        if appcontext_popped.receivers:
            appcontext_popped.send(app, _async_wrapper=app.ensure_sync)


class EventContext(RequestContext):
    """The request context of one event.

    ``message`` and ``args`` become ``request.event``. A copy
    (`flask.copy_current_request_context`) shares request and session with its original.
    """

    __slots__ = (
        "_adapter",
        "_cv_tokens",
        "_request",
        "_session",
        "app",
        "args",
        "convention",
        "message",
        "socket",
    )

    flashes = None

    def __init__(
        self,
        convention: FlaskConvention,
        socket: Socket,
        message: str | None,
        args: tuple[Any, ...],
    ) -> None:
        # Not RequestContext.__init__: it builds the Request and binds a URL adapter.
        self.app = convention.app
        self.convention = convention
        self.socket = socket
        self.message = message
        self.args = args
        self._request: Request | None = None
        self._session: SessionMixin | None = None
        self._adapter: MapAdapter | None = _UNSET
        self._cv_tokens = []

    @property
    def request(self) -> Request:  # type: ignore[override] # lazy here
        if self._request is None:
            self._request = self.convention.new_request(self)
        return self._request

    @property
    def session(self) -> SessionMixin:
        if self._session is None:
            self._session = self.convention.open_session(self)
        self._session.accessed = True
        return self._session

    @property
    def url_adapter(self) -> MapAdapter | None:  # type: ignore[override] # lazy here
        if self._adapter is _UNSET:
            self._adapter = None
            request = self.request
            try:
                self._adapter = self.app.create_url_adapter(request)
            except HTTPException as error:
                request.routing_exception = error
        return self._adapter

    @functools.cached_property
    def _after_request_functions(self) -> list[Any]:  # type: ignore[override] # lazy here
        return []  # nobody runs them: there is no response

    def copy(self) -> EventContext:
        copy = EventContext(self.convention, self.socket, self.message, self.args)
        copy._request = self.request
        copy._session = self._session
        return copy

    def match_request(self) -> None:
        """Do nothing: the path is Socket.IO's, and no view's."""

    def open(self) -> None:
        """Begin the event, in an application context of its own whatever is active."""
        app_context = EventAppContext(self.app)
        app_context.push()
        self._cv_tokens.append((_cv_request.set(self), app_context))

    def push(self) -> None:
        """Enter the context again, as a copy or a streaming generator does.

        An application context of the same app that is active already serves it too.
        """
        active = _cv_app.get(None)
        if active is None or active.app is not self.app:
            self.open()
        else:
            self._cv_tokens.append((_cv_request.set(self), None))

    def pop(self, exc: BaseException | None = None) -> None:
        tokens = self._cv_tokens
        try:
            if len(tokens) == 1:
                if _request_teardown_due(self.app):
                    self.app.do_teardown_request(exc)
                if self._request is not None:
                    self._request.close()
        finally:
            token, app_context = tokens.pop()
            _cv_request.reset(token)
            if app_context is not None:
                app_context.pop(exc)

    def save_session(self) -> None:
        """Give a session that Flask manages back to its interface, if it was changed.

        There is no response that could carry a cookie, so this serves server-side sessions.
        """
        session = self._session
        if session is None or isinstance(session, ManagedSession) or not session.modified:
            return
        interface = self.app.session_interface
        if not interface.is_null_session(session):
            interface.save_session(self.app, session, self.app.response_class())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.message!r} in {self.socket.namespace!r}>"


class EmitterCallback:
    """A callback that runs in the context of the client whose handler emitted."""

    __slots__ = ("_convention", "function", "socket")

    def __init__(self, emitter: EventContext, function: Callable[..., Any]) -> None:
        self._convention = emitter.convention
        self.socket = emitter.socket
        self.function = function

    def __call__(self, *args: Any) -> Any:
        """Run it for an answer from another server, of whose client this one knows nothing."""
        invoke, context = self._convention.invoke, self.socket.client.context.copy()
        return context.run(invoke, self.socket, None, self.function, args, "ack")


class FlaskConvention:
    """Flask-SocketIO's way to call user code: no sid, an event's context around it."""

    __slots__ = ("_request_type", "app", "extension", "server")

    server: Server
    """Set by `SocketIO.init_app`, since the server is made with its convention."""

    def __init__(self, app: Flask, extension: Extension) -> None:
        self.app = app
        self.extension = extension
        self._request_type: type[Any] | None = None

    @staticmethod
    def adapt(
        kind: Registered, fn: Any, any_event: bool = False, any_namespace: bool = False
    ) -> Callable[..., Any]:
        """Return a function for ``connect(auth)``, ``disconnect(reason)``, ``event(*args)``.

        A handler may leave out the argument of the first two.

        Raises:
            TypeError: ``fn`` cannot be called so; the text names it.
        """
        name = getattr(fn, "__qualname__", None) or repr(fn)
        if not callable(fn):
            raise TypeError(f"the {kind} handler must be a function, not {name}")
        if inspect.iscoroutinefunction(fn):
            raise TypeError(f"the {kind} handler {name} must be a plain function, not async")
        handler: Callable[..., Any] = fn
        count = 1 if kind == "event" else fitting(handler, 1, 0)
        if count is not None:
            return handler if count else lambda _argument: handler()
        argument = "auth" if kind == "connect" else "reason"
        raise TypeError(f"the {kind} handler {name} must take nothing or one ({argument})")

    def with_sid(
        self, fn: Callable[..., Any], event: str | int, namespace: str
    ) -> Callable[..., Any]:
        """Return a handler of ours for one registered with ``socketio.server``."""
        kind = kind_of(event)
        return _SidFirst(_PLAIN.adapt(kind, fn, event == ANY, namespace == ANY), kind)

    def bind(self, namespace: Namespace, event: str, kind: Registered) -> Callable[..., Any] | None:
        """Return what calls the method of an event, or a class's own `trigger_event`."""
        if namespace.socketio is None:  # registered with socketio.server
            fn = _PLAIN.bind(namespace, event, kind)
            return None if fn is None else _SidFirst(fn, kind)
        if namespace.handles_by_trigger:
            namespace._adapt = _adapt_method
            return _Method(namespace, event, functools.partial(_trigger, namespace, event))
        method = namespace.method_of(event)
        if method is None:
            return None
        return _Method(namespace, event, self.adapt(kind, method))

    def invoke(
        self,
        socket: Socket,
        event: str | None,
        handler: Callable[..., Any],
        args: tuple[Any, ...],
        kind: Kind = "event",
    ) -> Any:
        """Run user code as an event of this socket; its exceptions pass through.

        ``handler`` may be an `EmitterCallback`, which brings its own socket along.
        """
        if isinstance(handler, EmitterCallback):
            socket, event, handler = handler.socket, None, handler.function
        context = EventContext(self, socket, event, args)
        context.open()
        try:
            try:
                result = handler(*args)
            except Exception as error:
                result = self.extension.handle_error(error, socket.namespace, handler, kind)
            if context._session is not None:
                context.save_session()
        except BaseException as error:
            context.pop(error)
            raise
        context.pop()
        return result

    def new_request(self, context: EventContext) -> Request:
        """Return a Request for one event, beside those of the connection's other events."""
        client = context.socket.client
        state = client.kept
        if state is None:
            state = client.kept = _read_request(self.app, context.socket.environ)
        kind = self._request_type
        if kind is None or kind.__base__ is not self.app.request_class:
            kind = self._request_type = _event_request_type(self.app.request_class)
        request: Any = object.__new__(kind)
        request.__dict__ = state.copy()
        request.sid = context.socket.id
        request.namespace = context.socket.namespace
        args = context.args
        if context.message == "connect":
            args = (context.socket.environ, *(args or (None,)))
        request.event = {"message": context.message, "args": args}
        return cast(Request, request)

    def open_session(self, context: EventContext) -> SessionMixin:
        """Return the connection's managed session, or the one Flask opens for this event."""
        managed = self.extension.manage_session
        environ = context.socket.environ
        if managed and SESSION_KEY in environ:
            return cast(SessionMixin, environ[SESSION_KEY])
        interface = self.app.session_interface
        session = interface.open_session(self.app, context.request)
        if session is None:
            session = interface.make_null_session(self.app)
        if managed:
            # setdefault: two events of one connection may come here at once.
            session = environ.setdefault(SESSION_KEY, ManagedSession(session))
        return session

    def keep_session(self, socket: Socket) -> None:
        """Make the managed session that is otherwise made when a handler asks for it."""
        if self.extension.manage_session and SESSION_KEY not in socket.environ:
            context = EventContext(self, socket, None, ())
            context.open()
            try:
                self.open_session(context)
            finally:
                context.pop()


_PLAIN = PlainConvention()


class _SidFirst:
    """A handler registered with the server itself, which takes the socket's id first."""

    __slots__ = ("_fn", "_kind")

    def __init__(self, fn: Callable[..., Any], kind: Kind) -> None:
        self._fn = fn
        self._kind = kind

    def __call__(self, *args: Any) -> Any:
        context = current_event()
        assert context is not None
        return _PLAIN.invoke(context.socket, None, self._fn, args, self._kind)


class _Method:
    """A method of a class-based namespace, which knows whose it is."""

    __slots__ = ("_fn", "event", "namespace")

    def __init__(self, namespace: Namespace, event: str, fn: Callable[..., Any]) -> None:
        self.namespace = namespace
        self.event = event
        self._fn = fn

    def __call__(self, *args: Any) -> Any:
        return self._fn(*args)


def _trigger(namespace: Namespace, event: str, *args: Any) -> Any:
    """Call a class's own `trigger_event` with the socket's id first."""
    context = current_event()
    assert context is not None
    if event == "connect":
        args = (context.socket.environ, *args)
    return namespace.trigger_event(event, context.socket.id, *args)


def _adapt_method(event: str, method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method as `Namespace.trigger_event` calls it: without the id and the environ."""
    adapted = FlaskConvention.adapt(kind_of(event), method)
    skipped = 2 if event == "connect" else 1
    return lambda *args: adapted(*args[skipped:])


def error_hook(handler: Callable[..., Any]) -> Callable[[Exception], Any] | None:
    """Return the ``error`` method of the class-based namespace a handler belongs to."""
    if not isinstance(handler, _Method):
        return None
    hook = getattr(handler.namespace, "error", None)
    return hook if callable(hook) else None


def current_event() -> EventContext | None:
    """Return the context of the event that is being handled, None outside of one."""
    context = _cv_request.get(None)
    return context if isinstance(context, EventContext) else None


def current_extension() -> Any:
    """Return the SocketIO object of the application that is active.

    Raises:
        RuntimeError: no application context, or `SocketIO.init_app` was never called.
    """
    try:
        return current_app.extensions["socketio"]
    except KeyError:
        raise RuntimeError(
            f"the application {current_app.name!r} has no SocketIO: call init_app(app) first"
        ) from None


def _read_request(app: Flask, environ: dict[str, Any]) -> dict[str, Any]:
    """Return the state every Request of this connection begins with."""
    request = app.request_class(environ)
    environ.pop("werkzeug.request", None)  # the Request holds the environ already
    request.json_module = app.json
    if (trusted := app.config.get("TRUSTED_HOSTS")) is not None:
        request.trusted_hosts = trusted
    return vars(request)


def _event_request_type(base: type[Any]) -> type[Any]:
    """Return ``base`` with places for what differs between events.

    Slots, because the rest of the state is replaced as a whole for each event.
    """
    return type("EventRequest", (base,), {"__slots__": ("event", "namespace", "sid")})


def _app_teardown_due(app: Flask) -> bool:
    return bool(
        app.teardown_appcontext_funcs
        or appcontext_tearing_down.receivers
        or type(app).do_teardown_appcontext is not Flask.do_teardown_appcontext
    )


def _request_teardown_due(app: Flask) -> bool:
    return bool(
        app.teardown_request_funcs.get(None)
        or request_tearing_down.receivers
        or type(app).do_teardown_request is not Flask.do_teardown_request
    )
