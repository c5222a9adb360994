from __future__ import annotations

import gc
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_sio.protocol.timers import Timer, Wheel


class Item:
    """Something a weak reference can watch."""


def test_an_empty_wheel_waits_for_nothing() -> None:
    """Nothing to wake for, nothing due."""
    wheel = Wheel()
    assert wheel.next() is None
    assert wheel.expire(1e6) == []
    assert len(wheel) == 0


def test_items_come_due_at_their_time() -> None:
    """An item is due at its time and not before."""
    wheel = Wheel()
    wheel.add(5.0, "a")
    assert wheel.expire(4.99) == []
    assert wheel.expire(5.0) == ["a"]
    assert wheel.expire(6.0) == []


@pytest.mark.parametrize("when", [0.07, 0.29, 1.1, 2.01, 100.07, 123456.789, 9999999.99])
def test_rounding_does_not_make_a_timer_late(when: float) -> None:
    """A deadline on a bucket's edge is due at that very number, in spite of float division."""
    wheel = Wheel(0.001)
    wheel.add(when, "a")
    assert wheel.expire(when - 0.0005) == []
    assert wheel.expire(when) == ["a"]


def test_next_is_a_time_at_which_something_is_due() -> None:
    """Whoever wakes at ``next`` finds the item due and need not wake twice."""
    wheel = Wheel(0.01)
    wheel.add(1.234, "a")
    due = wheel.next()
    assert due == pytest.approx(1.24)
    assert due is not None
    assert wheel.expire(due) == ["a"]


def test_close_deadlines_share_one_wake_up() -> None:
    """Items of one resolution come due together."""
    wheel = Wheel(0.01)
    for thousandth in range(1, 11):
        wheel.add(1.0 + thousandth / 1000, thousandth)
    assert wheel.next() == pytest.approx(1.01)
    assert wheel.expire(1.01) == list(range(1, 11))


def test_items_come_in_the_order_of_their_times() -> None:
    """Earliest first; of the same time the one added first."""
    wheel = Wheel(1.0)
    for when, item in [(0.9, "d"), (0.2, "a"), (5.5, "f"), (0.5, "b"), (0.5, "c"), (3.0, "e")]:
        wheel.add(when, item)
    assert wheel.expire(10.0) == ["a", "b", "c", "d", "e", "f"]


def test_the_past_is_due_at_once() -> None:
    """A deadline that has passed is due at the next look."""
    wheel = Wheel()
    wheel.expire(100.0)
    wheel.add(3.0, "late")
    assert wheel.next() == pytest.approx(3.0)
    assert wheel.expire(100.0) == ["late"]


def test_a_cancelled_timer_never_comes_due() -> None:
    """Cancelling takes it out, and doing it twice is harmless."""
    wheel = Wheel()
    timer = wheel.add(1.0, "a")
    wheel.add(2.0, "b")
    states = [timer.active]
    timer.cancel()
    timer.cancel()
    states.append(timer.active)
    assert states == [True, False]
    assert wheel.next() == pytest.approx(2.0)
    assert wheel.expire(3.0) == ["b"]


def test_a_timer_that_came_due_is_not_active() -> None:
    """Cancelling it then changes nothing."""
    wheel = Wheel()
    timer = wheel.add(1.0, "a")
    assert wheel.expire(1.0) == ["a"]
    assert not timer.active
    timer.cancel()
    assert len(wheel) == 0


def test_cancelling_lets_go_of_the_item_at_once() -> None:
    """A closed connection is not kept alive by a far deadline, nor by its Timer."""
    wheel = Wheel()
    item = Item()
    watched = weakref.ref(item)
    timer = wheel.add(1e6, item)
    del item
    gc.disable()
    try:
        timer.cancel()
        assert watched() is None
    finally:
        gc.enable()


def test_a_timer_that_came_due_lets_go_of_its_item() -> None:
    """The owner of a Timer does not keep the item."""
    wheel = Wheel()
    timer = wheel.add(1.0, Item())
    [item] = wheel.expire(1.0)
    watched = weakref.ref(item)
    del item
    assert watched() is None
    assert not timer.active


def test_many_cancelled_timers_leave_nothing_behind() -> None:
    """Re-arming a deadline a thousand times costs no memory."""
    wheel = Wheel()
    for _ in range(1000):
        wheel.add(25.0, "x").cancel()
    assert len(wheel) == 0
    assert len(wheel._order) == 1
    assert wheel.next() is None
    assert wheel._order == []
    assert wheel._buckets == {}


def test_drain_leaves_out_what_was_cancelled_meanwhile() -> None:
    """The first of two due items may call the second one off."""
    wheel = Wheel()
    wheel.add(1.0, "a")
    second = wheel.add(1.5, "b")
    wheel.add(1.7, "c")
    given_out = []
    for item in wheel.drain(2.0):
        given_out.append(item)
        second.cancel()
    assert given_out == ["a", "c"]


def test_what_is_added_while_draining_waits_for_the_next_look() -> None:
    """An item that re-arms itself for now cannot keep the wheel turning for ever."""
    wheel = Wheel()
    wheel.add(1.0, "again")
    for item in wheel.drain(1.0):
        wheel.add(1.0, item)
    assert wheel.next() == pytest.approx(1.0)
    assert wheel.expire(1.0) == ["again"]


_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.floats(-10, 100)),
        st.tuples(st.just("cancel"), st.integers(0, 50)),
        st.tuples(st.just("expire"), st.floats(0, 20)),
    )
)


@given(_STEPS, st.sampled_from([0.001, 0.01, 0.25, 3.0]))
def test_a_wheel_agrees_with_a_plain_list(
    steps: list[tuple[str, float]], resolution_s: float
) -> None:
    """Never early, late by one resolution at most, in order, each once, none lost."""
    wheel = Wheel(resolution_s)
    waiting: dict[int, tuple[float, Timer]] = {}
    now, count = 0.0, 0
    for step, value in steps:
        if step == "add":
            waiting[count] = (now + value, wheel.add(now + value, count))
            count += 1
        elif step == "cancel" and waiting:
            key = sorted(waiting)[int(value) % len(waiting)]
            waiting.pop(key)[1].cancel()
        elif step == "expire":
            now += value
            due = wheel.expire(now)
            times = [waiting.pop(item)[0] for item in due]
            assert times == sorted(times)
            assert all(when <= now + 1e-6 for when in times)
            assert all(when > now - resolution_s - 1e-6 for when, _ in waiting.values())
        assert len(wheel) == len(waiting)
        upcoming = wheel.next()
        assert (upcoming is None) == (not waiting)
        if upcoming is not None:
            earliest = min(when for when, _ in waiting.values())
            assert earliest - 1e-6 <= upcoming <= earliest + resolution_s + 1e-6
