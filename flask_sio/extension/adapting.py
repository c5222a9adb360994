"""What a Flask application's functions and methods are made into when they are registered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from flask import Flask

from flask_sio.extension.callables import PLAIN, Async, Bound, ByName, SidFirst, as_sync, trigger
from flask_sio.server.calling import Placed, cut, name_of
from flask_sio.server.class_namespace import Namespace
from flask_sio.server.handlers import ANY, Registered, kind_of
from flask_sio.server.injection import Injected, injected
from flask_sio.server.patterns import Spec, is_pattern, names_of
from flask_sio.server.payloads import typed
from flask_sio.server.per_client import of_client
from flask_sio.server.plain import Methods
from flask_sio.server.time_limit import limited

__all__ = ["Adapting"]

Function = Callable[..., Any]

_CANCEL_S = 1.0
"""How long after its time an async handler that has not ended by itself is left behind."""


class Adapting:
    """The part of the convention that reads signatures."""

    __slots__ = ("app",)

    app: Flask

    # -- registration ------------------------------------------------------------------

    @property
    def converters(self) -> Mapping[str, Any]:
        """Those of the application's URL rules, its own ones included."""
        return self.app.url_map.converters

    @staticmethod
    def adapt(
        kind: Registered,
        fn: Any,
        any_event: bool = False,
        any_namespace: bool = False,
        names: tuple[str, ...] = (),
        timeout: float | None = None,
    ) -> Function:
        """Return a function for ``connect(auth)``, ``disconnect(reason)``, ``event(*args)``.

        A handler may leave out the argument of the first two, and may be ``async``.

        Raises:
            TypeError: ``fn`` cannot be called so; the text names it.
            RuntimeError: ``fn`` is ``async`` and asgiref is missing.
        """
        if isinstance(fn, Bound):
            adapted = Adapting.adapt(kind, fn.fn, any_event, any_namespace, names, timeout)
            return Bound(adapted, fn.hooks, fn.instance)
        if not callable(fn):
            raise TypeError(f"the {kind} handler must be a function, not {name_of(fn)}")
        name, grace_s = fn.source if isinstance(fn, SidFirst) else fn, 0.0
        handler = as_sync(fn)
        if kind == "event" and timeout is not None and isinstance(handler, Async):
            handler, grace_s = handler.within(timeout), _CANCEL_S
        handler = injected(handler, fn)
        if isinstance(handler, Injected):
            fn = handler
        is_named = bool(names) and not isinstance(fn, SidFirst)
        if is_named:
            fn = handler = Placed(handler, names, fn)
        if kind != "disconnect" and not any_event:
            handler = typed(handler, is_whole=kind == "connect", reads=fn)
        if kind != "event":
            fits = cut(fn, 0, 1, is_farewell=kind == "disconnect", call=handler)
            if fits is None:
                takes = "(auth)" if kind == "connect" else "(reason), and may take details"
                raise TypeError(
                    f"the {kind} handler {name_of(fn)} must take nothing or one {takes}"
                )
            handler = fits
        else:
            handler = limited(handler, timeout, name, grace_s)
        return ByName(handler) if is_named else handler

    def with_sid(self, fn: Function, event: str | int, namespace: Spec) -> Function:
        """Return a handler of ours for one registered with ``socketio.server``."""
        kind, is_many = kind_of(event), namespace == ANY or is_pattern(namespace)
        adapted = PLAIN.adapt(kind, fn, event == ANY, is_many, names_of(namespace))
        return SidFirst(adapted, kind, fn)

    def bind(
        self, namespace: Namespace, event: str, kind: Registered, timeout: float | None = None
    ) -> Function | None:
        """Return what calls the method of an event, or a class's own `trigger_event`."""
        if namespace.socketio is None:  # registered with socketio.server
            fn = PLAIN.bind(namespace, event, kind, timeout)
            return None if fn is None else SidFirst(fn, kind, fn)
        if namespace.handles_by_trigger(event):
            names = names_of(namespace.namespace)
            namespace._adapt = Methods(partial(_adapt_method, names=names))
            fn = partial(trigger, of_client(namespace.trigger_event, as_sync), event)
            if kind == "event":
                fn = limited(fn, timeout, namespace.trigger_event)
            return Bound(fn, instance=namespace)
        method = of_client(namespace.method_of(event), as_sync)
        if method is None:
            return None
        names = names_of(namespace.namespace)
        adapted = self.adapt(kind, method, names=names, timeout=timeout)
        return Bound(adapted, instance=namespace)


def _adapt_method(event: str, method: Function, names: tuple[str, ...] = ()) -> Function:
    """Return a method as `Namespace.trigger_event` calls it: without the id and the environ."""
    adapted = Adapting.adapt(kind_of(event), of_client(method, as_sync), names=names)
    skipped = 2 if event == "connect" else 1
    return lambda *args: adapted(*args[skipped:])
