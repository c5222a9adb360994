"""Peers that want more than their share: all is read, in order, and nobody waits for them long."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest

from flask_sio import Server
from flask_sio.runtime import slow_lane
from flask_sio.runtime.slow_lane import SlowLane
from tests.live import Runtime, plain
from tests.server.clients import Log, Peer


class Loop:
    """One whose passes the test makes."""

    def __init__(self) -> None:
        self.due: deque[Any] = deque()

    def later(self, fn: Any) -> None:
        self.due.append(fn)


def test_each_pass_gives_them_a_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is beyond it comes first in the next pass, who comes back is behind the others."""
    now = 0.0
    monkeypatch.setattr(slow_lane.time, "perf_counter", lambda: now)
    loop: Any = Loop()
    lane, served = SlowLane(loop), []

    def greedy(name: str) -> Any:
        def read_on() -> None:
            nonlocal now
            now += slow_lane.LANE_S * 0.6
            served.append(name)
            lane.add(read_on)

        return read_on

    for name in "abc":
        lane.add(greedy(name))
    passes = []
    for _ in range(3):
        assert len(loop.due) == 1
        served.clear()
        loop.due.popleft()()
        passes.append("".join(served))
    assert passes == ["ab", "ca", "bc"]


def test_an_empty_lane_asks_for_nothing() -> None:
    loop: Any = Loop()
    lane = SlowLane(loop)
    lane.add(lambda: None)
    loop.due.popleft()()
    assert not loop.due


def test_all_of_a_burst_is_read_in_order(runtime: Runtime) -> None:
    """Ten peers at once, each with far more than a turn takes, while it is being answered."""
    server, log = Server(max_mailbox_events=10_000), Log()

    @server.on("burst")
    def burst(sid: str, peer: int, number: int) -> int:
        if number == count:
            log.add(peer)
        return number

    count = 500
    with plain(runtime, server) as live:
        peers = [Peer(live) for _ in range(10)]
        for number, peer in enumerate(peers):
            peer.send(*(f'42{each}["burst",{number},{each}]' for each in range(count + 1)))
        assert sorted(log.wait(10)) == list(range(10))
        for peer in peers:
            assert [peer.text() for _ in range(count + 1)] == [
                f"43{each}[{each}]" for each in range(count + 1)
            ]
            peer.close()
