"""What stands between a Flask application's function and its call: wrappers of handlers."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextvars import copy_context
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from flask import current_app

from flask_sio.extension.context import current_event
from flask_sio.server.handlers import Kind, PlainConvention

if TYPE_CHECKING:
    from flask_sio.extension.hooks import Hooks
    from flask_sio.server.class_namespace import Namespace

__all__ = ["PLAIN", "Async", "Bound", "SidFirst", "as_sync"]

Function = Callable[..., Any]

PLAIN = PlainConvention()


class Bound:
    """A handler that knows what it was registered with."""

    __slots__ = ("fn", "hooks", "instance")

    def __init__(
        self, fn: Function, hooks: Hooks | None = None, instance: Namespace | None = None
    ) -> None:
        self.fn = fn
        self.hooks = hooks
        """Those of its blueprint."""
        self.instance = instance
        """The object whose method it is."""

    def __call__(self, *args: Any) -> Any:
        return self.fn(*args)


class SidFirst:
    """A handler registered with the server itself, which takes the socket's id first."""

    __slots__ = ("_fn", "_kind")

    def __init__(self, fn: Function, kind: Kind) -> None:
        self._fn = fn
        self._kind = kind

    def __call__(self, *args: Any) -> Any:
        context = current_event()
        assert context is not None
        return PLAIN.invoke(context.socket, None, self._fn, args, self._kind)


class Async:
    """An ``async def`` function, called as Flask calls an async view."""

    __slots__ = ("fn",)

    def __init__(self, fn: Function) -> None:
        self.fn = fn

    def __call__(self, *args: Any) -> Any:
        run = current_app.ensure_sync(self.fn)
        context = current_event()
        if context is None:
            return run(*args)
        # An event loop blocks its thread, and under gevent all greenlets share one.
        loop = context.convention.server.engine.loop
        return loop.in_thread(copy_context().run, run, *args)


def as_sync(fn: Function) -> Function:
    """Return a function, or for an ``async def`` one what runs it to its end.

    Raises:
        RuntimeError: it is async and asgiref is missing.
    """
    if not inspect.iscoroutinefunction(fn):
        return fn
    if find_spec("asgiref") is None:
        name = getattr(fn, "__qualname__", repr(fn))
        raise RuntimeError(
            f"{name} is async, and Flask runs such functions with asgiref, which is not "
            "installed: pip install 'flask-sio[async]'"
        )
    return Async(fn)
