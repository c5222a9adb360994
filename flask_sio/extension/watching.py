"""Middleware and listeners of Flask: without a socket first, in the context of an event."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

from flask_sio.extension.callables import as_sync
from flask_sio.server.calling import cut, fitting, name_of
from flask_sio.server.middleware import Called, What
from flask_sio.server.patterns import check_spec
from flask_sio.server.watching import Watching

if TYPE_CHECKING:
    from flask_sio.server.server import Server

__all__ = ["FlaskHook", "FlaskWatching", "flask_hook", "next_number"]

next_number = count().__next__
"""Numbers registrations, which a later application's server gets in the same order."""


def flask_hook(what: What, fn: Any) -> Called:
    """Return how a function is called, in a context that is there already.

    Raises:
        TypeError: it cannot be called so.
    """
    if not callable(fn):
        raise TypeError(f"middleware and listeners are functions, not {name_of(fn)}")
    called = as_sync(fn)
    if what == "connect":
        connect = cut(fn, 0, 1, call=called)
        if connect is None:
            raise TypeError(f"use() needs a function of nothing or (auth); {name_of(fn)} is none")
        return lambda socket, event, args: connect(*args)
    if what == "event":
        if fitting(fn, 2) is None:
            raise TypeError(f"use_event() needs a function of (event, args); {name_of(fn)} is none")
        return lambda socket, event, args: called(event, args)
    if what == "join":
        if fitting(fn, 2) is None:
            raise TypeError(f"use_join() needs a function of (socket, room); {name_of(fn)} is none")
        return lambda socket, event, args: called(socket, *args)
    if what in ("high_water", "drain"):
        if fitting(fn, 0) is None:
            raise TypeError(f"on_{what}() needs a function of nothing; {name_of(fn)} is none")
        return lambda socket, event, args: called()
    return lambda socket, event, args: called(event, *args)


@dataclass(frozen=True, slots=True)
class FlaskHook:
    """Middleware or a listener, and where it belongs."""

    what: What
    fn: Callable[..., Any]
    call: Called
    namespace: Any
    """None is the default, which a blueprint learns when it is registered."""
    first: bool
    number: int = field(default_factory=next_number, compare=False)

    def enter(self, server: Server, namespace: Any = "/") -> None:
        """Register it with a server, in its own namespace or else in ``namespace``."""
        where = self.namespace or namespace
        server.handlers.middleware.add(self.what, where, self.call, self.fn, self.first)

    def leave(self, server: Server, namespace: Any = "/") -> None:
        """Take it out of a server again."""
        server.handlers.middleware.remove(self.what, self.namespace or namespace, self.fn)


class FlaskWatching(Watching):
    """What the extension and its blueprints keep of middleware and listeners."""

    def __init__(self) -> None:
        super().__init__()
        self.watchers: list[FlaskHook] = []
        """In the order of their registration."""

    def _enter_hook(self, hook: FlaskHook) -> None:
        """Enter a new one where it belongs now."""
        raise NotImplementedError

    def _leave_hook(self, hook: FlaskHook) -> None:
        raise NotImplementedError

    def _add_hook(self, what: What, fn: Any, namespace: Any, first: bool = False) -> None:
        check_spec(namespace)
        hook = FlaskHook(what, fn, flask_hook(what, fn), namespace, first)
        self._enter_hook(hook)
        self.watchers.append(hook)

    def _remove_hook(self, what: What, fn: Any, namespace: Any) -> None:
        there = [each for each in self._of(what, namespace) if fn is None or each.fn == fn]
        for hook in there if fn is None else there[-1:]:
            self.watchers.remove(hook)
            self._leave_hook(hook)

    def _hooks_there(self, what: What, namespace: Any) -> list[Callable[..., Any]]:
        there: list[Callable[..., Any]] = []
        for each in self._of(what, namespace):
            there.insert(0 if each.first else len(there), each.fn)
        return there

    def _of(self, what: What, namespace: Any) -> list[FlaskHook]:
        where = self._default_namespace(namespace)
        return [
            each
            for each in self.watchers
            if each.what == what and self._default_namespace(each.namespace) == where
        ]

    def _default_namespace(self, namespace: Any) -> Any:
        raise NotImplementedError
