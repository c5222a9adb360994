"""Listeners of every event that comes in, and of every one that goes out."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from flask_sio import Server
from flask_sio.server import telling
from flask_sio.testing import TestClient
from tests.live import Runtime, plain
from tests.server.clients import Log, Peer, Poller


def server_of(**options: Any) -> Server:
    return Server(async_mode="threading", **options)


# -- incoming ----------------------------------------------------------------------------


def test_on_any_sees_every_event_before_its_handler() -> None:
    """Handled or not, by a function, a class or "*"; no connect and no disconnect."""
    server, log = server_of(), Log()

    @server.on_any
    def first(event: str, sid: str, *args: Any) -> None:
        log.add((event, *args))

    server.on("known", lambda sid, *args: log.add("handled") or "result")
    server.on("connect", lambda sid, environ: None)
    with TestClient(server) as client:
        assert client.emit("known", 1, {"a": b"x"}, callback=True) == "result"
        assert client.emit("unknown", callback=True) is None
    assert log.entries == [("known", 1, {"a": b"x"}), "handled", ("unknown",)]


def test_on_any_of_one_and_of_all_namespaces() -> None:
    """One for all gets the namespace's name after the event's."""
    server, log = server_of(namespaces=["/", "/x"]), Log()

    @server.on_any(namespace="/x")
    def own(event: str, sid: str) -> None:
        log.add(("own", event))

    @server.on_any(namespace="*")
    def every(event: str, namespace: str, sid: str) -> None:
        log.add(("all", namespace, event))

    with TestClient(server) as client:
        client.connect("/x")
        client.emit("a")
        client.emit("b", namespace="/x")
    assert log.entries == [("all", "/", "a"), ("all", "/x", "b"), ("own", "b")]


def test_order_and_removal_of_listeners() -> None:
    """prepend_any comes first; off_any takes one away, or all of a namespace."""
    server, log = server_of(), Log()

    def one(event: str, sid: str) -> None:
        log.add(1)

    def two(event: str, sid: str) -> None:
        log.add(2)

    assert server.listeners_any() == []
    server.on_any(one)
    server.on_any(one)
    server.prepend_any(two)
    server.on_any(two, namespace="/x")
    assert server.listeners_any() == [two, one, one]
    with TestClient(server) as client:
        client.emit("a")
        server.off_any(one)
        assert server.listeners_any() == [two, one]
        client.emit("a")
        server.off_any()
        server.off_any(one)
        client.emit("a")
    assert (server.listeners_any(), server.listeners_any("/x")) == ([], [two])
    assert log.entries == [2, 1, 1, 2, 1]
    server.off_any(namespace="/x")
    assert server.handlers.middleware.watches_events is False


def test_a_failing_listener_is_logged_and_harms_nobody(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    """Other listeners and the handler run, and the ack is the handler's."""
    server, log = Server(), Log()

    @server.on_any
    def fail(event: str, sid: str) -> None:
        raise LookupError("of no use")

    server.on_any(lambda event, sid: log.add("second"))
    server.on("go", lambda sid: "result")
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('420["go"]')
        assert peer.text() == '430["result"]'
        peer.leave()
    assert log.entries == ["second"]
    assert "LookupError: of no use" in caplog.text


def test_a_once_handler_that_a_listener_sees_is_spent() -> None:
    """Its second event is seen by the listener only."""
    server, log = server_of(), Log()
    server.on_any(lambda event, sid: log.add("seen"))
    server.once("go", lambda sid: log.add("handled"))
    with TestClient(server) as client:
        client.emit("go")
        client.emit("go")
    assert log.entries == ["seen", "handled", "seen"]


# -- outgoing ----------------------------------------------------------------------------


def test_on_any_outgoing_sees_what_each_client_is_sent(runtime: Runtime) -> None:
    """Per recipient, as it gets it, in order: rooms, everybody, calls, binary data."""
    server, log = Server(), Log()
    server.on("connect", lambda sid, environ: server.enter_room(sid, "room"))

    @server.on_any_outgoing
    def sent(event: str, sid: str, *args: Any) -> None:
        log.add((sid, event, args))

    with plain(runtime, server) as live:
        peer, poller = Peer(live), Poller(live)
        server.emit("all", ({"a": (1, 2)}, b"\x00"))
        server.emit("one", to=peer.sid)
        server.emit("room", "x", to="room", skip_sid=peer.sid)
        server.emit("asks", to=poller.sid, callback=lambda *args: None)
        assert log.wait(5) == [
            (peer.sid, "all", ({"a": [1, 2]}, b"\x00")),
            (poller.sid, "all", ({"a": [1, 2]}, b"\x00")),
            (peer.sid, "one", ()),
            (poller.sid, "room", ("x",)),
            (poller.sid, "asks", ()),
        ]
        peer.leave()
        poller.leave()
    assert len(log.entries) == 5  # no acks, connects and disconnects


def test_on_any_outgoing_of_namespaces_and_its_end() -> None:
    """Registered before or after clients are there; one of all namespaces learns which."""
    server, log = server_of(namespaces=["/", "/x"]), Log()

    def own(event: str, sid: str, *args: Any) -> None:
        log.add(event)

    def every(event: str, namespace: str, sid: str, *args: Any) -> None:
        log.add((namespace, event))

    with TestClient(server) as client:
        client.connect("/x")
        server.on("go", lambda sid: server.emit("sent"))
        server.on("go", lambda sid: server.emit("sent", namespace="/x"), namespace="/x")
        client.emit("go")
        server.on_any_outgoing(own)
        client.emit("go")
        client.emit("go", namespace="/x")
        assert log.entries == ["sent"]
        server.prepend_any_outgoing(every, namespace="*")
        assert server.listeners_any_outgoing("*") == [every]
        client.emit("go")
        client.emit("go", namespace="/x")
        assert log.entries[1:] == [("/", "sent"), "sent", ("/x", "sent")]
        server.off_any_outgoing(own)
        server.off_any_outgoing(every, "*")
        client.emit("go")
        assert len(log.entries) == 4
        assert all(space.outgoing is None for space in server.spaces.values())


def test_a_test_waits_for_outgoing_listeners_and_gets_their_failures() -> None:
    """`TestClient.emit` returns after they have run."""
    server, log = server_of(), Log()
    started = threading.Event()

    @server.on_any_outgoing
    def listen(event: str, sid: str) -> None:
        started.wait(0.05)
        log.add(event)
        if event == "bad":
            raise LookupError("of no use")

    server.on("go", lambda sid, name: server.emit(name))
    with TestClient(server) as client:
        client.emit("go", "good")
        assert log.entries == ["good"]
        with pytest.raises(LookupError, match="of no use"):
            client.emit("go", "bad")


def test_outgoing_listeners_are_bounded(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Over the bound they miss some, the log says so, and clients miss nothing."""
    monkeypatch.setattr(telling, "MAX_WAITING", 3)
    server, log = Server(), Log()
    server.on_any_outgoing(lambda event, sid, number: log.add(number))
    with plain(runtime, server) as live:
        peer = Peer(live)

        def flood() -> None:  # in one turn: no listener runs meanwhile
            for number in range(5):
                server.emit("x", number)

        server.engine.loop.call(flood)
        assert [peer.text() for _ in range(5)] == [f'42["x",{number}]' for number in range(5)]
        assert log.wait(3) == [0, 1, 2]
        server.emit("x", 9)
        assert log.wait(4)[3] == 9
        peer.leave()
    assert "beyond 3 waiting they miss some (said once)" in caplog.text


def test_without_a_listener_nothing_is_kept() -> None:
    """Neither a runner nor anything per namespace exists."""
    server = server_of()
    with TestClient(server):
        assert server.outgoing is None
        assert [space.outgoing for space in server.spaces.values()] == [None]
