"""login_required: handlers that only users may call."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
from flask import g
from flask_login import LoginManager, UserMixin, current_user, login_user

from flask_sio import (
    ConnectionRefusedError,
    Namespace,
    SocketBlueprint,
    current_socket,
    login_required,
)
from tests.flask.polling import PollingClient
from tests.flask.site import Site

LOG_IN = {"error": "Please log in."}
DENIED = {"error": "Permission denied"}


@pytest.fixture
def known(site: Site) -> Site:
    """A site whose clients say by their auth data who they are."""
    site.socketio.identify(lambda auth: auth and auth["user"])
    return site


def join(site: Site, user: Any = None, namespace: str = "/") -> PollingClient:
    """Return a client of a user, or of nobody."""
    client = site.client()
    client.sid(namespace, auth={"user": user})
    return client


def test_a_stranger_cannot_connect(known: Site) -> None:
    """The client learns why, and neither handler nor rooms know of it; a user comes in."""
    ran: list[Any] = []

    @known.socketio.on("connect")
    @login_required
    def connect(auth: Any) -> None:
        ran.append(auth["user"])

    assert known.client().connect() == '44{"message":"Please log in."}'
    assert known.client().connect(auth={"user": ""}) == '44{"message":"Please log in."}'
    join(known, "ada")
    assert ran == ["ada"]
    assert known.socketio.is_online("ada")


def test_a_strangers_event_is_refused(known: Site, caplog: pytest.LogCaptureFixture) -> None:
    """By the ack alone: the client stays, nothing is logged, and a user is served."""
    known.socketio.on_event("double", login_required(lambda number: 2 * number))
    stranger, ada = join(known), join(known, "ada")
    assert stranger.ask("double", 2) == [LOG_IN]
    assert ada.ask("double", 2) == [4]
    assert known.run(stranger, lambda: "still here") == ["still here"]
    assert "failed" not in caplog.text


def test_identify_is_asked_once(known: Site) -> None:
    """Before a connect handler that needs the answer, and not again for the events."""
    asked: list[Any] = []

    @known.socketio.identify
    def who(auth: Any) -> Any:
        asked.append(auth)
        g.name = auth["user"]
        return auth["user"]

    known.socketio.on_event("connect", login_required(lambda: asked.append(g.name)))
    known.socketio.on_event("name", login_required(lambda: known.socketio.is_online("ada")))
    assert join(known, "ada").ask("name") == [True]
    assert asked == [{"user": "ada"}, "ada"]


def test_identify_refuses_by_its_own_text(site: Site) -> None:
    """What it raises is what the client is told."""

    @site.socketio.identify
    def who() -> None:
        raise ConnectionRefusedError("unknown token")

    site.socketio.on_event("connect", login_required(lambda: None))
    assert site.client().connect() == '44{"message":"unknown token"}'


def test_who_was_claimed_later_is_let_in(site: Site) -> None:
    """A program without identify may say in an event whose the client is."""
    site.socketio.on_event("secret", login_required(lambda: "42"))
    client, _ = site.joined()
    assert client.ask("secret") == [LOG_IN]
    site.run(client, lambda: site.socketio.server.users.claim(current_socket, 7))
    assert client.ask("secret") == ["42"]
    assert site.run(client, lambda: current_socket.user) == ["7"]


def test_methods_and_blueprints(known: Site) -> None:
    """A method may leave out what any may; an error method hears of a refusal."""
    refusals: list[str] = []

    class Chat(Namespace):
        @login_required
        def on_connect(self) -> None: ...

        @login_required(check=lambda user: user == "ada")
        def on_say(self, text: str, /) -> str:
            return text.upper()

        def error(self, error: Exception) -> None:
            refusals.append(str(error))
            raise error

    blueprint = SocketBlueprint("x", "/x")
    blueprint.on("who")(login_required(lambda: "a user"))
    known.socketio.register_blueprint(blueprint)
    known.socketio.on_namespace(Chat("/chat"))
    assert known.client().connect("/chat") == '44/chat,{"message":"Please log in."}'
    ada, bob = join(known, "ada", "/chat"), join(known, "bob", "/chat")
    assert ada.ask("say", "hi", namespace="/chat") == ["HI"]
    assert bob.ask("say", "hi", namespace="/chat") == [DENIED]
    assert refusals == ["Please log in.", "Permission denied"]
    assert join(known, None, "/x").ask("who", namespace="/x") == [LOG_IN]
    assert join(known, "ada", "/x").ask("who", namespace="/x") == ["a user"]


def test_a_hook_guards_a_whole_namespace(known: Site) -> None:
    """before_event takes a guard, for events that have no decorator of their own."""
    known.socketio.before_event(login_required(lambda: None))
    assert known.run(join(known), lambda: "done") == [LOG_IN]
    assert known.run(join(known, "ada"), lambda: "done") == ["done"]


def test_check(known: Site) -> None:
    """It takes nothing or the user's id as text, may be async, and is not asked of strangers."""
    asked: list[Any] = []

    async def later(user: str) -> bool:
        await asyncio.sleep(0)
        asked.append(user)
        return user == "7"

    def always() -> int:
        return 1

    known.socketio.on_event("connect", login_required(check=later)(lambda: None))
    known.socketio.on_event("later", login_required(check=later)(lambda: "seven"))
    known.socketio.on_event("nothing", login_required(check=always)(lambda: "may"))
    known.socketio.on_event("plain", login_required()(lambda: "user"))
    assert known.client().connect() == '44{"message":"Please log in."}'
    assert known.client().connect(auth={"user": 8}) == '44{"message":"Permission denied"}'
    seven = join(known, 7)
    assert [seven.ask(event) for event in ("later", "nothing", "plain")] == [
        ["seven"],
        ["may"],
        ["user"],
    ]
    assert asked == ["8", "7", "7"]


@dataclass
class Order:
    """What a client sends."""

    number: int


def test_it_hides_nothing_of_the_handler(known: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Neither its models, nor its values of a pattern, nor that it is async."""

    @login_required
    async def order(order: Order) -> int:
        await asyncio.sleep(0)
        return order.number

    @login_required
    def where(text: str, *, number: int) -> list[Any]:
        return [text, number]

    known.socketio.on_event("order", order)
    known.socketio.on_event("where", where, namespace="/job/<int:number>")
    assert order.__name__ == "order"
    ada = join(known, "ada")
    assert ada.ask("order", {"number": 3}) == [3]
    assert ada.ask("order", {})[0]["error"] == "Invalid payload"
    ada.sid("/job/7", auth={"user": "ada"})
    assert ada.ask("where", "x", namespace="/job/7") == [["x", 7]]
    assert "failed" not in caplog.text


def test_a_disconnect_handler_runs_for_anybody(known: Site) -> None:
    """Who leaves is refused nothing."""
    left: list[str] = []
    known.socketio.on_event("disconnect", login_required(left.append))
    known.leave(join(known))
    assert left == ["client disconnect"]


@pytest.mark.quick
def test_what_it_cannot_guard() -> None:
    """No function, a check of two arguments, and a call that is no event's."""
    with pytest.raises(TypeError, match="login_required needs a function, not 'admin'"):
        login_required("admin")  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="check must be a function of nothing or"):
        login_required(check=lambda one, two: None)
    with pytest.raises(TypeError, match="check must be a function of nothing or"):
        login_required(check="admin")  # type: ignore[call-overload]
    with pytest.raises(RuntimeError, match="no event is being handled"):
        login_required(lambda: None)()


# -- Flask-Login ------------------------------------------------------------------------


class User(UserMixin):  # type: ignore[misc]
    """A user of the site."""

    def __init__(self, name: str) -> None:
        self.id = name


def test_flask_logins_user_is_asked_for_each_event(site: Site) -> None:
    """Without identify; who is no user any more is refused from the next event on."""
    names = {"ada"}
    LoginManager(site.app).user_loader(lambda name: User(name) if name in names else None)
    site.app.add_url_rule("/login", "login", lambda: str(login_user(User("ada"))))
    site.socketio.on_event("connect", login_required(lambda: None))
    site.socketio.on_event("name", login_required(lambda: current_user.id))
    assert site.client().connect() == '44{"message":"Please log in."}'
    browser: Any = site.app.test_client()
    browser.get("/login")
    client = site.client(client=browser)
    client.sid()
    assert client.ask("name") == ["ada"]
    assert site.socketio.is_online("ada")
    names.clear()
    assert client.ask("name") == [LOG_IN]
