"""A client whose time is over: `Socket.expire_at`."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

from flask_sio import Server
from flask_sio.server.expiry import Expiry
from flask_sio.testing import TestClient
from tests.live import Runtime, plain
from tests.server.clients import Log, Peer
from tests.virtual import VirtualLoop


def watched(log: Log, **options: Any) -> Server:
    """Return a server that logs who leaves, and why."""
    server = Server(**options)

    @server.on("disconnect")
    def disconnect(sid: str, reason: str, details: Any) -> None:
        log.add((sid, reason, *details))

    return server


EXPIRED = ("server disconnect", "server namespace disconnect", "expired")


def test_the_client_leaves_when_its_time_is_over(runtime: Runtime) -> None:
    """As by disconnect(): the connection stays, and the handler is told why."""
    log = Log()
    server = watched(log)
    with plain(runtime, server) as live:
        peer = Peer(live)
        server.socket(peer.sid).expire_at(time.time() + 0.05)
        assert peer.text() == "41"
        assert log.wait(1) == [(peer.sid, *EXPIRED)]
        assert peer.join() != peer.sid
        peer.leave()


def test_a_handler_moves_it_and_lifts_it(runtime: Runtime) -> None:
    """The last time given counts, sooner or later; the other namespace has its own."""
    log, now = Log(), time.time()
    server = watched(log)

    @server.on("renew")
    def renew(sid: str, *times: float | None) -> None:
        for when in times:
            server.socket(sid).expire_at(when)

    server.on("other", lambda sid: None, namespace="/other")

    with plain(runtime, server) as live:
        moved, lifted, sooner, over = (Peer(live) for _ in range(4))
        over.join("40/other,")
        moved.send(f'420["renew",{now + 0.3},{now + 600}]')
        lifted.send(f'420["renew",{now + 0.3},null]')
        assert moved.text() == lifted.text() == "430[]"
        sooner.send(f'42["renew",{now + 600},1]')
        over.send(f'42["renew",{now + 0.4}]')
        assert sooner.text() == over.text() == "41"
        assert {sid for sid, *_ in log.wait(2)} == {sooner.sid, over.sid}
        assert over.sync() == moved.sync() == lifted.sync() == []
        for peer in (moved, lifted, sooner, over):
            peer.leave()
    assert [entry[1:] for entry in log.entries[:2]] == [EXPIRED] * 2


def test_its_timer_ends_with_the_client(runtime: Runtime) -> None:
    """Who has left keeps none and gets none, and who was never given a time keeps nothing."""
    log = Log()
    server = watched(log)
    with plain(runtime, server) as live:
        peer, idle = Peer(live), Peer(live)
        socket = server.socket(peer.sid)
        socket.expire_at(None)
        socket.expire_at(time.time() + 600)
        live.settle()
        assert socket._acks is not None
        expiry = socket._acks.expiry
        assert expiry is not None
        assert expiry._timer is not None
        peer.send("41")
        log.wait(1)
        socket.expire_at(time.time())
        live.settle()
        assert expiry._timer is None
        assert socket._acks is server.socket(idle.sid)._acks is None
        idle.leave()
        peer.leave()


def test_who_expires_while_connecting_is_refused(runtime: Runtime) -> None:
    """Its connect handler has given it a time that is past when it is to be accepted."""
    server, log = Server(), Log()

    @server.on("connect")
    def connect(sid: str, environ: Any) -> None:
        socket = server.socket(sid)
        socket.expire_at(time.time() - 60)
        log.add(socket.sleep(20))

    with plain(runtime, server) as live:
        peer = Peer(live, join=None)
        peer.send("40")
        assert peer.text() == '44{"message":"Connection rejected by server"}'
        assert log.wait(1) == [False]
        peer.leave()


def test_no_timer_is_set_far_ahead() -> None:
    """One that is cancelled keeps its place a minute at most, and the end is not early."""
    loop, ended = VirtualLoop(), []
    client: Any = SimpleNamespace(
        server=SimpleNamespace(engine=SimpleNamespace(loop=loop)),
        disconnect=lambda socket, why: ended.append((loop.time, why)),
    )
    socket: Any = SimpleNamespace(client=client)
    expiry, start = Expiry(socket), loop.time
    for seconds in (30, 10, 150):
        expiry.set(start + seconds)
    assert len(loop.wheel) == 1
    assert loop.wheel.next() == start + 60
    loop.advance(149)
    assert ended == []
    loop.advance(2)
    assert ended == [(start + 150, "expired")]
    assert len(loop.wheel) == 0
    for never in (float("inf"), 1e300):
        expiry.set(never)
        loop.advance(1000)
        assert len(loop.wheel) == 1
    expiry.cancel()
    assert len(loop.wheel) == 0
    assert len(ended) == 1


def test_what_is_no_time_is_past() -> None:
    """A NaN lets nobody stay; an endless time does."""
    server = Server(async_mode="threading")
    client = TestClient(server)
    server.socket(client.sid()).expire_at(float("inf"))
    assert client.is_connected()
    socket = server.socket(client.sid())
    socket.expire_at(float("nan"))
    assert not socket.sleep(20)
    assert not client.is_connected()
