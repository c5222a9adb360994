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
from typing import TYPE_CHECKING, Any, cast

import flask
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
from werkzeug.local import LocalProxy
from werkzeug.routing import MapAdapter

if TYPE_CHECKING:
    from flask_sio.extension.convention import FlaskConvention
    from flask_sio.server.socket import Socket

__all__ = [
    "AnswerContext",
    "EventContext",
    "active_app",
    "current_event",
    "current_extension",
    "current_socket",
    "event_request_type",
    "read_request",
]

_UNSET: Any = object()


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
            if len(self._cv_tokens) == 1 and (
                app.teardown_appcontext_funcs
                or appcontext_tearing_down.receivers
                or type(app).do_teardown_appcontext is not Flask.do_teardown_appcontext
            ):
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
        "user",
    )

    flashes = None
    user: Any
    """Whose the client is that connects, once that was asked."""

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
            self._session = self.convention.sessions.open(self)
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
                app = self.app
                if (
                    app.teardown_request_funcs.get(None)
                    or request_tearing_down.receivers
                    or type(app).do_teardown_request is not Flask.do_teardown_request
                ):
                    app.do_teardown_request(exc)
                request = self._request
                if request is not None and (request.must_close or "files" in vars(request)):  # type: ignore[attr-defined]
                    request.close()
        finally:
            token, app_context = tokens.pop()
            _cv_request.reset(token)
            if app_context is not None:
                app_context.pop(exc)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.message!r} in {self.socket.namespace!r}>"


class AnswerContext(EventContext):
    """The context of an ack callback: that of the client whose handler emitted."""

    __slots__ = ("answered_by",)

    answered_by: str
    """The id of the client that answers, ``request.answered_by``."""


class EventRequest(Request):
    """What ``flask.request`` is in a handler, for type checkers."""

    sid: str
    """The public id of the client."""
    namespace: str
    event: dict[str, Any]
    """``{"message": name, "args": tuple}`` of the event that is being handled."""
    answered_by: str | None
    """In a callback the id of the client that answered, whoever has emitted."""


request = cast(EventRequest, flask.request)
"""``flask.request``, typed for handlers."""


def _current_socket() -> Socket:
    context = current_event()
    if context is None:
        raise RuntimeError(
            "current_socket is the client whose event is being handled, and no event is: "
            "socketio.of(namespace).sockets has all of them"
        )
    return context.socket


def current_event() -> EventContext | None:
    """Return the context of the event that is being handled, None outside of one."""
    context = _cv_request.get(None)
    return context if isinstance(context, EventContext) else None


current_socket: Socket = LocalProxy(_current_socket)  # type: ignore[assignment] # stands for it
"""The socket whose event is being handled, as `flask_sio.server.socket.Socket`."""


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


def active_app() -> Flask | None:
    """Return the application whose context is active."""
    context = _cv_app.get(None)
    return None if context is None else context.app


def read_request(app: Flask, environ: dict[str, Any]) -> dict[str, Any]:
    """Return the state every Request of this connection begins with."""
    request = app.request_class(environ)
    environ.pop("werkzeug.request", None)  # the Request holds the environ already
    request.json_module = app.json
    if (trusted := app.config.get("TRUSTED_HOSTS")) is not None:
        request.trusted_hosts = trusted
    return vars(request)


def event_request_type(base: type[Any]) -> type[Any]:
    """Return ``base`` with places for what differs between events.

    Slots, because the rest of the state is replaced as a whole for each event.
    """
    slots = ("answered_by", "event", "namespace", "sid")
    # Werkzeug's own close() closes uploaded files, which an event's request has none of.
    must_close = base.close is not Request.close
    return type("EventRequest", (base,), {"__slots__": slots, "must_close": must_close})
