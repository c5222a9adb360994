"""Hooks around events of a Flask application."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import pytest
from flask import Flask, has_request_context

from flask_sio import EventRun, SocketIO
from tests.flask.site import Site


def test_an_exception_that_was_handled_is_visible(site: Site) -> None:
    """The outcome says so, and the exception is there, though nothing is raised."""
    runs: list[EventRun] = []
    variable: ContextVar[str] = ContextVar("variable")

    @site.socketio.around_event
    @contextmanager
    def hook(run: EventRun) -> Iterator[None]:
        assert not has_request_context()
        variable.set("hook's")
        yield
        runs.append(run)

    error = KeyError("x")

    def fail() -> None:
        raise error

    site.socketio.errorhandler(KeyError)(lambda error: "sorry")
    client, _ = site.joined()
    assert site.run(client, variable.get) == ["hook's"]
    assert site.run(client, fail) == ["sorry"]
    assert [(run.name, run.outcome, run.error) for run in runs] == [
        ("do", "ok", None),
        ("do", "handled", error),
    ]


def test_hooks_are_of_every_application(runtime: Any) -> None:
    """Those registered before and after an application is there; also for `async def`."""
    pytest.importorskip("asgiref")
    seen: list[str] = []
    variable: ContextVar[str] = ContextVar("variable")
    socketio = SocketIO(async_mode=runtime)

    def hook(name: str) -> Any:
        @contextmanager
        def around(run: EventRun) -> Iterator[None]:
            seen.append(name)
            variable.set(name)
            yield

        return around

    socketio.around_event(hook("before"))
    app = Flask("one")
    socketio.init_app(app)
    socketio.around_event(hook("after"))

    @socketio.on("do")
    async def do() -> str:
        return variable.get()

    with socketio.test_client(app) as client:
        assert client.emit("do", callback=True) == "after"
    assert seen == ["before", "after"]
    with pytest.raises(TypeError, match="around_event"):
        socketio.around_event(5)  # type: ignore[type-var]
