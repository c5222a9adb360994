"""Users who come and go, told of once by servers that reach each other's clients."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import Any, Literal

import gevent
import pytest

from flask_sio import MessageQueue, Server
from flask_sio.testing import TestClient
from tests.adapters.fleet import _numbers
from tests.live import WAIT_S, Live, Runtime, plain
from tests.server.clients import Log, Peer
from tests.server.conftest import close_clients
from tests.servers.raw import ENDPOINT, http

__all__ = ["close_clients"]

Kind = Literal["memory", "mesh"]
LONG_S = 10.0 * WAIT_S


@pytest.fixture(scope="module", autouse=True)
def hub() -> None:
    """Have this thread's hub, which is never given back, before leaks are looked for."""
    gevent.get_hub()
    gevent.sleep(0)


@pytest.fixture(params=["memory", "mesh"])
def kind(request: pytest.FixtureRequest) -> Kind:
    """How they reach each other."""
    chosen: Kind = request.param
    return chosen


class Crew:
    """Servers that run, and what they have told, in the order of the calls."""

    def __init__(self, kind: Kind, runtime: Runtime, grace_s: float, folder: str) -> None:
        self.kind = kind
        self.runtime = runtime
        self.grace_s = grace_s
        self.folder = folder
        self.log = Log()
        self.lives: list[Live] = []
        self.url = f"memory://presence{next(_numbers)}"

    def server(self, number: int) -> Server:
        options: dict[str, Any] = {"presence_grace": self.grace_s, "async_mode": self.runtime}
        if self.kind == "memory":
            server = Server(client_manager=MessageQueue(self.url), **options)
        else:
            server = Server(mesh=True, mesh_dir=self.folder, **options)
            server.mesh.tag = f"tag_{number:02}"

        @server.on("connect")
        def connect(sid: str, environ: dict[str, Any], auth: Any) -> None:
            server.users.claim(server.socket(sid), auth["user"])

        server.on_presence("online", lambda _, user: self.log.add(("online", user)))
        server.on_presence("offline", lambda _, user: self.log.add(("offline", user)))
        return server

    @contextmanager
    def running(self, count: int) -> Iterator[Crew]:
        """Run so many servers, linked."""
        if count == 0:
            self.until_linked()
            yield self
            return
        with plain(self.runtime, self.server(len(self.lives))) as live:
            self.lives.append(live)
            if self.kind == "mesh":
                http(live, "GET", f"{ENDPOINT}none")  # type: ignore[arg-type] # its first request
            with self.running(count - 1):
                yield self

    def until_linked(self) -> None:
        if self.kind == "mesh":
            for live in self.lives:
                live.until(lambda live=live: len(live.server.mesh.tags) == len(self.lives) - 1)

    def settle(self) -> None:
        """Wait until all agree on who takes part."""
        for live in self.lives:
            live.until(lambda live=live: live.server.presence._keepers._keeper.is_settled)

    def names(self, user: str) -> list[str]:
        """Return what was told of a user."""
        return [event for event, whom in self.log.entries if whom == user]

    def told(self, user: str, count: int) -> list[str]:
        """Return the same once so much was told."""
        self.log.wait_for(lambda _: len(self.names(user)) >= count)
        return self.names(user)

    def peer(self, number: int, user: str) -> Peer:
        """Return a user's socket at one of the servers."""
        return Peer(self.lives[number], f'40{{"user":"{user}"}}')

    def at(self, user: str, *numbers: int) -> None:
        """Wait until a user's keeper knows that the user is at these servers, and no others."""
        ids = {self.lives[number].server.present_adapter.id for number in numbers}
        any_keepers = self.lives[0].server.presence._keepers
        keeper = any_keepers._keeper_of(("/", user))
        (live,) = (each for each in self.lives if each.server.present_adapter.id == keeper)
        entries = live.server.presence._keepers._keeper._entries
        live.until(lambda: ids == set(getattr(entries.get(("/", user)), "servers", ())))

    def kept_by(self, number: int) -> str:
        """Return a user whom one of the servers keeps."""
        keepers = self.lives[number].server.presence._keepers
        own = self.lives[number].server.present_adapter.id
        names = (f"user{each}" for each in range(1000))
        return next(name for name in names if keepers._keeper_of(("/", name)) == own)

    def everybody(self) -> list[Peer]:
        """Let one user be at each server, so that all take part."""
        peers = [self.peer(number, f"first{number}") for number in range(len(self.lives))]
        self.log.wait(len(peers))
        self.settle()
        return peers


@contextmanager
def crew_of(kind: Kind, runtime: Runtime, count: int, grace_s: float = 0) -> Iterator[Crew]:
    folder = tempfile.mkdtemp(prefix="mesh")  # short: it is part of a Unix socket's name
    try:
        with Crew(kind, runtime, grace_s, folder).running(count) as crew:
            yield crew
    finally:
        gevent.sleep(0.001)  # a pass of the hub, which gives back what was closed
        shutil.rmtree(folder)


def leave(*peers: Peer) -> None:
    for peer in peers:
        peer.leave()


def test_a_user_at_two_servers_is_told_of_once(kind: Kind, runtime: Runtime) -> None:
    """Whoever of the servers keeps the user, and whichever the last socket is at."""
    with crew_of(kind, runtime, 2) as crew:
        rest = crew.everybody()
        for user in ("user0", crew.kept_by(0), crew.kept_by(1)):
            crew.log.entries.clear()
            first, second = crew.peer(0, user), crew.peer(1, user)
            assert crew.told(user, 1) == ["online"]
            crew.at(user, 0, 1)
            first.leave()
            crew.at(user, 1)
            third = crew.peer(0, user)
            crew.at(user, 0, 1)
            second.leave()
            crew.at(user, 0)
            third.leave()
            assert crew.told(user, 2) == ["online", "offline"]
        leave(*rest)


def test_a_move_within_the_grace_tells_nothing(kind: Kind, runtime: Runtime) -> None:
    """A client that comes back at another server was not away."""
    with crew_of(kind, runtime, 3, LONG_S) as crew:
        rest = crew.everybody()
        for number in (0, 1, 2, 0):
            peer = crew.peer(number, "ann")
            assert crew.told("ann", 1) == ["online"]
            peer.leave()
        last = crew.peer(1, "bob")
        assert crew.told("bob", 1) == ["online"]
        leave(last, *rest)
    assert crew.names("ann") == ["online"]


def test_a_newcomer_learns_who_is_there(kind: Kind, runtime: Runtime) -> None:
    """A server that has had no user until now tells of nobody who was online before."""
    with crew_of(kind, runtime, 3) as crew:
        users = [f"user{number}" for number in range(12)]
        peers = [crew.peer(0, user) for user in users]
        crew.log.wait(12)
        peers += [crew.peer(1 + number % 2, user) for number, user in enumerate(users)]
        crew.settle()
        assert sorted(crew.log.entries) == sorted(("online", user) for user in users)
        leave(*peers)
        assert sorted(crew.log.wait(24)[12:]) == sorted(("offline", user) for user in users)


def test_many_at_once(kind: Kind, runtime: Runtime) -> None:
    """Users who come to all servers at the same moment, and go, are told of once each."""
    with crew_of(kind, runtime, 3) as crew, ThreadPoolExecutor(6) as pool:
        users = [f"user{number}" for number in range(40)]
        places = [(number, user) for user in users for number in range(3)]
        peers = list(pool.map(lambda place: crew.peer(*place), places))
        crew.log.wait(40)
        crew.settle()
        assert sorted(crew.log.entries) == sorted(("online", user) for user in users)
        list(pool.map(leave, peers))
        assert sorted(crew.log.wait(80)[40:]) == sorted(("offline", user) for user in users)


def test_the_end_of_a_server(kind: Kind, runtime: Runtime) -> None:
    """Who was only there goes offline; who is elsewhere too, or whom it kept, does not."""
    with crew_of(kind, runtime, 3) as crew:
        peers = crew.everybody()
        only, kept = "only", crew.kept_by(0)
        both = next(f"both{n}" for n in range(1000))
        for number, user in ((0, only), (0, both), (1, both), (2, kept)):
            peers.append(crew.peer(number, user))
        for user in (only, both, kept):
            assert crew.told(user, 1) == ["online"]
        crew.lives.pop(0).server.shutdown()
        assert crew.told(only, 2) == ["online", "offline"]
        assert crew.told("first0", 2) == ["online", "offline"]
        crew.settle()
        assert (crew.names(both), crew.names(kept)) == (["online"], ["online"])
        for peer in peers:
            peer.leave()
        assert crew.told(both, 2) == crew.told(kept, 2) == ["online", "offline"]


def test_a_server_that_dies(runtime: Runtime) -> None:
    """Without a farewell: also of those it kept who were nowhere else, or had just left."""
    with crew_of("mesh", runtime, 3, 1.5) as crew:
        peers = crew.everybody()
        dead = crew.lives[0].server
        names = iter(f"only{number}" for number in range(1000))
        keepers = dead.presence._keepers
        own, others = (
            [
                name
                for name in islice(names, 30)
                if (keepers._keeper_of(("/", name)) == "tag_00") is is_own
            ]
            for is_own in (True, False)
        )
        only, kept, gone = [own[0], others[0]], own[1], own[2]
        peers += [crew.peer(0, user) for user in only] + [crew.peer(1, kept), crew.peer(2, kept)]
        crew.peer(1, gone).leave()
        for user in (*only, kept, gone):
            assert crew.told(user, 1) == ["online"]
        crew.at(kept, 1, 2)
        # A server that speaks to one that has just died does not hear its last words.
        crew.at(gone)
        dead.presence._listeners.clear()
        dead.engine.loop.call(dead.mesh.close)
        crew.lives.pop(0)
        for user in (*only, gone):
            assert crew.told(user, 2) == ["online", "offline"]
        crew.settle()
        assert crew.names(kept) == ["online"]
        leave(*peers)
        assert crew.told(kept, 2) == ["online", "offline"]


def test_a_link_that_breaks(runtime: Runtime) -> None:
    """A server that cannot be reached counts as gone, and is back when it is linked again."""
    with crew_of("mesh", runtime, 2, LONG_S) as crew:
        peers = crew.everybody()
        users = [f"user{number}" for number in range(8)]
        peers += [crew.peer(number % 2, user) for number, user in enumerate(users)]
        crew.log.wait(10)
        mesh = crew.lives[0].server.mesh
        mesh.loop.call(lambda: mesh.give_up(next(iter(mesh.peers.values())), "a test"))
        crew.until_linked()
        for live in crew.lives:
            live.until(lambda live=live: live.server.presence._keepers._views)
        crew.settle()
        peers.append(crew.peer(0, "last"))
        assert crew.told("last", 1) == ["online"]
        assert len(crew.log.entries) == 11
        leave(*peers)


def test_servers_whose_loops_end_with_their_clients(runtime: Runtime) -> None:
    """One that has no test client left is no keeper any more."""
    crew = Crew("memory", runtime, 0, "")
    servers = [crew.server(number) for number in range(3)]
    for turn in range(3):
        clients = [
            TestClient(server, auth={"user": f"user{n}"}, timeout=WAIT_S)
            for n in range(4)
            for server in servers
        ]
        for client in clients:
            client.close()
        began = time.monotonic()
        while len(crew.log.entries) < 8 * (turn + 1):  # gevent's loops run in this thread
            assert time.monotonic() - began < WAIT_S, crew.log.entries
            servers[0].sleep(0.002)
        expected = [(what, f"user{n}") for what in ("offline", "online") for n in range(4)]
        assert sorted(crew.log.entries[8 * turn :]) == expected
        while any(server.engine.has_loop for server in servers):
            assert time.monotonic() - began < WAIT_S, "a loop goes on"
            servers[0].sleep(0.002)
    for server in servers:
        server.shutdown()


def test_who_does_not_listen_takes_no_part(kind: Kind, runtime: Runtime) -> None:
    """Its users are not told of, and it keeps nobody."""
    with crew_of(kind, runtime, 2) as crew:
        deaf = crew.lives[1].server.presence
        deaf._listeners.clear()
        deaf.is_watched = False
        peers = [crew.peer(number, user) for user in ("ann", "bob") for number in (1, 0)]
        assert crew.told("ann", 1) == crew.told("bob", 1) == ["online"]
        leave(*peers)
        assert crew.told("ann", 2) == crew.told("bob", 2) == ["online", "offline"]
