"""Emits to clients that cannot take them at once: dropped, or only the latest kept."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from flask_sio import Server
from flask_sio.server.operators import ServerNamespace
from tests.live import WAIT_S, Live, Runtime, plain
from tests.server.clients import Peer, Poller

BLOCK = "x" * 200_000


def stuff(server: Server, sid: str) -> int:
    """Emit to a client that does not read until the kernel takes no more; return how often."""
    engine = server.engine
    stream = engine.loop.call(lambda: server.socket(sid).client.connection.websocket.stream)  # type: ignore[union-attr]
    count = 0
    while not engine.loop.call(lambda: stream.buffered_bytes):
        server.emit("block", BLOCK, to=sid)
        count += 1
    return count


@pytest.fixture
def server() -> Server:
    return Server(max_outbound_bytes=50_000_000)


def test_a_volatile_emit_is_dropped_by_who_is_not_ready(runtime: Runtime, server: Server) -> None:
    """A slow reader misses it, others get it; what was sent before and after arrives."""
    with plain(runtime, server) as live:
        slow, quick = Peer(live), Peer(live)
        count = stuff(server, slow.sid)
        result = server.emit("volatile", volatile=True)
        assert (result.matched, result.queued, result.dropped) == (2, 1, 1)
        server.emit("last")
        got = [slow.text() for _ in range(count + 1)]
        assert got[-1] == '42["last"]'
        assert '42["volatile"]' not in got
        assert [quick.text() for _ in range(2)] == ['42["volatile"]', '42["last"]']
        result = server.of("/").volatile.emit("again")
        assert result.dropped == 0
        assert slow.text() == '42["again"]'
        for peer in (slow, quick):
            peer.leave()


def test_only_the_latest_of_a_key_waits(runtime: Runtime, server: Server) -> None:
    """Keys are told apart, in the order they came; who is ready gets each."""
    with plain(runtime, server) as live:
        slow, quick = Peer(live), Peer(live)
        count = stuff(server, slow.sid)
        of = server.of("/")
        for number in range(5):
            for key in ("a", "b"):
                result = of.coalesce(key).emit(key, number)
                assert (result.queued, result.dropped) == (2, 0)
        blocks = [slow.text() for _ in range(count)]
        assert all(block.startswith('42["block"') for block in blocks)
        assert [slow.text() for _ in range(2)] == ['42["a",4]', '42["b",4]']
        of.coalesce("a").emit("a", 5)
        assert slow.text() == '42["a",5]'
        assert [quick.text() for _ in range(11)] == [
            f'42["{key}",{number}]' for number in range(5) for key in "ab"
        ] + ['42["a",5]']
        for peer in (slow, quick):
            peer.leave()


def test_between_two_polls_a_client_is_not_ready(runtime: Runtime, server: Server) -> None:
    """Volatile emits are dropped there, and of the others the latest of a key is kept."""
    with plain(runtime, server) as live:
        poller = Poller(live)
        of = server.of("/").to(poller.sid)
        assert of.volatile.emit("volatile").dropped == 1
        for number in range(3):
            assert of.coalesce("key").emit("n", number).queued == 1
        of.emit("plain")
        assert poller.get() == ['42["plain"]', '42["n",2]']
        held = poller.park()
        wait_until_held(live, poller.sid)
        assert of.volatile.emit("volatile").queued == 1
        assert poller.finish(held) == ['42["volatile"]']
        poller.leave()


def wait_until_held(live: Live, sid: str) -> None:
    connection = live.server.socket(sid).client.connection
    live.until(lambda: connection.polling is not None and connection.polling.held is not None)


def test_what_waits_under_keys_is_bounded(runtime: Runtime) -> None:
    """Too many keys, or bytes, close a client that does not read, as any emits would."""
    server = Server(max_outbound_packets=10)
    with plain(runtime, server) as live:
        poller = Poller(live)
        of = server.of("/").to(poller.sid)
        for number in range(10):
            assert of.coalesce(number).emit("n").queued == 1
        assert of.coalesce("one too many").emit("n").dropped == 1
        live.until(lambda: not live.server.engine.connections)


def test_a_client_that_is_connecting_gets_all(runtime: Runtime, server: Server) -> None:
    """What a connect handler emits waits for its end, each for itself; volatile is dropped."""
    results = []

    @server.event
    def connect(sid: str, environ: object) -> None:
        for number in range(2):
            results.append(server.of("/").to(sid).coalesce("key").emit("n", number))
        results.append(server.of("/").to(sid).volatile.emit("volatile"))

    with plain(runtime, server) as live:
        peer = Peer(live)
        assert [peer.text() for _ in range(2)] == ['42["n",0]', '42["n",1]']
        assert [result.dropped for result in results] == [0, 0, 1]
        peer.leave()


def test_what_is_kept_comes_with_the_next_poll(runtime: Runtime) -> None:
    """After what was queued, in one answer, even where both are as many as a client may have."""
    for policy in ("close", "drop"):
        server = Server(max_outbound_packets=4, slow_client=policy)
        with plain(runtime, server) as live:
            poller = Poller(live)
            for number in range(4):
                server.emit("queued", number, to=poller.sid)
                server.of("/").to(poller.sid).coalesce(number).emit("kept", number)
            assert poller.get() == [
                f'42["{kind}",{number}]' for kind in ("queued", "kept") for number in range(4)
            ]
            poller.leave()


def test_what_is_kept_comes_before_its_namespace_is_left(runtime: Runtime, server: Server) -> None:
    """Not after it, nor to the socket that joins next; nor if the client itself leaves."""
    server.of("/b").on("go", lambda sid: None)
    with plain(runtime, server) as live:
        peer = Peer(live)
        for leaves, expected in ((False, ["pos", "41"]), (True, [])):
            sid = peer.join("40/b,")
            stuff(server, peer.sid)
            server.of("/b").coalesce("key").emit("pos", 1)
            server.of("/").coalesce("key").emit("other", 2)
            if leaves:
                peer.send("41/b,")
                live.until(lambda sid=sid: not server.has(sid, "/b"))  # type: ignore[misc]
            else:
                server.disconnect(sid, "/b")
            server.emit("end", to=peer.sid)
            got: list[str] = []
            while "other" not in got:
                text = peer.text()
                got += [word for word in ("pos", "41", "other") if word in text[:20]]
            assert got == [*expected, "other"]
        peer.leave()


def test_a_volatile_question_is_not_asked_of_who_is_not_ready(
    runtime: Runtime, server: Server
) -> None:
    """With a callback and with call(): it is dropped as any other."""
    server.on("block", lambda sid: None)
    with plain(runtime, server) as live:
        peer = Peer(live)
        stuff(server, peer.sid)
        result = server.emit("pos", 1, to=peer.sid, volatile=True, callback=print)
        assert (result.matched, result.queued) == (1, 0)
        assert server.of("/").volatile.timeout(WAIT_S).call("pos") == {}
        while not peer.text().startswith('42["block"'):
            pass
        peer.close()


def test_questions_and_keys_do_not_go_together(server: Server) -> None:
    """A question that another takes the place of would never be answered."""
    with pytest.raises(TypeError, match=r"coalesce.*callback="):
        server.of("/").coalesce("key").emit("pos", callback=print)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda of: of.coalesce(["x"]), r"coalesce\(\).*\['x'\]"),
        (lambda of: of.to({"a": 1}), r"to\(\).*\{'a': 1\}"),
        (lambda of: of.except_([["a"]]), r"to\(\).*\['a'\]"),
        (lambda of: of.server.emit("x", to=[{}]), r"to=.*\{\}"),
        (lambda of: of.server.emit("x", skip_sid=[[]]), r"skip_sid=.*\[\]"),
    ],
)
def test_rooms_and_keys_must_be_hashable(
    server: Server, call: Callable[[ServerNamespace], object], named: str
) -> None:
    """It is said in the call, and nobody else loses a packet over it."""
    with pytest.raises(TypeError, match=named):
        call(server.of("/"))
