"""How a client leaves: its handler runs last and once, and loses nothing it sent before."""

from __future__ import annotations

import dataclasses

import pytest

from flask_sio import Server
from tests.live import WAIT_S, Live, Runtime, plain
from tests.server.clients import Gate, Log, Peer, Poller, everyone


def _server(log: Log, **options: object) -> Server:
    server = Server(**options)
    server.on("save", lambda sid, number: log.add(number))
    server.on("disconnect", lambda sid, reason: log.add(reason))
    return server


def _gone(live: Live, namespace: str = "/") -> None:
    live.until(lambda: not everyone(live, namespace))


def test_what_was_sent_before_a_disconnect_packet_is_handled(runtime: Runtime) -> None:
    """``emit('save'); disconnect()`` loses nothing, and the disconnect handler is last."""
    log = Log()
    with plain(runtime, _server(log)) as live:
        for _ in range(20):
            peer = Peer(live)
            peer.send('42["save",1]', '42["save",2]', "41")
            peer.close()
        log.wait(60)
        _gone(live)
    assert sorted(log.entries, key=str) == [1] * 20 + [2] * 20 + ["client disconnect"] * 20


def test_what_was_sent_before_the_end_of_the_connection_is_handled(runtime: Runtime) -> None:
    """A socket closed right behind an event does not overtake it."""
    log = Log()
    with plain(runtime, _server(log)) as live:
        peer = Peer(live)
        peer.send('42["save",1]', '42["save",2]')
        peer.close()
        assert log.wait(3) == [1, 2, "transport close"]
        _gone(live)


def test_what_stands_before_a_close_packet_in_a_post_is_handled(runtime: Runtime) -> None:
    """The same in one polling payload."""
    log = Log()
    with plain(runtime, _server(log)) as live:
        poller = Poller(live)
        poller.post('42["save",1]', '42["save",2]', "1")
        assert log.wait(3) == [1, 2, "transport close"]
        _gone(live)


@pytest.mark.parametrize("last", ["41", "1"])
def test_concurrent_events_are_not_lost_either(runtime: Runtime, last: str) -> None:
    """Handlers that overlap have their rooms and session until they end."""
    server = Server(async_handlers=True)
    log = Log()

    @server.on("save")
    def save(sid: str, number: int) -> None:
        server.sleep(0)
        log.add(server.get_session(sid)["user"])

    @server.on("connect")
    def connect(sid: str, environ: object) -> None:
        server.save_session(sid, {"user": "alice"})

    server.on("disconnect", lambda sid: log.add("left"))
    with plain(runtime, server) as live:
        for _ in range(10):
            peer = Peer(live)
            peer.send('42["save",1]', '42["save",2]', last)
            peer.close()
        assert sorted(log.wait(30)) == ["alice"] * 20 + ["left"] * 10
        _gone(live)


def test_the_disconnect_handler_runs_once_whatever_ends_the_client(runtime: Runtime) -> None:
    """A disconnect from both sides at once, then the connection's end, is one."""
    log = Log()
    with plain(runtime, _server(log)) as live:
        peer = Peer(live)
        live.server.disconnect(peer.sid)
        peer.send("41", "1")
        live.server.disconnect(peer.sid)
        peer.rest()
        live.server.disconnect(peer.sid)
        _gone(live)
        live.settle()
        assert log.entries == ["server disconnect"]


def test_the_server_tells_the_client_and_keeps_the_connection(runtime: Runtime) -> None:
    """After a server disconnect the client may join again on the same connection."""
    log = Log()
    with plain(runtime, _server(log)) as live:
        peer = Peer(live)
        live.server.disconnect(peer.sid)
        assert peer.text() == "41"
        first = peer.sid
        log.wait(1)
        assert peer.join() != first
        peer.close()
        assert log.wait(2) == ["server disconnect", "transport close"]


def test_disconnecting_inside_a_handler_lets_the_handler_finish(runtime: Runtime) -> None:
    """What a handler emits before it disconnects its client arrives, what it emits after not."""
    server = Server()
    log = Log()

    @server.on("bye")
    def bye(sid: str) -> None:
        server.emit("before", to=sid)
        server.disconnect(sid)
        server.emit("after", to=sid)
        log.add("bye")

    server.on("disconnect", lambda sid: log.add("disconnect"))
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('420["bye"]')
        assert (peer.text(), peer.text()) == ('42["before"]', "41")
        assert log.wait(2) == ["bye", "disconnect"]
        assert peer.sync() == []
        peer.close()


def test_events_that_come_after_a_disconnect_do_no_harm(runtime: Runtime) -> None:
    """Those on their way when the server disconnects are ignored, the connection lives."""
    log = Log()
    server = _server(log, namespaces=["/", "/other"])
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.join("40/other,")
        server.disconnect(peer.sid)
        assert peer.text() == "41"
        peer.send('42["save",1]', "430[]", "41")
        assert peer.sync() == []
        assert log.wait(1) == ["server disconnect"]
        peer.close()


def test_a_hanging_handler_holds_the_disconnect_handler_only_so_long(runtime: Runtime) -> None:
    """After ``disconnect_wait`` the disconnect handler runs beside it."""
    log = Log()
    server = _server(log, disconnect_wait=0.05)
    gate = Gate(server)
    server.on("hang", lambda sid: gate.wait())
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('42["hang"]')
        gate.arrived()
        peer.close()
        assert log.wait(1) == ["transport close"]
        _gone(live)
        gate.open()


def test_several_hanging_handlers_are_overtaken_one_by_one(runtime: Runtime) -> None:
    """Each has its ``disconnect_wait``; the events between and the end are not lost."""
    log = Log()
    server = _server(log, disconnect_wait=0.05)
    gate = Gate(server)
    server.on("hang", lambda sid: gate.wait())
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('42["hang"]', '42["save",1]', '42["hang"]', '42["hang"]', '42["save",2]')
        gate.arrived()
        peer.close()
        assert log.wait(3) == [1, 2, "transport close"]
        gate.arrived(2)
        gate.open()
        _gone(live)


def test_a_hanging_concurrent_handler_is_overtaken_too(runtime: Runtime) -> None:
    """Nor does it hold up a disconnect packet, which leaves the connection open."""
    log = Log()
    server = _server(log, disconnect_wait=0.05)
    gate = Gate(server)
    server.on("hang", lambda sid: gate.wait(), concurrent=True)
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('42["hang"]', "41")
        gate.arrived()
        assert log.wait(1) == ["client disconnect"]
        _gone(live)
        peer.send("40")
        assert peer.text().startswith("40{")
        gate.open()
        peer.close()


def test_handlers_that_end_in_time_are_not_overtaken(runtime: Runtime) -> None:
    """However long the queue is, the disconnect handler waits for those that go on."""
    log = Log()
    server = _server(log, disconnect_wait=1)

    @server.on("work")
    def work(sid: str, number: int) -> None:
        log.add(("begin", number))
        server.sleep(0.05)
        log.add(("end", number))

    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send(*(f'42["work",{number}]' for number in range(30)))
        peer.close()
        expected = [(what, number) for number in range(30) for what in ("begin", "end")]
        assert log.wait(61) == [*expected, "transport close"]


def test_disconnect_wait_of_zero_waits_for_nobody(runtime: Runtime) -> None:
    """Every handler still runs exactly once."""
    log = Log()
    server = _server(log, disconnect_wait=0)
    gate = Gate(server)
    server.on("hang", lambda sid: gate.wait())
    with plain(runtime, server) as live:
        for _ in range(10):
            peer = Peer(live)
            peer.send('42["save",1]', '42["hang"]', '42["save",2]')
            peer.close()
        log.wait(30)
        gate.arrived(10)
        gate.open()
        _gone(live)
    assert sorted(log.entries, key=str) == [1] * 10 + [2] * 10 + ["transport close"] * 10


def test_a_client_that_leaves_during_its_connect_handler(runtime: Runtime) -> None:
    """The disconnect handler runs after the connect handler, if that one accepts."""
    log = Log()
    server = _server(log)
    gate = Gate(server)

    @server.on("connect")
    def connect(sid: str, environ: object) -> None:
        gate.wait()
        log.add("connect")

    with plain(runtime, server) as live:
        peer = Peer(live, join=None)
        peer.send("40")
        gate.arrived()
        peer.close()
        live.until(lambda: not live.server.engine.connections)
        gate.open()
        assert log.wait(2) == ["connect", "transport close"]
        _gone(live)


@pytest.mark.parametrize("accepts", [True, False])
def test_a_slow_connect_handler_is_overtaken_but_not_forgotten(
    runtime: Runtime, accepts: bool
) -> None:
    """Other namespaces leave beside it; its own disconnect handler waits for its decision."""
    log = Log()
    server = Server(disconnect_wait=0.05)
    gate = Gate(server)

    @server.on("connect", namespace="/slow")
    def connect(sid: str, environ: object) -> bool:
        gate.wait()
        log.add("connect")
        return accepts

    server.on("disconnect", lambda sid: log.add("left /"))
    server.on("disconnect", lambda sid: log.add("left /slow"), namespace="/slow")
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send("40/slow,")
        gate.arrived()
        peer.close()
        assert log.wait(1) == ["left /"]
        live.until(lambda: not live.server._spaces["/"].rooms.everyone)
        gate.open()
        _gone(live, "/slow")
        assert log.wait(2) == ["left /", "connect", "left /slow"][: 3 if accepts else 2]


def test_a_client_that_leaves_before_its_connect_handler_began(runtime: Runtime) -> None:
    """Neither handler runs, and nothing of it is left."""
    log = Log()
    server = _server(log, namespaces=["/", "/busy"])
    gate = Gate(server)
    server.on("hang", lambda sid: gate.wait(), namespace="/busy")
    server.on("connect", lambda sid, environ: log.add("connect"))
    with plain(runtime, server) as live:
        peer = Peer(live, join="40/busy,")
        peer.send('42/busy,["hang"]', "40", "41")
        gate.arrived()
        peer.sync()
        gate.open()
        _gone(live)
        assert log.entries == []
        peer.send("40")
        assert peer.text().startswith("40{")
        peer.close()
        assert log.wait(2) == ["connect", "transport close"]


def test_a_failing_disconnect_handler_still_lets_the_client_go(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    """Its exception is logged, and the rooms are given back."""
    server = Server()

    @server.on("disconnect")
    def disconnect(sid: str) -> None:
        raise RuntimeError("on purpose")

    with plain(runtime, server) as live:
        peer = Peer(live)
        server.enter_room(peer.sid, "room")
        peer.close()
        _gone(live)
    assert "the handler of 'disconnect' failed" in caplog.text


def test_a_client_that_comes_back_may_finish_again(runtime: Runtime) -> None:
    """A leave that could wait no longer for a handler shortens no later one."""
    server, log = Server(disconnect_wait=0.1), Log()
    gates = {name: Gate(server) for name in ("first", "second")}

    @server.on("slow", concurrent=True)
    def slow(sid: str, name: str) -> None:
        gates[name].wait()
        log.add(name)

    server.on("disconnect", lambda sid: log.add("gone"))
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('42["slow","first"]')
        gates["first"].arrived()
        peer.send("41")
        assert log.wait(1) == ["gone"]
        gates["first"].open()
        assert log.wait(2) == ["gone", "first"]
        server.options = dataclasses.replace(server.options, disconnect_wait=WAIT_S)
        peer.join()
        peer.send('42["slow","second"]')
        gates["second"].arrived()
        peer.send("41")
        peer.sync()
        gates["second"].open()
        assert log.wait(4)[2:] == ["second", "gone"]
        peer.close()


def test_all_namespaces_of_a_client_stop_waiting_at_once(runtime: Runtime) -> None:
    """For a concurrent handler that has run for ``disconnect_wait`` when the client went."""
    server, log = Server(disconnect_wait=0.1, namespaces=["/", "/a", "/b"]), Log()
    gate = Gate(server)
    server.on("slow", concurrent=True)(lambda sid: gate.wait())
    for namespace in ("/", "/a", "/b"):
        server.on("disconnect", lambda sid: log.add("gone"), namespace=namespace)
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.join("40/a,")
        peer.join("40/b,")
        peer.send('42["slow"]')
        gate.arrived()
        peer.close()
        assert log.wait(3) == ["gone"] * 3
        gate.open()
        live.until(lambda: not server.engine.connections)
