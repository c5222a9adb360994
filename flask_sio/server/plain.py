"""The convention of a plain `Server`: python-socketio's."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from contextvars import Context
from functools import partial
from typing import TYPE_CHECKING, Any

from flask_sio.server.calling import Placed, check_function, cut, name_of
from flask_sio.server.handlers import (
    ANY,
    FAILED_LINE,
    INTERNAL_ERROR,
    Function,
    Kind,
    Registered,
    is_refusal,
    kind_of,
)
from flask_sio.server.injection import injected
from flask_sio.server.middleware import Called
from flask_sio.server.patterns import Spec, is_pattern, names_of
from flask_sio.server.payloads import typed
from flask_sio.server.per_client import of_client
from flask_sio.server.time_limit import limited

if TYPE_CHECKING:
    from flask_sio.adapters.adapter import BroadcastOptions
    from flask_sio.server.class_namespace import Namespace
    from flask_sio.server.socket import Socket

__all__ = ["Methods", "PlainConvention"]

logger = logging.getLogger("flask_sio.server")


class PlainConvention:
    """python-socketio's: the socket's id comes first, no context.

    A handler of any event gets its name before that, one of any namespace then the name of
    that: ``fn(event, namespace, sid, *args)``.
    """

    options: tuple[str, ...] = ()

    converters: Mapping[str, Any] | None = None

    def adapt(
        self,
        kind: Registered,
        fn: Function,
        any_event: bool = False,
        any_namespace: bool = False,
        names: tuple[str, ...] = (),
        timeout: float | None = None,
    ) -> Function:
        reads = fn
        check_function(fn, f"a handler of {kind}" if kind != "event" else "a handler")
        fn = injected(fn)
        if names:
            fn = Placed(fn, names)
        skip = int(any_namespace) + (2 if kind == "connect" else 1)  # what is not the client's
        if kind != "event":
            fn = _cut(fn, kind, any_namespace)
        if kind != "disconnect" and not any_event:
            fn = typed(fn, skip, is_whole=kind == "connect")
        if kind == "event":
            fn = limited(fn, timeout, reads)
        return _Anything(fn, any_event, any_namespace) if any_event or any_namespace else fn

    def with_sid(self, fn: Function, event: str | int, namespace: Spec) -> Function:
        return fn

    def bind(
        self, namespace: Namespace, event: str, kind: Registered, timeout: float | None = None
    ) -> Function | None:
        spec = namespace.namespace
        any_namespace, names = spec == ANY or is_pattern(spec), names_of(spec)
        if namespace.handles_by_trigger(event):
            check_function(namespace.trigger_event, "a namespace")
            namespace._adapt = Methods(partial(_adapt_method, names=names))
            fn: Function = partial(of_client(namespace.trigger_event), event)
            if kind == "event":
                fn = limited(fn, timeout, namespace.trigger_event)
            return _Anything(Placed(fn, names), False, True) if any_namespace else fn
        method = of_client(namespace.method_of(event))
        if method is None:
            return None
        return self.adapt(kind, method, False, any_namespace, names, timeout)

    def invoke(
        self,
        socket: Socket,
        event: str | None,
        handler: Function,
        args: tuple[Any, ...],
        kind: Kind,
    ) -> Any:
        if kind == "ack" or kind == "hook":
            return handler(*args)
        if kind == "connect":
            args = (socket.environ, *args)
        if handler.__class__ is _Anything:
            return handler(socket, args)
        return handler(socket.id, *args)

    def fail(
        self,
        socket: Socket,
        event: str,
        handler: Function,
        args: tuple[Any, ...],
        error: Exception,
    ) -> Any:
        raise error

    def ask(self, socket: Socket, fn: Function, args: tuple[Any, ...]) -> Any:
        return fn(*args)

    def invoke_bare(self, fn: Function, args: tuple[Any, ...]) -> Any:
        return Context().run(fn, *args)

    def callback(self, fn: Function) -> Function:
        check_function(fn, "callback=")
        return fn

    def hears_emits(self) -> bool:
        return False

    def emitted(
        self, event: str | int, args: Sequence[Any], namespace: str, options: BroadcastOptions
    ) -> None:
        pass

    def guarded(self, socket: Socket, middleware: Sequence[Called], handler: Function) -> Function:
        def connect(*args: Any) -> Any:
            for each in middleware:
                if is_refusal(each(socket, "connect", args[2:])):
                    return False
            if handler.__class__ is _Anything:
                return handler(socket, args[1:])
            return handler(*args)

        return connect

    def inherit(self, context: Context) -> Context:
        return context

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
        return self._fn(*names, socket.id, *args, **socket.space.values)


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


def _adapt_method(event: str, method: Function, names: tuple[str, ...] = ()) -> Function:
    """Return a method as `Namespace.trigger_event` calls it, names and all."""
    check_function(method, "a handler")
    method, kind = injected(of_client(method)), kind_of(event)
    if names:
        method = Placed(method, names)
    if kind == "event":
        return typed(method, 1)
    if kind == "connect":
        method = typed(method, 2, is_whole=True)

    def call(*args: Any, **values: Any) -> Any:
        fits = cut(method, len(args) - 1, len(args), is_farewell=kind == "disconnect")
        return (fits or method)(*args, **values)

    return call


def _cut(fn: Function, kind: Registered, any_namespace: bool) -> Function:
    """Return what calls a connect or disconnect handler with as much as it takes."""
    takes = "sid, environ[, auth]" if kind == "connect" else "sid[, reason][, details]"
    most = (3 if kind == "connect" else 2) + any_namespace
    fits = cut(fn, most - 1, most, is_farewell=kind == "disconnect")
    if fits is None:
        after = " after the namespace" if any_namespace else ""
        raise TypeError(f"a {kind} handler takes ({takes}){after}; {name_of(fn)!r} cannot")
    return fits
