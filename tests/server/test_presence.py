"""Telling of users who come and go, on one server."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from flask_sio import ConnectionRefusedError, Server
from flask_sio.testing import TestClient
from tests.live import WAIT_S, Live, Runtime, plain
from tests.server.clients import Log, Peer

ANN = '40{"user":"ann"}'
BOB = '40{"user":"bob"}'


def server_of(log: Log, **options: Any) -> Server:
    """Return a server whose clients say who they are, and that notes what it tells."""
    options = {"namespaces": "*", "presence_grace": 0, **options}
    server = Server(**options)

    def connect(namespace: str, sid: str, auth: Any) -> None:
        user = (auth or {}).get("user")
        server.users.claim(server.socket(sid, namespace), user)
        if user == "mallory":
            raise ConnectionRefusedError

    server.on("connect", lambda name, sid, environ, auth: connect(name, sid, auth), "*")
    for event in ("online", "offline"):
        server.on_presence(event, lambda *args, event=event: log.add((event, *args)))
    return server


def away(live: Live, user: str, namespace: str = "/") -> None:
    """Wait until the server knows that nobody of a user is there."""
    live.until(lambda: (namespace, user) not in live.server.presence._sids)


def test_first_and_last_socket(runtime: Runtime) -> None:
    """Told once, however many sockets a user has, in whatever order they leave."""
    log = Log()
    with plain(runtime, server_of(log)) as live:
        first, second = Peer(live, ANN), Peer(live, ANN)
        other = Peer(live, BOB)
        first.leave()
        third = Peer(live, ANN)
        second.leave()
        assert log.wait(2) == [("online", "/", "ann"), ("online", "/", "bob")]
        third.leave()
        assert log.wait(3)[2:] == [("offline", "/", "ann")]
        other.leave()
        assert log.wait(4)[3:] == [("offline", "/", "bob")]
        again = Peer(live, ANN)
        assert log.wait(5)[4:] == [("online", "/", "ann")]
        again.leave()
        log.wait(6)


def test_who_comes_back_within_the_grace(runtime: Runtime) -> None:
    """A page that is loaded again tells nothing; who stays away is told of in the end."""
    log = Log()
    server = server_of(log, presence_grace=WAIT_S * 10)
    with plain(runtime, server) as live:
        for _ in range(3):
            Peer(live, ANN).leave()
            away(live, "ann")
        last = Peer(live, ANN)
        bob = Peer(live, BOB)
        assert log.wait(2) == [("online", "/", "ann"), ("online", "/", "bob")]
        bob.leave()
        last.leave()
    assert len(log.entries) == 2  # and no timer keeps the loop


def test_the_grace_ends(runtime: Runtime) -> None:
    """Who has left is told of by itself, some time later."""
    log = Log()
    with plain(runtime, server_of(log, presence_grace=0.2)) as live:
        began = live.server.engine.loop.now()
        Peer(live, ANN).leave()
        assert log.wait(2) == [("online", "/", "ann"), ("offline", "/", "ann")]
        assert live.server.engine.loop.now() - began >= 0.2
        assert live.server.engine.loop.call(lambda: live.server.presence._keepers.is_idle)


def test_namespaces_are_separate(runtime: Runtime) -> None:
    """A user is online in each namespace that a socket was accepted in."""
    log = Log()
    with plain(runtime, server_of(log)) as live:
        peer = Peer(live, ANN)
        peer.join('40/other,{"user":"ann"}')
        assert log.wait(2) == [("online", "/", "ann"), ("online", "/other", "ann")]
        peer.send("41/other,")
        assert log.wait(3)[2:] == [("offline", "/other", "ann")]
        peer.leave()
        assert log.wait(4)[3:] == [("offline", "/", "ann")]


def test_who_is_refused_or_nobody_tells_nothing(runtime: Runtime) -> None:
    """Nor does a client that leaves before it was accepted, nor one without a user."""
    log = Log()
    with plain(runtime, server_of(log)) as live:
        refused = Peer(live, None)
        refused.send('40{"user":"mallory"}')
        assert refused.text().startswith("44")
        nobody = Peer(live)
        peer = Peer(live, ANN)
        assert log.wait(1) == [("online", "/", "ann")]
        for each in (refused, nobody):
            each.leave()
        peer.leave()
        assert log.wait(2)[1:] == [("offline", "/", "ann")]
    assert len(log.entries) == 2


def test_who_says_later_who_it_is(runtime: Runtime) -> None:
    """A socket counts for a user from the moment that it is claimed; twice is once."""
    log = Log()
    with plain(runtime, server_of(log)) as live:
        peer = Peer(live)
        socket = live.server.socket(peer.sid)
        live.server.users.claim(socket, "ann")
        live.server.users.claim(socket, "ann")
        assert log.wait(1) == [("online", "/", "ann")]
        live.server.users.claim(socket, 7)
        assert log.wait(2)[1:] == [("online", "/", "7")]
        peer.leave()
        assert sorted(log.wait(4)[2:]) == [("offline", "/", "7"), ("offline", "/", "ann")]


def test_a_disconnect_handler_is_not_waited_for(runtime: Runtime) -> None:
    """A socket counts no more as soon as it begins to leave."""
    log = Log()
    server = server_of(log)
    done = threading.Event()

    @server.on("disconnect")
    def disconnect(sid: str) -> None:
        waiter = server.engine.loop.waiter()
        waiters.append(waiter)
        waiter.wait(WAIT_S)
        done.set()

    waiters: list[Any] = []
    with plain(runtime, server) as live:
        Peer(live, ANN).leave()
        assert log.wait(2)[1] == ("offline", "/", "ann")
        assert not done.is_set()
        live.until(lambda: waiters)
        server.engine.loop.run(waiters[0].set)
        assert done.wait(WAIT_S)


def test_listeners_run_in_order_one_at_a_time(runtime: Runtime) -> None:
    """All of an event, as they were registered, before those of the next."""
    log = Log()
    server = server_of(log)
    running = threading.Lock()

    @server.on_presence("online")
    def second(namespace: str, user: str) -> None:
        assert running.acquire(blocking=False)
        server.sleep(0.001)
        log.add(("second", user))
        running.release()

    with plain(runtime, server) as live:
        peers = [Peer(live, f'40{{"user":"user{number}"}}') for number in range(5)]
        expected = []
        for number in range(5):
            expected += [("online", "/", f"user{number}"), ("second", f"user{number}")]
        assert log.wait(10) == expected
        for peer in peers:
            peer.leave()


def test_what_a_listener_raises_is_logged(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    """The others run, and the next users are told of."""
    log = Log()
    server = Server(presence_grace=0)
    server.on("connect", lambda sid, environ, auth: claim(sid, auth))

    def claim(sid: str, auth: Any) -> None:
        server.users.claim(server.socket(sid), auth["user"])

    @server.on_presence("online")
    def fail(namespace: str, user: str) -> None:
        raise LookupError("of no use")

    server.on_presence("online", lambda namespace, user: log.add(user))
    with plain(runtime, server) as live:
        for packet in (ANN, BOB):
            Peer(live, packet).leave()
        assert log.wait(2) == ["ann", "bob"]
    assert caplog.text.count("LookupError: of no use") == 2


def test_a_listener_that_comes_late(runtime: Runtime) -> None:
    """Who is there already counts as told of."""
    log = Log()
    server = Server(presence_grace=0)
    server.on(
        "connect",
        lambda sid, environ, auth: server.users.claim(server.socket(sid), auth["user"]),
    )
    with plain(runtime, server) as live:
        ann = Peer(live, ANN)
        server.on_presence("online", lambda *args: log.add(("online", *args)))
        server.on_presence("offline", lambda *args: log.add(("offline", *args)))
        more, bob = Peer(live, ANN), Peer(live, BOB)
        for peer in (ann, more, bob):
            peer.leave()
        assert sorted(log.wait(3)) == [
            ("offline", "/", "ann"),
            ("offline", "/", "bob"),
            ("online", "/", "bob"),
        ]


def test_without_a_listener_nothing_is_kept(runtime: Runtime) -> None:
    """Nobody is counted, and no timer runs."""
    server = Server()
    server.on(
        "connect",
        lambda sid, environ, auth: server.users.claim(server.socket(sid), auth["user"]),
    )
    with plain(runtime, server) as live:
        peer = Peer(live, ANN)
        assert server.users.sids("ann") == [peer.sid]
        assert not server.presence.is_watched
        assert server.presence._sids == {}
        peer.leave()


def test_a_loop_of_test_clients_ends_once_all_is_told() -> None:
    """It is kept for the grace, and no longer."""
    log = Log()
    server = server_of(log, presence_grace=0.2, async_mode="threading")
    with TestClient(server, auth={"user": "ann"}):
        assert log.wait(1) == [("online", "/", "ann")]
    assert log.wait(2)[1:] == [("offline", "/", "ann")]
    with TestClient(server, auth={"user": "ann"}):
        assert log.wait(3)[2:] == [("online", "/", "ann")]
    log.wait(4)


def test_what_is_no_event() -> None:
    """It is refused where it is registered; so is what is no function."""
    server = Server()
    with pytest.raises(ValueError, match="no event of users 'away': there are online, offline"):
        server.on_presence("away")  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="on_presence"):
        server.on_presence("online", 7)  # type: ignore[call-overload]
