"""How much of a peer is read before others get their turn."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from flask_sio.runtime import stream as module
from flask_sio.runtime.loop import LONG_S
from flask_sio.runtime.stream import FEW_BYTES, RECV_BYTES, TURN_BYTES, Stream


class Loop:
    """One that calls nobody; the test does."""

    def __init__(self) -> None:
        self.slow_lane = self
        self.waiting: list[Any] = []
        self.wanted = True

    def add(self, fn: Any) -> None:
        self.waiting.append(fn)

    def want_read(self, wanted: bool) -> None:
        self.wanted = wanted

    def watch(self, sock: Any, readable: Any, writable: Any) -> Loop:
        self.readable = readable
        return self

    def stop(self) -> None:
        """Watch no more."""

    def discard(self, sock: socket.socket) -> None:
        sock.close()


class Plain:
    def __init__(self) -> None:
        self.got: list[int] = []

    def received(self, data: bytes) -> None:
        self.got.append(len(data))

    def gone(self) -> None:
        """Nothing to do."""


class Framed(Plain):
    needs = 0

    def awaited(self) -> int:
        return self.needs


def turns(receiver: Plain, waiting: int, count: int) -> list[int]:
    """Return what the receiver is given in so many turns."""
    ours, theirs = socket.socketpair()
    loop: Any = Loop()
    with theirs:
        stream = Stream(loop, ours, receiver)
        ours.setblocking(False)
        theirs.sendall(bytes(waiting))
        for _ in range(count):
            if loop.wanted:
                assert not loop.waiting
                loop.readable()
            else:
                loop.waiting.pop()()
                assert not loop.waiting or not loop.wanted
        stream.abort()
    return receiver.got


def test_a_peer_is_read_little_by_little() -> None:
    """However much it has sent; who reads no frames gets all that there is."""
    assert turns(Framed(), 2 * TURN_BYTES + 7, 3) == [TURN_BYTES, TURN_BYTES, 7]
    assert turns(Framed(), 10, 1) == [10]
    assert turns(Plain(), 3 * TURN_BYTES, 1) == [3 * TURN_BYTES]


def test_a_long_message_is_read_at_once() -> None:
    """What it needs and nothing of the next one."""
    receiver = Framed()
    receiver.needs = 2 * TURN_BYTES
    assert turns(receiver, 5 * TURN_BYTES, 1) == [TURN_BYTES, 2 * TURN_BYTES]
    receiver = Framed()
    receiver.needs = 10 * RECV_BYTES
    assert max(turns(receiver, 100_000, 1)) <= RECV_BYTES


def test_a_peer_whose_data_takes_long_goes_on_in_the_slow_lane(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However few bytes that are; but those of one event are not worth a look at the clock."""
    now = 0.0
    monkeypatch.setattr(module.time, "perf_counter", lambda: now)

    class Costly(Framed):
        def received(self, data: bytes) -> None:
            nonlocal now
            super().received(data)
            now += 2 * LONG_S

    for size, is_slow in ((FEW_BYTES, False), (FEW_BYTES + 1, True)):
        ours, theirs = socket.socketpair()
        loop: Any = Loop()
        with theirs:
            stream = Stream(loop, ours, Costly())
            ours.setblocking(False)
            theirs.sendall(bytes(size))
            loop.readable()
            assert bool(loop.waiting) is is_slow
            assert loop.wanted is not is_slow
            stream.abort()
