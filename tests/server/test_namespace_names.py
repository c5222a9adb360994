"""A name that no client can ask for is refused where something is registered for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flask_sio import Namespace, Server, SocketBlueprint, SocketIO

REGISTER: list[Callable[[str], object]] = [
    lambda name: Server().on("x", print, name),
    lambda name: Server().once("x", print, name),
    lambda name: Server().use(print, name),
    lambda name: Server().on_any(print, name),
    lambda name: Server().on_server_event("x", print, name),
    lambda name: Namespace(name),
    lambda name: SocketIO().on("x", name)(print),
    lambda name: SocketIO().event(name)(print),
    lambda name: SocketIO().once("x", print, name),
    lambda name: SocketIO().use(lambda: None, name),
    lambda name: SocketIO().errorhandler(ValueError, name)(repr),
    lambda name: SocketBlueprint("b", name),
    lambda name: SocketBlueprint("b").on("x", name)(print),
]


@pytest.mark.parametrize("number", range(len(REGISTER)))
@pytest.mark.parametrize(("name", "meant"), [("chat", "/chat"), ("job/<int:id>", "/job/<int:id>")])
def test_a_name_without_a_slash_is_refused(number: int, name: str, meant: str) -> None:
    """The text has the name that is meant."""
    with pytest.raises(ValueError, match=f"write '{meant}'"):
        REGISTER[number](name)


def test_a_class_that_names_itself_later_is_refused() -> None:
    """Where it is registered."""
    methods: Any = Namespace()
    methods.namespace = "chat"
    with pytest.raises(ValueError, match="write '/chat'"):
        Server().register_namespace(methods)


def test_a_name_that_no_packet_can_hold_is_refused() -> None:
    """A comma would end it."""
    with pytest.raises(ValueError, match="no commas"):
        Server().on("x", print, "/a,b")


def test_names_that_there_are() -> None:
    """The default, any, and a path are taken."""
    server = Server()
    for name in (None, "/", "*", "/chat", "/job/<int:id>"):
        server.on("x", print, name)
    assert server.handlers.knows("/chat")
