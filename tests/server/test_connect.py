"""From CONNECT to acceptance or refusal, and what may be sent when."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

import pytest

from flask_sio import ConnectionRefusedError, Server
from tests.live import Runtime, plain
from tests.server.clients import Gate, Log, Peer, Poller, everyone


def test_what_the_connect_handler_emits_follows_the_connect_packet(runtime: Runtime) -> None:
    """In its order, to the client, to its room, to everybody."""
    server = Server()

    @server.on("connect")
    def connect(sid: str, environ: object) -> None:
        server.emit("one", to=sid)
        server.enter_room(sid, "room")
        server.emit("two", to="room")
        server.emit("three", b"\x01\x02")

    with plain(runtime, server) as live:
        peer = Peer(live, join=None)
        peer.send("40")
        assert peer.text().startswith('40{"sid":"')
        assert (peer.text(), peer.text()) == ('42["one"]', '42["two"]')
        assert peer.text() == '451-["three",{"_placeholder":true,"num":0}]'
        assert peer.binary() == b"\x01\x02"
        peer.close()


def test_they_come_in_the_same_poll_answer_or_the_next(runtime: Runtime) -> None:
    """On polling the order is the same."""
    server = Server()

    @server.on("connect")
    def connect(sid: str, environ: object) -> None:
        server.emit("one", to=sid)
        server.emit("two", to=sid)

    with plain(runtime, server) as live:
        poller = Poller(live, join=None)
        poller.post("40")
        packets: list[str] = []
        while len(packets) < 3:
            packets += poller.get()
        assert packets[0].startswith('40{"sid":"')
        assert packets[1:] == ['42["one"]', '42["two"]']
        poller.leave()


def test_nothing_is_delivered_before_acceptance(runtime: Runtime) -> None:
    """A broadcast meanwhile waits; it comes behind the CONNECT packet."""
    server = Server()
    gate = Gate(server)

    @server.on("connect")
    def connect(sid: str, environ: object) -> None:
        gate.wait()

    with plain(runtime, server) as live:
        peer = Peer(live, join=None)
        peer.send("40")
        gate.arrived()
        server.emit("news")
        assert peer.sync() == []
        gate.open()
        assert peer.text().startswith('40{"sid":"')
        assert peer.text() == '42["news"]'
        peer.close()


def test_events_sent_before_acceptance_wait_for_it(runtime: Runtime) -> None:
    """They are handled after the connect handler, in order."""
    server = Server()
    gate, log = Gate(server), Log()

    @server.on("connect")
    def connect(sid: str, environ: object) -> None:
        gate.wait()
        log.add("connect")

    server.on("event", lambda sid, number: log.add(number))
    with plain(runtime, server) as live:
        peer = Peer(live, join=None)
        peer.send("40", '42["event",1]', '42["event",2]')
        gate.arrived()
        peer.sync()
        gate.open()
        assert log.wait(3) == ["connect", 1, 2]
        peer.close()


def test_nothing_is_delivered_after_a_refusal(runtime: Runtime) -> None:
    """What was emitted to the client is dropped with it, what it sent is not handled."""
    server = Server()
    gate, log = Gate(server), Log()

    @server.on("connect")
    def connect(sid: str, environ: object) -> bool:
        server.enter_room(sid, "room")
        server.emit("early", to=sid)
        log.add(sid)
        gate.wait()
        return False

    server.on("event", lambda sid: log.add("event"))
    server.on("disconnect", lambda sid: log.add("disconnect"))
    with plain(runtime, server) as live:
        peer = Peer(live, join=None)
        peer.send("40", '42["event"]')
        gate.arrived()
        peer.sync()
        gate.open()
        assert peer.text() == '44{"message":"Connection rejected by server"}'
        server.emit("late")
        server.emit("late", to="room")
        (sid,) = log.entries
        server.emit("late", to=sid)
        assert peer.sync() == []
        assert everyone(live) == []
        assert server.rooms(sid) == []
        peer.close()
        assert log.entries == [sid]


class Ended(BaseException):
    """No Exception: like a kill."""


def _raise(error: BaseException) -> Callable[..., Any]:
    def connect(*_: object) -> None:
        raise error

    return connect


@pytest.mark.parametrize(
    ("handler", "answer"),
    [
        (lambda *_: False, '44{"message":"Connection rejected by server"}'),
        (_raise(ConnectionRefusedError()), '44{"message":"Connection rejected by server"}'),
        (_raise(ConnectionRefusedError("no")), '44{"message":"no"}'),
        (_raise(ConnectionRefusedError("no", 7)), '44{"message":"no","data":7}'),
        (_raise(ConnectionRefusedError("no", 7, "x")), '44{"message":"no","data":[7,"x"]}'),
        (
            _raise(builtins.ConnectionRefusedError("secret")),
            '44{"message":"Connection refused by server"}',
        ),
        (_raise(RuntimeError("secret")), '44{"message":"Internal error"}'),
        (_raise(Ended("secret")), '44{"message":"Internal error"}'),
    ],
    ids=["False", "empty", "text", "data", "more data", "builtin", "failure", "killed"],
)
def test_a_refusal_tells_why(runtime: Runtime, handler: Callable[..., Any], answer: str) -> None:
    """Each way to refuse has its answer; no text of an exception of others goes out."""
    server = Server()
    server.on("connect", handler, namespace="/ns")
    with plain(runtime, server) as live:
        peer = Peer(live, join=None)
        peer.send("40/ns,")
        assert peer.text() == answer.replace("44", "44/ns,", 1)
        assert everyone(live, "/ns") == []
        peer.close()


@pytest.mark.parametrize("result", [None, True, 0, "", {"a": 1}])
def test_only_false_refuses(runtime: Runtime, result: object) -> None:
    """Any other return value accepts."""
    server = Server()
    server.on("connect", lambda sid, environ: result)
    with plain(runtime, server) as live:
        Peer(live).close()


def test_a_refused_client_may_try_again(runtime: Runtime) -> None:
    """On the same connection, and is then a new client."""
    server = Server()

    @server.on("connect")
    def connect(sid: str, environ: object, auth: Any) -> bool:
        return bool(auth)

    server.on("who", lambda sid: sid)
    with plain(runtime, server) as live:
        peer = Peer(live, join=None)
        peer.send("40")
        assert peer.text().startswith("44{")
        sid = peer.join('40{"token":"x"}')
        peer.send('420["who"]')
        assert peer.text() == f'430["{sid}"]'
        peer.close()


def test_disconnecting_in_the_connect_handler_is_a_refusal(runtime: Runtime) -> None:
    """Whatever the handler returns then; no disconnect handler runs, no event is handled."""
    server = Server()
    gate, log = Gate(server), Log()

    @server.on("connect")
    def connect(sid: str, environ: object) -> None:
        server.disconnect(sid)
        gate.wait()

    server.on("event", lambda sid: log.add("event"))
    server.on("disconnect", lambda sid: log.add("disconnect"))
    with plain(runtime, server) as live:
        peer = Peer(live, join=None)
        peer.send("40", '42["event"]')
        assert peer.text() == '44{"message":"Connection rejected by server"}'
        gate.arrived()
        gate.open()
        live.until(lambda: not live.server.engine.loop.running_handlers)
        assert peer.sync() == []
        peer.close()
        live.until(lambda: not live.server.engine.connections)
        live.settle()
        assert log.entries == []


def test_an_unknown_namespace_is_refused(runtime: Runtime) -> None:
    """By a packet, and the connection lives on."""
    server = Server()
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send("40/nobody,")
        assert peer.text() == '44/nobody,{"message":"Invalid namespace"}'
        assert peer.sync() == []
        peer.close()


def test_auth_reaches_the_handler_that_asks_for_it(runtime: Runtime) -> None:
    """As a third argument; None where the client sent none."""
    server = Server(namespaces=["/", "/ns"])
    log = Log()
    server.on("connect", lambda sid, environ, auth: log.add(auth))
    server.on("connect", lambda sid, environ: log.add(environ["PATH_INFO"]), namespace="/ns")
    with plain(runtime, server) as live:
        Peer(live, join='40{"token":[1]}').close()
        log.wait(1)
        Peer(live).close()
        log.wait(2)
        Peer(live, join='40/ns,{"token":1}').close()
        assert log.wait(3) == [{"token": [1]}, None, "/socket.io/"]


def test_always_connect_accepts_before_the_handler_has_decided(runtime: Runtime) -> None:
    """What is emitted meanwhile is delivered at once."""
    server = Server(always_connect=True)
    gate = Gate(server)

    @server.on("connect")
    def connect(sid: str, environ: object) -> None:
        server.emit("early", to=sid)
        gate.wait()

    server.on("event", lambda sid: "handled")
    with plain(runtime, server) as live:
        peer = Peer(live)
        assert peer.text() == '42["early"]'
        peer.send('420["event"]')
        gate.arrived()
        assert peer.sync() == []
        gate.open()
        assert peer.text() == '430["handled"]'
        peer.close()


def test_always_connect_keeps_concurrent_events_behind_its_handler(runtime: Runtime) -> None:
    """They run beside each other, not beside what decides whether their client may come."""
    server, log = Server(always_connect=True, async_handlers=True), Log()
    gate = Gate(server)

    @server.on("connect")
    def connect(sid: str, environ: object) -> None:
        gate.wait()
        log.add("connect")

    server.on("event", lambda sid: log.add("event"))
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('42["event"]')
        gate.arrived()
        peer.sync()
        gate.open()
        assert log.wait(2) == ["connect", "event"]
        peer.leave()


def test_always_connect_refuses_by_a_disconnect(runtime: Runtime) -> None:
    """The client leaves; its events are not handled, no disconnect handler runs."""
    server = Server(always_connect=True)
    gate, log = Gate(server), Log()

    @server.on("connect")
    def connect(sid: str, environ: object) -> bool:
        gate.wait()
        return False

    server.on("event", lambda sid: log.add("event"))
    server.on("disconnect", lambda sid: log.add("disconnect"))
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('42["event"]')
        gate.arrived()
        peer.sync()
        gate.open()
        assert peer.text() == "41"
        assert everyone(live) == []
        server.emit("late")
        assert peer.sync() == []
        peer.close()
        live.until(lambda: not live.server.engine.connections)
        live.settle()
        assert log.entries == []


def test_a_client_of_no_namespace_is_closed_in_time(runtime: Runtime) -> None:
    """``connect_timeout`` ends who never asks, and who was refused and asks no more."""
    server = Server(connect_timeout=1.5)
    server.on("connect", lambda sid, environ: False)
    server.on(
        "connect", lambda sid, environ: server.disconnect(sid, "/kicked"), namespace="/kicked"
    )
    server.on("connect", lambda sid, environ: None, namespace="/ok")
    with plain(runtime, server) as live:
        joined = Peer(live, join="40/ok,")
        idle, refused, kicked = (Peer(live, join=None) for _ in range(3))
        refused.send("40")
        kicked.send("40/kicked,")
        assert idle.rest() == []
        assert refused.rest() == ['44{"message":"Connection rejected by server"}']
        assert kicked.rest() == ['44/kicked,{"message":"Connection rejected by server"}']
        assert joined.sync() == []
        joined.close()


def test_a_slow_connect_handler_is_no_reason_to_close(runtime: Runtime) -> None:
    """While a handler decides, ``connect_timeout`` does not count."""
    server = Server(connect_timeout=1)
    gate, late = Gate(server), Log()

    @server.on("connect")
    def connect(sid: str, environ: object) -> None:
        loop = server.engine.loop
        loop.run(lambda: loop.call_at(loop.now() + 2.1, lambda: late.add("two timeouts")))
        gate.wait()

    with plain(runtime, server) as live:
        peer = Peer(live, join=None)
        peer.send("40")
        late.wait(1)
        gate.open()
        assert peer.text().startswith("40{")
        peer.close()
