"""Time limits of threads, which nobody can interrupt from outside.

A thread that waits with us waits no longer than until its limit, and raises what is then due
itself. The timer finds those that are elsewhere. Whoever of the two is first has the say:
single operations of a dict, which no thread can come between, take a lock's place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flask_sio.runtime.loop import TimeIsUp, original

if TYPE_CHECKING:
    from flask_sio.protocol.timers import Timer
    from flask_sio.runtime.threads import ThreadLoop

__all__ = ["ThreadLimit"]

_AHEAD_S = 60.0
"""A cancelled timer keeps its place on the wheel until its time, so none is set further ahead."""

_get_ident: Callable[[], int] = original("_thread", "get_ident")


class ThreadLimit:
    """The time of what the current thread goes on to do."""

    __slots__ = (
        "_deadline",
        "_has_ended",
        "_ident",
        "_is_waiting",
        "_loop",
        "_on_overdue",
        "_outer",
        "_said",
        "_timer",
        "_was_raised",
        "up",
    )

    def __init__(self, loop: ThreadLoop, seconds: float, on_overdue: Callable[[], object]) -> None:
        self.up = TimeIsUp()
        self._loop = loop
        self._deadline = loop.now() + seconds
        self._on_overdue = on_overdue
        self._said: dict[str, str] = {}
        """Who was first to say that it is over: the thread itself, or the timer."""
        self._is_waiting = False
        self._was_raised = False
        self._has_ended = False
        self._timer: Timer | None = None
        self._ident = _get_ident()
        self._outer = loop.limits.get(self._ident)
        loop.limits[self._ident] = self
        loop.run(self._look)

    def end(self) -> bool:
        if self._outer is None:
            del self._loop.limits[self._ident]
        else:
            self._loop.limits[self._ident] = self._outer
        self._loop.run(self._stop)
        del self.up  # whose traceback holds frames that hold this
        return self._said.setdefault("it", "thread") == "thread"

    # -- the thread's waits ------------------------------------------------------------

    def acquire(self, lock: Any, timeout: float | None) -> bool:
        """Acquire a lock within its time and within this limit, which is raised once."""
        if self._was_raised:
            return bool(lock.acquire(True, -1 if timeout is None else max(0.0, timeout)))
        left = self._deadline - self._loop.now()
        if left <= 0:
            self._raise()
        is_short = timeout is None or timeout > left
        self._is_waiting = True
        try:
            got = bool(lock.acquire(True, left if is_short else max(0.0, timeout or 0.0)))
        finally:
            self._is_waiting = False
        # Only now: a timer that has left it to this thread was before.
        if (is_short and not got) or self._loop.now() >= self._deadline:
            self._raise()
        return got

    def _raise(self) -> None:
        self._was_raised = True
        self._said.setdefault("it", "thread")
        raise self.up

    # -- owner's turn ------------------------------------------------------------------

    def _look(self) -> None:
        now = self._loop.now()
        self._timer = None
        if self._has_ended:
            return
        if now < self._deadline:
            self._timer = self._loop.call_at(min(self._deadline, now + _AHEAD_S), self._look)
        elif not self._is_waiting and self._said.setdefault("it", "timer") == "timer":
            self._on_overdue()

    def _stop(self) -> None:
        self._has_ended = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
