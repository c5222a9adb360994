"""The options of SocketIO, each as a program written for Flask-SocketIO gives it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import flask
import gevent
import pytest
from flask import Flask, Response, request, session
from flask.sessions import SessionInterface, SessionMixin
from werkzeug.test import Client

from flask_sio import ConfigError, SocketIO, emit, join_room, send
from flask_sio.testing import SocketIOTestClient
from tests.flask.polling import PollingClient
from tests.live import WAIT_S, Runtime


@pytest.fixture(scope="module", autouse=True)
def hub() -> None:
    """Have this thread's hub, which is never given back, before leaks are looked for."""
    gevent.get_hub()
    gevent.sleep(0)


@contextmanager
def served(**options: Any) -> Iterator[tuple[Flask, SocketIO]]:
    """Give an application and its SocketIO; at the end nobody is served any more."""
    app = Flask("site")
    app.secret_key = "secret"
    socketio = SocketIO(app, **options)
    yield app, socketio
    socketio.shutdown()


def handshake(app: Flask, query: str = "transport=polling", path: str = "/socket.io/") -> Any:
    """Return the answer to a handshake."""
    return Client(app).get(f"{path}?EIO=4&{query}")


def opened(app: Flask) -> dict[str, Any]:
    """Return what the server announces in its open packet."""
    announced: dict[str, Any] = json.loads(handshake(app).text[1:])
    return announced


# -- the constructor and init_app -------------------------------------------------------


def test_all_but_the_app_are_keywords() -> None:
    """SocketIO(app) takes one positional argument."""
    with pytest.raises(TypeError):
        SocketIO(Flask("a"), "redis://")  # type: ignore[call-arg]


def test_delayed_init_keeps_both_calls_options() -> None:
    """Options of the constructor and of init_app add up, the later ones win."""
    socketio = SocketIO(allow_upgrades=False, json=flask.json, ping_interval=5, cookie="old")
    app = Flask("a")
    socketio.on_event("connect", lambda: send({"connected": "foo"}, json=True))
    socketio.init_app(app, cookie="foo", async_mode="threading")
    options = socketio.server.options
    assert (options.allow_upgrades, options.cookie, options.ping_interval) == (False, "foo", 5)
    with socketio.test_client(app, timeout=WAIT_S) as client:
        assert client.get_received()[0]["args"] == {"connected": "foo"}


def test_a_later_init_app_inherits_the_options() -> None:
    """Every application gets the constructor's options, and those given since."""
    socketio = SocketIO(ping_timeout=3)
    socketio.init_app(Flask("a"), ping_interval=5)
    socketio.init_app(Flask("b"))
    options = socketio.server.options
    assert (options.ping_timeout, options.ping_interval) == (3, 5)


@pytest.mark.parametrize("times", [1, 2])
def test_init_app_again_loses_no_handler(runtime: Runtime, times: int) -> None:
    """Handlers of before, between and after serve the last server, and every application."""
    socketio = SocketIO(async_mode=runtime)
    apps = [Flask("a"), Flask("b")]
    for number in range(3):
        socketio.on_event(f"event {number}", lambda number=number: number)
        for app in apps * times if number < 2 else ():
            socketio.init_app(app)
    for app in apps:
        with socketio.test_client(app, timeout=WAIT_S) as client:
            answers = [client.emit(f"event {number}", callback=True) for number in range(3)]
            assert answers == [0, 1, 2]


def test_the_extension_is_registered() -> None:
    """app.extensions["socketio"] is there though no server ever runs; the last one counts."""
    app = Flask("a")
    SocketIO(app)
    second = SocketIO(app, path="second")
    assert app.extensions["socketio"] is second


def test_a_failing_init_app_changes_nothing() -> None:
    """A wrong option leaves the application and the SocketIO as they were."""
    app = Flask("a")
    inner = app.wsgi_app
    socketio = SocketIO()
    with pytest.raises(ConfigError):
        socketio.init_app(app, ping_timeout=-1)
    assert (app.wsgi_app, socketio.async_mode, socketio.server_options) == (inner, None, {})
    assert "socketio" not in app.extensions


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("cors_allowed_origin", "cors_allowed_origins"),
        ("message_que", "message_queue"),
        ("manage_sessions", "manage_session"),
        ("chanel", "channel"),
    ],
)
def test_a_mistyped_option_is_named(wrong: str, right: str) -> None:
    """A name nobody knows is an error that names the nearest one, SocketIO's own included."""
    with pytest.raises(TypeError, match=f"{wrong}'; did you mean '{right}'"):
        SocketIO(Flask("a"), **{wrong: "x"})


# -- where it is served -----------------------------------------------------------------


@pytest.mark.parametrize("options", [{"path": "/live"}, {"resource": "live"}, {"path": "live/"}])
def test_path_and_resource(options: dict[str, str]) -> None:
    """Both names say where Socket.IO is; a leading slash makes no difference."""
    with served(async_mode="threading", **options) as (app, _):
        assert handshake(app, path="/live/").status_code == 200
        assert handshake(app).status_code == 404


def test_other_paths_are_the_applications() -> None:
    """What only begins like the path of Socket.IO is the application's."""
    with served(async_mode="threading") as (app, _):
        app.add_url_rule("/socket.io.txt", "text", lambda: "mine")
        assert Client(app).get("/socket.io.txt").text == "mine"
        assert handshake(app, path="/socket.io2/").status_code == 404


def test_middleware_around_and_beneath() -> None:
    """What is put around app.wsgi_app after SocketIO(app) sees Socket.IO too, before it not."""
    app, seen = Flask("a"), []

    def middleware(name: str, inner: Any) -> Callable[..., Any]:
        def wsgi(environ: dict[str, Any], start_response: Any) -> Any:
            seen.append((name, environ["PATH_INFO"]))
            return inner(environ, start_response)

        return wsgi

    app.wsgi_app = middleware("beneath", app.wsgi_app)  # type: ignore[method-assign]
    socketio = SocketIO(app, async_mode="threading")
    app.wsgi_app = middleware("around", app.wsgi_app)  # type: ignore[method-assign]
    handshake(app)
    Client(app).get("/page")
    assert seen == [("around", "/socket.io/"), ("around", "/page"), ("beneath", "/page")]
    socketio.shutdown()


# -- what the handshake shows -----------------------------------------------------------


def test_the_handshake_announces_the_options() -> None:
    """Intervals in exact milliseconds, the size, and the upgrades that are allowed."""
    options = {"ping_interval": (0.5, 1), "ping_timeout": 0.25, "max_http_buffer_size": 5000}
    with served(async_mode="threading", allow_upgrades=False, **options) as (app, _):
        announced = opened(app)
        assert announced.pop("sid")
        assert announced == {
            "upgrades": [],
            "pingInterval": 1500,
            "pingTimeout": 250,
            "maxPayload": 5000,
        }


def test_transports() -> None:
    """A transport that is not allowed is refused; one may be given as text."""
    with served(async_mode="threading", transports="websocket") as (app, _):
        assert handshake(app).status_code == 400
    with served(async_mode="threading", transports=["polling"]) as (app, _):
        assert opened(app)["upgrades"] == []
    with pytest.raises(ConfigError, match="transports"):
        SocketIO(Flask("a"), transports=[])


@pytest.mark.parametrize(
    ("cookie", "attributes"),
    [
        (None, None),
        ("io", {"path=/", "samesite=lax"}),
        ({"name": "io", "path": "/x", "HttpOnly": True}, {"path=/x", "httponly"}),
    ],
)
def test_cookie(cookie: Any, attributes: set[str] | None) -> None:
    """None sets no cookie, a name one with defaults, a dict one with its attributes."""
    with served(async_mode="threading", cookie=cookie) as (app, _):
        header = handshake(app).headers.get("Set-Cookie")
    if attributes is None:
        assert header is None
        return
    name, _, rest = header.partition("=")
    assert name == "io"
    assert attributes <= {part.strip().lower() for part in rest.split(";")[1:]}


def test_origins() -> None:
    """cors_allowed_origins: same origin by default; a list, "*" or a function allow others."""

    def status(**options: Any) -> tuple[int, str | None]:
        with served(async_mode="threading", **options) as (app, _):
            headers = {"Origin": "https://far.example"}
            answer = Client(app).get("/socket.io/?EIO=4&transport=polling", headers=headers)
            return answer.status_code, answer.headers.get("Access-Control-Allow-Origin")

    allowed = (200, "https://far.example")
    assert status()[0] == 403
    assert status(cors_allowed_origins=["https://far.example"]) == allowed
    assert status(cors_allowed_origins="*") == allowed
    assert status(cors_allowed_origins=lambda origin: "far" in origin) == allowed
    assert status(cors_allowed_origins=["https://other.example"])[0] == 403


# -- namespaces and connecting ----------------------------------------------------------


@pytest.mark.parametrize(
    ("namespaces", "open_ones"),
    [
        (None, {"/", "/handled"}),
        (["/listed"], {"/handled", "/listed"}),
        ("*", {"/", "/handled", "/listed", "/other"}),
        (["*"], {"/", "/handled", "/listed", "/other"}),
    ],
)
def test_namespaces(namespaces: Any, open_ones: set[str], runtime: Runtime) -> None:
    """A namespace is open when it has a handler, or is listed; "/" unless a list leaves it out."""
    with served(async_mode=runtime, namespaces=namespaces) as (app, socketio):
        socketio.on_event("x", print, namespace="/handled")
        names = ["/", "/handled", "/listed", "/other"]
        clients = {name: socketio.test_client(app, name, timeout=WAIT_S) for name in names}
        assert {name for name in names if clients[name].is_connected(name)} == open_ones
        for client in clients.values():
            client.close()


@pytest.mark.parametrize("always", [False, True])
def test_always_connect(always: bool, runtime: Runtime) -> None:
    """With it a client is connected before its handler runs, and disconnected on refusal."""
    with served(async_mode=runtime, always_connect=always) as (app, socketio):

        @socketio.on("connect")
        def connect(auth: Any) -> bool | None:
            emit("from connect")
            return None if auth else False

        client = PollingClient(app)
        client.post('40{"token":1}')
        client.until("40{")
        client.until('42["from connect"]')
        refused = PollingClient(app)
        refused.post("40")
        if always:
            refused.until("40{")
            refused.until("41")
        else:
            assert json.loads(refused.until("44")[2:])["message"]


# -- handlers ---------------------------------------------------------------------------


@pytest.mark.parametrize(("option", "order"), [(None, "12"), (False, "12"), (True, "21")])
def test_async_handlers(option: bool | None, order: str, runtime: Runtime) -> None:
    """Events of a client run in order, but with async_handlers=True at the same time."""
    with served(async_mode=runtime, async_handlers=option) as (app, socketio):
        ended: list[str] = []

        @socketio.on("first")
        def first() -> None:
            for _ in range(1000):
                if ended:
                    break
                socketio.sleep(0.001 if option else 0)
            ended.append("1")

        socketio.on_event("second", lambda: ended.append("2"))
        socketio.on_event("last", lambda: None)
        client = PollingClient(app)
        client.connect()
        client.post('42["first"]\x1e42["second"]')
        while len(ended) < 2:
            client.ask("last")
        assert "".join(ended) == order


def test_call_works_with_async_handlers_off(runtime: Runtime) -> None:
    """A handler may wait for its own client's answer in every mode."""
    with (
        served(async_mode=runtime, async_handlers=False) as (app, socketio),
        socketio.test_client(app, timeout=WAIT_S) as client,
    ):
        client.on("question", lambda: "yes")
        socketio.on_event("ask", lambda: socketio.call("question", to=client.sid(), timeout=WAIT_S))
        assert client.emit("ask", callback=True) == "yes"


# -- JSON and serializer ----------------------------------------------------------------


def test_flasks_json_follows_the_applications_provider(runtime: Runtime) -> None:
    """json=flask.json uses app.json, in handlers and outside of any context."""
    with served(async_mode=runtime, json=flask.json) as (app, socketio):
        app.json.default = lambda value: f"<{value}>"  # type: ignore[attr-defined]
        with socketio.test_client(app, timeout=WAIT_S) as client:
            socketio.on_event("do", lambda: emit("inside", date(2020, 1, 2)))
            client.emit("do")
            socketio.emit("outside", {"on": date(2020, 1, 3)})
            received = [event["args"] for event in client.get_received()]
            assert received == [["<2020-01-02>"], [{"on": "<2020-01-03>"}]]


def test_a_json_module_is_each_servers_own() -> None:
    """json= takes anything with dumps and loads, and concerns this server alone."""

    class Loud:
        @staticmethod
        def dumps(value: Any, **kwargs: Any) -> str:
            return json.dumps(value, **kwargs).upper()

        loads = staticmethod(json.loads)

    for module, expected in ((Loud, "NEWS"), (None, "news")):
        with (
            served(async_mode="threading", json=module) as (app, socketio),
            socketio.test_client(app, timeout=WAIT_S) as client,
        ):
            socketio.emit("news")
            assert client.get_received()[0]["name"] == expected


def test_serializer() -> None:
    """The default serializer and msgpack are served; pickle, and a peer's class, are refused."""
    for known in ("default", "msgpack"):
        SocketIO(Flask("a"), serializer=known)
    for other in ("pickle", object):
        with pytest.raises(ConfigError, match="serializer="):
            SocketIO(Flask("a"), serializer=other)


# -- options without a meaning here -----------------------------------------------------


def test_monitor_clients_has_no_effect() -> None:
    """Its default passes; False warns, once, that idle clients are closed all the same."""
    SocketIO(Flask("a"), monitor_clients=True)
    with pytest.warns(UserWarning, match="monitor_clients") as caught:
        SocketIO(Flask("a"), monitor_clients=False)
    assert len(caught) == 1
    assert caught[0].filename == __file__


# -- sessions ---------------------------------------------------------------------------


class ServerSide(SessionInterface):
    """Keeps sessions in a dict, by a cookie, as Flask-Session does."""

    class Session(dict[str, Any], SessionMixin):
        pass

    def __init__(self) -> None:
        self.stored: dict[str, Any] = {}

    def open_session(self, app: Flask, request: Any) -> Session:
        return self.Session(self.stored.get(request.cookies.get("user"), {}))

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        self.stored[request.cookies["user"]] = dict(session)


@pytest.fixture
def store(runtime: Runtime) -> Iterator[tuple[SocketIO, ServerSide, SocketIOTestClient]]:
    """Give an application with sessions of the server's side, and ada's client."""
    with served(async_mode=runtime) as (app, socketio):
        app.session_interface = interface = ServerSide()
        interface.stored["ada"] = {"visits": 0}

        @socketio.on("visit")
        @socketio.on("visit", namespace="/other")
        def visit() -> int:
            session["visits"] += 1
            return int(session["visits"])

        browser = app.test_client()
        browser.set_cookie("user", "ada")
        with socketio.test_client(app, flask_test_client=browser, timeout=WAIT_S) as client:
            yield socketio, interface, client


Store = tuple[SocketIO, ServerSide, SocketIOTestClient]


def test_a_managed_session_is_the_connections(store: Store) -> None:
    """Handlers of all namespaces share a copy, which HTTP neither sees nor changes."""
    socketio, interface, client = store
    assert socketio.manage_session
    client.connect("/other")
    assert client.emit("visit", callback=True) == 1
    interface.stored["ada"] = {"visits": 100}
    assert client.emit("visit", callback=True, namespace="/other") == 2
    assert interface.stored["ada"] == {"visits": 100}


def test_an_unmanaged_session_is_flasks(store: Store) -> None:
    """manage_session=False opens and saves the session for each event; it is read live."""
    socketio, interface, client = store
    assert client.emit("visit", callback=True) == 1
    socketio.manage_session = False
    interface.stored["ada"] = {"visits": 100}
    assert client.emit("visit", callback=True) == 101
    assert interface.stored["ada"] == {"visits": 101}
    socketio.manage_session = True
    assert client.emit("visit", callback=True) == 2
    assert interface.stored["ada"] == {"visits": 101}


@pytest.mark.parametrize("late", [False, True])
def test_manage_session_is_an_option(late: bool) -> None:
    """It may be given to the constructor or to init_app, and is no option of the server."""
    options: dict[str, Any] = {"manage_session": False}
    socketio = SocketIO(**({} if late else options))
    socketio.init_app(Flask("a"), **(options if late else {}))
    assert socketio.manage_session is False
    socketio.init_app(Flask("b"))
    assert socketio.manage_session is False


def test_a_cookie_session_written_unmanaged_is_lost(runtime: Runtime) -> None:
    """There is no response that could carry the cookie: each event sees the handshake's."""
    with served(async_mode=runtime, manage_session=False) as (app, socketio):

        @socketio.on("write")
        def write() -> bool:
            join_room("anything")
            known = "name" in session
            session["name"] = "ada"
            return known

        with socketio.test_client(app, timeout=WAIT_S) as client:
            answers = [client.emit("write", callback=True) for _ in range(2)]
            assert answers == [False, False]
