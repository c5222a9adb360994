"""Chains of operators, sockets as objects, and what an emit tells of itself."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from flask_sio import NotConnectedError, Server
from flask_sio.server.operators import BroadcastOperator, ServerNamespace
from flask_sio.testing import TestClient
from tests.live import WAIT_S, Runtime, plain
from tests.server.clients import Peer


@contextlib.contextmanager
def clients(server: Server, count: int) -> Iterator[list[TestClient]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(TestClient(server, timeout=WAIT_S)) for _ in range(count)]


def names(*of: TestClient) -> list[list[str]]:
    return [[event["name"] for event in client.get_received()] for client in of]


# -- chains -----------------------------------------------------------------------------


def test_a_chain_is_a_value() -> None:
    """Each step returns a new one; a chain that was kept is as it was."""
    of = Server().of("/chat")
    room = of.to("room")
    assert isinstance(of, ServerNamespace)
    assert type(room) is type(room.except_("x")) is BroadcastOperator
    wider = room.to("other").except_("muted").local.volatile.compress(False).coalesce("key")
    assert repr(room) == "<BroadcastOperator '/chat' rooms=('room',)>"
    assert repr(wider) == (
        "<BroadcastOperator '/chat' rooms=('room', 'other') skip=('muted',) local=True "
        "volatile=True compress=False coalesce='key'>"
    )
    assert (of.name, of.timeout(2).name) == ("/chat", "/chat")


def test_a_chain_that_cannot_be_meant_is_refused() -> None:
    """to() of nothing would be everybody; a name that no namespace has reaches nobody."""
    server = Server()
    with pytest.raises(TypeError, match="to\\(\\) needs"):
        server.of("/").to()
    with pytest.raises(ValueError, match="no id"):
        server.of("/").to(user="")
    with pytest.raises(ValueError, match="namespace"):
        server.of("/a,b")
    assert server.of("chat").name == "/chat"


def test_a_server_without_clients_answers(runtime: Runtime) -> None:
    """Nobody has ever connected: nothing is reached, nothing waits, no loop is started."""
    server = Server(async_mode=runtime)
    of = server.of("/")
    result = of.emit("news")
    assert (result.matched, result.queued, result.dropped, result.published) == (0, 0, 0, 0)
    assert of.call("question") == {}
    assert of.fetch_sockets() == []
    assert (of.sids(), of.count(), of.room_sizes(), dict(of.sockets)) == ([], 0, {}, {})
    of.sockets_join("room")
    of.disconnect_sockets()
    assert not server.engine.has_loop


def test_send_is_a_message(runtime: Runtime) -> None:
    """Of a chain and of a socket."""
    server = Server(async_mode=runtime)
    with clients(server, 1) as (client,):
        server.of("/").send("one")
        server.socket(client.sid()).send("two")
        assert [event["args"] for event in client.get_received()] == ["one", "two"]


def test_the_sockets_of_a_namespace(runtime: Runtime) -> None:
    """Those of this server that were accepted, by id."""
    server = Server(async_mode=runtime)
    with clients(server, 2) as (a, b):
        sockets = server.of("/").sockets
        assert set(sockets) == {a.sid(), b.sid()}
        assert sockets[a.sid()] is server.socket(a.sid())


# -- sockets ----------------------------------------------------------------------------


def test_a_socket_speaks_to_its_client_and_to_others(runtime: Runtime) -> None:
    """emit is for the client itself; broadcast, to and except_ are for all but it."""
    server = Server(async_mode=runtime)
    with clients(server, 3) as (a, b, c):
        socket = server.socket(a.sid())
        server.socket(b.sid()).join("room")
        socket.join("room", "own")
        socket.emit("itself")
        socket.broadcast.emit("others")
        socket.to("room").emit("room but itself")
        socket.in_("room", "own").emit("in")
        socket.except_("room").emit("not the room")
        socket.volatile.emit("volatile")
        assert names(a, b, c) == [
            ["itself", "volatile"],
            ["others", "room but itself", "in"],
            ["others", "not the room"],
        ]
        assert socket.rooms == [a.sid(), "room", "own"]
        socket.leave("own", "never entered")
        assert socket.rooms == [a.sid(), "room"]


def test_a_fetched_socket_speaks_as_a_socket_does(runtime: Runtime) -> None:
    """emit and call are for its client; broadcast, to and except_ are for all but it."""
    server = Server(async_mode=runtime)
    with clients(server, 3) as (a, b, c):
        a.on("question", lambda text: text.upper())
        for client in (a, b):
            server.enter_room(client.sid(), "room")
        (socket,) = server.of("/").to(a.sid()).fetch_sockets()
        socket.emit("itself")
        socket.volatile.emit("volatile")
        socket.broadcast.emit("others")
        socket.to("room").emit("room but itself")
        socket.in_("room", a.sid()).emit("in")
        socket.except_("room").emit("not the room")
        assert names(a, b, c) == [
            ["itself", "volatile"],
            ["others", "room but itself", "in"],
            ["others", "not the room"],
        ]
        assert socket.call("question", "why", timeout=WAIT_S) == "WHY"
        a.disconnect()
        with pytest.raises(NotConnectedError):
            socket.call("question", "why", timeout=WAIT_S)


def test_a_socket_asks_its_client(runtime: Runtime) -> None:
    """call() returns the answer; a callback gets it."""
    server = Server(async_mode=runtime)
    with clients(server, 1) as (client,):
        client.on("question", lambda text: text.upper())
        socket = server.socket(client.sid())
        assert socket.call("question", "why", timeout=WAIT_S) == "WHY"
        socket.emit("question", "what", callback=lambda answer: server.emit("answered", answer))
        assert client.wait_for("answered", WAIT_S)["args"] == ["WHAT"]
        socket.disconnect()
        with pytest.raises(NotConnectedError):
            socket.call("question", "?", timeout=WAIT_S)


def test_a_socket_knows_how_it_began(runtime: Runtime) -> None:
    """The handshake has what Node's has: headers, address, query, auth and the time."""
    server = Server(async_mode=runtime)
    headers = {"Origin": "http://page", "X-Own": "1"}
    with TestClient(server, "/", "a=b&c=%C3%A9", headers, {"token": 1}) as client:
        socket = server.socket(client.sid())
        handshake = socket.handshake
        assert handshake.headers["x-own"] == "1"
        assert (handshake.address, handshake.secure, handshake.xdomain) == (
            "127.0.0.1",
            False,
            True,
        )
        assert (handshake.query, handshake.auth) == ({"a": "b", "c": "é"}, {"token": 1})
        assert handshake.url == "/socket.io/?a=b&c=%C3%A9"
        assert handshake.issued == int(socket.issued * 1000)
        assert handshake.time.endswith(str(1970 + int(socket.issued // 31_556_952)))
        assert handshake.as_dict()["auth"] == {"token": 1}


def test_data_is_the_sockets_own(runtime: Runtime) -> None:
    """A dict that is kept until it leaves, and that others see a copy of."""
    server = Server(async_mode=runtime)
    with clients(server, 2) as (a, b):
        server.socket(a.sid()).data["name"] = "a"
        assert server.socket(a.sid()).data == {"name": "a"}
        assert server.socket(b.sid()).data == {}
        (seen,) = server.of("/").to(a.sid()).fetch_sockets()
        seen.data["name"] = "changed"
        assert server.socket(a.sid()).data == {"name": "a"}


def test_disconnect_can_close_the_connection(runtime: Runtime) -> None:
    """Else the client stays in its other namespaces."""
    server = Server(async_mode=runtime, namespaces="*")
    with clients(server, 1) as (client,):
        client.connect("/other")
        server.socket(client.sid()).disconnect()
        assert (client.is_connected(), client.is_connected("/other")) == (False, True)
        server.socket(client.sid("/other"), "/other").disconnect(close=True)
        assert not client.is_connected("/other")


# -- what became of an emit -------------------------------------------------------------


def test_an_emit_counts(runtime: Runtime) -> None:
    """By every way to emit: whom it was for, and who took it."""
    server = Server(async_mode=runtime)
    with clients(server, 3) as (a, _b, _c):
        for result in (
            server.emit("x"),
            server.send("x"),
            server.of("/").emit("x"),
            server.emit_args("x", ()),
            server.emit("x", callback=print),
        ):
            assert (result.matched, result.queued, result.dropped) == (3, 3, 0)
        assert server.emit("x", skip_sid=a.sid()).matched == 2
        assert server.emit("x", to=a.sid()).matched == 1
        assert server.emit("x", except_rooms=[a.sid()]).matched == 2
        assert repr(server.emit("x")) == "<EmitResult matched=3 queued=3>"


def test_a_handler_that_returns_an_emit_returns_nothing(runtime: Runtime) -> None:
    """Its ack is empty, as for a handler without a return."""
    server = Server(async_mode=runtime)

    @server.event
    def ask(sid: str) -> Any:
        return server.emit("told", to=sid)

    with clients(server, 1) as (client,):
        assert client.emit("ask", callback=True) == []


# -- rooms ------------------------------------------------------------------------------


def test_room_events_are_told_in_order(runtime: Runtime) -> None:
    """A room begins with its first client and ends with its last; ids are nobody's business."""
    server = Server(async_mode=runtime)
    log: list[tuple[Any, ...]] = []
    for event in ("create", "join", "leave", "delete"):
        server.on_room_event(event, lambda *args, event=event: log.append((event, *args)))
    with clients(server, 2) as (a, b):
        for client in (a, b):
            server.enter_room(client.sid(), "room")
            server.enter_room(client.sid(), "room")
            server.enter_room(client.sid(), client.sid())
        server.leave_room(a.sid(), "room")
        b.disconnect()
        expected = [
            ("create", "/", "room"),
            ("join", "/", "room", a.sid()),
            ("join", "/", "room"),
            ("leave", "/", "room", a.sid()),
            ("leave", "/", "room"),
            ("delete", "/", "room"),
        ]
        while len(log) < len(expected):
            assert a.is_connected()
    assert [entry[: len(want)] for entry, want in zip(log, expected, strict=True)] == expected


def test_room_events_of_rooms_that_are_there_already(runtime: Runtime) -> None:
    """Who listens late hears of what comes; a wrong name is refused; a failure is logged."""
    server = Server(async_mode=runtime)
    heard: list[str] = []
    with clients(server, 1) as (client,):
        server.enter_room(client.sid(), "before")

        @server.on_room_event("join")
        def fails(namespace: str, room: str, sid: str) -> None:
            raise ValueError("in a listener")

        server.on_room_event("join", lambda _namespace, room, _sid: heard.append(room))
        server.enter_room(client.sid(), "after")
        while not heard:
            assert client.is_connected()
    assert heard == ["after"]
    with pytest.raises(ValueError, match="create, join, leave, delete"):
        server.on_room_event("enter")  # type: ignore[arg-type]


def test_where_reaches_whom_a_function_picks(runtime: Runtime) -> None:
    """Of those the chain has reached, and nobody where it picks nobody."""
    server = Server()
    assert server.of("/").where(lambda _socket: True).count() == 0
    with plain(runtime, server) as live:
        a, b, c = Peer(live), Peer(live), Peer(live)
        server.socket(a.sid).data["level"] = 3
        server.socket(b.sid).data["level"] = 1
        server.enter_room(a.sid, "room")
        server.enter_room(c.sid, "room")
        high = server.of("/").where(lambda socket: socket.data.get("level", 9) > 2)
        high.emit("all")
        server.of("/").to("room").where(lambda socket: "level" in socket.data).emit("of room")
        server.of("/").except_(a.sid).where(lambda socket: socket.id != b.sid).emit("but a")
        high.to("room").except_(c.sid).emit("goes on")
        server.of("/").where(lambda _socket: False).emit("none")
        server.enter_room(b.sid, "room")
        server.enter_room(b.sid, "other")
        high.to("room").emit("high of room")
        high.timeout(9).volatile.to(c.sid).emit("high by id")
        high.to("other").emit("nobody")
        high.to("other").to(a.sid).emit("high of both")
        assert a.sync() == [
            '42["all"]',
            '42["of room"]',
            '42["goes on"]',
            '42["high of room"]',
            '42["high of both"]',
        ]
        assert b.sync() == []
        assert c.sync() == [
            '42["all"]',
            '42["but a"]',
            '42["high of room"]',
            '42["high by id"]',
        ]
        for peer in (a, b, c):
            peer.close()
