"""on_high_water, on_drain, and disconnecting a client once it has taken what was sent."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest

from flask_sio import ConfigError, Namespace, Server
from flask_sio.adapters.fanout import FanOut
from flask_sio.protocol import sio
from tests.live import Live, Runtime, plain
from tests.server.clients import Log, Peer, Poller

KB = 1024
BLOCK = "x" * (256 * KB)


def watched(log: Log, **options: Any) -> Server:
    """Return a server that logs which of its clients are slow."""
    server = Server(max_outbound_bytes=64 * KB * KB, **options)
    server.on_high_water(lambda sid: log.add(("high", sid)))
    server.on_drain(lambda sid: log.add(("drain", sid)))
    return server


def fill(live: Live, peer: Peer) -> int:
    """Send blocks to a client that reads nothing, until some wait; return how many."""
    server = live.server

    def waiting() -> int:
        connections = server.engine.connections.values()
        return max(each.websocket.stream.buffered_bytes for each in connections if each.websocket)

    for count in range(1, 200):
        server.emit("block", BLOCK, to=peer.sid)
        live.settle()
        if server.engine.loop.call(waiting) > len(BLOCK):
            return count
    raise AssertionError("the kernel takes everything")


def read(peer: Peer, count: int) -> None:
    for _ in range(count):
        assert len(peer.text()) > len(BLOCK)


def test_a_slow_client_and_its_recovery(runtime: Runtime) -> None:
    """Told once each: when much waits for it, and when nothing does any more."""
    log = Log()
    server = watched(log, high_water_bytes=len(BLOCK))
    with plain(runtime, server) as live:
        peer, quick = Peer(live), Peer(live)
        for _ in range(2):
            log.entries.clear()
            count = fill(live, peer)
            assert log.wait(1) == [("high", peer.sid)]
            server.emit("block", BLOCK, to=peer.sid)
            server.emit("small", to=quick.sid)
            assert quick.text() == '42["small"]'
            read(peer, count + 1)
            assert log.wait(2) == [("high", peer.sid), ("drain", peer.sid)]
        assert not server.engine.pressure
        quick.leave()
        peer.leave()


def test_a_poller_is_slow_while_it_does_not_poll(runtime: Runtime) -> None:
    """What waits for its next GETs counts; it has caught up when they have taken it."""
    log = Log()
    with plain(runtime, watched(log, high_water_bytes=len(BLOCK))) as live:
        poller = Poller(live)
        for _ in range(3):
            live.server.emit("block", BLOCK)
        assert log.wait(1) == [("high", poller.sid)]
        packets: list[str] = []
        while len(packets) < 3:
            packets += poller.get()
        assert log.wait(2)[1] == ("drain", poller.sid)
        poller.leave()


def test_one_that_leaves_is_not_told_of_again(runtime: Runtime) -> None:
    """No drain of a client that has gone, and nothing of it is kept."""
    log = Log()
    server = watched(log, high_water_bytes=len(BLOCK))
    server.on("disconnect", lambda sid: log.add("left"))
    with plain(runtime, server) as live:
        peer = Peer(live)
        fill(live, peer)
        log.wait(1)
        peer.close()
        assert log.wait(2)[1] == "left"
        live.until(lambda: not server.engine.pressure)
    assert len(log.entries) == 2


def test_each_namespace_of_the_client_is_told(runtime: Runtime) -> None:
    """By the id that it has there; one hook for all namespaces gets the name first."""
    log = Log()
    server = Server(
        max_outbound_bytes=64 * KB * KB, high_water_bytes=len(BLOCK), namespaces=["/", "/x"]
    )
    server.on_high_water(lambda sid: log.add(sid), "/x")
    server.on_high_water(lambda namespace, sid: log.add((namespace, sid)), "*")
    with plain(runtime, server) as live:
        peer = Peer(live)
        other = peer.join("40/x,")
        count = fill(live, peer)
        assert log.wait(3) == [("/", peer.sid), ("/x", other), other]
        read(peer, count)
        peer.leave()


def test_a_failing_hook_is_logged(runtime: Runtime, caplog: pytest.LogCaptureFixture) -> None:
    """And the next ones run."""
    log = Log()
    server = Server(max_outbound_bytes=64 * KB * KB, high_water_bytes=len(BLOCK))

    @server.on_high_water
    def fail(sid: str) -> None:
        raise LookupError("of no use")

    server.on_high_water(lambda sid: log.add("second"))
    with plain(runtime, server) as live:
        peer = Peer(live)
        count = fill(live, peer)
        assert log.wait(1) == ["second"]
        read(peer, count)
        peer.leave()
    assert "LookupError: of no use" in caplog.text


def test_nobody_listens_nobody_looks() -> None:
    """Without a hook no connection is measured; the default is a quarter of the bound."""
    server = Server(max_outbound_bytes=4000)
    assert server.engine.pressure.high_bytes is None
    server.on_drain(lambda sid: None)
    assert server.engine.pressure.high_bytes == 1000
    with pytest.raises(ConfigError, match="high_water_bytes=5000: accepted is a number up to"):
        Server(max_outbound_bytes=4000, high_water_bytes=5000)
    with pytest.raises(TypeError, match=r"on_high_water\(\) needs a function that takes \(sid\)"):
        server.on_high_water(lambda: None)
    with pytest.raises(TypeError, match=r"on_drain\(\) needs .* \(namespace, sid\)"):
        server.on_drain(lambda sid: None, "*")


# -- disconnect(after_flush=True) --------------------------------------------------------


@pytest.mark.parametrize("by_class", [False, True])
def test_disconnect_after_flush_waits_for_a_slow_client(runtime: Runtime, by_class: bool) -> None:
    """It is connected, and gets what is emitted, until all of it has left."""
    log = Log()
    server = Server(max_outbound_bytes=64 * KB * KB)
    methods = Namespace()
    server.register_namespace(methods)
    server.on("disconnect", lambda sid, reason: log.add(reason))
    with plain(runtime, server) as live:
        peer = Peer(live)
        count = fill(live, peer)
        (methods if by_class else server).disconnect(peer.sid, after_flush=True)
        live.settle()
        assert server.socket(peer.sid).connected
        server.emit("last", to=peer.sid)
        assert log.entries == []
        read(peer, count)
        assert peer.text() == '42["last"]'
        assert peer.text() == "41"
        assert log.wait(1) == ["server disconnect"]
        peer.leave()


def test_disconnect_after_flush_waits_for_a_broadcast_on_its_way(runtime: Runtime) -> None:
    """What was emitted before and has not had its turn for this client goes out first."""
    server = Server(max_outbound_bytes=64 * KB * KB)
    with plain(runtime, server) as live:
        peer = Peer(live)
        socket, loop = server.socket(peer.sid), server.engine.loop
        event = sio.Packet(sio.EVENT, "/", ["big", "x" * (32 * KB * KB)])
        encoded = server.codec.encode(event)
        fan_out = loop.call(
            lambda: FanOut(socket.space.rooms, [socket], lambda each: each.deliver(encoded), None)
        )
        server.disconnect(peer.sid, after_flush=True)
        live.settle()
        assert socket.connected
        assert peer.text().startswith('42["big","xxx')
        assert peer.text() == "41"
        loop.call(fan_out.finish)
        peer.leave()


def test_disconnect_does_not_wait(runtime: Runtime) -> None:
    """Without after_flush the client leaves at once; what was sent goes out all the same."""
    log = Log()
    server = Server(max_outbound_bytes=64 * KB * KB)
    server.on("disconnect", lambda sid, reason: log.add(reason))
    with plain(runtime, server) as live:
        peer = Peer(live)
        count = fill(live, peer)
        server.disconnect(peer.sid)
        assert log.wait(1) == ["server disconnect"]
        server.emit("last", to=peer.sid)
        read(peer, count)
        assert peer.text() == "41"
        peer.leave()


def test_disconnect_after_flush_of_one_that_keeps_up(runtime: Runtime) -> None:
    """Happens at once: over a WebSocket, and on polling with the next poll."""
    server, log = Server(), Log()
    server.on("disconnect", lambda sid, reason: log.add(reason))
    with plain(runtime, server) as live:
        peer, poller = Peer(live), Poller(live)
        server.disconnect(peer.sid, after_flush=True)
        assert peer.text() == "41"
        assert log.wait(1) == ["server disconnect"]
        server.emit("last", to=poller.sid)
        server.disconnect(poller.sid, after_flush=True)
        live.settle()
        assert server.socket(poller.sid).connected
        assert poller.get() == ['42["last"]']
        assert poller.get() == ["41"]
        assert log.wait(2) == ["server disconnect"] * 2
        server.disconnect("nobody", after_flush=True)
        peer.leave()
        poller.leave()


def test_a_socket_may_close_its_connection_after_flush(runtime: Runtime) -> None:
    """`Socket.disconnect(close=True, after_flush=True)` ends it behind all that was sent."""
    server = Server(max_outbound_bytes=64 * KB * KB)
    with plain(runtime, server) as live:
        peer = Peer(live)
        count = fill(live, peer)
        server.socket(peer.sid).disconnect(close=True, after_flush=True)
        read(peer, count)
        assert peer.rest() == ["41"]


def test_one_that_leaves_before_it_is_flushed(runtime: Runtime) -> None:
    """Is not disconnected a second time, and nothing is kept."""
    server, log = Server(max_outbound_bytes=64 * KB * KB), Log()
    server.on("disconnect", lambda sid, reason: log.add(reason))
    with plain(runtime, server) as live:
        peer = Peer(live)
        fill(live, peer)
        server.disconnect(peer.sid, after_flush=True)
        live.settle()
        peer.close()
        assert log.wait(1) == ["transport close"]
        live.until(lambda: not server.engine.pressure)


def test_an_upgrade_meanwhile(runtime: Runtime) -> None:
    """What polling had left goes over the WebSocket, and then the client leaves."""
    server, log = Server(), Log()
    server.on("disconnect", lambda sid, reason: log.add(reason))
    with plain(runtime, server) as live:
        poller = Poller(live)
        server.emit("last", to=poller.sid)
        server.disconnect(poller.sid, after_flush=True)
        live.settle()
        websocket = upgraded(live, poller)
        assert websocket.text() == '42["last"]'
        assert websocket.text() == "41"
        assert log.wait(1) == ["server disconnect"]
        websocket.leave()


def upgraded(live: Live, poller: Poller) -> Peer:
    """Upgrade a poller that polls no more."""
    peer = Peer.__new__(Peer)
    super(Peer, peer).__init__(live.connect())
    peer.inbox, peer.dead, peer.sid = deque(), False, poller.sid
    path = poller.path.replace("transport=polling", "transport=websocket")
    peer.sock.sendall(
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
    )
    assert peer.through(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
    peer.send("2probe")
    assert peer.text() == "3probe"
    peer.send("5")
    return peer
