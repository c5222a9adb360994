"""What a program registers with a server beside the handlers of events.

Each method takes a function and returns it, so that it serves as a decorator. Any thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, overload

from flask_sio.engine.hooks import ConnectionFailure, HeadersHook
from flask_sio.engine.server import Engine
from flask_sio.server.around import Around, EventHook
from flask_sio.server.handlers import Convention, Handlers

__all__ = ["Registering"]

F = TypeVar("F", bound=Callable[..., Any])
H = TypeVar("H", bound=HeadersHook)
A = TypeVar("A", bound=EventHook)


class Registering:
    """The part of `Server` that hooks are registered with."""

    engine: Engine
    convention: Convention
    handlers: Handlers
    invoke: Callable[..., Any]
    """Runs user code: the convention's, or with hooks what is put around it."""

    # -- handlers ----------------------------------------------------------------------

    @overload
    def once(
        self,
        event: str | int,
        handler: None = None,
        namespace: str | None = None,
        *,
        add: bool = False,
    ) -> Callable[[F], F]: ...
    @overload
    def once(
        self, event: str | int, handler: F, namespace: str | None = None, *, add: bool = False
    ) -> F: ...
    def once(
        self,
        event: str | int,
        handler: Any = None,
        namespace: str | None = None,
        *,
        add: bool = False,
    ) -> Any:
        """Register a handler, as a decorator or at once, for the first event of a name only.

        Whichever client sends it. The rest as `Server.on`.
        """

        def register(fn: F) -> F:
            called = self.convention.with_sid(fn, event, namespace or "/")
            self.handlers.add(event, called, namespace or "/", None, add, once=True, source=fn)
            return fn

        return register if handler is None else register(handler)

    def off(
        self,
        event: str | int,
        handler: Callable[..., Any] | None = None,
        namespace: str | None = None,
    ) -> None:
        """Forget the handlers of an event, or only ``handler``; methods of classes stay.

        Nothing happens if there is none.
        """
        self.handlers.remove(event, handler, namespace or "/")

    # -- events ------------------------------------------------------------------------

    def around_event(self, hook: A) -> A:
        """Put a context around each run of user code, to trace or measure it.

        ``hook(run)`` gives a context manager, entered before a handler for connect,
        disconnect or an event, or a callback of yours, and left after it; an exception that
        nobody handled is what it is left with. ``run`` is an `EventRun`. The first that is
        registered is the outermost. What a hook raises is logged once and changes nothing.

        Raises:
            TypeError: no function.
        """
        around = getattr(self.invoke, "__self__", None)
        if not isinstance(around, Around):
            around = Around(self.engine, self.convention.invoke)
        around.add(hook)
        self.invoke = around.invoke
        return hook

    # -- requests ----------------------------------------------------------------------

    def on_connection_error(
        self, fn: Callable[[ConnectionFailure], Any]
    ) -> Callable[[ConnectionFailure], Any]:
        """Call a function with each request that is refused: its code, message, environ.

        It runs before the answer is sent, in the server's thread. What it raises is logged.
        """
        hooks = self.engine.hooks
        hooks.connection_error = (*hooks.connection_error, fn)
        return fn

    def on_initial_headers(self, fn: H) -> H:
        """Let ``fn(headers, environ)`` add headers to the first answer a client gets.

        That is the handshake's, or the 101 of a WebSocket that comes first; ``headers`` is
        an empty `wsgiref.headers.Headers`. What it raises is logged once, and what no
        answer can carry is left out.
        """
        hooks = self.engine.hooks
        hooks.initial_headers = (*hooks.initial_headers, fn)
        return fn

    def on_headers(self, fn: H) -> H:
        """Let ``fn(headers, environ)`` add headers to every answer; see `on_initial_headers`."""
        hooks = self.engine.hooks
        hooks.headers = (*hooks.headers, fn)
        return fn
