"""The loop on plain threads: one selector thread, and turns taken by whoever is free.

A turn asked for is appended to a deque; who asked then tries the one lock. Whoever holds
it runs what is queued, so nobody waits for it but the selector thread, and a finaliser or
a signal handler that asks for a turn inside a turn finds the lock taken and leaves it to
the holder. Nothing in a turn waits, logs or runs user code.
"""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

from flask_sio.protocol.timers import Timer, Wheel
from flask_sio.runtime.loop import (
    STALL_S,
    TICK_S,
    Limit,
    PoolOptions,
    Task,
    Ticket,
    Waiter,
    Watch,
    log_error,
    original,
)
from flask_sio.runtime.slow_lane import SlowLane
from flask_sio.runtime.thread_limit import ThreadLimit
from flask_sio.runtime.thread_pool import ThreadPool
from flask_sio.runtime.watchdog import Watchdog

T = TypeVar("T")
Job = Callable[[], object]


_get_ident: Callable[[], int] = original("_thread", "get_ident")
_allocate_lock: Callable[[], Any] = original("_thread", "allocate_lock")
_new_rlock: Callable[[], Any] = original("_thread", "RLock")
_sleep: Callable[[float], None] = original("time", "sleep")


_CAPTIVE_JOBS = 5000
"""Turns of others that one thread takes at most before it goes on with its own work."""


class _Waiter:
    """A raw lock, acquired twice; a pool worker that waits here frees its place.

    Not one that waits for a turn, without ``loop``: that is short, and nobody's business.
    """

    __slots__ = ("_lock", "_loop")

    def __init__(self, loop: ThreadLoop | None = None) -> None:
        self._loop = loop
        self._lock = _allocate_lock()
        self._lock.acquire()

    def wait(self, timeout: float | None = None) -> bool:
        if self._lock.acquire(False):
            return True
        if self._loop is None:
            return bool(self._lock.acquire())
        limit = self._loop.limits.get(_get_ident())
        with self._loop.waiting():
            if limit is not None:
                return limit.acquire(self._lock, timeout)
            return bool(self._lock.acquire(True, -1 if timeout is None else max(0.0, timeout)))

    def set(self) -> None:
        self._lock.release()


class _Waiting:
    """While entered by a pool worker, its place in the pool belongs to others."""

    __slots__ = ("_is_worker", "_pool")

    def __init__(self, pool: ThreadPool) -> None:
        self._pool = pool
        self._is_worker = False

    def __enter__(self) -> None:
        self._is_worker = _get_ident() in self._pool.workers
        if self._is_worker:
            self._pool.loop.run(self._pool.leave)

    def __exit__(self, *_: object) -> None:
        if self._is_worker:
            self._pool.loop.run(self._pool.enter)


class _Watch:
    """One socket's registration with the selector."""

    __slots__ = ("_events", "_is_stopped", "_loop", "_sock", "on_readable", "on_writable")

    def __init__(self, loop: ThreadLoop, sock: Any, on_readable: Job, on_writable: Job) -> None:
        self._loop = loop
        self._sock = sock
        self.on_readable = on_readable
        self.on_writable = on_writable
        self._is_stopped = False
        self._events = 0
        self._want(selectors.EVENT_READ)

    def want_read(self, wanted: bool) -> None:
        self._want(self._events & selectors.EVENT_WRITE | (selectors.EVENT_READ if wanted else 0))

    def want_write(self, wanted: bool) -> None:
        self._want(self._events & selectors.EVENT_READ | (selectors.EVENT_WRITE if wanted else 0))

    def _want(self, events: int) -> None:
        before, selector = self._events, self._loop.selector
        if events == before or self._is_stopped:
            return
        self._events = events
        if self._loop.is_stopped:
            return
        if not before:
            selector.register(self._sock, events, self)
        elif events:
            selector.modify(self._sock, events, self)
        else:
            selector.unregister(self._sock)
            return
        self._loop.nudge()

    def stop(self) -> None:
        self._want(0)
        self._is_stopped = True

    def happened(self, mask: int) -> None:
        if mask & selectors.EVENT_WRITE and self._events & selectors.EVENT_WRITE:
            self.on_writable()
        if mask & selectors.EVENT_READ and self._events & selectors.EVENT_READ:
            self.on_readable()


class ThreadTasks:
    """Background tasks are daemon threads."""

    def spawn(self, fn: Callable[..., object], *args: Any, **kwargs: Any) -> Task:
        task = threading.Thread(target=fn, args=args, kwargs=kwargs, daemon=True)
        task.start()
        return task

    def sleep(self, seconds: float) -> None:
        _sleep(seconds)


class ThreadLoop(ThreadTasks):
    """The owner of a server's state in a process that runs on OS threads."""

    name: Final = "threading"

    def __init__(self, pool: PoolOptions) -> None:
        # Re-entrant only because its owner is known in the same instant it is taken.
        self._lock = _new_rlock()
        self._jobs: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._wheel = Wheel(pool.resolution_s)
        self._discarded: list[Any] = []
        self._later: list[tuple[Callable[..., object], tuple[Any, ...]]] = []
        self._ticks: list[Callable[[], None]] = []
        self._tick_due = time.monotonic() + TICK_S
        self._stalled_s = 0.0
        self.limits: dict[int, ThreadLimit] = {}
        """Those of workers whose handlers have one, by thread."""
        self.is_stopped = False
        self.selector = selectors.DefaultSelector()
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self.selector.register(self._wake_in, selectors.EVENT_READ, None)
        self.slow_lane = SlowLane(self)
        self._watchdog = Watchdog(self, self._lag)
        self._pool = ThreadPool(self, pool)
        self.ready = self._pool.ready
        threading.Thread(target=self._select_for_ever, name="flask_sio", daemon=True).start()

    # -- turns -------------------------------------------------------------------------

    def run(self, fn: Callable[..., object], *args: Any) -> None:
        self._jobs.append((fn, args))
        self._drain()

    def _drain(self) -> None:
        while self._jobs and not self._is_turn() and self._lock.acquire(False):
            try:
                self._run_jobs(_CAPTIVE_JOBS)
            finally:
                self._lock.release()
            if len(self._jobs) > _CAPTIVE_JOBS:
                self.nudge()  # the selector thread takes them, after timers and sockets
                return

    def _is_turn(self) -> bool:
        """Whether the caller is in a turn: a finaliser or a signal handler within one."""
        return bool(self._lock._is_owned())

    def _run_jobs(self, at_most: int) -> None:
        while self._jobs and at_most:
            at_most -= 1
            fn, args = self._jobs.popleft()
            try:
                fn(*args)
            except Exception as error:
                self._pool.start(partial(log_error, error))
            del fn, args

    def call(self, fn: Callable[..., T], *args: Any) -> T:
        if self._is_turn():  # it cannot wait for the turn it is in
            return fn(*args)
        ticket = Ticket(_Waiter(), fn, args)
        self.run(ticket.settle)
        return ticket.result()  # type: ignore[no-any-return]

    def soon(self, fn: Callable[..., object], *args: Any) -> None:
        self._jobs.append((fn, args))
        self._drain()

    def later(self, fn: Callable[..., object], *args: Any) -> None:
        self._later.append((fn, args))
        self.nudge()

    # -- time --------------------------------------------------------------------------

    def now(self) -> float:
        return time.monotonic()

    def call_at(self, when: float, fn: Job) -> Timer:
        first = self._wheel.next()
        timer = self._wheel.add(when, fn)
        if first is None or when < first:
            self.nudge()
        return timer

    def on_tick(self, fn: Callable[[], None]) -> None:
        self._ticks.append(fn)

    @property
    def stall_s(self) -> float:
        # After a stall other timers come before the tick.
        lag = self._lag()
        return self._stalled_s + lag if lag > STALL_S else self._stalled_s

    def _lag(self) -> float:
        return time.monotonic() - self._tick_due

    def _tick(self) -> None:
        now = time.monotonic()
        if now < self._tick_due:
            return
        self._stalled_s = self.stall_s
        self._watchdog.ticked(now - self._tick_due)
        self._tick_due = now + TICK_S
        for fn in self._ticks:
            self._guarded(fn)

    # -- the selector thread -----------------------------------------------------------

    def nudge(self) -> None:
        """Make the selector thread look again at what it watches and when it is due."""
        try:
            self._wake_out.send(b"x")
        except BlockingIOError:
            pass  # it is awake already
        except OSError:
            if not self.is_stopped:
                raise

    def _timeout(self) -> float:
        due = self._wheel.next()
        when = self._tick_due if due is None else min(due, self._tick_due)
        return max(0.0, when - time.monotonic())

    def _select_for_ever(self) -> None:
        self._watchdog.thread = _get_ident()
        while not self.is_stopped:
            events = self.selector.select(self._timeout())
            self._lock.acquire()
            try:
                for key, mask in events:
                    if key.data is None:
                        self._empty_wake()
                    else:
                        self._guarded(key.data.happened, mask)
                for fn in self._wheel.drain(time.monotonic()):
                    self._guarded(fn)
                self._tick()
                self._run_jobs(len(self._jobs) + _CAPTIVE_JOBS)
                later, self._later = self._later, []
                for fn, args in later:
                    self._guarded(fn, *args)
                discarded, self._discarded = self._discarded, []
            finally:
                self._lock.release()
            for sock in discarded:
                sock.close()
            self._drain()
        with self._lock:  # what turns of others gave back after the last pass
            discarded, self._discarded = self._discarded, []
        for sock in discarded:
            sock.close()
        self.selector.close()
        self._wake_in.close()
        self._wake_out.close()

    def _guarded(self, fn: Callable[..., object], *args: Any) -> None:
        try:
            fn(*args)
        except Exception as error:
            self._pool.start(partial(log_error, error))

    def _empty_wake(self) -> None:
        try:
            while len(self._wake_in.recv(4096)) == 4096:
                pass
        except BlockingIOError:
            pass

    def stop(self) -> None:
        self.is_stopped = True
        self._watchdog.stop()
        self._pool.stop()
        self.nudge()

    def forget(self) -> None:
        # Closed only: to unregister would change the epoll set that the parent has too.
        self.is_stopped = True
        self.selector.close()
        for sock in (self._wake_in, self._wake_out, *self._discarded):
            sock.close()

    # -- sockets -----------------------------------------------------------------------

    def watch(self, sock: Any, on_readable: Job, on_writable: Job) -> Watch:
        return _Watch(self, sock, on_readable, on_writable)

    def discard(self, sock: Any) -> None:
        if self.is_stopped:  # nobody may be there any more to close it
            sock.close()
        else:
            self._discarded.append(sock)
            self.nudge()

    def part_with(self, sock: Any) -> None:
        pass  # the selector knows only what is watched

    # -- user code ---------------------------------------------------------------------

    def defer(self, fn: Callable[..., object], *args: Any) -> None:
        self.run(self._pool.start, lambda: fn(*args))

    def in_thread(self, fn: Callable[..., T], *args: Any) -> T:
        return fn(*args)  # a handler has a thread to itself

    def waiter(self) -> Waiter:
        return _Waiter(self)

    def limit(self, seconds: float, on_overdue: Callable[[], object]) -> Limit:
        return ThreadLimit(self, seconds, on_overdue)

    def line_up(self) -> None:
        """Each request has a thread of its own, and the system shares them out."""

    def settle(self) -> None:
        self.call(lambda: None)

    def waiting(self) -> _Waiting:
        """Return a context in which a pool worker does not count as running."""
        return _Waiting(self._pool)

    def sleep(self, seconds: float) -> None:
        if _get_ident() in self.limits:
            self.waiter().wait(seconds)
            return
        with self.waiting():
            _sleep(seconds)

    @property
    def running_handlers(self) -> int:
        return self._pool.busy
