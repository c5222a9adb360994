"""Decorators of a server: their forms, and what is said of a wrong one."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from flask_sio import Server
from tests.live import Runtime, plain
from tests.server.clients import Log, Peer


@pytest.mark.parametrize("name", ["on", "once", "on_server_event"])
def test_a_decorator_without_its_name_is_refused(name: str) -> None:
    """It would put something else in the place of the function."""
    server: Any = Server()
    with pytest.raises(TypeError, match=rf'write @{name}\("name"\)'):

        @getattr(server, name)
        def chat(sid: str) -> None: ...


def test_a_namespace_in_the_place_of_a_handler_is_refused() -> None:
    """The text says how it is named, of off() too, which would do nothing."""
    server: Any = Server()
    for register in (
        lambda: server.on("x", "/chat"),
        lambda: server.once("x", "/chat"),
        lambda: server.off("x", "/chat"),
        lambda: server.event("/chat"),
        lambda: server.of("/x").on("x", "/chat"),
        lambda: server.on_server_event("x", "/chat"),
    ):
        with pytest.raises(TypeError, match="a namespace goes by namespace="):
            register()


def test_a_function_without_a_name_names_its_event() -> None:
    """A partial has none."""
    with pytest.raises(TypeError, match=r"has no name of its own: .* on\(name, handler\)"):
        Server().event(partial(print, 1))


def test_event_adds_and_once_is_concurrent(runtime: Runtime) -> None:
    """As on does."""
    server, log = Server(async_mode=runtime), Log()

    @server.event
    def chat(sid: str) -> str:
        log.add("first")
        return "ack"

    def second(sid: str) -> None:
        log.add("second")

    second.__name__ = "chat"
    server.event(add=True)(second)
    assert server.listeners("chat") == [chat, second]
    server.once("alone", print, concurrent=True)
    handler = server.handlers.find("/", "alone")
    assert handler is not None
    assert handler.concurrent
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('421["chat"]')
        assert peer.text() == '431["ack"]'
        assert log.wait(2) == ["first", "second"]
        peer.leave()
