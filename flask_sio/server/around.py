"""Hooks around each run of user code, for tracing and measuring; nothing without one.

A server without hooks calls its convention directly. With one, `Around.invoke` stands in its
place: outside of a framework's own context, in the context variables of the run, so that a
current span or scope is the handler's, too.
"""

from __future__ import annotations

import builtins
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

from flask_sio.errors import ConnectionRefusedError, EventRefusedError, PayloadError
from flask_sio.server.handlers import IGNORED, Function, Kind

if TYPE_CHECKING:
    from flask_sio.engine.server import Engine
    from flask_sio.server.socket import Socket

__all__ = ["Around", "EventHook", "EventRun", "note_handled"]

Outcome = Literal["ok", "refused", "invalid", "handled", "error"]

logger = logging.getLogger("flask_sio.server")

_current: ContextVar[EventRun] = ContextVar("flask_sio.around")


class EventRun:
    """One run of user code, as the hooks of `Server.around_event` see it."""

    __slots__ = ("_socket", "duration_s", "error", "kind", "name", "outcome")

    def __init__(self, socket: Socket, name: str, kind: Kind) -> None:
        self._socket = socket
        self.kind: Kind = kind
        """``"connect"``, ``"event"``, ``"ack"`` (a callback of yours) or ``"disconnect"``."""
        self.name = name
        """The event's name; ``"*"`` where its handler is for any; ``"ack"`` of a callback."""
        self.outcome: Outcome | None = None
        """None until it has ended. ``"refused"``: a client that may not connect, or an
        event, by `EventRefusedError`.
        ``"invalid"``: a payload that the handler does not take. ``"handled"``: an exception
        that an error handler has answered; ``"error"``: one that nobody has."""
        self.error: BaseException | None = None
        """What was raised, also where an error handler has dealt with it."""
        self.duration_s: float | None = None
        """Seconds, once it has ended."""

    @property
    def namespace(self) -> str:
        return self._socket.namespace

    @property
    def sid(self) -> str:
        """The client's public id."""
        return self._socket.id

    @property
    def environ(self) -> dict[str, Any]:
        """The WSGI environ of the client's first request."""
        return self._socket.environ

    def __repr__(self) -> str:
        return f"<EventRun {self.name!r} of {self.sid} in {self.namespace!r} {self.outcome}>"


EventHook = Callable[[EventRun], AbstractContextManager[Any]]


class Around:
    """The hooks of one server, and what they are put around."""

    def __init__(self, engine: Engine, invoke: Callable[..., Any]) -> None:
        self._engine = engine
        self._invoke = invoke
        self._hooks: tuple[EventHook, ...] = ()

    def add(self, hook: EventHook) -> None:
        """Put a hook within those there are."""
        if not callable(hook):
            raise TypeError(f"around_event() needs a function that gives a context, not {hook!r}")
        self._hooks = (*self._hooks, hook)

    def invoke(
        self,
        socket: Socket,
        event: str | None,
        handler: Function,
        args: tuple[Any, ...],
        kind: Kind,
    ) -> Any:
        """Run user code as the convention does, within the hooks."""
        if handler is IGNORED.fn:  # whose name is a client's invention
            return self._invoke(socket, event, handler, args, kind)
        run = EventRun(socket, kind if event is None else event, kind)
        token = _current.set(run)
        entered = [each for each in (self._enter(hook, run) for hook in self._hooks) if each]
        started = perf_counter()
        try:
            result = self._invoke(socket, event, handler, args, kind)
        except BaseException as error:
            run.duration_s = perf_counter() - started
            run.error = error
            run.outcome = _outcome_of(error, kind)
            self._leave(entered, error)
            raise
        else:
            run.duration_s = perf_counter() - started
            refused = kind == "connect" and (result is False or socket.was_accepted is False)
            run.outcome = "refused" if refused else "ok" if run.error is None else "handled"
            self._leave(entered, None)
            return result
        finally:
            _current.reset(token)

    def _enter(self, hook: EventHook, run: EventRun) -> AbstractContextManager[Any] | None:
        try:
            context = hook(run)
            context.__enter__()
        except Exception as error:
            self._failed(error)
            return None
        return context

    def _leave(
        self, entered: list[AbstractContextManager[Any]], error: BaseException | None
    ) -> None:
        traceback = None if error is None else error.__traceback__
        for context in reversed(entered):
            try:
                context.__exit__(None if error is None else type(error), error, traceback)
            except Exception as another:
                if another is not error:
                    self._failed(another)

    def _failed(self, error: Exception) -> None:
        """Log what a hook has raised; the event goes on without it."""
        self._engine.warn_once(
            "a hook of around_event() failed: %s: %s (said once)", type(error).__name__, error
        )
        logger.debug("a hook of around_event() failed", exc_info=error)


def _outcome_of(error: BaseException, kind: Kind) -> Outcome:
    if isinstance(error, PayloadError):
        return "invalid"
    if isinstance(error, EventRefusedError):
        return "refused"
    refusals = (ConnectionRefusedError, builtins.ConnectionRefusedError)
    return "refused" if kind == "connect" and isinstance(error, refusals) else "error"


def note_handled(error: BaseException) -> None:
    """Tell the hooks of the run about an exception that an error handler has dealt with."""
    run = _current.get(None)
    if run is not None:
        run.error = error
