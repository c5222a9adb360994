"""Handlers of events with a time limit: ``on(..., timeout=)`` and the option ``handler_timeout``.

What is limited is the function alone, as it was adapted: contexts, hooks and what a framework
cleans up stand around it and are never interrupted. A handler without a limit is returned as
it is and pays nothing.

Two ways out, by `runtime.loop.Limit`. Where the handler waits and can be interrupted,
`TimeIsUp` goes through it, its clean-up runs, and here it becomes a `HandlerTimeoutError`
that goes on like any exception of a handler. A thread that is elsewhere goes on by itself;
an `_OverdueJob` answers in its place, and its client's next events do not wait for it. At its
end `TimeIsUp` takes it past all that would answer a second time, to its job.
"""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any, NamedTuple

from flask_sio.errors import EventRefusedError, HandlerTimeoutError
from flask_sio.runtime.loop import original
from flask_sio.runtime.watchdog import place
from flask_sio.server.beside import beside
from flask_sio.server.calling import name_of
from flask_sio.server.handlers import Handler
from flask_sio.server.jobs import EventJob, WatchedJob, _Job
from flask_sio.server.late import Ack

if TYPE_CHECKING:
    from flask_sio.server.socket import Socket

__all__ = ["TimeLimited", "limited"]

Function = Callable[..., Any]

_get_ident: Callable[[], int] = original("_thread", "get_ident")

logger = logging.getLogger("flask_sio.server")


def limited(fn: Function, seconds: float | None, reads: Any = None, grace_s: float = 0) -> Function:
    """Return a handler of events, or one that is given so long; None and infinity are for ever.

    ``reads`` is the function that it is known by, if that is not ``fn``. With ``grace_s`` it
    sees to its time itself, and is given so much more.
    """
    if seconds is None or seconds == math.inf:
        return fn
    return TimeLimited(fn, seconds, name_of(fn if reads is None else reads), grace_s)


class TimeLimited:
    """A handler that is given so many seconds for an event, and any time elsewhere."""

    __slots__ = ("_grace_s", "_name", "_seconds", "fn")

    def __init__(self, fn: Function, seconds: float, name: str, grace_s: float) -> None:
        self.fn = fn
        self._seconds = seconds
        self._name = name
        self._grace_s = grace_s

    def __call__(self, *args: Any, **values: Any) -> Any:
        run = _run_here()
        if run is None:
            return self.fn(*args, **values)
        loop = run.socket.client.server.engine.loop
        overdue = partial(self._leave_behind, run, _get_ident())
        limit = loop.limit(self._seconds + self._grace_s, overdue)
        up = limit.up
        try:
            result = self.fn(*args, **values)
        except BaseException as error:
            is_awaited = limit.end()
            if error is up and is_awaited:
                raise self._error() from error
            if is_awaited or not isinstance(error, Exception):
                raise
            logger.debug("%s failed after its time", self._name, exc_info=error)
            raise up from None
        else:
            if limit.end():
                return result
            raise up
        finally:
            del up  # which holds this frame, and all that the handler had

    def _error(self) -> HandlerTimeoutError:
        text = f"{self._name} took longer than {self._seconds:g} s"
        return HandlerTimeoutError(text, seconds=self._seconds)

    def _leave_behind(self, run: _Run, thread: int) -> None:
        """Let the client go on without a handler that cannot be interrupted. Owner's turn."""
        job = _OverdueJob(run, self._error(), thread)
        run.socket.client.leave_behind(run.job, job)


class _Run(NamedTuple):
    """One run of a handler."""

    socket: Socket
    job: _Job
    """What its mailbox runs."""
    event: str
    fn: Function
    """The handler as its convention called it."""
    args: tuple[Any, ...]
    ack_id: int | None
    """None also for a handler that was added, whose result is nobody's."""


class _OverdueJob(EventJob):
    """Answers an event whose handler goes on elsewhere after its time."""

    __slots__ = ("_error", "_thread")

    def __init__(self, run: _Run, error: HandlerTimeoutError, thread: int) -> None:
        super().__init__(run.socket, run.event, Handler(run.fn), run.args, 0, run.ack_id)
        self._error = error
        self._thread = thread

    def _run(self) -> None:
        socket, handler = self.socket, self.handler
        assert handler is not None
        frame = sys._current_frames().get(self._thread)
        logger.warning(
            "%s, the handler of %.200r, for %s in %.200s, and cannot be interrupted where it is"
            "%s: it is left behind, and what it returns is dropped",
            self._error,
            self.name,
            socket.id,
            socket.namespace,
            "" if frame is None else place(frame),
        )
        del frame
        try:
            fail = socket.client.server.convention.fail
            result = fail(socket, self.name, handler.fn, self.args, self._error)
        except EventRefusedError as error:
            result = error.payload
        if result.__class__ is Ack:
            result.bind(socket, self.ack_id)
        elif self.ack_id is not None:
            socket.client.acknowledge(socket, self.ack_id, result)


def _run_here() -> _Run | None:
    """Return the run of a handler whose stack this is; None if there is none."""
    frame: FrameType | None = sys._getframe(2)
    found: dict[str, Any] = {}
    while frame is not None:
        code = frame.f_code
        if code is beside.__code__ and not found:
            of = frame.f_locals
            found = {"event": of["event"], "fn": of["call"], "args": of["given"], "ack_id": None}
        elif code in _EVENT_CODES and not found:
            of = frame.f_locals
            job: EventJob = of["self"]
            assert job.handler is not None
            found = {"event": job.name, "fn": job.handler.fn, "args": job.args}
            found["ack_id"] = job.ack_id
        elif code is _Job.run.__code__:
            whole: _Job = frame.f_locals["self"]
            return _Run(whole.socket, whole, **found) if found else None
        frame = frame.f_back
    return None


_EVENT_CODES = (EventJob._run.__code__, WatchedJob._run.__code__)
