"""The loop on gevent's hub: no thread, no lock, no greenlet per connection.

The hub's OS thread is the owner. Greenlets of that thread take their turn at once, since
nothing in a turn switches; other OS threads append to a deque and wake the hub. A real
lock here could hang the process for ever (a finaliser or a signal handler inside the
critical section), so there is none: ``_busy`` sends re-entrant turns to the deque too.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final, TypeVar

import gevent
from gevent.event import Event
from gevent.hub import MAIN_THREAD_IDENT  # type: ignore[attr-defined] # its own name for it

from flask_sio.protocol.timers import Timer, Wheel
from flask_sio.runtime.greenlet_limit import GreenletLimit
from flask_sio.runtime.greenlet_pool import GreenletPool
from flask_sio.runtime.loop import (
    STALL_S,
    TICK_S,
    Limit,
    PoolOptions,
    Task,
    Ticket,
    Turn,
    Waiter,
    Watch,
    log_error,
    original,
)
from flask_sio.runtime.os_thread import OSThreads
from flask_sio.runtime.reception import Reception
from flask_sio.runtime.slow_lane import SlowLane
from flask_sio.runtime.watchdog import Watchdog

T = TypeVar("T")
Job = Callable[[], object]


_READ, _WRITE = 1, 2  # libev's EV_READ and EV_WRITE, the same under libuv


def is_main_thread() -> bool:
    """Whether the caller is a greenlet of the main thread, which `threading` does not tell."""
    return bool(original("_thread", "get_ident")() == MAIN_THREAD_IDENT)


class _LockWaiter:
    """A waiter for an OS thread that has no hub of ours: a raw lock, acquired twice."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = original("_thread", "allocate_lock")()
        self._lock.acquire()

    def wait(self, timeout: float | None = None) -> bool:
        return bool(self._lock.acquire(True, -1 if timeout is None else max(0.0, timeout)))

    def set(self) -> None:
        self._lock.release()


class _Watch:
    """One libev io watcher for reading; a second one only while a write is due."""

    __slots__ = ("_fd", "_loop", "_on_readable", "_on_writable", "_read", "_write")

    def __init__(self, loop: GeventLoop, fd: int, on_readable: Job, on_writable: Job) -> None:
        self._loop = loop
        self._fd = fd
        self._on_readable = on_readable
        self._on_writable = on_writable
        self._write: Any = None
        self._read: Any = loop.libev.io(fd, _READ)
        self._read.start(loop.entry, on_readable)

    def want_read(self, wanted: bool) -> None:
        if self._read is None:
            return
        if wanted:
            self._read.start(self._loop.entry, self._on_readable)
        else:
            self._read.stop()

    def want_write(self, wanted: bool) -> None:
        if wanted and self._write is None:
            self._write = self._loop.libev.io(self._fd, _WRITE)
            self._write.start(self._loop.entry, self._on_writable)
        elif not wanted and self._write is not None:
            self._close(self._write)
            self._write = None

    def stop(self) -> None:
        self.want_write(False)
        if self._read is not None:
            self._close(self._read)
            self._read = None

    @staticmethod
    def _close(watcher: Any) -> None:
        watcher.stop()
        watcher.close()


class GeventTasks:
    """Background tasks are greenlets."""

    def spawn(self, fn: Callable[..., object], *args: Any, **kwargs: Any) -> Task:
        return gevent.spawn(fn, *args, **kwargs)

    def sleep(self, seconds: float) -> None:
        gevent.sleep(seconds)


class GeventLoop(GeventTasks):
    """The owner of a server's state, on the hub of the thread that made it."""

    name: Final = "gevent"

    def __init__(self, pool: PoolOptions) -> None:
        self._hub = gevent.get_hub()
        self.libev = self._hub.loop
        self._get_ident: Callable[[], int] = original("_thread", "get_ident")
        self._thread = self._get_ident()
        self._jobs: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._busy = False
        self._stopped = False
        self.entry = self.enter
        """`enter`, bound once for all watches."""
        self._errors: list[BaseException] = []
        self._wheel = Wheel(pool.resolution_s)
        self._armed: float | None = None
        self._stalled_s = 0.0
        self.turn: Turn | None = None
        """Who has the job that `next_job` returned last."""
        self._ticks: list[Callable[[], None]] = []
        self._tick_due = time.monotonic() + TICK_S
        # ref=False: none of these keeps a program alive that has nothing else to do. What is
        # left for a later pass does: without a server, whoever waits for it would get LoopExit.
        self._wake = self.libev.async_(ref=False)
        self._wake.start(self._drain)
        self._timer = self.libev.timer(0.0, ref=False)
        self._later_timer = self.libev.timer(0.0)
        self._later: list[tuple[Callable[..., object], tuple[Any, ...]]] = []
        self._ticker = self.libev.timer(TICK_S, TICK_S, ref=False)
        self._ticker.start(self._tick)
        self.slow_lane = SlowLane(self)
        self._reception = Reception(self)
        self.watchdog = Watchdog(self, self._lag)
        self.watchdog.thread = self._thread
        self._pool = GreenletPool(self, pool)
        self.ready = self._pool.ready
        self._threads: OSThreads | None = None

    # -- turns -------------------------------------------------------------------------

    def run(self, fn: Callable[..., object], *args: Any) -> None:
        if self._get_ident() != self._thread:
            self._hand_over(fn, *args)
        elif self._busy:
            self._jobs.append((fn, args))
        else:  # `enter`, without the call: three times an event
            self._busy = True
            try:
                fn(*args)
            except Exception as error:
                self._errors.append(error)
            finally:
                self._busy = False
                if self._jobs or self._errors:
                    self._drain()

    def _hand_over(self, fn: Callable[..., object], *args: Any) -> None:
        """Ask the hub's thread for a turn; take it here if that one has stopped."""
        self._jobs.append((fn, args))
        self._wake.send()
        if self._stopped:  # nobody may be there any more to be woken
            self._drain()

    def enter(self, fn: Callable[..., object], *args: Any) -> None:
        """Run a turn now; what goes wrong in it is logged outside of it."""
        self._busy = True
        try:
            fn(*args)
        except Exception as error:
            self._errors.append(error)
        finally:
            self._busy = False
            if self._jobs or self._errors:
                self._drain()

    def _drain(self) -> None:
        while self._jobs and not self._busy:
            self._busy = True
            try:
                fn, args = self._jobs.popleft()
            except IndexError:  # a signal handler's turn has taken it
                self._busy = False
                break
            try:
                fn(*args)
            except Exception as error:
                self._errors.append(error)
            finally:
                self._busy = False
        errors, self._errors = self._errors, []
        for caught in errors:
            self.defer(log_error, caught)

    def call(self, fn: Callable[..., T], *args: Any) -> T:
        if self._get_ident() != self._thread:
            ticket = Ticket(self.waiter(), fn, args)
            self._hand_over(ticket.settle)
            return ticket.result()  # type: ignore[no-any-return]
        if self._busy:  # a finaliser that reads: it cannot wait for the turn it is in
            return fn(*args)
        self._busy = True
        try:
            return fn(*args)
        finally:
            self._busy = False
            if self._jobs:
                self._drain()

    def next_job(self, ready: deque[Turn]) -> Job | None:
        """Return the next job of those who stand in the queue, or None. Outside of a turn."""
        self._busy = True
        try:
            while ready:
                turn = ready.popleft()
                job = turn.take_turn()
                if job is not None:
                    self.turn = turn
                    return job
            return None
        finally:
            self._busy = False
            if self._jobs:
                self._drain()
                self._pool.begin_again()

    def soon(self, fn: Callable[..., object], *args: Any) -> None:
        self.libev.run_callback(self.enter, fn, *args)

    def later(self, fn: Callable[..., object], *args: Any) -> None:
        # A timer, not run_callback: those are run again and again before the poll.
        if not self._later:
            self._later_timer.start(self._run_later)
        self._later.append((fn, args))

    def _run_later(self) -> None:
        self._later_timer.stop()
        due, self._later = self._later, []
        for fn, args in due:
            self.enter(fn, *args)

    # -- time --------------------------------------------------------------------------

    def now(self) -> float:
        return time.monotonic()

    def call_at(self, when: float, fn: Job) -> Timer:
        timer = self._wheel.add(when, fn)
        if self._armed is None or when < self._armed:
            self._arm()
        return timer

    def _arm(self) -> None:
        due = self._wheel.next()
        if due == self._armed:
            return
        self._timer.stop()
        self._armed = due
        if due is not None:
            self.libev.update_now()
            self._timer.close()
            self._timer = self.libev.timer(max(0.0, due - time.monotonic()), ref=False)
            self._timer.start(self._expire)

    def _expire(self) -> None:
        self.enter(self._expire_now)

    def _expire_now(self) -> None:
        self._armed = None
        for fn in self._wheel.drain(time.monotonic()):
            try:
                fn()
            except Exception as error:
                self._errors.append(error)
        self._arm()

    def on_tick(self, fn: Callable[[], None]) -> None:
        self._ticks.append(fn)

    @property
    def stall_s(self) -> float:
        # After a stall another timer may come before the tick.
        lag = self._lag()
        return self._stalled_s + lag if lag > STALL_S else self._stalled_s

    def _lag(self) -> float:
        return time.monotonic() - self._tick_due

    def _tick(self) -> None:
        self._stalled_s = self.stall_s
        self.watchdog.ticked(self._lag())
        self._tick_due = time.monotonic() + TICK_S
        # Counted from here: a timer that repeats by itself hides a constant lateness.
        self._ticker.again(self._tick, update=True)
        for fn in self._ticks:
            self.enter(fn)

    def stop(self) -> None:
        self._stopped = True
        self.watchdog.stop()
        self._ticks.clear()
        self._ticker.stop()
        self._timer.stop()
        self._later_timer.stop()
        self._wake.stop()
        self._pool.stop()

    def forget(self) -> None:
        self._jobs.clear()
        self._pool.forget()
        self._reception.forget()
        self.stop()

    # -- sockets -----------------------------------------------------------------------

    def watch(self, sock: Any, on_readable: Job, on_writable: Job) -> Watch:
        return _Watch(self, sock.fileno(), on_readable, on_writable)

    def discard(self, sock: Any) -> None:
        self.libev.run_callback(sock.close)

    def part_with(self, sock: Any) -> None:
        # libev never removes what was watched once, and epoll keeps it while any process has
        # the socket: an event of it there makes libev rebuild the whole set here. Nine times
        # for a hundred clients of two workers without this, never with it (strace).
        backend = self.libev.fileno()
        try:
            epoll = original("select", "epoll").fromfd(os.dup(-1 if backend is None else backend))
        except (AttributeError, OSError):  # another system, another backend
            return
        try:
            epoll.unregister(sock.fileno())
        except OSError:
            pass  # it has never been watched
        finally:
            epoll.close()

    # -- user code ---------------------------------------------------------------------

    def defer(self, fn: Callable[..., object], *args: Any) -> None:
        if self._get_ident() == self._thread:
            self.libev.run_callback(self._pool.start, lambda: fn(*args))
        elif self._stopped:
            fn(*args)
        else:
            self._hand_over(self.defer, fn, *args)

    def in_thread(self, fn: Callable[..., T], *args: Any) -> T:
        if self._get_ident() != self._thread:
            return fn(*args)
        if self._threads is None:
            self._threads = OSThreads(self)
        return self._threads.call(fn, *args)

    def waiter(self) -> Waiter:
        if self._get_ident() != self._thread:
            return _LockWaiter()
        event: Any = Event()
        return event  # type: ignore[no-any-return]

    def limit(self, seconds: float, on_overdue: Callable[[], object]) -> Limit:
        return GreenletLimit(self.libev, seconds)

    def line_up(self) -> None:
        if self._get_ident() == self._thread and not self._stopped:
            self._reception.wait()

    def settle(self) -> None:
        self.call(lambda: None)
        if self._get_ident() == self._thread:
            gevent.sleep(0.001)  # longer than zero: a pass that looks at timers and sockets

    @property
    def running_handlers(self) -> int:
        return self._pool.running
