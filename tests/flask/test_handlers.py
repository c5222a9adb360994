"""Registering handlers, and which of them runs."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, request

from flask_sio import ConnectionRefusedError, NotConnectedError, Server, SocketBlueprint, SocketIO
from flask_sio import join_room as join_room_of
from tests.flask.polling import PollingClient
from tests.flask.site import Site

RESERVED = ["connect_error", "newListener", "removeListener"]


# -- several for one event --------------------------------------------------------------


def test_added_handlers_run_after_the_first(site: Site) -> None:
    """add=True joins a handler to those there are; the first one's result is the ack."""
    ran: list[str] = []

    def handler(name: str) -> Any:
        return lambda *args: ran.append(name) or f"{name} {args}"

    socketio = site.socketio
    socketio.on("news", add=True)(handler("first"))
    socketio.on("news", add=True)(handler("second"))
    socketio.on_event("news", handler("third"), add=True)
    client, _ = site.joined()
    assert client.ask("news", 1) == ["first (1,)"]
    site.run(client, lambda: None)
    assert ran == ["first", "second", "third"]
    socketio.on("news")(handler("alone"))
    ran.clear()
    assert client.ask("news", 2) == ["alone (2,)"]
    site.run(client, lambda: None)
    assert ran == ["alone"]


def test_added_handlers_are_apart(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Each runs in a context of its own, and after one that fails."""
    ran: list[Any] = []
    for number in range(3):

        def handler(data: Any, number: int = number) -> None:
            ran.append((number, hasattr(request, "mark")))
            request.mark = True  # type: ignore[attr-defined]
            if number == 1:
                raise ValueError

        site.socketio.on("news", add=True)(lambda data, handler=handler: handler(data))
    client, _ = site.joined()
    client.ask("news", 1)
    site.run(client, lambda: None)
    assert ran == [(0, False), (1, False), (2, False)]
    assert caplog.text.count("'news' failed") == 1


def test_added_connect_handlers_must_all_agree(site: Site) -> None:
    """A client is refused by the first connect handler that says no."""
    asked: list[str] = []
    socketio = site.socketio
    socketio.on("connect", add=True)(lambda: asked.append("first"))
    socketio.on("connect", add=True)(lambda auth: bool(asked.append("second") or auth))
    socketio.on("connect", add=True)(lambda: asked.append("third"))
    assert site.client().connect().startswith("44")
    assert asked == ["first", "second"]
    assert site.client().connect(auth={"a": 1}).startswith("40")
    assert asked[2:] == ["first", "second", "third"]


def test_added_disconnect_handlers_all_run(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Every disconnect handler runs, also after one that fails."""
    left: list[Any] = []
    blueprint = SocketBlueprint("x")
    blueprint.on("disconnect", add=True)(lambda reason: left.append(reason))

    @site.socketio.on("disconnect")
    def wrong() -> None:
        left.append("wrong")
        raise ValueError

    site.socketio.register_blueprint(blueprint)
    client, _ = site.joined()
    site.leave(client)
    assert left == ["wrong", "client disconnect"]
    assert "'disconnect' failed" in caplog.text


def test_the_plain_server_adds_handlers_too(site: Site) -> None:
    """Server.on has the same add=True, with ids first."""
    server = site.socketio.server
    ran: list[Any] = []
    server.on("news", lambda sid, *args: ran.append(sid) or "first")
    server.on("news", lambda sid, *args: ran.append(args), add=True)
    client, sid = site.joined()
    assert client.ask("news", 1) == ["first"]
    site.run(client, lambda: None)
    assert ran == [sid, (1,)]


# -- names ------------------------------------------------------------------------------


@pytest.mark.quick
@pytest.mark.parametrize("name", RESERVED)
def test_reserved_names_have_no_handlers(name: str) -> None:
    """A handler that no client could ever reach is refused where it is registered."""
    for where in (SocketIO(), SocketBlueprint("x"), Server()):
        with pytest.raises(ValueError, match=f"{name!r} is a reserved event name"):
            where.on(name)(lambda *args: None)


@pytest.mark.quick
def test_a_name_is_text() -> None:
    """Something else than an event's name is a TypeError."""
    socketio: Any = SocketIO()
    with pytest.raises(TypeError, match="an event name is text"):
        socketio.on(["a", "b"])(print)


@pytest.mark.parametrize("name", [*RESERVED, "connect", "disconnect", "disconnecting"])
def test_reserved_names_are_not_emitted(site: Site, name: str) -> None:
    """An emit under a name that clients would take for the protocol's own is refused."""
    _, sid = site.joined()
    with pytest.raises(ValueError, match="reserved"):
        site.socketio.emit(name)
    with pytest.raises(ValueError, match="reserved"):
        site.socketio.call(name, to=sid)


# -- refusals ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "packet"),
    [
        ((), '{"message":"Connection rejected by server"}'),
        (("no",), '{"message":"no"}'),
        (("no", 1), '{"message":"no","data":1}'),
        (("no", 1, 2), '{"message":"no","data":[1,2]}'),
        ((7,), '{"message":"7"}'),
        (({"code": 7},), '{"message":"Connection rejected by server","data":{"code":7}}'),
        (({"message": "no", "code": 7},), '{"message":"no","data":{"code":7}}'),
        (({"message": "no", "data": 7},), '{"message":"no","data":7}'),
        (({"message": "no"},), '{"message":"no"}'),
        (({},), '{"message":"Connection rejected by server"}'),
        (({"code": 7}, 8), '{"message":"Connection rejected by server","data":[{"code":7},8]}'),
    ],
)
def test_what_a_refused_client_is_told(args: tuple[Any, ...], packet: str) -> None:
    """The first argument is the message, or a dict with message and data; others are data."""
    site = Site(async_mode="threading")

    @site.socketio.on("connect")
    def connect() -> None:
        raise ConnectionRefusedError(*args)

    assert site.client().connect() == f"44{packet}"
    site.socketio.shutdown()


# -- clients that are not there ---------------------------------------------------------


def test_whoever_is_not_there_is_one_error(site: Site) -> None:
    """join_room and call of an unknown client raise NotConnectedError, a Value- and KeyError."""
    site.joined()
    socketio = site.socketio
    with site.app.app_context():
        for error in (NotConnectedError, ValueError, KeyError):
            with pytest.raises(error, match="'gone' is not connected to '/'"):
                join_room_of("room", sid="gone", namespace="/")
            with pytest.raises(error, match="'gone' is not connected to '/empty'"):
                socketio.call("question", to="gone", namespace="/empty")
    assert socketio.server.rooms("gone") == []
    socketio.server.leave_room("gone", "room")
    socketio.server.disconnect("gone")


# -- several applications ---------------------------------------------------------------


def test_methods_speak_for_the_active_application() -> None:
    """In a context of one of several applications socketio.emit goes to that one's clients."""
    socketio = SocketIO(async_mode="threading")
    apps = [Flask("first"), Flask("second")]
    for app in apps:
        socketio.init_app(app)
    socketio.on_event("do", lambda: socketio.emit("event"))
    clients = [PollingClient(app) for app in apps]
    for client in clients:
        client.connect()
    with apps[0].app_context():
        socketio.emit("context")
    clients[0].ask("do")
    socketio.emit("last")
    clients[1].ask("do")
    assert clients[0].events() == [["context"], ["event"]]
    assert clients[1].events() == [["last"], ["event"]]
    socketio.shutdown()
