"""The ordered mailbox of one client: its user code, one piece at a time, in order.

Events, ack callbacks, connect and last the disconnect handler go through it; resolving a
waiting `call()`, pongs and transport state do not. Reading never stops because a mailbox
is full (the ack a handler waits for may be behind the flood): over its bounds the policy
of ``mailbox_overflow`` decides. All but `Job.run` happens in the owner's turn.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from flask_sio.protocol.timers import Timer
    from flask_sio.runtime.loop import Loop

SLOW_S = 5.0
"""A job that waits longer than this behind another of its client is worth a line."""
MAX_CONCURRENT = 64
"""Concurrent handlers of one client that run at once."""


class Job(Protocol):
    """One piece of user code to run for a client."""

    name: str
    size: int
    concurrent: bool

    def run(self) -> None:
        """Run it, on a worker. Must not raise an Exception."""


class Mailbox:
    """The jobs of one client, and which of them runs."""

    __slots__ = (
        "_bytes",
        "_concurrent",
        "_is_queued",
        "_jobs",
        "_loop",
        "_on_slow",
        "_running",
        "_slow_timer",
    )

    def __init__(self, loop: Loop, on_slow: Callable[[str, str], None]) -> None:
        self._loop = loop
        self._on_slow = on_slow
        self._jobs: deque[Job] | None = None  # an empty deque weighs 0.6 KB
        self._bytes = 0
        self._running: Job | None = None
        self._concurrent = 0
        self._is_queued = False
        self._slow_timer: Timer | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs and nothing waits."""
        return self._running is None and not self._jobs and not self._concurrent

    @property
    def waiting(self) -> int:
        return len(self._jobs) if self._jobs else 0

    @property
    def waiting_bytes(self) -> int:
        return self._bytes

    def put(self, job: Job) -> None:
        """Queue a job; it runs when those before it have ended."""
        if self._jobs is None:
            self._jobs = deque()
        self._jobs.append(job)
        self._bytes += job.size
        if self._running is None:
            self._queue()
        elif self._slow_timer is None:
            running = self._running
            self._slow_timer = self._loop.call_at(
                self._loop.now() + SLOW_S, lambda: self._look_slow(running)
            )

    def _queue(self) -> None:
        if not self._is_queued:
            self._is_queued = True
            self._loop.ready(self)

    def take_turn(self) -> Callable[[], object] | None:
        """Return the next job for a worker; the ready queue calls it."""
        self._is_queued = False
        if self._running is not None or not self._jobs:
            return None
        job = self._jobs[0]
        if job.concurrent:
            return self._take_concurrent(job)
        self._jobs.popleft()
        self._bytes -= job.size
        self._running = job
        return self._run

    def _run(self) -> None:
        job = self._running
        if job is not None:
            try:
                job.run()
            finally:
                self._loop.run(self._done, job)

    def _done(self, job: Job) -> None:
        if self._running is job:
            self._running = None
            self._go_on()

    def _go_on(self) -> None:
        if self._jobs:
            self._queue()
        else:
            self._jobs = None
            if self._slow_timer is not None:
                self._slow_timer.cancel()
                self._slow_timer = None

    def _take_concurrent(self, job: Job) -> Callable[[], object] | None:
        assert self._jobs is not None
        if self._concurrent >= MAX_CONCURRENT:
            return None  # the next one to end queues us again
        self._jobs.popleft()
        self._bytes -= job.size
        self._concurrent += 1
        self._go_on()

        def run() -> None:
            try:
                job.run()
            finally:
                self._loop.run(self._concurrent_done)

        return run

    def _concurrent_done(self) -> None:
        self._concurrent -= 1
        if self._jobs and self._running is None:
            self._queue()

    def overtake(self) -> None:
        """Let the queued jobs run beside the one that is running."""
        if self._running is not None:
            self._running = None
            self._go_on()

    def _look_slow(self, running: Job) -> None:
        self._slow_timer = None
        if self._running is running and self._jobs:
            self._on_slow(running.name, self._jobs[0].name)
