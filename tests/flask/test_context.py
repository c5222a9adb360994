"""The Flask context of an event: complete for its handler, gone after it, shared with nobody."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

import flask
import pytest
from flask import (
    Flask,
    copy_current_request_context,
    current_app,
    g,
    has_app_context,
    has_request_context,
    request,
    session,
    stream_with_context,
    url_for,
)
from flask.sessions import SecureCookieSessionInterface
from flask.signals import appcontext_popped, appcontext_pushed, appcontext_tearing_down
from flask_login import LoginManager, UserMixin, current_user
from werkzeug.exceptions import SecurityError
from werkzeug.test import create_environ

from flask_sio.extension.context import current_event, current_extension
from flask_sio.extension.convention import EmitterCallback, FlaskConvention
from flask_sio.extension.hooks import HookTable
from flask_sio.extension.sessions import ManagedSession
from flask_sio.server.namespace import LiveNamespace

pytestmark = pytest.mark.quick


@dataclass
class Policy:
    """Stands for the SocketIO object."""

    manage_session: bool = True
    session_scope: str = "connection"
    connect_errors: str = "refuse"
    hooks: HookTable = field(default_factory=HookTable)
    identifier: Callable[..., Any] | None = None


@dataclass
class Connection:
    """Stands for a client's connection."""

    kept: Any = None
    on_error: Any = None
    context: Context = field(default_factory=copy_context)


@dataclass
class Socket:
    """Stands for a client in one namespace."""

    environ: dict[str, Any]
    client: Connection = field(default_factory=Connection)
    id: str = "sid-1"
    namespace: str = "/"

    @property
    def space(self) -> LiveNamespace:
        return LiveNamespace(self.namespace)

    def elsewhere(self, namespace: str, sid: str) -> Socket:
        """Return the same client in another namespace."""
        return Socket(self.environ, self.client, sid, namespace)


class Bench:
    """An application, one client of it, and a way to run a handler for that client."""

    def __init__(self) -> None:
        self.app = Flask("bench")
        self.app.secret_key = "secret"
        self.app.add_url_rule("/page/<int:number>", "page", lambda number: "")
        self.policy = Policy()
        self.convention: Any = FlaskConvention(self.app, self.policy)
        self.socket = self.client()

    def client(self, cookies: dict[str, Any] | None = None) -> Socket:
        """Return a new client whose HTTP session holds ``cookies``."""
        headers = {"X-Test": "yes"}
        if cookies:
            serializer = SecureCookieSessionInterface().get_signing_serializer(self.app)
            assert serializer is not None
            headers["Cookie"] = f"session={serializer.dumps(cookies)}"
        environ = create_environ(
            "/socket.io/?EIO=4&transport=polling&q=1",
            "http://example.org",
            headers=headers,
            environ_base={"REMOTE_ADDR": "192.0.2.7"},
        )
        return Socket(environ)

    def run(
        self,
        handler: Callable[..., Any],
        *args: Any,
        event: str | None = "ev",
        kind: str = "event",
        socket: Socket | None = None,
    ) -> Any:
        """Run a handler as the server does."""
        return self.convention.invoke(socket or self.socket, event, handler, args, kind)


@pytest.fixture
def bench() -> Bench:
    return Bench()


# -- what a handler finds ---------------------------------------------------------------


def test_request_describes_the_handshake(bench: Bench) -> None:
    """A handler reads the connection's first request through flask.request."""

    def handler() -> list[Any]:
        return [
            request.args["q"],
            request.headers["X-Test"],
            request.remote_addr,
            request.path,
            request.host,
            request.method,
            request.get_data(),
            request.endpoint,
        ]

    answer = ["1", "yes", "192.0.2.7", "/socket.io/", "example.org", "GET", b"", None]
    assert bench.run(handler) == answer


def test_request_names_the_event(bench: Bench) -> None:
    """request.sid, request.namespace and request.event tell who sent what."""

    def handler(*args: Any) -> Any:
        return request.sid, request.namespace, request.event  # type: ignore[attr-defined]

    socket = bench.socket.elsewhere("/chat", "sid-2")
    expected = ("sid-2", "/chat", {"message": "say", "args": ("a", 1)})
    assert bench.run(handler, "a", 1, event="say", socket=socket) == expected


def test_connect_event_holds_environ_and_auth(bench: Bench) -> None:
    """In a connect handler request.event's args are (environ, auth)."""

    def handler(auth: Any) -> Any:
        return request.event  # type: ignore[attr-defined]

    event = bench.run(handler, {"token": 1}, event="connect", kind="connect")
    assert event["args"] == (bench.socket.environ, {"token": 1})


def test_context_is_there_and_gone(bench: Bench) -> None:
    """A handler has both contexts; after it there is none."""

    def handler() -> Any:
        context = current_event()
        assert context is not None
        return has_request_context(), has_app_context(), current_app.name, context.socket

    assert bench.run(handler) == (True, True, "bench", bench.socket)
    assert not has_request_context()
    assert not has_app_context()
    assert current_event() is None


def test_url_for(bench: Bench) -> None:
    """url_for builds URLs as in a view, external ones with the client's host."""

    def handler() -> Any:
        return url_for("page", number=3), url_for("page", number=3, _external=True)

    assert bench.run(handler) == ("/page/3", "http://example.org/page/3")


def test_template_sees_the_context(bench: Bench) -> None:
    """A template rendered in a handler finds request, session and g."""

    def handler() -> str:
        session["name"] = "Ada"
        g.mood = "fine"
        return flask.render_template_string(
            "{{ session.name }} {{ g.mood }} {{ request.sid }} {{ url_for('page', number=1) }}"
        )

    assert bench.run(handler) == "Ada fine sid-1 /page/1"


def test_flash_is_kept_for_the_next_event(bench: Bench) -> None:
    """A flashed message waits in the managed session."""
    bench.run(lambda: flask.flash("hello"))
    assert bench.run(flask.get_flashed_messages) == ["hello"]
    assert bench.run(flask.get_flashed_messages) == []


def test_request_class_of_the_application(bench: Bench) -> None:
    """The application's own request class is used, also when it is set late."""

    class Own(flask.Request):
        def shout(self) -> str:
            return "own"

    bench.run(lambda: request.path)
    bench.app.request_class = Own
    client = bench.client()
    assert bench.run(lambda: request.shout(), socket=client) == "own"  # type: ignore[attr-defined]
    assert bench.run(lambda: isinstance(request._get_current_object(), Own), socket=client)  # type: ignore[attr-defined]


def test_untrusted_host_is_refused_as_in_a_view(bench: Bench) -> None:
    """TRUSTED_HOSTS guards request.host in handlers too (Flask 3.1)."""
    bench.app.config["TRUSTED_HOSTS"] = ["good.example"]
    with pytest.raises(SecurityError):
        bench.run(lambda: request.host)


def test_app_context_url_adapter(bench: Bench) -> None:
    """The event's application context can build URLs where SERVER_NAME is set."""
    bench.app.config["SERVER_NAME"] = "example.net"

    def handler() -> Any:
        adapter = flask.globals.app_ctx.url_adapter
        assert adapter is not None
        return adapter.build("page", {"number": 1}, force_external=True)

    assert bench.run(handler) == "http://example.net/page/1"


# -- what events do not share -----------------------------------------------------------


def test_g_is_fresh_in_each_event(bench: Bench) -> None:
    """Nothing put on g in one event is seen in the next."""
    bench.run(lambda: setattr(g, "user", "Alice"))
    assert bench.run(lambda: "user" in g) is False


def test_g_is_own_within_an_active_context(bench: Bench) -> None:
    """An application context that happens to be active is not the event's."""
    with bench.app.app_context():
        g.user = "outer"
        assert bench.run(lambda: "user" in g) is False
        assert g.user == "outer"


def test_attributes_of_request_do_not_stay(bench: Bench) -> None:
    """What a handler sets on request is gone in the connection's next event."""
    bench.run(lambda: setattr(request, "user", "Alice"))
    assert bench.run(lambda: hasattr(request, "user")) is False


def test_events_side_by_side_do_not_mix(bench: Bench) -> None:
    """Two events of one connection that overlap keep their own sid, event and g."""
    first_inside, second_inside = threading.Event(), threading.Event()
    seen = {}

    def handler(mine: threading.Event, other: threading.Event) -> None:
        before = request.sid, request.event["message"]  # type: ignore[attr-defined]
        g.name = before
        mine.set()
        assert other.wait(10)
        after = request.sid, request.event["message"]  # type: ignore[attr-defined]
        seen[before[0]] = (before == after == g.name, after[1])

    second = bench.socket.elsewhere("/b", "sid-2")
    threads = [
        threading.Thread(
            target=bench.run, args=(handler, *events), kwargs={"socket": socket, "event": name}
        )
        for socket, name, events in (
            (bench.socket, "one", (first_inside, second_inside)),
            (second, "two", (second_inside, first_inside)),
        )
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {"sid-1": (True, "one"), "sid-2": (True, "two")}


def test_nested_event_restores_the_outer_one(bench: Bench) -> None:
    """An event run inside another leaves the outer context as it was."""
    inner = bench.socket.elsewhere("/in", "sid-2")

    def outer() -> Any:
        g.mine = True
        sid = bench.run(lambda: request.sid, socket=inner)  # type: ignore[attr-defined]
        return sid, request.sid, g.mine  # type: ignore[attr-defined]

    assert bench.run(outer) == ("sid-2", "sid-1", True)


# -- the end of an event ----------------------------------------------------------------


@pytest.mark.parametrize("error", [None, ValueError("wrong"), SystemExit(3)])
def test_teardown_runs_once(bench: Bench, error: BaseException | None) -> None:
    """teardown_request, then teardown_appcontext run once per event, whatever ended it."""
    ends: list[Any] = []
    bench.app.teardown_request(lambda exc: ends.append(("request", exc)))
    bench.app.teardown_appcontext(lambda exc: ends.append(("app", exc)))

    def handler() -> None:
        if error is not None:
            raise error

    if error is None:
        bench.run(handler)
    else:
        with pytest.raises(type(error)):
            bench.run(handler)
    assert ends == [("request", error), ("app", error)]
    assert not has_app_context()


def test_teardown_sees_the_event(bench: Bench) -> None:
    """A teardown function still has the event's request and g."""
    seen = []
    bench.app.teardown_request(lambda exc: seen.append((request.sid, g.token)))  # type: ignore[attr-defined]
    bench.run(lambda: setattr(g, "token", 7))
    assert seen == [("sid-1", 7)]


def test_teardown_that_raises_leaves_no_context(bench: Bench) -> None:
    """A failing teardown function reaches the server, and both contexts are gone."""

    def fail(exc: BaseException | None) -> None:
        raise LookupError("teardown")

    bench.app.teardown_request(fail)
    with pytest.raises(LookupError):
        bench.run(lambda: None)
    assert not has_request_context()
    assert not has_app_context()


def test_application_context_signals(bench: Bench) -> None:
    """Flask's signals of the application context are sent once per event, in order."""
    sent: list[str] = []

    def pushed(sender: Flask, **_: Any) -> None:
        sent.append("pushed")

    def tearing_down(sender: Flask, exc: BaseException | None = None, **_: Any) -> None:
        sent.append(f"tearing down {exc}")

    def popped(sender: Flask, **_: Any) -> None:
        sent.append("popped")

    with (
        appcontext_pushed.connected_to(pushed, bench.app),
        appcontext_tearing_down.connected_to(tearing_down, bench.app),
        appcontext_popped.connected_to(popped, bench.app),
    ):
        bench.run(lambda: sent.append("handler"))
    assert sent == ["pushed", "handler", "tearing down None", "popped"]


def test_overridden_teardown_is_called(bench: Bench) -> None:
    """A Flask subclass that overrides the teardown methods has them called."""
    called = []

    class Own(Flask):
        def do_teardown_request(self, exc: Any = None) -> None:
            called.append("request")

        def do_teardown_appcontext(self, exc: Any = None) -> None:
            called.append("app")

    convention: Any = FlaskConvention(Own("own"), bench.policy)
    convention.invoke(bench.socket, "ev", lambda: None, ())
    assert called == ["request", "app"]


def test_environ_does_not_hold_the_request(bench: Bench) -> None:
    """No cycle through the environ keeps a closed connection in memory."""
    bench.run(lambda: (request.path, session.get("x")))
    assert "werkzeug.request" not in bench.socket.environ


# -- copies -----------------------------------------------------------------------------


def test_copy_works_in_a_thread_after_the_event(bench: Bench) -> None:
    """copy_current_request_context carries sid, event and session; teardown runs for it too."""
    ends: list[str] = []
    results: list[Any] = []
    bench.app.teardown_appcontext(lambda exc: ends.append("app"))

    def handler() -> Callable[[], None]:
        session["name"] = "Ada"
        g.only = "here"

        @copy_current_request_context
        def later() -> None:
            results.append((request.sid, session["name"], "only" in g))  # type: ignore[attr-defined]

        return later

    thread = threading.Thread(target=bench.run(handler))
    thread.start()
    thread.join()
    assert results == [("sid-1", "Ada", False)]
    assert ends == ["app", "app"]


def test_copy_called_in_place_shares_g(bench: Bench) -> None:
    """A copy that runs inside its own event uses that event's application context, as in Flask."""

    def handler() -> Any:
        g.mine = 1
        return copy_current_request_context(lambda: (g.mine, request.sid))()  # type: ignore[attr-defined]

    assert bench.run(handler) == (1, "sid-1")


def test_stream_with_context(bench: Bench) -> None:
    """A generator may keep the context beyond its event, and leaves none behind."""

    def handler() -> Iterator[str]:
        def lines() -> Iterator[str]:
            yield request.sid  # type: ignore[attr-defined]

        return stream_with_context(lines())

    assert list(bench.run(handler)) == ["sid-1"]
    assert not has_request_context()
    assert not has_app_context()


# -- sessions ---------------------------------------------------------------------------


class CountingInterface(SecureCookieSessionInterface):
    """Counts openings; keeps what is saved, as a server-side session would."""

    def __init__(self) -> None:
        self.opened = 0
        self.saved: list[dict[str, Any]] = []

    def open_session(self, app: Flask, request: Any) -> Any:
        self.opened += 1
        return super().open_session(app, request)

    def save_session(self, app: Flask, session: Any, response: Any) -> None:
        self.saved.append(dict(session))


@pytest.fixture
def interface(bench: Bench) -> CountingInterface:
    interface = bench.app.session_interface = CountingInterface()
    return interface


def test_managed_session_is_forked_once(bench: Bench, interface: CountingInterface) -> None:
    """The HTTP session is copied at the first need and then belongs to the connection."""
    client = bench.client({"user": "Ada"})
    bench.run(lambda: request.sid, socket=client)  # type: ignore[attr-defined]
    assert interface.opened == 0
    bench.run(lambda: session.update(count=1), socket=client)
    other = client.elsewhere("/b", "sid-2")
    assert bench.run(lambda: dict(session), socket=other) == {"user": "Ada", "count": 1}
    assert interface.opened == 1
    assert interface.saved == []
    assert client.environ["saved_session"] == {"user": "Ada", "count": 1}


def test_managed_session_is_a_flask_session(bench: Bench) -> None:
    """The copy is a dict with the attributes code expects of a session."""

    def handler() -> Any:
        own = session._get_current_object()  # type: ignore[attr-defined]
        return isinstance(own, dict), session.modified, session.permanent, session.new

    assert bench.run(handler) == (True, True, False, False)


def test_managed_session_is_per_connection(bench: Bench) -> None:
    """Another connection of the same browser has its own copy."""
    bench.run(lambda: session.update(mine=1))
    assert bench.run(lambda: dict(session), socket=bench.client()) == {}


def test_managed_session_needs_no_secret_key(bench: Bench) -> None:
    """Without a secret key a handler can still keep values for its connection."""
    bench.app.secret_key = None
    bench.run(lambda: session.update(mine=1))
    assert bench.run(lambda: session["mine"]) == 1


def test_unmanaged_session_is_opened_and_saved_per_event(
    bench: Bench, interface: CountingInterface
) -> None:
    """manage_session=False gives each event the stored session and saves it if changed."""
    bench.policy.manage_session = False
    client = bench.client({"user": "Ada"})
    bench.run(lambda: session["user"], socket=client)
    assert (interface.opened, interface.saved) == (1, [])
    bench.run(lambda: session.update(count=1), socket=client)
    assert (interface.opened, interface.saved) == (2, [{"user": "Ada", "count": 1}])
    assert bench.run(lambda: dict(session), socket=client) == {"user": "Ada"}
    assert "saved_session" not in client.environ


def test_unmanaged_session_is_not_saved_after_an_error(
    bench: Bench, interface: CountingInterface
) -> None:
    """What a failing handler changed is not saved."""
    bench.policy.manage_session = False

    def handler() -> None:
        session["count"] = 1
        raise ValueError

    with pytest.raises(ValueError):
        bench.run(handler)
    assert interface.saved == []


def test_untouched_session_is_not_opened(bench: Bench, interface: CountingInterface) -> None:
    """A handler that does not use the session costs the session store nothing."""
    bench.policy.manage_session = False
    bench.run(lambda: g.get("x"))
    assert interface.opened == 0


def test_manage_session_may_change_at_any_time(bench: Bench) -> None:
    """The flag is read at each event."""
    assert bench.run(lambda: isinstance(session._get_current_object(), ManagedSession))  # type: ignore[attr-defined]
    bench.policy.manage_session = False
    assert not bench.run(lambda: isinstance(session._get_current_object(), ManagedSession))  # type: ignore[attr-defined]


def test_flask_login_loads_the_user_per_event(bench: Bench) -> None:
    """current_user works in handlers and is loaded once in each event that asks."""
    loaded = []

    class User(UserMixin):  # type: ignore[misc]
        def __init__(self, name: str) -> None:
            self.id = name

    manager = LoginManager(bench.app)

    @manager.user_loader  # type: ignore[untyped-decorator]
    def load(name: str) -> User:
        loaded.append(name)
        return User(name)

    client = bench.client({"_user_id": "ada", "_fresh": True})
    names = [
        bench.run(lambda: (current_user.id, current_user.is_authenticated), socket=client)
        for _ in range(2)
    ]
    assert names == [("ada", True)] * 2
    assert loaded == ["ada", "ada"]
    assert bench.run(lambda: current_user.is_authenticated, socket=bench.client()) is False


# -- callbacks --------------------------------------------------------------------------


@pytest.mark.parametrize("direct", [False, True])
def test_callback_runs_in_the_emitters_context(bench: Bench, direct: bool) -> None:
    """A callback sees the client that emitted, and an event without a name."""

    def handler() -> EmitterCallback:
        context = current_event()
        assert context is not None
        return EmitterCallback(context, lambda *args: (request.sid, request.event))  # type: ignore[attr-defined]

    callback = bench.run(handler)
    answering = bench.socket.elsewhere("/b", "sid-2")
    if direct:
        result = callback("ok")
    else:
        result = bench.run(callback, "ok", event=None, kind="ack", socket=answering)
    assert result == ("sid-1", {"message": None, "args": ("ok",)})


def test_current_extension_names_what_is_missing(bench: Bench) -> None:
    """Without init_app() the error says so."""
    with bench.app.app_context(), pytest.raises(RuntimeError, match="init_app"):
        current_extension()


# -- signatures -------------------------------------------------------------------------


def test_connect_handler_may_leave_out_auth() -> None:
    """Connect handlers take auth or nothing, disconnect handlers the reason or nothing."""
    adapt = FlaskConvention.adapt
    assert adapt("connect", lambda auth: auth)("a") == "a"
    assert adapt("connect", lambda auth=None: auth)("a") == "a"
    assert adapt("connect", lambda *args: args)("a") == ("a",)
    assert adapt("connect", lambda: "none")("a") == "none"
    assert adapt("disconnect", lambda reason: reason)("gone") == "gone"
    assert adapt("disconnect", lambda: "none")("gone") == "none"


def test_event_handler_is_called_as_it_is() -> None:
    """Event handlers take whatever the client sends, so they are not judged."""

    def handler(a: int, b: int) -> None: ...

    assert FlaskConvention.adapt("event", handler) is handler


def test_wrapped_connect_handler_is_judged_by_what_it_wraps() -> None:
    """A decorator with functools.wraps and *args does not hide that nothing is taken."""

    def decorated(fn: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(fn)
        def wrapper(*args: Any) -> Any:
            return fn(*args)

        return wrapper

    assert FlaskConvention.adapt("connect", decorated(lambda: "none"))("auth") == "none"


@pytest.mark.parametrize("kind", ["connect", "disconnect"])
def test_unusable_signature_names_the_handler(kind: Any) -> None:
    """A handler that cannot be called fails at registration, by name."""

    def two_things(a: int, b: int) -> None: ...

    with pytest.raises(TypeError, match=f"{kind} handler .*two_things must take nothing or one"):
        FlaskConvention.adapt(kind, two_things)


def test_no_second_call_after_a_type_error(bench: Bench) -> None:
    """A TypeError inside a connect handler is the handler's, never a reason to try again."""
    calls = []

    def connect(auth: Any) -> None:
        calls.append(auth)
        raise TypeError("mine")

    with pytest.raises(TypeError, match="mine"):
        bench.run(FlaskConvention.adapt("connect", connect), None, event="connect", kind="connect")
    assert calls == [None]


def test_what_is_no_function_is_refused() -> None:
    """A value that cannot be called is refused at registration."""
    with pytest.raises(TypeError, match="must be a function, not 'text'"):
        FlaskConvention.adapt("event", "text")
