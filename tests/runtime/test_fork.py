"""A forked child forgets the clients, and does nothing to them."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live import RUNTIMES
from tests.server.clients import Peer, Poller
from tests.servers.launch import Running, free_port, launched
from tests.servers.raw import Reader, get_json, send_request

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

FORGOTTEN = {"connections": 0, "streams": 0, "spaces": [], "has_loop": False, "left": []}


@pytest.fixture(params=RUNTIMES)
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Running]:
    port = free_port()
    command = [sys.executable, "-m", "tests.runtime.forking_app", request.param, str(port)]
    with launched(command, port, tmp_path / "log") as running:
        yield running


class Clients:
    """Some of each kind, all of them in the middle of something."""

    def __init__(self, app: Running) -> None:
        self.app = app
        self.idle, self.busy, self.asked = Peer(app), Peer(app), Peer(app)
        self.idle.send('42["enter"]')
        self.asked.send('420["call"]')
        assert self.asked.text() == '421["ask"]'
        self.calls = 1
        self.parked, self.between = Poller(app), Poller(app)
        self.poll = self.parked.park()

    def check(self) -> None:
        """Everybody is there, is heard and hears."""
        self.busy.send('427["echo","busy"]')
        assert self.busy.text() == '437["busy"]'
        self.asked.send(f'43{self.calls}["answer"]', '420["call"]')
        self.calls += 1
        assert self.asked.text() == '430["answer"]'
        assert self.asked.text() == f'42{self.calls}["ask"]'
        self.busy.send('42["shout","all"]')
        for peer in (self.idle, self.busy, self.asked):
            assert peer.text() == '42["shouted","all"]'
        while (packets := self.parked.finish(self.poll)) == ["2"]:
            self.parked.post("3")
            self.poll = self.parked.park()
        assert packets == ['42["shouted","all"]']
        self.poll = self.parked.park()
        packets = self.between.get()
        assert [packet for packet in packets if packet != "2"] == ['42["shouted","all"]']

    def leave(self) -> None:
        for peer in (self.idle, self.busy, self.asked):
            peer.close()
        self.poll.close()
        self.between.leave()


def test_a_child_that_ends_disturbs_nobody(app: Running) -> None:
    """It knows no clients and holds none of their descriptors.

    Neither its atexit hooks nor its collector end a connection of the parent's.
    """
    clients = Clients(app)
    parent = get_json(app, "/state?")["pid"]
    for _ in range(3):
        seen = get_json(app, "/fork?end")
        assert {key: seen[key] for key in FORGOTTEN} == FORGOTTEN
        assert seen["open"] == []
        assert seen["pid"] != parent
        clients.check()
    state = get_json(app, "/state?")
    assert (state["pid"], state["connections"], state["left"]) == (parent, 5, [])
    clients.leave()


def test_clients_go_on_beside_a_child_that_serves(app: Running) -> None:
    """The child serves clients of its own; each process has its own timers, rooms, emits."""
    clients = Clients(app)
    child = _child(app, get_json(app, "/fork?serve"))
    try:
        mine = Peer(child)
        assert _wait_for_pings(mine, 2) == []  # the child's timers have run by then
        assert {**get_json(child, "/state?"), "pid": 0, "streams": 0} == {
            **FORGOTTEN,
            "pid": 0,
            "connections": 1,
            "spaces": ["/"],
            "has_loop": True,
        }
        mine.send('42["shout","of the child"]')
        assert mine.text() == '42["shouted","of the child"]'
        mine.send('420["call"]')
        assert mine.text() == '421["ask"]'
        mine.send('431["mine"]')
        assert mine.text() == '430["mine"]'
        clients.check()
        Peer(app).close()
        mine.close()
    finally:
        os.kill(child.process_id, signal.SIGKILL)
    clients.leave()


def test_a_parked_poll_is_answered_by_the_parent_alone(app: Running) -> None:
    """Its ping comes once; the connection is in step afterwards."""
    poller = Poller(app)
    poll = poller.park()
    child = _child(app, get_json(app, "/fork?serve"))
    try:
        mine = Peer(child)
        _wait_for_pings(mine, 2)
        status, _, body = poll.response()
        assert (status, body) == (200, b"2")
        mine_again = Peer(child)
        _wait_for_pings(mine_again, 2)
        _nothing_more(poll)
        mine.close()
        mine_again.close()
    finally:
        os.kill(child.process_id, signal.SIGKILL)
    poll.close()
    poller.leave()


def test_a_connection_ends_though_a_child_lives(app: Running) -> None:
    """A child holds no copy of a descriptor that would keep the peer waiting for the end."""
    peer = Peer(app)
    child = _child(app, get_json(app, "/fork?serve"))
    try:
        peer.send("1")
        assert peer.rest() == []
    finally:
        os.kill(child.process_id, signal.SIGKILL)


class Child:
    """The child's server, as far as clients need it."""

    def __init__(self, parent: Running, port: int, pid: int) -> None:
        self._running = Running(parent.process, port, parent.log_path)
        self.process_id = pid

    def connect(self) -> Any:
        return self._running.connect()


def _child(app: Running, answer: dict[str, int]) -> Child:
    return Child(app, answer["port"], answer["pid"])


def _wait_for_pings(peer: Peer, count: int) -> list[str]:
    """Read until so many pings have come; return what else did."""
    others = []
    peer.dead = True
    while count:
        text = peer.text()
        if text == "2":
            peer.send("3")
            count -= 1
        else:
            others.append(text)
    peer.dead = False
    return others


def _nothing_more(poll: Reader) -> None:
    """The connection takes another request, or has ended; no second answer is on it."""
    try:
        send_request(poll.sock, "GET", "/state?")
        status, _, body = poll.response()
    except (EOFError, OSError):
        assert poll.data == b""
    else:
        assert status == 200
        assert json.loads(body)["connections"] == 1
