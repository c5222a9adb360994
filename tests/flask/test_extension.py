"""The Flask extension: what a program written for Flask-SocketIO sees of it."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import flask
import pytest
from flask import Flask, current_app, g, has_request_context, request, session
from flask_login import LoginManager, UserMixin, current_user, login_user
from werkzeug.test import Client

import flask_sio
from flask_sio import (
    ConfigError,
    ConnectionRefusedError,
    NotConnectedError,
    SocketIO,
    call,
    close_room,
    disconnect,
    emit,
    join_room,
    leave_room,
    rooms,
    send,
)
from tests.flask.polling import PollingClient
from tests.flask.site import Site

# -- registering handlers ---------------------------------------------------------------


def test_handlers_registered_in_every_way(site: Site) -> None:
    """on, event in its three forms and on_event register, and give the function back."""
    socketio = site.socketio

    @socketio.on("one")
    @socketio.on("uno")
    def one() -> str:
        return "one"

    @socketio.event
    def two() -> str:
        return "two"

    @socketio.event("/other")
    def three() -> str:
        return "three"

    @socketio.event(namespace="/other")
    def four() -> str:
        return "four"

    socketio.on_event("five", lambda: "five", namespace="/other")
    assert (one(), two(), three(), four()) == ("one", "two", "three", "four")
    client, _ = site.joined()
    client.connect("/other")
    assert [client.ask(name) for name in ("one", "uno", "two")] == [["one"], ["one"], ["two"]]
    answers = [client.ask(name, namespace="/other") for name in ("three", "four", "five")]
    assert answers == [["three"], ["four"], ["five"]]


def test_stacked_decorators_tell_the_event_apart(site: Site) -> None:
    """One function under two names finds in request.event which one was sent."""

    @site.socketio.on("first")
    @site.socketio.on("second")
    def both(*args: Any) -> Any:
        return request.event["message"], list(request.event["args"])  # type: ignore[attr-defined]

    client, _ = site.joined()
    assert client.ask("first", 1) == ["first", [1]]
    assert client.ask("second") == ["second", []]


def test_handlers_before_and_after_init_app() -> None:
    """A handler registered without an application serves every application that comes."""
    socketio = SocketIO(async_mode="threading")
    socketio.on_event("early", lambda: current_app.name)
    apps = [Flask("first"), Flask("second")]
    for app in apps:
        socketio.init_app(app)
    socketio.on_event("late", lambda: current_app.name)
    for app in apps:
        client = PollingClient(app)
        client.connect()
        assert client.ask("early") == [app.name]
        assert client.ask("late") == [app.name]
    socketio.shutdown()


def test_functions_speak_for_their_own_application() -> None:
    """With several applications emit() answers through the one whose client it is."""
    socketio = SocketIO(async_mode="threading")
    apps = [Flask("first"), Flask("second")]
    for app in apps:
        socketio.init_app(app)
    socketio.on_event("do", lambda: emit("back", current_app.name, broadcast=True))
    clients = [PollingClient(app) for app in apps]
    for client in clients:
        client.connect()
    for client in clients:
        client.ask("do")
    assert [client.events() for client in clients] == [[["back", "first"]], [["back", "second"]]]
    socketio.shutdown()


def test_init_app_again_replaces_the_server() -> None:
    """A second init_app of one application takes its new options and wraps it once."""
    app = Flask("twice")
    socketio = SocketIO(app, async_mode="threading")
    mounted = app.wsgi_app
    socketio.on_event("hello", lambda: "world")
    socketio.init_app(app, path="/chat")
    assert app.wsgi_app is mounted
    assert Client(app).get("/socket.io/?EIO=4&transport=polling").status_code == 404
    client = PollingClient(app, path="/chat/")
    client.connect()
    assert client.ask("hello") == ["world"]
    assert app.extensions["socketio"] is socketio
    socketio.shutdown()


@pytest.mark.parametrize("initialised", [False, True])
def test_wrong_handler_fails_at_registration(initialised: bool) -> None:
    """A signature that cannot serve is refused at once, by name."""
    socketio = SocketIO(Flask("site")) if initialised else SocketIO()

    def on_connect(one: int, two: int) -> None: ...

    with pytest.raises(TypeError, match="on_connect"):
        socketio.on("connect")(on_connect)
    assert socketio.handlers == []


def test_application_beneath_is_served(site: Site) -> None:
    """What is not Socket.IO reaches the views; the environ of both names the application."""
    seen = []
    site.app.add_url_rule("/", "index", lambda: "index")
    site.socketio.on_event("connect", lambda: seen.append(request.environ["flask.app"]))
    assert Client(site.app).get("/").text == "index"
    site.joined()
    assert seen == [site.app]


# -- options ----------------------------------------------------------------------------


def test_options_of_constructor_and_init_app_add_up() -> None:
    """Options given early stay, those given later win, and those of Flask go no further."""
    socketio = SocketIO(path="first", ping_timeout=7, manage_session=False, json=flask.json)
    assert socketio.async_mode is None
    app = Flask("site")
    socketio.init_app(app, path="/second")
    assert socketio.server.options.path == "second"
    assert socketio.server.options.ping_timeout == 7
    assert socketio.server.options.json is app.json
    assert socketio.manage_session is False
    assert socketio.server_options["ping_timeout"] == 7


def test_wrong_options_are_named() -> None:
    """An unknown option is a TypeError with the nearest name, a bad value a ConfigError."""
    with pytest.raises(TypeError, match="did you mean 'cors_allowed_origins'"):
        SocketIO(Flask("site"), cors_allowed_origin="*")
    with pytest.raises(ConfigError, match="ping_timeout"):
        SocketIO(Flask("site"), ping_timeout=-1)


def test_flask_json_needs_no_context() -> None:
    """With json=flask.json a background emit uses the application's JSON provider."""
    site = Site(async_mode="threading", json=flask.json)
    client, _ = site.joined()
    site.socketio.emit("set", {"a": 1})
    assert site.heard(client) == [["set", {"a": 1}]]
    site.socketio.shutdown()


def test_before_init_app_the_error_says_so() -> None:
    """Methods that need a server ask for init_app()."""
    socketio: Any = SocketIO()
    assert socketio.server is None
    uses: list[Callable[[], Any]] = [lambda: socketio.emit("x"), lambda: socketio.sleep(0)]
    for use in uses:
        with pytest.raises(RuntimeError, match="init_app"):
            use()


# -- connect and disconnect -------------------------------------------------------------


def test_connect_handler_gets_auth_and_may_refuse(site: Site) -> None:
    """auth reaches the connect handler; False and ConnectionRefusedError refuse."""

    @site.socketio.on("connect")
    def connect(auth: Any) -> Any:
        if auth == {"want": "refusal"}:
            raise ConnectionRefusedError("no", {"code": 7})
        return auth != {"want": "false"}

    assert site.client().connect().startswith('40{"sid":')
    assert site.client().connect(auth={"want": "refusal"}) == '44{"message":"no","data":{"code":7}}'
    assert (
        site.client().connect(auth={"want": "false"})
        == '44{"message":"Connection rejected by server"}'
    )


def test_emit_join_and_session_work_in_connect(site: Site) -> None:
    """A connect handler may greet its client, put it in a room and write its session."""

    @site.socketio.on("connect")
    def connect() -> None:
        join_room("lobby")
        session["name"] = "Ada"
        emit("welcome", request.sid in rooms())  # type: ignore[attr-defined]

    client, _ = site.joined()
    answer = site.run(client, lambda: (sorted(rooms(), key=len)[0], session["name"]))
    assert answer == ["lobby", "Ada"]
    assert client.events() == [["welcome", True]]


def test_disconnect_handler_has_context_and_reason(site: Site) -> None:
    """A disconnect handler finds rooms, session and request; it may take the reason."""
    seen: list[Any] = []

    @site.socketio.on("disconnect")
    def gone(reason: str) -> None:
        seen.append((reason, "lobby" in rooms(), session.get("name"), request.sid))  # type: ignore[attr-defined]
        emit("gone", to="watchers")

    watcher, _ = site.joined()
    site.run(watcher, lambda: join_room("watchers"))
    client, sid = site.joined()

    def prepare() -> None:
        join_room("lobby")
        session["name"] = "Ada"

    site.run(client, prepare)
    client.post("41")
    watcher.until('42["gone"]')
    assert seen == [(SocketIO.reason.CLIENT_DISCONNECT, True, "Ada", sid)]


def test_disconnect_from_a_handler(site: Site) -> None:
    """disconnect() ends the client's stay after the handler, or another's by its id."""
    seen: list[str] = []
    site.socketio.on_event("disconnect", lambda reason: seen.append(reason))
    client, _ = site.joined()
    site.do = lambda: disconnect()
    client.emit("do")
    assert client.until("41") == "41"
    other, _ = site.joined()
    third, third_sid = site.joined()
    site.run(other, lambda: disconnect(sid=third_sid))
    assert third.until("41") == "41"
    site.run(other, lambda: None)
    assert seen[:1] == ["server disconnect"]


# -- emit and send ----------------------------------------------------------------------


def test_emit_replies_to_its_client_alone(site: Site) -> None:
    """emit() without a target goes to the client whose event is handled, and to no other."""
    client, _ = site.joined()
    other, _ = site.joined()
    site.run(client, lambda: emit("reply", 1))
    assert client.events() == [["reply", 1]]
    assert site.heard(other) == []


@pytest.mark.parametrize(
    ("data", "sent"),
    [
        ((), []),
        ((None,), []),
        (((),), []),
        ((("a", 1),), ["a", 1]),
        ((["a", 1],), [["a", 1]]),
        (({"a": 1},), [{"a": 1}]),
        (("a", "b"), ["a", "b"]),
        ((None, 1), [None, 1]),
        ((("a", 1), 2), [["a", 1], 2]),
        ((False,), [False]),
    ],
)
def test_data_becomes_arguments(site: Site, data: tuple[Any, ...], sent: list[Any]) -> None:
    """One tuple is several arguments, None is none, several values are several arguments."""
    client, _ = site.joined()
    site.run(client, lambda: emit("reply", *data))
    assert client.events() == [["reply", *sent]]
    site.socketio.emit("all", *data)
    assert site.heard(client) == [["all", *sent]]


def test_broadcast_and_whom_it_leaves_out(site: Site) -> None:
    """broadcast=True reaches everybody but those in skip_sid and, if asked, the sender."""
    client, _ = site.joined()
    second, second_sid = site.joined()
    third, _ = site.joined()

    def handler() -> None:
        emit("all", broadcast=True)
        emit("others", broadcast=True, include_self=False)
        emit("third", broadcast=True, include_self=False, skip_sid=(second_sid,))
        send("both", broadcast=True, include_self=False, skip_sid=second_sid)
        site.socketio.emit("mine", include_self=False, skip_sid={second_sid})

    site.run(client, handler)
    assert client.events() == [["all"]]
    assert site.heard(second) == [["all"], ["others"]]
    assert site.heard(third) == [["all"], ["others"], ["third"], ["message", "both"], ["mine"]]


@pytest.mark.parametrize("kind", [list, tuple, set, frozenset])
def test_several_rooms_are_one_copy_each(site: Site, kind: type[Any]) -> None:
    """A collection of rooms reaches each client in any of them once."""
    first, first_sid = site.joined()
    second, _ = site.joined()
    for room in ("a", "b"):
        site.run(first, join_room, room)
    site.run(second, lambda: join_room("b"))
    site.socketio.emit("hello", to=kind(["a", "b", first_sid]))
    site.run(first, lambda: emit("again", room=kind(["a", "b"])))
    assert site.heard(first) == [["hello"], ["again"]]
    assert site.heard(second) == [["hello"], ["again"]]


def test_room_zero_can_be_addressed(site: Site) -> None:
    """Any hashable value is a room, 0 too."""
    client, _ = site.joined()
    other, _ = site.joined()
    site.run(client, lambda: join_room(0))
    site.socketio.emit("zero", to=0)
    assert site.heard(client) == [["zero"]]
    assert site.heard(other) == []


@pytest.mark.parametrize("target", ["", [], ()])
def test_empty_target_counts_as_none(site: Site, target: Any) -> None:
    """An empty string or collection is no target, as ever, but somebody is told."""
    client, _ = site.joined()
    with pytest.warns(RuntimeWarning, match="without a target"):
        site.socketio.emit("everybody", to=target)
    assert site.heard(client) == [["everybody"]]


def test_unknown_room_is_nobody(site: Site) -> None:
    """An emit to a room without members, or to an id that has left, reaches nobody."""
    client, _ = site.joined()
    site.socketio.emit("x", to="nowhere")
    site.run(client, lambda: emit("x", to=["nowhere", "neither"]))
    assert site.heard(client) == []


def test_send(site: Site) -> None:
    """send emits "message", or "json" if told so."""
    client, _ = site.joined()
    site.run(client, lambda: (send("text"), send({"a": 1}, json=True), None)[2])
    site.socketio.send("all")
    assert site.heard(client) == [["message", "text"], ["json", {"a": 1}], ["message", "all"]]


def test_send_leaves_out_whom_emit_leaves_out(site: Site) -> None:
    """The function and the method take except_rooms, volatile and timeout as emit does."""
    client, sid = site.joined()
    site.run(client, lambda: (send("x", broadcast=True, except_rooms=sid), None)[1])
    site.socketio.send("x", except_rooms=sid, volatile=True)
    site.socketio.send("all")
    with pytest.raises(TypeError, match="timeout="):
        site.socketio.send("x", timeout=1)
    assert site.heard(client) == [["message", "all"]]


def test_other_namespace_is_the_same_client(site: Site) -> None:
    """emit(namespace=...) without a target reaches this client's socket there."""
    client, _ = site.joined()
    other = site.client()
    other.connect()
    other.connect("/other")
    sid = client.sid("/other")

    def handler() -> list[Any]:
        emit("reply", 1, namespace="/other")
        join_room("r", namespace="/other")
        return rooms(namespace="/other")

    assert set(site.run(client, handler)[0]) == {sid, "r"}
    assert client.until("42/other,") == '42/other,["reply",1]'
    site.run(other, lambda: None)
    assert not [packet for packet in other.received if packet.startswith("42/other")]


def test_include_self_in_another_namespace(site: Site) -> None:
    """include_self=False leaves out this client's socket in the namespace emitted to."""
    client, _ = site.joined()
    client.connect("/other")
    site.run(client, lambda: emit("x", namespace="/other", broadcast=True, include_self=False))
    assert not [packet for packet in client.received if packet.startswith("42/other")]


def test_other_namespace_without_this_client(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Where the client is not connected an emit reaches nobody and says so; a join fails."""
    client, _ = site.joined()
    with caplog.at_level(logging.WARNING, "flask_sio.flask"):
        site.run(client, lambda: emit("reply", namespace="/other"))
    assert "reaches nobody" in caplog.text
    with pytest.raises(NotConnectedError):
        in_handler(site, client, lambda: join_room("r", namespace="/other"))


def test_unserialisable_data_fails_at_the_call(site: Site) -> None:
    """A TypeError for data without a JSON form comes out of emit() itself."""
    client, _ = site.joined()
    with pytest.raises(TypeError):
        in_handler(site, client, lambda: emit("x", object()))
    with pytest.raises(TypeError):
        site.socketio.emit("x", object())


def test_broadcast_argument_of_the_method(site: Site) -> None:
    """socketio.emit(broadcast=True), of old tutorials, works and is deprecated."""
    client, _ = site.joined()
    with pytest.warns(DeprecationWarning, match="leave out broadcast"):
        site.socketio.emit("all", broadcast=True)
    assert site.heard(client) == [["all"]]


def test_method_defaults_to_the_root_namespace(site: Site) -> None:
    """socketio.emit without a namespace means "/", in a handler of another one too."""
    client, _ = site.joined()
    client.connect("/other")
    site.do = lambda: site.socketio.emit("root", namespace=None)
    client.ask("do", namespace="/other")
    assert site.heard(client) == [["root"]]


# -- outside of events ------------------------------------------------------------------


def in_handler(site: Site, client: PollingClient, fn: Callable[[], Any]) -> None:
    """Raise here what ``fn`` raises as a handler."""
    errors: list[Exception] = []

    def handler() -> None:
        try:
            fn()
        except Exception as error:
            errors.append(error)

    site.run(client, handler)
    if errors:
        raise errors[0]


def in_view(site: Site, fn: Callable[[], Any]) -> None:
    """Run ``fn`` in a plain HTTP view and raise here what it raises."""
    site.app.testing = True

    def view() -> str:
        fn()
        return "done"

    site.app.add_url_rule("/view", "view", view)
    assert site.app.test_client().get("/view").text == "done"


@pytest.mark.parametrize(
    ("use", "hint"),
    [
        (lambda: emit("x"), r"socketio\.emit\(\)"),
        (lambda: emit("x", namespace="/"), r"socketio\.emit\(\)"),
        (lambda: emit("x", broadcast=True), r"socketio\.emit\(\)"),
        (lambda: send("x"), r"socketio\.send\(\)"),
        (lambda: call("x"), r"socketio\.call"),
        (lambda: close_room("r"), r"socketio\.close_room"),
        (lambda: join_room("r"), "both a sid and a namespace"),
        (lambda: rooms(), "both a sid and a namespace"),
        (lambda: disconnect("sid"), "both a sid and a namespace"),
        (lambda: emit("x", namespace="/", broadcast=True, include_self=False), "skip_sid"),
    ],
)
def test_functions_in_a_view_name_the_way_out(
    site: Site, use: Callable[[], Any], hint: str
) -> None:
    """Without an event the functions raise a RuntimeError that says what to write instead."""
    with pytest.raises(RuntimeError, match=hint):
        in_view(site, use)


def test_functions_in_a_view_with_everything_given(site: Site) -> None:
    """With a namespace and a target the functions work in a view as they always have."""
    client, sid = site.joined()

    def use() -> None:
        join_room("r", sid=sid, namespace="/")
        assert set(rooms(sid=sid, namespace="/")) == {sid, "r"}
        emit("room", namespace="/", to="r")
        emit("all", namespace="/", broadcast=True)
        leave_room("r", sid=sid, namespace="/")
        emit("room", namespace="/", to="r")
        close_room("r", namespace="/")

    in_view(site, use)
    assert site.heard(client) == [["room"], ["all"]]


def test_methods_need_no_context(site: Site) -> None:
    """socketio.emit works in a view, and where there is no context at all."""
    client, _ = site.joined()
    in_view(site, lambda: site.socketio.emit("view"))
    assert not has_request_context()
    site.socketio.emit("nowhere")
    assert site.heard(client) == [["view"], ["nowhere"]]


# -- callbacks and calls ----------------------------------------------------------------


def test_callback_runs_as_an_event_of_the_emitter(site: Site) -> None:
    """A callback finds the emitter's request, replies to it, and has its own g."""
    emitter, emitter_sid = site.joined()
    answering, answering_sid = site.joined()

    def answered(*args: Any) -> None:
        emit("answered", [*args, request.event["message"], "mine" in g, request.sid])  # type: ignore[attr-defined]

    def ask() -> None:
        g.mine = True
        emit("question", to=answering_sid, callback=answered)

    site.run(emitter, ask)
    question = answering.until("42")
    number = question[2 : question.index("[")]
    answering.post(f"43{number}[1,2]")
    assert emitter.until("42[") == f'42["answered",[1,2,null,false,"{emitter_sid}"]]'


def test_callback_of_a_background_emit(site: Site) -> None:
    """A callback emitted outside of events runs as one of the client that answers."""
    client, sid = site.joined()
    site.socketio.emit(
        "question",
        to=sid,
        callback=lambda *args: emit("answered", [*args, request.sid]),  # type: ignore[attr-defined]
    )
    question = client.until("42")
    client.post(f'43{question[2 : question.index("[")]}["yes"]')
    assert client.until("42[") == f'42["answered",["yes","{sid}"]]'


def test_call_waits_for_the_answer(site: Site) -> None:
    """call() in a handler asks its own client, the method the one it is told."""
    client, sid = site.joined()
    answers: list[Any] = []

    def ask() -> None:
        answers.append(call("question", 1))
        answers.append(site.socketio.call("question", 2, to=sid))

    site.do = ask
    client.emit("do")
    for answer in ('"one"', '"one","two"'):
        question = client.until("42")
        client.post(f"43{question[2 : question.index('[')]}[{answer}]")
    site.run(client, lambda: None)
    assert answers == ["one", ("one", "two")]


def test_call_needs_one_client(site: Site) -> None:
    """socketio.call without a target is a ValueError."""
    with pytest.raises(TypeError, match=r"call\(\) asks one client: its id, not \['x'\]"):
        site.socketio.call("x", to=["x"])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"Cannot use call.*to=sid"):
        site.socketio.call("question")


# -- rooms ------------------------------------------------------------------------------


def test_rooms_come_and_go(site: Site) -> None:
    """join_room, leave_room, close_room and rooms() agree, for oneself and for another."""
    client, sid = site.joined()
    _, other_sid = site.joined()

    def handler() -> list[Any]:
        join_room("a")
        join_room("b")
        join_room("a", sid=other_sid)
        before = sorted(set(rooms()) - {sid})
        leave_room("a")
        during = sorted(set(rooms(sid=other_sid)) - {other_sid})
        close_room("a")
        return [before, during, sorted(set(rooms()) - {sid}), rooms(sid=other_sid)]

    answer = site.run(client, handler)
    assert answer == [[["a", "b"], ["a"], ["b"], [other_sid]]]
    site.run(client, lambda: join_room("c"))
    site.socketio.close_room("c")
    assert set(site.run(client, rooms)[0]) == {sid, "b"}


# -- Flask's own ------------------------------------------------------------------------


def test_http_session_and_events(site: Site) -> None:
    """Events see the HTTP session of their handshake; what they write stays with them."""

    def write() -> str:
        session["name"] = "Ada"
        return "set"

    site.app.add_url_rule("/set", "set", write)
    site.app.add_url_rule("/get", "get", lambda: dict(session))
    browser = site.app.test_client()
    browser.get("/set")
    client = site.client(client=browser)
    client.connect()
    site.run(client, lambda: session.update(name=session["name"] + " L."))
    assert site.run(client, lambda: session["name"]) == ["Ada L."]
    assert browser.get("/get").json == {"name": "Ada"}


def test_flask_login(site: Site) -> None:
    """A user who logged in over HTTP is current_user in handlers."""

    class User(UserMixin):  # type: ignore[misc]
        id = "ada"

    manager = LoginManager(site.app)
    manager.user_loader(lambda name: User() if name == "ada" else None)
    site.app.add_url_rule("/login", "login", lambda: login_user(User()) and "in")
    browser = site.app.test_client()
    browser.get("/login")
    client = site.client(client=browser)
    client.connect()
    assert site.run(client, lambda: current_user.get_id()) == ["ada"]
    stranger, _ = site.joined()
    assert site.run(stranger, lambda: current_user.is_authenticated) == [False]


def test_teardown_runs_per_event(site: Site) -> None:
    """teardown functions run once for connect, for each event, also for one that fails."""
    ended: list[str | None] = []
    site.app.teardown_appcontext(lambda exc: ended.append(type(exc).__name__ if exc else None))
    site.socketio.on_event("connect", lambda: None)
    client, _ = site.joined()
    site.run(client, lambda: None)

    def fail() -> None:
        raise KeyError("mine")

    site.socketio.on_event("fail", fail)
    client.emit("fail")
    site.run(client, lambda: None)
    assert ended == [None, None, "KeyError", None]


def test_script_tag(site: Site, tmp_path: Any) -> None:
    """{{ socketio_script() }} renders our route where a bundle is, else the CDN's tag."""
    (tmp_path / "socket.io.min.js").write_text("io")

    def tag(**options: Any) -> str:
        app = Flask("tag")
        SocketIO(app, **options)
        app.add_url_rule(
            "/", "index", lambda: flask.render_template_string("{{socketio_script()}}")
        )
        return Client(app).get("/", "http://localhost/mounted").text

    ours = '<script src="/mounted/live/socket.io.min.js"></script>'
    assert tag(path="live", client_dir=str(tmp_path)) == ours
    cdn = '<script src="https://cdn.socket.io/'
    assert tag(client_dir=str(tmp_path), serve_client=False).startswith(cdn)
    assert "/socket.io.msgpack.min.js" in tag(client_dir=str(tmp_path), serializer="msgpack")


def test_background_task_has_no_context(site: Site) -> None:
    """start_background_task runs a function beside the handlers and can be waited for."""
    seen: list[Any] = []
    client, _ = site.joined()

    def task(text: str, *, end: str) -> None:
        site.socketio.sleep(0)
        seen.append((text + end, has_request_context()))

    def handler() -> None:
        site.socketio.start_background_task(task, "done", end="!").join()

    site.run(client, handler)
    assert seen == [("done!", False)]
    assert site.socketio.async_mode == site.socketio.server_options["async_mode"]


def test_importing_the_extension_loads_no_gevent() -> None:
    """A program that never asks for gevent does not load it."""
    program = (
        "import sys, flask; from flask_sio import SocketIO, emit\n"
        "SocketIO(flask.Flask('x'), async_mode='threading')\n"
        "print([name for name in sys.modules if name.split('.')[0] == 'gevent'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_what_a_handler_logs_is_seen() -> None:
    """Flask's default log handler, which writes to the request's wsgi.errors, works in events."""
    program = (
        "import flask, flask_sio\n"
        "app = flask.Flask('x')\n"
        "socketio = flask_sio.SocketIO(app, async_mode='threading')\n"
        "@socketio.on('go')\n"
        "def go():\n"
        "    app.logger.warning('seen')\n"
        "    print('printed', file=flask.request.environ['wsgi.errors'])\n"
        "    flask.request.environ['wsgi.errors'].writelines(['written'])\n"
        "with socketio.test_client(app) as client:\n"
        "    client.emit('go')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    first, *others = done.stderr.splitlines()
    assert first.endswith("WARNING in <string>: seen")
    assert others == ["printed", "written"]


def test_public_names() -> None:
    """The names a program imports from flask_socketio are at the same place here."""
    names = {"emit", "send", "call", "join_room", "leave_room", "close_room", "rooms"}
    names |= {"SocketIO", "disconnect", "ConnectionRefusedError"}
    assert names <= set(flask_sio.__all__)
    assert all(hasattr(flask_sio, name) for name in names)
