"""Handlers of Flask's convention that ask for models."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from flask import Flask, request

from flask_sio import Namespace, PayloadError, SocketBlueprint, SocketIO
from tests.flask.site import Site
from tests.live import Runtime
from tests.server.models import User

ADA = {"name": "Ada", "age": 36}
MISSING = [{"path": [0, "age"], "message": "is missing"}]
INVALID = [{"error": "Invalid payload", "errors": MISSING}]


def greet(user: User) -> str:
    return f"{type(user).__name__} {user.name}"


async def greet_later(user: User) -> str:
    return greet(user)


class Methods(Namespace):
    def on_greet(self, user: User) -> str:
        return greet(user)


class Trigger(Methods):
    def trigger_event(self, event: str, *args: Any) -> Any:
        return super().trigger_event(event, *args)


def on_function(socketio: SocketIO) -> None:
    socketio.on_event("greet", greet, "/x")


def on_async(socketio: SocketIO) -> None:
    socketio.on_event("greet", greet_later, "/x")


def on_blueprint(socketio: SocketIO) -> None:
    blueprint = SocketBlueprint("x", "/x")
    blueprint.on_event("greet", greet)
    socketio.register_blueprint(blueprint)


def on_class(socketio: SocketIO) -> None:
    socketio.on_namespace(Methods("/x"))


def on_trigger(socketio: SocketIO) -> None:
    socketio.on_namespace(Trigger("/x"))


def on_server(socketio: SocketIO) -> None:
    @socketio.server.on("greet", namespace="/x")
    def greet_sid(sid: str, user: User) -> str:
        return greet(user)


@pytest.mark.parametrize(
    "register", [on_function, on_async, on_blueprint, on_class, on_trigger, on_server]
)
def test_every_kind_of_handler_gets_models(site: Site, register: Any) -> None:
    """A function, a coroutine, a blueprint's, a method, one of the server's own: all checked."""
    if register is on_async:
        pytest.importorskip("asgiref")
    register(site.socketio)
    client = site.client()
    client.connect("/x")

    assert client.ask("greet", ADA, namespace="/x") == ["User Ada"]
    assert client.ask("greet", {"name": "Ada"}, namespace="/x") == INVALID


def test_an_error_handler_may_answer(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """`errorhandler(PayloadError)` makes the ack; the event's own arguments are as they came."""
    site.socketio.on_event("greet", greet)

    @site.socketio.errorhandler(PayloadError)
    def invalid(error: PayloadError) -> Any:
        return [str(error), request.event["args"]]  # type: ignore[attr-defined]

    client, _ = site.joined()
    assert client.ask("greet", {"name": "Ada"}) == [["0.age: is missing", [{"name": "Ada"}]]]


def test_hooks_come_before_and_teardown_learns_of_it(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """Who may not send at all learns nothing of the payload; it is no failure in the log."""
    seen: list[Any] = []
    site.socketio.on_event("greet", greet)
    site.socketio.before_event(lambda: None if request.event["args"] else "no")  # type: ignore[attr-defined]
    site.socketio.teardown_event(lambda error: seen.append(type(error)))
    client, _ = site.joined()

    with caplog.at_level(logging.ERROR):
        assert client.ask("greet") == ["no"]
        assert client.ask("greet", {"name": "Ada"}) == INVALID
    assert seen == [type(None), PayloadError]
    assert [each for each in caplog.records if each.levelno >= logging.ERROR] == []


def test_connect_data_is_checked(site: Site) -> None:
    """A connect handler that asks for a model gets one, or its client is refused."""
    seen: list[Any] = []

    @site.socketio.on("connect", namespace="/x")
    def connect(auth: User) -> None:
        seen.append(auth)

    with site.socketio.test_client(site.app, "/x", auth={"name": "Ada"}) as client:
        assert not client.is_connected("/x")
        assert client.refused == {
            "message": "Invalid payload",
            "data": {"errors": [{"path": ["age"], "message": "is missing"}]},
        }
    with site.socketio.test_client(site.app, "/x", auth=ADA) as client:
        assert client.is_connected("/x")
    assert seen == [User("Ada", 36)]


def test_a_test_client_sees_what_a_client_is_told(site: Site) -> None:
    """An invalid payload is an answer, not an exception of the handler."""
    site.socketio.on_event("greet", greet)
    with site.socketio.test_client(site.app) as client:
        assert client.emit("greet", {"name": "Ada"}, callback=True) == INVALID[0]
        client.emit("greet", {"name": "Ada"})
        [event] = client.get_received()
        assert event["name"] == "invalid_payload"
        assert event["args"] == [{"event": "greet", "errors": MISSING}]


def test_a_catch_all_takes_what_comes(site: Site) -> None:
    """What a handler of any event is annotated with is its own affair, in a blueprint too."""
    blueprint = SocketBlueprint("x")

    @blueprint.on("*")
    def anything(event: str, user: User) -> str:
        return f"{event} {type(user).__name__}"

    site.socketio.register_blueprint(blueprint)
    client, _ = site.joined()
    assert client.ask("greet", {}) == ["greet dict"]


def test_values_of_a_namespaces_name_stand_beside_models(site: Site) -> None:
    """As with a URL rule: the number is the name's, the user is the client's."""

    @site.socketio.on("greet", namespace="/job/<int:number>")
    def greet(user: User, number: int, loud: bool = False) -> list[Any]:
        return [user.name, number, loud]

    client = site.client()
    client.connect("/job/7")
    assert client.ask("greet", ADA, True, namespace="/job/7") == [["Ada", 7, True]]
    assert client.ask("greet", {"name": "Ada"}, namespace="/job/7") == INVALID


def test_a_factory_may_have_its_own_models(runtime: Runtime) -> None:
    """Its names are looked up where the handler is registered, whenever an application comes."""
    from dataclasses import dataclass

    socketio = SocketIO(async_mode=runtime)

    @dataclass
    class Local:
        text: str

    @socketio.on("do")
    def do(it: Local, more: list[Local] | None = None) -> str:
        return it.text

    app = Flask("late")
    late(socketio, app)
    with socketio.test_client(app) as client:
        assert client.emit("do", {"text": "x"}, [{"text": "y"}], callback=True) == "x"
        assert client.emit("do", {}, callback=True)["error"] == "Invalid payload"


def late(socketio: SocketIO, app: Flask) -> None:
    socketio.init_app(app)
