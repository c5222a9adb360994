"""How many events a client may send, and what is said of those beyond."""

from __future__ import annotations

import re
from typing import Any

import pytest

from flask_sio import ConfigError, Server
from flask_sio.server.rates import EventRate
from flask_sio.testing import TestClient
from tests.live import Runtime, plain
from tests.server.clients import Log, Peer

SLOW = 0.001
"""Events a second: what was sent at once is the whole burst of a test, however slow it is."""


def _client() -> Any:
    return object()


def test_a_burst_then_so_many_a_second() -> None:
    """The bucket fills at the rate, to its size and not beyond."""
    rate, client = EventRate(per_s=2, burst=3), _client()
    assert [rate.admits(client, 10.0) for _ in range(5)] == [True, True, True, False, False]
    assert [rate.admits(client, 10.5) for _ in range(2)] == [True, False]
    assert [rate.admits(client, 11.5) for _ in range(3)] == [True, True, False]
    assert [rate.admits(client, 99.0) for _ in range(4)] == [True, True, True, False]


def test_each_client_has_its_own() -> None:
    """One that is forgotten begins anew."""
    rate, one, other = EventRate(1, 1), _client(), _client()
    assert (rate.admits(one, 0), rate.admits(one, 0), rate.admits(other, 0)) == (True, False, True)
    rate.forget(one)
    assert rate.admits(one, 0)
    rate.forget(one)
    rate.forget(other)
    assert rate._full_at == {}


@pytest.mark.parametrize(("per_s", "size"), [(10, 20), (0.3, 1), (1.2, 3)])
def test_the_default_burst_is_that_of_two_seconds(per_s: float, size: int) -> None:
    """And at least one."""
    rate, client = EventRate(per_s, None), _client()
    assert [rate.admits(client, 5) for _ in range(size + 1)] == [True] * size + [False]


def test_too_many_events_get_an_error_ack(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    """Those that ask for an ack; no handler runs, and the connection stays."""
    server, log = Server(max_events_per_s=SLOW, event_burst=2), Log()
    server.on("go", lambda sid, number: log.add(number))
    with plain(runtime, server) as live:
        peer, other = Peer(live), Peer(live)
        peer.send('42["go",1]', '420["go",2]', '42["go",3]', '421["go",4]', '422["unknown"]')
        answers = sorted(peer.text() for _ in range(3))
        assert answers == [
            "430[]",
            '431[{"error":"too many events"}]',
            '432[{"error":"too many events"}]',
        ]
        other.send('420["go",5]')
        assert other.text() == "430[]"
        assert log.entries == [1, 2, 5]
        peer.leave()
        other.leave()
        live.until(lambda: not server.engine.connections)
        assert server.event_rate is not None
        assert server.event_rate._full_at == {}
    assert caplog.text.count("a client sends more than max_events_per_s=0.001") == 1


def test_all_namespaces_of_a_client_count_together(runtime: Runtime) -> None:
    """So do events that are being held while a connect handler decides."""
    server, log = Server(max_events_per_s=SLOW, event_burst=1), Log()
    for namespace in ("/", "/x"):
        server.on("go", lambda sid: log.add("go"), namespace)
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send("40/x,", '42/x,["go"]', '420["go"]')
        assert peer.text().startswith("40/x,")
        assert peer.text() == '430[{"error":"too many events"}]'
        assert log.wait(1) == ["go"]
        peer.leave()


def test_events_before_a_namespace_is_known_count(runtime: Runtime) -> None:
    """A client cannot send more while a pattern is being asked."""
    server, log = Server(max_events_per_s=SLOW, event_burst=2), Log()
    server.on("go", lambda namespace, sid, number: log.add(number), re.compile("/x"))
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send("40/x,", '42/x,["go",1]', '42/x,["go",2]', '42/x,0["go",3]', '42["go",4]')
        answers = sorted([peer.text(), peer.text()])
        assert answers[0].startswith("40/x,")
        assert answers[1] == '43/x,0[{"error":"too many events"}]'
        assert log.wait(2) == [1, 2]
        peer.leave()


def test_drop_says_nothing(runtime: Runtime) -> None:
    """The event is as if it had not been sent."""
    server = Server(max_events_per_s=SLOW, event_burst=1, rate_overflow="drop")
    server.on("go", lambda sid: "done")
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('420["go"]', '421["go"]')
        assert peer.text() == '430["done"]'
        assert peer.sync() == []
        peer.leave()


def test_close_ends_the_connection(runtime: Runtime) -> None:
    """What was within the limit is handled before the disconnect handler runs."""
    server, log = Server(max_events_per_s=SLOW, event_burst=1, rate_overflow="close"), Log()
    server.on("go", lambda sid: log.add("go"))
    server.on("disconnect", lambda sid, details: log.add(details))
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('42["go"]', '42["go"]')
        peer.rest()
        assert log.wait(2) == ["go", ("forced server close", "more events than max_events_per_s")]


def test_acks_are_not_limited(runtime: Runtime) -> None:
    """A server that asks gets its answers, however many."""
    server, log = Server(max_events_per_s=SLOW, event_burst=1), Log()
    with plain(runtime, server) as live:
        peer = Peer(live)
        for _ in range(5):
            server.emit("ask", to=peer.sid, callback=log.add)
            packet = peer.text()
            peer.send(f"43{packet[2 : packet.index('[')]}[1]")
        assert log.wait(5) == [1] * 5
        peer.leave()


def test_a_test_client_is_limited_too() -> None:
    """As any other."""
    server = Server(async_mode="threading", max_events_per_s=SLOW, event_burst=1)
    server.on("go", lambda sid: "done")
    with TestClient(server) as client:
        assert client.emit("go", callback=True) == "done"
        assert client.emit("go", callback=True) == {"error": "too many events"}


def test_options() -> None:
    """Without a rate there is nothing to look at; a burst needs a rate."""
    assert Server().event_rate is None
    with pytest.raises(ConfigError, match="event_burst is of no use without max_events_per_s"):
        Server(event_burst=3)
    for wrong in (0, -1, "5", True, float("nan")):
        with pytest.raises(ConfigError, match="max_events_per_s"):
            Server(max_events_per_s=wrong)
