"""One client's events run in order, one at a time; clients and marked events overlap."""

from __future__ import annotations

import logging
import re

import pytest

from flask_sio import Server
from flask_sio.server import mailbox
from tests.live import Runtime, plain
from tests.server.clients import Gate, Log, Peer, Poller


def test_events_of_one_client_run_in_order_one_at_a_time(runtime: Runtime) -> None:
    """No handler of a client begins before the one of its event before has ended."""
    server = Server()
    log = Log()

    @server.on("work")
    def work(sid: str, number: int) -> None:
        log.add(("begin", number))
        server.sleep(0)
        log.add(("end", number))

    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send(*(f'42["work",{number}]' for number in range(50)))
        expected = [(what, number) for number in range(50) for what in ("begin", "end")]
        assert log.wait(100) == expected
        peer.close()


def test_different_events_of_one_client_keep_their_order_too(runtime: Runtime) -> None:
    """The order is the client's, not the event's: a fast event waits for a slow one."""
    server = Server()
    gate, log = Gate(server), Log()

    @server.on("slow")
    def slow(sid: str) -> None:
        gate.wait()
        log.add("slow")

    @server.on("fast")
    def fast(sid: str) -> None:
        log.add("fast")

    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('42["slow"]', '42["fast"]')
        gate.arrived()
        peer.sync()
        assert log.entries == []
        gate.open()
        assert log.wait(2) == ["slow", "fast"]
        peer.close()


def test_events_of_different_namespaces_of_one_client_keep_their_order(runtime: Runtime) -> None:
    """A client has one mailbox for all its namespaces."""
    server = Server(namespaces=["/", "/chat"])
    gate, log = Gate(server), Log()

    @server.on("slow")
    def slow(sid: str) -> None:
        gate.wait()
        log.add("slow")

    @server.on("fast", namespace="/chat")
    def fast(sid: str) -> None:
        log.add("fast")

    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.join("40/chat,")
        peer.send('42["slow"]', '42/chat,["fast"]')
        gate.arrived()
        peer.sync()
        assert log.entries == []
        gate.open()
        assert log.wait(2) == ["slow", "fast"]
        peer.close()


def test_a_post_of_many_events_is_handled_in_its_order(runtime: Runtime) -> None:
    """The packets of one polling payload are handled in the order they stand in."""
    server = Server()
    log = Log()
    server.on("work", lambda sid, number: log.add(number))
    with plain(runtime, server) as live:
        poller = Poller(live)
        poller.post(*(f'42["work",{number}]' for number in range(40)))
        assert log.wait(40) == list(range(40))
        poller.leave()


def test_clients_are_served_at_the_same_time(runtime: Runtime) -> None:
    """The handler of one client does not keep another client's from running."""
    server = Server()
    gate = Gate(server)
    server.on("wait", lambda sid: gate.wait())
    with plain(runtime, server) as live:
        peers = [Peer(live) for _ in range(5)]
        for peer in peers:
            peer.send('420["wait"]')
        gate.arrived(5)
        gate.open()
        for peer in peers:
            assert peer.text() == "430[]"
            peer.close()


def test_an_event_marked_concurrent_overlaps_with_itself(runtime: Runtime) -> None:
    """``concurrent=True`` lets handlers of one client run at once."""
    server = Server()
    gate = Gate(server)
    server.on("wait", lambda sid: gate.wait(), concurrent=True)
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('420["wait"]', '421["wait"]', '422["wait"]')
        gate.arrived(3)
        gate.open()
        assert sorted(peer.text() for _ in range(3)) == ["430[]", "431[]", "432[]"]
        peer.close()


@pytest.mark.parametrize("marked", ["start", "stop"])
def test_a_loop_can_be_stopped_if_either_event_is_concurrent(runtime: Runtime, marked: str) -> None:
    """The pattern "start loops, stop clears the flag" works with one of them marked."""
    server = Server()
    gate = Gate(server)

    def start(sid: str) -> str:
        gate.wait()
        return "stopped"

    server.on("start", start, concurrent=marked == "start")
    server.on("stop", lambda sid: gate.open(), concurrent=marked == "stop")
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('420["start"]')
        gate.arrived()
        peer.send('421["stop"]')
        assert sorted([peer.text(), peer.text()]) == ['430["stopped"]', "431[]"]
        peer.close()


def test_a_concurrent_event_waits_for_the_connect_handler(runtime: Runtime) -> None:
    """An event that comes before acceptance is not handled before it, marked or not."""
    server = Server()
    gate, log = Gate(server), Log()

    @server.on("connect")
    def connect(sid: str, environ: object) -> None:
        gate.wait()
        log.add("connect")

    server.on("event", lambda sid: log.add("event"), concurrent=True)
    with plain(runtime, server) as live:
        peer = Peer(live, join=None)
        peer.send("40", '42["event"]')
        gate.arrived()
        peer.sync()
        assert log.entries == []
        gate.open()
        assert log.wait(2) == ["connect", "event"]
        peer.close()


def test_async_handlers_runs_all_events_of_a_client_at_once(runtime: Runtime) -> None:
    """``async_handlers=True`` is Flask-SocketIO's concurrency."""
    server = Server(async_handlers=True)
    gate = Gate(server)
    server.on("wait", lambda sid: gate.wait())
    server.on("open", lambda sid: gate.open())
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('420["wait"]', '421["wait"]', '422["open"]')
        assert sorted(peer.text() for _ in range(3)) == ["430[]", "431[]", "432[]"]
        peer.close()


def test_an_event_can_stay_in_order_under_async_handlers(runtime: Runtime) -> None:
    """``concurrent=False`` takes one event out of ``async_handlers=True``."""
    server = Server(async_handlers=True)
    gate, log = Gate(server), Log()

    def work(sid: str, number: int) -> None:
        gate.wait()
        log.add(number)

    server.on("work", work, concurrent=False)
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('42["work",1]', '42["work",2]', '42["work",3]')
        gate.arrived()
        peer.sync()
        assert gate.nobody_arrived()
        gate.open()
        assert log.wait(3) == [1, 2, 3]
        peer.close()


def test_concurrent_handlers_of_one_client_are_bounded(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over the bound they wait, in order, and all run in the end."""
    monkeypatch.setattr(mailbox, "MAX_CONCURRENT", 3)
    server = Server(async_handlers=True)
    gate, log = Gate(server), Log()

    def work(sid: str, number: int) -> None:
        log.add(number)
        gate.wait()

    server.on("work", work)
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send(*(f'42["work",{number}]' for number in range(8)))
        gate.arrived(3)
        peer.sync()
        assert sorted(log.entries) == [0, 1, 2]
        gate.open()
        assert sorted(log.wait(8)) == list(range(8))
        peer.close()


def test_an_event_that_waits_too_long_is_logged_once_with_both_names(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The author of a start/stop pair learns from one line what waits behind what."""
    monkeypatch.setattr(mailbox, "SLOW_S", 0.05)
    server = Server()
    gate = Gate(server)
    server.on("begin", lambda sid: None)
    server.on("start", lambda sid: gate.wait())
    server.on("stop", lambda sid: None)
    with caplog.at_level(logging.WARNING, "flask_sio"), plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('42["start"]', '420["stop"]')
        gate.arrived()
        live.until(lambda: _slow_lines(caplog))
        another = Peer(live)
        another.send('42["start"]', '420["stop"]')
        gate.arrived()
        gate.open()
        assert (peer.text(), another.text()) == ("430[]", "430[]")
        peer.close()
        another.close()
    (line,) = _slow_lines(caplog)
    assert re.search(r"'stop'.*'start'.*concurrent=True", line)


def test_the_handler_to_blame_may_begin_after_the_event_that_waits(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An event that came while an earlier handler ran is told of as well."""
    monkeypatch.setattr(mailbox, "SLOW_S", 0.3)
    server = Server()
    first, gate = Gate(server), Gate(server)
    server.on("first", lambda sid: first.wait())
    server.on("start", lambda sid: gate.wait())
    server.on("stop", lambda sid: None)
    with caplog.at_level(logging.WARNING, "flask_sio"), plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('42["first"]')
        first.arrived()
        peer.send('42["start"]', '420["stop"]')
        peer.sync()
        first.open()
        gate.arrived()
        live.until(lambda: _slow_lines(caplog))
        gate.open()
        assert peer.text() == "430[]"
        peer.close()
    assert re.search("'stop'.*'start'|'start'.*'first'", _slow_lines(caplog)[0])


def _slow_lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [line for line in caplog.messages if "waits behind" in line]
