"""The test client: Flask-SocketIO's API, over real frames, on either runtime."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from flask import Flask, g, request, session

import flask_sio
from flask_sio import (
    ConnectionRefusedError,
    DisconnectedError,
    Server,
    SocketIO,
    TimeoutError,
    call,
    disconnect,
    emit,
    join_room,
    send,
)
from flask_sio.testing import SocketIOTestClient, TestClient
from tests.live import WAIT_S, Runtime, serve

SOON_S = 0.05
"""A timeout that is meant to end."""


@pytest.fixture(scope="module", autouse=True)
def hub() -> None:
    """Have this thread's hub, which is never given back, before leaks are looked for."""
    gevent.get_hub()
    gevent.sleep(0)


class Site:
    """An application whose handlers a test fills in."""

    def __init__(self, **options: Any) -> None:
        self.app = Flask("site")
        self.app.secret_key = "secret"
        self.socketio = SocketIO(self.app, **options)
        self.log: list[Any] = []
        self.on = self.socketio.on

    def client(self, namespace: str | None = None, **options: Any) -> SocketIOTestClient:
        options.setdefault("timeout", WAIT_S)
        return self.socketio.test_client(self.app, namespace, **options)

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing is left of any client."""
        engine = self.socketio.server.engine
        return not (engine.has_loop or engine.connections or engine.streams)


@pytest.fixture
def site(runtime: Runtime) -> Iterator[Site]:
    """One application, in turn on either runtime; it must be at rest when its clients left."""
    site = Site(async_mode=runtime)
    yield site
    gc.collect()
    assert site.is_at_rest


# -- connecting -------------------------------------------------------------------------


def test_connects_when_made(site: Site) -> None:
    """A client is connected from the start; each has an id of its own, and one per namespace."""

    @site.on("connect")
    def connect(auth: Any) -> None:
        site.log.append((request.sid, auth))  # type: ignore[attr-defined]

    with site.client(auth={"name": "ada"}) as ada, site.client() as bob:
        assert ada.is_connected()
        assert ada.connected == {"/": True}
        assert not ada.is_connected("/other")
        assert site.log == [(ada.sid(), {"name": "ada"}), (bob.sid(), None)]
        assert len({ada.eio_sid, bob.eio_sid, ada.sid(), bob.sid()}) == 4
        ada.disconnect()
        assert not ada.is_connected()
        assert bob.is_connected()


def test_the_request_holds_what_was_passed_and_no_more(site: Site) -> None:
    """Without arguments `request.args` is empty and the headers are the host's only."""

    @site.on("connect")
    def connect() -> None:
        names = set(request.headers.keys()) - {"Host", "Content-Type", "Content-Length"}
        site.log.append((request.args.to_dict(flat=False), {n: request.headers[n] for n in names}))

    for query in (None, "a=1&a=2", "?a=1&a=2"):
        site.client(query_string=query, headers={"X-Token": "t"}).close()
    site.client().close()
    token, args = {"X-Token": "t"}, {"a": ["1", "2"]}
    assert site.log == [({}, token), (args, token), (args, token), ({}, {})]


def test_the_cookies_of_flasks_client_come_along(site: Site) -> None:
    """The session that HTTP requests have made is there, as is what each request carries."""

    @site.app.route("/login")
    def login() -> str:
        session["user"] = "ada"
        return ""

    @site.on("connect")
    def connect() -> None:
        site.log.append((dict(session), request.headers.get("Authorization")))

    http = site.app.test_client()
    http.get("/login")
    http.environ_base["HTTP_AUTHORIZATION"] = "Bearer x"
    with site.client(flask_test_client=http), site.client():
        assert site.log == [({"user": "ada"}, "Bearer x"), ({}, None)]


def test_a_refusal_does_not_raise(site: Site) -> None:
    """A refused client is not connected and knows why; it may try again."""
    answer: list[Any] = []

    @site.on("connect")
    def connect() -> Any:
        if isinstance(answer[0], Exception):
            raise answer[0]
        return answer[0]

    answer[:] = [False]
    client = site.client()
    assert not client.is_connected()
    assert client.refused == {"message": "Connection rejected by server"}
    assert site.is_at_rest
    answer[:] = [ConnectionRefusedError("banned", {"until": 5})]
    client.connect()
    assert client.refused == {"message": "banned", "data": {"until": 5}}
    assert client.connected == {"/": False}
    answer[:] = [None]
    client.connect()
    assert client.is_connected()
    assert client.refused is None
    client.connect("/nobody")
    assert not client.is_connected("/nobody")
    assert client.is_connected()
    assert client.refused == {"message": "Invalid namespace"}
    client.disconnect()


def test_namespaces_share_a_connection(site: Site) -> None:
    """`connect` adds namespaces to one connection, which ends with the last of them."""

    @site.on("connect", namespace="/a")
    @site.on("connect", namespace="/b")
    def connect() -> None:
        emit("hello", request.sid)  # type: ignore[attr-defined]

    client = site.client("/a")
    eio_sid = client.eio_sid
    client.connect(namespace="/b")
    assert client.eio_sid == eio_sid
    assert client.sid("/a") != client.sid("/b")
    assert client.get_received("/b") == [
        {"name": "hello", "args": [client.sid("/b")], "namespace": "/b"}
    ]
    assert [event["args"] for event in client.get_received("/a")] == [[client.sid("/a")]]
    client.disconnect("/a")
    assert client.connected == {"/b": True}
    assert not site.is_at_rest
    client.disconnect("/b")
    assert client.connected == {}
    assert site.is_at_rest
    client.connect("/a")
    assert client.is_connected("/a")
    assert client.eio_sid == eio_sid
    client.close()


def test_connecting_twice_begins_anew(site: Site) -> None:
    """`connect` of a connected namespace leaves and enters it, with the new auth data."""
    site.on("connect")(lambda auth: site.log.append(auth))
    site.on("disconnect")(lambda: site.log.append("left"))
    with site.client(auth={"n": 1}) as client:
        first = client.sid()
        client.connect(auth={"n": 2})
        assert site.log == [{"n": 1}, "left", {"n": 2}]
        assert client.is_connected()
        assert client.sid() != first


def test_a_later_request_replaces_the_first(site: Site) -> None:
    """Headers given for another namespace hold for the connection, as in Flask-SocketIO."""

    @site.on("look")
    @site.on("look", namespace="/b")
    def look() -> str | None:
        return request.headers.get("X-Token")

    with site.client(headers={"X-Token": "one"}) as client:
        assert client.emit("look", callback=True) == "one"
        client.connect("/b")
        assert client.emit("look", callback=True, namespace="/b") == "one"
        client.disconnect("/b")
        client.connect("/b", headers={"X-Token": "two"})
        assert client.emit("look", callback=True) == "two"


def test_auth_is_a_dict(site: Site) -> None:
    """Auth data that no real client could send is refused in the test."""
    with pytest.raises(TypeError, match="dict"):
        site.client(auth="token")


def test_the_server_disconnects(site: Site) -> None:
    """`disconnect()` in a handler leaves the namespace at once; its handler has run."""
    site.on("exit")(lambda: disconnect())
    site.on("disconnect")(lambda reason: site.log.append(reason))
    client = site.client()
    client.emit("exit")
    assert not client.is_connected()
    assert client.connected == {"/": False}
    assert site.log == ["server disconnect"]
    assert site.is_at_rest


@pytest.mark.parametrize("act", ["emit", "send", "disconnect", "get_received", "sid"])
def test_not_connected(site: Site, act: str) -> None:
    """Who is not connected cannot send, leave or receive."""
    client = site.client()
    args = ["x"] if act in ("emit", "send") else []
    with pytest.raises(RuntimeError, match=r"^not connected$"):
        getattr(client, act)(*args, namespace="/b")
    client.disconnect()
    with pytest.raises(RuntimeError, match=r"^not connected$"):
        getattr(client, act)(*args)


# -- events and acks --------------------------------------------------------------------


def test_what_is_received(site: Site) -> None:
    """Entries have name, args and namespace; args is one value for message and json."""

    @site.on("say")
    def say() -> None:
        send("text")
        send({"a": 1}, json=True)
        emit("one", b"\x01")
        emit("two", ((1, 2), {"b": b"\x02"}))
        emit("none")
        emit("message", (1, 2))
        emit("message")

    with site.client() as client:
        client.emit("say")
        received = client.get_received()
        assert {event["namespace"] for event in received} == {"/"}
        assert [(event["name"], event["args"]) for event in received] == [
            ("message", "text"),
            ("json", {"a": 1}),
            ("one", [b"\x01"]),
            ("two", [[1, 2], {"b": b"\x02"}]),
            ("none", []),
            ("message", [1, 2]),
            ("message", []),
        ]
        assert client.get_received() == []


def test_acks(site: Site) -> None:
    """`callback=True` returns one value as it is, else a list; None where nobody answers."""
    site.on("echo")(lambda *args: args)
    site.on("nothing")(lambda *_: None)
    site.on("message")(lambda text: f"{text}!")
    site.on("json")(lambda data: {**data, "b": 2})
    with site.client() as client:
        assert client.emit("echo", 1, callback=True) == 1
        assert client.emit("echo", 1, b"\x02", callback=True) == [1, b"\x02"]
        assert client.emit("nothing", callback=True) == []
        assert client.emit("unknown", callback=True) is None
        assert client.emit("echo", 1) is None
        assert client.emit("echo", [None], callback=True, broadcast=True) == [None]
        with pytest.raises(TypeError, match="calback"):
            client.emit("echo", calback=True)
        assert client.send("hi", callback=True) == "hi!"
        assert client.send({"a": 1}, json=True, callback=True) == {"a": 1, "b": 2}


def test_data_is_what_it_was_when_it_was_sent(site: Site) -> None:
    """What a handler changes after an emit, or a test after one, was sent as it was."""

    @site.on("change")
    def change(data: dict[str, Any]) -> dict[str, Any]:
        emit("changed", data)
        data["a"] = 2
        return data

    sent = {"a": 1}
    with site.client() as client:
        assert client.emit("change", sent, callback=True) == {"a": 2}
        assert sent == {"a": 1}
        assert client.get_received()[0]["args"] == [{"a": 1}]


def test_others_receive(site: Site) -> None:
    """What is sent to a room or to all has reached every client when `emit` returns."""
    site.on("join")(lambda room: join_room(room))
    site.on("tell")(lambda room: emit("told", room, to=room))
    with site.client() as ada, site.client() as bob, site.client() as eve:
        ada.emit("join", "x")
        bob.emit("join", "x")
        ada.emit("tell", "x")
        assert [len(each.get_received()) for each in (ada, bob, eve)] == [1, 1, 0]
        site.socketio.emit("all", 1)
        assert [len(each.get_received()) for each in (ada, bob, eve)] == [1, 1, 1]


def test_real_frames(site: Site) -> None:
    """What breaks the server's limits closes the connection, as it would a browser's."""
    site.on("big")(lambda data: len(data))
    client = site.client()
    assert client.emit("big", "x" * 70_000, callback=True) == 70_000
    assert client.emit("big", b"x" * 70_000, callback=True) == 70_000
    assert client.emit("big", b"x" * 2_000_000, callback=True) is None
    assert not client.is_connected()


def test_pings_are_answered(runtime: Runtime) -> None:
    """A client stays connected through many heartbeats."""
    site = Site(async_mode=runtime, ping_interval=0.02, ping_timeout=0.1)

    @site.on("later")
    def later() -> None:
        def task() -> None:
            site.socketio.sleep(0.3)
            site.socketio.emit("now")

        site.socketio.start_background_task(task)

    with site.client() as client:
        client.emit("later")
        assert client.wait_for("now")["args"] == []


# -- exceptions -------------------------------------------------------------------------


def test_exceptions_come_out_of_the_call(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """What a handler raises is raised by the call of the client that led to it, and not logged."""

    def fail(*_: Any) -> None:
        raise LookupError("oops")

    site.on("fail")(fail)
    site.on("message")(fail)
    site.on("connect", namespace="/b")(fail)
    site.on("disconnect")(fail)
    client = site.client()
    for act in (
        lambda: client.emit("fail"),
        lambda: client.emit("fail", callback=True),
        lambda: client.send("x"),
        lambda: client.connect("/b"),
        lambda: client.disconnect(),
    ):
        with pytest.raises(LookupError, match="oops"):
            act()
    assert client.refused == {"message": "Internal error"}
    assert caplog.records == []
    with pytest.raises(LookupError, match="oops"):
        site.client("/b")


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), pytest.fail.Exception("no")])
def test_exceptions_of_any_kind(site: Site, error: BaseException) -> None:
    """Those that no `except Exception` catches come out too, `pytest.fail()` for one."""

    @site.on("fail")
    def fail() -> None:
        raise error

    with site.client() as client, pytest.raises(type(error)):
        client.emit("fail")


def test_unserialisable_data(site: Site) -> None:
    """What is no JSON fails where it was emitted, returned or, by the test, sent."""
    site.on("emit")(lambda: emit("x", {"a": site}))
    site.on("return")(lambda: {"a": site})
    with site.client() as client:
        for event, data in (("emit", ()), ("return", ()), ("any", (site,))):
            with pytest.raises(TypeError):
                client.emit(event, *data, callback=True)
        assert client.is_connected()


def test_error_handlers_come_first(site: Site) -> None:
    """An exception that the application's error handler takes is not the test's."""
    site.socketio.on_error_default(lambda error: str(error))

    @site.on("fail")
    def fail() -> None:
        raise LookupError("oops")

    with site.client() as client:
        assert client.emit("fail", callback=True) == "oops"


def test_handlers_that_run_for_another_client(site: Site) -> None:
    """`emit` waits for what it does to other clients, and raises what goes wrong there."""

    @site.on("disconnect")
    def left() -> None:
        site.log.append("left")
        raise LookupError("oops")

    site.on("kick")(lambda sid: site.socketio.server.disconnect(sid))
    with site.client() as ada:
        bob = site.client()
        with pytest.raises(LookupError, match="oops"):
            ada.emit("kick", bob.sid())
        assert not bob.is_connected()
        assert site.log == ["left"]
        site.on("disconnect")(lambda: None)


# -- time -------------------------------------------------------------------------------


class Gate:
    """Holds a handler until the test lets it go, on either runtime."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.is_open = False

    def wait(self) -> None:
        while not self.is_open:
            self._site.socketio.sleep(0.001)


def test_a_handler_that_does_not_end(site: Site) -> None:
    """After `timeout` the call names the handler that runs; it goes on, and so may the client."""
    gate = Gate(site)

    @site.on("slow")
    def slow() -> None:
        gate.wait()
        emit("ended")

    client = site.client(timeout=SOON_S)
    with pytest.raises(TimeoutError, match=r"^emit\('slow'\): the handler of 'slow' still runs"):
        client.emit("slow")
    with pytest.raises(TimeoutError, match=r"^emit\('other'\): the handler of 'slow'"):
        client.emit("other")
    client.timeout = None
    gate.is_open = True
    client.emit("other")
    assert [event["name"] for event in client.get_received()] == ["ended"]
    client.close()


def test_a_busy_client_does_not_hold_up_others(site: Site) -> None:
    """Another client may be what a running handler waits for."""
    gate = Gate(site)
    site.on("wait")(lambda: gate.wait())

    @site.on("open")
    def open_it() -> None:
        gate.is_open = True

    with site.client(timeout=SOON_S) as ada, site.client() as bob:
        with pytest.raises(TimeoutError):
            ada.emit("wait")
        bob.emit("unrelated")
        bob.emit("open")
        ada.timeout = None


def test_concurrent_handlers_are_waited_for(site: Site) -> None:
    """`emit` waits for a handler that may run beside others as well."""

    def late() -> None:
        site.socketio.sleep(0.02)
        site.log.append("late")

    site.on("late", concurrent=True)(late)
    with site.client() as client:
        client.emit("late")
        assert site.log == ["late"]


def test_wait_for_a_background_task(site: Site) -> None:
    """`wait_for` takes the next event of a name, from wherever it is emitted, when it comes."""

    @site.on("begin")
    def begin() -> None:
        def task(sid: str) -> None:
            for number in range(3):
                site.socketio.sleep(0.01)
                site.socketio.emit("step", number, to=sid)
            site.socketio.emit("end", to=sid)

        site.socketio.start_background_task(task, request.sid)  # type: ignore[attr-defined]

    with site.client() as client:
        client.emit("begin")
        assert client.wait_for("end") == {"name": "end", "args": [], "namespace": "/"}
        assert [client.wait_for("step")["args"] for _ in range(3)] == [[0], [1], [2]]
        assert client.get_received() == []


def test_wait_for_what_never_comes(site: Site) -> None:
    """`wait_for` tells what came instead; one that has left gets what came before."""
    with site.client() as client:
        site.socketio.emit("other")
        with pytest.raises(TimeoutError, match=r"no 'news' within 0.05 s, but \['other'\]"):
            client.wait_for("news", timeout=SOON_S)
    assert client.wait_for("other")["args"] == []
    with pytest.raises(RuntimeError, match="not connected"):
        client.wait_for("other")


def test_wait_for_ends_with_the_connection(site: Site) -> None:
    """A client that is disconnected while it waits waits no more."""

    @site.on("begin")
    def begin() -> None:
        def task(sid: str) -> None:
            site.socketio.sleep(0.01)
            site.socketio.server.disconnect(sid)

        site.socketio.start_background_task(task, request.sid)  # type: ignore[attr-defined]

    client = site.client()
    client.emit("begin")
    with pytest.raises(RuntimeError, match="not connected"):
        client.wait_for("end")


def test_get_received_lets_others_run(site: Site) -> None:
    """A background task that is due has emitted, also where the test has blocked the hub."""

    @site.on("connect")
    def connect() -> None:
        def task() -> None:
            site.socketio.emit("first")
            site.socketio.sleep(0.001)
            site.socketio.emit("second")

        site.socketio.start_background_task(task)

    with site.client() as client:
        time.sleep(0.1)  # what Flask-SocketIO's own suite does
        assert [event["name"] for event in client.get_received()] == ["first", "second"]


def test_any_thread(site: Site) -> None:
    """A thread may emit on the server, or use a client, beside the test's own."""
    site.on("echo")(lambda text: text)
    with site.client() as client, site.client() as other:
        threads = [
            threading.Thread(target=site.socketio.emit, args=("news", 1)),
            threading.Thread(target=lambda: site.log.append(other.emit("echo", 2, callback=True))),
        ]
        for thread in threads:
            thread.start()
        assert client.wait_for("news")["args"] == [1]
        while threads[1].is_alive():
            client.get_received()  # under gevent the handlers need this thread's hub
        for thread in threads:
            thread.join()
        assert site.log == [2]


# -- the client answers -----------------------------------------------------------------


def test_call_is_answered(site: Site) -> None:
    """A handler blocked in `call()` gets what the client's function returns."""

    @site.on("ask")
    def ask(*args: Any) -> list[Any]:
        return [call("question", args), call("question", ())]

    with site.client() as client:

        @client.on("question")
        def answer(*args: Any) -> Any:
            site.log.append(args)
            return args if args else None

        assert client.emit("ask", 1, b"\x02", callback=True) == [[1, b"\x02"], None]
        assert site.log == [(1, b"\x02"), ()]
        assert [event["name"] for event in client.get_received()] == ["question"] * 2


def test_callbacks_are_called(site: Site) -> None:
    """A callback of an emit has run when the client's call returns; it may raise, too."""

    @site.on("ask")
    def ask(fails: bool) -> None:
        def answered(*args: Any) -> None:
            site.log.append(args)
            if fails:
                raise LookupError("oops")

        emit("question", callback=answered)

    with site.client() as client:
        client.on("question", lambda: (1, 2))
        client.emit("ask", False)
        assert site.log == [(1, 2)]
        with pytest.raises(LookupError, match="oops"):
            client.emit("ask", True)


def test_auto_ack(site: Site) -> None:
    """With `auto_ack` what no function is for is answered with nothing; by default it is not."""

    @site.on("ask")
    def ask() -> None:
        emit("question", callback=lambda *args: site.log.append(args))

    with site.client() as client:
        client.emit("ask")
        assert site.log == []
    with site.client(auto_ack=True) as client:
        client.emit("ask")
        assert site.log == [()]


def test_a_call_that_nobody_answers(site: Site) -> None:
    """The error names the question; the handler learns that its client has gone."""

    @site.on("ask")
    def ask() -> None:
        try:
            call("question")
        except DisconnectedError:
            site.log.append("gone")

    client = site.client(timeout=SOON_S)
    with pytest.raises(
        TimeoutError, match=r"'ask' still runs .* no function on\(\) for 'question'"
    ):
        client.emit("ask")
    client.timeout = WAIT_S
    client.close()
    assert site.log == ["gone"]


def test_functions_run_in_order_and_are_waited_for(site: Site) -> None:
    """The functions of a client run one at a time; what they raise is raised in the test."""

    @site.on("count")
    def count() -> None:
        for number in range(5):
            emit("number", number)

    with site.client() as client:
        client.on("number", lambda number: site.log.append(number))
        client.emit("count")
        assert site.log == [0, 1, 2, 3, 4]

        def fail(number: int) -> None:
            raise LookupError(number)

        client.on("number", fail)
        with pytest.raises(LookupError):
            client.emit("count")


def test_a_function_that_fails_ends_the_wait(site: Site) -> None:
    """The call that led to it raises at once, though a handler waits for the answer."""
    site.on("ask")(lambda: call("question"))
    client = site.client()
    client.on("question", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        client.emit("ask")
    with pytest.raises(DisconnectedError):
        client.close()


def test_functions_may_use_their_client(site: Site) -> None:
    """Inside of its own function a client waits for an answer it asked for, and nothing else."""

    @site.on("ask")
    def ask() -> None:
        emit("question")

    site.on("double")(lambda number: number * 2)
    with site.client() as client:

        @client.on("question")
        def question() -> None:
            client.emit("ignored")
            site.log.append(client.emit("double", 2, callback=True))

        client.emit("ask")
        assert site.log == [4]


# -- the end ----------------------------------------------------------------------------


def test_a_context_manager(site: Site) -> None:
    """Its end leaves every namespace, and raises what the disconnect handlers raise."""

    def left() -> None:
        site.log.append(request.namespace)  # type: ignore[attr-defined]
        raise LookupError("oops")

    site.on("disconnect")(left)
    site.on("disconnect", namespace="/b")(lambda: site.log.append("/b"))
    with pytest.raises(LookupError, match="oops"), site.client() as client:
        client.connect("/b")
    assert site.log == ["/", "/b"]
    client.close()


def test_a_context_manager_keeps_the_tests_own_error(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the test fails first, what its end raises is logged only."""

    @site.on("disconnect")
    def left() -> None:
        raise LookupError("oops")

    with pytest.raises(ValueError, match="first"), site.client():
        raise ValueError("first")
    assert [record.name for record in caplog.records] == ["flask_sio.testing"]


def test_a_client_left_connected_is_forgotten(site: Site) -> None:
    """One that is garbage leaves nothing, and its disconnect handler disturbs no other test."""
    site.on("disconnect")(lambda: site.log.append("left"))
    site.on("join")(lambda room: join_room(room))
    client = site.client()
    client.emit("join", "x")
    client.on("question", client.get_received)  # a cycle
    gone = weakref.ref(client)
    del client
    gc.collect()
    if site.socketio.async_mode == "gevent":
        gevent.sleep(0.001)
    assert gone() is None
    assert site.is_at_rest
    assert site.log == []


def test_an_application_ends_with_its_clients(site: Site) -> None:
    """Applications made for one test each are garbage after it, and so are their threads."""
    other = Site(async_mode=site.socketio.async_mode)
    other.on("echo")(lambda text: text)
    client = other.client()
    assert client.emit("echo", 1, callback=True) == 1
    gone = weakref.ref(other.app)
    del other, client
    gevent.sleep(0.001)
    gc.collect()
    gevent.sleep(0.001)
    gc.collect()
    assert gone() is None


def test_a_garbage_client_whose_handler_still_runs(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """Its handler ends in peace and may log; then nothing is left."""
    gate, ended = Gate(site), threading.Event()

    @site.on("slow")
    def slow() -> None:
        gate.wait()
        ended.set()
        raise LookupError("oops")

    client = site.client(timeout=SOON_S)
    with pytest.raises(TimeoutError):
        client.emit("slow")
    del client
    gc.collect()
    gate.is_open = True
    with site.client():
        while not any("'slow' failed" in record.message for record in caplog.records):
            site.socketio.sleep(0.001)


def test_clients_beside_a_running_server(runtime: Runtime) -> None:
    """Where the server serves too, its loop outlives the test clients."""
    site = Site(async_mode=runtime)
    with serve(runtime, site.app, site.socketio.server) as live:
        with live.connect() as sock:
            sock.sendall(b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"200 OK" in sock.recv(4096)
        with site.client() as client:
            site.socketio.emit("news", 1)
            assert client.wait_for("news")["args"] == [1]
        assert site.socketio.server.engine.has_loop


def test_no_client_after_shutdown(runtime: Runtime) -> None:
    """A server that was shut down takes no clients, and those it had are disconnected."""
    site = Site(async_mode=runtime)
    client = site.client()
    site.socketio.shutdown()
    assert not client.is_connected()
    with pytest.raises(RuntimeError, match="shut down"):
        site.client()


# -- around it --------------------------------------------------------------------------


def test_handlers_do_not_see_the_tests_context(site: Site) -> None:
    """A test's own application context stays its own."""
    site.on("look")(lambda: "user" in g)
    with site.app.app_context():
        g.user = "ada"
        with site.client() as client:
            assert client.emit("look", callback=True) is False
        assert g.user == "ada"


def test_each_application_has_its_server(runtime: Runtime) -> None:
    """With several applications a client is of the one it was made for."""
    site = Site(async_mode=runtime)
    second = Flask("second")
    site.socketio.init_app(second)
    from flask import current_app

    site.on("name")(lambda: current_app.name)
    with site.client() as one, site.socketio.test_client(second) as two:
        assert [each.emit("name", callback=True) for each in (one, two)] == ["site", "second"]


def test_without_an_application() -> None:
    """A SocketIO that has no application has no test client."""
    with pytest.raises(RuntimeError, match="init_app"):
        SocketIO().test_client(Flask("none"))


def test_a_plain_server(runtime: Runtime) -> None:
    """`TestClient` is the same for a `Server`, with its convention, and needs no Flask."""
    server = Server(async_mode=runtime)
    seen: list[Any] = []

    @server.on("connect")
    def connect(sid: str, environ: dict[str, Any], auth: Any) -> None:
        seen.extend((sid, environ["QUERY_STRING"], environ["HTTP_X_TOKEN"], auth))

    server.on("echo", lambda sid, *args: (sid, *args))
    ask: Callable[..., Any] = lambda sid: server.call("question", to=sid)  # noqa: E731
    server.on("ask", ask)
    options = {"query_string": "?a=1", "headers": [("X-Token", "t")], "auth": {"b": 2}}
    with TestClient(server, timeout=WAIT_S, **options) as client:  # type: ignore[arg-type]
        assert seen == [client.sid(), "a=1", "t", {"b": 2}]
        assert client.emit("echo", 1, callback=True) == [client.sid(), 1]
        client.on("question", lambda: "42")
        assert client.emit("ask", callback=True) == "42"
    assert not server.engine.has_loop


def test_its_names() -> None:
    """It is where Flask-SocketIO's programs look for it, and pytest takes it for no test."""
    from flask_sio import test_client

    assert flask_sio.SocketIOTestClient is SocketIOTestClient
    assert test_client.SocketIOTestClient is SocketIOTestClient
    assert not TestClient.__test__


PATCHED = """
import gevent.monkey; gevent.monkey.patch_all()
import time
from flask import Flask
from flask_sio import SocketIO, emit

app = Flask("patched"); socketio = SocketIO(app)

@socketio.on("begin")
def begin():
    time.sleep(0.01)
    socketio.start_background_task(socketio.emit, "end", 1)
    return socketio.async_mode

with socketio.test_client(app) as client:
    print(client.emit("begin", callback=True), client.wait_for("end")["args"])
"""


def test_a_patched_process() -> None:
    """Where gevent has patched the process the clients run on gevent by themselves."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PATCHED], capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("gevent [1]\n", "")


def test_a_client_comes_from_this_machine() -> None:
    """request.remote_addr is there without Flask's test client, as it is with it."""
    site = Site(async_mode="threading")
    site.on("who")(lambda: request.remote_addr)
    with site.client() as client:
        assert client.emit("who", callback=True) == "127.0.0.1"
    with site.client(flask_test_client=site.app.test_client()) as client:
        assert client.emit("who", callback=True) == "127.0.0.1"
