"""Many emitters at once, on one socket and on many, with attachments."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable

import pytest

from flask_sio import Server
from tests.live import Live, Runtime, plain
from tests.server.clients import Log, Peer, Poller, in_threads

EMITTERS = 8
EMITS = 200


def _work(server: Server, sid: str | None) -> Callable[[int], None]:
    def emit(emitter: int) -> None:
        for number in range(EMITS):
            payload = bytes([emitter, number]) * (1 + number % 50)
            server.emit("data", (emitter, number, payload), to=sid)

    return emit


def _check(header: str, attachment: bytes, seen: list[list[int]]) -> None:
    assert header.startswith('451-["data",')
    name, emitter, number, place = json.loads(header[4:])
    assert (name, place) == ("data", {"_placeholder": True, "num": 0})
    assert attachment == bytes([emitter, number]) * (1 + number % 50)
    seen[emitter].append(number)


def _read(peer: Peer) -> list[list[int]]:
    """Return the numbers by emitter; each header must be followed by its own attachment."""
    seen: list[list[int]] = [[] for _ in range(EMITTERS)]
    for _ in range(EMITTERS * EMITS):
        _check(peer.text(), peer.binary(), seen)
    return seen


def _poll(poller: Poller) -> list[list[int]]:
    seen: list[list[int]] = [[] for _ in range(EMITTERS)]
    packets: list[str] = []
    for _ in range(EMITTERS * EMITS):
        while len(packets) < 2:
            packets += poller.get()
        header, attachment, *packets = packets
        assert attachment.startswith("b")
        _check(header, base64.b64decode(attachment[1:]), seen)
    return seen


IN_ORDER = [list(range(EMITS)) for _ in range(EMITTERS)]


def test_os_threads_on_one_websocket(runtime: Runtime) -> None:
    """Nothing comes between a header and its attachment; each thread's order is kept."""
    server = Server()
    with plain(runtime, server) as live:
        peer = Peer(live)
        emitters = threading.Thread(target=in_threads, args=(EMITTERS, _work(server, peer.sid)))
        emitters.start()
        assert _read(peer) == IN_ORDER
        emitters.join()
        peer.close()


def test_background_tasks_on_one_websocket(runtime: Runtime) -> None:
    """The same from greenlets, or threads, that the server has started, which yield."""
    server = Server()

    def emit(sid: str, emitter: int) -> None:
        for number in range(EMITS):
            payload = bytes([emitter, number]) * (1 + number % 50)
            server.emit("data", (emitter, number, payload), to=sid)
            if number % 10 == emitter:
                server.sleep(0)

    @server.on("begin")
    def begin(sid: str) -> None:
        for emitter in range(EMITTERS):
            server.start_background_task(emit, sid, emitter)

    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('42["begin"]')
        assert _read(peer) == IN_ORDER
        peer.close()


def test_threads_and_tasks_together(runtime: Runtime) -> None:
    """Half of the emitters are foreign threads, half run inside."""
    server = Server()

    @server.on("begin")
    def begin(sid: str) -> None:
        for emitter in range(0, EMITTERS, 2):
            server.start_background_task(_work(server, sid), emitter)

    with plain(runtime, server) as live:
        peer = Peer(live)
        foreign = _work(server, peer.sid)
        emitters = threading.Thread(
            target=in_threads, args=(EMITTERS // 2, lambda n: foreign(2 * n + 1))
        )
        peer.send('42["begin"]')
        emitters.start()
        assert _read(peer) == IN_ORDER
        emitters.join()
        peer.close()


def test_a_broadcast_reaches_both_transports_whole(runtime: Runtime) -> None:
    """WebSockets get bytes, polls base64, of the same emits, in the same order each."""
    server = Server()
    with plain(runtime, server) as live:
        peers = [Peer(live) for _ in range(2)]
        poller = Poller(live)
        results = Log()
        readers = [
            *(threading.Thread(target=lambda p=peer: results.add(_read(p))) for peer in peers),
            threading.Thread(target=lambda: results.add(_poll(poller))),
        ]
        for reader in readers:
            reader.start()
        in_threads(EMITTERS, _work(server, None))
        assert results.wait(3) == [IN_ORDER] * 3
        for reader in readers:
            reader.join()
        for peer in peers:
            peer.close()
        poller.leave()


def test_emitters_beside_clients_that_come_and_go(runtime: Runtime) -> None:
    """Broadcasts from threads while clients connect and leave break nothing for one that stays."""
    server = Server()
    with plain(runtime, server) as live:
        stays = Peer(live)
        done = threading.Event()

        def come_and_go(_: int) -> None:
            while not done.is_set():
                Peer(live).close()

        visitors = threading.Thread(target=in_threads, args=(2, come_and_go))
        visitors.start()
        emitters = threading.Thread(target=in_threads, args=(EMITTERS, _work(server, None)))
        emitters.start()
        try:
            assert _read(stays) == IN_ORDER
        finally:
            done.set()
            emitters.join()
            visitors.join()
        stays.close()


# -- slow readers --------------------------------------------------------------------------


def test_a_slow_reader_is_closed_while_others_get_everything(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    """Over ``max_outbound_bytes``; its memory is free at once, and a line says why."""
    server = Server(max_outbound_bytes=200_000)
    left = Log()
    server.on("disconnect", lambda sid, reason: left.add((sid, reason)))
    with caplog.at_level("INFO", "flask_sio"), plain(runtime, server) as live:
        slow, quick = Peer(live), Peer(live)
        chunk = "x" * 100_000
        for number in range(300):  # far more than a kernel keeps for one socket
            server.emit("data", (number, chunk))
            text = quick.text()
            assert text.startswith(f'42["data",{number},"xxx')
            assert len(text) > len(chunk)
        assert left.wait(1) == [(slow.sid, "transport error")]
        assert server.rooms(quick.sid) == [quick.sid]
        slow.close()
        quick.close()
        live.until(lambda: any("max_outbound_bytes=200000" in line for line in caplog.messages))


def test_a_client_that_does_not_poll_is_closed_too(runtime: Runtime) -> None:
    """Over ``max_outbound_packets``."""
    server = Server(max_outbound_packets=10)
    left = Log()
    server.on("disconnect", lambda sid, reason: left.add((sid, reason)))
    with plain(runtime, server) as live:
        slow, quick = Poller(live), Peer(live)
        for number in range(11):
            server.emit("data", number)
        for number in range(11):
            assert quick.text() == f'42["data",{number}]'
        assert left.wait(1) == [(slow.sid, "transport error")]
        quick.close()


def test_drop_keeps_the_client_and_what_fits(runtime: Runtime) -> None:
    """``slow_client='drop'``: the newest go, whole packets only, and the client lives."""
    server = Server(max_outbound_packets=5, slow_client="drop")
    with plain(runtime, server) as live:
        poller = Poller(live)
        for number in range(20):
            server.emit("data", (number, b"\x00"))
        packets = poller.get()
        assert packets == [
            part
            for number in range(5)
            for part in (f'451-["data",{number},{{"_placeholder":true,"num":0}}]', "bAA==")
        ]
        server.emit("data", "later")
        assert poller.get() == ['42["data","later"]']
        poller.leave()


def test_drop_on_a_websocket_leaves_whole_messages(runtime: Runtime) -> None:
    """What a slow WebSocket gets in the end are whole packets, oldest first, with gaps."""
    server = Server(max_outbound_bytes=200_000, slow_client="drop")
    with plain(runtime, server) as live:
        slow = Peer(live)
        chunk = b"x" * 100_000
        for number in range(300):
            server.emit("data", (number, chunk))
        live.settle()
        seen = [_number(slow, chunk)]
        while _buffered(live):
            seen.append(_number(slow, chunk))
        server.emit("last")
        while (header := slow.text()) != '42["last"]':
            assert slow.binary() == chunk
            seen.append(json.loads(header[4:])[1])
        assert seen == sorted(set(seen))
        assert 0 < len(seen) < 300
        slow.close()


def _number(peer: Peer, chunk: bytes) -> int:
    header = peer.text()
    assert peer.binary() == chunk
    number: int = json.loads(header[4:])[1]
    return number


def _buffered(live: Live) -> int:
    streams = live.server.engine.streams
    count: int = live.server.engine.loop.call(lambda: sum(s.buffered_bytes for s in streams))
    return count
