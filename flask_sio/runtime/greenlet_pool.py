"""Greenlets that run handlers, and the queue of clients that have one to run.

Hub only, but for what a worker does when its job has ended.
"""

from __future__ import annotations

import logging
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import gevent
from greenlet import GreenletExit, getcurrent, greenlet

from flask_sio.runtime.loop import (
    IDLE_S,
    IDLE_WORKERS,
    KNOWN_LONG_S,
    LONG_S,
    REST,
    TURN_BUDGET_S,
    PoolOptions,
    Turn,
)
from flask_sio.runtime.watchdog import HELD_S

if TYPE_CHECKING:
    from flask_sio.runtime.gevent import GeventLoop

Job = Callable[[], object]

logger = logging.getLogger("flask_sio.runtime")


class GreenletPool:
    """Greenlets that run handlers one after another.

    A fresh greenlet costs 16-18 us, a re-used one 0.8 (CPython maps a frame stack for
    each new one). One is re-used only when nothing of its last job can reach the next:
    it holds no ``gevent.local`` value (they live in its ``__dict__``), nobody else holds a
    reference to it (``getcurrent()``, a Timeout still running, a kill on its way), and it
    ended neither by a kill nor by another BaseException.
    """

    def __init__(self, loop: GeventLoop, options: PoolOptions) -> None:
        self._loop = loop
        self._libev = loop.libev
        self._hub = gevent.get_hub()
        self._max = options.max_handlers or 10_000
        self._fresh = options.fresh_greenlets
        self._ready: deque[Turn] = deque()
        self._resting: deque[Turn] = deque()
        """Clients whose handlers have lately kept the hub: one a pass, while others wait."""
        self._long: dict[int | None, float] = {}
        """What has lately kept it more than once, by `Turn.kind`, and until when that counts."""
        self._seen_long: dict[int | None, float] = {}
        """The same of what has once, for which there may be other reasons too."""
        self._scheduled = False
        self._again = self._libev.timer(0.0)
        self._idle: list[greenlet] = []
        self._fewest_idle = 0
        self._trim_at = time.monotonic() + IDLE_S
        self._warned = False
        self._stopped = False
        self.running = 0
        self._first: Job | None = None
        self._began = self._until = 0.0
        """When the last turn of this pass began, and when the pass is over."""
        self._job: Job | None = None
        """The one that was started last in this pass."""
        self._inside: greenlet | None = None
        """The worker that the hub has switched into, and that has not come back yet."""
        loop.on_tick(self._trim)
        self._idle_references, self._inside_references = self._measure_references()

    def ready(self, turn: Turn) -> None:
        if (turn.rests_until or self._long) and self._must_rest(turn):
            self._resting.append(turn)
        else:
            self._ready.append(turn)
        if not self._scheduled:
            self._scheduled = True
            self._libev.run_callback(self._take_turns)

    def _must_rest(self, turn: Turn) -> bool:
        now = time.perf_counter()
        if turn.rests_until > now:
            return True
        turn.rests_until = 0.0
        return bool(self._long) and self._long.get(turn.kind(), 0.0) > now

    def _take_turns(self) -> None:
        """Start handlers for at most `TURN_BUDGET_S`, then let the loop poll."""
        self._began = time.perf_counter()
        self._until = self._began + TURN_BUDGET_S
        self._start_those(self._ready)
        if self._resting:
            self._start_those(self._resting)
        self._until = 0.0
        self._job = self._loop.turn = None
        if not self._ready and not self._resting:
            self._scheduled = False
        elif self._scheduled:
            # A timer, not run_callback: those are run again and again before the poll.
            self._again.stop()
            self._again.start(self._take_turns)

    def _start_those(self, waiting: deque[Turn]) -> None:
        """Start their handlers while this pass has time, and at least one."""
        while waiting:
            if self.running >= self._max:
                self._scheduled = False  # the next handler to end schedules us again
                self._warn_full()
                break
            job = self._job = self._loop.next_job(waiting)
            if job is not None:
                self.start(job)
                if self._is_over():
                    break

    def begin_again(self) -> None:
        """Count the time from now: what has just passed was no handler's."""
        self._began = time.perf_counter()

    def _is_over(self) -> bool:
        """Whether the time of this pass is used up, now that a job has ended or waits."""
        before, self._began = self._began, time.perf_counter()
        took = self._began - before
        turn = self._loop.turn
        if took > LONG_S and turn is not None and self._job is not None:
            turn.rests_until = max(turn.rests_until, self._began) + took * REST
            kind = turn.kind(self._job)
            if kind is not None:
                if kind in self._seen_long:
                    self._long[kind] = self._began + KNOWN_LONG_S
                self._seen_long[kind] = self._began + KNOWN_LONG_S
            if took > HELD_S:
                self._loop.watchdog.held(self._job, took)
        if self._began <= self._until:
            return False
        self._until = 0.0
        self._job = None
        return True

    def start(self, job: Job) -> None:
        """Switch into a worker with ``job``; return when it waits or ends. Hub only."""
        self.running += 1
        while self._idle:
            worker = self._idle.pop()
            if not worker.dead and self._is_clean(worker, self._idle_references):
                self._inside = worker
                worker.switch(job)
                self._inside = None
                return
            worker.switch(None)
        worker = greenlet(self._work, self._hub)
        self._first = job  # what a greenlet is started with, it holds as long as it lives
        self._inside = worker
        worker.switch()
        self._inside = None

    def _work(self) -> None:
        job, self._first = self._first, None
        while job is not None:
            try:
                job()
            except GreenletExit:
                job = None
            except Exception:
                logger.exception("a job failed outside of its handler")
            except BaseException:
                job = None
                self._hub.handle_error(self, *sys.exc_info())
            self.running -= 1
            if (self._ready or self._resting) and not self._scheduled:
                self._scheduled = True
                self._libev.run_callback(self._take_turns)
            if job is None or self._fresh or self._stopped:
                return
            job = None  # keep nothing of it while idle
            if self._ready or self._resting:
                job = self._another()
                if job is not None:
                    continue
            self._idle.append(getcurrent())
            try:
                job = self._hub.switch()
            except BaseException:  # a kill, or a Timeout, that the last job has left behind
                return

    def _another(self) -> Job | None:
        """Return the next job for the worker that asks, if it need not go back to the hub.

        It need not while this pass has time, its last job did not wait, and nothing of that
        can reach another: this saves two switches an event.
        """
        worker = getcurrent()
        if (
            worker is not self._inside
            or self.running >= self._max
            or not self._is_clean(worker, self._inside_references)
            or self._is_over()
        ):
            return None
        job = self._job = self._loop.next_job(self._ready or self._resting)
        if job is not None:
            self.running += 1
        return job

    def _is_clean(self, worker: greenlet, references: int) -> bool:
        """Whether nothing that its last job has left in a worker reaches the next."""
        return not worker.__dict__ and sys.getrefcount(worker) == references

    def _measure_references(self) -> tuple[int, int]:
        """Return how many references nobody else has to a worker: an idle one, one inside."""
        counts = []

        def count(worker: greenlet) -> int:
            return sys.getrefcount(worker)

        def inside() -> None:
            worker = getcurrent()
            counts.append(count(worker))

        idle = [greenlet(inside)]
        self._inside = worker = idle.pop()
        counts.append(count(worker) - 1)
        worker.switch()
        self._inside = None
        return counts[0], counts[1]

    def _warn_full(self) -> None:
        if not self._warned:
            self._warned = True
            self._loop.defer(
                logger.warning,
                "max_handlers=%d handlers are running; further events wait",
                self._max,
            )

    def stop(self) -> None:
        """End the idle workers; those that run end by themselves."""
        self._stopped = True
        while self._idle:
            self._libev.run_callback(self._idle.pop().switch, None)

    def forget(self) -> None:
        """In a forked child: run nothing that the parent is going to run."""
        self._ready.clear()
        self._resting.clear()
        self._again.stop()

    def _trim(self) -> None:
        """End the workers that nobody needed for `IDLE_S` seconds; forget what is long past."""
        if self._seen_long:
            self._long, self._seen_long = _lasting(self._long), _lasting(self._seen_long)
        idle = len(self._idle)
        self._fewest_idle = min(self._fewest_idle, idle)
        now = time.monotonic()
        if now >= self._trim_at:
            for _ in range(max(0, self._fewest_idle - IDLE_WORKERS)):
                self._libev.run_callback(self._idle.pop(0).switch, None)
            self._fewest_idle = len(self._idle)
            self._trim_at = now + IDLE_S


def _lasting(found: dict[int | None, float]) -> dict[int | None, float]:
    now = time.perf_counter()
    return {kind: until for kind, until in found.items() if until > now}
