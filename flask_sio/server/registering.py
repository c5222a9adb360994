"""What a program registers with a server beside the handlers of events.

Each method takes a function and returns it, so that it serves as a decorator. Any thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, overload

from flask_sio.adapters.rooms import RoomEvent
from flask_sio.engine.hooks import ConnectionFailure, HeadersHook
from flask_sio.engine.server import Engine
from flask_sio.server.around import Around, EventHook
from flask_sio.server.calling import check_decorator, check_function
from flask_sio.server.handlers import ANY, Convention, Handlers
from flask_sio.server.middleware import What, hook
from flask_sio.server.patterns import Spec, check_spec, is_pattern
from flask_sio.server.presence import Presence, PresenceEvent, check_presence_event
from flask_sio.server.room_events import RoomEvents, check_room_event
from flask_sio.server.watching import Watching

__all__ = ["Registering"]

F = TypeVar("F", bound=Callable[..., Any])
H = TypeVar("H", bound=HeadersHook)
A = TypeVar("A", bound=EventHook)
N = TypeVar("N", bound=Callable[[str], Any])


class Registering(Watching):
    """The part of `Server` that hooks are registered with."""

    engine: Engine
    convention: Convention
    handlers: Handlers
    presence: Presence
    room_events: RoomEvents
    server_events: dict[tuple[str, str], Callable[..., Any]]
    invoke: Callable[..., Any]
    """Runs user code: the convention's, or with hooks what is put around it."""

    # -- handlers ----------------------------------------------------------------------

    @overload
    def once(
        self,
        event: str | int,
        handler: None = None,
        namespace: Spec | None = None,
        *,
        concurrent: bool | None = None,
        add: bool = False,
    ) -> Callable[[F], F]: ...
    @overload
    def once(
        self,
        event: str | int,
        handler: F,
        namespace: Spec | None = None,
        *,
        concurrent: bool | None = None,
        add: bool = False,
    ) -> F: ...
    def once(
        self,
        event: str | int,
        handler: Any = None,
        namespace: Spec | None = None,
        *,
        concurrent: bool | None = None,
        add: bool = False,
    ) -> Any:
        """Register a handler, as a decorator or at once, for the first event of a name only.

        Whichever client sends it. The rest as `Server.on`.
        """
        check_decorator(event, "once")

        def register(fn: F) -> F:
            called = self.convention.with_sid(fn, event, namespace or "/")
            where = namespace or "/"
            self.handlers.add(event, called, where, concurrent, add, once=True, source=fn)
            return fn

        return register if handler is None else register(handler)

    def off(
        self,
        event: str | int,
        handler: Callable[..., Any] | None = None,
        namespace: Spec | None = None,
    ) -> None:
        """Forget the handlers of an event, or only ``handler``; methods of classes stay.

        Nothing happens if there is none.

        Raises:
            TypeError: ``handler`` is no function.
        """
        if handler is not None:
            check_function(handler, "off()")
        self.handlers.remove(event, handler, namespace or "/")

    def listeners(
        self, event: str | int, namespace: Spec | None = None
    ) -> list[Callable[..., Any]]:
        """Return the functions that were registered for an event, in order."""
        return self.handlers.sources(event, namespace or "/")

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
        check_function(hook, "around_event()")
        around = getattr(self.invoke, "__self__", None)
        if not isinstance(around, Around):
            around = Around(self.engine, self.convention.invoke)
        around.add(hook)
        self.invoke = around.invoke
        return hook

    # -- middleware and listeners ------------------------------------------------------

    def _add_hook(self, what: What, fn: Any, namespace: Any, first: bool = False) -> None:
        where = namespace or "/"
        self.handlers.middleware.add(
            what, where, hook(what, fn, where == ANY or is_pattern(where)), fn, first
        )

    def _remove_hook(self, what: What, fn: Any, namespace: Any) -> None:
        self.handlers.middleware.remove(what, namespace or "/", fn)

    def _hooks_there(self, what: What, namespace: Any) -> list[Callable[..., Any]]:
        return self.handlers.middleware.sources(what, namespace or "/")

    # -- namespaces --------------------------------------------------------------------

    namespace_created: tuple[Callable[[str], Any], ...] = ()
    """What `on_namespace_created` has registered."""

    def on_namespace_created(self, fn: N) -> N:
        """Call ``fn(name)`` when a pattern has recognised a namespace that nobody was in.

        Before its first client's connect handlers. The namespace is forgotten when its
        last client has left, and is new again for the next. What it raises is logged.
        """
        check_function(fn, "on_namespace_created()")
        self.namespace_created = (*self.namespace_created, fn)
        return fn

    # -- requests ----------------------------------------------------------------------

    def on_connection_error(
        self, fn: Callable[[ConnectionFailure], Any]
    ) -> Callable[[ConnectionFailure], Any]:
        """Call a function with each request that is refused: its code, message, environ.

        It runs before the answer is sent, in the server's thread. What it raises is logged.
        """
        check_function(fn, "on_connection_error()")
        hooks = self.engine.hooks
        hooks.connection_error = (*hooks.connection_error, fn)
        return fn

    def on_initial_headers(self, fn: H) -> H:
        """Let ``fn(headers, environ)`` add headers to the first answer a client gets.

        That is the handshake's, or the 101 of a WebSocket that comes first; ``headers`` is
        an empty `wsgiref.headers.Headers`. What it raises is logged once, and what no
        answer can carry is left out.
        """
        check_function(fn, "on_initial_headers()")
        hooks = self.engine.hooks
        hooks.initial_headers = (*hooks.initial_headers, fn)
        return fn

    def on_headers(self, fn: H) -> H:
        """Let ``fn(headers, environ)`` add headers to every answer; see `on_initial_headers`."""
        check_function(fn, "on_headers()")
        hooks = self.engine.hooks
        hooks.headers = (*hooks.headers, fn)
        return fn

    # -- users -------------------------------------------------------------------------

    @overload
    def on_presence(self, event: PresenceEvent, handler: None = None) -> Callable[[F], F]: ...
    @overload
    def on_presence(self, event: PresenceEvent, handler: F) -> F: ...
    def on_presence(self, event: PresenceEvent, handler: Any = None) -> Any:
        """Register ``fn(namespace, user)`` for users who come and go; also as a decorator.

        ``"online"``: the first socket of a user was accepted in a namespace. ``"offline"``: the
        last one has left, ``presence_grace`` seconds ago. ``user`` is the id as text. Once for
        all servers that reach each other's clients, which must all register the same: it runs
        at one of them. Called in order, one at a time, on a worker; any thread may register.
        What it raises is logged.

        Raises:
            ValueError: another name.
            TypeError: no function.
        """
        check_presence_event(event)

        def register(fn: F) -> F:
            check_function(fn, "on_presence()")
            self.presence.add(event, fn)
            return fn

        return register if handler is None else register(handler)

    # -- rooms, and other servers --------------------------------------------------------

    @overload
    def on_room_event(self, event: RoomEvent, handler: None = None) -> Callable[[F], F]: ...
    @overload
    def on_room_event(self, event: RoomEvent, handler: F) -> F: ...
    def on_room_event(self, event: RoomEvent, handler: Any = None) -> Any:
        """Register a function for what happens to rooms of this server; also as a decorator.

        ``"create"`` and ``"delete"``: ``fn(namespace, room)``, with the first client in it and
        the last one out. ``"join"`` and ``"leave"``: ``fn(namespace, room, sid)``. A client's
        own room is not told of. Called in order, one at a time, on a worker.

        Raises:
            ValueError: another name.
        """

        check_room_event(event)

        def register(fn: F) -> F:
            check_function(fn, "on_room_event()")
            self.room_events.add(event, fn)
            return fn

        return register if handler is None else register(handler)

    @overload
    def on_server_event(
        self, event: str, handler: None = None, namespace: str | None = None
    ) -> Callable[[F], F]: ...
    @overload
    def on_server_event(self, event: str, handler: F, namespace: str | None = None) -> F: ...
    def on_server_event(self, event: str, handler: Any = None, namespace: str | None = None) -> Any:
        """Register a function for events that other servers send; also as a decorator.

        `ServerNamespace.server_side_emit` sends them. What it returns is its answer to a
        `ServerNamespace.server_side_call`. It replaces an earlier one, and runs without any
        client, on a worker.
        """

        check_decorator(event, "on_server_event")
        check_spec(namespace)

        def register(fn: F) -> F:
            check_function(fn, "on_server_event()")
            self.server_events[namespace or "/", event] = fn
            return fn

        return register if handler is None else register(handler)
