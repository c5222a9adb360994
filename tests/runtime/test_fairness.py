"""gevent: who costs much waits, so that those who cost little do not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import gevent
import pytest
from gevent import get_hub

from flask_sio.runtime import greenlet_pool
from flask_sio.runtime.gevent import GeventLoop
from flask_sio.runtime.loop import LONG_S, PoolOptions
from flask_sio.runtime.reception import RECEPTION_S
from tests.live import WAIT_S


def on_a_loop(main: Callable[[GeventLoop], None]) -> None:
    """Run a test on a hub of its own."""
    failures: list[BaseException] = []

    def run() -> None:
        loop = GeventLoop(PoolOptions())
        try:
            main(loop)
        except BaseException as failure:
            failures.append(failure)
        finally:
            loop.stop()
            gevent.sleep(0.001)
            get_hub().destroy(destroy_loop=True)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(WAIT_S)
    assert not thread.is_alive()
    if failures:
        raise failures[0]


def hold(seconds: float) -> None:
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass


class Client:
    """One with a job for each of its turns."""

    def __init__(
        self, name: str, ran: list[str], kind: int | None = None, takes: float = 0
    ) -> None:
        self.rests_until = 0.0
        self.name, self.ran, self.handler, self.takes = name, ran, kind, takes

    def take_turn(self) -> Any:
        return self.work

    def kind(self, job: Any = None) -> int | None:
        return self.handler

    def work(self) -> None:
        self.ran.append(self.name)
        hold(self.takes)


def until(loop: GeventLoop, done: Callable[[], object]) -> None:
    """Let the loop go on until ``done`` says so."""
    deadline = time.monotonic() + WAIT_S
    while not done():
        assert time.monotonic() < deadline
        gevent.sleep(0.001)


@pytest.fixture(autouse=True)
def _rest_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow this machine is, who has to rest does so to the end of the test."""
    monkeypatch.setattr(greenlet_pool, "REST", 1_000_000)
    monkeypatch.setattr(greenlet_pool, "KNOWN_LONG_S", 1000.0)


# -- handlers ------------------------------------------------------------------------------


def test_a_client_whose_handler_was_long_lets_others_go_first() -> None:
    ran: list[str] = []

    def main(loop: GeventLoop) -> None:
        costly = Client("costly", ran, takes=2 * LONG_S)
        loop.ready(costly)
        until(loop, lambda: ran)
        ran.clear()
        for each in (costly, Client("b", ran), Client("c", ran)):
            loop.ready(each)
        until(loop, lambda: len(ran) == 3)

    on_a_loop(main)
    assert ran == ["b", "c", "costly"]


def test_what_is_known_to_be_long_waits_whoever_asks_for_it() -> None:
    """A crowd that has never been here before does not come before others by that."""
    ran: list[str] = []
    report = 1

    def main(loop: GeventLoop) -> None:
        for _ in range(2):  # once may have other reasons
            loop.ready(Client("first", ran, report, takes=2 * LONG_S))
        until(loop, lambda: len(ran) == 2)
        ran.clear()
        for name, kind in (("d", report), ("e", report), ("f", 2), ("g", None)):
            loop.ready(Client(name, ran, kind))
        until(loop, lambda: len(ran) == 4)

    on_a_loop(main)
    assert ran == ["f", "g", "d", "e"]


def test_who_rests_is_served_once_a_pass() -> None:
    """However much the others have to do."""
    ran: list[str] = []

    class Endless(Client):
        def work(self) -> None:
            super().work()
            if ran.count("costly") < 3:
                loops[0].ready(self)

    loops: list[GeventLoop] = []

    def main(loop: GeventLoop) -> None:
        loops.append(loop)
        costly = [Client("costly", ran, takes=2 * LONG_S) for _ in range(3)]
        for each in costly:
            loop.ready(each)
        until(loop, lambda: len(ran) == 3)
        ran.clear()
        # Too short to have to rest, if nothing comes between; many of them fill a pass.
        for _ in range(40):
            loop.ready(Endless("busy", ran, takes=LONG_S / 4))
        for each in costly:
            loop.ready(each)
        until(loop, lambda: ran.count("costly") == 3)

    on_a_loop(main)
    assert "busy" in ran[: ran.index("costly")]


def test_what_was_long_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(greenlet_pool, "KNOWN_LONG_S", 0.0)
    ran: list[str] = []

    def main(loop: GeventLoop) -> None:
        for _ in range(2):
            loop.ready(Client("long", ran, 1, takes=2 * LONG_S))
        until(loop, lambda: len(ran) == 2 and not loop._pool._long)

    on_a_loop(main)


# -- newcomers -----------------------------------------------------------------------------


def test_newcomers_are_taken_in_a_few_a_pass_in_their_order() -> None:
    order: list[int] = []
    most: list[int] = []

    def main(loop: GeventLoop) -> None:
        passes: list[int] = []

        def newcomer(number: int) -> None:
            loop.line_up()
            order.append(number)
            hold(2 * RECEPTION_S)

        def each_pass() -> None:
            passes.append(len(order))
            if len(order) < 20:
                loop.later(each_pass)

        for number in range(20):
            gevent.spawn(newcomer, number)
        loop.later(each_pass)
        until(loop, lambda: len(order) == 20)
        most.append(max(b - a for a, b in pairwise(passes)))

    on_a_loop(main)
    assert order == list(range(20))
    assert most[0] <= 2


def test_few_newcomers_do_not_wait() -> None:
    """Who comes when nobody waits goes on in the same pass."""

    def main(loop: GeventLoop) -> None:
        hub = get_hub()
        switches: list[object] = []
        switch = hub.switch
        hub.switch = lambda *args: switches.append(args) or switch(*args)
        try:
            loop.line_up()
        finally:
            del hub.switch
        assert not switches

    on_a_loop(main)


def test_a_newcomer_that_is_given_up_keeps_no_place() -> None:
    order: list[str] = []

    def main(loop: GeventLoop) -> None:
        def newcomer(name: str) -> None:
            loop.line_up()
            order.append(name)
            hold(2 * RECEPTION_S)

        first, second, third = (gevent.spawn(newcomer, name) for name in "abc")
        gevent.spawn(second.kill, block=False)
        gevent.joinall([first, second, third])
        assert not loop._reception._waiting

    on_a_loop(main)
    assert order == ["a", "c"]


def test_other_threads_do_not_line_up() -> None:
    """A request in a thread pool of a gevent program holds up nobody."""

    def main(loop: GeventLoop) -> None:
        for _ in range(3):
            loop.line_up()
            hold(2 * RECEPTION_S)
            break
        done = threading.Event()
        thread = threading.Thread(target=lambda: (loop.line_up(), done.set()))
        thread.start()
        assert done.wait(WAIT_S)
        thread.join()

    on_a_loop(main)
