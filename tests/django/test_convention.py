"""Django's convention: a request around each handler, with the session and user of now."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Annotated, Any

import pytest

from flask_sio import (
    ConnectionRefusedError,
    EventRefusedError,
    EventRun,
    HandlerTimeoutError,
    Inject,
    Namespace,
    Server,
    Socket,
)
from flask_sio.protocol import sio
from flask_sio.testing import TestClient
from tests.django.conftest import Connect
from tests.django.project import AUTH, SESSION, close_connections
from tests.live import WAIT_S, Runtime

if TYPE_CHECKING:
    from django.contrib.auth.models import User

pytestmark = pytest.mark.quick  # each interpreter CI finds has its newest Django

NAMED = [f"tests.django.middleware.{name}" for name in ("tenant", "Guard", "Unused")]


@pytest.fixture
def http(alice: User) -> Any:
    """A client of Django's, in which Alice is logged in."""
    from django.test import Client

    client = Client()
    client.force_login(alice)
    return client


@pytest.fixture
def opened() -> Iterator[list[Any]]:
    """Collect the database connections that are opened, of any thread."""
    from django.db.backends.signals import connection_created

    opened: list[Any] = []

    def note(connection: Any, **_: Any) -> None:
        opened.append(connection)

    connection_created.connect(note)
    yield opened
    connection_created.disconnect(note)


# -- the request -----------------------------------------------------------------------


def test_every_handler_has_the_request(server: Server, connect: Connect, http: Any) -> None:
    """Connect, events, callbacks, disconnect and methods know user, headers and address."""
    from flask_sio.mounts.django import current_user_id, request

    seen: list[Any] = []

    def look(*_: Any) -> None:
        seen.append((request.user.username, request.headers["X-Page"], request.path))

    class Methods(Namespace):
        def on_look(self, sid: str) -> None:
            look()

    server.on("connect", lambda sid, environ: look())
    server.on("disconnect", lambda sid: look())
    server.on("look", look)
    server.on("ask", lambda sid: server.emit("ask", to=sid, callback=look))
    server.on("id", lambda sid: current_user_id())
    server.register_namespace(Methods("/methods"))

    client = connect(server, http, **{"X-Page": "7"})
    client.on("ask", lambda: "answer")
    client.emit("look")
    client.emit("ask")
    assert client.emit("id", callback=True) == int(http.session["_auth_user_id"])
    client.connect("/methods")
    client.emit("look", namespace="/methods")
    client.close()

    assert seen == [("alice", "7", "/socket.io/")] * 5


def test_what_handlers_are_given(server: Server, connect: Connect, http: Any) -> None:
    """The client's socket, and what functions return that ask for the request's user."""
    from flask_sio.mounts.django import request

    def name() -> str:
        return str(request.user.username)

    @server.on("who")
    def who(sid: str, socket: Socket, name: Annotated[str, Inject(name)], more: str) -> Any:
        return socket.id == sid, name, more

    client = connect(server, http)
    assert client.emit("who", "more", callback=True) == [True, "alice", "more"]
    client.close()


def test_a_handler_whose_time_is_up(server: Server, connect: Connect, http: Any) -> None:
    """What Django opened for it is closed, and the next handler has its own request."""
    from flask_sio.mounts.django import request

    @server.on("hang", timeout=0.03)
    def hang(sid: str) -> None:
        assert request.user.username == "alice"
        server.sleep(600)

    server.on("who", lambda sid: request.user.username)
    client = connect(server, http)
    with pytest.raises(HandlerTimeoutError, match="hang took longer"):
        client.emit("hang")
    assert client.emit("who", callback=True) == "alice"
    client.close()


def test_middleware_and_listeners_have_the_request(
    server: Server, connect: Connect, http: Any
) -> None:
    """What runs around handlers knows the user, too, and so does a namespace's pattern."""
    from flask_sio.mounts.django import request

    seen: list[Any] = []

    def judge(name: str, auth: Any) -> bool:
        seen.append(("judge", request.user.username))
        return name == "/judged"

    server.use(lambda socket: seen.append(("use", request.user.username)))
    server.use_event(lambda socket, event, args: seen.append(("event", request.user.username)))
    server.on_any(lambda event, sid: seen.append(("any", request.user.username)))
    server.on_any_outgoing(lambda event, sid: seen.append(("out", request.user.username)))
    server.on("go", lambda sid: server.emit("gone", to=sid))
    server.on("go", lambda namespace, sid: namespace, judge)

    client = connect(server, http)
    client.emit("go")
    client.connect("/judged")
    assert client.emit("go", namespace="/judged", callback=True) == "/judged"
    client.close()

    assert seen == [(what, "alice") for what in ("use", "any", "event", "out", "judge")]


def test_who_may_enter_a_room_is_asked_with_the_request_of_who_enters(
    server: Server, connect: Connect, http: Any, opened: list[Any]
) -> None:
    """Whoever asks: its own handler, another client's, a view."""
    from flask_sio.mounts.django import request

    server.use_join(lambda socket, room: request.user.username == "alice")
    server.on("join", lambda sid, whom: server.enter_room(whom or sid, "club"))
    alice, nobody = connect(server, http), connect(server)
    refused = {"error": "Room refused"}

    assert nobody.emit("join", "", callback=True) == refused
    assert alice.emit("join", nobody.sid(), callback=True) == refused
    assert nobody.emit("join", alice.sid(), callback=True) == []
    assert server.room_members("club") == [alice.sid()]
    server.enter_room(alice.sid(), "club")
    with pytest.raises(EventRefusedError):
        server.enter_room(nobody.sid(), "club")
    assert [each.connection for each in opened] == [None] * len(opened)


def test_arguments_are_those_of_the_plain_convention(server: Server, connect: Connect) -> None:
    """The id comes first; connect and disconnect handlers may leave out their last argument."""
    seen: list[Any] = []
    server.on("connect", lambda sid, environ: seen.append(environ["REMOTE_ADDR"]))
    server.on("*", lambda event, sid, *args: seen.append((event, args)))
    server.on("disconnect", lambda sid, reason: seen.append(reason))
    with pytest.raises(TypeError, match="sid, environ"):
        server.on("connect", lambda: None)

    client = connect(server)
    client.emit("chat", 1, 2)
    client.close()

    assert seen == ["127.0.0.1", ("chat", (1, 2)), "client disconnect"]


def test_a_visitor_without_a_session_is_anonymous(
    server: Server, connect: Connect, opened: list[Any]
) -> None:
    """Without a cookie the user is Django's anonymous one, and no database is asked."""
    from flask_sio.mounts.django import current_user_id, request

    server.on("who", lambda sid: [request.user.is_authenticated, current_user_id()])

    assert connect(server).emit("who", callback=True) == [False, None]
    assert opened == []


def test_each_event_has_a_request_of_its_own(server: Server, connect: Connect) -> None:
    """What a handler puts on the request is there until it returns, and for nobody else."""
    from django.http import HttpRequest

    from flask_sio.mounts.django import request

    def note(sid: str) -> list[bool]:
        had_note = hasattr(request, "note")
        request.note = "seen"
        request.META["NOTE"] = "seen"
        return [had_note, request.note == "seen", isinstance(request, HttpRequest)]

    server.on("note", note)
    server.on("meta", lambda sid: "NOTE" in request.META)
    client = connect(server)

    assert client.emit("note", callback=True) == [False, True, True]
    assert client.emit("note", callback=True) == [False, True, True]
    assert client.emit("meta", callback=True) is False


def test_there_is_no_request_outside_of_events(project: None) -> None:
    """Reading it elsewhere says so; looking at the object's type does not."""
    from django.http import HttpRequest

    from flask_sio.mounts.django import current_user_id, request

    with pytest.raises(RuntimeError, match="no Socket"):
        _ = request.user
    with pytest.raises(RuntimeError, match="no Socket"):
        current_user_id()
    assert isinstance(request, HttpRequest)
    assert not isinstance(request, type)
    assert "request" in repr(request).lower()


def test_concurrent_events_have_their_own_requests(server: Server, connect: Connect) -> None:
    """Two events of one client that run side by side do not see each other's request."""
    from flask_sio.mounts.django import request

    waiting: list[Any] = []

    def first(sid: str) -> bool:
        request.mark = "first"
        server.engine.loop.run(waiting[0].set)
        assert waiting[1].wait(WAIT_S)
        return str(request.mark) == "first"

    def second(sid: str) -> bool:
        assert waiting[0].wait(WAIT_S)
        had_mark = hasattr(request, "mark")
        request.mark = "second"
        server.engine.loop.run(waiting[1].set)
        return had_mark

    server.on("first", first, concurrent=True)
    server.on("second", second)
    client = connect(server)
    waiting += [server.engine.loop.waiter() for _ in range(2)]
    far = client._far

    def send_both() -> None:  # `emit` would wait for the first
        for number, name in enumerate(("first", "second")):
            far.transmit(far.encode(sio.EVENT, "/", [name], number))

    client._act(send_both, "both")
    assert [far.acks.pop(number) for number in (0, 1)] == [[True], [False]]


# -- the session -----------------------------------------------------------------------


def test_a_changed_session_is_saved(server: Server, connect: Connect, http: Any) -> None:
    """What a handler puts into the session is there in the next event and in Django's views."""
    from flask_sio.mounts.django import request

    def visit(sid: str) -> int:
        request.session["visits"] = request.session.get("visits", 0) + 1
        return int(request.session["visits"])

    server.on("visit", visit)
    client = connect(server, http)

    assert [client.emit("visit", callback=True) for _ in range(2)] == [1, 2]
    assert http.session["visits"] == 2
    session = http.session
    session["visits"] = 10
    session.save()
    assert client.emit("visit", callback=True) == 11


def test_a_failed_handler_saves_nothing(server: Server, connect: Connect, http: Any) -> None:
    """As with a view that ends in 500, the session is as it was before."""
    from flask_sio.mounts.django import request

    def fail(sid: str) -> None:
        request.session["half"] = True
        raise ZeroDivisionError

    server.on("fail", fail)
    with pytest.raises(ZeroDivisionError):
        connect(server, http).emit("fail")

    assert "half" not in http.session


def test_saving_every_request_means_every_reader(
    server: Server, connect: Connect, http: Any, opened: list[Any]
) -> None:
    """With SESSION_SAVE_EVERY_REQUEST an event that does not read the request saves nothing."""
    from django.test import override_settings

    from flask_sio.mounts.django import request

    server.on("idle", lambda sid: None)
    server.on("read", lambda sid: request.session.get("nothing"))
    with override_settings(SESSION_SAVE_EVERY_REQUEST=True):
        client = connect(server, http)
        close_connections()
        opened.clear()
        client.emit("idle")
        assert opened == []
        client.emit("read")
        assert len(opened) == 1


# -- users -----------------------------------------------------------------------------


def test_logout_means_logout(server: Server, connect: Connect, http: Any) -> None:
    """The user is read anew at each event: after a logout there is none."""
    from flask_sio.mounts.django import request

    server.on("who", lambda sid: str(request.user))
    client = connect(server, http)

    assert client.emit("who", callback=True) == "alice"
    http.logout()
    assert client.emit("who", callback=True) == "AnonymousUser"


def test_a_user_who_was_changed_is_seen_changed(
    server: Server, connect: Connect, http: Any, alice: User
) -> None:
    """A user made inactive is anonymous at the next event."""
    from flask_sio.mounts.django import request

    server.on("who", lambda sid: [str(request.user), request.user.is_staff])
    client = connect(server, http)

    alice.is_staff = True
    alice.save()
    assert client.emit("who", callback=True) == ["alice", True]
    alice.is_active = False
    alice.save()
    assert client.emit("who", callback=True) == ["AnonymousUser", False]


def test_login_required_refuses_anonymous_clients(
    server: Server, connect: Connect, http: Any
) -> None:
    """An anonymous client cannot connect and learns why; a user can."""
    from flask_sio.mounts.django import login_required

    @server.on("connect")
    @login_required
    def connected(sid: str, environ: dict[str, Any]) -> None:
        server.emit("hello", to=sid)

    stranger, alice = connect(server), connect(server, http)

    assert not stranger.is_connected()
    assert stranger.refused == {"message": "Please log in."}
    assert [each["name"] for each in alice.get_received()] == ["hello"]


def test_login_required_disconnects_who_has_logged_out(
    server: Server, connect: Connect, http: Any
) -> None:
    """An event after the logout is not handled, and ends the connection."""
    from django.core.exceptions import PermissionDenied

    from flask_sio.mounts.django import login_required

    said: list[str] = []

    @server.on("say")
    @login_required
    def say(sid: str, text: str) -> None:
        said.append(text)

    client = connect(server, http)
    client.emit("say", "before")
    http.logout()
    with pytest.raises(PermissionDenied):
        client.emit("say", "after")

    assert said == ["before"]
    assert not client.is_connected()


def test_login_required_suits_methods_and_reads_their_signature(
    server: Server, connect: Connect, http: Any
) -> None:
    """A decorated method may leave out the arguments that any may."""
    from flask_sio.mounts.django import login_required

    class Chat(Namespace):
        @login_required
        def on_connect(self, sid: str, environ: dict[str, Any]) -> None: ...

        @login_required
        def on_say(self, sid: str, text: str) -> str:
            return text.upper()

    server.register_namespace(Chat())

    assert connect(server, http).emit("say", "hi", callback=True) == "HI"


def test_login_required_hands_on_what_a_pattern_has_found(
    server: Server, connect: Connect, http: Any
) -> None:
    """Also to a handler that takes it by keyword only; an async one is refused."""
    from flask_sio.mounts.django import login_required

    @server.on("say", namespace="/room/<int:number>")
    @login_required
    def say(namespace: str, sid: str, text: str, *, number: int) -> list[Any]:
        return [namespace, text, number]

    async def later(sid: str) -> None: ...

    client = connect(server, http)
    client.connect("/room/7")
    assert client.emit("say", "hi", namespace="/room/7", callback=True) == ["/room/7", "hi", 7]
    with pytest.raises(TypeError, match="login_required needs a 'def'"):
        login_required(later)


def test_permission_denied_is_told_and_logged_without_traceback(
    server: Server, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """As in a view: the client learns that it may not, the log says who, in one line."""
    from django.core.exceptions import PermissionDenied

    error = PermissionDenied("Alice's diary")
    convention = server.convention
    assert convention.told(error) == "Permission denied"
    assert convention.told(ValueError()) == "Internal error"

    def refuse(sid: str, environ: dict[str, Any]) -> None:
        raise error

    server.on("connect", refuse)
    with pytest.raises(PermissionDenied):
        connect(server)

    server.on("connect", lambda sid, environ: None)
    server.on("look", lambda sid: 1 / 0)
    client = connect(server)
    socket = server.socket(client.sid())
    with caplog.at_level(logging.WARNING, "flask_sio.server"):
        convention.report(socket, "look", error)
        convention.report(socket, "look", ValueError("x"))
    [denied, failed] = caplog.records
    assert (denied.levelname, denied.exc_info) == ("WARNING", None)
    assert denied.getMessage() == f"denied 'look' to {socket.id} in /: Alice's diary"
    assert (failed.levelname, failed.exc_info is None) == ("ERROR", False)


# -- the database and other state ------------------------------------------------------


@pytest.mark.parametrize("fails", [False, True])
def test_an_event_closes_its_database_connections(
    server: Server, connect: Connect, alice: User, opened: list[Any], fails: bool
) -> None:
    """After an event, also a failed one, no connection is open, whatever CONN_MAX_AGE says."""
    from django.contrib.auth.models import User

    close_connections()

    def count(sid: str) -> int:
        number = User.objects.count()
        return 1 // 0 if fails else number

    server.on("count", count)
    client = connect(server)
    for _ in range(2):
        if fails:
            with pytest.raises(ZeroDivisionError):
                client.emit("count")
        else:
            assert client.emit("count", callback=True) == 1

    assert len(opened) == 2
    assert [each.connection for each in opened] == [None, None]


def test_a_handler_without_queries_opens_nothing(
    server: Server, connect: Connect, http: Any, opened: list[Any], runtime: Runtime
) -> None:
    """Being logged in costs no query where nobody reads it, and no worker is spoiled by it."""
    from flask_sio.mounts.django import request

    threads: set[int] = set()

    def ping(sid: str) -> None:
        threads.add(threading.get_ident())

    server.on("ping", ping)
    server.on("path", lambda sid: request.path)
    client = connect(server, http)
    close_connections()
    opened.clear()
    for _ in range(5):
        client.emit("ping")
        client.emit("path")

    assert opened == []
    if runtime == "threading" and sys.version_info < (3, 13):  # from then on none is re-used
        assert len(threads) == 1


def test_a_transaction_of_a_failed_handler_is_rolled_back(
    server: Server, connect: Connect, alice: User
) -> None:
    """``transaction.atomic`` works as in a view."""
    from django.contrib.auth.models import User
    from django.db import transaction

    @transaction.atomic
    def rename(sid: str, name: str, fails: bool) -> None:
        User.objects.filter(pk=alice.pk).update(username=name)
        if fails:
            raise ZeroDivisionError

    server.on("rename", rename)
    client = connect(server)
    with pytest.raises(ZeroDivisionError):
        client.emit("rename", "eve", True)
    assert User.objects.get(pk=alice.pk).username == "alice"
    client.emit("rename", "bob", False)
    assert User.objects.get(pk=alice.pk).username == "bob"


def test_other_visitors_and_this_client_do_not_meet(server: Server, connect: Connect) -> None:
    """What requests left in the thread of the handshake is not the client's, nor the reverse."""
    from datetime import timedelta, timezone

    from django.core.cache import caches
    from django.urls import get_urlconf, set_urlconf
    from django.utils import timezone as zones
    from django.utils import translation

    def look(sid: str) -> list[Any]:
        state = [translation.get_language(), zones.get_current_timezone_name(), get_urlconf()]
        translation.activate("fr")
        return [*state, caches["default"] is others]

    server.on("look", look)
    others = caches["default"]
    translation.activate("de")
    zones.activate(timezone(timedelta(hours=7)))
    set_urlconf("another.urls")
    try:
        found = [connect(server).emit("look", callback=True) for _ in range(2)]
        language = translation.get_language()
    finally:
        translation.deactivate()
        zones.deactivate()
        set_urlconf(None)

    assert found == [["en-us", "America/Chicago", None, False]] * 2
    assert language == "de"


def test_variables_of_an_outer_middleware_are_inherited(server: Server, connect: Connect) -> None:
    """Context variables that were set around the handshake are there in handlers."""
    trace: ContextVar[str] = ContextVar("trace")
    server.on("look", lambda sid: trace.get("none"))

    token = trace.set("abc")
    try:
        assert connect(server).emit("look", callback=True) == "abc"
    finally:
        trace.reset(token)


def test_what_a_handler_activates_ends_with_it(server: Server, connect: Connect) -> None:
    """A language that one event activates is not the next one's."""
    from django.utils import translation

    def speak(sid: str, language: str | None) -> str:
        if language:
            translation.activate(language)
        return str(translation.get_language())

    server.on("speak", speak)
    client = connect(server)

    assert client.emit("speak", "de", callback=True) == "de"
    assert client.emit("speak", None, callback=True) == "en-us"


def test_urls_have_the_prefix_of_the_connection(server: Server, connect: Connect) -> None:
    """``reverse`` gives URLs below the SCRIPT_NAME the client came by."""
    from django.test import override_settings
    from django.urls import reverse

    from flask_sio.mounts.django import request

    server.on("url", lambda sid: [reverse("page"), request.build_absolute_uri("/x")])

    assert connect(server).emit("url", callback=True) == ["/page", "http://127.0.0.1/x"]
    with override_settings(FORCE_SCRIPT_NAME="/below"):
        assert connect(server).emit("url", callback=True)[0] == "/below/page"


def test_caches_are_closed_after_each_event(server: Server, connect: Connect) -> None:
    """A cache client that holds a connection lets go of it, as after Django's requests."""
    from django.core.cache import caches

    closed: list[str] = []

    def use(sid: str) -> None:
        caches["default"].close = lambda **_: closed.append("closed")

    server.on("use", use)
    connect(server).emit("use")

    assert closed == ["closed"]


# -- middleware ------------------------------------------------------------------------


@pytest.fixture
def with_middleware(server: Server) -> Iterator[Server]:
    """The same server, with middleware of its own named."""
    from django.test import override_settings

    from tests.django import middleware

    middleware.CALLS.clear()
    with override_settings(SOCKETIO_MIDDLEWARE=NAMED, MIDDLEWARE=[SESSION, AUTH, NAMED[0]]):
        yield server


def test_named_middleware_runs_around_each_handler(
    with_middleware: Server, connect: Connect, http: Any
) -> None:
    """In the settings' order, after the session's, with the request the handler has."""
    from flask_sio.mounts.django import request
    from tests.django.middleware import CALLS

    def look(sid: str) -> str:
        CALLS.append("handler")
        return str(request.tenant)

    with_middleware.on("look", look)
    client = connect(with_middleware, http, **{"X-Tenant": "acme"})

    assert CALLS == ["tenant in", "guard of acme, alice", "tenant out"]  # at the connect
    CALLS.clear()
    assert client.emit("look", callback=True) == "acme"
    assert CALLS == ["tenant in", "guard of acme, alice", "handler", "tenant out"]


def test_a_middleware_that_answers_itself_keeps_the_handler_from_running(
    with_middleware: Server, connect: Connect, http: Any
) -> None:
    """A connect is then refused with its reason phrase, an event denied."""
    from django.core.exceptions import PermissionDenied

    ran: list[str] = []
    with_middleware.on("connect", lambda sid, environ: ran.append("connect"))
    with_middleware.on("look", lambda sid: ran.append("look"))
    banned = connect(with_middleware, http, **{"X-Banned": "1"})
    assert banned.refused == {"message": "Forbidden"}

    client = connect(with_middleware, http)
    session = http.session
    session["banned"] = True
    session.save()
    with pytest.raises(PermissionDenied, match="403"):
        client.emit("look")
    assert ran == ["connect"]


def test_what_a_handler_raises_passes_through_middleware(
    with_middleware: Server, connect: Connect, http: Any
) -> None:
    """Exceptions reach the middleware's ``finally``, and refusals the client."""
    from tests.django.middleware import CALLS

    def refuse(sid: str, environ: dict[str, Any]) -> None:
        raise ConnectionRefusedError("full", 7)

    with_middleware.on("connect", refuse)
    client = connect(with_middleware, http)

    assert client.refused == {"message": "full", "data": 7}
    assert CALLS[-1] == "tenant out"


def test_djangos_own_middleware_can_be_named(server: Server, connect: Connect) -> None:
    """LocaleMiddleware gives handlers the language of the client."""
    from django.test import override_settings
    from django.utils import translation

    server.on("speak", lambda sid: translation.get_language())
    named = ["django.middleware.locale.LocaleMiddleware"]
    with override_settings(SOCKETIO_MIDDLEWARE=named):
        for language in ("de", "fr"):
            client = connect(server, **{"Accept-Language": language})
            assert client.emit("speak", callback=True) == language


def test_middleware_that_cannot_run_is_named(server: Server, connect: Connect) -> None:
    """Asynchronous middleware is refused at the first connect."""
    from django.core.exceptions import ImproperlyConfigured
    from django.test import override_settings

    only = override_settings(SOCKETIO_MIDDLEWARE=["tests.django.middleware.OnlyAsync"])
    with only, pytest.raises(ImproperlyConfigured, match="OnlyAsync"):
        connect(server)


def test_a_project_without_sessions_has_the_rest(server: Server, connect: Connect) -> None:
    """Without their middleware there is no session and no user; the request is there."""
    from django.test import override_settings

    from flask_sio.mounts.django import current_user_id, request

    def look(sid: str) -> list[Any]:
        return [hasattr(request, "user"), hasattr(request, "session"), current_user_id()]

    server.on("look", look)
    with override_settings(MIDDLEWARE=[]):
        assert connect(server).emit("look", callback=True) == [False, False, None]


def test_middleware_of_a_users_own_class_counts(
    server: Server, connect: Connect, http: Any
) -> None:
    """A subclass of the session middleware makes the session in its place."""
    from django.test import override_settings

    from flask_sio.mounts.django import request

    server.on("look", lambda sid: [request.session.get("own"), str(request.user)])
    own = "tests.django.own_sessions.OwnSessions"
    with override_settings(MIDDLEWARE=[own, AUTH]):
        assert connect(server, http).emit("look", callback=True) == ["yes", "alice"]


def test_a_test_client_needs_no_django_request(runtime: Runtime, connect: Connect) -> None:
    """A server that never had a request of Django's works with its convention."""
    from flask_sio.mounts.django import DjangoConvention

    server = Server(convention=DjangoConvention(), async_mode=runtime)
    server.on("double", lambda sid, number: number * 2)
    with TestClient(server) as client:
        assert client.emit("double", 21, callback=True) == 42


# -- whose a client is -----------------------------------------------------------------


def test_a_users_clients_are_found_by_the_user(
    server: Server, connect: Connect, http: Any, alice: User
) -> None:
    """Known from the connect on, by primary key, without a handler; until the client leaves."""
    tabs = [connect(server, http) for _ in range(2)]
    stranger = connect(server)

    server.of("/").to(user=alice).emit("news", 1)
    server.of("/").to(user=alice.pk).emit("news", 2)
    server.of("/").to(user=str(alice.pk)).emit("news", 3)
    for tab in tabs:
        assert [each["args"] for each in tab.get_received()] == [[1], [2], [3]]
    assert stranger.get_received() == []
    assert server.users.sids(alice, "/") == [tab.sid() for tab in tabs]
    tabs[0].disconnect()
    assert server.users.sids(alice, "/") == [tabs[1].sid()]
    server.users.disconnect(alice, None)
    assert not tabs[1].is_connected()


def test_nobody_is_no_user(server: Server, connect: Connect, alice: User) -> None:
    """An anonymous visitor with a session, and a user who is logged out, have no clients."""
    from django.contrib.auth.models import AnonymousUser
    from django.test import Client

    http = Client()
    http.force_login(alice)
    connect(server, http)
    http.logout()
    session = http.session
    session["seen"] = True
    session.save()
    connect(server, http)

    assert len(server.users.sids(alice, "/")) == 1
    assert server.users.sids(AnonymousUser(), "/") == []
    with pytest.raises(ValueError, match="no id"):
        server.of("/").to(user=AnonymousUser())


def test_a_stranger_costs_no_query_and_a_refused_user_is_not_found(
    server: Server, connect: Connect, http: Any, alice: User, opened: list[Any]
) -> None:
    """Without a session's cookie no database is asked whose the client is."""
    close_connections()
    opened.clear()
    connect(server)
    assert opened == []

    server.on("connect", lambda sid, environ: False)
    connect(server, http)
    assert server.users.sids(alice, "/") == []


# -- beside other parts ----------------------------------------------------------------


def test_a_handler_may_ask_for_models(server: Server, connect: Connect) -> None:
    """What does not fit is answered, and is no failure; `login_required` hides nothing."""
    from flask_sio.mounts.django import login_required
    from tests.server.models import User as Model

    @server.on("greet")
    def greet(sid: str, user: Model) -> str:
        return user.name

    server.on("guarded", login_required(greet))
    client = connect(server)
    assert client.emit("greet", {"name": "Ada", "age": 36}, callback=True) == "Ada"
    assert client.emit("greet", {"name": "Ada"}, callback=True) == {
        "error": "Invalid payload",
        "errors": [{"path": [0, "age"], "message": "is missing"}],
    }
    assert client.emit("guarded", {"name": "Ada"}, callback=True)["error"] == "Invalid payload"


def test_a_hook_is_around_djangos_event(server: Server, connect: Connect) -> None:
    """Its variables are the handler's, and what the handler activates is not the hook's."""
    from django.utils import translation

    variable: ContextVar[str] = ContextVar("variable")
    languages: list[str] = []

    @server.around_event
    @contextmanager
    def hook(run: EventRun) -> Iterator[None]:
        variable.set(run.name)
        yield
        languages.append(translation.get_language())

    def look(sid: str) -> str:
        translation.activate("fr")
        return variable.get()

    server.on("look", look)
    assert connect(server).emit("look", callback=True) == "look"
    assert languages == ["en-us", "en-us"]


def test_what_is_no_clients_closes_its_connections_too(
    server: Server, connect: Connect, opened: list[Any], alice: User
) -> None:
    """What listens to rooms, and what concerns a request: no database connection stays open."""
    from django.contrib.auth.models import User

    client = connect(server)
    loop = server.engine.loop
    told = loop.waiter()
    server.on_room_event("join", lambda *_: User.objects.count())
    server.on_room_event("join", lambda *_: loop.run(told.set))  # when the first has ended
    close_connections()
    opened.clear()
    server.enter_room(client.sid(), "room")
    assert told.wait(WAIT_S)
    with server.convention.surround({}):
        User.objects.count()

    assert len(opened) == 2
    assert [each.connection for each in opened] == [None, None]
