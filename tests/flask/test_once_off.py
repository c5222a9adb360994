"""once, off and disconnecting, as Flask's handlers."""

from __future__ import annotations

from typing import Any

from flask import Flask, request

from flask_sio import SocketBlueprint, SocketIO, rooms
from tests.flask.site import Site


def test_once(site: Site) -> None:
    """Decorator or call, without an id first, for the first event of any client."""
    seen: list[Any] = []

    @site.socketio.once("first")
    def first(text: str) -> str:
        seen.append((request.event["message"], text))  # type: ignore[attr-defined]
        return "taken"

    site.socketio.once("second", lambda: seen.append("second"))
    client, _ = site.joined()
    assert client.ask("first", "a") == ["taken"]
    client.emit("first", "b")
    client.emit("second")
    client.emit("second")
    site.run(client, lambda: None)
    assert seen == [("first", "a"), "second"]


def test_off(site: Site) -> None:
    """What was registered with the extension goes, in every application, later ones too."""
    seen: list[str] = []

    def one() -> None:
        seen.append("one")

    def two() -> None:
        seen.append("two")

    socketio = site.socketio
    socketio.on_event("go", one)
    socketio.on_event("go", two, add=True)
    socketio.on_event("go", one, "/other")
    socketio.off("go", one)
    client, _ = site.joined()
    client.emit("go")
    site.run(client, lambda: None)
    assert seen == ["two"]
    another = Flask("another")
    socketio.init_app(another)
    with socketio.test_client(another) as late:
        late.emit("go")
        assert seen == ["two", "two"]
        socketio.off("go")
        late.emit("go")
        late.connect("/other")
        late.emit("go", namespace="/other")
    assert seen == ["two", "two", "one"]


def test_off_of_a_blueprint(site: Site) -> None:
    """A blueprint forgets its own, wherever it is registered, and nobody else's."""
    seen: list[str] = []
    blueprint = SocketBlueprint("x")
    blueprint.on_event("go", lambda: seen.append("blueprint"))
    blueprint.once("first", lambda: seen.append("once"))
    site.socketio.register_blueprint(blueprint)
    site.socketio.register_blueprint(blueprint, "/other")
    site.socketio.on_event("go", lambda: seen.append("extension"), add=True)
    client = site.client()
    client.connect()
    client.connect("/other")

    def go() -> list[str]:
        seen.clear()
        client.emit("go")
        client.emit("go", namespace="/other")
        client.emit("first")
        site.run(client, lambda: None)
        return list(seen)

    assert go() == ["blueprint", "extension", "blueprint", "once"]
    site.socketio.off("go")
    assert go() == ["blueprint", "blueprint"]
    blueprint.off("go")
    assert go() == []


def test_disconnecting_and_details(site: Site) -> None:
    """In the client's context: the reason, the details, or nothing."""
    seen: list[Any] = []

    @site.socketio.on("disconnecting")
    def leaving(reason: str) -> None:
        event = request.event  # type: ignore[attr-defined]
        seen.append((reason, event["message"], len(rooms())))

    @site.socketio.on("disconnect")
    def left(reason: str, details: Any) -> None:
        seen.append((reason, details.reason))

    site.socketio.on_event("disconnect", lambda: seen.append("nothing"), add=True)
    client, _ = site.joined()
    site.leave(client)
    assert seen == [
        ("client disconnect", "disconnecting", 1),
        ("client disconnect", "client namespace disconnect"),
        "nothing",
    ]


def test_an_async_handler_gets_the_details(site: Site) -> None:
    """As any other."""
    seen: list[str] = []

    @site.socketio.on("disconnect")
    async def left(details: Any) -> None:
        seen.append(details.reason)

    client, _ = site.joined()
    site.leave(client)
    assert seen == ["client namespace disconnect"]


def test_once_before_init_app() -> None:
    """What is registered without an application counts once in each."""
    socketio = SocketIO(async_mode="threading")
    seen: list[str] = []
    socketio.once("go", lambda: seen.append("go"))
    app = Flask("site")
    socketio.init_app(app)
    with socketio.test_client(app) as client:
        client.emit("go")
        client.emit("go")
    assert seen == ["go"]


def test_listeners() -> None:
    """What was registered with the extension, or the blueprint, for an event."""
    socketio, blueprint = SocketIO(), SocketBlueprint("x", "/x")

    def one() -> None: ...
    def two() -> None: ...

    socketio.on_event("go", two)
    socketio.on_event("go", one)
    socketio.on_event("go", two, add=True)
    blueprint.on_event("go", two)
    assert socketio.listeners("go") == [one, two]
    assert (blueprint.listeners("go"), blueprint.listeners("go", "/x")) == ([two], [two])
    socketio.off("go", one)
    assert socketio.listeners("go") == [two]
    assert socketio.listeners("go", "/x") == []


def test_listeners_without_a_handler_that_is_spent() -> None:
    """A handler for one time is listed until its event has come, in the last application too."""
    socketio = SocketIO(async_mode="threading")

    def first() -> None:
        pass

    def always() -> None:
        pass

    socketio.on_event("go", always)
    socketio.once("go", first, add=True)
    assert socketio.listeners("go") == [always, first]
    apps = [Flask("one"), Flask("two")]
    for app in apps:
        socketio.init_app(app)
    for app, left in zip(apps, ([always, first], [always]), strict=True):
        assert socketio.listeners("go") == [always, first]
        with socketio.test_client(app) as client:
            client.emit("go")
        assert socketio.listeners("go") == left
