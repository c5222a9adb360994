"""Handlers of Flask's convention that take too long."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import pytest
from flask import g, request, session

from flask_sio import ConfigError, HandlerTimeoutError, Namespace, SocketBlueprint, SocketIO, call
from tests.flask.site import Site
from tests.live import WAIT_S, Runtime

SOON_S = 0.03
LONG_S = 600.0


def hang_in(site: Site, **options: Any) -> None:
    """Register "hang", which waits where both runtimes can interrupt it."""
    site.socketio.on("hang", **options)(lambda: site.socketio.sleep(LONG_S))


def test_an_error_handler_answers(site: Site) -> None:
    """`errorhandler` gets what an interrupted handler has raised, in the event's context."""
    seen: list[Any] = []

    @site.socketio.on("hang", timeout=SOON_S)
    def hang(number: int) -> None:
        g.number = number
        try:
            site.socketio.sleep(LONG_S)
        finally:
            seen.append("cleaned up")

    @site.socketio.errorhandler(HandlerTimeoutError)
    def slow(error: HandlerTimeoutError) -> Any:
        return "slow", request.event["args"], g.number, error.seconds  # type: ignore[attr-defined]

    site.socketio.teardown_event(lambda error: seen.append(error))
    site.app.teardown_appcontext(lambda error: seen.append(error))
    client, _ = site.joined()
    seen.clear()
    assert client.ask("hang", 7) == ["slow", [7], 7, SOON_S]
    assert site.run(client, lambda: "next") == ["next"]
    assert seen[:3] == ["cleaned up", None, None]


def test_it_goes_where_every_exception_goes(site: Site) -> None:
    """A builtin TimeoutError to classes, `on_error` to the rest; then to the class's method."""

    class Chat(Namespace):
        handler_timeout = SOON_S

        def on_hang(self) -> None:
            call("ask", timeout=None, to=request.sid)  # type: ignore[attr-defined]

        def error(self, error: Exception) -> str:
            return type(error).__name__

    site.socketio.on_namespace(Chat("/chat"))
    client = site.client()
    client.connect("/chat")
    assert client.ask("hang", namespace="/chat") == ["HandlerTimeoutError"]
    site.socketio.on_error("/chat")(lambda error: "on_error")
    assert client.ask("hang", namespace="/chat") == ["on_error"]
    site.socketio.errorhandler(TimeoutError)(lambda error: "builtin")
    assert client.ask("hang", namespace="/chat") == ["builtin"]


def test_every_kind_of_handler_may_have_one(site: Site) -> None:
    """A blueprint's, one by its name, one of the server's own, and one with a value's name."""
    socketio = site.socketio
    socketio.errorhandler(HandlerTimeoutError)(lambda error: str(error).split("<locals>.")[1])
    blueprint = SocketBlueprint("x")
    blueprint.on_event("blueprint", lambda: socketio.sleep(LONG_S), timeout=SOON_S)
    blueprint.errorhandler(HandlerTimeoutError)(lambda error: "blueprint's own")
    socketio.register_blueprint(blueprint)

    @socketio.event(timeout=SOON_S)
    def by_name() -> None:
        socketio.sleep(LONG_S)

    @socketio.server.on("servers", timeout=SOON_S)
    def servers(sid: str) -> None:
        socketio.sleep(LONG_S)

    @socketio.on("job", namespace="/job/<int:number>", timeout=SOON_S)
    def job(number: int) -> None:
        socketio.sleep(LONG_S)

    client, _ = site.joined()
    client.connect("/job/7")
    assert client.ask("blueprint") == ["blueprint's own"]
    assert client.ask("by_name")[0].startswith("by_name took")
    assert client.ask("servers")[0].startswith("servers took")
    assert client.ask("job", namespace="/job/7")[0].startswith("job took")


def test_a_wrong_argument_is_still_one_line(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """What was sent to a handler with a limit is judged by the handler."""
    site.socketio.on_event("one", lambda only: only, timeout=LONG_S)
    client, _ = site.joined()
    client.emit("one")
    assert site.run(client, lambda: "next") == ["next"]
    assert "takes no 0 arguments" in caplog.text
    assert "Traceback" not in caplog.text


def test_a_thread_left_behind_keeps_its_context(caplog: pytest.LogCaptureFixture) -> None:
    """Its client is answered in another one; it is torn down when it has ended, and only then."""
    site = Site(async_mode="threading")
    go, hung, over = threading.Event(), list[Any](), threading.Event()

    @site.socketio.on("hang", timeout=SOON_S)
    def hang(number: int) -> str:
        g.number = number
        go.wait(WAIT_S)
        hung.append((g.number, request.event["args"]))  # type: ignore[attr-defined]
        session["late"] = True
        return "late"

    @site.app.teardown_appcontext
    def teardown(error: BaseException | None) -> None:
        if "number" in g:
            hung.append("torn down")
            over.set()

    @site.socketio.errorhandler(HandlerTimeoutError)
    def slow(error: HandlerTimeoutError) -> Any:
        session["slow"] = request.event["message"]  # type: ignore[attr-defined]
        return "slow", "number" in g

    @site.socketio.after_event
    def after(result: Any) -> None:
        hung.append(result)

    with caplog.at_level(logging.WARNING):
        client, _ = site.joined()
        assert client.ask("hang", 7) == ["slow", False]
        assert site.run(client, lambda: session["slow"]) == ["hang"]
        assert hung == ["hang"]
        go.set()
        assert over.wait(WAIT_S)
        assert site.run(client, lambda: "next") == ["next"]
    assert hung == ["hang", (7, (7,)), "torn down", "next"]
    site.socketio.shutdown()
    [line] = [each.getMessage() for each in caplog.records if each.name == "flask_sio.server"]
    assert "the handler of 'hang'" in line


def test_left_behind_and_not_handled(caplog: pytest.LogCaptureFixture) -> None:
    """Without an error handler it is logged once by the application, and acknowledged as ever."""
    site = Site(async_mode="threading", error_acks=True, handler_timeout=SOON_S)
    go = threading.Event()
    site.socketio.on("hang")(lambda: go.wait(WAIT_S))
    client, _ = site.joined()
    assert client.ask("hang") == [{"error": "Internal error"}]
    go.set()
    site.socketio.shutdown()
    failed = [each for each in caplog.records if each.name == "site"]
    assert [each.getMessage()[:29] for each in failed] == ["the handler of 'hang' failed "]


def test_an_async_handler_is_cancelled(site: Site) -> None:
    """As asyncio does: it gets CancelledError where it awaits, and may clean up."""
    pytest.importorskip("asgiref")
    seen: list[Any] = []

    @site.socketio.on("hang", timeout=SOON_S)
    async def hang(how: str) -> str:
        try:
            await asyncio.sleep(LONG_S)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            seen.append(request.event["message"])  # type: ignore[attr-defined]
            if how == "raise":
                raise
        return "swallowed"

    @site.socketio.on("quick", timeout=LONG_S)
    async def quick() -> str:
        await asyncio.sleep(0)
        return "quick"

    site.socketio.errorhandler(HandlerTimeoutError)(lambda error: str(error))
    client, _ = site.joined()
    assert client.ask("hang", "raise")[0].endswith("hang took longer than 0.03 s")
    assert client.ask("hang", "swallow") == ["swallowed"]
    assert client.ask("quick") == ["quick"]
    assert seen == ["hang", "hang"]


def test_an_async_handler_that_does_not_await_is_given_up(site: Site) -> None:
    """It keeps the thread it has; its client is answered a second after its time."""
    pytest.importorskip("asgiref")
    go = threading.Event()

    @site.socketio.on("hang", timeout=SOON_S)
    async def hang() -> None:
        go.wait(WAIT_S)

    site.socketio.errorhandler(HandlerTimeoutError)(lambda error: "given up")
    client, _ = site.joined()
    assert client.ask("hang") == ["given up"]
    assert site.run(client, lambda: "next") == ["next"]
    go.set()
    site.socketio.server.engine.loop.settle()


def test_what_is_no_time_is_refused_where_it_is_written(runtime: Runtime) -> None:
    """With and without an application, in a blueprint too."""
    for registrar in (SocketIO(), SocketBlueprint("x")):
        with pytest.raises(ConfigError, match=r"timeout=0: accepted is"):
            registrar.on("x", timeout=0)(lambda: None)
        with pytest.raises(TypeError, match="one of connect has no time limit"):
            registrar.on_event("connect", lambda: None, timeout=1)
