"""Who held everybody up is told by name, once, and looked for only when somebody did."""

from __future__ import annotations

import logging
import re
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from flask_sio import ConfigError, Server
from flask_sio.runtime.watchdog import HELD_S
from tests.live import WAIT_S, Live, Runtime, plain
from tests.server.clients import Peer


class Lines(logging.Handler):
    """What the runtime logs, for a test that waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._changed = threading.Condition()

    def emit(self, record: logging.LogRecord) -> None:
        with self._changed:
            self.texts.append(record.getMessage())
            self._changed.notify_all()

    def wait_for(self, pattern: str) -> re.Match[str]:
        found: list[re.Match[str]] = []

        def look() -> bool:
            found.extend(filter(None, (re.search(pattern, text) for text in self.texts)))
            return bool(found)

        with self._changed:
            assert self._changed.wait_for(look, WAIT_S), self.texts
        return found[0]


@pytest.fixture
def lines() -> Iterator[Lines]:
    handler = Lines()
    logger = logging.getLogger("flask_sio.runtime")
    logger.addHandler(handler)
    try:
        yield handler
    finally:
        logger.removeHandler(handler)


def spin(seconds: float) -> None:
    """Compute for a while, as a handler does that should not."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


def _ask(peer: Peer, event: str) -> None:
    peer.send(f'420["{event}"]')
    while peer.message() != "430[]":
        pass


def test_a_handler_that_holds_the_hub_is_named(lines: Lines) -> None:
    """With how long, and once however often it does."""
    server = Server()
    server.on("spin", lambda sid: spin(2 * HELD_S))
    server.on("quick", lambda sid: None)
    with plain("gevent", server) as live:
        peer = Peer(live)
        _ask(peer, "quick")
        for _ in range(2):
            _ask(peer, "spin")
        found = lines.wait_for(r"the handler of 'spin' in / kept everybody waiting for (\d+) ms: ")
        assert int(found[1]) >= 2000 * HELD_S
        live.settle()
        peer.leave()
    assert sum("kept everybody" in text for text in lines.texts) == 1


def test_a_handler_that_holds_the_hub_after_it_waited_is_named(lines: Lines) -> None:
    """The second time: what the pool cannot know, a thread that looks then does."""
    server = Server()

    @server.event(namespace="/late")
    def late(sid: str) -> None:
        server.sleep(0.001)
        spin(3 * HELD_S)

    with plain("gevent", server) as live:
        peer = Peer(live, join="40/late,")
        deadline = time.monotonic() + WAIT_S
        while not lines.texts and time.monotonic() < deadline:
            peer.send('42/late,0["late"]')
            assert peer.text() == "43/late,0[]"
            _tick(live)
        lines.wait_for(
            r"the handler of 'late' in /late kept everybody waiting for \d+ ms"
            r" \(at .*test_watchdog\.py:\d+ in spin\): "
        )
        peer.leave()


def _tick(live: Live) -> None:
    """Wait until the loop has ticked, and with it noticed what was."""
    ticked = threading.Event()
    loop = live.server.engine.loop
    loop.run(loop.on_tick, ticked.set)
    assert ticked.wait(WAIT_S)


def test_a_thread_that_computes_is_named(runtime: Runtime, lines: Lines) -> None:
    """It holds up nobody for long, and everybody always: the cause of a lasting lag."""
    server = Server()
    over = threading.Event()

    def compute() -> None:
        while not over.is_set():
            spin(0.01)

    thread = threading.Thread(target=compute, name="number cruncher")
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.02)  # beyond doubt, on a loaded machine too
    thread.start()
    try:
        with plain(runtime, server) as live:
            peer = Peer(live)
            found = lines.wait_for(
                r"all are (\d+\.\d) ms late on average: thread 'number cruncher' runs Python code "
                r"without a pause \(at .*\.py:\d+ in \w+\)"
            )
            assert float(found[1]) >= 3
            over.set()
            peer.leave()
    finally:
        over.set()
        thread.join()
        sys.setswitchinterval(before)


def test_a_quiet_loop_starts_no_thread(runtime: Runtime) -> None:
    """Its watchdog is some numbers: a stall, a thread, a line come one after the other."""
    server = Server()
    with plain(runtime, server) as live:
        peer = Peer(live)
        names = {name for name in sys._current_frames() if name}
        _ask_nothing(peer)
        assert len(set(sys._current_frames()) - names) <= 1  # a worker of the pool
        peer.leave()


def _ask_nothing(peer: Peer) -> None:
    peer.send('42["nothing"]')
    peer.sync()


def test_the_switch_interval_is_set_when_serving_begins(runtime: Runtime) -> None:
    """Of the whole process, so only where it was asked for."""
    before = sys.getswitchinterval()
    try:
        server = Server(switch_interval=0.002)
        assert sys.getswitchinterval() == before
        with plain(runtime, server) as live:
            Peer(live).leave()
            assert sys.getswitchinterval() == pytest.approx(0.002)
    finally:
        sys.setswitchinterval(before)
    for wrong in (0, 2, "fast", True):
        with pytest.raises(ConfigError, match="switch_interval"):
            Server(switch_interval=wrong)
