"""What Flask-SocketIO's users rely on when they emit: to whom, what, from where."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import request, session
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user
from werkzeug.middleware.proxy_fix import ProxyFix

from flask_sio import (
    Namespace,
    SocketIO,
    call,
    close_room,
    disconnect,
    emit,
    exceptions,
    join_room,
    leave_room,
    rooms,
    send,
)
from flask_sio.testing import SocketIOTestClient
from tests.flask.site import Site

HANDSHAKE = "/socket.io/?EIO=4&transport=polling"


@pytest.fixture
def site() -> Iterator[Site]:
    """One application, on the default runtime."""
    site = Site()
    yield site
    site.socketio.shutdown()


def client_of(site: Site, namespace: str = "/", **options: Any) -> SocketIOTestClient:
    """Return a connected client."""
    return site.socketio.test_client(site.app, namespace, **options)


def ask(site: Site, client: SocketIOTestClient, fn: Callable[..., Any], **options: Any) -> Any:
    """Run ``fn`` as a handler of the client; return the ack."""
    site.do = fn
    return client.emit("do", callback=True, **options)


def names(client: SocketIOTestClient, namespace: str = "/") -> list[str]:
    """Return the names of what a client has received."""
    return [each["name"] for each in client.get_received(namespace)]


# -- to whom ----------------------------------------------------------------------------


def test_the_three_emits_have_different_defaults(site: Site) -> None:
    """emit() replies to its client; the methods of SocketIO and of a class go to everybody."""

    class Chat(Namespace):
        def on_all(self) -> None:
            self.emit("of class")

    site.socketio.on_namespace(Chat("/chat"))
    asking, other = client_of(site, "/chat"), client_of(site, "/chat")
    asking.emit("all", namespace="/chat")
    assert (names(asking, "/chat"), names(other, "/chat")) == (["of class"], ["of class"])
    for client in (asking, other):
        client.connect("/")

    def both() -> None:
        emit("of function")
        site.socketio.emit("of method")

    ask(site, asking, both)
    assert names(asking) == ["of function", "of method"]
    assert names(other) == ["of method"]


def test_to_comes_before_broadcast_and_room(site: Site) -> None:
    """With broadcast=True and a target the target counts, and to= comes before room=."""
    asking, other = client_of(site), client_of(site)
    target = other.sid()
    ask(site, asking, lambda: emit("a", to=target, broadcast=True))
    ask(site, asking, lambda: emit("b", room=target))
    ask(site, asking, lambda: emit("c", to=target, room=request.sid))  # type: ignore[attr-defined]
    assert (names(asking), names(other)) == ([], ["a", "b", "c"])


@pytest.mark.parametrize("speak", [emit, send], ids=["emit", "send"])
@pytest.mark.parametrize("kind", [str, list, tuple, set])
def test_those_left_out_add_up(site: Site, speak: Any, kind: Any) -> None:
    """include_self=False and skip_sid, one id or any collection, count together in both."""
    asking, skipped, other = client_of(site), client_of(site), client_of(site)
    skip = skipped.sid() if kind is str else kind([skipped.sid()])
    ask(site, asking, lambda: speak("x", broadcast=True, include_self=False, skip_sid=skip))
    assert [len(each.get_received()) for each in (asking, skipped, other)] == [0, 0, 1]


def test_include_self_needs_an_event(site: Site) -> None:
    """Outside of events include_self=False has nobody to leave out."""
    with pytest.raises(RuntimeError, match="skip_sid"):
        site.socketio.emit("x", include_self=False)
    with pytest.raises(RuntimeError, match="skip_sid"):
        site.socketio.send("x", include_self=False)


def test_functions_about_another_client(site: Site) -> None:
    """join_room, leave_room, rooms, close_room and disconnect take sid= and namespace=."""
    asking, other = client_of(site), client_of(site, "/other")
    there: dict[str, Any] = {"sid": other.sid("/other"), "namespace": "/other"}

    def enter() -> Any:
        join_room("a", **there)
        join_room("b", **there)
        leave_room("a", **there)
        emit("x", to="b", namespace="/other")
        found = rooms(**there)
        close_room("b", namespace="/other")
        return sorted(set(found) - {there["sid"]}), len(rooms(**there))

    assert ask(site, asking, enter) == [["b"], 1]
    assert names(other, "/other") == ["x"]
    ask(site, asking, lambda: disconnect(**there))
    assert not other.is_connected("/other")
    assert asking.is_connected()


def test_methods_close_rooms_and_send(site: Site) -> None:
    """socketio.close_room and socketio.send need no context; None as namespace is "/"."""
    client = client_of(site)
    ask(site, client, lambda: join_room("a"))
    site.socketio.send("hi", to="a", namespace=None)
    site.socketio.send({"a": 1}, json=True)
    site.socketio.close_room("a", namespace=None)
    site.socketio.emit("x", to="a", namespace=None)
    assert [(each["name"], each["args"]) for each in client.get_received()] == [
        ("message", "hi"),
        ("json", {"a": 1}),
    ]


def test_functions_default_to_the_events_namespace(site: Site) -> None:
    """emit, join_room and rooms mean the namespace of the event; the id is that one's."""
    client = client_of(site)
    client.connect("/other")

    def there() -> Any:
        join_room("a")
        emit("x", to="a")
        return "a" in rooms(), rooms(namespace="/") == [client.sid()]

    assert ask(site, client, there, namespace="/other") == [True, True]
    assert (names(client), names(client, "/other")) == ([], ["x"])
    assert len({client.sid(), client.sid("/other"), client.eio_sid}) == 3


# -- what -------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"x", {"a": [b"x", bytearray(b"y")]}, [{"b": b""}]])
def test_bytes_may_be_anywhere(site: Site, data: Any) -> None:
    """bytes and bytearrays within lists and dicts arrive as bytes, both ways."""
    client = client_of(site)
    site.socketio.on_event("echo", lambda got: emit("got", got))
    client.emit("echo", data)
    assert client.get_received()[0]["args"] == [data]


def test_a_list_is_one_argument(site: Site) -> None:
    """A tuple is several arguments, a list and what is within a tuple are not spread."""
    client = client_of(site)
    for data in ([1, 2], (1, 2), ([1, 2], None), (), None, False):
        site.socketio.emit("x", data)
    assert [each["args"] for each in client.get_received()] == [
        [[1, 2]],
        [1, 2],
        [[1, 2], None],
        [],
        [],
        [False],
    ]


@pytest.mark.parametrize(("answer", "result"), [(None, None), ("a", "a"), ((1, 2), (1, 2))])
def test_what_call_returns(site: Site, answer: Any, result: Any) -> None:
    """call() of either kind returns None, the one value, or a tuple of several."""
    client, seen = client_of(site), []
    client.on("question", lambda *args: answer if args == (1, 2) else "wrong")
    sid = client.sid()

    def both() -> None:
        seen.append(call("question", (1, 2)))
        seen.append(site.socketio.call("question", (1, 2), to=sid))

    ask(site, client, both)
    assert seen == [result, result]


def test_a_call_times_out_as_ever(site: Site) -> None:
    """The exception of an unanswered call() is the one of flask_sio.exceptions."""
    client = client_of(site)
    with pytest.raises(exceptions.TimeoutError):
        ask(site, client, lambda: call("question", timeout=0))


# -- classes ----------------------------------------------------------------------------


def test_a_class_speaks_in_its_namespace(site: Site) -> None:
    """The methods a class inherits default to its namespace and name clients by their ids."""
    chat = Namespace("/chat")
    site.socketio.on_namespace(chat)
    client = client_of(site, "/chat")
    sid = client.sid("/chat")
    client.on("question", lambda data: data + 1, namespace="/chat")
    assert chat.call("question", 1, to=sid) == 2
    chat.enter_room(sid, "a")
    chat.enter_room(sid, "b")
    chat.leave_room(sid, "b")
    chat.send("hi", room="a")
    assert set(chat.rooms(sid)) == {sid, "a"}
    chat.close_room("a")
    assert chat.rooms(sid) == [sid]
    chat.save_session(sid, {"a": 1})
    with chat.session(sid) as kept:
        kept["b"] = 2
    assert chat.get_session(sid) == {"a": 1, "b": 2}
    assert [each["args"] for each in client.get_received("/chat")] == [[1], "hi"]
    chat.disconnect(sid)
    assert not client.is_connected("/chat")
    assert (chat.namespace, chat.socketio) == ("/chat", site.socketio)
    assert chat.server is site.socketio.server
    assert not chat.is_asyncio_based()


def test_an_own_trigger_event_sees_everything(site: Site) -> None:
    """A class that overrides trigger_event gets connect, events of any name, and disconnect."""
    seen: list[str] = []

    class Watching(Namespace):
        def trigger_event(self, event: str, *args: Any) -> Any:
            seen.append(event)
            return super().trigger_event(event, *args)

        def on_say(self, text: str) -> str:
            return text.upper()

    site.socketio.on_namespace(Watching("/chat"))
    client = client_of(site, "/chat")
    assert client.emit("say", "hi", callback=True, namespace="/chat") == "HI"
    client.emit("unknown", namespace="/chat")
    client.disconnect("/chat")
    assert seen == ["connect", "say", "unknown", "disconnect"]


def test_a_class_hears_what_send_sends(site: Site) -> None:
    """on_message and on_json of a class are for what has no other name."""

    class Chat(Namespace):
        def on_message(self, data: Any) -> str:
            return f"message {data}"

        def on_json(self, data: Any) -> str:
            return f"json {data}"

    site.socketio.on_namespace(Chat("/chat"))
    client = client_of(site, "/chat")
    assert client.send("a", callback=True, namespace="/chat") == "message a"
    assert client.send(1, json=True, callback=True, namespace="/chat") == "json 1"


# -- users, sessions, requests ----------------------------------------------------------


def test_login_within_an_event_is_the_connections(site: Site) -> None:
    """login_user and logout_user in handlers change the managed session, and no view's."""
    user = UserMixin()
    user.id = "7"
    LoginManager(site.app).user_loader(lambda _id: user)
    site.app.add_url_rule("/who", view_func=lambda: str(current_user.is_authenticated))
    http = site.app.test_client()
    client = client_of(site, flask_test_client=http)
    ask(site, client, lambda: login_user(user))
    assert ask(site, client, lambda: [current_user.is_authenticated, session["_user_id"]]) == [
        True,
        "7",
    ]
    assert http.get("/who").text == "False"
    ask(site, client, lambda: logout_user())
    assert ask(site, client, lambda: current_user.is_authenticated) is False


@pytest.mark.parametrize("behind", [False, True])
def test_forwarded_headers_count_behind_proxyfix_only(site: Site, behind: bool) -> None:
    """The origin is compared with Host; what anybody says in X-Forwarded-Host is not believed."""
    if behind:
        site.app.wsgi_app = ProxyFix(site.app.wsgi_app, x_host=1)  # type: ignore[method-assign]
    headers = {"Origin": "http://shop.example", "X-Forwarded-Host": "shop.example"}
    answer = site.app.test_client().get(HANDSHAKE, headers=headers)
    assert answer.status_code == (200 if behind else 403)


def test_listed_origins_are_echoed_with_credentials(site: Site) -> None:
    """A listed origin gets the headers that let a page of it read the answer."""
    page = "http://page.example"
    site.socketio.init_app(site.app, cors_allowed_origins=[page])
    answer = site.app.test_client().get(HANDSHAKE, headers={"Origin": page})
    assert answer.headers["Access-Control-Allow-Origin"] == page
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"


@pytest.mark.parametrize(
    ("method", "query", "status"),
    [
        ("GET", "EIO=4&transport=telepathy", 400),
        ("GET", "EIO=2&transport=polling", 400),
        ("GET", "EIO=4&transport=polling&sid=unknown", 400),
        ("POST", "EIO=4&transport=polling&sid=unknown", 400),
        ("PUT", "EIO=4&transport=polling", 400),
    ],
)
def test_statuses_of_refused_requests(site: Site, method: str, query: str, status: int) -> None:
    """What is no Engine.IO request is refused by status, and never reaches a view."""
    site.app.add_url_rule("/<path:path>", view_func=lambda path: path)
    answer = site.app.test_client().open(f"/socket.io/?{query}", method=method)
    assert answer.status_code == status
    assert answer.json is not None


def test_a_preflight_is_answered(site: Site) -> None:
    """OPTIONS succeeds, for a browser asks before it posts to another origin."""
    answer = site.app.test_client().options(HANDSHAKE, headers={"Origin": "http://localhost"})
    assert answer.status_code in (200, 204)


# -- tasks and reach-through ------------------------------------------------------------


def test_tasks_take_arguments_and_can_be_joined(site: Site) -> None:
    """start_background_task passes arguments on and returns what has join(); sleep yields."""
    seen: list[Any] = []

    def work(*args: Any, **kwargs: Any) -> None:
        site.socketio.sleep(0)
        seen.append((args, kwargs))

    task = site.socketio.start_background_task(work, 1, two=2)
    task.join()
    assert seen == [((1,), {"two": 2})]


SERVER = """enter_room leave_room close_room rooms disconnect emit send call get_session
save_session session transport get_environ shutdown on event register_namespace
start_background_task sleep handle_request"""
MANAGER = """get_participants is_connected get_namespaces disconnect enter_room leave_room
close_room get_rooms"""


@pytest.mark.parametrize("name", SERVER.split())
def test_methods_of_the_server(name: str) -> None:
    """What programs call on socketio.server is there."""
    assert callable(getattr(SocketIO(site_app()).server, name))


@pytest.mark.parametrize("name", MANAGER.split())
def test_methods_of_the_manager(name: str) -> None:
    """What programs call on socketio.server.manager is there."""
    assert callable(getattr(SocketIO(site_app()).server.manager, name))


def site_app() -> Any:
    """Return an application without anything."""
    return Site().app
