"""Handlers for one time, handlers that are taken away, several for one event."""

from __future__ import annotations

from typing import Any

import pytest

from flask_sio import Namespace, Server
from flask_sio.testing import TestClient


def server_of(**options: Any) -> Server:
    return Server(async_mode="threading", **options)


def test_a_once_handler_runs_for_the_first_event_only() -> None:
    """Whichever client sends it; another client's finds no handler."""
    server = server_of()
    seen: list[str] = []
    server.once("first", lambda sid, text: seen.append(text) or "taken")
    with TestClient(server) as one, TestClient(server) as other:
        assert one.emit("first", "a", callback=True) == "taken"
        assert other.emit("first", "b", callback=True) is None
        assert one.emit("first", "c", callback=True) is None
    assert seen == ["a"]


def test_a_once_handler_beside_others() -> None:
    """Only it is taken away: first, last and in the middle of those added."""
    server = server_of()
    seen: list[str] = []

    def note(name: str) -> Any:
        return lambda sid: seen.append(name) or name

    server.once("go", note("once 1"))
    server.on("go", note("on 1"), add=True)
    server.once("go", note("once 2"), add=True)
    server.on("go", note("on 2"), add=True)
    with TestClient(server) as client:
        assert client.emit("go", callback=True) == "once 1"
        assert client.emit("go", callback=True) == "on 1"
    assert seen == ["once 1", "on 1", "once 2", "on 2", "on 1", "on 2"]


def test_once_for_connect_disconnect_and_any_event() -> None:
    """The first client's only, and the first event nobody else handles."""
    server = server_of()
    seen: list[str] = []

    @server.once("connect")
    def connect(sid: str, environ: Any) -> None:
        seen.append("connect")

    @server.once("*")
    def other(event: str, sid: str) -> None:
        seen.append(event)

    server.once("disconnect", lambda sid, reason: seen.append(reason))
    for _ in range(2):
        with TestClient(server) as client:
            client.emit("x")
            client.emit("y")
    assert seen == ["connect", "x", "client disconnect"]


def test_an_event_that_is_not_admitted_spends_no_once_handler() -> None:
    """A flood's dropped event was no first event."""
    server = server_of(max_mailbox_events=1, mailbox_overflow="drop")
    seen: list[Any] = []
    with TestClient(server) as client:

        def block(sid: str) -> None:
            loop = server.engine.loop
            for event in ("fill", "first"):  # one waits, the other is dropped
                packet = client._far.encode(2, "/", [event, event])
                loop.run(client._far.transmit, packet)
            loop.settle()
            seen.append("block")

        server.on("block", block)
        server.on("fill", lambda sid, text: seen.append(text))
        server.once("first", lambda sid, text: seen.append(text))
        client.emit("block")
        client.emit("first", "again")
    assert seen == ["block", "fill", "again"]


def test_off() -> None:
    """One handler, or all of an event, of its namespace; unknown ones do nothing."""
    server = server_of(namespaces="*")
    seen: list[str] = []

    def one(sid: str) -> None:
        seen.append("one")

    def two(sid: str) -> None:
        seen.append("two")

    for namespace in ("/", "/x"):
        server.on("go", one, namespace)
        server.on("go", two, namespace, add=True)
    server.off("go", one)
    server.off("go", one)
    server.off("never")
    with TestClient(server) as client:
        client.connect("/x")
        client.emit("go")
        assert seen == ["two"]
        server.off("go")
        client.emit("go")
        assert seen == ["two"]
        client.emit("go", namespace="/x")
        assert seen == ["two", "one", "two"]
        server.off("go", two, "/x")
        client.emit("go", namespace="/x")
        assert seen == ["two", "one", "two", "one"]


def test_off_of_lifecycle_handlers_and_methods() -> None:
    """A connect handler that wraps is known by what was registered; a class's method stays."""
    server = server_of()
    seen: list[str] = []

    class Chat(Namespace):
        def on_go(self, sid: str) -> None:
            seen.append("method")

    def connect(sid: str, environ: Any) -> bool:  # two arguments: it is wrapped
        return False

    server.register_namespace(Chat("/"))
    server.on("connect", connect)
    server.off("connect", connect)
    server.off("go")
    with TestClient(server) as client:
        assert client.is_connected()
        client.emit("go")
    assert seen == ["method"]


def test_off_while_the_event_is_on_its_way() -> None:
    """A handler may take itself away; what was admitted before still runs it."""
    server = server_of()
    seen: list[int] = []

    def go(sid: str, number: int) -> None:
        seen.append(number)
        server.off("go", go)

    server.on("go", go)
    with TestClient(server) as client:
        client.emit("go", 1)
        client.emit("go", 2)
    assert seen == [1]


@pytest.mark.parametrize("event", ["connect_error", "newListener"])
def test_once_checks_what_on_checks(event: str) -> None:
    """A reserved name, and a handler that cannot be called, fail at once."""
    server = server_of()
    with pytest.raises(ValueError, match=event):
        server.once(event, lambda sid: None)
    with pytest.raises(TypeError, match="a disconnect handler takes"):
        server.once("disconnect", lambda: None)


def test_listeners() -> None:
    """The functions of an event, as they were registered, in order."""
    server = server_of()

    def one(sid: str) -> None: ...
    def two(sid: str) -> None: ...

    assert server.listeners("go") == []
    server.on("go", one)
    server.once("go", two, add=True)
    assert server.listeners("go") == [one, two]
    assert server.listeners("go", "/x") == []
    with TestClient(server) as client:
        client.emit("go")
    assert server.listeners("go") == [one]
