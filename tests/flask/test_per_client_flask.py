"""Classes with an object for each client, in a Flask application."""

from __future__ import annotations

from typing import Any

from flask import request

from flask_sio import Namespace, emit
from tests.flask.site import Site


class Counter(Namespace):
    per_client = True

    def __init__(self, namespace: str, start: int) -> None:
        super().__init__(namespace)
        self.count = start
        self.seen: list[str] = []

    def on_connect(self, auth: Any) -> None:
        self.sid = request.sid  # type: ignore[attr-defined]

    def on_add(self, number: int = 1) -> int:
        assert self.sid == request.sid  # type: ignore[attr-defined]
        self.count += number
        emit("count", self.count)
        return self.count

    async def on_later(self) -> int:
        self.count += 10
        return self.count

    def on_fail(self) -> None:
        raise OSError("away")

    def error(self, error: Exception) -> str:
        self.seen.append(str(error))
        return f"{self.count} {self.seen}"


class Watched(Counter):
    def trigger_event(self, event: str, *args: Any, **values: Any) -> Any:
        self.count += 100
        return super().trigger_event(event, *args, **values)


def test_each_client_has_its_own_state(site: Site) -> None:
    """In methods, async ones too, and in the class's error handler."""
    site.socketio.on_namespace(Counter("/count", start=5))
    one, other = site.client(), site.client()
    for client in (one, other):
        client.connect("/count")
    assert one.ask("add", namespace="/count") == [6]
    assert one.ask("add", 4, namespace="/count") == [10]
    assert other.ask("add", namespace="/count") == [6]
    assert one.ask("later", namespace="/count") == [20]
    assert one.ask("fail", namespace="/count") == ["20 ['away']"]
    assert one.ask("fail", namespace="/count") == ["20 ['away', 'away']"]
    assert other.ask("fail", namespace="/count") == ["6 ['away']"]


def test_a_trigger_event_of_its_own(site: Site) -> None:
    """It runs on the client's object, and so do the methods it calls."""
    site.socketio.on_namespace(Watched("/count", start=5))
    one, other = site.client(), site.client()
    for client in (one, other):
        client.connect("/count")
    assert one.ask("add", namespace="/count") == [206]
    assert one.ask("later", namespace="/count") == [316]
    assert other.ask("add", namespace="/count") == [206]


def test_patterns_and_the_server_itself(site: Site) -> None:
    """The object's namespace is its client's; a class of the server's gets the sid."""

    class Job(Namespace):
        per_client = True

        def on_name(self, number: int) -> tuple[str, int]:
            return str(self.namespace), number

    class Plain(Namespace):
        per_client = True
        names: tuple[str, ...] = ()

        def on_name(self, sid: str, name: str) -> tuple[str, ...]:
            self.names += (name,)
            return self.names

    site.socketio.on_namespace(Job("/job/<int:number>"))
    site.socketio.server.register_namespace(Plain("/plain"))
    client = site.client()
    for namespace in ("/job/1", "/job/2", "/plain"):
        client.connect(namespace)
    assert client.ask("name", namespace="/job/1") == ["/job/1", 1]
    assert client.ask("name", namespace="/job/2") == ["/job/2", 2]
    assert client.ask("name", "a", namespace="/plain") == ["a"]
    assert client.ask("name", "b", namespace="/plain") == ["a", "b"]
