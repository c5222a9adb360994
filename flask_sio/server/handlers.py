"""Handlers by namespace and event, and the convention by which they are called.

The server knows no framework: a `Convention` reads a handler's signature once, when it is
registered, and runs it in whatever context its framework needs.

Who handles an event, first match: a function for this event of this namespace; one for any
event (``"*"``) of this namespace; a function for this event of any namespace; one for any
event of any; a class registered for this namespace; one registered for any. ``connect``
and ``disconnect`` are no events: ``"*"`` never stands for them.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field, replace
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Literal

from flask_sio.errors import ConfigError
from flask_sio.option_checks import CHECKS
from flask_sio.protocol import sio
from flask_sio.server.convention import Convention, Function, Kind, Registered
from flask_sio.server.middleware import Middleware
from flask_sio.server.patterns import Parent, Patterns, Spec, check_spec, is_pattern, names_of

if TYPE_CHECKING:
    from flask_sio.server.class_namespace import Namespace

__all__ = [
    "ANY",
    "FAILED_LINE",
    "INTERNAL_ERROR",
    "Convention",
    "Function",
    "Handler",
    "Handlers",
    "Kind",
    "NOBODY",
    "NOTHING",
    "Registered",
    "check_event",
    "check_timeout",
    "is_refusal",
    "kind_of",
]

logger = logging.getLogger("flask_sio.server")

ANY = "*"
INTERNAL_ERROR = "Internal error"
"""What a client is told of an exception."""
FAILED_LINE = "the handler of %.200r failed for %s in %.200s"
"""What the log says of one: event, public id, namespace."""


@dataclass(frozen=True, slots=True, eq=False)
class Handler:
    """One registered function, as adapted."""

    fn: Function
    concurrent: bool = False
    any_event: bool = False
    """Whether the event's name comes first in its arguments."""
    more: tuple[Handler, ...] = ()
    """Those that were added to it; they run after it, and their results are nobody's."""
    source: Function | None = None
    """The function as it was registered."""
    once: bool = False
    """Whether it is forgotten when its first event comes."""
    is_plain: bool = field(init=False)
    """Whether it is a function for each event of one name, and alone; read for each event."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_plain", not (self.any_event or self.more or self.once))

    @property
    def chain(self) -> tuple[Handler, ...]:
        """It, alone, and those that were added to it."""
        return (replace(self, more=()), *self.more)


class Handlers:
    """The handlers of one server."""

    def __init__(
        self, convention: Convention, concurrent: bool, timeout: float | None = None
    ) -> None:
        """``concurrent`` and ``timeout`` are for events that say nothing else."""
        self.convention = convention
        self._concurrent = concurrent
        self._timeout = timeout
        self.middleware = Middleware()
        self.patterns = Patterns()
        self._exact: dict[str, dict[str | int, Handler]] = {}
        self._events: dict[str, dict[str | int, Handler]] = {}
        """The same, and those of the namespaces that patterns have recognised."""
        self._classes: dict[str, Namespace] = {}
        self._bound: dict[tuple[Any, str | int], Handler | None] = {}

    def add(
        self,
        event: str | int,
        fn: Function,
        namespace: Spec,
        concurrent: bool | None = None,
        add: bool = False,
        *,
        once: bool = False,
        source: Function | None = None,
        timeout: float | None = None,
    ) -> None:
        """Register a handler; it replaces, or joins, an earlier one of the same event.

        ``source`` is the function by which `remove` knows it, where ``fn`` wraps that one.
        Any thread.

        Raises:
            TypeError: the function cannot take what it will be given.
            ValueError: a name that no event, or no namespace, can have; or no time.
        """
        check_event(event)
        check_timeout(timeout, kind_of(event))
        check_spec(namespace)
        any_event, is_many = event == ANY, namespace == ANY or is_pattern(namespace)
        names = names_of(namespace)
        timeout = self._timeout if timeout is None else timeout
        adapted = self.convention.adapt(kind_of(event), fn, any_event, is_many, names, timeout)
        if concurrent is None:
            concurrent = self._concurrent
        concurrent = concurrent and kind_of(event) == "event"
        handler = Handler(adapted, concurrent, any_event, (), source or fn, once)
        events = self._table(namespace)
        first = events.get(event) if add else None
        events[event] = replace(first, more=(*first.more, handler)) if first else handler

    def _table(self, namespace: Any) -> dict[str | int, Handler]:
        """Return where the handlers of a namespace, or of a pattern's, are kept."""
        if is_pattern(namespace):
            return self.patterns.parent(namespace, self.convention.converters).events
        events = self._exact.get(namespace)
        if events is None:
            events = self._exact[namespace] = self._events[namespace] = {}
        return events

    def remove(self, event: str | int, source: Function | None, namespace: Spec) -> None:
        """Forget all handlers of an event, or the one that is ``source``. Any thread."""
        parent = self.patterns.find(namespace)
        events = self._exact.get(namespace, {}) if parent is None else parent.events  # type: ignore[arg-type]
        first = events.get(event)
        if first is not None:
            keep = [each for each in first.chain if source and each.source != source]
            _put_back(events, event, keep)

    def sources(self, event: str | int, namespace: Spec) -> list[Function]:
        """Return the functions that were registered for an event, in order."""
        parent = self.patterns.find(namespace)
        events = self._exact.get(namespace, {}) if parent is None else parent.events  # type: ignore[arg-type]
        first = events.get(event)
        return [] if first is None else [each.source or each.fn for each in first.chain]

    def spend(self, handler: Handler) -> None:
        """Forget those of a chain that are for one time only, which has come."""
        for events in [*self._exact.values(), *self.patterns.tables()]:
            for event in [event for event, each in list(events.items()) if each is handler]:
                _put_back(events, event, [each for each in handler.chain if not each.once])

    def add_class(self, namespace: Namespace) -> None:
        """Register an object whose ``on_...`` methods handle a namespace. Any thread."""
        spec = namespace.namespace
        check_spec(spec)
        check_timeout(namespace.handler_timeout, name="handler_timeout")
        if is_pattern(spec):
            self.patterns.parent(spec, self.convention.converters).instance = namespace
        else:
            self._classes[spec] = namespace
        self._bound.clear()

    def adopt(self, name: str, parent: Parent) -> None:
        """Let a pattern's handlers be those of a namespace it has recognised. Owner's turn."""
        self.patterns.children[name] = parent
        self._events.setdefault(name, parent.events)

    def forget(self, name: str) -> None:
        """Undo `adopt`: nobody is in the namespace any more. Owner's turn."""
        parent = self.patterns.children.pop(name, None)
        if parent is not None and self._events.get(name) is parent.events:
            del self._events[name]

    def find(self, namespace: str, event: str | int) -> Handler | None:
        """Return the handler of an event, or None."""
        own = self._events.get(namespace)
        if own is not None:
            handler = own.get(event)
            if handler is not None:
                return handler
        return self._find_wider(namespace, event, own or {})

    def find_lifecycle(
        self, namespace: str, kind: Literal["connect", "disconnect", "disconnecting"]
    ) -> Handler | None:
        """Return what runs now that a client connects or has left, or None."""
        handler = self.find(namespace, kind)
        if handler is not None and not handler.is_plain:
            self.spend(handler)
        if handler is None and kind != "disconnecting":
            guards = kind == "connect" and self.middleware.hooks("connect", self.key(namespace))
            if guards or self.convention.watches(kind):
                return NOTHING
        return handler

    def key(self, namespace: str) -> Any:
        """Return what the middleware and listeners of a namespace are registered for."""
        parent = self.patterns.children.get(namespace)
        return namespace if parent is None else parent.spec

    def _find_wider(
        self, namespace: str, event: str | int, own: dict[str | int, Handler]
    ) -> Handler | None:
        anywhere = self._events.get(ANY, {})
        if kind_of(event) == "event":
            handler = own.get(ANY) or anywhere.get(event) or anywhere.get(ANY)
        else:
            handler = anywhere.get(event)
        if handler is None and (self._classes or self.patterns):
            handler = self._find_method(namespace, event)
        return handler

    def _find_method(self, namespace: str, event: str | int) -> Handler | None:
        key: Any = namespace
        instance, parent = self._classes.get(namespace), self.patterns.children.get(namespace)
        if instance is None and parent is not None:
            instance, key = parent.instance, parent
        if instance is None:
            instance, key = self._classes.get(ANY), ANY
        if instance is None:
            return None
        if (key, event) not in self._bound:
            if len(self._bound) >= _MAX_BOUND:  # the names are the clients' choice
                self._bound.clear()
            fn = None
            # A class's own trigger_event gets what python-socketio's does, and that only.
            if event != "disconnecting" or instance.method_of(event) is not None:
                own = instance.handler_timeout
                timeout = self._timeout if own is None else own
                fn = self.convention.bind(instance, str(event), kind_of(event), timeout)
            concurrent = self._concurrent and kind_of(event) == "event"
            self._bound[key, event] = None if fn is None else Handler(fn, concurrent)
        handler = self._bound[key, event]
        if handler is None and kind_of(event) == "event":
            return IGNORED
        return handler

    def knows(self, namespace: str) -> bool:
        """Whether any handler was registered for a namespace by its name."""
        return namespace in self._exact or namespace in self._classes

    @property
    def namespaces(self) -> set[str]:
        """The names of the namespaces that handlers were registered for."""
        return {*self._exact, *self._classes} - {ANY}

    @property
    def wait_for_any(self) -> bool:
        """Whether there are handlers for any namespace, which by themselves open none."""
        return ANY in self._exact or ANY in self._classes


_MAX_BOUND = 1000
IGNORED = Handler(lambda *_args: None)
"""A class without a method for an event: it is acknowledged, and nothing else happens."""


NOBODY = Handler(lambda *_args: None)
"""Stands for the missing handler of an event that listeners or middleware see."""


NOTHING = Handler(lambda *_args: None)
"""Stands for the missing handler of a connect or disconnect that the convention watches."""


def check_event(event: str | int) -> None:
    """Refuse a name that no event can have.

    Raises:
        TypeError: no text, and no number.
        ValueError: reserved by the protocol; no client can send it.
    """
    if event != ANY and kind_of(event) == "event":
        sio.check_name(event)


def check_timeout(value: Any, kind: Registered = "event", name: str = "timeout") -> None:
    """Refuse what is no time that a handler of this kind can be given.

    Raises:
        TypeError: the handler is not an event's.
        ConfigError: no number of seconds that can be waited for, and not infinite.
    """
    if value is None:
        return
    if kind != "event":
        raise TypeError(f"{name}= is for handlers of events: one of {kind} has no time limit")
    if isinstance(value, float) and value == math.inf:
        return
    accepted, convert = CHECKS["handler_timeout"]
    try:
        convert(value)
    except (TypeError, ValueError):
        raise ConfigError(f"{name}={value!r}: accepted is {accepted}, or math.inf") from None


def is_refusal(answer: Any) -> bool:
    """Whether a connect handler, middleware or policy has refused by what it returned.

    Raises:
        TypeError: a coroutine: nobody has awaited it, so nobody knows.
    """
    if isawaitable(answer):
        if hasattr(answer, "close"):
            answer.close()
        raise TypeError("a yes or no was not awaited, which refuses the client")
    return answer is False


def kind_of(event: str | int) -> Registered:
    """Return what kind of handler an event has."""
    if event == "connect":
        return "connect"
    return "disconnect" if event in ("disconnect", "disconnecting") else "event"


def _put_back(events: dict[str | int, Handler], event: str | int, chain: list[Handler]) -> None:
    """Let these be the handlers of an event."""
    if chain:
        events[event] = replace(chain[0], more=tuple(chain[1:]))
    else:
        events.pop(event, None)
