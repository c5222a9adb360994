"""Users who come and go, on several workers of gunicorn."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.live import WAIT_S
from tests.server.clients import Peer
from tests.server.conftest import close_clients
from tests.servers.launch import Running, started
from tests.servers.test_workers import WORKERS, several

__all__ = ["close_clients"]

PRESENCE = "tests.servers.apps.presence:app"


class Told:
    """What the workers have noted."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def of(self, user: str) -> list[str]:
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        return [event for event, whom in map(str.split, lines) if whom == user]

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait for what other processes write."""
        deadline = time.monotonic() + 2 * WAIT_S
        while not holds():
            assert time.monotonic() < deadline, self.path.read_text()
            time.sleep(0.02)


def peer_of(server: Running, user: str) -> Peer:
    return Peer(server, f'40{{"user":"{user}"}}')


def pid_of(peer: Peer) -> int:
    peer.send('420["pid"]')
    answer = peer.text()
    assert answer.startswith("430["), answer
    return int(answer[4:-1])


def come_back(server: Running, user: str) -> Peer:
    """Connect as a client does that was closed: again, where a worker ends that took it."""
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            peer = peer_of(server, user)
            pid_of(peer)
            return peer
        except (AssertionError, EOFError, OSError):
            assert time.monotonic() < deadline, "no worker takes it"
            time.sleep(0.05)


@pytest.mark.parametrize("worker", WORKERS)
def test_users_of_several_workers(worker: str, tmp_path: Path) -> None:
    """Each is told of once; after kill -9 only those go offline who were nowhere else."""
    told = Told(tmp_path / "told")
    env = {"TOLD": str(told.path), "GRACE": "1"}
    users = [f"user{number}" for number in range(12)]
    with several(tmp_path, worker, app=PRESENCE, env=env) as server:
        # Of half of them one socket, of the others three.
        sockets = [
            (user, peer_of(server, user))
            for number, user in enumerate(users)
            for _ in range(1 + number % 2 * 2)
        ]
        told.until(lambda: all(told.of(user) for user in users))
        places = [(user, peer, pid_of(peer)) for user, peer in sockets]
        while len({pid for *_, pid in places}) < 2:  # the kernel chooses who accepts
            peer = peer_of(server, users[-1])
            places.append((users[-1], peer, pid_of(peer)))
        assert [told.of(user) for user in users] == [["online"]] * 12

        killed = places[0][2]
        os.kill(killed, signal.SIGKILL)
        lost = {user for user in users if {pid for u, _, pid in places if u == user} == {killed}}
        told.until(lambda: all(told.of(user)[1:] for user in lost))
        started(server, WORKERS[worker] + 1)
        for _, peer, pid in places:
            if pid != killed:
                assert pid_of(peer) == pid
        for user in users:
            assert told.of(user) == ["online", "offline"][: 1 + (user in lost)]

        for _, peer, pid in places:
            if pid != killed:
                peer.leave()
        told.until(lambda: all(told.of(user)[1:] for user in users))
        assert [told.of(user) for user in users] == [["online", "offline"]] * 12


@pytest.mark.parametrize("worker", WORKERS)
def test_a_reload_tells_nothing(worker: str, tmp_path: Path) -> None:
    """On SIGHUP every client comes back at a new worker, within the grace; a single one too."""
    told = Told(tmp_path / "told")
    env = {"TOLD": str(told.path), "GRACE": str(2 * WAIT_S)}
    # What a busy machine needs to start new ones: the last of the old waits so long.
    options = ("--graceful-timeout", str(2 * WAIT_S))
    for users in (["ann"], ["bob", "cleo", "dora", "eve"]):
        (tmp_path / users[0]).mkdir()
        with several(tmp_path / users[0], worker, *options, app=PRESENCE, env=env) as server:
            peers = [peer_of(server, user) for user in users]
            told.until(lambda users=users: all(told.of(user) for user in users))
            server.process.send_signal(signal.SIGHUP)
            for user, peer in zip(users, peers, strict=True):
                peer.rest()  # until it is closed
                come_back(server, user)
            started(server, 2 * WORKERS[worker])
            os.killpg(server.process.pid, signal.SIGKILL)  # or they wait for users to come back
        for user in users:
            assert told.of(user) == ["online"]
