"""What stands between a Flask application's function and its call: wrappers of handlers."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any

from flask import current_app

from flask_sio.errors import HandlerTimeoutError
from flask_sio.extension.context import current_event
from flask_sio.server.calling import fitting, name_of
from flask_sio.server.handlers import Kind
from flask_sio.server.jobs import carry
from flask_sio.server.plain import PlainConvention
from flask_sio.server.time_limit import TimeLimited

if TYPE_CHECKING:
    from flask_sio.extension.context import EventContext
    from flask_sio.extension.hooks import Hooks
    from flask_sio.server.class_namespace import Namespace

__all__ = [
    "PLAIN",
    "Async",
    "Bound",
    "ByName",
    "EmitterCallback",
    "SidFirst",
    "as_sync",
    "is_of_the_call",
    "trigger",
]

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

    def __call__(self, *args: Any, **values: Any) -> Any:
        return self.fn(*args, **values)


class ByName:
    """A handler of namespaces whose names have values, which it is given by name."""

    __slots__ = ("fn",)

    def __init__(self, fn: Function) -> None:
        self.fn = fn

    def __call__(self, *args: Any) -> Any:
        context = current_event()
        assert context is not None
        return self.fn(*args, **context.socket.space.values)


class SidFirst:
    """A handler registered with the server itself, which takes the socket's id first."""

    __slots__ = ("_fn", "_kind", "source")

    def __init__(self, fn: Function, kind: Kind, source: Function) -> None:
        self._fn = fn
        self._kind = kind
        self.source = source
        """As it was registered."""

    def __call__(self, *args: Any) -> Any:
        context = current_event()
        assert context is not None
        return PLAIN.invoke(context.socket, None, self._fn, args, self._kind)


class Async:
    """An ``async def`` function, called as Flask calls an async view."""

    __slots__ = ("fn",)

    def __init__(self, fn: Function) -> None:
        self.fn = fn

    def within(self, seconds: float) -> Async:
        """Return it with a time limit: what it awaits then is cancelled."""
        return self if seconds == math.inf else Async(_cancelled_after(self.fn, seconds))

    def __call__(self, *args: Any, **values: Any) -> Any:
        context = current_event()
        if context is None:
            return self._run(*args, **values)
        # An event loop blocks its thread, and under gevent all greenlets share one.
        loop = context.convention.server.engine.loop
        run = partial(self._run, *args, **values)
        variables = copy_context()
        variables.run(carry, context.socket)
        return loop.in_thread(variables.run, run)

    def _run(self, *args: Any, **values: Any) -> Any:
        from asgiref.sync import AsyncSingleThreadContext

        run = current_app.ensure_sync(self.fn)
        # Its thread ends with it, not with the next garbage collection.
        with AsyncSingleThreadContext():  # type: ignore[no-untyped-call]
            return run(*args, **values)


def _cancelled_after(fn: Function, seconds: float) -> Function:
    """Return a coroutine function that is cancelled after so long, and cleans up."""
    import asyncio

    async def bounded(*args: Any, **values: Any) -> Any:
        task = asyncio.ensure_future(fn(*args, **values))
        try:
            await asyncio.wait({task}, timeout=seconds)
        except asyncio.CancelledError:
            task.cancel()
            raise
        is_late = not task.done()
        if is_late:
            task.cancel()
            await asyncio.wait({task})
        if is_late and task.cancelled():
            text = f"{name_of(fn)} took longer than {seconds:g} s"
            raise HandlerTimeoutError(text, seconds=seconds)
        return task.result()

    return bounded


def as_sync(fn: Function) -> Function:
    """Return a function, or for an ``async def`` one what runs it to its end.

    Raises:
        RuntimeError: it is async and asgiref is missing, or too old.
    """
    if not inspect.iscoroutinefunction(fn):
        return fn
    try:
        from asgiref.sync import AsyncSingleThreadContext  # noqa: F401 # from 3.10 on
    except ImportError:
        name = getattr(fn, "__qualname__", repr(fn))
        raise RuntimeError(
            f"{name} is async, and Flask runs such functions with asgiref, which is not "
            "installed, or is older than 3.10: pip install 'flask-sio[async]'"
        ) from None
    return Async(fn)


def is_of_the_call(error: TypeError, handler: Any, args: tuple[Any, ...]) -> bool:
    """Whether a handler was not even entered, because it cannot take what was sent."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    if frame is None or not frame.tb_frame.f_globals.get("__name__", "").startswith("flask_sio."):
        return False
    while isinstance(handler, (Bound, ByName, Async, TimeLimited)):
        handler = handler.fn
    return fitting(handler, len(args), len(args)) is None


class EmitterCallback:
    """A callback that runs in the context of the client whose handler emitted."""

    __slots__ = ("_convention", "function", "socket")

    def __init__(self, emitter: EventContext, function: Function) -> None:
        self._convention = emitter.convention
        self.socket = emitter.socket
        self.function = function

    def __call__(self, *args: Any) -> Any:
        """Run it for an answer from another server, of whose client this one knows nothing."""
        invoke, context = self._convention.invoke, self.socket.client.context.copy()
        return context.run(invoke, self.socket, None, self.function, args, "ack")


def trigger(trigger_event: Function, event: str, *args: Any) -> Any:
    """Call a class's own `trigger_event` with the socket's id first."""
    context = current_event()
    assert context is not None
    if event == "connect":
        args = (context.socket.environ, *args)
    return as_sync(trigger_event)(event, context.socket.id, *args)
