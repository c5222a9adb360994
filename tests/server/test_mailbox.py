"""What happens to events that come faster than their handlers take them."""

from __future__ import annotations

import logging

import pytest

from flask_sio import Server
from tests.live import Runtime, plain
from tests.server.clients import Gate, Log, Peer, Poller

BLOCKED = '42["block"]'


def _server(gate_of: dict[str, Gate], log: Log, **options: object) -> Server:
    """Return a server whose ``block`` waits at a gate and whose ``work`` is noted."""
    server = Server(**options)
    gate_of["block"] = Gate(server)

    @server.on("block")
    def block(sid: str) -> None:
        gate_of["block"].wait()

    @server.on("work")
    def work(sid: str, number: int, *more: object) -> int:
        log.add(number)
        return number

    server.on("disconnect", lambda sid, reason: log.add(reason))
    return server


def test_close_ends_the_client_and_says_so_once(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    """By default; what was queued before is still handled."""
    gates: dict[str, Gate] = {}
    log = Log()
    server = _server(gates, log, max_mailbox_events=5)
    with caplog.at_level(logging.WARNING, "flask_sio"), plain(runtime, server) as live:
        for _ in range(2):
            peer = Peer(live)
            peer.send(BLOCKED)
            gates["block"].arrived()
            peer.send(*(f'42["work",{number}]' for number in range(7)))
            assert peer.rest() == []
        gates["block"].open()
        assert sorted(log.wait(12), key=str) == [
            *sorted([0, 1, 2, 3, 4] * 2),
            *["server disconnect"] * 2,
        ]
        live.until(lambda: any("max_mailbox_events=5" in line for line in caplog.messages))
    assert len([line for line in caplog.messages if "max_mailbox_events" in line]) == 1


def test_error_ack_answers_those_that_ask_and_drops_the_others(runtime: Runtime) -> None:
    """The client lives; what fits is handled."""
    gates: dict[str, Gate] = {}
    log = Log()
    server = _server(gates, log, max_mailbox_events=3, mailbox_overflow="error_ack")
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send(BLOCKED)
        gates["block"].arrived()
        peer.send(*(f'42{number}["work",{number}]' for number in range(5)), '42["work",5]')
        assert peer.text() == '433[{"error":"too many events"}]'
        assert peer.text() == '434[{"error":"too many events"}]'
        gates["block"].open()
        assert [peer.text() for _ in range(3)] == ["430[0]", "431[1]", "432[2]"]
        assert peer.sync() == []
        assert log.entries == [0, 1, 2]
        peer.close()


def test_drop_forgets_what_does_not_fit(runtime: Runtime) -> None:
    """Without a word to the client; it lives, and later events are handled."""
    gates: dict[str, Gate] = {}
    log = Log()
    server = _server(gates, log, max_mailbox_events=3, mailbox_overflow="drop")
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send(BLOCKED)
        gates["block"].arrived()
        peer.send(*(f'42{number}["work",{number}]' for number in range(6)))
        assert peer.sync() == []
        gates["block"].open()
        assert [peer.text() for _ in range(3)] == ["430[0]", "431[1]", "432[2]"]
        peer.send('429["work",9]')
        assert peer.text() == "439[9]"
        peer.close()


def test_bytes_count_too(runtime: Runtime) -> None:
    """``max_mailbox_bytes`` bounds what waits, attachments included; one event always fits."""
    gates: dict[str, Gate] = {}
    log = Log()
    server = _server(gates, log, max_mailbox_bytes=1000, mailbox_overflow="drop")
    big = b"x" * 2000
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send(BLOCKED)
        gates["block"].arrived()
        peer.send('451-["work",1,{"_placeholder":true,"num":0}]', big)
        peer.send('451-["work",2,{"_placeholder":true,"num":0}]', big)
        peer.send('42["work",3,"' + "y" * 900 + '"]')
        peer.sync()
        gates["block"].open()
        assert log.wait(1) == [1]
        peer.send('420["work",4]')
        assert peer.text() == "430[4]"
        assert log.entries == [1, 4]
        peer.close()


def test_a_full_mailbox_is_another_clients_business(runtime: Runtime) -> None:
    """The bound is each client's own."""
    gates: dict[str, Gate] = {}
    log = Log()
    server = _server(gates, log, max_mailbox_events=2, mailbox_overflow="drop")
    with plain(runtime, server) as live:
        flooder, calm = Peer(live), Peer(live)
        flooder.send(BLOCKED, *(f'42["work",{number}]' for number in range(50)))
        gates["block"].arrived()
        flooder.sync()
        calm.send('420["work",99]')
        assert calm.text() == "430[99]"
        gates["block"].open()
        flooder.close()
        calm.close()


def test_a_full_mailbox_never_loses_the_disconnect_handler(runtime: Runtime) -> None:
    """It has its place whatever the policy."""
    gates: dict[str, Gate] = {}
    log = Log()
    server = _server(gates, log, max_mailbox_events=1, mailbox_overflow="drop")
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send(BLOCKED)
        gates["block"].arrived()
        peer.send('42["work",1]', '42["work",2]', "41")
        peer.sync()
        gates["block"].open()
        assert log.wait(2) == [1, "client disconnect"]
        peer.close()


def test_a_post_over_the_bound_closes_a_polling_client(runtime: Runtime) -> None:
    """Its next poll brings the close packet."""
    gates: dict[str, Gate] = {}
    log = Log()
    server = _server(gates, log, max_mailbox_events=2)
    with plain(runtime, server) as live:
        poller = Poller(live)
        poller.post(BLOCKED)
        gates["block"].arrived()
        poller.post(*(f'42["work",{number}]' for number in range(3)))
        assert poller.get()[-1] == "1"
        gates["block"].open()
        assert log.wait(3) == [0, 1, "server disconnect"]


def test_events_nobody_handles_take_no_place(runtime: Runtime) -> None:
    """A flood of unknown events fills no mailbox."""
    gates: dict[str, Gate] = {}
    log = Log()
    server = _server(gates, log, max_mailbox_events=1)
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send(BLOCKED)
        gates["block"].arrived()
        peer.send(*['42["unknown"]'] * 100, '420["work",1]')
        assert peer.sync() == []
        gates["block"].open()
        assert peer.text() == "430[1]"
        peer.close()
