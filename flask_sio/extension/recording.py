"""Hooks that are registered with the extension, and entered into each application's server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from flask_sio.adapters.rooms import RoomEvent
from flask_sio.engine.hooks import ConnectionFailure, HeadersHook
from flask_sio.extension.callables import as_sync
from flask_sio.extension.mounting import Mounted
from flask_sio.server.around import EventHook
from flask_sio.server.presence import PresenceEvent, check_presence_event
from flask_sio.server.room_events import check_room_event

if TYPE_CHECKING:
    from flask_sio.server.server import Server

__all__ = ["Record", "Recorder"]

F = TypeVar("F", bound=Callable[..., Any])
H = TypeVar("H", bound=HeadersHook)
N = TypeVar("N", bound=Callable[[str], Any])
A = TypeVar("A", bound=EventHook)


@dataclass(frozen=True, slots=True)
class Record:
    """A function, and how it is entered into a server."""

    fn: Callable[..., Any]
    enter: Callable[[Server], object]


class Recorder(Mounted):
    """The part of `SocketIO` that hooks are registered with. Each method is a decorator too."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[Record] = []
        """Every one, so that each application's server gets them all."""

    def _record(self, record: Record) -> None:
        for server in self._servers():
            record.enter(server)
        self.records.append(record)

    # -- events ------------------------------------------------------------------------

    def around_event(self, hook: A) -> A:
        """Put a context around each run of user code; see `Server.around_event`.

        It is entered outside of Flask's contexts: ``run.environ`` has the request.
        """
        if not callable(hook):
            raise TypeError(f"around_event() needs a function that gives a context, not {hook!r}")
        self._record(Record(hook, lambda server: server.around_event(hook)))
        return hook

    # -- namespaces --------------------------------------------------------------------

    def on_namespace_created(self, fn: N) -> N:
        """Call ``fn(name)`` when a pattern has recognised a namespace that nobody was in.

        In the context of its first client's connect, before the handlers. The namespace is
        forgotten when its last client has left, and is new again for the next. What it
        raises is logged.
        """
        called = _sync("on_namespace_created", fn)
        self._record(Record(fn, lambda server: server.on_namespace_created(called)))
        return fn

    # -- requests ----------------------------------------------------------------------

    def on_connection_error(
        self, fn: Callable[[ConnectionFailure], Any]
    ) -> Callable[[ConnectionFailure], Any]:
        """Call a function with each request that is refused: its code, message, environ.

        In a request context of that request, before the answer is sent. What it raises is
        logged.
        """
        called = _sync("on_connection_error", fn)
        self._record(Record(fn, lambda server: server.on_connection_error(called)))
        return fn

    def on_initial_headers(self, fn: H) -> H:
        """Let ``fn(headers, environ)`` add headers to the first answer a client gets.

        In a request context of that request; ``headers`` is an empty
        `wsgiref.headers.Headers`. What it raises is logged once, and what no answer can
        carry is left out.
        """
        called = _sync("on_initial_headers", fn)
        self._record(Record(fn, lambda server: server.on_initial_headers(called)))
        return fn

    def on_headers(self, fn: H) -> H:
        """Let ``fn(headers, environ)`` add headers to every answer; see `on_initial_headers`."""
        called = _sync("on_headers", fn)
        self._record(Record(fn, lambda server: server.on_headers(called)))
        return fn

    # -- users -------------------------------------------------------------------------

    def on_presence(self, event: PresenceEvent) -> Callable[[F], F]:
        """Call ``fn(namespace, user)`` for users who come and go; see `Server.on_presence`.

        In an application context, without a client.

        Raises:
            ValueError: neither ``"online"`` nor ``"offline"``.
        """
        check_presence_event(event)

        def register(fn: F) -> F:
            self._record(Record(fn, lambda server: server.on_presence(event, fn)))
            return fn

        return register

    # -- rooms, and other servers --------------------------------------------------------

    def on_room_event(self, event: RoomEvent) -> Callable[[F], F]:
        """Call the decorated function for what happens to rooms; see `Server.on_room_event`.

        In an application context, without a client.
        """
        check_room_event(event)

        def register(fn: F) -> F:
            self._record(Record(fn, lambda server: server.on_room_event(event, fn)))
            return fn

        return register

    def on_server_event(self, event: str, namespace: str | None = None) -> Callable[[F], F]:
        """Call the decorated function for events of other servers; see `Server.on_server_event`.

        In an application context, without a client.
        """

        def register(fn: F) -> F:
            self._record(Record(fn, lambda server: server.on_server_event(event, fn, namespace)))
            return fn

        return register


def _sync(name: str, fn: Any) -> Callable[..., Any]:
    if not callable(fn):
        raise TypeError(f"{name}() needs a function, not {fn!r}")
    return as_sync(fn)
