"""Handlers by namespace and event, and the convention by which they are called.

The server knows no framework: a `Convention` reads a handler's signature once, when it is
registered, and runs it in whatever context its framework needs.

Who handles an event, first match: a function for this event of this namespace; one for any
event (``"*"``) of this namespace; a function for this event of any namespace; one for any
event of any; a class registered for this namespace; one registered for any. ``connect``
and ``disconnect`` are no events: ``"*"`` never stands for them.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Protocol

from flask_sio.protocol import sio
from flask_sio.server.payloads import typed

if TYPE_CHECKING:
    from flask_sio.server.class_namespace import Namespace
    from flask_sio.server.socket import Socket

Kind = Literal["connect", "event", "ack", "disconnect"]
Registered = Literal["connect", "event", "disconnect"]
Function = Callable[..., Any]

logger = logging.getLogger("flask_sio.server")

ANY = "*"
INTERNAL_ERROR = "Internal error"
"""What a client is told of an exception."""
FAILED_LINE = "the handler of %.200r failed for %s in %s"
"""What the log says of one: event, public id, namespace."""


class Convention(Protocol):
    """How user code is called."""

    options: tuple[str, ...]
    """Names of options that the framework's extension takes itself, for hints."""

    def adapt(
        self, kind: Registered, fn: Function, any_event: bool = False, any_namespace: bool = False
    ) -> Function:
        """Read a handler's signature and return what `invoke` will call.

        Raises:
            TypeError: it cannot take what a handler of its kind is given; names both.
        """

    def with_sid(self, fn: Function, event: str | int, namespace: str) -> Function:
        """Return what `adapt` takes for a handler registered with the `Server` itself.

        Such a handler takes the socket's id first, whatever the convention.
        """

    def bind(self, namespace: Namespace, event: str, kind: Registered) -> Function | None:
        """Return what `invoke` will call for an event of a class; None if it has no method."""

    def invoke(
        self,
        socket: Socket,
        event: str | None,
        handler: Function,
        args: tuple[Any, ...],
        kind: Kind,
    ) -> Any:
        """Run an adapted handler, or for ``"ack"`` a callback, in its context.

        ``args`` is ``(auth,)`` of a connect, ``(reason,)`` of a disconnect, else what the
        client sent, after the event's name for a handler of any event. What user code
        raises passes through.
        """

    def watches(self, kind: Registered) -> bool:
        """Whether every connect or disconnect concerns it, also one without a handler."""

    def announce(self, socket: Socket, kind: Registered, args: tuple[Any, ...]) -> None:
        """Tell whoever listens that a client was accepted, or left. On a worker."""

    def report(self, socket: Socket, name: str, error: Exception) -> None:
        """Log what user code has raised and nobody handled; the second time does nothing."""

    def told(self, error: Exception) -> str:
        """Return what a client may be told of an exception."""

    def surround(self, environ: dict[str, Any]) -> AbstractContextManager[Any]:
        """Give the context of what concerns a request, and no client yet."""


@dataclass(frozen=True, slots=True)
class Handler:
    """One registered function, as adapted."""

    fn: Function
    concurrent: bool = False
    any_event: bool = False
    """Whether the event's name comes first in its arguments."""
    more: tuple[Handler, ...] = ()
    """Those that were added to it; they run after it, and their results are nobody's."""


class Handlers:
    """The handlers of one server."""

    def __init__(self, convention: Convention, concurrent: bool) -> None:
        self.convention = convention
        self._concurrent = concurrent
        self._events: dict[str, dict[str | int, Handler]] = {}
        self._classes: dict[str, Namespace] = {}
        self._bound: dict[tuple[str, str | int], Handler | None] = {}

    def add(
        self,
        event: str | int,
        fn: Function,
        namespace: str,
        concurrent: bool | None = None,
        add: bool = False,
    ) -> None:
        """Register a handler; it replaces, or joins, an earlier one of the same event.

        Any thread.

        Raises:
            TypeError: the function cannot take what it will be given.
            ValueError: a name that no event can have.
        """
        check_event(event)
        any_event = event == ANY
        adapted = self.convention.adapt(kind_of(event), fn, any_event, namespace == ANY)
        if concurrent is None:
            concurrent = self._concurrent
        handler = Handler(adapted, concurrent and kind_of(event) == "event", any_event)
        events = self._events.setdefault(namespace, {})
        first = events.get(event) if add else None
        events[event] = replace(first, more=(*first.more, handler)) if first else handler

    def add_class(self, namespace: Namespace) -> None:
        """Register an object whose ``on_...`` methods handle a namespace. Any thread."""
        self._classes[namespace.namespace] = namespace
        self._bound.clear()

    def find(self, namespace: str, event: str | int) -> Handler | None:
        """Return the handler of an event, or None."""
        own = self._events.get(namespace)
        if own is not None:
            handler = own.get(event)
            if handler is not None:
                return handler
        return self._find_wider(namespace, event, own or {})

    def find_lifecycle(self, namespace: str, kind: Registered) -> Handler | None:
        """Return what runs when a client connects or has left, or None."""
        handler = self.find(namespace, kind)
        return _NOTHING if handler is None and self.convention.watches(kind) else handler

    def _find_wider(
        self, namespace: str, event: str | int, own: dict[str | int, Handler]
    ) -> Handler | None:
        anywhere = self._events.get(ANY, {})
        if kind_of(event) == "event":
            handler = own.get(ANY) or anywhere.get(event) or anywhere.get(ANY)
        else:
            handler = anywhere.get(event)
        if handler is None and self._classes:
            handler = self._find_method(namespace, event)
        return handler

    def _find_method(self, namespace: str, event: str | int) -> Handler | None:
        key = namespace if namespace in self._classes else ANY
        instance = self._classes.get(key)
        if instance is None:
            return None
        if (key, event) not in self._bound:
            if len(self._bound) >= _MAX_BOUND:  # the names are the clients' choice
                self._bound.clear()
            fn = self.convention.bind(instance, str(event), kind_of(event))
            concurrent = self._concurrent and kind_of(event) == "event"
            self._bound[key, event] = None if fn is None else Handler(fn, concurrent)
        handler = self._bound[key, event]
        if handler is None and kind_of(event) == "event":
            return _IGNORED
        return handler

    def knows(self, namespace: str) -> bool:
        """Whether any handler was registered for a namespace by its name."""
        return namespace in self._events or namespace in self._classes

    @property
    def namespaces(self) -> set[str]:
        """The names of the namespaces that handlers were registered for."""
        return {*self._events, *self._classes} - {ANY}

    @property
    def wait_for_any(self) -> bool:
        """Whether there are handlers for any namespace, which by themselves open none."""
        return ANY in self._events or ANY in self._classes


_MAX_BOUND = 1000
_IGNORED = Handler(lambda *_args: None)
"""A class without a method for an event: it is acknowledged, and nothing else happens."""


_NOTHING = Handler(lambda *_args: None)
"""Stands for the missing handler of a connect or disconnect that the convention watches."""


def check_event(event: str | int) -> None:
    """Refuse a name that no event can have.

    Raises:
        TypeError: no text, and no number.
        ValueError: reserved by the protocol; no client can send it.
    """
    if event != ANY and kind_of(event) == "event":
        sio.check_name(event)


def kind_of(event: str | int) -> Registered:
    """Return what kind of handler an event has."""
    if event == "connect":
        return "connect"
    return "disconnect" if event == "disconnect" else "event"


class PlainConvention:
    """python-socketio's: the socket's id comes first, no context.

    A handler of any event gets its name before that, one of any namespace then the name of
    that: ``fn(event, namespace, sid, *args)``.
    """

    options: tuple[str, ...] = ()

    def adapt(
        self, kind: Registered, fn: Function, any_event: bool = False, any_namespace: bool = False
    ) -> Function:
        skip = int(any_namespace) + (2 if kind == "connect" else 1)  # what is not the client's
        if kind != "event":
            names = "sid, environ[, auth]" if kind == "connect" else "sid[, reason]"
            most = 3 if kind == "connect" else 2
            fn = _cut(fn, most - 1, most, f"a {kind} handler takes ({names})", any_namespace)
        if kind != "disconnect" and not any_event:
            fn = typed(fn, skip, is_whole=kind == "connect")
        return _Anything(fn, any_event, any_namespace) if any_event or any_namespace else fn

    def with_sid(self, fn: Function, event: str | int, namespace: str) -> Function:
        return fn

    def bind(self, namespace: Namespace, event: str, kind: Registered) -> Function | None:
        any_namespace = namespace.namespace == ANY
        if namespace.handles_by_trigger:
            namespace._adapt = Methods(_adapt_method)
            fn: Function = partial(namespace.trigger_event, event)
            return _Anything(fn, False, True) if any_namespace else fn
        method = namespace.method_of(event)
        return None if method is None else self.adapt(kind, method, False, any_namespace)

    def invoke(
        self,
        socket: Socket,
        event: str | None,
        handler: Function,
        args: tuple[Any, ...],
        kind: Kind,
    ) -> Any:
        if kind == "ack":
            return handler(*args)
        if kind == "connect":
            args = (socket.environ, *args)
        if handler.__class__ is _Anything:
            return handler(socket, args)
        return handler(socket.id, *args)

    def watches(self, kind: Registered) -> bool:
        return False

    def announce(self, socket: Socket, kind: Registered, args: tuple[Any, ...]) -> None:
        pass

    def report(self, socket: Socket, name: str, error: Exception) -> None:
        logger.error(FAILED_LINE, name, socket.id, socket.namespace, exc_info=error)

    def told(self, error: Exception) -> str:
        return INTERNAL_ERROR

    def surround(self, environ: dict[str, Any]) -> AbstractContextManager[Any]:
        return nullcontext()


class _Anything:
    """A handler of any event or any namespace, whose names come first."""

    __slots__ = ("_any_event", "_any_namespace", "_fn")

    def __init__(self, fn: Function, any_event: bool, any_namespace: bool) -> None:
        self._fn = fn
        self._any_event = any_event
        self._any_namespace = any_namespace

    def __call__(self, socket: Socket, args: tuple[Any, ...]) -> Any:
        names: tuple[Any, ...] = ()
        if self._any_event:
            names, args = args[:1], args[1:]
        if self._any_namespace:
            names = (*names, socket.namespace)
        return self._fn(*names, socket.id, *args)


class Methods:
    """The methods that `Namespace.trigger_event` calls, each adapted once."""

    __slots__ = ("_adapt", "_made")

    def __init__(self, adapt: Callable[[str, Function], Function]) -> None:
        self._adapt = adapt
        self._made: dict[Function, Function] = {}

    def __call__(self, event: str, method: Function) -> Function:
        """Return the method as it is called; ``event`` may be any that leads to it."""
        function = getattr(method, "__func__", None)
        if function is None:
            return self._adapt(event, method)
        made = self._made.get(function)
        if made is None:
            made = self._made[function] = self._adapt(event, method)
        return made


def _adapt_method(event: str, method: Function) -> Function:
    """Return a method as `Namespace.trigger_event` calls it, names and all."""
    kind = kind_of(event)
    if kind == "event":
        return typed(method, 1)
    if kind == "connect":
        method = typed(method, 2, is_whole=True)
    return lambda *args: method(*args[: fitting(method, len(args), len(args) - 1)])


def _cut(fn: Function, least: int, most: int, rule: str, any_namespace: bool) -> Function:
    """Return ``fn``, or a function of ``most`` arguments that hands it the first ``least``."""
    if any_namespace:
        least, most, rule = least + 1, most + 1, f"{rule} after the namespace"
    count = fitting(fn, most, least)
    if count is None:
        raise TypeError(f"{rule}; {getattr(fn, '__qualname__', fn)!r} cannot")
    return fn if count == most else lambda *args: fn(*args[:least])


def fitting(fn: Function, *counts: int) -> int | None:
    """Return the first of these numbers of positional arguments that ``fn`` can take.

    A wrapper that takes anything is judged by what it wraps; where that fits none (the
    wrapper adds or takes away), or a builtin does not say, the first number it is.
    """
    try:
        signature = inspect.signature(fn, follow_wrapped=False)
    except ValueError:
        return counts[0]
    takes_any = any(each.kind is each.VAR_POSITIONAL for each in signature.parameters.values())
    if takes_any:
        signature = inspect.signature(fn)
    for count in counts:
        try:
            signature.bind(*range(count))
        except TypeError:
            continue
        return count
    return counts[0] if takes_any else None
