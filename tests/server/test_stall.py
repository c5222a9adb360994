"""A server that was held up disconnects nobody who was alive, and still drops the dead."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from flask_sio import Server
from tests.live import WAIT_S, Live, Runtime, plain
from tests.server.clients import Log, Peer, Poller

INTERVAL_S, TIMEOUT_S = 0.3, 1.5
SLOW_S = 0.3
"""How long all clients may take to connect without the timeout being made longer."""
HOLD_S = 0.7
"""How much longer a stall is than it takes until a silent client is dropped."""
LATE_S = 0.25
"""How long before the first deadline a stall begins that begins late."""


class Alive:
    """A client that answers pings from a thread of its own, its first one when it may."""

    def __init__(self, live: Live, may_answer: threading.Event) -> None:
        self.pinged = threading.Event()
        self.pinged_at = 0.0
        self.echoed = threading.Event()
        self._may_answer = may_answer
        self._live = live
        self._is_over = False
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._is_over:
                for packet in self.receive():
                    self._take(packet)
        except EOFError:
            pass
        except (AssertionError, OSError):
            if not self._is_over:  # else it was asking when it said good-bye
                raise

    def _take(self, packet: str) -> None:
        if packet == "2":
            self.pinged_at = self.pinged_at or time.monotonic()
            self.pinged.set()
            assert self._may_answer.wait(WAIT_S)
            self.answer("3")
        elif packet.startswith("43"):
            self.echoed.set()

    def receive(self) -> list[str]:
        raise NotImplementedError

    def answer(self, packet: str) -> None:
        raise NotImplementedError

    def end(self) -> None:
        self._is_over = True
        self.answer("1")
        self._thread.join(WAIT_S)


class AlivePeer(Alive):
    def __init__(self, live: Live, may_answer: threading.Event) -> None:
        super().__init__(live, may_answer)
        self.client = dead_peer(live)  # pings are ours to answer
        self.answer = self.client.send  # type: ignore[method-assign]

    def receive(self) -> list[str]:
        return [self.client.text()]

    def end(self) -> None:
        super().end()
        self.client.close()


class AlivePoller(Alive):
    def __init__(self, live: Live, may_answer: threading.Event) -> None:
        super().__init__(live, may_answer)
        self.client = Poller(live)
        self._one_post = threading.Lock()

    def answer(self, packet: str) -> None:
        with self._one_post:
            self.client.post(packet)

    def receive(self) -> list[str]:
        return self.client.get()


def dead_peer(live: Live) -> Peer:
    """Return one that answers no pings, once it has joined."""
    peer = Peer(live)
    peer.dead = True
    return peer


def _timeout_s(runtime: Runtime) -> float:
    """Return a ping timeout in which as many clients connect, as busy as this machine is."""
    server = Server()
    with plain(runtime, server) as live:
        begin = time.monotonic()
        peers = [Peer(live) for _ in range(20)]
        took_s = time.monotonic() - begin
        for peer in peers:
            peer.close()
    return TIMEOUT_S * max(1.0, took_s / SLOW_S)


def _server(left: Log, timeout_s: float) -> Server:
    server = Server(ping_interval=INTERVAL_S, ping_timeout=timeout_s)
    server.on("echo", lambda sid: None)
    server.on("disconnect", lambda sid, reason: left.add((sid, reason)))
    return server


def _hold(holding: threading.Event, timeout_s: float) -> None:
    """Keep the owner of all state busy; in a turn."""
    holding.set()
    until = time.monotonic() + INTERVAL_S + timeout_s + HOLD_S
    while time.monotonic() < until:
        pass


def _alive(live: Live, may_answer: threading.Event, peers: int) -> list[Alive]:
    """Return so many clients on WebSocket, and three on polling, that answer from now on."""
    clients: list[Alive] = []
    for number in range(peers + 3):
        kind = AlivePeer if number < peers else AlivePoller
        clients.append(kind(live, may_answer))
        clients[-1].start()
    return clients


@pytest.mark.parametrize("late", [False, True], ids=["early", "late"])
def test_a_held_server_drops_the_dead_only(runtime: Runtime, late: bool) -> None:
    """Pongs that came while it was held count, whichever timer fires first after it.

    ``late`` begins the stall just before the deadlines of the pings.
    """
    left = Log()
    timeout_s = _timeout_s(runtime)
    server = _server(left, timeout_s)
    may_answer, holding = threading.Event(), threading.Event()
    with plain(runtime, server) as live:
        dead = [dead_peer(live), Poller(live)]
        alive = _alive(live, may_answer, 15)
        for client in alive:
            assert client.pinged.wait(WAIT_S)
        loop = server.engine.loop
        first_deadline = min(client.pinged_at for client in alive) + timeout_s
        begin = first_deadline - LATE_S if late else 0.0
        loop.run(lambda: loop.call_at(max(begin, loop.now()), lambda: _hold(holding, timeout_s)))
        assert holding.wait(WAIT_S)
        may_answer.set()
        for client in alive:
            client.answer('420["echo"]')
        for client in alive:
            assert client.echoed.wait(WAIT_S)
        left.wait(2)
        assert sorted(left.entries) == sorted((peer.sid, "ping timeout") for peer in dead)
        assert len(server.engine.connections) == len(alive)
        for client in alive:
            client.end()
        _close(dead)


def test_a_handler_that_holds_the_hub_drops_nobody_alive() -> None:
    """gevent: a handler that blocks without yielding is the usual stall."""
    left = Log()
    timeout_s = _timeout_s("gevent")
    server = _server(left, timeout_s)
    may_answer = threading.Event()
    may_answer.set()
    holding = threading.Event()
    server.on("hold", lambda sid: _hold(holding, timeout_s))
    with plain("gevent", server) as live:
        dead = [dead_peer(live), Poller(live)]
        alive = _alive(live, may_answer, 10)
        alive[0].answer('420["hold"]')
        assert holding.wait(WAIT_S)
        for client in alive[1:]:
            client.answer('420["echo"]')
        for client in alive:
            assert client.echoed.wait(WAIT_S)
        left.wait(2)
        assert sorted(left.entries) == sorted((peer.sid, "ping timeout") for peer in dead)
        for client in alive:
            client.end()
        _close(dead)


def test_the_dead_are_dropped_without_a_stall_too(runtime: Runtime) -> None:
    """Both transports; a client that only reads is dead, one that only writes is alive."""
    left = Log()
    server = _server(left, _timeout_s(runtime))
    with plain(runtime, server) as live:
        dead = [dead_peer(live), Poller(live)]
        writer = Peer(live)
        while len(left.entries) < 2:
            writer.send('42["echo"]')
            writer.sync()
        assert sorted(left.entries) == sorted((peer.sid, "ping timeout") for peer in dead)
        writer.close()
        _close(dead)


def _close(clients: list[Any]) -> None:
    for client in clients:
        if isinstance(client, Peer):
            client.close()
