"""The time limits of either loop: who raises, who is told, and that nothing is left."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import gevent
import pytest

from flask_sio.protocol.timers import Wheel
from flask_sio.runtime.greenlet_limit import GreenletLimit
from flask_sio.runtime.loop import TimeIsUp
from flask_sio.runtime.thread_limit import ThreadLimit


@pytest.fixture(scope="module", autouse=True)
def hub() -> None:
    """Have this thread's hub, which is never given back, before leaks are looked for."""
    gevent.get_hub()
    gevent.sleep(0)


class Clock:
    """A loop of threads by hand: its time goes on when it is told to, its timers then come due."""

    def __init__(self) -> None:
        self.limits: dict[int, ThreadLimit] = {}
        self.time = 0.0
        self.wheel = Wheel()

    def now(self) -> float:
        return self.time

    def run(self, fn: Callable[..., object], *args: Any) -> None:
        fn(*args)

    def call_at(self, when: float, fn: Callable[[], object]) -> Any:
        return self.wheel.add(when, fn)

    def pass_(self, seconds: float) -> None:
        self.time += seconds
        for fn in self.wheel.drain(self.time):
            fn()


class Lock:
    """A lock that is not got before time has passed, or at once."""

    def __init__(self, clock: Clock, after_s: float | None) -> None:
        self._clock = clock
        self._after_s = after_s
        self.waited: list[float] = []

    def acquire(self, blocking: bool, timeout: float) -> bool:
        self.waited.append(timeout)
        if self._after_s is not None and (timeout < 0 or self._after_s <= timeout):
            self._clock.pass_(self._after_s)
            return True
        self._clock.pass_(timeout)
        return False


def limit_of(clock: Any, told: list[str], seconds: float = 10.0) -> ThreadLimit:
    return ThreadLimit(clock, seconds, lambda: told.append("overdue"))


# -- threads -------------------------------------------------------------------------------


def test_a_thread_in_time_leaves_no_timer() -> None:
    """Nobody is told, however late it is afterwards."""
    clock, told = Clock(), list[str]()
    limit = limit_of(clock, told)
    assert clock.limits == {threading.get_ident(): limit}
    clock.pass_(9)
    assert limit.end()
    assert (clock.limits, len(clock.wheel)) == ({}, 0)
    clock.pass_(100)
    assert told == []


def test_a_thread_that_is_elsewhere_is_told_of() -> None:
    """Once; at its next wait it is interrupted, and its end is not its own any more."""
    clock, told = Clock(), list[str]()
    limit = limit_of(clock, told, 130.0)
    clock.pass_(129.9)
    assert told == []
    for _ in range(3):
        clock.pass_(0.1)
    assert told == ["overdue"]
    with pytest.raises(TimeIsUp) as caught:
        limit.acquire(Lock(clock, 0.0), None)
    assert caught.value is limit.up
    assert not limit.end()
    assert len(clock.wheel) == 0


@pytest.mark.parametrize("own_s", [None, 10.0, 700.0])
def test_a_thread_that_waits_raises_by_itself(own_s: float | None) -> None:
    """When its time is up, not at the time it was ready to wait; then never again."""
    clock, told = Clock(), list[str]()
    limit, lock = limit_of(clock, told), Lock(clock, None)
    clock.pass_(4)
    with pytest.raises(TimeIsUp):
        limit.acquire(lock, own_s)
    assert lock.waited == [6.0]
    free = Lock(clock, 50.0)
    assert limit.acquire(free, None)
    assert limit.acquire(free, 60.0)
    assert free.waited == [-1, 60.0]
    assert limit.end()
    assert told == []


def test_shorter_waits_are_what_they_were() -> None:
    """Got, or not got in their own time; what is got when time is up comes too late."""
    clock, told = Clock(), list[str]()
    limit = limit_of(clock, told)
    assert limit.acquire(Lock(clock, 1.0), None)
    assert limit.acquire(Lock(clock, 1.0), 2.0)
    assert not limit.acquire(Lock(clock, None), 2.0)
    with pytest.raises(TimeIsUp):
        limit.acquire(Lock(clock, 6.0), None)
    assert limit.end()
    assert told == []


def test_limits_within_limits() -> None:
    """The outer one counts again when the inner one has ended."""
    clock, told = Clock(), list[str]()
    outer = limit_of(clock, told)
    inner = limit_of(clock, told, 5.0)
    ident = threading.get_ident()
    assert clock.limits[ident] is inner
    assert inner.end()
    assert clock.limits[ident] is outer
    assert outer.end()
    assert clock.limits == {}


# -- greenlets -----------------------------------------------------------------------------


def test_a_greenlet_is_interrupted_where_it_waits() -> None:
    """By its own limit, which then is still to be ended."""
    limit = GreenletLimit(gevent.get_hub().loop, 0.01)
    with pytest.raises(TimeIsUp) as caught:
        gevent.sleep(600)
    assert caught.value is limit.up
    assert limit.end()


def test_a_greenlet_in_time_is_never_reached() -> None:
    """Also where the time was over before its limit was ended: the timer is stopped, and gone."""
    loop = gevent.get_hub().loop
    before = loop.activecnt
    limits = [GreenletLimit(loop, 0.001) for _ in range(3)]
    assert loop.activecnt == before + 3
    threading.Event().wait(0.01)
    for limit in limits:
        assert limit.end()
    assert loop.activecnt == before
    gevent.sleep(0.01)
