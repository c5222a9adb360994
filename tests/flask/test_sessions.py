"""What flask.session can do in an event, on a real server's path."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, flash, get_flashed_messages, session
from flask.sessions import SecureCookieSessionInterface, SessionInterface, SessionMixin

from flask_sio import ConfigError, SocketIO, emit
from tests.flask.site import Site
from tests.live import Runtime


class StoredSession(dict[str, Any], SessionMixin):
    """A session that a store on the server holds."""

    def __init__(self, sid: str, data: dict[str, Any]) -> None:
        super().__init__(data)
        self.sid = sid
        self.before = dict(data)

    @property
    def modified(self) -> bool:
        """Whether it is another than was loaded."""
        return dict(self) != self.before


class Store(SessionInterface):
    """Keeps sessions in a dict; the cookie holds their ids only."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, Any]] = {}

    def open_session(self, app: Flask, request: Any) -> StoredSession:
        """Load the session whose id the cookie holds."""
        sid = request.cookies.get(self.get_cookie_name(app)) or f"new-{len(self.kept)}"
        return StoredSession(sid, self.kept.get(sid, {}))

    def save_session(self, app: Flask, session: Any, response: Any) -> None:
        """Store the session."""
        if session.modified:
            self.kept[session.sid] = dict(session)
            response.set_cookie(self.get_cookie_name(app), session.sid)


class Shop:
    """A site with a view that reads the session and one that writes it."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.browser = site.app.test_client()
        site.app.add_url_rule("/set/<value>", "set", lambda value: session.update(v=value) or "set")
        site.app.add_url_rule("/get", "get", lambda: dict(session))

    @property
    def http(self) -> dict[str, Any]:
        """What views see."""
        return dict(self.browser.get("/get").json)

    def client(self) -> Any:
        """Return a client in the browser's tab."""
        client = self.site.client(client=self.browser)
        client.connect()
        return client


@pytest.fixture
def shop(site: Site) -> Shop:
    """A shop that manages the session, as is the default."""
    return Shop(site)


@pytest.fixture
def stored(shop: Shop) -> Store:
    """Make the shop keep its sessions on the server, and let Flask manage them."""
    store = shop.site.app.session_interface = Store()
    shop.site.socketio.manage_session = False
    return store


# -- kept on the server -----------------------------------------------------------------


def test_stored_sessions_are_read_for_each_event(shop: Shop, stored: Store) -> None:
    """What a view writes is there in the next event of an open connection."""
    shop.browser.get("/set/one")
    client = shop.client()
    assert shop.site.run(client, lambda: session["v"]) == ["one"]
    shop.browser.get("/set/two")
    assert shop.site.run(client, lambda: session["v"]) == ["two"]


def test_stored_sessions_are_written_after_each_event(shop: Shop, stored: Store) -> None:
    """What an event writes is there in the next view, and in other connections' events."""
    shop.browser.get("/set/one")
    client, other = shop.client(), shop.client()
    shop.site.run(client, lambda: session.update(v="three"))
    assert shop.http == {"v": "three"}
    assert shop.site.run(other, lambda: session["v"]) == ["three"]


def test_stored_sessions_in_connect_and_hooks(shop: Shop, stored: Store) -> None:
    """connect and disconnect handlers and hooks read and write like events."""
    shop.browser.get("/set/one")
    socketio = shop.site.socketio
    socketio.on_event("connect", lambda: session.update(connected=True))
    socketio.on_event("disconnect", lambda: session.update(connected=False))
    client = shop.client()
    assert shop.http["connected"] is True
    shop.site.leave(client)
    assert shop.http["connected"] is False
    socketio.after_event(lambda result: session.update(last=result))
    shop.site.run(shop.client(), lambda: "ack")
    assert shop.http["last"] == "ack"


def test_a_client_without_a_session_is_warned_of(
    shop: Shop, stored: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """A session that an event begins is found by nobody: the log says so, once."""
    client, _ = shop.site.joined()
    for number in range(2):
        shop.site.run(client, lambda: session.update(v=number))  # noqa: B023
    assert caplog.text.count("had no session cookie") == 1
    assert shop.http == {}


def test_an_interface_derived_from_flasks_own_may_store(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    """A subclass of the cookie interface that saves in its own way is asked to save."""
    saved: list[dict[str, Any]] = []

    class Own(SecureCookieSessionInterface):
        def save_session(self, app: Flask, session: Any, response: Any) -> None:
            saved.append(dict(session))
            super().save_session(app, session, response)

    shop.site.app.session_interface = Own()
    shop.browser.get("/set/one")
    shop.site.socketio.manage_session = False
    client = shop.client()
    saved.clear()
    shop.site.run(client, lambda: session.update(v="two"))
    assert saved == [{"v": "two"}]
    assert "is lost" not in caplog.text


# -- kept in a cookie -------------------------------------------------------------------


def test_cookie_sessions_are_read_only_and_say_so(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    """A write to a cookie session is lost: the log says it once, with event and way out."""
    site = Site(async_mode=runtime, manage_session=False)
    shop = Shop(site)
    shop.browser.get("/set/one")
    client = shop.client()
    assert site.run(client, lambda: session["v"]) == ["one"]
    assert "is lost" not in caplog.text
    for _ in range(2):
        site.run(client, lambda: session.update(v="two"))
    assert caplog.text.count("is lost") == 1
    for word in ("'do'", "Flask-Session", "manage_session=True"):
        assert word in caplog.text
    assert site.run(client, lambda: session["v"]) == ["one"]
    assert shop.http == {"v": "one"}
    site.socketio.shutdown()


# -- managed ----------------------------------------------------------------------------


def test_the_managed_copy_is_the_connections(shop: Shop) -> None:
    """All namespaces of a connection share one copy; another connection has its own."""
    shop.browser.get("/set/one")
    client, other = shop.client(), shop.client()
    client.connect("/other")
    shop.site.run(client, lambda: session.update(v="mine"))
    shop.site.do = lambda: session["v"]
    assert client.ask("do", namespace="/other") == ["mine"]
    assert other.ask("do") == ["one"]
    assert shop.http == {"v": "one"}


def test_the_managed_copy_does_not_see_http(shop: Shop) -> None:
    """What a view writes after the copy was made stays outside."""
    shop.browser.get("/set/one")
    client = shop.client()
    shop.site.run(client, lambda: session.get("v"))
    shop.browser.get("/set/two")
    assert shop.site.run(client, lambda: session["v"]) == ["one"]


def test_flashed_messages_wait_in_the_managed_copy(shop: Shop) -> None:
    """flash in one event is there for the next one."""
    client = shop.client()
    shop.site.run(client, lambda: flash("saved"))
    assert shop.site.run(client, get_flashed_messages) == [["saved"]]
    assert shop.site.run(client, get_flashed_messages) == [[]]


def test_a_new_connection_starts_from_http_again(shop: Shop) -> None:
    """The copy ends with its connection."""
    client = shop.client()
    shop.site.run(client, lambda: session.update(v="mine"))
    client.post("1")
    assert shop.site.run(shop.client(), lambda: "v" in session) == [False]


def test_a_managed_write_survives_a_failed_event(shop: Shop) -> None:
    """The copy is a plain dict of the connection: a write counts at once."""

    def write_and_fail() -> None:
        session["v"] = "written"
        emit("failing")
        raise ValueError

    shop.site.socketio.on_event("fail", write_and_fail)
    client = shop.client()
    client.emit("fail")
    client.until('42["failing"]')
    assert shop.site.run(client, lambda: session["v"]) == ["written"]


def test_a_managed_copy_per_namespace(site: Site) -> None:
    """With session_scope="namespace" each has its own, which ends when the client leaves."""
    site.socketio.session_scope = "namespace"
    client, _ = site.joined()
    client.connect("/other")

    def add(value: str) -> list[str]:
        session[value] = True
        return sorted(session)

    site.do = add
    assert client.ask("do", "a") == [["a"]]
    assert client.ask("do", "b", namespace="/other") == [["b"]]
    assert client.ask("do", "c") == [["a", "c"]]
    client.post("41/other,")
    client.connect("/other")
    assert client.ask("do", "d", namespace="/other") == [["d"]]
    [environ] = site.socketio.server.eio.environs.values()
    assert len([key for key in environ if key.startswith("saved_session")]) == 2


@pytest.mark.parametrize("name", ["session_scope", "connect_errors"])
def test_words_that_the_extension_knows(name: str) -> None:
    """Another is refused where it is given, and changes nothing."""
    socketio = SocketIO()
    with pytest.raises(ConfigError, match=f"{name}='none': accepted is 'connection' or|refuse"):
        socketio.init_app(Flask("site"), **{name: "none"})
    assert getattr(socketio, name) in ("connection", "refuse")
    assert socketio.server is None
