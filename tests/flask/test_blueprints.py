"""Socket blueprints: events of one part of a program, registered together."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Blueprint, Flask, current_app, request

from flask_sio import ConnectionRefusedError, SocketBlueprint, SocketIO, emit
from tests.flask.polling import PollingClient
from tests.flask.site import Site


def test_handlers_in_the_blueprints_namespace(site: Site) -> None:
    """on, event and on_event of a blueprint are for its namespace, and give the function back."""
    chat = SocketBlueprint("chat", namespace="/chat")

    @chat.on("one")
    def one() -> str:
        return "one"

    @chat.event
    def two() -> str:
        emit("reply")
        return request.namespace  # type: ignore[attr-defined,no-any-return]

    chat.on_event("three", lambda: "three")
    chat.on_event("four", lambda: "four", namespace="/other")
    site.socketio.register_blueprint(chat)
    assert one() == "one"
    client = site.client()
    client.connect("/chat")
    client.connect("/other")
    answers = [client.ask(name, namespace="/chat") for name in ("one", "two", "three")]
    assert answers == [["one"], ["/chat"], ["three"]]
    assert client.until("42/chat,") == '42/chat,["reply"]'
    assert client.ask("four", namespace="/other") == ["four"]


@pytest.mark.parametrize(
    ("own", "given", "where"),
    [(None, None, "/"), ("/own", None, "/own"), ("/own", "/given", "/given"), (None, "/a", "/a")],
)
def test_which_namespace(own: str | None, given: str | None, where: str) -> None:
    """The registration's namespace comes before the blueprint's own, and "/" is the last."""
    site = Site(async_mode="threading")
    blueprint = SocketBlueprint("x", own)
    blueprint.on_event("ping", lambda: "pong")
    site.socketio.register_blueprint(blueprint, namespace=given)
    client = site.client()
    client.connect(where)
    assert client.ask("ping", namespace=where) == ["pong"]
    site.socketio.shutdown()


def test_one_blueprint_in_two_namespaces(site: Site) -> None:
    """A blueprint may be registered once in each of several namespaces."""
    blueprint = SocketBlueprint("x")
    blueprint.on_event("where", lambda: request.namespace)  # type: ignore[attr-defined]
    for namespace in ("/a", "/b"):
        site.socketio.register_blueprint(blueprint, namespace)
    client = site.client()
    for namespace in ("/a", "/b"):
        client.connect(namespace)
        assert client.ask("where", namespace=namespace) == [namespace]


def test_connect_and_disconnect_of_a_blueprint(site: Site) -> None:
    """A blueprint's connect handler decides about its namespace."""
    blueprint = SocketBlueprint("x", "/x")
    left: list[str] = []

    @blueprint.on("connect")
    def connect(auth: Any) -> None:
        if auth is None:
            raise ConnectionRefusedError("who?")

    blueprint.on("disconnect")(lambda: left.append(request.sid))  # type: ignore[attr-defined]
    site.socketio.register_blueprint(blueprint)
    client = site.client()
    assert client.connect("/x") == '44/x,{"message":"who?"}'
    sid = client.sid("/x", auth={"name": "Ada"})
    client.connect()
    client.post("41/x,")
    site.run(client, lambda: None)
    assert left == [sid]


def test_before_and_after_init_app() -> None:
    """Blueprints, and handlers that come to them late, reach every application."""
    socketio = SocketIO(async_mode="threading")
    blueprint = SocketBlueprint("x")
    blueprint.on_event("early", lambda: current_app.name)
    socketio.register_blueprint(blueprint)
    apps = [Flask("first"), Flask("second")]
    for app in apps:
        socketio.init_app(app)
    blueprint.on_event("late", lambda: current_app.name)
    for app in apps:
        client = PollingClient(app)
        client.connect()
        assert client.ask("early") == client.ask("late") == [app.name]
    socketio.shutdown()


def test_a_later_handler_replaces_a_blueprints(site: Site) -> None:
    """Of two handlers of one event the later registered counts, wherever it comes from."""
    blueprint = SocketBlueprint("x")
    blueprint.on_event("which", lambda: "blueprint")
    site.socketio.on_event("which", lambda: "before")
    site.socketio.register_blueprint(blueprint)
    client, _ = site.joined()
    assert client.ask("which") == ["blueprint"]
    site.socketio.on_event("which", lambda: "after")
    assert client.ask("which") == ["after"]


@pytest.mark.quick
def test_names_are_taken_once() -> None:
    """Two blueprints of one name, or one twice in a namespace, are a ValueError."""
    socketio = SocketIO()
    blueprint = SocketBlueprint("x")
    socketio.register_blueprint(blueprint)
    for other in (blueprint, SocketBlueprint("x", "/elsewhere")):
        with pytest.raises(ValueError, match="'x' is registered already"):
            socketio.register_blueprint(other)


@pytest.mark.quick
def test_what_is_no_socket_blueprint_is_refused() -> None:
    """Flask's Blueprint is left alone; passing one says what is meant."""
    theirs: Any = Blueprint("x", "x")
    with pytest.raises(TypeError, match="no SocketBlueprint"):
        SocketIO().register_blueprint(theirs)
    assert not hasattr(Blueprint, "on_event")


def test_a_handler_that_names_a_namespace_replaces_none_that_does_not() -> None:
    """Registered elsewhere, a blueprint has both."""
    blueprint = SocketBlueprint("x", "/x")
    blueprint.on_event("go", lambda: "anywhere")
    blueprint.on_event("go", lambda: "in /x", "/x")
    app = Flask("site")
    socketio = SocketIO(async_mode="threading")
    socketio.register_blueprint(blueprint, "/y")
    socketio.init_app(app)
    with socketio.test_client(app, "/y") as client:
        client.connect("/x")
        assert client.emit("go", namespace="/y", callback=True) == "anywhere"
        assert client.emit("go", namespace="/x", callback=True) == "in /x"


@pytest.mark.quick
def test_a_wrong_handler_fails_at_the_blueprint() -> None:
    """A blueprint checks handlers before it is registered anywhere."""
    blueprint = SocketBlueprint("x")

    def connect(one: int, two: int) -> None: ...

    with pytest.raises(TypeError, match="connect"):
        blueprint.on("connect")(connect)
    assert blueprint.handlers == []


def test_a_registration_that_fails_leaves_nothing() -> None:
    """What a server has refused is not there for the next application either."""
    socketio = SocketIO(Flask("one"), async_mode="threading")
    socketio.on_event("go", lambda: "kept")
    there = socketio.listeners("go")
    with pytest.raises(ValueError, match="nonsense"):
        socketio.on_event("go", lambda: None, "/job/<nonsense:id>")
    blueprint = SocketBlueprint("x")
    blueprint.on_event("go", lambda: "blueprint's")
    failing = SocketBlueprint("y")
    failing.on_event("go", lambda: "of one that fails")
    failing.on_event("more", lambda: None, "/job/<nonsense:id>")
    with pytest.raises(ValueError, match="nonsense"):
        socketio.register_blueprint(failing)
    socketio.register_blueprint(blueprint, "/x")
    with pytest.raises(ValueError, match="nonsense"):
        blueprint.on_event("go", lambda: None, "/job/<nonsense:id>")
    another = Flask("another")
    socketio.init_app(another)
    assert socketio.listeners("go") == there
    assert len(blueprint.listeners("go")) == 1
    assert [each for each, *_ in socketio.blueprints] == [blueprint]
    with socketio.test_client(another, "/x") as client:
        client.connect()
        assert client.emit("go", callback=True) == "kept"
        assert client.emit("go", namespace="/x", callback=True) == "blueprint's"


def test_a_later_application_has_the_same_order() -> None:
    """Who replaces whom, and which listener is first, is as it was in the first application."""
    first, second = Flask("first"), Flask("second")
    socketio = SocketIO(first, async_mode="threading")
    heard: list[str] = []
    blueprint = SocketBlueprint("x")
    blueprint.on_event("one", lambda: "blueprint")
    blueprint.on_event("two", lambda: "blueprint")
    blueprint.on_any(lambda event: heard.append("blueprint"))
    socketio.on_event("two", lambda: "extension")
    socketio.register_blueprint(blueprint)
    socketio.on_event("one", lambda: "extension")
    socketio.on_event("three", lambda: "extension")
    socketio.on_any(lambda event: heard.append("extension"))
    blueprint.on_event("three", lambda: "blueprint")
    socketio.init_app(second)
    for app in (first, second):
        with socketio.test_client(app) as client:
            answers = [client.emit(name, callback=True) for name in ("one", "two", "three")]
        assert answers == ["extension", "blueprint", "blueprint"]
        assert heard[:2] == ["blueprint", "extension"]
        heard.clear()
