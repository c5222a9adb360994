"""What both loops promise to those who ask them for a turn."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from flask_sio import Server
from flask_sio.runtime.loop import Loop
from tests.live import WAIT_S, Live, Runtime, plain
from tests.server.clients import Log, Peer, in_threads


@pytest.fixture
def live(runtime: Runtime) -> Iterator[Live]:
    """A server whose loop has been chosen by a first client."""
    with plain(runtime, Server()) as live:
        Peer(live).close()
        yield live


@pytest.fixture
def loop(live: Live) -> Loop:
    return live.server.engine.loop


def test_turns_of_one_thread_keep_their_order(loop: Loop) -> None:
    """Whatever other threads ask for meanwhile; none is lost."""
    done: list[tuple[int, int]] = []

    def ask(thread: int) -> None:
        for number in range(500):
            loop.run(done.append, (thread, number))

    in_threads(6, ask)
    loop.call(lambda: None)
    for thread in range(6):
        assert [number for who, number in done if who == thread] == list(range(500))


def test_turns_never_overlap(loop: Loop) -> None:
    """Asked for by threads, by timers, by turns."""
    inside = 0
    overlaps: list[int] = []

    def turn() -> None:
        nonlocal inside
        inside += 1
        time.sleep(0.0001)
        overlaps.append(inside)
        inside -= 1

    def ask(_: int) -> None:
        for _number in range(50):
            loop.run(turn)
            loop.run(lambda: loop.call_at(loop.now(), turn))
            loop.call(turn)

    met = threading.Event()
    in_threads(4, ask)
    loop.run(lambda: loop.call_at(loop.now() + 0.05, met.set))
    assert met.wait(WAIT_S)
    assert set(overlaps) == {1}
    assert len(overlaps) == 600


def test_a_turn_asked_for_inside_a_turn_comes_after_it(loop: Loop) -> None:
    """``run`` never nests; ``call`` answers at once, as it cannot wait."""
    done: list[str] = []

    def turn() -> None:
        loop.run(done.append, "asked")
        done.append(loop.call(lambda: "called"))
        done.append("turn")

    loop.call(turn)
    loop.call(lambda: None)
    assert done == ["called", "turn", "asked"]


def test_soon_comes_after_what_was_asked_for(loop: Loop) -> None:
    """In a turn of its own."""
    log = Log()

    def turn() -> None:
        loop.soon(log.add, "soon")
        log.add("turn")

    loop.run(turn)
    assert log.wait(2) == ["turn", "soon"]


def test_an_error_in_a_turn_harms_no_other(loop: Loop, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, outside of the turn; timers and watches go on."""
    log = Log()

    def fail() -> None:
        raise RuntimeError("on purpose")

    loop.run(fail)
    loop.run(lambda: loop.call_at(loop.now(), fail))
    loop.run(lambda: loop.soon(fail))
    loop.run(lambda: loop.call_at(loop.now() + 0.02, lambda: log.add("timer")))
    log.wait(1)
    done = threading.Event()
    loop.run(lambda: loop.call_at(loop.now() + 0.02, done.set))
    assert done.wait(WAIT_S)
    loop.defer(log.add, "logged by now")
    log.wait(2)
    assert caplog.text.count("RuntimeError: on purpose") == 3


def test_call_hands_over_the_result_or_the_error(loop: Loop) -> None:
    """To the thread that asked."""

    def fail() -> None:
        raise KeyError("on purpose")

    assert loop.call(lambda a, b: a + b, 1, 2) == 3
    with pytest.raises(KeyError, match="on purpose"):
        loop.call(fail)


def test_timers_fire_in_order_and_not_when_cancelled(loop: Loop) -> None:
    """Each once; one may cancel another that is due in the same moment."""
    log = Log()

    def turn() -> None:
        now = loop.now()
        last: list[Any] = []
        loop.call_at(now + 0.02, lambda: log.add(2))
        loop.call_at(now + 0.01, lambda: log.add(1))
        loop.call_at(now - 1, lambda: log.add(0))
        loop.call_at(now + 0.03, lambda: last[0].cancel())
        last.append(loop.call_at(now + 0.0301, lambda: log.add("cancelled")))
        loop.call_at(now + 0.05, lambda: log.add(3))

    loop.run(turn)
    assert log.wait(4) == [0, 1, 2, 3]


def test_a_stall_is_known_to_the_first_timer_after_it(loop: Loop) -> None:
    """Whether or not that timer fires before the tick which measures stalls."""
    log = Log()

    def turn() -> None:
        loop.call_at(loop.now() + 0.01, lambda: log.add(loop.stall_s))
        until = time.monotonic() + 0.6
        while time.monotonic() < until:
            pass

    before = loop.stall_s
    threading.Thread(target=loop.run, args=(turn,)).start()
    (stalled,) = log.wait(1)
    assert stalled - before > 0.3
    done = threading.Event()
    loop.run(lambda: loop.call_at(loop.now() + 0.5, done.set))
    assert done.wait(WAIT_S)
    assert 0.3 < loop.call(lambda: loop.stall_s) - before < 2, "counted once"


def test_waiting_ends_by_its_timeout_or_by_set(loop: Loop) -> None:
    """What it returns tells which."""
    assert not loop.waiter().wait(0.01)
    assert not loop.waiter().wait(0)
    waiter = loop.waiter()
    loop.run(waiter.set)
    assert waiter.wait(WAIT_S)


def test_after_its_end_a_loop_keeps_nobody_waiting(live: Live) -> None:
    """A thread that outlives the server may go on to use it."""
    server, loop = live.server, live.server.engine.loop
    assert server.shutdown()
    done: list[int] = []
    log = Log()

    def late(number: int) -> None:
        loop.run(done.append, number)
        assert loop.call(lambda: number) == number
        server.emit("event", number)
        assert server.rooms("nobody") == []
        server.disconnect("nobody")
        loop.defer(log.add, number)

    in_threads(4, late)
    assert sorted(done) == [0, 1, 2, 3]
    assert sorted(log.wait(4)) == [0, 1, 2, 3]


def test_background_tasks_can_be_joined(runtime: Runtime) -> None:
    """From a task, with or without a timeout; `sleep` lets others run."""
    server = Server()
    log = Log()

    @server.on("begin")
    def begin(sid: str) -> None:
        def work(name: str, *, seconds: float) -> None:
            server.sleep(seconds)
            log.add(name)

        quick = server.start_background_task(work, "quick", seconds=0)
        slow = server.start_background_task(work, "slow", seconds=0.02)
        quick.join()
        slow.join(timeout=WAIT_S)
        log.add("joined")

    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('42["begin"]')
        assert log.wait(3) == ["quick", "slow", "joined"]
        peer.close()
