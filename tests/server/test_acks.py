"""Acknowledgements in both directions, and callbacks."""

from __future__ import annotations

import logging

import pytest

import flask_sio
from flask_sio import Ack, Server
from tests.live import Runtime, plain
from tests.server.clients import Gate, Log, Peer, Poller, in_threads


@pytest.mark.parametrize(
    ("result", "ack"),
    [
        (None, "[]"),
        ("one", '["one"]'),
        ((1, 2), "[1,2]"),
        ([1, 2], "[[1,2]]"),
        ((), "[]"),
        ((None,), "[null]"),
        (False, "[false]"),
    ],
)
def test_a_return_value_is_the_ack(runtime: Runtime, result: object, ack: str) -> None:
    """None is nothing, a tuple is several arguments, anything else is one."""
    server = Server()
    server.on("ask", lambda sid: result)
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('427["ask"]')
        assert peer.text() == f"437{ack}"
        peer.close()


def test_ack_id_zero_is_an_id(runtime: Runtime) -> None:
    """Stock clients begin with it."""
    server = Server()
    server.on("ask", lambda sid: "zero")
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('420["ask"]')
        assert peer.text() == '430["zero"]'
        peer.close()


def test_no_id_no_ack(runtime: Runtime) -> None:
    """What a handler returns goes nowhere if nobody asked for it."""
    server = Server()
    server.on("ask", lambda sid: "unasked")
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('42["ask"]', '421["ask"]')
        assert peer.text() == '431["unasked"]'
        assert peer.sync() == []
        peer.close()


def test_an_ack_may_carry_bytes(runtime: Runtime) -> None:
    """As attachments, in both directions."""
    server = Server()
    log = Log()
    server.on("ask", lambda sid, data: (data, b"\xff"))
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('451-3["ask",{"_placeholder":true,"num":0}]', b"\x00")
        assert peer.text() == ('462-3[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]')
        assert (peer.binary(), peer.binary()) == (b"\x00", b"\xff")
        server.emit("give", to=peer.sid, callback=log.add)
        assert peer.text() == '421["give"]'
        peer.send('461-1[{"_placeholder":true,"num":0}]', b"\x01")
        assert log.wait(1) == [b"\x01"]
        peer.close()


def test_a_failing_handler_sends_no_ack_and_ends_nothing(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged with its traceback; the next event is handled."""
    server = Server()

    @server.on("fail")
    def fail(sid: str) -> None:
        raise RuntimeError("on purpose")

    server.on("unserialisable", lambda sid: object())
    server.on("ask", lambda sid: "fine")
    with caplog.at_level(logging.ERROR, "flask_sio"), plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('420["fail"]', '421["unserialisable"]', '422["ask"]')
        assert peer.text() == '432["fine"]'
        peer.close()
    assert [record.exc_info is not None for record in caplog.records] == [True, True]


def test_ack_ids_of_a_client_count_up(runtime: Runtime) -> None:
    """Callbacks and calls share them; each client and namespace has its own."""
    server = Server(namespaces=["/", "/ns"])
    log = Log()
    with plain(runtime, server) as live:
        first, second = Peer(live), Peer(live)
        inner = first.join("40/ns,")
        for sid, namespace in ((first.sid, "/"), (first.sid, "/"), (inner, "/ns")):
            server.emit("ask", to=sid, namespace=namespace, callback=log.add)
        server.emit("ask", to=second.sid, callback=log.add)
        assert [first.text() for _ in range(3)] == ['421["ask"]', '422["ask"]', '42/ns,1["ask"]']
        assert second.text() == '421["ask"]'
        first.close()
        second.close()


def test_callbacks_of_a_broadcast_hear_each_client(runtime: Runtime) -> None:
    """Each answers under an id of its own, polling and WebSocket alike."""
    server = Server()
    log = Log()
    with plain(runtime, server) as live:
        peer, poller = Peer(live), Poller(live)
        server.emit("ask", 1, callback=lambda *answer: log.add(answer))
        assert peer.text() == '421["ask",1]'
        assert poller.get() == ['421["ask",1]']
        poller.post('431["poller",2]')
        peer.send("431[]")
        assert sorted(log.wait(2)) == [(), ("poller", 2)]
        poller.leave()
        peer.close()


def test_a_skipped_client_is_not_asked(runtime: Runtime) -> None:
    """Nor is one outside of the room."""
    server = Server()
    with plain(runtime, server) as live:
        inside, skipped, outside = Peer(live), Peer(live), Peer(live)
        server.enter_room(inside.sid, "room")
        server.enter_room(skipped.sid, "room")
        server.emit("ask", to="room", skip_sid=skipped.sid, callback=print)
        assert inside.text() == '421["ask"]'
        assert skipped.sync() == []
        assert outside.sync() == []
        for peer in (inside, skipped, outside):
            peer.close()


def test_callbacks_run_in_order_between_the_events(runtime: Runtime) -> None:
    """An ack callback stands in the queue of its client like an event."""
    server = Server()
    log = Log()
    gate = Gate(server)

    @server.on("event")
    def event(sid: str, number: int) -> None:
        gate.wait()
        log.add(("event", number))

    with plain(runtime, server) as live:
        peer = Peer(live)
        for _ in range(3):
            server.emit("ask", to=peer.sid, callback=lambda number: log.add(("ack", number)))
        peer.send('42["event",1]', "431[1]", '42["event",2]', "433[3]", "432[2]")
        gate.arrived()
        peer.sync()
        gate.open()
        assert log.wait(5) == [("event", 1), ("ack", 1), ("event", 2), ("ack", 3), ("ack", 2)]
        peer.close()


def test_a_second_ack_of_the_same_id_is_ignored(runtime: Runtime) -> None:
    """So is one that was never asked for; the client lives."""
    server = Server()
    log = Log()
    server.on("fence", lambda sid: log.add("fence"))
    with plain(runtime, server) as live:
        peer = Peer(live)
        server.emit("ask", to=peer.sid, callback=log.add)
        assert peer.text() == '421["ask"]'
        peer.send("431[1]", "431[2]", "437[3]", "430[4]", '42["fence"]')
        assert log.wait(2) == [1, "fence"]
        peer.close()


def test_a_failing_callback_is_logged_and_ends_nothing(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    """The next event of its client is handled."""
    server = Server()

    def callback(*answer: object) -> None:
        raise RuntimeError("on purpose")

    server.on("ask", lambda sid: "fine")
    with plain(runtime, server) as live:
        peer = Peer(live)
        server.emit("ask", to=peer.sid, callback=callback)
        assert peer.text() == '421["ask"]'
        peer.send("431[]", '420["ask"]')
        assert peer.text() == '430["fine"]'
        peer.close()
    assert "on purpose" in caplog.text


def test_callbacks_die_with_their_client(runtime: Runtime) -> None:
    """Nobody is called after the client left, and nothing of them is kept."""
    server = Server()
    log = Log()
    with plain(runtime, server) as live:
        peer = Peer(live)
        server.emit("ask", to=peer.sid, callback=log.add)
        peer.send("41", "431[1]")
        peer.sync()
        live.until(lambda: not live.server._spaces["/"].rooms.everyone)
        peer.close()
        assert log.entries == []


def test_a_callback_of_a_dropped_packet_is_forgotten(runtime: Runtime) -> None:
    """``slow_client='drop'``: nobody can answer what was not sent."""
    server = Server(slow_client="drop", max_outbound_packets=2)
    with plain(runtime, server) as live:
        poller = Poller(live)
        for _ in range(5):
            server.emit("ask", to=poller.sid, callback=print)
        socket = server.socket(poller.sid)
        live.settle()
        assert socket._acks is not None
        assert len(socket._acks._owed) == 2
        assert poller.get() == ['421["ask"]', '422["ask"]']
        poller.leave()


# -- callbacks that wait so long ----------------------------------------------------------


def test_a_callback_within_its_time_gets_the_answer(runtime: Runtime) -> None:
    """And nothing more, whatever comes after it."""
    server, log = Server(), Log()
    with plain(runtime, server) as live:
        peer = Peer(live)
        server.emit("question", callback=lambda *args: log.add(args), timeout=60)
        server.socket(peer.sid).emit("question", callback=lambda *args: log.add(args), timeout=60)
        assert peer.text() == '421["question"]'
        assert peer.text() == '422["question"]'
        peer.send('431["yes",2]', '431["again"]', "432[]")
        assert log.wait(2) == [("yes", 2), ()]
        peer.leave()
        live.until(lambda: not everyone_left(server))
    assert log.entries == [("yes", 2), ()]


def everyone_left(server: Server) -> list[str]:
    """Return the ids the server still knows. Owner's turn."""
    return [own_id for space in server._spaces.values() for own_id in space.rooms.everyone]


def test_a_callback_whose_time_is_over_is_told_once(runtime: Runtime) -> None:
    """With a TimeoutError; the answer that comes then is nobody's, and nothing is kept."""
    server, log = Server(), Log()
    with plain(runtime, server) as live:
        peer = Peer(live)
        server.emit("question", to=peer.sid, callback=log.add, timeout=0.01)
        assert peer.text() == '421["question"]'
        [error] = log.wait(1)
        assert isinstance(error, TimeoutError)
        assert isinstance(error, flask_sio.TimeoutError)
        assert str(error) == "no answer to 'question' within 0.01 s"
        acks = server.socket(peer.sid)._acks
        assert acks is not None
        assert acks._owed == {}
        peer.send('431["late"]')
        peer.sync()
        peer.close()
    assert len(log.entries) == 1


def test_a_callback_learns_that_its_client_has_left(runtime: Runtime) -> None:
    """At once, before the disconnect handler; not so without a time."""
    server, log = Server(), Log()
    server.on("disconnect", lambda sid: log.add("disconnected"))
    with plain(runtime, server) as live:
        peer = Peer(live)
        server.emit("question", callback=log.add, timeout=60)
        server.emit("question", callback=log.add)
        peer.text()
        peer.leave()
        error, after = log.wait(2)
        assert isinstance(error, flask_sio.DisconnectedError)
        assert after == "disconnected"
    assert len(log.entries) == 2


def test_a_hanging_callback_keeps_no_disconnect_handler(runtime: Runtime) -> None:
    """It is overtaken as a handler is."""
    server, log = Server(disconnect_wait=0.01), Log()
    gate = Gate(server)
    server.on("disconnect", lambda sid: log.add("disconnected"))
    with plain(runtime, server) as live:
        peer = Peer(live)
        server.emit("question", callback=lambda _error: gate.wait(), timeout=60)
        peer.text()
        peer.leave()
        gate.arrived()
        assert log.wait(1) == ["disconnected"]
        gate.open()


def test_a_chain_says_how_long_its_callback_waits(runtime: Runtime) -> None:
    """Only where it says so: without timeout() it waits for ever."""
    server, log = Server(), Log()
    with plain(runtime, server) as live:
        peer = Peer(live)
        server.of("/").emit("for ever", callback=log.add)
        server.of("/").timeout(0.01).emit("not for long", callback=log.add)
        server.of("/").timeout(0.01).emit("no answer is asked for")
        [error] = log.wait(1)
        assert str(error) == "no answer to 'not for long' within 0.01 s"
        peer.send('431["at last"]')
        assert log.wait(2)[1] == "at last"
        peer.close()


@pytest.mark.parametrize("timeout", [-1, float("nan"), float("inf")])
def test_a_time_that_cannot_pass_is_refused(timeout: float) -> None:
    """Where it is given; and so is a time for nobody."""
    with pytest.raises(ValueError, match="accepted is a number of seconds"):
        Server().emit("event", callback=print, timeout=timeout)
    with pytest.raises(TypeError, match="give it one"):
        Server().emit("event", timeout=5)


# -- acknowledgements that come later -----------------------------------------------------


def test_an_ack_may_be_sent_later(runtime: Runtime) -> None:
    """By whoever calls it first, once; the client's next events do not wait for it."""
    server = Server()
    made: list[Ack] = []

    @server.on("slow")
    def slow(sid: str) -> Ack:
        made.append(Ack())
        return made[0]

    server.on("quick", lambda sid: "quick")
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('421["slow"]', '422["quick"]')
        assert peer.text() == '432["quick"]'
        assert made[0].requested is True
        in_threads(4, lambda number: made[0]("done", b"\x01"))
        assert peer.text() == '461-1["done",{"_placeholder":true,"num":0}]'
        assert peer.binary() == b"\x01"
        made[0]("again")
        assert peer.sync() == []
        peer.close()
        made[0]("gone")


def test_an_ack_may_be_sent_before_its_handler_returns(runtime: Runtime) -> None:
    """It goes out when the handler has returned; without an id nowhere."""
    server, log = Server(), Log()

    @server.on("early")
    def early(sid: str) -> Ack:
        ack = Ack()
        ack()
        ack("second")
        log.add(ack)
        return ack

    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('421["early"]', '42["early"]')
        assert peer.text() == "431[]"
        assert peer.sync() == []
        log.wait(2)
        live.until(lambda: log.entries[1].requested is not None)
        assert [ack.requested for ack in log.entries] == [True, False]
        peer.close()
    assert Ack().requested is None
    assert repr(Ack()) == "<Ack unsent>"


def test_an_ack_is_for_one_event(runtime: Runtime, caplog: pytest.LogCaptureFixture) -> None:
    """Returned from a second one it is an error of the program."""
    server, ack = Server(), Ack()
    server.on("ask", lambda sid: ack)
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('421["ask"]', '422["ask"]')
        ack("only")
        assert peer.text() == '431["only"]'
        assert peer.sync() == []
        peer.leave()
    assert "an Ack is for one event" in caplog.text
