"""Middleware and listeners in Flask: no id first, and the context of the client."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, current_app, g, request, session

from flask_sio import (
    ConnectionRefusedError,
    EventRefusedError,
    Namespace,
    SocketBlueprint,
    SocketIO,
    emit,
    join_room,
    rooms,
)
from tests.flask.site import Site


def test_use_runs_in_the_context_of_the_connect_handler(site: Site) -> None:
    """It shares ``g``, the request and the session with the handler."""
    seen: list[Any] = []
    socketio = site.socketio

    @socketio.use
    def with_auth(auth: Any) -> None:
        g.user = auth["user"]
        session["user"] = auth["user"]
        join_room("everybody")
        seen.append((request.namespace, request.event["message"]))  # type: ignore[attr-defined]

    @socketio.use()
    async def with_nothing() -> None:
        seen.append(g.user)

    @socketio.on("connect")
    def connect() -> None:
        seen.append((g.user, session["user"], rooms()[1:], current_app.name))

    client = site.client()
    client.connect(auth={"user": "ada"})
    assert seen == [("/", "connect"), "ada", ("ada", "ada", ["everybody"], "site")]


def test_use_refuses(site: Site) -> None:
    """With the text and data of the exception; the connect handler does not run."""
    seen: list[Any] = []

    @site.socketio.use(namespace="*")
    def guard(auth: Any) -> None:
        if not auth:
            raise ConnectionRefusedError("log in first", {"url": "/login"})

    site.socketio.on_event("connect", lambda: seen.append("connect"))
    with site.socketio.test_client(site.app) as client:
        assert client.refused == {"message": "log in first", "data": {"url": "/login"}}
        client.connect(auth={"user": 1})
        assert client.is_connected()
    assert seen == ["connect"]


def test_use_goes_with_blueprint_class_and_error_handlers(site: Site) -> None:
    """Its exceptions go where those of the connect handler go."""
    seen: list[Any] = []
    blueprint = SocketBlueprint("x", "/x")

    @blueprint.use
    def fail() -> None:
        raise KeyError("missing")

    @blueprint.on("connect")
    def connect() -> None:
        seen.append("never")

    @blueprint.errorhandler(KeyError)
    def missing(error: KeyError) -> None:
        seen.append(f"handled {error}")

    class Chat(Namespace):
        def on_connect(self) -> None:
            seen.append("method")

    site.socketio.register_blueprint(blueprint)
    site.socketio.on_namespace(Chat("/chat"))
    site.socketio.use(lambda: seen.append("before"), "/chat")
    with site.socketio.test_client(site.app, "/chat") as client:
        client.connect("/x")
        assert not client.is_connected("/x")
    assert seen == ["before", "method", "handled 'missing'"]


def test_use_event(site: Site) -> None:
    """It takes the name and the arguments, may replace them, and may refuse."""
    seen: list[Any] = []
    socketio = site.socketio

    @socketio.use_event
    def check(event: str, args: Any) -> Any:
        seen.append((event, args, request.event["message"]))  # type: ignore[attr-defined]
        if event == "forbidden":
            raise EventRefusedError("no", request.sid)  # type: ignore[attr-defined]
        return [*args, session.get("user")]

    @socketio.before_event
    def before() -> None:
        seen.append(("before", request.event["args"]))  # type: ignore[attr-defined]

    socketio.on_event("connect", lambda: session.update(user="ada"))
    socketio.on_event("go", lambda *args: list(args))
    client, sid = site.joined()
    assert client.ask("go", 1) == [[1, "ada"]]
    assert client.ask("forbidden") == [{"error": "no", "data": sid}]
    assert seen == [("go", (1,), "go"), ("before", (1, "ada")), ("forbidden", (), "forbidden")]


@pytest.mark.parametrize("fails", [False, True])
def test_an_error_handler_does_not_stand_in_for_event_middleware(site: Site, fails: bool) -> None:
    """What it returns would be taken for arguments: a failure is a failure."""
    ran: list[str] = []

    @site.socketio.use_event
    def check(event: str, args: Any) -> None:
        if fails:
            raise KeyError("x")

    site.socketio.errorhandler(KeyError)(lambda error: ["from the error handler"])
    site.socketio.on_event("go", lambda *args: ran.append("go"))
    client, _ = site.joined()
    client.emit("go")
    client.connect("/other")
    client.ask("do", namespace="/other")
    assert ran == ([] if fails else ["go"])


def test_refusals_are_no_failures(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Raised by a handler or a hook, EventRefusedError meets no error handler and no log."""

    def refuse(*_: Any) -> None:
        raise EventRefusedError("not now")

    site.socketio.on_error_default(lambda error: "handled")
    client, _ = site.joined()
    caplog.clear()
    assert site.run(client, refuse) == [{"error": "not now"}]
    site.socketio.before_event(refuse)
    assert site.run(client, lambda: "never") == [{"error": "not now"}]
    assert [each for each in caplog.records if each.levelname == "ERROR"] == []


def test_listeners(site: Site) -> None:
    """Incoming ones run before, outgoing ones soon after, in the client's context."""
    seen: list[Any] = []
    socketio = site.socketio

    @socketio.on_any
    def incoming(event: str, *args: Any) -> None:
        seen.append((event, args, request.sid, request.event))  # type: ignore[attr-defined]

    @socketio.on_any_outgoing
    def outgoing(event: str, *args: Any) -> None:
        seen.append((event, args, request.sid, current_app.name))  # type: ignore[attr-defined]

    socketio.on_event("go", lambda text: emit("gone", (text, 2)))
    with socketio.test_client(site.app) as client:
        client.emit("go", "x")
        sid = client.sid()
        assert seen == [
            ("go", ("x",), sid, {"message": "go", "args": ("x",)}),
            ("gone", ("x", 2), sid, "site"),
        ]
        assert socketio.listeners_any() == [incoming]
        assert socketio.listeners_any_outgoing() == [outgoing]
        socketio.off_any(incoming)
        socketio.off_any_outgoing()
        client.emit("go", "y")
        assert len(seen) == 2


def test_an_outgoing_listener_of_a_client_that_has_left(site: Site) -> None:
    """A last event before disconnect() is told, too."""
    seen: list[str] = []
    site.socketio.on_any_outgoing(lambda event: seen.append(event))

    def leave() -> None:
        from flask_sio import disconnect

        emit("bye")
        disconnect()

    site.socketio.on_event("leave", leave)
    client = site.socketio.test_client(site.app)
    client.emit("leave")
    assert seen == ["bye"]


def test_every_application_gets_them(site: Site) -> None:
    """In their order, also a later one; what was taken away stays away."""
    seen: list[str] = []
    socketio = site.socketio
    blueprint = SocketBlueprint("x")
    blueprint.on_any(lambda event: seen.append("blueprint"))
    socketio.register_blueprint(blueprint)

    def second(event: str) -> None:
        seen.append("second")

    socketio.on_any(second)
    socketio.prepend_any(lambda event: seen.append("first"))
    socketio.on_any(second)
    socketio.off_any(second)
    blueprint.use_event(lambda event, args: seen.append("late"))
    another = Flask("another")
    socketio.init_app(another)
    socketio.off_any(None, "/other")
    for app in (site.app, another):
        seen.clear()
        with socketio.test_client(app) as client:
            client.emit("x")
        assert sorted(seen) == ["blueprint", "first", "late", "second"]
        assert seen.index("first") < seen.index("second")
    blueprint.off_any()
    seen.clear()
    with socketio.test_client(site.app) as client:
        client.emit("x")
    assert seen == ["first", "second", "late"]


def test_before_init_app() -> None:
    """They may be registered before there is an application, and are checked at once."""
    socketio = SocketIO(async_mode="threading")
    seen: list[Any] = []
    socketio.use(lambda: seen.append("use"))
    socketio.on_any(lambda event: seen.append(event))
    with pytest.raises(TypeError, match=r"use\(\) needs a function of nothing or \(auth\)"):
        socketio.use(lambda one, two: None)
    with pytest.raises(TypeError, match=r"use_event\(\) needs a function of \(event, args\)"):
        socketio.use_event(lambda event: None)
    app = Flask("site")
    socketio.init_app(app)
    with socketio.test_client(app) as client:
        client.emit("x")
    assert seen == ["use", "x"]


def test_the_servers_own_take_the_socket(site: Site) -> None:
    """What is registered with ``socketio.server`` is called as a plain server's."""
    seen: list[Any] = []
    server = site.socketio.server
    server.use(lambda socket: seen.append(socket.namespace))
    server.use_event(lambda socket, event, args: seen.append((socket.id, event)))
    server.on_any(lambda event, sid: seen.append((event, sid)))
    with site.socketio.test_client(site.app) as client:
        sid = client.sid()
        client.emit("x")
    assert seen == ["/", ("x", sid), (sid, "x")]
