"""Listeners that the server tells of things: in order, bounded, whatever they raise."""

from __future__ import annotations

import gevent
import pytest

from flask_sio import Server
from flask_sio.server import telling
from tests.live import Runtime, plain
from tests.server.clients import Gate, Log, Peer, Poller


@pytest.mark.parametrize("kind", ["rooms", "outgoing"])
def test_a_timeout_of_a_listener_stops_no_other(
    runtime: Runtime, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What is no Exception ends one call; those that come after it are made."""
    server, log = Server(), Log()

    def listens(*args: object) -> None:
        log.add(args)
        if len(log.entries) == 1:
            raise gevent.Timeout(1)

    if kind == "rooms":
        server.on_room_event("join", listens)
    else:
        server.on_any_outgoing(listens)
    with plain(runtime, server) as live:
        peer = Peer(live)

        def several() -> None:
            for number in range(3):
                server.enter_room(peer.sid, f"room {number}")
                server.emit("x", number)

        server.engine.loop.call(several)
        assert len(log.wait(3)) == 3
        server.enter_room(peer.sid, "later")
        server.emit("x", "later")
        assert "later" in log.wait(4)[3]
        peer.leave()
    caplog.clear()  # its traceback holds the loop


def test_what_waits_for_listeners_of_rooms_is_bounded(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A slow one misses some, and the log says so once."""
    monkeypatch.setattr(telling, "MAX_WAITING", 3)
    server, log = Server(), Log()
    gate = Gate(server)

    @server.on_room_event("join")
    def joined(namespace: str, room: str, sid: str) -> None:
        gate.wait()
        log.add(room)

    with plain(runtime, server) as live:
        peer = Peer(live)
        server.enter_room(peer.sid, "first")
        gate.arrived()
        for number in range(10):
            server.enter_room(peer.sid, str(number))
        gate.open()
        assert log.wait(4) == ["first", "0", "1", "2"]
        peer.leave()
    assert caplog.text.count("on_room_event listeners are slower") == 1


def test_packets_that_were_dropped_are_not_told_of(runtime: Runtime) -> None:
    """Those for a slow client, by ``slow_client="drop"``."""
    server, log = Server(max_outbound_packets=1, slow_client="drop"), Log()
    server.on_any_outgoing(lambda event, sid: log.add(event))
    with plain(runtime, server) as live:
        poller = Poller(live)
        dropped = [server.emit(event).dropped for event in ("one", "two")]
        assert dropped == [0, 1]
        assert poller.get() == ['42["one"]']
        server.emit("three")
        assert log.wait(2) == ["one", "three"]
        poller.leave()
