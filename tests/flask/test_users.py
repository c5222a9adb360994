"""Users: who a client is, and reaching all clients of one."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, current_app, g, request, session
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user

from flask_sio import (
    ConnectionRefusedError,
    Namespace,
    Server,
    SocketBlueprint,
    SocketIO,
    disconnect,
    emit,
    rooms,
)
from flask_sio.server.users import user_id
from tests.flask.polling import PollingClient
from tests.flask.site import Site
from tests.server.clients import Log


@pytest.fixture
def known(site: Site) -> Site:
    """A site whose clients say by their auth data who they are."""
    site.socketio.identify(lambda auth: auth and auth["user"])
    return site


def join(site: Site, user: Any, namespace: str = "/") -> tuple[PollingClient, str]:
    """Return a client of a user, and its id."""
    client = site.client()
    return client, client.sid(namespace, auth={"user": user})


def heard(site: Site, client: PollingClient) -> list[str]:
    """Return the names of the events a client was sent until now."""
    return [name for name, *_ in site.heard(client)]


# -- reaching users ---------------------------------------------------------------------


def test_an_emit_reaches_all_tabs_of_a_user(known: Site) -> None:
    """user= is every client of that user and no other, from a handler and from anywhere."""
    tabs = [join(known, "ada")[0] for _ in range(2)]
    bob, _ = join(known, "bob")
    stranger, _ = known.joined()
    known.socketio.emit("everywhere", user="ada")
    known.run(bob, lambda: emit("from bob", user="ada"))
    known.run(bob, lambda: known.socketio.send("text", user="ada"))
    assert [heard(known, tab) for tab in tabs] == [["everywhere", "from bob", "message"]] * 2
    assert heard(known, bob) == heard(known, stranger) == []


def test_a_class_emits_to_users(known: Site) -> None:
    """self.emit and self.send of a class-based namespace take user= too."""

    class Chat(Namespace):
        def on_tell(self, user: str) -> None:
            self.emit("told", user=user)
            self.send("text", user=user, include_self=False)

    known.socketio.on_namespace(Chat("/class"))
    ada, _ = join(known, "ada", "/class")
    bob, _ = join(known, "bob", "/class")
    ada.ask("tell", "bob", namespace="/class")
    bob.until('42/class,["told"]')
    bob.until('42/class,["message","text"]')
    ada.ask("tell", "ada", namespace="/class")
    assert [each for each in ada.received if each.startswith("42")] == ['42/class,["told"]']
    alone = Chat("/alone")
    Server().register_namespace(alone)
    with pytest.raises(TypeError, match=r"SocketIO\.on_namespace"):
        alone.emit("x", include_self=False)


def test_users_rooms_and_those_left_out_combine(known: Site) -> None:
    """to= and several users are one union, each client once; skip_sid and include_self count."""
    ada, ada_sid = join(known, "ada")
    other_tab, other_sid = join(known, "ada")
    bob, _ = join(known, "bob")
    carol, carol_sid = join(known, "carol")
    socketio = known.socketio
    socketio.emit("both", user=["ada", "bob"], skip_sid=other_sid)
    socketio.emit("union", user="ada", to=[ada_sid, carol_sid])
    known.run(ada, lambda: emit("other tabs", user="ada", include_self=False))
    assert heard(known, ada) == ["both", "union"]
    assert heard(known, other_tab) == ["union", "other tabs"]
    assert heard(known, bob) == ["both"]
    assert heard(known, carol) == ["union"]


def test_nobody_is_not_everybody(known: Site) -> None:
    """A user without an id is refused, an unknown one and an empty list are nobody."""
    client, _ = known.joined()
    for wrong in ("", False, Anonymous()):
        with pytest.raises(ValueError, match="has no id"):
            known.socketio.emit("secret", user=wrong)
    known.socketio.emit("secret", user="unknown")
    known.socketio.emit("secret", user=[])
    assert heard(known, client) == []


class Anonymous:
    """A user as Flask-Login has it for those who did not log in."""

    is_authenticated = False

    def get_id(self) -> None:
        """Return nothing."""


@pytest.mark.quick
def test_what_an_id_may_be() -> None:
    """Ids are compared as text; a user object is asked for its own."""

    class User(UserMixin):  # type: ignore[misc]
        id = 7

    assert user_id(7) == user_id("7") == user_id(User()) == "7"
    assert user_id(0) == "0"
    assert [user_id(nobody) for nobody in (None, False, "", Anonymous())] == [None] * 4


def test_a_user_is_no_room(known: Site) -> None:
    """rooms() does not show a user, and a room of a user's name is another room."""
    client, sid = join(known, "ada")
    assert known.run(client, rooms) == [[sid]]
    known.socketio.emit("room", to="ada")
    known.socketio.close_room("ada")
    known.socketio.emit("user", user="ada")
    assert heard(known, client) == ["user"]
    assert known.socketio.server.manager.rooms["/"].keys() == {None, sid}


def test_namespaces_are_separate(known: Site) -> None:
    """Whose a client is, is asked in each namespace; an emit is for one."""
    client, _ = join(known, "ada")
    assert client.sid("/other", auth={"user": "bob"})
    socketio = known.socketio
    assert socketio.is_online("ada")
    assert not socketio.is_online("ada", namespace="/other")
    assert socketio.is_online("bob", namespace="/other")
    socketio.emit("x", user="ada", namespace="/other")
    socketio.emit("y", user="bob", namespace="/other")
    assert client.until("42/other,") == '42/other,["y"]'


# -- who is online ----------------------------------------------------------------------


def test_online_while_any_tab_is(known: Site) -> None:
    """A user is online from the first accepted client to the last that leaves."""
    socketio = known.socketio
    assert not socketio.is_online("ada")
    first, first_sid = join(known, "ada")
    second, second_sid = join(known, "ada")
    assert socketio.sids_of("ada") == [first_sid, second_sid]
    for client in (first, second):
        assert socketio.is_online("ada")
        known.leave(client)
    assert socketio.sids_of("ada") == []
    assert not socketio.is_online("ada")


def test_own_connect_and_disconnect_see_the_others(known: Site) -> None:
    """In these handlers is_online is about the user's other clients: arrivals and departures."""
    socketio, seen = known.socketio, []
    socketio.on_event("connect", lambda: seen.append(("came", socketio.is_online(7))))
    socketio.on_event("disconnect", lambda: seen.append(("left", socketio.is_online(7))))
    first, _ = join(known, 7)
    second, _ = join(known, 7)
    for client in (first, second):
        known.leave(client)
    assert seen == [("came", False), ("came", True), ("left", True), ("left", False)]


def test_a_refused_client_is_not_online(known: Site) -> None:
    """Only who was accepted counts, and nothing is left of who was not."""

    @known.socketio.on("connect")
    def connect() -> None:
        raise ConnectionRefusedError

    assert known.client().connect(auth={"user": "ada"}).startswith("44")
    assert not known.socketio.is_online("ada")
    assert not known.socketio.server.spaces["/"].rooms._rooms


def test_listeners_run_in_an_application_context() -> None:
    """Registered before and after init_app, and without a client's session."""
    site, log = Site(presence_grace=0), Log()
    site.socketio.identify(lambda auth: auth["user"])

    @site.socketio.on_presence("online")
    def online(namespace: str, user: str) -> None:
        with pytest.raises(RuntimeError):
            session.get("x")
        log.add((current_app.name, namespace, user))

    second = Flask("second")
    site.socketio.init_app(second)

    @site.socketio.on_presence("offline")
    def offline(namespace: str, user: str) -> None:
        log.add((current_app.name, user))

    for number, app in enumerate([site.app, second]):
        with site.socketio.test_client(app, auth={"user": 7}):
            log.wait(number * 2 + 1)
        log.wait(number * 2 + 2)
    assert log.entries == [("site", "/", "7"), ("site", "7"), ("second", "/", "7"), ("second", "7")]
    with pytest.raises(ValueError, match="no event of users"):
        site.socketio.on_presence("away")  # type: ignore[arg-type]


# -- disconnecting ----------------------------------------------------------------------


def test_disconnect_a_user(known: Site) -> None:
    """disconnect_user ends every client of the user, in all namespaces or in one."""
    reasons: list[tuple[str, str]] = []
    for namespace in ("/", "/other"):
        known.socketio.on_event(
            "disconnect",
            lambda reason: reasons.append((request.namespace, reason)),  # type: ignore[attr-defined]
            namespace,
        )
    tabs = [join(known, "ada")[0] for _ in range(2)]
    for tab in tabs:
        tab.sid("/other", auth={"user": "ada"})
    bob, _ = join(known, "bob")
    known.socketio.disconnect_user("ada", namespace="/other")
    for tab in tabs:
        assert tab.until("41") == "41/other,"
        assert known.run(tab, lambda: "still here") == ["still here"]
    known.run(bob, lambda: known.socketio.disconnect_user("ada"))
    for tab in tabs:
        assert tab.until("41") == "41"
    assert known.run(bob, lambda: "still here") == ["still here"]
    assert (
        sorted(reasons) == [("/", "server disconnect")] * 2 + [("/other", "server disconnect")] * 2
    )


def test_disconnecting_oneself(known: Site) -> None:
    """A handler may disconnect its own user; it ends first."""
    client, _ = join(known, "ada")
    known.socketio.on_event("leave", lambda: known.socketio.disconnect_user("ada"))
    client.emit("leave")
    assert client.until("41") == "41"


def test_nobody_can_be_disconnected_before_anybody_came() -> None:
    """Without a client, and so without a loop, nobody is online."""
    socketio = SocketIO(Flask("site"), async_mode="threading")
    socketio.disconnect_user("ada")
    assert not socketio.is_online("ada")
    assert socketio.sids_of(None) == []


# -- saying who it is -------------------------------------------------------------------


@pytest.mark.parametrize("nobody", [None, False, ""])
def test_who_is_nobody_is_accepted(site: Site, nobody: Any) -> None:
    """identify without a result leaves a client without a user."""
    site.socketio.identify(lambda: nobody)
    client, _ = site.joined()
    assert heard(site, client) == []
    assert site.socketio.server.spaces["/"].rooms._rooms == {}


def test_identify_runs_after_the_connect_handler(site: Site) -> None:
    """It sees what the connect handler has put into its context, g and session."""

    @site.socketio.on("connect")
    def connect(auth: Any) -> None:
        g.token = auth["token"]
        session["name"] = "Ada"

    site.socketio.identify(lambda: f"{session['name']} {g.token}")
    client = site.client()
    client.connect(auth={"token": 7})
    assert site.socketio.is_online("Ada 7")


def test_an_error_in_identify_refuses(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """A client nobody could identify is refused, and the log says why."""

    @site.socketio.identify
    def who(auth: Any) -> str:
        return str(auth["user"])

    assert site.client().connect() == '44{"message":"Internal error"}'
    assert "'connect' failed" in caplog.text
    assert site.client().connect(auth={"user": "ada"}).startswith("40")


def test_identify_refuses_by_the_refusal_error(site: Site) -> None:
    """identify may refuse a client with a text of its own."""

    @site.socketio.identify
    def who() -> None:
        raise ConnectionRefusedError("log in first")

    assert site.client().connect() == '44{"message":"log in first"}'


def test_identify_in_a_blueprints_namespace(known: Site) -> None:
    """A blueprint's connect handler is followed by identify as any other."""
    blueprint = SocketBlueprint("x", "/x")
    blueprint.on_event("connect", lambda: None)
    known.socketio.register_blueprint(blueprint)
    client = known.client()
    client.connect("/x", auth={"user": "ada"})
    assert known.socketio.is_online("ada", "/x")


@pytest.mark.quick
def test_a_wrong_identify_is_refused() -> None:
    """It must take nothing, or the auth data."""

    def who(one: int, two: int) -> None: ...

    with pytest.raises(TypeError, match="who must take nothing or one"):
        SocketIO().identify(who)


# -- Flask-Login ------------------------------------------------------------------------


class User(UserMixin):  # type: ignore[misc]
    """A user of the site."""

    def __init__(self, name: str) -> None:
        self.id = name


class Members:
    """A site with Flask-Login, its users, and browsers."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.names = {"ada", "bob"}
        self.loaded: list[str] = []
        LoginManager(site.app).user_loader(self.load)
        site.app.add_url_rule("/login/<name>", "login", self.login)
        site.app.add_url_rule("/logout", "logout", self.logout)

    def load(self, name: str) -> User | None:
        """Return a user who still exists."""
        self.loaded.append(name)
        return User(name) if name in self.names else None

    def login(self, name: str) -> str:
        """Log in; a view."""
        login_user(User(name))
        return "in"

    def logout(self) -> str:
        """Log out everywhere; a view."""
        self.site.socketio.disconnect_user(current_user)
        logout_user()
        return "out"

    def browser(self, name: str) -> Any:
        """Return a browser whose user has logged in."""
        browser = self.site.app.test_client()
        browser.get(f"/login/{name}")
        return browser

    def client(self, browser: Any) -> PollingClient:
        """Return a client in a browser's tab."""
        client = self.site.client(client=browser)
        client.connect()
        return client


@pytest.fixture
def members(site: Site) -> Members:
    """A site with users."""
    return Members(site)


def test_flask_logins_user_is_the_user(members: Members) -> None:
    """With Flask-Login set up nobody has to write identify; strangers are nobody."""
    client = members.client(members.browser("ada"))
    stranger, _ = members.site.joined()
    socketio = members.site.socketio
    socketio.emit("hello", user="ada")
    socketio.emit("hello again", user=User("ada"))
    assert heard(members.site, client) == ["hello", "hello again"]
    assert heard(members.site, stranger) == []
    assert socketio.is_online(User("ada"))


def test_identify_comes_before_flask_login(members: Members) -> None:
    """Where identify is registered Flask-Login is not asked."""
    members.site.socketio.identify(lambda: "somebody else")
    members.client(members.browser("ada"))
    assert members.loaded == []
    assert members.site.socketio.is_online("somebody else")


def test_logout_reaches_open_sockets(members: Members) -> None:
    """A view that logs a user out disconnects every tab of that user, and nobody else's."""
    browser = members.browser("ada")
    tabs = [
        members.client(browser),
        members.client(browser),
        members.client(members.browser("ada")),
    ]
    bob = members.client(members.browser("bob"))
    browser.get("/logout")
    for tab in tabs:
        assert tab.until("41") == "41"
    assert not members.site.socketio.is_online("ada")
    assert members.site.run(bob, lambda: current_user.get_id()) == ["bob"]
    again = members.client(browser)
    assert members.site.run(again, lambda: current_user.is_authenticated) == [False]


def test_the_user_is_loaded_again_for_each_event(members: Members) -> None:
    """current_user is asked for anew in each event that uses it; a deleted user is nobody."""
    client = members.client(members.browser("ada"))
    site = members.site
    members.loaded.clear()
    site.run(client, lambda: None)
    assert members.loaded == []
    assert site.run(client, lambda: (current_user.id, current_user.id)) == ["ada", "ada"]
    assert members.loaded == ["ada"]
    members.names.remove("ada")
    assert site.run(client, lambda: current_user.is_authenticated) == [False]
    assert members.loaded == ["ada", "ada"]


def test_users_side_by_side_are_not_mixed_up(members: Members) -> None:
    """While one user's event waits another's runs, and each is still its own afterwards."""
    site = members.site
    clients = {name: members.client(members.browser(name)) for name in ("ada", "bob")}

    @site.socketio.on("who")
    def who() -> list[str]:
        before = current_user.id
        g.name = before
        site.socketio.call("wait", to=request.sid)  # type: ignore[attr-defined]
        return [before, current_user.id, g.name]

    questions = {}
    for name, client in clients.items():
        client.post('429["who"]')
        questions[name] = client.until("42")
    for name, client in clients.items():
        number = questions[name][2 : questions[name].index("[")]
        client.post(f"43{number}[]")
        assert client.until("439") == f'439[["{name}","{name}","{name}"]]'


# -- several servers --------------------------------------------------------------------


def test_users_of_servers_on_one_queue() -> None:
    """emit(user=) and disconnect_user reach the user's clients at the queue's other servers."""
    sites = [Site(async_mode="threading", message_queue="memory://users") for _ in range(2)]
    clients = []
    for site in sites:
        site.socketio.identify(lambda auth: auth["user"])
        clients.append(join(site, "ada")[0])
    sites[0].socketio.emit("hello", user="ada")
    assert [client.until("42") for client in clients] == ['42["hello"]'] * 2
    sites[0].socketio.disconnect_user("ada")
    assert [client.until("41") for client in clients] == ["41"] * 2
    for site in sites:
        site.socketio.shutdown()


def test_disconnect_within_connect_is_a_refusal(known: Site) -> None:
    """A client whose connect handler disconnects it is nobody's, too."""
    known.socketio.on_event("connect", lambda: disconnect())
    assert known.client().connect(auth={"user": "ada"}).startswith("44")
    assert not known.socketio.is_online("ada")
    assert not known.socketio.server.spaces["/"].rooms._rooms
