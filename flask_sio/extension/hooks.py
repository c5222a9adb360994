"""What runs around the handlers of events: hooks, and handlers of exceptions, by scope.

The scopes of an event, from the outside in: everywhere, its namespace, the blueprint its
handler was registered on. ``before`` runs inwards, ``after`` and ``teardown`` outwards and
the last registered first, and an exception is looked up outwards. As in Flask.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from flask_sio.server.patterns import check_spec

__all__ = ["HookTable", "Hooks", "When"]

Function = Callable[..., Any]
When = Literal["before", "after", "teardown"]


@dataclass(slots=True, eq=False)
class Hooks:
    """What was registered in one scope."""

    before: tuple[Function, ...] = ()
    """Called without arguments; what one returns, but None, becomes the ack."""
    after: tuple[Function, ...] = ()
    """Called with the result; what one returns, but None, replaces it."""
    teardown: tuple[Function, ...] = ()
    """Called with the exception that nobody handled, or None, whatever has happened."""
    errors: dict[type[Exception], Function] = field(default_factory=dict)

    def add(self, when: When, fn: Function) -> None:
        """Register a hook after those there are."""
        setattr(self, when, (*getattr(self, when), fn))

    def error_handler(self, kind: type[Exception]) -> Function | None:
        """Return the handler of the nearest class an exception is of."""
        for each in kind.__mro__:
            handler = self.errors.get(each)
            if handler is not None:
                return handler
        return None


class HookTable:
    """All scopes of one extension."""

    def __init__(self) -> None:
        self.everywhere = Hooks()
        self.by_namespace: dict[Any, Hooks] = {}
        """By name, or pattern of names."""
        self.of_blueprints: list[Hooks] = []
        self.catch_all: dict[Any, Function] = {}
        """By namespace: what gets the exceptions that no handler of their class is for."""
        self.default_catch_all: Function | None = None
        """The same where the namespace has none."""
        self.are_there = False
        """Whether any hook is registered anywhere; read for each event."""

    def of(self, namespace: Any) -> Hooks:
        """Return the scope of a namespace, for registration; None is everywhere."""
        if namespace is None or namespace == "*":
            return self.everywhere
        check_spec(namespace)
        return self.by_namespace.setdefault(namespace, Hooks())

    def look(self) -> None:
        """Take notice of hooks registered since."""
        scopes = [self.everywhere, *self.by_namespace.values(), *self.of_blueprints]
        self.are_there = any(each.before or each.after or each.teardown for each in scopes)

    def scopes(self, namespace: Any, own: Hooks | None) -> list[Hooks]:
        """Return the scopes of an event; ``own`` is that of its handler's blueprint."""
        found = (self.everywhere, self.by_namespace.get(namespace), own)
        return [scope for scope in found if scope is not None]

    def error_handler(self, error: Exception, namespace: Any, own: Hooks | None) -> Function | None:
        """Return what handles an exception: by its class first, then what catches all."""
        for scope in reversed(self.scopes(namespace, own)):
            handler = scope.error_handler(type(error))
            if handler is not None:
                return handler
        return self.catch_all.get(namespace) or self.catch_all.get("*", self.default_catch_all)
