"""What a server asks of a framework: how user code is called. `handlers.py` says which is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from contextvars import Context
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from flask_sio.adapters.adapter import BroadcastOptions
    from flask_sio.server.class_namespace import Namespace
    from flask_sio.server.middleware import Called
    from flask_sio.server.patterns import Spec
    from flask_sio.server.socket import Socket

__all__ = ["Convention", "Function", "Kind", "Registered"]

Kind = Literal["connect", "event", "ack", "disconnect", "hook"]
Registered = Literal["connect", "event", "disconnect"]
Function = Callable[..., Any]


class Convention(Protocol):
    """How user code is called."""

    options: tuple[str, ...]
    """Names of options that the framework's extension takes itself, for hints."""

    @property
    def converters(self) -> Mapping[str, Any] | None:
        """The converters of namespaces such as ``/job/<int:id>``; None is Werkzeug's own."""

    def adapt(
        self,
        kind: Registered,
        fn: Function,
        any_event: bool = False,
        any_namespace: bool = False,
        names: tuple[str, ...] = (),
        timeout: float | None = None,
    ) -> Function:
        """Read a handler's signature and return what `invoke` will call.

        ``names`` are those of the values that its namespaces' names have; each is given by
        name to a handler that has such a parameter. ``timeout``: the seconds that an event's
        handler, without what stands around it, may take (`time_limit.limited`).

        Raises:
            TypeError: it cannot take what a handler of its kind is given; names both.
        """

    def with_sid(self, fn: Function, event: str | int, namespace: Spec) -> Function:
        """Return what `adapt` takes for a handler registered with the `Server` itself.

        Such a handler takes the socket's id first, whatever the convention.
        """

    def bind(
        self, namespace: Namespace, event: str, kind: Registered, timeout: float | None = None
    ) -> Function | None:
        """Return what `invoke` will call for an event of a class; None if it has no method."""

    def invoke(
        self,
        socket: Socket,
        event: str | None,
        handler: Function,
        args: tuple[Any, ...],
        kind: Kind,
    ) -> Any:
        """Run an adapted handler, an ``"ack"``'s callback or a ``"hook"`` in its context.

        ``args`` is ``(auth,)`` of a connect, ``(reason,)`` of a disconnect, else what the
        client sent, after the event's name for a handler of any event. What user code
        raises passes through.
        """

    def fail(
        self,
        socket: Socket,
        event: str,
        handler: Function,
        args: tuple[Any, ...],
        error: Exception,
    ) -> Any:
        """Return what the error handlers make of an event whose handler still runs elsewhere.

        What they leave is raised.
        """

    def ask(self, socket: Socket, fn: Function, args: tuple[Any, ...]) -> Any:
        """Run user code about a client in this thread, and in that client's context.

        Where its own handler asks, that is the context there is.
        """

    def invoke_bare(self, fn: Function, args: tuple[Any, ...]) -> Any:
        """Run user code that concerns no client. On a worker."""

    def callback(self, fn: Function) -> Function:
        """Return what an emit's callback is to be, where it is made: it may need a context."""

    def hears_emits(self) -> bool:
        """Whether `emitted` does anything at all."""

    def emitted(
        self, event: str | int, args: Sequence[Any], namespace: str, options: BroadcastOptions
    ) -> None:
        """Learn of an emit that was handed on."""

    def guarded(self, socket: Socket, middleware: Sequence[Called], handler: Function) -> Function:
        """Return a connect handler that runs the middleware first, in the same context.

        Middleware refuses by returning False, or by what it raises.
        """

    def inherit(self, context: Context) -> Context:
        """Return the base context of a client's runs, of its first request's. Owner's turn."""

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
