"""Who holds a loop up: a handler that does not wait, or a thread that keeps the interpreter.

Costs nothing while all is well. Under gevent the pool knows how long a handler kept the hub
before it first waited, since it reads the clock after each anyway. What that does not
explain is looked for by an OS thread that samples stacks; it starts when a stall or a lasting
lag was seen, and ends by itself.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any

from flask_sio.runtime.loop import STALL_S, TICK_S, original

if TYPE_CHECKING:
    from flask_sio.runtime.loop import Loop

logger = logging.getLogger("flask_sio.runtime")

HELD_S = 0.25
"""A loop held up for this long is worth a line: one per culprit."""
LAG_S = 0.003
"""A mean lateness of ticks above this is a lag: who waits for the interpreter waits 5 ms."""
_MEAN_OF_TICKS = 20
_SAMPLES = 50
"""Looks of a sampling thread before it ends: ten seconds."""
_SURE = 5
"""Looks in a row that find the same thread at work."""
_SHARE = 0.2
"""Of a processor: a thread that takes more is at work, on a crowded machine too."""
_MAX_SAID = 100
_IDLE = ("gevent.hub", "selectors")
"""Where a loop's thread waits for sockets: a machine that is busy holds it up there."""

titled: dict[CodeType, Callable[[FrameType], str]] = {}
"""Functions whose frames stand for a piece of user code -> who that is."""

_HELD = (
    "%s kept everybody waiting for %d ms%s: gevent runs one handler until it waits. Waiting must "
    "go through gevent (monkey.patch_all() first of all), and long work to another process or to "
    "gevent's thread pool (said once)"
)
_BUSY = (
    "all are %.1f ms late on average: thread %r runs Python code without a pause%s, and everybody "
    "waits for the interpreter. Such work belongs in another process; the option "
    "switch_interval shortens the wait (said once)"
)

_get_ident: Callable[[], int] = original("_thread", "get_ident")
_sleep: Callable[[float], None] = original("time", "sleep")
_start_thread: Callable[..., int] = original("_thread", "start_new_thread")


class Watchdog:
    """Watches one loop; `held` and `ticked` are for its owner's turn."""

    def __init__(self, loop: Loop, lag: Callable[[], float]) -> None:
        """``lag`` tells how overdue the tick is."""
        self._loop = loop
        self._lag = lag
        self.thread = 0
        """The loop's own thread, once it is known."""
        self._mean_s = 0.0
        self._is_explained = False
        self._is_sampling = False
        self._stopped = False
        self._seen: tuple[str, str] | None = None
        self._said: set[str] = set()

    def held(self, job: Callable[[], object], seconds: float) -> None:
        """Say that a job kept the hub for so long before it waited or ended."""
        self._is_explained = True
        self._say_held(_title(job), "", seconds)

    def ticked(self, lag_s: float) -> None:
        """Take note of how late a tick was."""
        is_explained, self._is_explained = self._is_explained, False
        if lag_s >= HELD_S and not is_explained:
            seen, self._seen = self._seen, None
            if seen is not None:
                self._say_held(*seen, lag_s)
            else:
                self._sample_for_a_while()
        self._mean_s += (min(lag_s, STALL_S) - self._mean_s) / _MEAN_OF_TICKS
        if self._mean_s > LAG_S and _BUSY not in self._said:
            self._sample_for_a_while()

    def stop(self) -> None:
        self._stopped = True

    def _say_held(self, who: str, where: str, seconds: float) -> None:
        if who not in self._said and len(self._said) < _MAX_SAID:
            self._said.add(who)
            self._loop.defer(logger.warning, _HELD, who, round(seconds * 1000), where)

    # -- the sampling thread -----------------------------------------------------------

    def _sample_for_a_while(self) -> None:
        if not self._is_sampling:
            self._is_sampling = True
            try:
                _start_thread(self._sample, ())
            except RuntimeError:  # no thread is to be had: it stays untold
                self._is_sampling = False

    def _sample(self) -> None:
        spent, last, times = _cpu_times(), 0, 0
        for _ in range(_SAMPLES):
            _sleep(TICK_S)
            if self._stopped:
                return
            if self._loop.name == "gevent" and self._lag() > STALL_S:
                frame = sys._current_frames().get(self.thread)
                if frame is None or frame.f_globals.get("__name__") in _IDLE:
                    self._seen = None
                else:
                    self._seen = _culprit(frame), place(frame)
                del frame
            elif self._mean_s > LAG_S:
                before, spent = spent, _cpu_times()
                busy = self._busiest(before, spent)
                times = times + 1 if busy == last else 1
                last = busy
                frame = sys._current_frames().get(busy)
                if frame is not None and times >= _SURE:
                    self._loop.run(self._say_busy, _name(busy), place(frame))
                    break
                del frame
        self._is_sampling = False

    def _busiest(self, before: dict[int, float], now: dict[int, float]) -> int:
        """Return the thread, not the loop's, that has worked most since; 0 for none."""
        ours = (_get_ident(), self.thread)
        worked = {
            ident: spent - before[ident]
            for ident, spent in now.items()
            if ident in before and ident not in ours
        }
        busiest = max(worked, key=worked.__getitem__, default=0)
        return busiest if worked.get(busiest, 0) > _SHARE * TICK_S else 0

    def _say_busy(self, thread: str, where: str) -> None:
        if _BUSY not in self._said:
            self._said.add(_BUSY)
            self._loop.defer(logger.warning, _BUSY, self._mean_s * 1000, thread, where)


def _title(job: Callable[[], object]) -> str:
    """Name a job of the pool; a mailbox's is a ``partial`` of one that knows its title."""
    if isinstance(job, partial):
        for part in (*job.args, getattr(job.func, "__self__", None)):
            title = getattr(part, "title", None)
            if title is not None:
                return str(title)
        job = job.func
    return str(getattr(job, "__qualname__", job))


def _culprit(frame: FrameType) -> str:
    """Name the piece of user code that a stack is in, else its innermost function."""
    at: FrameType | None = frame
    while at is not None:
        title = titled.get(at.f_code)
        if title is not None:
            return title(at)
        at = at.f_back
    return f"{frame.f_code.co_name}()"


def _cpu_times() -> dict[int, float]:
    """Return the processor time of each thread that runs Python, where the system tells."""
    clock_of = getattr(time, "pthread_getcpuclockid", None)
    if clock_of is None:  # macOS, Windows
        return {}
    try:
        return {ident: time.clock_gettime(clock_of(ident)) for ident in sys._current_frames()}
    except OSError:
        return {}


def place(frame: FrameType) -> str:
    """Return where a stack is, as the end of a sentence."""
    return f" (at {frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name})"


def _name(ident: int) -> str:
    known: Any = getattr(threading, "_active", {}).get(ident)
    return str(getattr(known, "name", ident))
