"""The hooks of requests run in a request context of Flask."""

from __future__ import annotations

from typing import Any
from wsgiref.headers import Headers

import pytest
from flask import Flask, current_app, request

from flask_sio import SocketIO
from tests.live import Runtime


def test_hooks_run_in_a_request_context(runtime: Runtime) -> None:
    """allow_request and the hooks may read ``request`` and ``current_app``."""
    app = Flask("site")
    allowed: list[str] = []

    def allow(environ: dict[str, Any]) -> Any:
        allowed.append(f"{current_app.name} {request.method} {request.args['EIO']}")
        return True if request.headers.get("X-Key") == "right" else "no key"

    socketio = SocketIO(async_mode=runtime, allow_request=allow)
    told: list[Any] = []

    @socketio.on_connection_error
    def refused(failure: Any) -> None:
        told.append((current_app.name, request.path, failure.code, failure.message))

    @socketio.on_initial_headers
    def first(headers: Headers, environ: dict[str, Any]) -> None:
        headers["X-First"] = request.headers["X-Key"]

    socketio.init_app(app)

    @socketio.on_headers
    def always(headers: Headers, environ: dict[str, Any]) -> None:
        headers["X-App"] = current_app.name

    http = app.test_client()
    refusal = http.get("/socket.io/?EIO=4&transport=polling")
    assert (refusal.status_code, refusal.json) == (403, {"code": 4, "message": "no key"})
    assert told == [("site", "/socket.io/", 4, "no key")]
    answer = http.get("/socket.io/?EIO=4&transport=polling", headers={"X-Key": "right"})
    assert (answer.status_code, answer.headers["X-First"], answer.headers["X-App"]) == (
        200,
        "right",
        "site",
    )
    assert allowed == ["site GET 4"] * 2
    socketio.shutdown()


def test_a_second_application_gets_them_too(runtime: Runtime) -> None:
    """Hooks are the extension's: each application's server has them."""
    socketio = SocketIO(async_mode=runtime)
    told: list[str] = []
    socketio.on_connection_error(lambda failure: told.append(current_app.name))
    apps = [Flask("one"), Flask("two")]
    for app in apps:
        socketio.init_app(app)
    for app in apps:
        app.test_client().get("/socket.io/?EIO=4&transport=pigeon")
    assert told == ["one", "two"]
    socketio.shutdown()


def test_a_hook_that_is_async(runtime: Runtime) -> None:
    """It may be an ``async def`` function."""
    pytest.importorskip("asgiref")
    app = Flask("site")
    socketio = SocketIO(app, async_mode=runtime)

    @socketio.on_headers
    async def always(headers: Headers, environ: dict[str, Any]) -> None:
        headers["X-App"] = current_app.name

    answer = app.test_client().get("/socket.io/?EIO=4&transport=polling")
    assert answer.headers["X-App"] == "site"
    socketio.shutdown()


@pytest.mark.parametrize(
    "name", ["on_connection_error", "on_initial_headers", "on_headers", "on_namespace_created"]
)
def test_what_is_no_function_is_refused(name: str) -> None:
    """A hook that nobody can call fails where it is registered."""
    with pytest.raises(TypeError, match=rf"{name}\(\) needs a function, not None"):
        getattr(SocketIO(), name)(None)
