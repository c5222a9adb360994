"""The ordered mailbox of one client: its user code, one piece at a time, in order.

Events, ack callbacks, connect and last the disconnect handler go through it; resolving a
waiting `call()`, pongs and transport state do not. Reading never stops because a mailbox
is full (the ack a handler waits for may be behind the flood): over its bounds the policy
of ``mailbox_overflow`` decides. All but `Job.run` happens in the owner's turn.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from flask_sio.protocol.timers import Timer
    from flask_sio.runtime.loop import Loop

SLOW_S = 5.0
"""A job that waits longer than this behind another of its client is worth a line."""
MAX_CONCURRENT = 64
"""Concurrent handlers of one client that run at once."""
MAX_LEFT_BEHIND = 8
"""Beside as many others of its client one whose time is up holds the rest up after all.

Each keeps a worker, and there are 256 threads for all clients.
"""


class Job(Protocol):
    """One piece of user code to run for a client."""

    name: str
    size: int
    concurrent: bool
    """Whether it may run beside the others."""
    is_last: bool
    """Whether concurrent handlers should have ended before it."""

    def run(self) -> None:
        """Run it, on a worker. Must not raise an Exception."""


def _function(job: Job) -> int | None:
    handler = getattr(job, "handler", None)
    return None if handler is None else id(handler.fn)  # it need not be hashable


class Mailbox:
    """The jobs of one client, and which of them runs."""

    __slots__ = (
        "_bytes",
        "_concurrent",
        "_is_hurried",
        "_is_queued",
        "_jobs",
        "_last_jobs",
        "_loop",
        "_on_slow",
        "_slow_timer",
        "on_idle",
        "rests_until",
        "running",
    )

    def __init__(self, loop: Loop, on_slow: Callable[[str, str], None]) -> None:
        self._loop = loop
        self._on_slow = on_slow
        self._jobs: deque[Job] | None = None  # an empty deque weighs 0.6 KB
        self._bytes = 0
        self.rests_until = 0.0
        self.running: Job | None = None
        """The one that the others wait for."""
        self.on_idle: Callable[[], object] | None = None
        """Called whenever the last job has ended, where somebody waits for that."""
        self._concurrent = 0
        self._last_jobs = 0
        self._is_hurried = False
        self._is_queued = False
        self._slow_timer: Timer | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs and nothing waits."""
        return self.running is None and not self._jobs and not self._concurrent

    @property
    def waiting(self) -> int:
        return len(self._jobs) if self._jobs else 0

    @property
    def waiting_bytes(self) -> int:
        return self._bytes

    def put(self, job: Job) -> None:
        """Queue a job; it runs when those before it have ended."""
        jobs = self._jobs
        if jobs is None:
            jobs = self._jobs = deque()
        jobs.append(job)
        self._last_jobs += job.is_last
        self._bytes += job.size
        if len(jobs) == 1 and not self._is_queued and self._may_run(job):
            self._is_queued = True
            self._loop.ready(self)
        if self.running is not None and self._slow_timer is None:
            self._watch_slow()

    def _may_run(self, job: Job) -> bool:
        if job.concurrent:
            return self._concurrent < MAX_CONCURRENT
        if job.is_last and self._concurrent and not self._is_hurried:
            return False
        return self.running is None

    def _wake(self) -> None:
        """Stand in the ready queue if the first job may run."""
        if not self._jobs:
            self._jobs = None
            if self._slow_timer is not None:
                self._slow_timer.cancel()
                self._slow_timer = None
            if self.on_idle is not None and self.is_idle:
                self.on_idle()
        elif not self._is_queued and self._may_run(self._jobs[0]):
            self._is_queued = True
            self._loop.ready(self)

    def take_turn(self) -> Callable[[], object] | None:
        """Return the next job for a worker; the ready queue calls it."""
        self._is_queued = False
        if not self._jobs or not self._may_run(self._jobs[0]):
            return None
        job = self._jobs.popleft()
        self._bytes -= job.size
        if job.is_last:
            self._last_jobs -= 1
            if not self._last_jobs:
                self._is_hurried = False
        if job.concurrent:
            self._concurrent += 1
            self._wake()
            return partial(self._run_concurrent, job)
        self.running = job
        if self._jobs:
            self._wake()
            if self._slow_timer is None:
                self._watch_slow()
        # Not `running` read by the worker: by then another may be overtaking this one.
        return partial(self._run, job)

    def kind(self, job: Callable[[], object] | None = None) -> int | None:
        """Return an id of what the next job calls, or one that was taken; None for none."""
        if isinstance(job, partial):
            return _function(job.args[0])
        return _function(self._jobs[0]) if self._jobs else None

    def _run(self, job: Job) -> None:
        try:
            job.run()
        finally:
            self._loop.run(self._done, job)

    def _done(self, job: Job) -> None:
        if self.running is job:
            self.running = None
            if self._jobs or self._slow_timer is not None or self.on_idle is not None:
                self._wake()
            else:
                self._jobs = None
        elif job.concurrent:  # it was left behind
            self._concurrent_done()

    def _run_concurrent(self, job: Job) -> None:
        try:
            job.run()
        finally:
            self._loop.run(self._concurrent_done)

    def _concurrent_done(self) -> None:
        self._concurrent -= 1
        self._wake()

    # -- jobs that take too long -------------------------------------------------------

    def hurry(self) -> None:
        """Let last jobs that wait for concurrent ones wait no more."""
        self._is_hurried = self._last_jobs > 0
        self._wake()

    def overtake(self, job: Job | None) -> None:
        """Let the queued jobs run beside ``job`` if it is still running."""
        if self.running is job:
            self.running = None
        self.hurry()

    def leave_behind(self, job: Job, answer: Job) -> None:
        """Let ``answer``, then the queued jobs, run beside one that does not end in time.

        The answer waits for no worker: all there may be can be held by such as that one.
        """
        self._concurrent += 1
        if self.running is job and self._concurrent <= MAX_LEFT_BEHIND:
            job.concurrent = True
            self.running = answer
            self._loop.defer(self._run, answer)
        else:
            self._loop.defer(self._run_concurrent, answer)

    def _watch_slow(self) -> None:
        running = self.running
        self._slow_timer = self._loop.call_at(
            self._loop.now() + SLOW_S, lambda: self._look_slow(running)
        )

    def _look_slow(self, running: Job | None) -> None:
        self._slow_timer = None
        if self.running is None or not self._jobs:
            return
        if self.running is running:
            self._on_slow(running.name, self._jobs[0].name)
        else:  # a later one, which may be the one to blame
            self._watch_slow()
