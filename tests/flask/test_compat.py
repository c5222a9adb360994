"""What programs reach for behind the documented API: server.eio, manager, environ, logging."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import gevent
import pytest
from flask import Flask, request, session
from werkzeug.debug import DebuggedApplication

from flask_sio import Namespace, NotConnectedError, Server, SocketIO, WSGIApp, emit, join_room
from flask_sio.server.handlers import Handlers
from flask_sio.testing import SocketIOTestClient, TestClient
from tests.live import WAIT_S, Runtime


@pytest.fixture(scope="module", autouse=True)
def hub() -> None:
    """Have this thread's hub, which is never given back, before leaks are looked for."""
    gevent.get_hub()
    gevent.sleep(0)


class Site:
    """An application whose event "do" runs what a test says, in two namespaces."""

    def __init__(self, **options: Any) -> None:
        self.app = Flask("site")
        self.app.secret_key = "secret"
        self.socketio = SocketIO(self.app, **options)
        self.server = self.socketio.server
        self.do: Callable[..., Any] = lambda *args: None
        self._clients = ExitStack()
        for namespace in ("/", "/other"):
            self.socketio.on_event("do", lambda *args: self.do(*args), namespace)

    def client(self, namespace: str | None = None, **options: Any) -> SocketIOTestClient:
        """Return a client that leaves when the test ends."""
        options.setdefault("timeout", WAIT_S)
        client = self.socketio.test_client(self.app, namespace, **options)
        return self._clients.enter_context(client)

    def run(self, client: TestClient, fn: Callable[..., Any]) -> Any:
        """Run ``fn`` as a handler of a client; return its result."""
        self.do = fn
        return client.emit("do", callback=True)

    def close(self) -> None:
        self._clients.close()


@pytest.fixture
def site(runtime: Runtime) -> Iterator[Site]:
    """One application, in turn on either runtime."""
    site = Site(async_mode=runtime)
    yield site
    site.close()


# -- server.manager ---------------------------------------------------------------------


def test_get_participants(site: Site) -> None:
    """It gives id and connection of who is in a room, in one of several, or anywhere."""
    manager = site.server.manager
    assert list(manager.get_participants("/", None)) == []
    one, two, three = (site.client() for _ in range(3))
    for client, room in ((one, "a"), (two, "a"), (two, "b"), (three, "b")):
        site.server.enter_room(client.sid(), room)
    sids = [client.sid() for client in (one, two, three)]
    found = {
        str(room): [sid for sid, _ in manager.get_participants("/", room)]
        for room in ("a", ["a", "b"], sids[2], "none", None)
    }
    assert found == {
        "a": sids[:2],
        "['a', 'b']": sids,
        sids[2]: [sids[2]],
        "none": [],
        "None": sids,
    }
    assert list(manager.get_participants("/nowhere", "a")) == []


def test_a_connection_is_named_without_its_secret(site: Site) -> None:
    """The second value is the same in all namespaces, differs per client, and is no secret."""
    one, two = site.client(), site.client()
    one.connect("/other")
    manager = site.server.manager
    names = dict(manager.get_participants("/", None))
    others = dict(manager.get_participants("/other", None))
    assert others == {one.sid("/other"): names[one.sid()]}
    assert len(set(names.values())) == 2
    assert not set(names.values()) & {one.eio_sid, two.eio_sid, one.sid(), two.sid()}
    assert manager.eio_sid_from_sid(one.sid(), "/") == names[one.sid()]
    assert manager.eio_sid_from_sid("unknown", "/") is None
    assert manager.sid_from_eio_sid(names[one.sid()], "/other") == one.sid("/other")
    assert manager.sid_from_eio_sid(names[two.sid()], "/other") is None


def test_rooms_is_live(site: Site) -> None:
    """rooms[namespace][room] shows who is there now: None is everybody, an id its own room."""
    rooms = site.server.manager.rooms
    assert dict(rooms) == {}
    client = site.client()
    sid = client.sid()
    space = rooms["/"]
    assert list(rooms) == ["/"]
    assert list(space) == [None, sid]
    assert "lobby" not in space
    site.run(client, lambda: join_room("lobby"))
    lobby = space["lobby"]
    assert list(space) == [None, sid, "lobby"]
    assert list(lobby) == list(space[None]) == list(space[sid]) == [sid]
    assert lobby[sid] == site.server.manager.eio_sid_from_sid(sid, "/")
    assert len(lobby) == 1
    assert rooms.get("/nowhere") is None
    site.socketio.close_room("lobby")
    assert (len(lobby), sid in lobby, "lobby" in space) == (0, False, False)
    client.disconnect()
    assert dict(rooms) == {}


def test_is_connected_and_namespaces(site: Site) -> None:
    """A client counts once it is accepted and until it leaves; its namespace is listed."""
    manager, seen = site.server.manager, []

    @site.socketio.on("connect", namespace="/gate")
    def connect() -> None:
        sid = request.sid  # type: ignore[attr-defined]
        seen.append((manager.is_connected(sid, "/gate"), manager.can_disconnect(sid, "/gate")))

    assert list(manager.get_namespaces()) == []
    client = site.client("/gate")
    sid = client.sid("/gate")
    assert seen == [(False, False)]
    assert manager.is_connected(sid, "/gate")
    assert not manager.is_connected(sid, "/")
    assert list(manager.get_namespaces()) == ["/gate"]
    manager.disconnect(sid, "/gate")
    assert not client.is_connected("/gate")
    assert not manager.is_connected(sid, "/gate")
    assert list(manager.get_namespaces()) == []


def test_the_manager_changes_rooms(site: Site) -> None:
    """enter_room, leave_room, close_room and emit have the manager's order of parameters."""
    manager, client = site.server.manager, site.client()
    sid = client.sid()
    manager.enter_room(sid, "/", "a")
    manager.enter_room(sid, "/", "b")
    assert manager.get_rooms(sid, "/") == [sid, "a", "b"]
    manager.emit("news", {"x": 1}, "/", room="a")
    manager.emit("news", None, "/", to="b", skip_sid=sid)
    manager.leave_room(sid, "/", "a")
    manager.close_room("b", "/")
    assert manager.get_rooms(sid, "/") == [sid]
    received = [(event["name"], event["args"]) for event in client.get_received()]
    assert received == [("news", [{"x": 1}])]


# -- server.environ, server.eio ---------------------------------------------------------


def test_environ_has_the_connections_request(site: Site) -> None:
    """environ[...] takes the name a participant has, the test client's id, or a socket's."""
    assert list(site.server.environ) == []
    client = site.client(headers={"X-Token": "t"})
    [(sid, name)] = site.server.manager.get_participants("/", None)
    for key in (name, client.eio_sid, sid):
        assert site.server.environ[key] is site.server.get_environ(sid)
        assert site.server.environ[key]["HTTP_X_TOKEN"] == "t"
    assert list(site.server.environ) == [name]
    assert client.eio_sid not in repr(site.server.environ)
    client.disconnect()
    with pytest.raises(KeyError):
        site.server.environ[name]


def test_environ_has_the_saved_session(site: Site) -> None:
    """The managed session is there, also before any handler has asked for it."""

    @site.app.route("/set")
    def write() -> str:
        session["name"] = "ada"
        return "set"

    browser = site.app.test_client()
    browser.get("/set")
    client = site.client(flask_test_client=browser)
    assert site.server.environ[client.eio_sid]["saved_session"] == {"name": "ada"}
    site.run(client, lambda: session.update(name="bob"))
    assert site.server.environ[client.eio_sid]["saved_session"] == {"name": "bob"}


def test_an_unmanaged_session_is_not_saved(site: Site) -> None:
    """With manage_session=False the environ has none."""
    site.socketio.manage_session = False
    client = site.client()
    site.run(client, lambda: session.update(name="bob"))
    assert "saved_session" not in site.server.environ[client.eio_sid]


def test_eio_has_the_options(runtime: Runtime) -> None:
    """server.eio reads the engine's options by their names; they are set at construction."""
    options = {
        "allow_upgrades": False,
        "cookie": "io",
        "ping_interval": 5,
        "ping_timeout": 3,
        "max_http_buffer_size": 1000,
        "http_compression": False,
        "compression_threshold": 10,
        "cors_allowed_origins": "*",
        "cors_credentials": False,
        "async_handlers": True,
        "transports": ("websocket",),
    }
    eio = SocketIO(Flask("a"), async_mode=runtime, **options).server.eio
    assert {name: getattr(eio, name) for name in options} == options
    assert eio.async_mode == runtime
    with pytest.raises(AttributeError):
        eio.ping_timeout = 5  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match="no_such_thing"):
        _ = eio.no_such_thing


def test_eio_sockets_are_the_connections(site: Site) -> None:
    """len(eio.sockets) counts connections, not sockets; each tells how it is."""
    sockets = site.server.eio.sockets
    assert len(sockets) == 0
    client = site.client()
    client.connect("/other")
    [(name, connection)] = sockets.items()
    assert connection.sid == name != client.eio_sid
    assert (connection.connected, connection.closing, connection.closed) == (True, False, False)
    assert (connection.upgraded, connection.upgrading) == (True, False)
    assert site.server.eio.transport(name) == "websocket"
    connection.close()
    assert not client.is_connected()
    assert connection.closed
    assert len(sockets) == 0


def test_eio_disconnect(site: Site) -> None:
    """eio.disconnect() ends one connection with all its namespaces, or all connections."""
    site.server.eio.disconnect()
    clients = [site.client() for _ in range(3)]
    clients[0].connect("/other")
    site.server.eio.disconnect(site.server.manager.eio_sid_from_sid(clients[0].sid(), "/"))
    site.server.eio.disconnect("unknown")
    assert [client.is_connected() for client in clients] == [False, True, True]
    assert not clients[0].is_connected("/other")
    site.server.eio.disconnect()
    assert [client.is_connected() for client in clients] == [False, False, False]


def test_views_of_many_ended_connections(site: Site) -> None:
    """Names of connections that have ended are forgotten; those of living ones stay valid."""
    living = site.client()
    [name] = site.server.environ
    for _ in range(150):
        with site.socketio.test_client(site.app, timeout=WAIT_S):
            assert len(list(site.server.environ)) == 2
    assert site.server.environ[name] is site.server.environ[living.sid()]
    assert len(site.server.eio._secrets) < 120


def test_ids_are_made_as_the_server_makes_them() -> None:
    """eio.generate_id() uses the server's own generate_id."""
    eio = Server(generate_id=lambda: "a" * 14).eio
    assert eio.generate_id().endswith("a" * 14)
    assert len(Server().eio.generate_id()) == 20


# -- the server's own methods -----------------------------------------------------------


def test_the_servers_methods_work_on_flasks_clients(site: Site) -> None:
    """Rooms, sessions, environ, transport and disconnect, as python-socketio has them."""
    client, server = site.client(), site.server
    sid = client.sid()
    server.enter_room(sid, "a")
    assert server.rooms(sid) == [sid, "a"]
    server.leave_room(sid, "a")
    assert server.transport(sid) == "websocket"
    server.save_session(sid, {"user": "ada"})
    with server.session(sid) as saved:
        saved["age"] = 36
    assert server.get_session(sid) == {"user": "ada", "age": 36}
    assert server.get_environ(sid)["flask.app"] is site.app  # type: ignore[index]
    client.on("ask", lambda: "answer")
    assert server.call("ask", to=sid, timeout=WAIT_S) == "answer"
    server.start_background_task(server.emit, "from a task").join()
    server.sleep(0)
    assert client.wait_for("from a task", WAIT_S)
    server.disconnect(sid)
    assert not client.is_connected()
    with pytest.raises(NotConnectedError):
        server.get_session(sid)


def test_handlers_of_the_server_take_the_id_first(site: Site) -> None:
    """What socketio.server.on and .event register runs in Flask's context, with the id first."""
    log: list[Any] = []

    @site.server.on("connect")
    def connect(sid: str, environ: dict[str, Any], auth: Any) -> None:
        log.append(("connect", sid, environ["flask.app"] is site.app, auth))

    @site.server.event
    def add(sid: str, one: int, two: int) -> int:
        emit("added", one + two)
        return one + two

    @site.server.on("*", namespace="/other")
    def anything(event: str, sid: str, *args: Any) -> None:
        log.append((event, sid, args))

    site.server.on("disconnect", lambda sid: log.append(("disconnect", sid)))
    client = site.client(auth={"a": 1})
    sid = client.sid()
    assert client.emit("add", 1, 2, callback=True) == 3
    assert client.get_received()[0]["args"] == [3]
    client.connect("/other")
    other = client.sid("/other")
    client.emit("strange", 5, namespace="/other")
    client.disconnect()
    assert log == [
        ("connect", sid, True, {"a": 1}),
        ("strange", other, (5,)),
        ("disconnect", sid),
    ]
    with pytest.raises(TypeError, match="sid, environ"):
        site.server.on("connect", lambda: None)


def test_a_class_takes_the_id_as_it_was_registered(site: Site) -> None:
    """A class of socketio.server gets ids first, one of socketio does not."""

    class Plain(Namespace):
        def on_connect(self, sid: str, environ: dict[str, Any]) -> None:
            self.enter_room(sid, "room")

        def on_ask(self, sid: str, text: str) -> list[Any]:
            return [sid, text, self.rooms(sid)]

    class OfFlask(Namespace):
        def on_ask(self, text: str) -> list[Any]:
            return [request.sid, text]  # type: ignore[attr-defined]

    site.server.register_namespace(Plain("/plain"))
    site.socketio.on_namespace(OfFlask("/flask"))
    client = site.client("/plain")
    client.connect("/flask")
    plain, of_flask = client.sid("/plain"), client.sid("/flask")
    answer = client.emit("ask", "x", callback=True, namespace="/plain")
    assert answer == [plain, "x", [plain, "room"]]
    assert client.emit("ask", "x", callback=True, namespace="/flask") == [of_flask, "x"]


def test_a_class_leaves_out_its_own_client(site: Site) -> None:
    """self.emit and self.send of a class take include_self, with SocketIO only."""

    class Room(Namespace):
        def on_say(self, text: str) -> None:
            self.emit("said", text, include_self=False)
            self.send(text, include_self=False)
            self.emit("said", "to all")

    site.socketio.on_namespace(Room("/room"))
    one, two = site.client("/room"), site.client("/room")
    one.emit("say", "hi", namespace="/room")
    heard = [[each["args"] for each in client.get_received("/room")] for client in (one, two)]
    assert heard == [[["to all"]], [["hi"], "hi", ["to all"]]]
    plain = Room("/x")
    Server().register_namespace(plain)
    with pytest.raises(TypeError, match="skip_sid"):
        plain.emit("x", include_self=False)


def test_views_from_another_thread(site: Site) -> None:
    """A view may be read in any thread while clients are served."""
    client = site.client()
    found: list[Any] = []

    def look() -> None:
        found.append([sid for sid, _ in site.server.manager.get_participants("/", None)])

    def handler() -> None:
        site.socketio.start_background_task(look).join()

    site.run(client, handler)
    assert found == [[client.sid()]]


# -- SocketIO's attributes --------------------------------------------------------------


def test_attributes_before_and_after_init_app() -> None:
    """What programs read of a SocketIO is there from the start, and filled by init_app."""
    socketio = SocketIO(ping_timeout=3)
    attributes: tuple[Any, ...] = (socketio.server, socketio.sockio_mw, socketio.wsgi_server)
    assert attributes == (None, None, None)
    assert socketio.server_options == {"ping_timeout": 3}
    assert (socketio.async_mode, socketio.manage_session) == (None, True)
    assert (socketio.handlers, socketio.namespace_handlers) == ([], [])
    assert (socketio.exception_handlers, socketio.default_exception_handler) == ({}, None)
    app = Flask("a")
    socketio.init_app(app, async_mode="threading")
    socketio.on_event("x", print)
    assert isinstance(socketio.server, Server)
    assert isinstance(socketio.server.handlers, Handlers)
    assert socketio.async_mode == socketio.server.async_mode == "threading"
    assert socketio.server_options == {"ping_timeout": 3, "async_mode": "threading"}
    assert [(each.event, each.namespace) for each in socketio.handlers] == [("x", "/")]
    assert app.extensions["socketio"] is socketio


def test_sockio_mw_is_the_middleware() -> None:
    """sockio_mw.wsgi_app is the application beneath, and can be replaced there."""
    app = Flask("a")
    inner = app.wsgi_app
    socketio = SocketIO(app, async_mode="threading")
    assert isinstance(socketio.sockio_mw, WSGIApp)
    assert socketio.sockio_mw.wsgi_app == inner
    socketio.sockio_mw.wsgi_app = DebuggedApplication(app.wsgi_app)
    assert isinstance(socketio.sockio_mw.wsgi_app, DebuggedApplication)
    second = Flask("b")
    socketio.init_app(second)
    assert socketio.sockio_mw.wsgi_app == second.wsgi_app.wsgi.wsgi_app  # type: ignore[attr-defined]


def test_reasons_are_class_attributes() -> None:
    """SocketIO.reason and Server.reason name the five reasons."""
    for reason in (SocketIO.reason, Server.reason, SocketIO().reason):
        assert {
            name: getattr(reason, name) for name in dir(reason) if name.isupper() and name[0] != "_"
        } == {
            "SERVER_DISCONNECT": "server disconnect",
            "CLIENT_DISCONNECT": "client disconnect",
            "PING_TIMEOUT": "ping timeout",
            "TRANSPORT_CLOSE": "transport close",
            "TRANSPORT_ERROR": "transport error",
        }


# -- logging ----------------------------------------------------------------------------

NAMES = ("flask_sio.server", "flask_sio.flask", "flask_sio.engine", "flask_sio.runtime")


@pytest.fixture
def loggers() -> Iterator[dict[str, logging.Logger]]:
    """The library's loggers, which belong to the process, as they were after the test."""
    found = {name: logging.getLogger(name) for name in NAMES}
    before = [(each, each.level, each.propagate, list(each.handlers)) for each in found.values()]
    yield found
    for each, level, propagate, handlers in before:
        each.setLevel(level)
        each.propagate = propagate
        each.handlers[:] = handlers


def test_logging_is_the_programs_business(loggers: dict[str, logging.Logger]) -> None:
    """Without logger=, or with False, no handler and no level is set."""
    SocketIO(Flask("a"), logger=False, engineio_logger=False)
    SocketIO(Flask("b"))
    assert [(each.handlers, each.level) for each in loggers.values()] == [([], 0)] * 4


def test_logger_true_adds_one_handler(loggers: dict[str, logging.Logger]) -> None:
    """logger= is for the server's loggers, engineio_logger= for the engine's; each once."""
    for _ in range(2):
        SocketIO(Flask("a"), logger=True)
    assert [len(each.handlers) for each in loggers.values()] == [1, 1, 0, 0]
    Server(engineio_logger=True)
    assert [len(each.handlers) for each in loggers.values()] == [1, 1, 1, 1]
    assert {each.level for each in loggers.values()} == {logging.INFO}


@pytest.mark.parametrize("adapted", [False, True])
def test_a_logger_object_gets_the_records(
    loggers: dict[str, logging.Logger], adapted: bool
) -> None:
    """A program's own logger gets them at its own level, and nobody else does."""
    text = io.StringIO()
    mine = logging.getLogger("tests.mine")
    mine.setLevel(logging.WARNING)
    handler = logging.StreamHandler(text)
    mine.addHandler(handler)
    try:
        for _ in range(2):
            Server(logger=logging.LoggerAdapter(mine, {}) if adapted else mine)
        source = loggers["flask_sio.server"]
        source.info("too low")
        source.warning("said by %s", "the server")
    finally:
        mine.removeHandler(handler)
    assert text.getvalue() == "said by the server\n"
    assert not source.propagate


def test_a_logger_of_another_kind_gets_the_text(loggers: dict[str, logging.Logger]) -> None:
    """What is no logging.Logger, but has its log(), is used as well."""
    said: list[Any] = []

    class Other:
        def log(self, level: int, text: str, **kwargs: Any) -> None:
            said.append((level, text))

    Server(engineio_logger=Other())
    loggers["flask_sio.engine"].warning("%d left", 3)
    assert said == [(logging.WARNING, "3 left")]


def test_a_logger_above_ours_is_no_loop(loggers: dict[str, logging.Logger]) -> None:
    """The root, or our own logger, gets records by itself: nothing is attached to it."""
    for target in (logging.getLogger(), logging.getLogger("flask_sio"), loggers[NAMES[0]]):
        Server(logger=target)
    assert loggers["flask_sio.server"].handlers == []
    loggers["flask_sio.server"].info("no recursion")


def test_logger_true_writes_to_stderr() -> None:
    """A program that sets logger=True and no logging at all sees its lines on stderr, once."""
    program = (
        "import logging, flask, flask_sio\n"
        "flask_sio.SocketIO(flask.Flask('x'), logger=True, async_mode='threading')\n"
        "logging.getLogger('flask_sio.server').info('seen')\n"
        "logging.getLogger('flask_sio.engine').info('unseen')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "seen\n")


# -- importing --------------------------------------------------------------------------


def test_nothing_loads_this_layer_unasked(runtime: Runtime) -> None:
    """flask_sio.compat is loaded when something reaches for it, not before."""
    program = (
        "import sys, flask, flask_sio\n"
        f"socketio = flask_sio.SocketIO(flask.Flask('x'), async_mode={runtime!r})\n"
        "print('flask_sio.compat' in sys.modules)\n"
        "socketio.server.manager\n"
        "print('flask_sio.compat' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "True"]


def test_submodules_of_the_peer() -> None:
    """Namespace, the test client and the exceptions are where programs import them from."""
    import flask_sio.exceptions
    import flask_sio.namespace
    import flask_sio.test_client

    assert flask_sio.namespace.Namespace is Namespace
    assert flask_sio.test_client.SocketIOTestClient is flask_sio.SocketIOTestClient
    assert flask_sio.exceptions.ConnectionRefusedError is flask_sio.ConnectionRefusedError
    assert issubclass(flask_sio.ConnectionRefusedError, flask_sio.exceptions.ConnectionError)
    assert flask_sio.exceptions.TimeoutError is flask_sio.TimeoutError
