"""Namespaces that come into being when a client asks for one that a pattern recognises.

A pattern is a compiled regular expression, a function of name and auth data, or a path with
converters like those of Flask's rules, ``/job/<int:id>``. Exact names come first, patterns in
the order of their registration. Asking one is user code: never in the owner's turn.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from flask_sio.protocol import sio
from flask_sio.server.calling import fitting, name_of

if TYPE_CHECKING:
    from flask_sio.server.class_namespace import Namespace
    from flask_sio.server.handlers import Handler

__all__ = [
    "NO_VALUES",
    "UNDECIDED",
    "Parent",
    "Patterns",
    "Spec",
    "check_spec",
    "is_pattern",
    "names_of",
]

Spec = str | re.Pattern[str] | Callable[[str, Any], Any]
"""What handlers are registered for: a namespace's name, or a pattern of names."""

MAX_CHARS = 256
"""Longer names fit no pattern: they are a client's invention, and a regular expression's time."""
NO_VALUES: Mapping[str, Any] = MappingProxyType({})

_ARGUMENT = re.compile(r"<(?:[^:<>]+:)?([A-Za-z_]\w*)>")

Found = Mapping[str, Any] | None
Converters = Mapping[str, Any]


def is_pattern(namespace: Any) -> bool:
    """Whether handlers of this are for namespaces that are recognised, not for one."""
    return "<" in namespace if isinstance(namespace, str) else True


def check_spec(namespace: Any) -> None:
    """Refuse a name that no client can ask for.

    Raises:
        ValueError: it is one; the text has the name that may be meant.
    """
    if not isinstance(namespace, str) or namespace == "*":
        return
    if not namespace.startswith("/"):
        raise ValueError(f"no namespace is called {namespace!r}: write {'/' + namespace!r}")
    if not is_pattern(namespace):
        sio.check_namespace(namespace)


def names_of(namespace: Any) -> tuple[str, ...]:
    """Return the names of the values that a pattern finds in a namespace's name."""
    if isinstance(namespace, str):
        return tuple(_ARGUMENT.findall(namespace))
    return tuple(namespace.groupindex) if isinstance(namespace, re.Pattern) else ()


class Parent:
    """The namespaces of one pattern: how they are recognised, and their handlers."""

    __slots__ = ("_match", "asks", "events", "instance", "spec")

    def __init__(self, spec: Any, match: Callable[[str, Any], Found]) -> None:
        self.spec = spec
        self._match = match
        self.asks = not isinstance(spec, (str, re.Pattern))
        """Whether each client is judged, and not only the name."""
        self.events: dict[str | int, Handler] = {}
        self.instance: Namespace | None = None
        """The object of a class that handles them."""

    def match(self, name: str, auth: Any) -> Found:
        """Return the values in a name; None if it is none of this pattern's. On a worker."""
        return self._match(name, auth)

    def __repr__(self) -> str:
        return f"<Parent {self.spec!r}>"


UNDECIDED = Parent(None, lambda name, auth: None)
"""Stands for the pattern of a namespace while the first client's is being looked for."""


class Patterns:
    """The patterns of one server, and the namespaces they have recognised."""

    __slots__ = ("_parents", "children")

    def __init__(self) -> None:
        self._parents: dict[Any, Parent] = {}
        self.children: dict[str, Parent] = {}
        """The namespaces that clients are in, by name. Changes in the owner's turn."""

    def __bool__(self) -> bool:
        return bool(self._parents)

    def parent(self, spec: Any, converters: Converters | None = None) -> Parent:
        """Return the pattern's, made at the first use. Any thread.

        Raises:
            TypeError: no pattern.
            ValueError: a path that has a mistake.
        """
        parent = self._parents.get(spec)
        if parent is None:
            parent = self._parents[spec] = Parent(spec, _matcher(spec, converters))
        return parent

    def tables(self) -> list[dict[str | int, Handler]]:
        """Return the handlers of every pattern."""
        return [parent.events for parent in list(self._parents.values())]

    def find(self, spec: Any) -> Parent | None:
        """Return the pattern's if anything was registered for it."""
        return self._parents.get(spec)

    def ask(self, name: str, auth: Any, known: Parent) -> tuple[Parent, Mapping[str, Any]] | None:
        """Return the pattern of a name and its values; of a ``known`` one, that or None."""
        candidates = list(self._parents.values()) if known is UNDECIDED else [known]
        for parent in candidates:
            values = parent.match(name, auth)
            if values is not None:
                return parent, values
        return None


def _matcher(spec: Any, converters: Converters | None) -> Callable[[str, Any], Found]:
    if isinstance(spec, str):
        return _route(spec, converters)
    if isinstance(spec, re.Pattern):
        return lambda name, auth: _matched(spec, name)
    if not callable(spec) or fitting(spec, 2) is None or inspect.iscoroutinefunction(spec):
        raise TypeError(
            "a namespace is a name, a path such as '/job/<int:id>', a compiled regular "
            f"expression or a function of (name, auth), not {name_of(spec)}"
        )
    return lambda name, auth: NO_VALUES if spec(name, auth) else None


def _matched(pattern: re.Pattern[str], name: str) -> Found:
    found = pattern.fullmatch(name)
    return None if found is None else found.groupdict()


def _route(path: str, converters: Converters | None) -> Callable[[str, Any], Found]:
    # Imported here: a program without such paths needs no Werkzeug.
    from werkzeug.exceptions import HTTPException
    from werkzeug.routing import Map, Rule

    try:
        rules = Map(
            [Rule(path, endpoint="namespace")],
            strict_slashes=True,
            merge_slashes=False,
            converters=None if converters is None else dict(converters),
        )
        rules.update()
    except (LookupError, ValueError, TypeError) as error:
        raise ValueError(f"the namespace {path!r} is no path with converters: {error}") from error
    adapter = rules.bind("namespace")

    def match(name: str, auth: Any) -> Found:
        if name.startswith("//"):  # of which Werkzeug makes one slash
            return None
        try:
            values: Mapping[str, Any] = adapter.match(name)[1]
        except HTTPException:  # NotFound, or a redirect to a name with a slash more
            return None
        return values

    return match
