"""How a Django project's handlers are called: as the plain convention does, in its events."""

from __future__ import annotations

import functools
import logging
from contextlib import AbstractContextManager
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

from django.core.exceptions import PermissionDenied
from django.core.handlers.wsgi import get_script_name

from flask_sio.mounts.django.connections import Connections, watch_connections
from flask_sio.mounts.django.events import Event, call_handler, is_event_of
from flask_sio.mounts.django.middleware import Middleware
from flask_sio.server.handlers import Function, Kind, Registered
from flask_sio.server.plain import PlainConvention

if TYPE_CHECKING:
    from flask_sio.server.socket import Socket

__all__ = ["DjangoConvention"]

logger = logging.getLogger("flask_sio.server")


class DjangoConvention(PlainConvention):
    """Call handlers as the plain convention does, with Django's `request` around them.

    ``Server(convention=DjangoConvention())`` makes a server besides the project's own one.
    The session and authentication middleware of the settings make the request's session and
    user; a session that a handler changes is saved after it returns. Middleware named in
    ``SOCKETIO_MIDDLEWARE`` runs around every handler.
    """

    def __init__(self) -> None:
        watch_connections()

    @functools.cached_property
    def middleware(self) -> Middleware:
        """What the settings name, loaded at the first event that needs it."""
        return Middleware(call_handler)

    def inherit(self, context: Context) -> Context:
        """Return a connection's context without what Django keeps there.

        The thread of the handshake has served other visitors, and nobody cleans up after them:
        their language, time zone and cache connections would be this client's. All of it is in
        asgiref's ``Local`` objects, which up to 3.8 even share one dict with copies of a context.
        """
        clean = Context()
        for variable, value in context.items():
            if variable.name != "asgiref.local":
                clean.run(variable.set, value)
        return clean

    def watches(self, kind: Registered) -> bool:
        """Whose a client is must be asked at every connect, with a handler or without."""
        return kind == "connect"

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
            client.kept = get_script_name(socket.environ)
        call = functools.partial(super().invoke, socket, event, handler, args, kind)
        run = Event(self.middleware, socket, kind, call).run
        return copy_context().run(run, client.kept)

    def ask(self, socket: Socket, fn: Function, args: tuple[Any, ...]) -> Any:
        """Run user code about a client as an event of its own, unless one is there."""
        if is_event_of(socket):
            return fn(*args)
        return self.invoke(socket, None, lambda *_: fn(*args), (), "hook")

    def invoke_bare(self, fn: Function, args: tuple[Any, ...]) -> Any:
        """Run user code that is no client's; its database connections are closed after it."""

        def run(*args: Any) -> Any:
            with Connections():
                return fn(*args)

        return super().invoke_bare(run, args)

    def surround(self, environ: dict[str, Any]) -> AbstractContextManager[Any]:
        """Close what a hook of requests opens: Django, whose request it is not, would not."""
        return Connections()

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
