"""Handlers by namespace and event, and the convention by which they are called.

The server knows no framework: a `Convention` reads a handler's signature once, when it is
registered, and runs it in whatever context its framework needs.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from flask_sio.server.socket import Socket

Kind = Literal["connect", "event", "ack", "disconnect"]
Function = Callable[..., Any]


class Convention(Protocol):
    """How user code is called."""

    def adapt(self, kind: Literal["connect", "event", "disconnect"], fn: Function) -> Function:
        """Read a handler's signature and return what `invoke` will call.

        Raises:
            TypeError: it cannot take what a handler of its kind is given; names both.
        """

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
        client sent. What user code raises passes through.
        """


@dataclass(frozen=True, slots=True)
class Handler:
    """One registered function, as adapted."""

    fn: Function
    concurrent: bool = False


class Handlers:
    """The handlers of one server."""

    def __init__(self, convention: Convention, concurrent: bool) -> None:
        self.convention = convention
        self._concurrent = concurrent
        self._events: dict[str, dict[str | int, Handler]] = {}

    def add(
        self, event: str | int, fn: Function, namespace: str, concurrent: bool | None = None
    ) -> None:
        """Register a handler; it replaces an earlier one of the same event. Any thread."""
        kind: Literal["connect", "event", "disconnect"] = "event"
        if event == "connect":
            kind = "connect"
        elif event == "disconnect":
            kind = "disconnect"
        elif concurrent is None:
            concurrent = self._concurrent
        handler = Handler(self.convention.adapt(kind, fn), bool(concurrent))
        self._events.setdefault(namespace, {})[event] = handler

    def find(self, namespace: str, event: str | int) -> Handler | None:
        """Return the handler of an event, or None."""
        events = self._events.get(namespace)
        return None if events is None else events.get(event)

    def knows(self, namespace: str) -> bool:
        """Whether any handler was registered for a namespace."""
        return namespace in self._events


class PlainConvention:
    """python-socketio's: the socket's id comes first, no context."""

    def adapt(self, kind: Literal["connect", "event", "disconnect"], fn: Function) -> Function:
        if kind == "event":
            return fn
        names = "sid, environ[, auth]" if kind == "connect" else "sid[, reason]"
        most = 3 if kind == "connect" else 2
        return _cut(fn, most - 1, most, f"a {kind} handler takes ({names})")

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
            return handler(socket.id, socket.environ, *args)
        return handler(socket.id, *args)


def _cut(fn: Function, least: int, most: int, rule: str) -> Function:
    """Return ``fn``, or a function of ``most`` arguments that hands it the first ``least``."""
    if takes(fn, most):
        return fn
    if takes(fn, least):
        return lambda *args: fn(*args[:least])
    raise TypeError(f"{rule}; {getattr(fn, '__qualname__', fn)!r} cannot")


def takes(fn: Function, count: int) -> bool:
    """Whether ``fn`` can be called with ``count`` positional arguments; unknown means yes."""
    try:
        inspect.signature(fn).bind(*range(count))
    except TypeError:
        return False
    except ValueError:  # a builtin that does not say
        return True
    return True
