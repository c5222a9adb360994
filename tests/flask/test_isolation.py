"""What concurrent clients and nested pieces of user code share: nothing they do not mean to."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import pytest
from flask import (
    copy_current_request_context,
    current_app,
    g,
    has_app_context,
    has_request_context,
    request,
    session,
    stream_with_context,
)

from flask_sio import SocketBlueprint, call, emit, join_room, rooms
from flask_sio.extension.context import current_event
from tests.flask.polling import PollingClient
from tests.flask.site import Site
from tests.live import WAIT_S

variable: ContextVar[str] = ContextVar("variable", default="none")


def answer(client: PollingClient, *args: str) -> None:
    """Answer the question a client was asked."""
    question = client.until("42")
    number = question[2 : question.index("[")]
    client.post(f"43{number}[{','.join(args)}]")


def identity() -> list[Any]:
    """Return everything by which an event knows whose it is."""
    event: Any = request
    return [
        event.sid,
        event.namespace,
        list(event.event["args"]),
        session.get("name"),
        g.get("name"),
        variable.get(),
        sorted(rooms(), key=len)[0],
    ]


def test_events_that_overlap_do_not_mix(site: Site) -> None:
    """Many clients are inside a handler at once; each still is itself after it has waited."""

    @site.socketio.on("overlap")
    def overlap(name: str) -> list[Any]:
        g.name = session["name"] = name
        variable.set(name)
        join_room(name[:3])
        before = identity()
        call("wait")
        return [before == identity(), *identity()]

    clients = {f"client {number}": site.joined() for number in range(8)}
    for name, (client, _) in clients.items():
        client.post(f'429["overlap","{name}"]')
    for client, _ in clients.values():
        client.received.append(client.until("42"))  # all are within
    for name, (client, sid) in reversed(clients.items()):
        answer(client)
        same, *who = [True, sid, "/", [name], name, name, name, "cli"]
        assert json.loads(client.until("439")[3:]) == [[same, *who]]


def test_nothing_is_left_for_the_next_event(site: Site) -> None:
    """g, context variables and attributes of request are as new in each event."""

    def write() -> None:
        g.name = "Ada"
        variable.set("Ada")
        request.user = "Ada"  # type: ignore[attr-defined]

    client, _ = site.joined()
    other, _ = site.joined()
    site.run(client, write)
    for each in (client, other):
        found = site.run(each, lambda: ["name" in g, variable.get(), hasattr(request, "user")])
        assert found == [[False, "none", False]]


def test_emits_within_emits(site: Site) -> None:
    """A callback that emits with a callback that emits stays with its client."""

    def first(*args: Any) -> None:
        emit("second question", callback=second)

    def second(*args: Any) -> None:
        emit("done", [*args, request.sid])  # type: ignore[attr-defined]

    client, sid = site.joined()
    site.run(client, lambda: emit("question", callback=first))
    answer(client)
    answer(client, '"yes"')
    assert client.until('42["done"') == f'42["done",["yes","{sid}"]]'


def test_who_answers_a_broadcast(site: Site) -> None:
    """request.sid of a callback is the emitter, request.answered_by the client that answered."""
    emitter, emitter_sid = site.joined()
    others = dict(site.joined() for _ in range(2))

    def answered(*args: Any) -> None:
        event: Any = request
        emit("answered", [event.sid, event.answered_by, *args])

    site.run(emitter, lambda: emit("q", broadcast=True, include_self=False, callback=answered))
    for client, sid in others.items():
        answer(client, '"hi"')
        assert emitter.until('42["answered"') == f'42["answered",["{emitter_sid}","{sid}","hi"]]'
    assert site.run(emitter, lambda: [request.answered_by]) == [[None]]  # type: ignore[attr-defined]


def test_an_emit_in_a_handler_runs_no_other_handler_within_it(site: Site) -> None:
    """What an emit sets off at other clients runs after it, in contexts of its own."""
    seen: list[Any] = []
    client, sid = site.joined()
    other, other_sid = site.joined()

    def handler() -> None:
        emit("to the other", to=other_sid)
        seen.append(request.sid)  # type: ignore[attr-defined]

    site.run(client, handler)
    other.until("42")
    site.run(other, lambda: seen.append(request.sid))  # type: ignore[attr-defined]
    assert seen == [sid, other_sid]


# -- contexts that are carried on -------------------------------------------------------


def test_a_background_task_with_the_events_context(site: Site) -> None:
    """copy_current_request_context lets a task emit to the client after the event has ended."""

    def start() -> None:
        session["name"] = "Ada"

        @copy_current_request_context
        def task() -> None:
            site.socketio.sleep(0.01)
            emit("from the task", [request.sid, session["name"], "name" in g])  # type: ignore[attr-defined]
            site.do = lambda: None

        g.name = "Ada"
        site.socketio.start_background_task(task)

    client, sid = site.joined()
    site.run(client, start)
    assert client.until("42") == f'42["from the task",["{sid}","Ada",false]]'


def test_a_background_task_with_an_application_context(site: Site) -> None:
    """A task that needs current_app enters its context; g is its own and torn down."""
    ended: list[bool] = []
    site.app.teardown_appcontext(lambda exc: ended.append("name" in g))

    def task(app: Any) -> str:
        assert not has_app_context()
        with app.app_context():
            g.name = current_app.name
        return "done"

    def handler() -> None:
        site.socketio.start_background_task(task, site.app).join()
        ended.append("name" in g)

    client, _ = site.joined()
    site.run(client, handler)
    assert ended == [True, False, False]


def test_a_generator_with_the_events_context(site: Site) -> None:
    """stream_with_context keeps an event's context for a generator, and gives it back."""

    def handler() -> list[str]:
        def produce() -> Iterator[str]:
            for number in range(2):
                yield f"{request.sid} {number}"  # type: ignore[attr-defined]

        before = current_event()
        lines = list(stream_with_context(produce()))
        assert current_event() is before
        return lines

    client, sid = site.joined()
    assert site.run(client, handler) == [[f"{sid} 0", f"{sid} 1"]]


def test_a_copy_in_a_foreign_thread(site: Site) -> None:
    """A thread the library knows nothing of may speak for the client, by a copied context."""
    threads: list[threading.Thread] = []

    def handler() -> None:
        task = copy_current_request_context(lambda: emit("from the thread", request.sid))  # type: ignore[attr-defined]
        threads.append(threading.Thread(target=task))
        threads[0].start()

    client, sid = site.joined()
    site.run(client, handler)
    assert client.until("42") == f'42["from the thread","{sid}"]'
    threads[0].join(WAIT_S)


@pytest.mark.parametrize("hooked", [False, True])
def test_nothing_is_active_after_an_event(site: Site, hooked: bool) -> None:
    """However an event ends, its worker is left without a context."""
    left: list[Any] = []
    if hooked:
        site.socketio.before_event(lambda: None)
    blueprint = SocketBlueprint("x")
    blueprint.on_event("fail", lambda: 1 / 0)
    site.socketio.register_blueprint(blueprint)
    client, _ = site.joined()
    client.emit("fail")
    site.run(client, lambda: None)
    server = site.socketio.server
    done = server.engine.loop.waiter()

    def look() -> None:
        left.append((has_request_context(), has_app_context(), current_event()))
        done.set()

    server.engine.loop.defer(look)  # on a worker, the same one where they are used again
    assert done.wait(WAIT_S)
    assert left == [(False, False, None)]
