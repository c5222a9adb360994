"""disconnecting, and why a client left: one of five strings, and the details."""

from __future__ import annotations

from typing import Any

import pytest

from flask_sio import Namespace, Server
from flask_sio.testing import TestClient
from tests.live import Runtime, plain
from tests.server.clients import Gate, Log, Peer, Poller


def watched(log: Log, **options: Any) -> Server:
    """Return a server that logs the details of each client that leaves."""
    server = Server(**options)

    @server.on("disconnect")
    def disconnect(sid: str, reason: str, details: Any) -> None:
        log.add((reason, *details))

    return server


def test_disconnecting_comes_before_disconnect(runtime: Runtime) -> None:
    """Both know the reason, and the rooms of the client."""
    server, log = Server(), Log()

    @server.on("connect")
    def connect(sid: str, environ: Any) -> None:
        server.enter_room(sid, "room")

    @server.on("disconnecting")
    def leaving(sid: str, reason: str) -> None:
        log.add(("disconnecting", reason, server.rooms(sid)[1:]))

    @server.on("disconnect")
    def left(sid: str, reason: str) -> None:
        log.add(("disconnect", reason, server.rooms(sid)[1:]))

    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send("41")
        assert log.wait(2) == [
            ("disconnecting", "client disconnect", ["room"]),
            ("disconnect", "client disconnect", ["room"]),
        ]
        peer.leave()


def test_disconnecting_alone(runtime: Runtime) -> None:
    """It runs without a disconnect handler, once, also when it is a class's method."""
    server, log = Server(), Log()

    class Chat(Namespace):
        def on_disconnecting(self, sid: str, reason: str, details: Any) -> None:
            log.add(("method", details.reason))

    server.on("disconnecting", lambda sid: log.add("function"))
    server.register_namespace(Chat("/chat"))
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.join("40/chat,")
        peer.send("41", "41/chat,")
        assert log.wait(2) == ["function", ("method", "client namespace disconnect")]
        peer.leave()
    assert len(log.entries) == 2


def test_a_failing_disconnecting_handler_keeps_nothing_from_happening(runtime: Runtime) -> None:
    """The disconnect handler runs, and the client is gone."""
    server, log = Server(), Log()

    @server.on("disconnecting")
    def fail(sid: str) -> None:
        raise LookupError("of no use")

    server.on("disconnect", lambda sid: log.add("left"))
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send("41")
        log.wait(1)
        peer.leave()


def test_no_client_can_send_it(runtime: Runtime) -> None:
    """``disconnecting`` is a name of the protocol's own: such an event ends the connection."""
    server, log = Server(), Log()
    server.on("disconnecting", lambda sid, reason: log.add(reason))
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('42["disconnecting","mine"]')
        peer.rest()
        assert log.wait(1) == ["server disconnect"]


CLOSES: list[tuple[str, tuple[str, str, str]]] = [
    ("41", ("client disconnect", "client namespace disconnect", "")),
    ("1", ("transport close", "transport close", "close packet")),
    ("9", ("transport error", "parse error", "")),
    ("42nonsense", ("server disconnect", "forced close", "no Socket.IO packet")),
    ("40", ("server disconnect", "forced server close", "a second CONNECT")),
    (
        '42/x,["a"]',
        (
            "server disconnect",
            "forced server close",
            "a packet for a namespace it never asked for",
        ),
    ),
]


@pytest.mark.parametrize(("packet", "told"), CLOSES, ids=[each for each, _ in CLOSES])
def test_details(runtime: Runtime, packet: str, told: tuple[str, str, str]) -> None:
    """A handler that has a parameter ``details`` is told the protocol's reason."""
    log = Log()
    with plain(runtime, watched(log)) as live:
        peer = Peer(live)
        peer.send(packet)
        assert log.wait(1) == [told]
        peer.rest() if packet != "41" else peer.leave()


def test_details_of_a_websocket_that_is_closed(runtime: Runtime) -> None:
    """The close code, or that there was no close frame."""
    log = Log()
    with plain(runtime, watched(log)) as live:
        Peer(live).leave()
        assert log.wait(1) == [("transport close", "transport close", "close code 1000")]
        Peer(live).close()
        assert log.wait(2)[1] == ("transport close", "transport close", "no close frame")


def test_details_of_what_the_server_does(runtime: Runtime) -> None:
    """disconnect(), a mailbox that overflows, a shutdown."""
    log = Log()
    server = watched(log, max_mailbox_events=1)
    gate = Gate(server)
    server.on("wait", lambda sid: gate.wait())
    with plain(runtime, server) as live:
        peer = Peer(live)
        server.disconnect(peer.sid)
        assert log.wait(1) == [("server disconnect", "server namespace disconnect", "")]
        peer.leave()
        peer = Peer(live)
        peer.send('42["wait"]')
        gate.arrived()
        peer.send('42["wait"]', '42["wait"]')
        peer.rest()
        gate.open()
        assert log.wait(2)[1] == (
            "server disconnect",
            "forced server close",
            "more events than its handlers take",
        )
        Poller(live)
    assert log.wait(3)[2] == ("server disconnect", "server shutting down", "")


def test_the_reason_itself_knows_the_details() -> None:
    """It is a string equal to one of the five, for those that compare it."""
    server, log = Server(async_mode="threading"), Log()
    server.on("disconnect", lambda sid, reason: log.add(reason))
    TestClient(server).disconnect()
    reason = log.entries[0]
    assert reason == server.reason.CLIENT_DISCONNECT
    assert isinstance(reason, str)
    assert reason.details == ("client namespace disconnect", "")


def test_who_asks_for_details_is_read_from_the_signature() -> None:
    """By the parameter's name; a third one of another name, or any number, gets none."""
    server, log = Server(async_mode="threading"), Log()

    def only(sid: str, *, details: Any) -> None:
        log.add(("only", details.reason))

    def third(sid: str, reason: str, database: str = "mine") -> None:
        log.add(("third", database))

    def anything(*args: Any) -> None:
        log.add(("anything", len(args)))

    for handler in (only, third, anything):
        server.on("disconnect", handler, add=True)
    TestClient(server).disconnect()
    assert log.entries == [
        ("only", "client namespace disconnect"),
        ("third", "mine"),
        ("anything", 2),
    ]
    with pytest.raises(TypeError, match=r"takes \(sid\[, reason\]\[, details\]\)"):
        server.on("disconnect", lambda sid, reason, other: None)


def test_details_through_a_classes_own_trigger_event() -> None:
    """`Namespace.trigger_event` hands them to a method that asks."""
    log = Log()

    class Chat(Namespace):
        def trigger_event(self, event: str, *args: Any) -> Any:
            log.add(event)
            return super().trigger_event(event, *args)

        def on_disconnect(self, sid: str, reason: str, details: Any) -> None:
            log.add(details.reason)

    server = Server(async_mode="threading")
    server.register_namespace(Chat("/"))
    TestClient(server).disconnect()
    assert log.entries[-2:] == ["disconnect", "client namespace disconnect"]


@pytest.mark.parametrize("knows", [False, True])
def test_a_classes_own_trigger_event_is_not_surprised(knows: bool) -> None:
    """It sees ``disconnecting`` only where the class has a method for it."""
    log = Log()

    class Watching(Namespace):
        def trigger_event(self, event: str, *args: Any) -> Any:
            log.add(event)

    class Knowing(Watching):
        def on_disconnecting(self, sid: str) -> None: ...

    server = Server()
    server.register_namespace((Knowing if knows else Watching)())
    with plain("threading", server) as live:
        Peer(live).leave()
        log.wait(3 if knows else 2)
    assert log.entries == ["connect", *["disconnecting"] * knows, "disconnect"]
