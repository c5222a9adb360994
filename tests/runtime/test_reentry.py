"""Finalisers and signal handlers that use the server wherever they happen to run."""

from __future__ import annotations

import gc
import itertools
import json
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import flask_sio
from flask_sio import NotConnectedError, Server
from tests.live import Live, Runtime, plain
from tests.server.clients import Peer, Poller, in_threads
from tests.servers.launch import free_port, launched

PACKAGE = str(Path(flask_sio.__file__).parent)


@pytest.fixture
def eager_gc() -> Iterator[None]:
    """Collect at nearly every allocation, in whatever thread and function it happens."""
    before = gc.get_threshold()
    gc.collect()
    gc.set_threshold(1, 50, 1000)
    yield
    gc.set_threshold(*before)


class Cycle:
    """Garbage that only the collector finds, and that talks when it goes."""

    def __init__(self, server: Server, sid: str, number: int) -> None:
        self.me = self
        self.server = server
        self.sid = sid
        self.number = number

    def __del__(self) -> None:
        self.server.emit("finalised", self.number, to=self.sid)
        try:
            self.server.enter_room(self.sid, self.number % 7)
            self.server.rooms(self.sid)
        except NotConnectedError:
            pass
        self.server.leave_room(self.sid, self.number % 5)


def _numbers(messages: list[Any], event: str) -> list[int]:
    packets = [json.loads(text[2:]) for text in messages if text.startswith("42[")]
    return [packet[1] for packet in packets if packet[0] == event]


@pytest.mark.usefixtures("eager_gc")
def test_finalisers_inside_a_turn(runtime: Runtime) -> None:
    """What they emit, in the middle of a change of state, is sent after it; nothing hangs."""
    server = Server()
    with plain(runtime, server) as live:
        peer = Peer(live)

        def turn() -> None:
            for number in range(200):
                Cycle(server, peer.sid, number)
            gc.collect()

        server.engine.loop.run(turn)
        assert sorted(_numbers(peer.sync(), "finalised")) == list(range(200))
        peer.close()


@pytest.mark.usefixtures("eager_gc")
def test_finalisers_inside_everything(runtime: Runtime) -> None:
    """Collected at any allocation, while clients come, ask and go and threads emit."""
    server = Server()
    witness: list[str] = []
    numbers, thresholds = itertools.count(), itertools.count()

    @server.on("work")
    def work(sid: str, number: int) -> int:
        # From now on so many allocations later: each time somewhere else.
        gc.set_threshold(1 + next(thresholds) % 120, 50, 1000)
        for _ in range(3):
            Cycle(server, witness[0], next(numbers))
        server.emit("worked", number, to=sid)
        return number

    with plain(runtime, server) as live:
        seer = Peer(live)
        witness.append(seer.sid)

        def visit(visitor: int) -> None:
            for _ in range(4):
                peer = Peer(live)
                peer.send(*(f'42{number}["work",{number}]' for number in range(15)))
                for number in range(15):
                    server.emit("thread", visitor, to=seer.sid)
                    assert peer.text() == f'42["worked",{number}]'
                    assert peer.text() == f"43{number}[{number}]"
                peer.close()

        in_threads(4, visit)
        messages: list[Any] = []
        # A collection does nothing while another thread is inside one of its own.
        while len(_numbers(messages, "finalised")) < 4 * 4 * 15 * 3:
            gc.collect()
            live.settle()
            messages = seer.sync()
        assert sorted(_numbers(messages, "finalised")) == list(range(4 * 4 * 15 * 3))
        assert sorted(_numbers(messages, "thread")) == sorted([0, 1, 2, 3] * 60)
        seer.close()


class Interrupter:
    """Interrupts every function of the package at each of its calls into C, in any thread.

    That is where a finaliser or a signal handler may run, and what they may do.
    """

    def __init__(self) -> None:
        self.count = itertools.count()
        self.places: dict[tuple[Any, int], int] = {}
        self.act: Callable[[int], object] | None = None
        self._inside: set[int] = set()

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        if event != "c_call" or not frame.f_code.co_filename.startswith(PACKAGE):
            return
        me = threading.get_ident()
        place = (frame.f_code, frame.f_lasti)
        times = self.places.get(place, 0)
        if self.act is None or me in self._inside or times > 3:
            return
        self.places[place] = times + 1
        self._inside.add(me)
        try:
            self.act(next(self.count))
        finally:
            self._inside.discard(me)


def test_interruptions_everywhere(runtime: Runtime) -> None:
    """Whatever line a finaliser or a signal handler interrupts, its emit is sent once."""
    server = Server(async_handlers=True)
    interrupter = Interrupter()
    server.on("work", lambda sid, number: server.emit("worked", number, to=sid))
    server.on("calm", lambda sid, data: data, concurrent=False)
    threading.setprofile(interrupter)
    try:
        with plain(runtime, server) as live:
            seer = Peer(live)

            def act(number: int) -> None:
                server.emit("interrupted", number, to=seer.sid)
                server.enter_room(seer.sid, number % 7)
                server.rooms(seer.sid)
                server.leave_room(seer.sid, number % 5)

            interrupter.act = act

            def visit(visitor: int) -> None:
                for _ in range(3):
                    _be_a_client(live)

            in_threads(3, visit)
            live.settle()
            interrupter.act = None
            live.settle()
            count = next(interrupter.count)
            assert sorted(_numbers(seer.sync(), "interrupted")) == list(range(count))
            assert len(interrupter.places) > 150, "too few places to show anything"
            seer.close()
    finally:
        threading.setprofile(None)


def _be_a_client(live: Live) -> None:
    """Use most of what the server has."""
    peer, poller = Peer(live), Poller(live)
    server = live.server
    peer.send('420["work",1]', '421["calm",2]')
    poller.post('420["work",1]')
    asked = threading.Thread(target=lambda: server.call("ask", to=peer.sid))
    asked.start()
    seen = {peer.text() for _ in range(4)}
    assert seen == {'42["worked",1]', "430[]", "431[2]", '421["ask"]'}
    peer.send("431[1]")
    asked.join()
    seen = set()
    while len(seen) < 2:
        seen.update(poller.get())
    assert seen == {'42["worked",1]', "430[]"}
    server.emit("all", b"\x00", to=[peer.sid, poller.sid], callback=lambda: None)
    assert len(poller.get()) == 2
    server.disconnect(poller.sid)
    assert poller.get() == ["41"]
    poller.leave()
    peer.close()


def test_signal_handlers_of_a_foreign_thread(runtime: Runtime) -> None:
    """They interrupt emits of the main thread at any point; under threads, turns as well."""
    server = Server()
    numbers = itertools.count()
    with plain(runtime, server) as live:
        peer = Peer(live)

        def on_signal(*_: object) -> None:
            server.emit("signal", next(numbers), to=peer.sid)
            server.enter_room(peer.sid, "room")
            server.rooms(peer.sid)

        before = signal.signal(signal.SIGALRM, on_signal)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
            for number in range(3000):
                server.emit("main", number, to=peer.sid)
                server.leave_room(peer.sid, "room")
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        messages = peer.sync()
        count = next(numbers)
        assert count > 10
        assert _numbers(messages, "main") == list(range(3000))
        assert sorted(_numbers(messages, "signal")) == list(range(count))
        peer.close()


def test_signal_handlers_of_the_servers_own_thread(runtime: Runtime, tmp_path: Path) -> None:
    """They run inside turns and between them, and lose nothing."""
    from tests.runtime.signalled_app import SIGNALS

    port = free_port()
    command = [sys.executable, "-m", "tests.runtime.signalled_app", runtime, str(port)]
    with launched(command, port, tmp_path / "log") as app:
        seer, worker = Peer(app), Peer(app)
        worker.send('42["begin"]')
        echoed = 0
        while len(_numbers(seer.sync(), "signal")) < SIGNALS:
            worker.send(*(f'420["echo",{number}]' for number in range(100)))
            for number in range(100):
                while (text := worker.text()) != f"430[{number}]":
                    assert text.startswith('42["')
            echoed += 100
        assert sorted(_numbers(seer.sync(), "signal")) == list(range(SIGNALS))
        assert _numbers(seer.sync(), "broadcast") == list(range(100)) * (echoed // 100)
        seer.close()
        worker.close()
