"""Namespaces of a pattern in Flask: values by name, as views get them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask, current_app, request
from werkzeug.routing import BaseConverter

from flask_sio import Namespace, SocketBlueprint, SocketIO, disconnect, emit, join_room, rooms
from tests.live import Runtime


class Site:
    def __init__(self, runtime: Runtime, **options: Any) -> None:
        self.app = Flask("site")
        self.socketio = SocketIO(self.app, async_mode=runtime, **options)
        self.seen: list[Any] = []

    def client(self, *args: Any, **options: Any) -> Any:
        return self.socketio.test_client(self.app, *args, **options)


@pytest.fixture
def site(runtime: Runtime) -> Site:
    return Site(runtime)


def test_values_are_keyword_arguments(site: Site) -> None:
    """Of each handler that has such a parameter, first, last, or only; and view_args."""
    socketio, seen = site.socketio, site.seen

    @socketio.on("connect", namespace="/job/<int:number>")
    def connect(number: int) -> None:
        join_room("watchers")
        seen.append((number, request.namespace, request.view_args))

    @socketio.on("say", namespace="/job/<int:number>")
    def say(number: int, text: str) -> tuple[int, str]:
        emit("said", text, to="watchers")
        return number, text

    @socketio.on("tell", namespace="/job/<int:number>")
    async def tell(text: str, *, number: int) -> list[Any]:
        return [text, number]

    @socketio.on("plain", namespace="/job/<int:number>")
    def plain(text: str) -> str:
        return text

    @socketio.on("disconnect", namespace="/job/<int:number>")
    def left(reason: str, number: int, details: Any) -> None:
        seen.append((number, reason, details.reason, rooms()[1:]))

    name = "/job/7"
    with site.client(name) as client:
        assert client.emit("say", "hi", namespace=name, callback=True) == [7, "hi"]
        assert client.emit("tell", "hi", namespace=name, callback=True) == ["hi", 7]
        assert client.emit("plain", "hi", namespace=name, callback=True) == "hi"
        assert client.get_received(name)[0]["args"] == ["hi"]
        client.connect("/job/x")
        assert client.refused == {"message": "Invalid namespace"}
    assert seen == [
        (7, name, {"number": 7}),
        (7, "client disconnect", "client namespace disconnect", ["watchers"]),
    ]


def test_the_applications_own_converters(runtime: Runtime) -> None:
    """What ``app.url_map`` knows serves here, too; what it refuses is refused."""

    class Known(BaseConverter):
        def to_python(self, value: str) -> str:
            return f"{current_app.name} {value}"

    app = Flask("site")
    socketio = SocketIO(async_mode=runtime)
    socketio.on_event("go", lambda user: user, "/user/<known:user>")
    app.url_map.converters["known"] = Known
    socketio.init_app(app)
    with socketio.test_client(app, "/user/ada") as client:
        assert client.emit("go", namespace="/user/ada", callback=True) == "site ada"


def test_a_function_is_asked_in_the_clients_context(site: Site) -> None:
    """It may read the request."""

    def judge(name: str, auth: Any) -> bool:
        site.seen.append((name, auth, request.args.get("key"), current_app.name))
        return request.args.get("key") == "1"

    site.socketio.on("go", namespace=judge)(lambda: request.namespace)
    with site.client("/a", query_string="key=1", auth={"x": 1}) as client:
        assert client.emit("go", namespace="/a", callback=True) == "/a"
    assert not site.client("/a", query_string="key=2").is_connected("/a")
    assert site.seen == [("/a", {"x": 1}, "1", "site"), ("/a", None, "2", "site")]


def test_hooks_and_error_handlers_of_a_pattern(site: Site) -> None:
    """They are registered for the pattern, and those of all namespaces run as well."""
    socketio, seen = site.socketio, site.seen
    spec = re.compile(r"/room-(?P<number>\d)")
    socketio.before_event(lambda: seen.append("everywhere"))
    socketio.before_event(spec)(lambda: seen.append("pattern"))
    socketio.after_event("/room-1")(lambda result: seen.append("never"))
    socketio.errorhandler(KeyError, spec)(lambda error: "handled")
    socketio.on_error(spec)(lambda error: "caught")

    @socketio.on("go", namespace=spec)
    def go(kind: str, number: str) -> None:
        raise (KeyError if kind == "key" else ValueError)(number)

    name = "/room-1"
    with site.client(name) as client:
        assert client.emit("go", "key", namespace=name, callback=True) == "handled"
        assert client.emit("go", "other", namespace=name, callback=True) == "caught"
    assert seen == ["everywhere", "pattern"] * 2


def test_blueprints(site: Site) -> None:
    """A blueprint may have a pattern, or be registered for one."""
    blueprint = SocketBlueprint("x", "/x/<int:number>")
    blueprint.on_event("go", lambda number: number)
    blueprint.use(lambda: site.seen.append(request.namespace))  # type: ignore[arg-type, return-value]
    site.socketio.register_blueprint(blueprint)
    site.socketio.register_blueprint(blueprint, "/y/<int:number>")
    for name in ("/x/1", "/y/2"):
        with site.client(name) as client:
            assert client.emit("go", namespace=name, callback=True) == int(name[-1])
    assert site.seen == ["/x/1", "/y/2"]


def test_class_namespaces(site: Site) -> None:
    """Methods get the values; what they call means the namespace of the event."""
    seen = site.seen

    class Job(Namespace):
        def on_connect(self, auth: Any, number: int) -> None:
            seen.append(("connect", number, auth))

        def on_go(self, number: int) -> int:
            self.emit("gone", number)
            return number

        def error(self, error: Exception) -> str:
            return f"{error}"

        def on_fail(self, text: str) -> None:
            raise ValueError(text)

    class Own(Namespace):
        def trigger_event(self, event: str, sid: str, *args: Any) -> Any:
            seen.append((event, sid == request.sid))  # type: ignore[attr-defined]
            return super().trigger_event(event, sid, *args)

        def on_go(self, text: str, number: int) -> list[Any]:
            return [text, number]

    site.socketio.on_namespace(Job("/job/<int:number>"))
    site.socketio.on_namespace(Own("/own/<int:number>"))
    with site.client("/job/1", auth={"a": 1}) as client:
        client.connect("/job/2")
        assert client.emit("go", namespace="/job/2", callback=True) == 2
        assert client.emit("fail", "no", namespace="/job/2", callback=True) == "no"
        assert [each["args"] for each in client.get_received("/job/2")] == [[2]]
        assert client.get_received("/job/1") == []
        client.connect("/own/3")
        assert client.emit("go", "x", namespace="/own/3", callback=True) == ["x", 3]
    assert seen[:2] == [("connect", 1, {"a": 1}), ("connect", 2, None)]
    assert ("go", True) in seen


def test_on_namespace_created(site: Site) -> None:
    """It runs in the context of the first client's connect."""

    @site.socketio.on_namespace_created
    def created(name: str) -> None:
        site.seen.append((name, request.namespace, current_app.name))

    site.socketio.on_event("go", lambda: None, "/<name>")
    with site.client("/a") as client:
        client.connect("/b")
    assert site.seen == [("/a", "/a", "site"), ("/b", "/b", "site")]


def test_handlers_of_the_server_itself(site: Site) -> None:
    """They take name and id first, as a plain server's."""
    server = site.socketio.server

    @server.on("go", namespace="/job/<int:number>")
    def go(namespace: str, sid: str, text: str, number: int) -> list[Any]:
        return [namespace, sid == request.sid, text, number]  # type: ignore[attr-defined]

    with site.client("/job/1") as client:
        assert client.emit("go", "x", namespace="/job/1", callback=True) == ["/job/1", True, "x", 1]


def test_payloads_beside_values(site: Site) -> None:
    """A model in a handler's annotations checks the client's arguments, not the values."""
    from dataclasses import dataclass

    @dataclass
    class Line:
        text: str

    def say(number: int, line: Line) -> list[Any]:
        return [number, line.text]

    say.__annotations__["line"] = Line
    site.socketio.on_event("say", say, "/job/<int:number>")
    with site.client("/job/1") as client:
        answer = client.emit("say", {"text": "hi"}, namespace="/job/1", callback=True)
        assert answer == [1, "hi"]
        answer = client.emit("say", {"text": 3}, namespace="/job/1", callback=True)
        assert answer["error"] == "Invalid payload"


def test_disconnect_in_a_handler(site: Site) -> None:
    """The functions speak of the client in its own namespace."""
    site.socketio.on_event("leave", lambda: disconnect(), "/<name>")
    client = site.client("/a")
    client.emit("leave", namespace="/a")
    assert not client.is_connected("/a")
