"""Registering middleware and listeners: the same methods for a `Server` and for Flask.

What differs is how a function is called. Any thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, overload

from flask_sio.server.middleware import What
from flask_sio.server.patterns import Spec

__all__ = ["Watching"]

F = TypeVar("F", bound=Callable[..., Any])


class Watching:
    """What middleware and listeners are registered with."""

    # -- what differs ------------------------------------------------------------------

    def _add_hook(self, what: What, fn: Any, namespace: Any, first: bool = False) -> None:
        raise NotImplementedError

    def _remove_hook(self, what: What, fn: Any, namespace: Any) -> None:
        raise NotImplementedError

    def _hooks_there(self, what: What, namespace: Any) -> list[Callable[..., Any]]:
        raise NotImplementedError

    def _register_hook(self, what: What, fn: Any, namespace: Any, first: bool = False) -> Any:
        def register(fn: F) -> F:
            self._add_hook(what, fn, namespace, first)
            return fn

        return register if fn is None else register(fn)

    # -- middleware --------------------------------------------------------------------

    @overload
    def use(self, fn: None = None, namespace: Spec | None = None) -> Callable[[F], F]: ...
    @overload
    def use(self, fn: F, namespace: Spec | None = None) -> F: ...
    def use(self, fn: Any = None, namespace: Spec | None = None) -> Any:
        """Run a function for each client that connects to a namespace, before its handler.

        All run in the order of their registration, those of ``namespace="*"`` first. One
        refuses the client by ``raise ConnectionRefusedError(message, data)``, by returning
        False, or by any exception. It takes the `Socket`; in Flask it takes the client's
        auth data or nothing, and runs in the context of the connect handler.

        Raises:
            TypeError: the function cannot be called so.
        """
        return self._register_hook("connect", fn, namespace)

    @overload
    def use_event(self, fn: None = None, namespace: Spec | None = None) -> Callable[[F], F]: ...
    @overload
    def use_event(self, fn: F, namespace: Spec | None = None) -> F: ...
    def use_event(self, fn: Any = None, namespace: Spec | None = None) -> Any:
        """Run a function for each event of a namespace, before its handler, if it has one.

        It takes ``(socket, event, args)``, in Flask ``(event, args)``. The tuple or list it
        returns takes the place of the arguments, None leaves them. It refuses the event by
        ``raise EventRefusedError(message, data)``, which becomes the ack; what else it
        raises counts as raised by the handler. Order and ``"*"`` are as in `use`.

        Raises:
            TypeError: the function cannot be called so.
        """
        return self._register_hook("event", fn, namespace)

    @overload
    def use_join(self, fn: None = None, namespace: Spec | None = None) -> Callable[[F], F]: ...
    @overload
    def use_join(self, fn: F, namespace: Spec | None = None) -> F: ...
    def use_join(self, fn: Any = None, namespace: Spec | None = None) -> Any:
        """Ask ``fn(socket, room)`` before a client of a namespace enters a room.

        Whoever calls `Server.enter_room`, ``join_room`` or `Socket.join`, in that thread; it
        may wait. One refuses by returning False or by ``raise EventRefusedError(message,
        data)``: the caller gets an `EventRefusedError`, and the client enters none of the
        rooms. In Flask the event's context is that of the client who enters. Not asked of
        a client's own room, nor of ``sockets_join``, which is the program's own decision.
        Order and ``"*"`` are as in `use`.

        Raises:
            TypeError: the function cannot be called so.
        """
        return self._register_hook("join", fn, namespace)

    # -- listeners ---------------------------------------------------------------------

    @overload
    def on_any(self, fn: None = None, namespace: Spec | None = None) -> Callable[[F], F]: ...
    @overload
    def on_any(self, fn: F, namespace: Spec | None = None) -> F: ...
    def on_any(self, fn: Any = None, namespace: Spec | None = None) -> Any:
        """Call a function with every event of a namespace, before middleware and handler.

        Also with those that nobody handles, and as they came. It takes ``(event, sid,
        *args)``, for ``namespace="*"`` ``(event, namespace, sid, *args)``; in Flask ``(event,
        *args)``. What it returns is nobody's, and its failure is logged and nothing more.
        """
        return self._register_hook("incoming", fn, namespace)

    @overload
    def prepend_any(self, fn: None = None, namespace: Spec | None = None) -> Callable[[F], F]: ...
    @overload
    def prepend_any(self, fn: F, namespace: Spec | None = None) -> F: ...
    def prepend_any(self, fn: Any = None, namespace: Spec | None = None) -> Any:
        """Do what `on_any` does, before the listeners there are."""
        return self._register_hook("incoming", fn, namespace, first=True)

    def off_any(self, fn: Callable[..., Any] | None = None, namespace: Spec | None = None) -> None:
        """Forget a listener of `on_any`, or all of the namespace."""
        self._remove_hook("incoming", fn, namespace)

    def listeners_any(self, namespace: Spec | None = None) -> list[Callable[..., Any]]:
        """Return the listeners of `on_any`, in order."""
        return self._hooks_there("incoming", namespace)

    @overload
    def on_any_outgoing(
        self, fn: None = None, namespace: Spec | None = None
    ) -> Callable[[F], F]: ...
    @overload
    def on_any_outgoing(self, fn: F, namespace: Spec | None = None) -> F: ...
    def on_any_outgoing(self, fn: Any = None, namespace: Spec | None = None) -> Any:
        """Call a function with every event that is sent to a client, once for each client.

        It takes what a listener of `on_any` takes, the arguments as the client gets them,
        and runs on a worker soon after. It must not emit to its own namespace: that would
        be the next to tell it of.
        """
        return self._register_hook("outgoing", fn, namespace)

    @overload
    def prepend_any_outgoing(
        self, fn: None = None, namespace: Spec | None = None
    ) -> Callable[[F], F]: ...
    @overload
    def prepend_any_outgoing(self, fn: F, namespace: Spec | None = None) -> F: ...
    def prepend_any_outgoing(self, fn: Any = None, namespace: Spec | None = None) -> Any:
        """Do what `on_any_outgoing` does, before the listeners there are."""
        return self._register_hook("outgoing", fn, namespace, first=True)

    def off_any_outgoing(
        self, fn: Callable[..., Any] | None = None, namespace: Spec | None = None
    ) -> None:
        """Forget a listener of `on_any_outgoing`, or all of the namespace."""
        self._remove_hook("outgoing", fn, namespace)

    def listeners_any_outgoing(self, namespace: Spec | None = None) -> list[Callable[..., Any]]:
        """Return the listeners of `on_any_outgoing`, in order."""
        return self._hooks_there("outgoing", namespace)

    # -- slow clients ------------------------------------------------------------------

    @overload
    def on_high_water(self, fn: None = None, namespace: Spec | None = None) -> Callable[[F], F]: ...
    @overload
    def on_high_water(self, fn: F, namespace: Spec | None = None) -> F: ...
    def on_high_water(self, fn: Any = None, namespace: Spec | None = None) -> Any:
        """Call ``fn(sid)`` when ``high_water_bytes`` wait for a client that is slow.

        Once, until it has caught up. For ``namespace="*"`` ``fn(namespace, sid)``; in Flask
        ``fn()``, in the client's context. It does not wait for the client's handlers.
        """
        return self._register_hook("high_water", fn, namespace)

    @overload
    def on_drain(self, fn: None = None, namespace: Spec | None = None) -> Callable[[F], F]: ...
    @overload
    def on_drain(self, fn: F, namespace: Spec | None = None) -> F: ...
    def on_drain(self, fn: Any = None, namespace: Spec | None = None) -> Any:
        """Call ``fn(sid)`` when nothing waits any more for a client that `on_high_water` told of.

        Not for one that leaves before. Arguments are as in `on_high_water`.
        """
        return self._register_hook("drain", fn, namespace)
