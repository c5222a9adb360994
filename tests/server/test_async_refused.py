"""What is async is refused where nothing awaits it: a guard's coroutine would let everybody in."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from flask_sio import Namespace, Server
from flask_sio.errors import ConfigError
from tests.live import Runtime, plain
from tests.server.clients import Peer, connection
from tests.servers.raw import ENDPOINT


async def guard(*args: Any) -> bool:
    """Say no, to who awaits it."""
    return False


async def connect(sid: str, environ: dict[str, Any]) -> bool:
    """Say no, to who awaits it."""
    return False


class Guard:
    """An object that is called as an async function."""

    async def __call__(self, *args: Any) -> bool:
        return False


def later(*args: Any) -> Any:
    """Give a coroutine, which only calling it tells."""
    return guard(*args)


class Methods(Namespace):
    """A class with an async method."""

    async def on_connect(self, sid: str, environ: dict[str, Any]) -> bool:
        return False


class Trigger(Namespace):
    """A class whose own trigger_event is async."""

    async def trigger_event(self, event: str, *args: Any, **values: Any) -> bool:
        return False


REGISTER: list[Callable[[Server, Any], object]] = [
    lambda server, fn: server.on("connect", fn),
    lambda server, fn: server.on("disconnect", fn),
    lambda server, fn: server.on("chat", fn),
    lambda server, fn: server.on("*", fn, namespace="*"),
    lambda server, fn: server.once("chat", fn),
    lambda server, fn: server.of("/x").on("chat", fn),
    lambda server, fn: server.of("/<name>").on("connect", fn),
    lambda server, fn: server.use(fn),
    lambda server, fn: server.use_event(fn),
    lambda server, fn: server.use_join(fn),
    lambda server, fn: server.on_any(fn),
    lambda server, fn: server.on_any_outgoing(fn),
    lambda server, fn: server.on_high_water(fn),
    lambda server, fn: server.on_drain(fn),
    lambda server, fn: server.around_event(fn),
    lambda server, fn: server.on_namespace_created(fn),
    lambda server, fn: server.on_connection_error(fn),
    lambda server, fn: server.on_initial_headers(fn),
    lambda server, fn: server.on_headers(fn),
    lambda server, fn: server.on_room_event("join", fn),
    lambda server, fn: server.on_presence("online", fn),
    lambda server, fn: server.on_server_event("news", fn),
    lambda server, fn: server.emit("ask", callback=fn),
]


@pytest.mark.parametrize("number", range(len(REGISTER)))
@pytest.mark.parametrize("fn", [guard, connect, Guard(), partial(guard, 1)])
def test_an_async_function_is_refused_where_it_is_registered(number: int, fn: Any) -> None:
    """With the text that says what to write."""
    with pytest.raises(TypeError, match="needs a 'def': nothing awaits the 'async def'"):
        REGISTER[number](Server(), fn)


@pytest.mark.parametrize("number", range(len(REGISTER)))
def test_what_is_no_function_is_refused(number: int) -> None:
    """Where it is registered, not when it is called."""
    with pytest.raises(TypeError, match="needs a function, not 7"):
        REGISTER[number](Server(), 7)


@pytest.mark.parametrize("kind", [Methods, Trigger])
def test_an_async_method_is_refused_where_its_class_is_registered(kind: Any) -> None:
    """Not at the first event, where it would be too late."""
    with pytest.raises(TypeError, match="nothing awaits the 'async def'"):
        Server().register_namespace(kind("/x"))


@pytest.mark.parametrize("option", ["allow_request", "cors_allowed_origins", "generate_id"])
@pytest.mark.parametrize("fn", [guard, Guard(), partial(guard, 1)])
def test_an_async_option_is_refused(option: str, fn: Any) -> None:
    """It is a ConfigError, which says so."""
    with pytest.raises(ConfigError, match="not async"):
        Server(**{option: fn})


def register_handler(server: Server) -> None:
    server.on("connect", later)


def register_guard(server: Server) -> None:
    server.use(lambda socket: later(socket))


def register_added(server: Server) -> None:
    server.on("connect", lambda sid, environ: None)
    server.on("connect", later, add=True)


@pytest.mark.parametrize("register", [register_handler, register_guard, register_added])
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
def test_a_coroutine_lets_nobody_in(
    runtime: Runtime, register: Callable[[Server], None], caplog: pytest.LogCaptureFixture
) -> None:
    """A function that only turns out to be async when it is called refuses its client."""
    server = Server()
    register(server)
    with plain(runtime, server) as live, caplog.at_level(logging.ERROR):
        peer = Peer(live, join=None)
        peer.send("40")
        assert peer.text() == '44{"message":"Internal error"}'
        peer.leave()
    assert "was not awaited" in caplog.text


ORIGIN = "Origin: http://elsewhere.example\r\n"


@pytest.mark.parametrize(
    ("option", "header"), [("allow_request", ""), ("cors_allowed_origins", ORIGIN)]
)
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_coroutine_admits_no_request(option: str, header: str) -> None:
    """Neither as the answer to who may come, nor about a page's origin."""
    with plain("threading", Server(**{option: later})) as live:
        reader = connection(live)
        line = f"GET {ENDPOINT}polling HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        reader.sock.sendall(f"{line}{header}\r\n".encode())
        status, _, _ = reader.response()
        reader.close()
    assert status in (400, 403)
