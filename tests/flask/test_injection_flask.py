"""Handlers of Flask's convention that are given values besides."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from flask import g, request

from flask_sio import Inject, Namespace, Socket, SocketBlueprint, SocketIO
from tests.flask.site import Site
from tests.server.models import User

ADA = {"name": "Ada", "age": 36}


def about(socket: Socket) -> Iterator[list[Any]]:
    """Give what is known in the event's context; it is there until the end."""
    g.about = [socket.id == request.sid, request.event["message"]]  # type: ignore[attr-defined]
    yield g.about
    g.closed.append(g.about)


About = Annotated[list[Any], Inject(about)]


def greet(about: About, name: str, socket: Socket) -> Any:
    return [*about, name, socket.id == request.sid]  # type: ignore[attr-defined]


async def greet_later(about: About, name: str, socket: Socket) -> Any:
    return greet(about, name, socket)


def greet_sid(sid: str, about: About, name: str, socket: Socket) -> Any:
    return greet(about, name, socket)


def greet_at(about: About, name: str, place: str, socket: Socket) -> Any:
    return [*greet(about, name, socket), place]


class Methods(Namespace):
    def on_greet(self, about: About, name: str, socket: Socket) -> Any:
        return greet(about, name, socket)


class Trigger(Methods):
    def trigger_event(self, event: str, *args: Any) -> Any:
        return super().trigger_event(event, *args)


class Each(Methods):
    per_client = True


def on_blueprint(socketio: SocketIO) -> None:
    blueprint = SocketBlueprint("x", "/x")
    blueprint.on_event("greet", greet)
    socketio.register_blueprint(blueprint)


@pytest.mark.parametrize(
    "register",
    [
        lambda socketio: socketio.on_event("greet", greet, "/x"),
        lambda socketio: socketio.on_event("greet", greet_later, "/x"),
        lambda socketio: socketio.on_event("greet", greet_later, "/x", timeout=600),
        lambda socketio: socketio.on_event("greet", greet, "/x", concurrent=True),
        lambda socketio: socketio.server.on("greet", greet_sid, "/x"),
        lambda socketio: socketio.on_namespace(Methods("/x")),
        lambda socketio: socketio.on_namespace(Trigger("/x")),
        lambda socketio: socketio.on_namespace(Each("/x")),
        on_blueprint,
    ],
)
def test_every_kind_of_handler_is_given_values(site: Site, register: Any) -> None:
    """In the event's context; what yields goes on there after the handler."""
    pytest.importorskip("asgiref")
    register(site.socketio)
    closed: list[Any] = []
    site.socketio.before_event(lambda: setattr(g, "closed", closed))
    client = site.client()
    client.connect("/x")
    greeted = [True, "greet", "Ada", True]
    assert client.ask("greet", "Ada", namespace="/x") == [greeted]
    assert closed == [greeted[:2]]


def test_values_of_a_namespaces_name(site: Site) -> None:
    """They have their own places beside those."""
    site.socketio.on_event("greet", greet_at, "/in/<place>")
    site.socketio.before_event(lambda: setattr(g, "closed", []))
    client = site.client()
    client.connect("/in/here")
    answer = [True, "greet", "Ada", True, "here"]
    assert client.ask("greet", "Ada", namespace="/in/here") == [answer]


def test_connecting_and_leaving(site: Site) -> None:
    """A connect handler may take its auth data beside them, a disconnect handler the details."""
    seen: list[Any] = []

    @site.socketio.on("connect", namespace="/x")
    def connect(socket: Socket, user: User) -> None:
        seen.append((socket.id == request.sid, user.name))  # type: ignore[attr-defined]

    @site.socketio.on("disconnect", namespace="/x")
    def disconnect(reason: str, number: Annotated[int, Inject(lambda: 5)], details: Any) -> None:
        seen.append((reason, number, details.reason))

    with site.socketio.test_client(site.app, "/x", auth=ADA):
        pass
    left = ("client disconnect", 5, "client namespace disconnect")
    assert seen == [(True, "Ada"), left]


def test_an_error_handler_gets_what_a_function_raises(site: Site) -> None:
    """As if the handler had; the handler does not run."""

    def away() -> None:
        raise OSError("the database is away")

    @site.socketio.on("read")
    def read(db: Annotated[None, Inject(away)]) -> None:
        pytest.fail("it ran")

    site.socketio.errorhandler(OSError)(lambda error: str(error))
    client, _ = site.joined()
    assert client.ask("read") == ["the database is away"]


def test_a_wrong_argument_is_still_one_line(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """What was sent is judged without what is given besides."""

    @site.socketio.on("one")
    def one(given: Annotated[int, Inject(lambda: 5)], only: Any) -> None: ...

    client, _ = site.joined()
    client.emit("one")
    assert site.run(client, lambda: "next") == ["next"]
    assert "takes no 0 arguments" in caplog.text
    assert "Traceback" not in caplog.text


def test_wrong_use_fails_without_an_application() -> None:
    """Where the handler is registered, with its name and the parameter's."""

    def read(db: Annotated[None, Inject(5)]) -> None: ...  # type: ignore[arg-type]

    for registrar in (SocketIO(), SocketBlueprint("x")):
        with pytest.raises(TypeError, match=r"db of .*read: Inject"):
            registrar.on_event("read", read)
