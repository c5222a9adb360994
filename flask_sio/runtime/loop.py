"""What the server asks of a loop, and which of the two loops it gets.

Rules that both loops hold:

* **State has one owner.** Connections, rooms and acks change only inside the *owner's
  turn*: a function given to `Loop.run` or `Loop.call`, a watch's or a timer's callback.
  Turns never overlap and never wait, so state needs no lock.
* `Loop.run` never blocks and may be called from any thread, greenlet, finaliser or
  signal handler; a turn asked for inside a turn comes after it.
* User code never runs in a turn: it runs on a worker of the pool (`Loop.ready`,
  `Loop.defer`).
* Only the loop closes descriptors, after it has stopped watching them.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from flask_sio.protocol.timers import Timer

if TYPE_CHECKING:
    from flask_sio.runtime.slow_lane import SlowLane

__all__ = [
    "Limit",
    "Loop",
    "PoolOptions",
    "Task",
    "Tasks",
    "Ticket",
    "TimeIsUp",
    "Turn",
    "Waiter",
    "Watch",
    "choose",
    "is_patched",
    "log_error",
    "may_choose",
    "original",
    "tasks",
]

T = TypeVar("T")

logger = logging.getLogger("flask_sio.runtime")

TURN_BUDGET_S = 0.002
"""Longest time handlers are started for before sockets and timers get their turn.

Plain HTTP beside 1,000 active sockets: 4.5 ms with it, 412 ms without.
"""
LONG_S = 0.001
"""A handler that keeps the hub longer than this has cost the others time."""
REST = 10
"""For how many times that time its client then lets those go first who have cost none."""
KNOWN_LONG_S = 1.0
"""How long what runs the same handler counts as long, too."""
TICK_S = 0.2
"""How often a loop looks at its own lag and whether its worker is to stop."""
STALL_S = 0.05
"""A tick that is later than this counts as a stall, and moves deadlines."""
IDLE_WORKERS = 16
"""Workers kept for good; idle ones above this end after `IDLE_S`."""
IDLE_S = 30.0


class Waiter(Protocol):
    """Something one caller waits for, once."""

    def wait(self, timeout: float | None = None) -> Any:
        """Wait until `set` was called; return something false after ``timeout`` seconds."""

    def set(self) -> None:
        """Let the waiter go. Any thread."""


class Watch(Protocol):
    """A socket under a loop's eyes. Owner's turn only."""

    def want_read(self, wanted: bool) -> None:
        """Call ``on_readable`` no more for a while, or do so again."""

    def want_write(self, wanted: bool) -> None:
        """Call ``on_writable`` whenever the socket takes bytes, or stop doing so."""

    def stop(self) -> None:
        """Stop watching. The socket stays open."""


class Turn(Protocol):
    """Somebody on the ready queue: one client with a handler to run."""

    rests_until: float
    """Until when, by `time.perf_counter`, it lets others go first; 0 at the start. The pool's."""

    def take_turn(self) -> Callable[[], object] | None:
        """Return the next job, or None if there is none any more. Owner's turn."""

    def kind(self, job: Callable[[], object] | None = None) -> int | None:
        """Return what tells how long the next job may take, or one it has returned; or None."""


class TimeIsUp(BaseException):
    """Raised where user code waits whose time is up.

    No Exception, as gevent's Timeout is none: drivers and pools close a connection that this
    comes out of, whose next answer belongs to somebody who waits no more, and nobody tries
    again.
    """


class Limit(Protocol):
    """The time of one piece of user code, in the thread or greenlet that runs it."""

    @property
    def up(self) -> TimeIsUp:
        """What is raised in it, once at most."""

    def end(self) -> bool:
        """Take the limit away, once, and forget `up`; False if ``on_overdue`` was called."""


class Task(Protocol):
    """A background task."""

    def join(self, timeout: float | None = None) -> Any:
        """Wait for its end."""


class Tasks(Protocol):
    """What starts background tasks and waits, on either runtime."""

    def spawn(self, fn: Callable[..., object], *args: Any, **kwargs: Any) -> Task:
        """Start a background task. Any thread."""

    def sleep(self, seconds: float) -> None:
        """Wait without keeping others from running."""


@dataclass(frozen=True, slots=True)
class PoolOptions:
    """How many handlers may run at once, whether their greenlets are re-used, how sharp time is."""

    max_handlers: int | None = None
    fresh_greenlets: bool = False
    resolution_s: float = 0.01
    """Deadlines this close share a wake-up; none is later than that."""


class Loop(Tasks, Protocol):
    """The owner of a server's state."""

    @property
    def slow_lane(self) -> SlowLane:
        """For those who want more of it than their share."""

    @property
    def stall_s(self) -> float:
        """Seconds this loop has been held up since it began, up to this moment."""

    @property
    def name(self) -> Literal["gevent", "threading"]:
        """What runs here."""

    def run(self, fn: Callable[..., object], *args: Any) -> None:
        """Run ``fn(*args)`` in a turn. Any thread; never blocks; at once where possible."""

    def call(self, fn: Callable[..., T], *args: Any) -> T:
        """Run ``fn(*args)`` in a turn and return what it returns, or raise what it raises."""

    def soon(self, fn: Callable[..., object], *args: Any) -> None:
        """Run ``fn(*args)`` in a turn of its own after this pass's events. Owner's turn."""

    def later(self, fn: Callable[..., object], *args: Any) -> None:
        """Run ``fn(*args)`` in a turn once sockets and timers have had theirs. Owner's turn."""

    def now(self) -> float:
        """Return the monotonic clock in seconds."""

    def call_at(self, when: float, fn: Callable[[], object]) -> Timer:
        """Run ``fn()`` in a turn at ``when`` on `now`'s clock. Owner's turn."""

    def watch(
        self, sock: Any, on_readable: Callable[[], None], on_writable: Callable[[], None]
    ) -> Watch:
        """Call ``on_readable`` in a turn while ``sock`` has bytes. Owner's turn."""

    def discard(self, sock: Any) -> None:
        """Close a socket, watched no more, at the end of this pass. Owner's turn."""

    def part_with(self, sock: Any) -> None:
        """Forget a socket that another process goes on with, before it is passed on.

        It is not watched any more, or never was; the caller closes it. Owner's turn.
        """

    def ready(self, turn: Turn) -> None:
        """Queue a client that has a handler to run. Owner's turn."""

    def defer(self, fn: Callable[..., object], *args: Any) -> None:
        """Run ``fn(*args)`` soon on a worker, where it may wait and log. Any thread."""

    def in_thread(self, fn: Callable[..., T], *args: Any) -> T:
        """Run what keeps a whole OS thread busy, where that holds up nobody else; wait for it."""

    def waiter(self) -> Waiter:
        """Return a waiter for the calling thread or greenlet."""

    def limit(self, seconds: float, on_overdue: Callable[[], object]) -> Limit:
        """Let the caller, on a worker, wait no longer than so many seconds from now on.

        After them a greenlet is interrupted wherever it waits. A thread is where it waits in
        a `waiter` or `sleep`, and if it is elsewhere then, ``on_overdue`` is called in a turn.
        """

    def line_up(self) -> None:
        """Wait, in a request for a session or a WebSocket, for those who came before."""

    def settle(self) -> None:
        """Let what was asked for until now have its turn, and what is due. Not in a turn."""

    def on_tick(self, fn: Callable[[], None]) -> None:
        """Call ``fn`` in a turn every `TICK_S` seconds. Owner's turn."""

    def stop(self) -> None:
        """Give back what the loop itself holds. It is not used again. Owner's turn."""

    def forget(self) -> None:
        """In a forked child: give back the copies, and disturb nothing of the parent's."""

    @property
    def running_handlers(self) -> int:
        """How many pool workers have a job now, those that wait in it included."""


class Ticket:
    """The result of a turn that another thread waits for."""

    __slots__ = ("_error", "_fn", "_args", "_result", "_waiter")

    def __init__(self, waiter: Waiter, fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self._waiter = waiter
        self._fn = fn
        self._args = args
        self._result: Any = None
        self._error: BaseException | None = None

    def settle(self) -> None:
        """Run the function and let the waiting thread go. Owner's turn."""
        try:
            self._result = self._fn(*self._args)
        except BaseException as error:  # handed to the thread that asked
            self._error = error
        finally:
            self._waiter.set()

    def result(self) -> Any:
        """Wait for the turn and return or raise its outcome."""
        self._waiter.wait()
        if self._error is not None:
            raise self._error
        return self._result


def log_error(error: BaseException) -> None:
    """Log what went wrong in a turn. On a worker: nothing logs in a turn."""
    logger.error("internal error", exc_info=error)


def original(module: str, name: str) -> Any:
    """Return ``module.name`` as it was before gevent patched it, if it did."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None:
        return monkey.get_original(module, name)
    return getattr(__import__(module), name)


def is_patched() -> bool:
    """Whether gevent has replaced this process's sockets."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("socket"))


def may_choose(async_mode: Literal["gevent", "threading"] | None) -> bool:
    """Whether a loop that this thread chooses without a socket is the one of the process.

    One of gevent's belongs to the thread that makes it: that must be the main one.
    """
    if not (async_mode == "gevent" if async_mode else is_patched()):
        return True
    from flask_sio.runtime.gevent import is_main_thread

    return is_main_thread()


def tasks(on_gevent: bool) -> Tasks:
    """Return what starts tasks where no loop was chosen yet."""
    if on_gevent:
        from flask_sio.runtime.gevent import GeventTasks

        return GeventTasks()
    from flask_sio.runtime.threads import ThreadTasks

    return ThreadTasks()


def choose(
    async_mode: Literal["gevent", "threading"] | None,
    on_gevent: bool | None,
    pool: PoolOptions,
) -> Loop:
    """Return the loop for a server that meets its first request.

    ``on_gevent`` tells the class of the request's socket; None where there is none. A
    socket decides; without one an explicit ``async_mode``, else whether gevent has patched
    the process.
    """
    if on_gevent is None:
        on_gevent = async_mode == "gevent" if async_mode else is_patched()
    if on_gevent:
        from flask_sio.runtime.gevent import GeventLoop

        return GeventLoop(pool)
    from flask_sio.runtime.threads import ThreadLoop

    return ThreadLoop(pool)
