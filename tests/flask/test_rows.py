"""What Flask-SocketIO's users rely on in handlers: which one runs, what it may say and return."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask, Response, request
from flask.signals import request_finished, request_started

from flask_sio import ConnectionRefusedError, Namespace, SocketIO, disconnect, emit, rooms
from flask_sio.testing import SocketIOTestClient
from tests.flask.site import Site


@pytest.fixture
def site() -> Iterator[Site]:
    """One application, on the default runtime."""
    site = Site()
    yield site
    site.socketio.shutdown()


def client_of(site: Site, namespace: str = "/", **options: Any) -> SocketIOTestClient:
    """Return a connected client."""
    return site.socketio.test_client(site.app, namespace, **options)


def ask(site: Site, client: SocketIOTestClient, fn: Callable[..., Any], *args: Any) -> Any:
    """Run ``fn`` as a handler of the client; return the ack."""
    site.do = fn
    return client.emit("do", *args, callback=True)


# -- which handler runs -----------------------------------------------------------------


def test_a_catch_all_gets_what_nobody_else_handles(site: Site) -> None:
    """on("*") has the event's name first, and never connect or disconnect."""
    seen: list[Any] = []

    @site.socketio.on("*")
    def any_event(event: str, *args: Any) -> str:
        seen.append((event, args, request.event))  # type: ignore[attr-defined]
        return "any"

    client = client_of(site)
    assert client.emit("say", 1, 2, callback=True) == "any"
    assert ask(site, client, lambda: "own") == "own"
    client.disconnect()
    assert seen == [("say", (1, 2), {"message": "*", "args": ("say", 1, 2)})]


def test_handlers_of_any_namespace(site: Site) -> None:
    """on(event, namespace="*") gets the client's arguments only; request knows the namespace."""
    seen: list[Any] = []

    def note(*args: Any) -> None:
        seen.append((request.event["message"], request.namespace, len(args)))  # type: ignore[attr-defined]

    for event in ("connect", "say", "*", "disconnect"):
        site.socketio.on_event(event, note, namespace="*")
    client = client_of(site, "/other")
    client.emit("say", 1, 2, namespace="/other")
    client.emit("else", 1, 2, namespace="/other")
    client.disconnect("/other")
    assert seen == [
        ("connect", "/other", 1),
        ("say", "/other", 2),
        ("*", "/other", 3),
        ("disconnect", "/other", 1),
    ]


def test_a_handler_of_any_namespace_opens_none(site: Site) -> None:
    """A namespace that only "*" has handlers for is refused."""
    site.socketio.on_event("say", lambda: "any", namespace="*")
    client = client_of(site, "/unheard-of")
    assert not client.is_connected("/unheard-of")
    assert client.refused == {"message": "Invalid namespace"}


def test_order_of_handlers(site: Site) -> None:
    """The own function, "*" of its namespace, of any, then the class, then the class of "*"."""

    class Said(Namespace):
        def on_say(self) -> str:
            return f"class {self.namespace}"

    socketio, client = site.socketio, client_of(site)
    answers: list[Any] = []

    def note() -> None:
        answers.append(client.emit("say", callback=True))

    for namespace in ("*", "/"):
        socketio.on_namespace(Said(namespace))
        note()
    for event, namespace in (("*", "*"), ("say", "*"), ("*", "/"), ("say", "/")):
        answer = f"{event} {namespace}"
        socketio.on_event(event, lambda *_args, answer=answer: answer, namespace)
        note()
    assert answers == ["class *", "class /", "* *", "say *", "* /", "say /"]


def test_the_last_registration_wins(site: Site) -> None:
    """A function registered again for an event replaces the first, also while clients are there."""
    client = client_of(site)
    for answer in ("first", "second"):
        site.socketio.on_event("say", lambda answer=answer: answer)
        assert client.emit("say", callback=True) == answer


def test_message_and_json_are_what_send_sends(site: Site) -> None:
    """The handlers of "message" and "json" get what a client sends without a name."""
    site.socketio.on_event("message", lambda data: ["message", data])
    site.socketio.on_event("json", lambda data: ["json", data])
    client = client_of(site)
    assert client.send("hi", callback=True) == ["message", "hi"]
    assert client.send({"a": 1}, json=True, callback=True) == ["json", {"a": 1}]


@pytest.mark.parametrize("act", ["on_namespace", "on_error", "on_error_default"])
def test_what_is_no_handler_is_a_value_error(act: str) -> None:
    """A class in place of its object, and an error handler that is no function, are refused."""
    socketio = SocketIO()
    wrong: Any = Namespace if act == "on_namespace" else 1
    register = socketio.on_error("/other") if act == "on_error" else getattr(socketio, act)
    with pytest.raises(ValueError, match=r"instance|callable"):
        register(wrong)


def test_error_handlers_are_given_back() -> None:
    """on_error and on_error_default return what they decorate."""
    socketio = SocketIO()

    def handler(error: Exception) -> None: ...

    assert socketio.on_error()(handler) is handler
    assert socketio.on_error("/other")(handler) is handler
    assert socketio.on_error_default(handler) is handler
    assert socketio.exception_handlers == {"/": handler, "/other": handler}
    assert socketio.default_exception_handler is handler


# -- what it returns --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "ack"),
    [
        (None, []),
        ((), []),
        ((1, 2), [1, 2]),
        ((1,), 1),
        ([1, 2], [1, 2]),
        ([], []),
        (False, False),
        (0, 0),
        ("", ""),
        ({"a": 1}, {"a": 1}),
        (b"x", b"x"),
    ],
)
def test_what_a_handler_returns_is_the_ack(site: Site, result: Any, ack: Any) -> None:
    """A tuple is several values, None is none; everything else, False too, is one."""
    assert ask(site, client_of(site), lambda: result) == ack


def test_a_list_is_one_value_of_an_ack(site: Site) -> None:
    """Unlike a tuple a list is not spread: the packet holds a list within the list."""
    client, _ = site.joined()
    assert site.run(client, lambda: [1, 2]) == [[1, 2]]
    assert site.run(client, lambda: (1, 2)) == [1, 2]


def test_events_without_a_handler(site: Site) -> None:
    """Without a handler nothing is acknowledged; a class without the method acknowledges."""
    site.socketio.on_namespace(Namespace("/classy"))
    client = client_of(site)
    client.connect("/classy")
    assert client.emit("unknown", callback=True) is None
    assert client.emit("unknown", callback=True, namespace="/classy") == []


@pytest.mark.parametrize("args", [(), (1, 2, 3)])
def test_arguments_that_do_not_fit_are_a_type_error(site: Site, args: tuple[Any, ...]) -> None:
    """Too few and too many arguments go to the error handlers, whose result is the ack."""

    @site.socketio.on_error_default
    def failed(error: Exception) -> str:
        return type(error).__name__

    site.socketio.on_event("two", lambda a, b: "fine")
    client = client_of(site)
    assert client.emit("two", 1, 2, callback=True) == "fine"
    assert client.emit("two", *args, callback=True) == "TypeError"


# -- connect and disconnect -------------------------------------------------------------


@pytest.mark.parametrize("result", [None, 0, "", [], True])
def test_only_false_refuses_a_client(site: Site, result: Any) -> None:
    """Whatever else a connect handler returns accepts."""
    site.socketio.on_event("connect", lambda: result)
    assert client_of(site).is_connected()


def raising(error: BaseException) -> Callable[[], Any]:
    """Return a handler that raises."""

    def handler() -> None:
        raise error

    return handler


@pytest.mark.parametrize(
    ("handler", "told"),
    [
        (lambda: False, {"message": "Connection rejected by server"}),
        (raising(ConnectionRefusedError()), {"message": "Connection rejected by server"}),
        (raising(ConnectionRefusedError("a")), {"message": "a"}),
        (raising(ConnectionRefusedError(5)), {"message": "5"}),
        (raising(ConnectionRefusedError("a", 1)), {"message": "a", "data": 1}),
        (raising(ConnectionRefusedError("a", 1, 2)), {"message": "a", "data": [1, 2]}),
        (
            raising(ConnectionRefusedError({"message": "a", "code": 1})),
            {"message": "a", "data": {"code": 1}},
        ),
        (raising(builtins.ConnectionRefusedError()), {"message": "Connection refused by server"}),
    ],
)
def test_what_a_refused_client_hears(site: Site, handler: Any, told: Any) -> None:
    """False, our ConnectionRefusedError in each of its shapes and Python's own refuse."""
    site.socketio.on_event("connect", handler)
    client = client_of(site)
    assert not client.is_connected()
    assert client.refused == told


def test_refusals_pass_error_handlers_also_in_events(site: Site) -> None:
    """ConnectionRefusedError in a handler of an event is not for on_error either."""
    seen: list[Any] = []
    site.socketio.on_error_default(seen.append)
    client = client_of(site)
    with pytest.raises(ConnectionRefusedError):
        ask(site, client, raising(ConnectionRefusedError("no")))
    assert seen == []


@pytest.mark.parametrize("takes", [0, 1])
def test_methods_may_leave_out_auth_and_reason(site: Site, takes: int) -> None:
    """on_connect and on_disconnect of a class take their one argument, or none."""
    seen: list[Any] = []

    class Taking(Namespace):
        def on_connect(self, auth: Any) -> None:
            seen.append(auth)

        def on_disconnect(self, reason: str) -> None:
            seen.append(reason)

    class Leaving(Namespace):
        def on_connect(self) -> None:
            seen.append(None)

        def on_disconnect(self) -> None:
            seen.append(None)

    site.socketio.on_namespace((Taking if takes else Leaving)("/classy"))
    client = client_of(site, "/classy", auth={"a": 1})
    client.disconnect("/classy")
    taken = [{"a": 1}, site.socketio.reason.CLIENT_DISCONNECT]
    assert seen == (taken if takes else [None, None])


def test_the_own_room_is_there_in_connect_and_disconnect(site: Site) -> None:
    """rooms() of the first and of the last handler holds the client's own id."""
    seen: list[Any] = []

    def note() -> None:
        seen.append(rooms() == [request.sid])  # type: ignore[attr-defined]

    site.socketio.on_event("connect", note)
    site.socketio.on_event("disconnect", note)
    client_of(site).disconnect()
    assert seen == [True, True]


def test_a_farewell_is_for_those_who_stay(site: Site) -> None:
    """A broadcast in a disconnect handler reaches the others, and not the client that leaves."""
    site.socketio.on_event("disconnect", lambda: emit("left", broadcast=True))
    leaving, staying = client_of(site), client_of(site)
    leaving.disconnect()
    assert [each["name"] for each in staying.get_received()] == ["left"]
    assert leaving.queue == []


def test_disconnect_inside_a_handler(site: Site) -> None:
    """The rest of the handler runs, then the disconnect handler; no ack follows."""
    order: list[str] = []
    site.socketio.on_event("disconnect", lambda: order.append("disconnected"))

    def leave() -> str:
        disconnect()
        order.append("rest")
        return "ack"

    client = client_of(site)
    assert ask(site, client, leave) is None
    assert order == ["rest", "disconnected"]
    assert not client.is_connected()


# -- around handlers --------------------------------------------------------------------


def test_hooks_of_requests_do_not_run_for_events(site: Site) -> None:
    """before_request, after_request and Flask's request signals are for views."""
    seen: list[str] = []
    app: Flask = site.app
    app.before_request(lambda: seen.append("before"))

    @app.after_request
    def after(response: Response) -> Response:
        seen.append("after")
        return response

    app.teardown_request(lambda _error: seen.append("teardown"))
    app.teardown_appcontext(lambda _error: seen.append("appcontext"))

    def started(*_args: Any, **_details: Any) -> None:
        seen.append("signal")

    client = client_of(site)
    seen.clear()
    with request_started.connected_to(started, app), request_finished.connected_to(started, app):
        ask(site, client, lambda: None)
    assert seen == ["teardown", "appcontext"]


def test_a_callbacks_event_has_no_name(site: Site) -> None:
    """In a callback request.event's message is None and its args are what the client answered."""
    seen: list[Any] = []
    client = client_of(site)
    client.on("question", lambda: (1, 2))

    def answered(*args: Any) -> None:
        seen.append((args, request.event, request.sid))  # type: ignore[attr-defined]

    ask(site, client, lambda: emit("question", callback=answered))
    assert seen == [((1, 2), {"message": None, "args": (1, 2)}, client.sid())]


def test_exceptions_of_callbacks_go_to_error_handlers(site: Site) -> None:
    """What a callback raises is handled as a handler's own, in its context."""
    seen: list[Any] = []

    @site.socketio.on_error()
    def failed(error: Exception) -> None:
        seen.append((str(error), request.event["message"]))  # type: ignore[attr-defined]

    client = client_of(site)
    client.on("question", lambda: None)
    ask(site, client, lambda: emit("question", callback=raising(ValueError("oops"))))
    assert seen == [("oops", None)]


def test_an_error_handler_may_leave_it_to_the_class(site: Site) -> None:
    """What on_error raises again reaches error() of the class, which makes the ack."""

    class Chat(Namespace):
        def on_fail(self) -> None:
            raise ValueError("oops")

        def error(self, error: Exception) -> str:
            return f"class: {error}"

    @site.socketio.on_error("/chat")
    def failed(error: Exception) -> None:
        raise error

    site.socketio.on_namespace(Chat("/chat"))
    client = client_of(site, "/chat")
    assert client.emit("fail", callback=True, namespace="/chat") == "class: oops"
