"""Chains of operators and sockets as objects in a Flask application."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, current_app, g, request, session

from flask_sio import SocketIO, current_socket, emit, join_room, leave_room
from flask_sio.signals import event_emitted
from flask_sio.testing import SocketIOTestClient
from tests.live import WAIT_S, Runtime


class Site:
    """An application whose event ``do`` runs what a test says."""

    def __init__(self, runtime: Runtime) -> None:
        self.app = Flask("site")
        self.app.secret_key = "secret"
        self.socketio = SocketIO(self.app, async_mode=runtime)
        self.do: Any = lambda: None
        self.socketio.on_event("do", lambda *args: self.do(*args))

    def client(self) -> SocketIOTestClient:
        return self.socketio.test_client(self.app, timeout=WAIT_S)

    def run(self, client: SocketIOTestClient, fn: Any) -> Any:
        self.do = fn
        return client.emit("do", callback=True)


@pytest.fixture
def site(runtime: Runtime) -> Site:
    return Site(runtime)


def names(*clients: SocketIOTestClient) -> list[list[str]]:
    return [[event["name"] for event in client.get_received()] for client in clients]


def test_the_current_socket_is_the_client_of_the_event(site: Site) -> None:
    """Its emits go to it, its chains to the others; elsewhere there is none."""
    with site.client() as a, site.client() as b:

        def handler() -> Any:
            current_socket.emit("own")
            current_socket.broadcast.emit("others")
            current_socket.data["name"] = "a"
            current_socket.join("room")
            return [current_socket.id == request.sid, current_socket.rooms]  # type: ignore[attr-defined]

        assert site.run(a, handler) == [True, [a.sid(), "room"]]
        assert names(a, b) == [["own"], ["others"]]
        assert site.socketio.of("/").sockets[a.sid()].data == {"name": "a"}
    with pytest.raises(RuntimeError, match="no event is"):
        current_socket.emit("x")


def test_chains_reach_clients_from_anywhere(site: Site) -> None:
    """Outside of any context, and with a callback in the context of the handler's client."""
    with site.client() as a, site.client() as b:
        b.on("question", lambda: "yes")
        site.socketio.of("/").except_(a.sid()).emit("news")

        def callback(answer: str) -> None:
            emit("answered", [answer, current_app.name, "mark" in g])

        def handler() -> None:
            g.mark = True
            site.socketio.of("/").to(b.sid()).emit("question", callback=callback)

        site.run(a, handler)
        assert a.wait_for("answered", WAIT_S)["args"] == [["yes", "site", False]]
        assert site.socketio.of("/").to(b.sid()).call("question") == {b.sid(): "yes"}
        assert names(a, b) == [[], ["news", "question", "question"]]


def test_an_emit_returned_from_a_handler_is_no_ack(site: Site) -> None:
    """return emit(...) answers with nothing."""
    with site.client() as client:
        assert site.run(client, lambda: emit("told")) == []
        assert site.run(client, lambda: emit("told", broadcast=True).matched) == 1


def test_an_emit_can_leave_rooms_out_and_be_volatile(site: Site) -> None:
    """except_rooms= and volatile= of emit and socketio.emit."""
    with site.client() as a, site.client() as b:
        site.socketio.server.enter_room(b.sid(), "muted")
        site.socketio.emit("one", except_rooms="muted")
        site.run(a, lambda: emit("two", broadcast=True, except_rooms=["muted"]))
        site.socketio.emit("three", volatile=True)
        assert names(a, b) == [["one", "two", "three"], ["three"]]


def test_the_signal_tells_of_chains_too(site: Site) -> None:
    """event_emitted is sent for every way to emit."""
    told: list[tuple[str, Any, Any]] = []

    def listen(_sender: Any, event: str, to: Any, users: Any, **_: Any) -> None:
        told.append((event, to, users))

    with site.client() as client, event_emitted.connected_to(listen, site.app):
        site.socketio.of("/").to("room", user="ada").emit("chain")
        site.socketio.of("/").sockets[client.sid()].emit("socket")
    assert told == [("chain", ["room"], ["ada"]), ("socket", [client_sid(told)], [])]


def client_sid(told: list[tuple[str, Any, Any]]) -> str:
    (sid,) = told[1][1]
    return str(sid)


def test_listeners_run_in_an_application_context(site: Site) -> None:
    """Of rooms, registered before and after init_app; without a client there is no session."""
    seen: list[Any] = []

    @site.socketio.on_room_event("join")
    def joined(namespace: str, room: str, sid: str) -> None:
        with pytest.raises(RuntimeError):
            session.get("x")
        seen.append((current_app.name, namespace, room))

    with site.client() as client:
        site.socketio.server.enter_room(client.sid(), "room")
        while not seen:
            assert client.is_connected()
        second = Flask("second")
        site.socketio.init_app(second)
        with site.socketio.test_client(second, timeout=WAIT_S) as other:
            site.socketio.server.enter_room(other.sid(), "again")
            while len(seen) < 2:
                assert other.is_connected()
    assert seen == [("site", "/", "room"), ("second", "/", "again")]
    with pytest.raises(ValueError, match="no room event"):
        site.socketio.on_room_event("enter")  # type: ignore[arg-type]


def test_rooms_are_joined_together_and_told_of(site: Site) -> None:
    """A list of rooms at once; the extension tells who is where, outside of any context."""
    with site.client() as a, site.client() as b:
        site.run(a, lambda: join_room(["one", "two", "three"]))
        site.run(a, lambda: leave_room({"two", "three"}))
        site.run(b, lambda: join_room("one"))
        told = site.socketio
        assert told.room_members("one") == [a.sid(), b.sid()]
        assert (told.room_size("one"), told.room_size("two")) == (2, 0)
        assert told.all_rooms() == ["one"]
        assert told.all_rooms("/chat") == []
