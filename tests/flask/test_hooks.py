"""before_event, after_event and teardown_event, in their three scopes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from flask import Flask, g, request, session

from flask_sio import SocketBlueprint, SocketIO
from tests.flask.site import Site


def test_order_of_all_scopes(site: Site) -> None:
    """Before hooks run from the outside in, after and teardown hooks from the inside out."""
    ran: list[str] = []

    def hook(name: str) -> Callable[..., None]:
        return lambda *_: ran.append(name)

    blueprint = SocketBlueprint("x", "/x")
    blueprint.on_event("go", hook("handler"))
    for when in ("before_event", "after_event", "teardown_event"):
        for number in "12":
            getattr(blueprint, when)(hook(f"{when} blueprint {number}"))
            getattr(site.socketio, when)("/x")(hook(f"{when} namespace {number}"))
            getattr(site.socketio, when)(namespace="/other")(hook("never"))
            getattr(site.socketio, when)(hook(f"{when} everywhere {number}"))
    site.socketio.register_blueprint(blueprint)
    client = site.client()
    client.connect("/x")
    client.ask("go", namespace="/x")
    inwards = [f"{scope} {n}" for scope in ("everywhere", "namespace", "blueprint") for n in "12"]
    assert ran == [
        *(f"before_event {place}" for place in inwards),
        "handler",
        *(f"after_event {place}" for place in reversed(inwards)),
        *(f"teardown_event {place}" for place in reversed(inwards)),
    ]


def test_blueprint_hooks_are_for_its_handlers_only(site: Site) -> None:
    """Another handler of the same namespace runs without a blueprint's hooks."""
    ran: list[str] = []
    blueprint = SocketBlueprint("x")
    blueprint.on_event("mine", lambda: "mine")
    blueprint.before_event(lambda: ran.append(request.event["message"]))  # type: ignore[attr-defined]
    site.socketio.register_blueprint(blueprint)
    client, _ = site.joined()
    assert site.run(client, lambda: "theirs") == ["theirs"]
    assert client.ask("mine") == ["mine"]
    assert ran == ["mine"]


def test_before_may_answer_instead_of_the_handler(site: Site) -> None:
    """A before hook's value becomes the ack; neither later hooks nor the handler run."""
    ran: list[str] = []

    @site.socketio.before_event
    def guard() -> Any:
        if not session.get("user"):
            return {"error": "log in first"}
        return None

    site.socketio.before_event(lambda: ran.append("second"))
    client, _ = site.joined()
    assert site.run(client, lambda: ran.append("handler")) == [{"error": "log in first"}]
    assert ran == []
    site.socketio.on_event("connect", lambda: session.update(user="Ada"))
    known, _ = site.joined()
    assert site.run(known, lambda: "handled") == ["handled"]


def test_before_shares_the_events_context(site: Site) -> None:
    """A before hook's g and request are the handler's; each event has its own."""

    @site.socketio.before_event
    def load() -> None:
        assert "user" not in g
        g.user = f"user of {request.sid}"  # type: ignore[attr-defined]

    client, sid = site.joined()
    for _ in range(2):
        assert site.run(client, lambda: g.user) == [f"user of {sid}"]


def test_before_may_raise(site: Site) -> None:
    """What a before hook raises goes to the error handlers, as the handler's own would."""
    site.socketio.errorhandler(PermissionError)(lambda error: f"no: {error}")

    @site.socketio.before_event
    def guard() -> None:
        raise PermissionError("members only")

    client, _ = site.joined()
    assert site.run(client, lambda: "secret") == ["no: members only"]


def test_after_may_replace_the_result(site: Site) -> None:
    """An after hook sees the result and may replace it; None leaves it, () empties it."""
    seen: list[Any] = []
    site.socketio.after_event(seen.append)
    site.socketio.after_event(lambda result: () if result == "secret" else None)
    client, _ = site.joined()
    assert site.run(client, lambda: "plain") == ["plain"]
    assert site.run(client, lambda: "secret") == []
    assert seen == ["plain", ()]


def test_after_sees_what_an_error_handler_made(site: Site) -> None:
    """A handled exception ends as a result; one that nobody handled skips the after hooks."""
    seen: list[Any] = []
    ended: list[Any] = []
    site.socketio.after_event(seen.append)
    site.socketio.teardown_event(ended.append)
    site.socketio.errorhandler(KeyError)(lambda error: "handled")
    client, _ = site.joined()

    def fail(error: Exception) -> None:
        raise error

    assert site.run(client, lambda: fail(KeyError())) == ["handled"]
    wrong = ValueError("nobody's")
    site.socketio.on_event("fail", lambda: fail(wrong))
    client.emit("fail")
    site.run(client, lambda: "next")
    assert seen == ["handled", "next"]
    assert ended == [None, wrong, None]


def test_teardown_always_runs(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Every teardown hook runs, also after one that fails, which is logged."""
    ended: list[str] = []
    site.socketio.teardown_event(lambda exc: ended.append("first"))

    @site.socketio.teardown_event
    def wrong(exc: BaseException | None) -> None:
        raise RuntimeError("in the teardown")

    site.socketio.teardown_event(lambda exc: ended.append("last"))
    client, sid = site.joined()
    assert site.run(client, lambda: "fine") == ["fine"]
    assert ended == ["last", "first"]
    assert "in the teardown" in caplog.text
    assert sid in caplog.text


def test_hooks_are_for_events_only(site: Site) -> None:
    """connect, disconnect and ack callbacks run without hooks."""
    ran: list[str] = []
    site.socketio.before_event(lambda: ran.append(request.event["message"]))  # type: ignore[attr-defined]
    site.socketio.on_event("connect", lambda: None)
    site.socketio.on_event("disconnect", lambda: ran.append("disconnected"))
    client, _ = site.joined()
    client.connect("/other")
    client.post("41")
    client.ask("do", namespace="/other")
    assert ran == ["disconnected", "do"]


def test_hooks_run_for_events_of_any_name(site: Site) -> None:
    """Events that a "*" handler takes are surrounded too."""
    ran: list[Any] = []
    site.socketio.before_event(lambda: ran.append(request.event["args"]))  # type: ignore[attr-defined]
    site.socketio.on_event("*", lambda name, *args: name)
    client, _ = site.joined()
    assert client.ask("whatever", 1) == ["whatever"]
    assert ran == [("whatever", 1)]


def test_a_hook_that_comes_late_counts(site: Site) -> None:
    """Hooks registered after a client came, on the blueprint too, run from then on."""
    blueprint = SocketBlueprint("x")
    blueprint.on_event("mine", lambda: "mine")
    site.socketio.register_blueprint(blueprint)
    client, _ = site.joined()
    assert client.ask("mine") == ["mine"]
    blueprint.after_event(str.upper)
    assert client.ask("mine") == ["MINE"]


def test_session_changed_in_a_hook_is_kept(site: Site) -> None:
    """What a hook writes to the session is there in the next event."""

    @site.socketio.before_event
    def count() -> None:
        session["count"] = session.get("count", 0) + 1

    client, _ = site.joined()
    assert [site.run(client, lambda: session["count"]) for _ in range(2)] == [[1], [2]]


@pytest.mark.quick
@pytest.mark.parametrize(
    ("name", "fn"),
    [
        ("before_event", lambda event: None),
        ("after_event", lambda: None),
        ("teardown_event", lambda: None),
    ],
)
def test_a_hook_with_a_wrong_signature_is_refused(name: str, fn: Callable[..., Any]) -> None:
    """A hook that could never be called fails at its registration."""
    with pytest.raises(TypeError, match=f"{name} needs a function that takes"):
        getattr(SocketIO(), name)(fn)


@pytest.mark.quick
def test_hooks_give_the_function_back() -> None:
    """The decorators return what they decorate, with and without a namespace."""

    def before() -> None: ...

    socketio = SocketIO()
    assert socketio.before_event(before) is before
    assert socketio.before_event("/x")(before) is before
    with pytest.raises(TypeError, match="name no namespace"):
        SocketBlueprint("x").before_event("/x")(before)


def test_a_function_that_recognises_namespaces_is_given_by_name() -> None:
    """namespace=function is a pattern wherever a bare decorator would take a function."""

    def is_room(name: str, auth: Any) -> bool:
        return name.startswith("/room-")

    ran: list[str] = []
    socketio = SocketIO(app := Flask("site"), async_mode="threading")

    @socketio.event(namespace=is_room)
    def ping(*args: Any) -> str:
        if args:
            raise ValueError("why")
        return "pong"

    socketio.before_event(namespace=is_room)(lambda: ran.append("before"))
    socketio.after_event(namespace=is_room)(lambda result: ran.append("after"))
    socketio.teardown_event(namespace=is_room)(lambda error: ran.append("teardown"))
    socketio.on_error(namespace=is_room)(lambda error: f"caught {error}")
    with socketio.test_client(app, "/room-1") as client:
        assert client.emit("ping", namespace="/room-1", callback=True) == "pong"
        assert ran == ["before", "after", "teardown"]
        assert client.emit("ping", 1, namespace="/room-1", callback=True) == "caught why"


def test_a_decorator_without_its_argument_says_so() -> None:
    """@socketio.on and @socketio.on_error do not swallow a function; event wants a name."""
    socketio = SocketIO()
    with pytest.raises(TypeError, match=r'write @socketio.on\("name"\)'):
        socketio.on(lambda: None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"write @socketio.on_error\(\)"):
        socketio.on_error(lambda error: None)
    with pytest.raises(TypeError, match=r'has no name: write on_event\("name", function\)'):
        socketio.event(partial(print, "x"))
