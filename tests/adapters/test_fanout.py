"""Broadcasts to many: some recipients at a time, and nobody can tell but by the clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import gevent
import pytest

from flask_sio import MessageQueue, Server
from flask_sio.adapters.adapter import EmitResult
from flask_sio.adapters.fanout import AT_ONCE, FanOut, FanOuts
from flask_sio.adapters.memory import DESCRIBED_AT_ONCE
from flask_sio.adapters.rooms import Rooms
from flask_sio.testing import TestClient
from tests.live import WAIT_S, Runtime


class Member:
    def __init__(self, number: int) -> None:
        self.id = str(number)
        self.got: list[str] = []


class Loop:
    """Runs what is asked for later when the test says so, and turns at once."""

    def __init__(self) -> None:
        self.due: list[Callable[[], object]] = []

    def later(self, fn: Callable[..., object], *args: Any) -> None:
        self.due.append(lambda: fn(*args))

    def call(self, fn: Callable[[], Any]) -> Any:
        return fn()

    def go_on(self) -> None:
        due, self.due = self.due, []
        for fn in due:
            fn()


def made(count: int) -> tuple[Rooms, list[Any], Any]:
    members: list[Any] = [Member(number) for number in range(count)]
    return Rooms(), members, Loop()


def sends(name: str) -> Callable[[Any], bool]:
    def send(member: Any) -> bool:
        member.got.append(name)
        return int(member.id) % 2 == 0

    return send


def served(members: list[Any]) -> int:
    return sum(bool(member.got) for member in members)


def test_some_are_served_at_a_time() -> None:
    """The first at once, the others after the loop has had its turn, each once."""
    rooms, members, loop = made(2 * AT_ONCE + 10)
    result = EmitResult(loop)
    FanOuts().start(FanOut(rooms, members, sends("x"), result), loop)
    counts = []
    while loop.due:
        counts.append(served(members))
        loop.go_on()
    assert counts == [AT_ONCE, 2 * AT_ONCE, 2 * AT_ONCE + 10]
    assert all(member.got == ["x"] for member in members)
    assert (result.matched, result.queued) == (len(members), len(members) // 2)
    assert (rooms.fan_outs, result.fan_out) == ((), None)


def test_who_is_spoken_to_is_served_first() -> None:
    """By every broadcast on its way, in their order; and not again."""
    rooms, members, loop = made(3 * AT_ONCE)
    fan_outs = FanOuts()
    for name in ("a", "b"):
        fan_outs.start(FanOut(rooms, members, sends(name), None), loop)
    last = members[-1]
    for fan_out in rooms.fan_outs:
        fan_out.serve(last)
    assert last.got == ["a", "b"]
    while loop.due:
        loop.go_on()
    assert all(member.got == ["a", "b"] for member in members)


def test_to_read_a_result_finishes_its_broadcast() -> None:
    """Who asks how many took it wants to know of all."""
    rooms, members, loop = made(3 * AT_ONCE)
    result = EmitResult(loop)
    FanOuts().start(FanOut(rooms, members, sends("x"), result), loop)
    assert result.queued == len(members) // 2
    assert served(members) == len(members)
    while loop.due:
        loop.go_on()
    assert all(member.got == ["x"] for member in members)


def test_broadcasts_on_their_way_are_bounded() -> None:
    """Who makes them faster than they go out does the oldest one's work."""
    rooms, members, loop = made(2 * AT_ONCE)
    fan_outs = FanOuts()
    for number in range(50):
        fan_outs.start(FanOut(rooms, members, sends(str(number)), None), loop)
    assert len(rooms.fan_outs) == 16
    while loop.due:
        loop.go_on()
    assert all(member.got == [str(n) for n in range(50)] for member in members)


def test_another_loop_begins_anew() -> None:
    """What the loop before it has left undone was for clients that have gone."""
    rooms, members, loop = made(2 * AT_ONCE)
    fan_outs = FanOuts()
    fan_outs.start(FanOut(rooms, members, sends("x"), None), loop)
    rooms, members, second = made(2 * AT_ONCE)
    fan_outs.start(FanOut(rooms, members, sends("y"), None), second)
    loop.go_on()
    while second.due:
        second.go_on()
    assert all(member.got == ["y"] for member in members)


# -- with a server ----------------------------------------------------------------------


@pytest.fixture(scope="module", autouse=True)
def hub() -> None:
    """Have this thread's hub, which is never given back, before leaks are looked for."""
    gevent.get_hub()
    gevent.sleep(0)


@pytest.fixture
def crowd(runtime: Runtime) -> Iterator[tuple[Server, list[TestClient]]]:
    """A server with more clients than are served at once."""
    server = Server(async_mode=runtime)
    with ExitStack() as stack:
        yield (
            server,
            [stack.enter_context(TestClient(server, timeout=WAIT_S)) for _ in range(AT_ONCE + 20)],
        )


def names(client: TestClient) -> list[str]:
    return [event["name"] for event in client.get_received()]


def test_the_order_is_that_of_the_emits(crowd: tuple[Server, list[TestClient]]) -> None:
    """For who waits and who does not, whatever comes after a broadcast."""
    server, clients = crowd
    first, last = clients[0], clients[-1]
    server.emit("all")
    server.emit("one", to=[first.sid(), last.sid()])
    server.emit("again")
    server.of("/").volatile.emit("volatile")
    assert server.of("/").coalesce("key").emit("coalesced").queued == len(clients)
    expected = ["all", "one", "again", "volatile", "coalesced"]
    assert names(first) == names(last) == expected
    assert names(clients[AT_ONCE + 5]) == [name for name in expected if name != "one"]


def test_nobody_leaves_before_what_was_emitted(crowd: tuple[Server, list[TestClient]]) -> None:
    """disconnect() and the end of a connection come behind a broadcast on its way."""
    server, clients = crowd
    one, two = clients[-1], clients[-2]
    result = server.emit("all")
    server.disconnect(one.sid())
    server.socket(two.sid()).disconnect(close=True)
    for client in (one, two):
        assert not client.is_connected()
        assert [event["name"] for event in client.queue] == ["all"]
    assert (result.matched, result.queued) == (len(clients), len(clients))


def test_shutting_down_finishes_broadcasts(crowd: tuple[Server, list[TestClient]]) -> None:
    """What was emitted before goes out before the good-byes."""
    server, clients = crowd
    server.emit("all")
    server.shutdown()
    assert all([event["name"] for event in each.queue] == ["all"] for each in clients)


def test_one_that_cannot_be_served_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """It is not counted, the log says so once, and later broadcasts arrive."""
    rooms, members, loop = made(3 * AT_ONCE)
    result = EmitResult(loop)

    def send(member: Any) -> bool:
        if int(member.id) % 100 == 0:
            raise TypeError("of no use")
        return sends("first")(member)

    fan_outs = FanOuts()
    fan_outs.start(FanOut(rooms, members, send, result), loop)
    fan_outs.start(FanOut(rooms, members, sends("second"), None), loop)
    while loop.due:
        loop.go_on()
    failed = len(range(0, len(members), 100))
    assert result.queued == len(members) // 2 - failed
    assert all(member.got[-1] == "second" for member in members)
    assert caplog.text.count("a broadcast failed for a client") == 1


def test_others_are_served_while_clients_are_described(runtime: Runtime) -> None:
    """By the server that is asked and by another one; every client is described once."""
    url = f"memory://described-{runtime}"
    near, far = (Server(async_mode=runtime, client_manager=MessageQueue(url)) for _ in range(2))
    count = 2 * DESCRIBED_AT_ONCE + 1
    with ExitStack() as stack:
        clients = [TestClient(far, timeout=WAIT_S) for _ in range(count)]
        clients.append(TestClient(near, timeout=WAIT_S))
        for client in clients:
            stack.callback(client.close)
        log: list[str] = []
        loop = far.engine.loop

        class Data(dict[str, Any]):
            def keys(self) -> Any:
                log.append("described")
                loop.run(loop.later, log.append, "turn")
                return super().keys()

            def __iter__(self) -> Iterator[str]:  # else it is copied without asking
                return super().__iter__()

        for client in clients[:-1]:
            far.socket(client.sid())._data = Data(own=1)
        for asked in (far, near):
            log.clear()
            found = asked.of("/").fetch_sockets()
            assert sorted(each.id for each in found) == sorted(each.sid() for each in clients)
            loop.settle()
            assert log.count("described") == count
            assert "turn" in log[:count]
