"""Handlers that are ``async def``, run as Flask runs async views."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, current_app, g, request, session

from flask_sio import Namespace, SocketBlueprint, SocketIO, call, emit, rooms
from tests.flask.site import Site


def test_an_async_handler_is_a_handler(site: Site) -> None:
    """It has the event's context, may emit and wait, and its result is the ack."""

    @site.socketio.on("work")
    async def work(data: str) -> Any:
        g.data = data
        await asyncio.sleep(0)
        session["data"] = g.data
        emit("reply", request.sid)  # type: ignore[attr-defined]
        return current_app.name, rooms() == [request.sid]  # type: ignore[attr-defined]

    client, sid = site.joined()
    assert client.ask("work", "x") == ["site", True]
    assert client.events() == [["reply", sid]]
    assert site.run(client, lambda: session["data"]) == ["x"]


def test_every_kind_of_function_may_be_async(site: Site) -> None:
    """connect, disconnect, hooks, error handlers, methods and blueprints' handlers too."""
    ran: list[Any] = []

    def later(name: str, result: Any = None) -> Callable[..., Any]:
        async def function(*args: Any) -> Any:
            await asyncio.sleep(0)
            ran.append(name)
            return result

        return function

    class Chat(Namespace):
        async def on_method(self) -> str:
            return "method"

    async def fail() -> None:
        raise ValueError

    blueprint = SocketBlueprint("x")
    blueprint.on_event("blueprint", later("handler", "blueprint"))
    socketio = site.socketio
    socketio.register_blueprint(blueprint)
    socketio.on_namespace(Chat("/class"))
    socketio.on_event("connect", later("connect"))
    socketio.on_event("disconnect", later("disconnect"))
    socketio.on_event("fail", fail)
    socketio.errorhandler(ValueError)(later("error", "handled"))
    socketio.before_event(later("before"))
    socketio.after_event(later("after"))
    socketio.teardown_event(later("teardown"))
    client, _ = site.joined()
    client.connect("/class")
    client.connect("/other")
    around = ["before", "after", "teardown"]
    assert ran == ["connect"]
    ran.clear()
    assert client.ask("blueprint") == ["blueprint"]
    assert ran == ["before", "handler", "after", "teardown"]
    ran.clear()
    assert client.ask("fail") == ["handled"]
    assert ran == ["before", "error", "after", "teardown"]
    ran.clear()
    assert client.ask("method", namespace="/class") == ["method"]
    client.post("41")
    client.ask("do", namespace="/other")
    assert ran == [*around, "disconnect", *around]


def test_async_connect_may_refuse(site: Site) -> None:
    """What an async connect handler returns decides."""

    @site.socketio.on("connect")
    async def connect(auth: Any) -> bool:
        return bool(auth)

    assert site.client().connect().startswith("44")
    assert site.client().connect(auth={"a": 1}).startswith("40")


def test_async_callback(site: Site) -> None:
    """A callback of an emit may be async."""

    async def answered(text: str) -> None:
        emit("answered", text)

    client, _ = site.joined()
    site.run(client, lambda: emit("question", callback=answered))
    question = client.until("42")
    client.post(f'43{question[2 : question.index("[")]}["yes"]')
    assert client.until("42[") == '42["answered","yes"]'


def test_async_handlers_of_several_clients_overlap(site: Site) -> None:
    """While one waits another runs, under gevent too: each ends only after the other began."""
    inside: list[str] = []

    @site.socketio.on("meet")
    async def meet() -> int:
        inside.append(request.sid)  # type: ignore[attr-defined]
        while len(inside) < 2:
            await asyncio.sleep(0.01)
        return len(inside)

    first, _ = site.joined()
    second, _ = site.joined()
    first.post('420["meet"]')
    assert second.ask("meet") == [2]
    assert first.until("430") == "430[2]"


def test_an_async_handler_may_call(site: Site) -> None:
    """call() within an async handler gets the client's answer."""

    @site.socketio.on("ask")
    async def ask() -> None:
        emit("answered", call("question"))

    client, _ = site.joined()
    client.emit("ask")
    question = client.until("42")
    client.post(f'43{question[2 : question.index("[")]}["yes"]')
    assert client.until('42["answered') == '42["answered","yes"]'


def test_an_exception_keeps_its_traceback(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """What an async handler raises is handled and logged as another's."""

    async def broken() -> None:
        raise KeyError("why")

    site.socketio.on_event("broken", broken)
    client, _ = site.joined()
    client.emit("broken")
    site.run(client, lambda: None)
    assert "the handler of 'broken' failed" in caplog.text
    assert 'raise KeyError("why")' in caplog.text


def test_the_application_says_how(site: Site) -> None:
    """A subclass of Flask that overrides ensure_sync decides how coroutines are run."""
    wrapped: list[str] = []

    class Own(Flask):
        def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
            wrapped.append(func.__name__)
            return super().ensure_sync(func)

    async def handler() -> str:
        return "done"

    site.app.__class__ = Own
    site.socketio.on_event("work", handler)
    client, _ = site.joined()
    assert client.ask("work") == ["done"]
    assert wrapped == ["handler"]


PATCHED = """
from gevent import monkey; monkey.patch_all()
import asyncio, os, threading
from flask import Flask, request
from flask_sio import SocketIO
app = Flask("patched")
socketio = SocketIO(app, async_mode="gevent")

@socketio.on("work")
async def work(number):
    await asyncio.sleep(0.01)
    if number % 3 == 0:
        raise ValueError
    return number, request.event["message"]

socketio.errorhandler(ValueError)(lambda error: "failed")
clients = [socketio.test_client(app) for _ in range(4)]
def held():
    return threading.active_count(), len(os.listdir("/proc/self/fd"))
def one_round():
    import gevent
    asks = [gevent.spawn(client.emit, "work", i, callback=True) for i, client in enumerate(clients)]
    gevent.joinall(asks)
    return [each.get() for each in asks]
one_round()
before = held()
for _ in range(5):
    answers = one_round()
print(answers)
print(held() == before or (before, held()))
for client in clients:
    client.disconnect()
"""


def test_async_handlers_in_a_patched_process() -> None:
    """Where gevent has patched everything they overlap too, and leave no thread behind."""
    done = subprocess.run(
        [sys.executable, "-c", PATCHED], capture_output=True, text=True, timeout=50
    )
    assert done.stdout.splitlines() == [
        "['failed', [1, 'work'], [2, 'work'], 'failed']",
        "True",
    ], done.stderr
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.quick
def test_without_asgiref_registration_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """An async handler without asgiref fails where it is registered, with the way out."""
    monkeypatch.setitem(sys.modules, "asgiref.sync", None)

    async def handler() -> None: ...

    with pytest.raises(RuntimeError, match=r"handler is async.*pip install 'flask-sio\[async\]'"):
        SocketIO().on_event("work", handler)
    with pytest.raises(RuntimeError, match="asgiref"):
        SocketIO().before_event(handler)
