"""What `Server.of` returns, as far as handlers are concerned, and for a pattern of namespaces."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, overload

if TYPE_CHECKING:
    from flask_sio.server.server import Server

__all__ = ["HandlersOf", "ParentNamespace"]


F = TypeVar("F", bound=Callable[..., Any])


class HandlersOf:
    """Registers handlers, middleware and listeners for one namespace, or for a pattern's.

    The methods are those of `Server`, without their ``namespace``.
    """

    __slots__ = ()

    _server: Server
    _namespace: Any

    @overload
    def on(
        self,
        event: str | int,
        handler: None = None,
        *,
        concurrent: bool | None = None,
        add: bool = False,
        timeout: float | None = None,
    ) -> Callable[[F], F]: ...
    @overload
    def on(
        self,
        event: str | int,
        handler: F,
        *,
        concurrent: bool | None = None,
        add: bool = False,
        timeout: float | None = None,
    ) -> F: ...
    def on(self, event: str | int, handler: Any = None, **options: Any) -> Any:
        """Register a handler; see `Server.on`."""
        return self._server.on(event, handler, self._namespace, **options)

    @overload
    def event(self, handler: F) -> F: ...
    @overload
    def event(
        self, *, concurrent: bool | None = None, add: bool = False, timeout: float | None = None
    ) -> Callable[[F], F]: ...
    def event(self, handler: Any = None, **options: Any) -> Any:
        """Register a handler for the event of its own name; see `Server.event`."""
        register = self._server.event(namespace=self._namespace, **options)
        return register if handler is None else register(handler)

    @overload
    def once(
        self,
        event: str | int,
        handler: None = None,
        *,
        concurrent: bool | None = None,
        add: bool = False,
    ) -> Callable[[F], F]: ...
    @overload
    def once(
        self,
        event: str | int,
        handler: F,
        *,
        concurrent: bool | None = None,
        add: bool = False,
    ) -> F: ...
    def once(self, event: str | int, handler: Any = None, **options: Any) -> Any:
        """Register a handler for the first event of a name; see `Server.once`."""
        return self._server.once(event, handler, self._namespace, **options)

    def off(self, event: str | int, handler: Callable[..., Any] | None = None) -> None:
        """Forget a handler, or all of an event; see `Server.off`."""
        self._server.off(event, handler, self._namespace)

    def listeners(self, event: str | int) -> list[Callable[..., Any]]:
        """Return the handlers of an event; see `Server.listeners`."""
        return self._server.listeners(event, self._namespace)

    @overload
    def use(self, fn: None = None) -> Callable[[F], F]: ...
    @overload
    def use(self, fn: F) -> F: ...
    def use(self, fn: Any = None) -> Any:
        """Register middleware of connects; see `Server.use`."""
        return self._server.use(fn, self._namespace)

    @overload
    def use_event(self, fn: None = None) -> Callable[[F], F]: ...
    @overload
    def use_event(self, fn: F) -> F: ...
    def use_event(self, fn: Any = None) -> Any:
        """Register middleware of events; see `Server.use_event`."""
        return self._server.use_event(fn, self._namespace)

    @overload
    def use_join(self, fn: None = None) -> Callable[[F], F]: ...
    @overload
    def use_join(self, fn: F) -> F: ...
    def use_join(self, fn: Any = None) -> Any:
        """Register who is asked before a client enters a room; see `Server.use_join`."""
        return self._server.use_join(fn, self._namespace)

    @overload
    def on_any(self, fn: None = None) -> Callable[[F], F]: ...
    @overload
    def on_any(self, fn: F) -> F: ...
    def on_any(self, fn: Any = None) -> Any:
        """Register a listener of every event that comes; see `Server.on_any`."""
        return self._server.on_any(fn, self._namespace)

    def off_any(self, fn: Callable[..., Any] | None = None) -> None:
        """Forget a listener of `on_any`, or all."""
        self._server.off_any(fn, self._namespace)

    @overload
    def on_any_outgoing(self, fn: None = None) -> Callable[[F], F]: ...
    @overload
    def on_any_outgoing(self, fn: F) -> F: ...
    def on_any_outgoing(self, fn: Any = None) -> Any:
        """Register a listener of every event that is sent; see `Server.on_any_outgoing`."""
        return self._server.on_any_outgoing(fn, self._namespace)

    def off_any_outgoing(self, fn: Callable[..., Any] | None = None) -> None:
        """Forget a listener of `on_any_outgoing`, or all."""
        self._server.off_any_outgoing(fn, self._namespace)


class ParentNamespace(HandlersOf):
    """The namespaces of a pattern, which `Server.of` returns for one.

    Each of them is reached by its name: ``server.of("/job/7").to(...)``.
    """

    __slots__ = ("_namespace", "_server")

    def __init__(self, server: Server, pattern: Any) -> None:
        self._server = server
        self._namespace = pattern

    @property
    def pattern(self) -> Any:
        return self._namespace

    @property
    def server(self) -> Server:
        return self._server

    @property
    def children(self) -> list[str]:
        """The names of its namespaces that clients of this server are in. A snapshot."""
        engine = self._server.engine
        return engine.loop.call(self._children) if engine.has_loop else []

    def _children(self) -> list[str]:
        children = self._server.handlers.patterns.children.items()
        return [name for name, parent in children if parent.spec == self._namespace]

    def emit(self, event: str | int, *args: Any) -> None:
        """Send an event to everybody in each of the `children`. Never blocks.

        Raises:
            TypeError: data that is no JSON.
            ValueError: a reserved event name.
        """
        for name in self.children:
            self._server.emit_args(event, args, name)

    def send(self, *args: Any) -> None:
        """Send a ``message`` event to everybody in each of the `children`."""
        self.emit("message", *args)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"the namespaces of a pattern have no {name!r} together: "
            "name the one that is meant, of('/its/name')"
        )

    def __repr__(self) -> str:
        return f"<ParentNamespace {self._namespace!r}>"
