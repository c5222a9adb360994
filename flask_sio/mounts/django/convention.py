"""Django at home: handlers with Django's request, session and user; sockets.py of each app.

In the settings, ``"flask_sio.mounts.django.SocketIOConfig"`` among ``INSTALLED_APPS``, and
``SOCKETIO = {...}`` for options of `Server`; in ``wsgi.py`` this module's
`get_wsgi_application`; in an app's ``sockets.py``::

    from flask_sio.mounts.django import login_required, request, server

    @server.on("chat")
    @login_required
    def chat(sid, text):
        server.emit("chat", [request.user.get_username(), text])

Rules this file holds:

* Each event has a request of its own, made from the connection's first one when a handler
  reads it. Session and user are loaded when *they* are read, so a logout counts from the
  next event on, and a handler that reads neither costs no query.
* A worker ends or is cleaned of its thread-local values, where Django keeps database
  connections; so those an event has opened are closed with it, whatever CONN_MAX_AGE says.
* ``request_started`` and ``request_finished`` are for HTTP and are not sent. What Django
  does at them for its own parts (database connections, caches) is done here.
"""

from __future__ import annotations

import functools
import inspect
import logging
import os
import threading
from collections.abc import Callable
from contextvars import Context, ContextVar
from typing import TYPE_CHECKING, Any, TypeVar, cast

from django.apps import AppConfig
from django.conf import settings
from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured, MiddlewareNotUsed, PermissionDenied
from django.core.handlers.wsgi import WSGIRequest, get_script_name
from django.core.wsgi import get_wsgi_application as django_application
from django.db.backends.signals import connection_created
from django.http import HttpRequest, HttpResponse
from django.urls import set_script_prefix
from django.utils.functional import LazyObject
from django.utils.module_loading import autodiscover_modules, import_string
from django.utils.safestring import mark_safe

from flask_sio.client_files import ClientFiles, script_tag
from flask_sio.errors import ConnectionRefusedError
from flask_sio.mounts.wsgi import WSGIApp
from flask_sio.server.handlers import Function, Kind
from flask_sio.server.plain import PlainConvention
from flask_sio.server.server import Server

if TYPE_CHECKING:
    from flask_sio.server.socket import Socket

    server: Server

__all__ = [
    "DjangoConvention",
    "SocketIOConfig",
    "autodiscover",
    "current_user_id",
    "get_wsgi_application",
    "login_required",
    "request",
    "server",
    "socketio",
]

logger = logging.getLogger("flask_sio.server")

F = TypeVar("F", bound=Callable[..., Any])

LOGIN_MESSAGE = "Please log in."
"""What `login_required` tells an anonymous client."""

_FOR_READERS = frozenset(
    {
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    }
)
"""The middleware that makes ``request.session`` and ``request.user``."""

_current: ContextVar[_Event] = ContextVar("flask_sio.django")


class DjangoConvention(PlainConvention):
    """Call handlers as the plain convention does, with Django's `request` around them.

    ``Server(convention=DjangoConvention())`` makes a server besides the project's own one.
    The session and authentication middleware of the settings make the request's session and
    user; a session that a handler changes is saved after it returns. Middleware named in
    ``SOCKETIO_MIDDLEWARE`` runs around every handler.
    """

    def __init__(self) -> None:
        connection_created.connect(_note_connection, dispatch_uid="flask_sio")

    @functools.cached_property
    def middleware(self) -> Middleware:
        """What the settings name, loaded at the first event that needs it."""
        return Middleware()

    def invoke(
        self,
        socket: Socket,
        event: str | None,
        handler: Function,
        args: tuple[Any, ...],
        kind: Kind,
    ) -> Any:
        """Run user code as an event of Django's; its exceptions pass through."""
        client = socket.client
        if client.kept is None:
            client.kept = _clean_context(socket)
        context, prefix = client.kept
        call = functools.partial(super().invoke, socket, event, handler, args, kind)
        return context.copy().run(_Event(self, socket, kind, call).run, prefix)

    def report(self, socket: Socket, name: str, error: Exception) -> None:
        """Log an exception; as Django does, a PermissionDenied without its traceback."""
        if isinstance(error, PermissionDenied):
            line = "denied %.200r to %s in %.200s: %s"
            logger.warning(line, name, socket.id, socket.namespace, error)
        else:
            super().report(socket, name, error)

    def told(self, error: Exception) -> str:
        if isinstance(error, PermissionDenied):
            return "Permission denied"
        return super().told(error)


class _Event:
    """One run of user code, and what Django holds for it."""

    def __init__(
        self, convention: DjangoConvention, socket: Socket, kind: Kind, call: Callable[[], Any]
    ) -> None:
        self._convention = convention
        self._call = call
        self._request: Any = None
        self.socket = socket
        self.kind = kind
        self.connections: list[tuple[int, Any]] = []
        """Database connections opened meanwhile, each after its thread's ident."""
        self.has_called = False
        self.is_over = False
        self.result: Any = None

    @property
    def request(self) -> Any:
        if self._request is None:
            # A copy, since Django and its middleware write into it.
            request = WSGIRequest(self.socket.environ.copy())
            for middleware in self._convention.middleware.for_readers:
                middleware.process_request(request)
            self._request = request
        return self._request

    def run(self, prefix: str) -> Any:
        """Call the handler and return its result. In a context of its own, once."""
        _current.set(self)
        set_script_prefix(prefix)
        status = 500  # with which the session is not saved
        try:
            try:
                self._handle()
                status = 200
            finally:
                if self._request is not None:
                    self._respond(status)
        finally:
            self._close()
        return self.result

    def _handle(self) -> None:
        around = self._convention.middleware.around
        if around is None:
            self.call_handler()
            return
        response = around(self.request)
        if self.has_called:
            return
        if self.kind == "connect":
            raise ConnectionRefusedError(response.reason_phrase)
        raise PermissionDenied(f"a middleware answered {response.status_code}")

    def call_handler(self) -> None:
        self.result = self._call()
        self.has_called = True

    def _respond(self, status: int) -> None:
        """Let the middleware see an answer, at which it saves the session."""
        response = HttpResponse(status=status)
        for middleware in reversed(self._convention.middleware.for_readers):
            if hasattr(middleware, "process_response"):
                response = middleware.process_response(self._request, response)

    def _close(self) -> None:
        self.is_over = True
        caches.close_all()
        thread = threading.get_ident()
        for opened_by, connection in self.connections:
            # In an unpatched process greenlets share a connection; none loses its transaction.
            if opened_by == thread and not connection.in_atomic_block:
                connection.close()


def _note_connection(connection: Any, **_: Any) -> None:
    """Remember, for its end, that an event has opened a database connection.

    Asking Django what is open would itself leave a thread-local value on the worker.
    """
    event = _current.get(None)
    if event is not None and not event.is_over:
        event.connections.append((threading.get_ident(), connection))


def _clean_context(socket: Socket) -> tuple[Context, str]:
    """Return the connection's context without what Django keeps there, and its URL prefix.

    The thread of the handshake has served other visitors, and nobody cleans up after them:
    their language, time zone and cache connections would be this client's. All of it is in
    asgiref's ``Local`` objects, which up to 3.8 even share one dict with copies of a context.
    """
    context = Context()
    for variable, value in socket.client.context.items():
        if variable.name != "asgiref.local":
            context.run(variable.set, value)
    return context, get_script_name(socket.environ)


class Middleware:
    """The middleware that concerns events, made once per server."""

    def __init__(self) -> None:
        named = list(getattr(settings, "SOCKETIO_MIDDLEWARE", ()))
        self.for_readers: list[Any] = []
        """What runs when a handler reads the request, in order."""
        self.around: Callable[[Any], Any] | None = None
        """The named ones, of which the innermost calls the handler; None if there are none."""
        order = []
        for path in settings.MIDDLEWARE:
            made = import_string(path)
            if _is_for_readers(made):
                self.for_readers.append(made(_no_response))
            elif path in named:
                order.append(path)
        order += [path for path in named if path not in settings.MIDDLEWARE]
        for path in reversed(order):
            self._put_around(import_string(path))

    def _put_around(self, made: Any) -> None:
        if not getattr(made, "sync_capable", True):
            raise ImproperlyConfigured(f"SOCKETIO_MIDDLEWARE: {made.__name__} is only async")
        try:
            self.around = made(self.around or _call_handler)
        except MiddlewareNotUsed:
            pass


def _is_for_readers(made: Any) -> bool:
    bases = inspect.getmro(made) if inspect.isclass(made) else ()
    return any(f"{base.__module__}.{base.__qualname__}" in _FOR_READERS for base in bases)


def _no_response(request: Any) -> Any:
    raise RuntimeError("only its process_request and process_response are called")


def _call_handler(request: Any) -> HttpResponse:
    _event().call_handler()
    return HttpResponse()


# -- for handlers ----------------------------------------------------------------------


def _event() -> _Event:
    event = _current.get(None)
    if event is None:
        raise RuntimeError(
            "no Socket.IO event is being handled here: `request` of flask_sio.mounts.django is "
            "for handlers of a server with DjangoConvention; a task they start gets values"
        )
    return event


class _CurrentRequest(LazyObject):  # type: ignore[misc] # Django is untyped
    """Stands for the request of the event that is being handled."""

    _wrapped = property(lambda _self: _event().request)
    # Known without an event, for those who look at every object of a module.
    __class__ = property(lambda _self: WSGIRequest)


request: HttpRequest = cast(HttpRequest, _CurrentRequest())
"""Django's request of the event: the connection's first one, with session and user of now."""


def current_user_id() -> Any:
    """Return the primary key of the event's user; None for an anonymous one."""
    user = getattr(_event().request, "user", None)
    return None if user is None else user.pk


def login_required(handler: F) -> F:
    """Keep anonymous users from a handler; goes below ``@server.on(...)``.

    Of a connect handler the client is refused. Of an event's, where the user has logged out
    since, the client is disconnected and the handler does not run.
    """

    @functools.wraps(handler)
    def checked(*args: Any) -> Any:
        event = _event()
        if event.request.user.is_authenticated:
            return handler(*args)
        if event.kind == "connect":
            raise ConnectionRefusedError(LOGIN_MESSAGE)
        socket = event.socket
        socket.client.server.disconnect(socket.id, socket.namespace)
        raise PermissionDenied("the user is not logged in any more")

    return cast(F, checked)


# -- for the project -------------------------------------------------------------------

_making = threading.Lock()


def _project_server() -> Server:
    """Return the project's server, made at the first call with the options in ``SOCKETIO``."""
    with _making:
        if "server" not in globals():
            options = getattr(settings, "SOCKETIO", {})
            globals()["server"] = Server(convention=DjangoConvention(), **options)
    return cast(Server, globals()["server"])


def __getattr__(name: str) -> Any:
    if name == "server":  # made late: an import of this module must not read the settings
        return _project_server()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def autodiscover() -> None:
    """Import the ``sockets`` module of each installed app that has one."""
    autodiscover_modules("sockets")


class SocketIOConfig(AppConfig):  # type: ignore[misc] # Django is untyped
    """The Django app that imports every other app's ``sockets.py`` when the project starts."""

    name = __name__
    label = "flask_sio"
    verbose_name = "Socket.IO"

    def ready(self) -> None:
        autodiscover()


def get_wsgi_application(server: Server | None = None) -> WSGIApp:
    """Return Django's WSGI application with Socket.IO in front: the project's, or this server."""
    pages = django_application()
    autodiscover()  # for projects without SocketIOConfig
    mount = WSGIApp(_project_server() if server is None else server, pages)
    mount.client_files = _client_files(mount.server)
    return mount


def _client_files(server: Server) -> ClientFiles:
    if not server.options.serve_client:
        return ClientFiles(os.devnull)  # finds no bundle
    root = getattr(settings, "BASE_DIR", None)
    return ClientFiles(server.options.client_dir, None if root is None else str(root))


def socketio(request: HttpRequest) -> dict[str, Any]:
    """Give templates ``{{ socketio_script }}`` and ``{{ socketio_path }}``; a context processor.

    The first is the tag that loads the browser client, the second what its option ``path``
    must be, which matters below a prefix or with an own ``path``.
    """
    server, prefix = _project_server(), request.META.get("SCRIPT_NAME", "")
    path = server.options.path

    def script() -> Any:
        files, serializer = _client_files(server), server.options.serializer
        return mark_safe(script_tag(path, prefix, files, serializer))

    return {"socketio_script": script, "socketio_path": f"{prefix.rstrip('/')}/{path.strip('/')}"}
