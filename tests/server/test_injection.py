"""What handlers are given beside what clients sent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Optional

import pytest

from flask_sio import (
    ConnectionRefusedError,
    EventRefusedError,
    Inject,
    Namespace,
    Server,
    Socket,
    idempotent,
)
from flask_sio.testing import TestClient
from tests.live import Runtime, plain
from tests.server.clients import Gate, Log, Peer
from tests.server.models import User

ADA = {"name": "Ada", "age": 36}
SOON_S = 0.03


def server_of(**options: Any) -> Server:
    return Server(async_mode="threading", **options)


class Store:
    """What opens and closes, and what has happened to it."""

    def __init__(self) -> None:
        self.log: list[Any] = []

    def open(self) -> Iterator[str]:
        self.log.append("open")
        try:
            yield "session"
        except BaseException as error:
            self.log.append(type(error).__name__)
            raise
        finally:
            self.log.append("close")


# -- values ----------------------------------------------------------------------------------


def test_a_handler_is_given_what_functions_return(runtime: Runtime) -> None:
    """Wherever the parameter stands; the client's arguments take the other places."""
    server, numbers = Server(), iter(range(100))

    def number() -> int:
        return next(numbers)

    Number = Annotated[int, Inject(number)]  # noqa: N806 # a type

    @server.on("first")
    def first(sid: str, n: Number, a: int, b: int = 5) -> Any:
        return n, a, b

    @server.on("last")
    def last(sid: str, a: int, n: Number) -> Any:
        return n, a

    @server.on("named")
    def named(sid: str, *args: Any, n: Number) -> Any:
        return n, args

    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('421["first",7]', '422["first",7,8]', '423["last",7]', '424["named",7,8]')
        assert [peer.text() for _ in range(4)] == [
            "431[0,7,5]",
            "432[1,7,8]",
            "433[2,7]",
            "434[3,[7,8]]",
        ]
        peer.leave()


def test_the_clients_socket(runtime: Runtime) -> None:
    """For handlers of events, of connect and disconnect, and for the functions themselves."""
    server, log = Server(), Log()

    def room_of(socket: Socket) -> str:
        return f"room of {socket.id}"

    @server.on("connect")
    def connect(sid: str, socket: Socket, environ: Any) -> None:
        log.add(socket.id == sid)

    @server.on("who")
    def who(socket: Socket, sid: str, room: Annotated[str, Inject(room_of)]) -> Any:
        return socket.id == sid, room == f"room of {sid}"

    @server.on("disconnect")
    def disconnect(sid: str, reason: str, socket: Socket) -> None:
        log.add((socket.id == sid, reason))

    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('421["who"]')
        assert peer.text() == "431[true,true]"
        peer.send("41")
        assert log.wait(2) == [True, (True, "client disconnect")]
        peer.close()


def test_functions_that_need_functions() -> None:
    """Each is called once for an event, after those it needs; a class is one, too."""
    server, calls = server_of(), list[str]()

    def settings() -> dict[str, int]:
        calls.append("settings")
        return {"size": 3}

    class Shop:
        def __init__(self, settings: Annotated[dict[str, int], Inject(settings)]) -> None:
            calls.append("shop")
            self.size = settings["size"]

    def price(
        shop: Annotated[Shop, Inject(Shop)], of: Annotated[Any, Inject(settings)], by: int = 2
    ) -> int:
        calls.append("price")
        return shop.size * of["size"] * by

    @server.on("buy")
    def buy(
        sid: str,
        cost: Annotated[int, Inject(price)],
        shop: Annotated[Shop, Inject(Shop)],
        again: Annotated[int, Inject(price)],
    ) -> Any:
        return [cost, shop.size, again]

    with TestClient(server) as client:
        assert client.emit("buy", callback=True) == [18, 3, 18]
        assert calls == ["settings", "shop", "price"]
        client.emit("buy")
    assert calls == ["settings", "shop", "price"] * 2


# -- opened and closed -------------------------------------------------------------------------


@pytest.mark.parametrize("is_context", [False, True])
def test_what_is_opened_is_closed(is_context: bool) -> None:
    """After the handler, also after an exception, which it sees, the last opened first."""
    server, store = server_of(error_acks=True), Store()
    opened: Any = contextmanager(store.open) if is_context else store.open
    Session = Annotated[str, Inject(opened)]  # noqa: N806 # a type

    def cursor(session: Session) -> Iterator[str]:
        store.log.append("cursor")
        yield f"cursor of {session}"
        store.log.append("done")

    @server.on("read")
    def read(sid: str, of: Annotated[str, Inject(cursor)], session: Session) -> Any:
        store.log.append("handler")
        return of, session

    @server.on("fail")
    def fail(sid: str, session: Session) -> None:
        raise KeyError("away")

    with TestClient(server) as client:
        assert client.emit("read", callback=True) == ["cursor of session", "session"]
        assert store.log == ["open", "cursor", "handler", "done", "close"]
        store.log.clear()
        with pytest.raises(KeyError):
            client.emit("fail")
    assert store.log == ["open", "KeyError", "close"]


def test_what_a_function_raises_is_the_handlers() -> None:
    """It may refuse the event, or the client; what was opened before it is closed."""
    server, store = server_of(), Store()

    def allowed(session: Annotated[str, Inject(store.open)]) -> None:
        raise EventRefusedError("not you")

    def known() -> None:
        raise ConnectionRefusedError("who are you?")

    @server.on("enter")
    def enter(sid: str, user: Annotated[None, Inject(allowed)]) -> None:
        pytest.fail("it ran")

    @server.on("connect", namespace="/private")
    def connect(sid: str, environ: Any, user: Annotated[None, Inject(known)]) -> None:
        pytest.fail("it ran")

    with TestClient(server) as client:
        assert client.emit("enter", callback=True) == {"error": "not you"}
        client.connect("/private")
        assert client.refused == {"message": "who are you?"}
    assert store.log == ["open", "EventRefusedError", "close"]


def test_a_session_is_closed_when_its_handlers_time_is_up(runtime: Runtime) -> None:
    """What interrupts the handler goes through what it was given."""
    server, store = Server(error_acks=True), Store()

    @server.on("hang", timeout=SOON_S)
    def hang(sid: str, session: Annotated[str, Inject(store.open)]) -> None:
        server.sleep(600)

    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('420["hang"]')
        assert peer.text() == '430[{"error":"Internal error"}]'
        assert store.log == ["open", "TimeIsUp", "close"]
        peer.leave()


# -- beside other things ------------------------------------------------------------------------


def test_payloads_are_checked_first() -> None:
    """What does not fit opens nothing; the numbers of arguments are those of the client's."""
    server, store = server_of(), Store()

    @server.on("greet")
    def greet(
        sid: str, session: Annotated[str, Inject(store.open)], user: User, socket: Socket
    ) -> str:
        return f"{user.name} {session}"

    @dataclass
    class Local:
        size: int

    @server.on("local")
    def local(sid: str, made: Local, session: Annotated[str, Inject(store.open)]) -> int:
        return made.size

    with TestClient(server) as client:
        answer = client.emit("greet", {"name": "Ada"}, callback=True)
        assert answer["errors"] == [{"path": [0, "age"], "message": "is missing"}]
        answer = client.emit("greet", ADA, 5, callback=True)
        assert answer["errors"] == [{"path": [1], "message": "is one too many"}]
        assert store.log == []
        assert client.emit("greet", ADA, callback=True) == "Ada session"
        assert client.emit("local", {"size": 7}, callback=True) == 7


def test_any_event_and_patterns() -> None:
    """Names of events and namespaces, and values of patterns, go where they always do."""
    server = server_of()

    def give() -> str:
        return "given"

    Given = Annotated[str, Inject(give)]  # noqa: N806 # a type

    @server.on("*", namespace=re.compile("/job/(?P<job>.+)"))
    def anything(
        event: str, given: Given, namespace: str, sid: str, own: str, job: str, socket: Socket
    ) -> Any:
        return event, given, namespace, own, job, socket.id == sid

    with TestClient(server, "/job/a") as client:
        answer = client.emit("x", "y", namespace="/job/a", callback=True)
        assert answer == ["x", "given", "/job/a", "y", "a", True]


@pytest.mark.parametrize("by", ["own", lambda sid, own: own])
def test_idempotent_handlers(by: Any) -> None:
    """The key function gets what it always got; of the injected values the handler alone."""
    server, seen = server_of(), list[Any]()

    @server.on("order")
    @idempotent(key=by)
    def order(sid: str, given: Annotated[int, Inject(lambda: 5)], own: str) -> Any:
        seen.append(own)
        return given

    with TestClient(server) as client:
        for _ in range(2):
            assert client.emit("order", "a", callback=True) == 5
    assert seen == ["a"]


@pytest.mark.parametrize("per_client", [False, True])
@pytest.mark.parametrize("own_trigger", [False, True])
def test_methods(per_client: bool, own_trigger: bool) -> None:
    """Of classes, with an object for each client or not, by their own trigger_event or not."""

    class Shop(Namespace):
        def on_connect(self, sid: str, environ: Any, socket: Socket) -> None:
            socket.data["asked"] = 0

        def on_buy(self, sid: str, given: Annotated[int, Inject(lambda: 5)], n: int) -> Any:
            return given, n, self.namespace

        def on_disconnect(self, sid: str, socket: Socket) -> None: ...

    class Watched(Shop):
        def trigger_event(self, event: str, *args: Any, **values: Any) -> Any:
            return super().trigger_event(event, *args, **values)

    kind: Any = Watched if own_trigger else Shop
    kind = type("Own", (kind,), {"per_client": per_client})
    server = server_of()
    server.register_namespace(kind("/shop"))
    with TestClient(server, "/shop") as client:
        assert client.emit("buy", 7, namespace="/shop", callback=True) == [5, 7, "/shop"]


def test_concurrent_handlers_have_their_own(runtime: Runtime) -> None:
    """Two runs of one handler at once are given two values."""
    server, log, numbers = Server(), Log(), iter(range(100))
    gate = Gate(server)

    def number() -> Iterator[int]:
        own = next(numbers)
        yield own
        log.add(("closed", own))

    @server.on("work", concurrent=True)
    def work(sid: str, own: Annotated[int, Inject(number)]) -> int:
        gate.wait()
        return own

    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('420["work"]', '421["work"]')
        gate.arrived(2)
        assert log.entries == []
        gate.open()
        assert {peer.text(), peer.text()} == {"430[0]", "431[1]"}
        assert sorted(log.wait(2)) == [("closed", 0), ("closed", 1)]
        peer.leave()


# -- wrong use ---------------------------------------------------------------------------------


def give() -> int:
    return 1


async def later() -> int:
    return 1


def needs(x: int) -> int:
    return x


def cycle(x: Annotated[int, Inject(lambda y: y)]) -> int:
    return x


def around(x: Annotated[int, Inject(around_)]) -> int:  # type: ignore[name-defined]
    return x


around_ = around
Gift = Annotated[int, Inject(give)]
MaybeGift = Optional[Gift]  # noqa: UP045 # as it may be written


def handler(annotation: Any, default: Any = ...) -> Any:
    """Return a handler whose parameter "db" is annotated so."""

    def order(sid: str, db: Any) -> None: ...

    order.__annotations__["db"] = annotation
    if default is not ...:
        order.__defaults__ = (default,)
    return order


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (handler(Annotated[int, Inject(5)]), r"db of .*order: Inject\(\) takes a function, not 5"),  # type: ignore[arg-type]
        (handler(Annotated[int, Inject(later)]), r"db of .*order: nothing awaits .*later"),
        (handler(Inject(give)), r"db of .*order: write db: Annotated\["),
        (handler(int, Inject(give)), r"db of .*order: write db: Annotated\["),
        (handler(Annotated[int, Inject(needs)]), r"x of needs, for db of .*order has neither"),
        (handler(Annotated[int, Inject(cycle)]), r"y of .*lambda.*, for x of cycle, for db of"),
        (handler(Annotated[int, Inject(around)]), r"x of around, for db of .*: around needs itsel"),
        (handler(list[Annotated[int, Inject(give)]]), r"db of .*order: one Inject\(<function>\)"),
        (handler(Annotated[int, Inject(give), Inject(needs)]), r"db of .*order: one Inject"),
        (handler("Annotated[int, Inject()]"), r"db of .*order: one Inject\(<function>\)"),
        (handler("Gift | None"), r"db of .*order: one Inject\(<function>\)"),
        (handler("list[MaybeGift]"), r"db of .*order: one Inject\(<function>\)"),
        (handler("Annotated[int, Inject(nowhere)]"), r"db of .*order cannot be read: .*nowhere"),
    ],
)
def test_wrong_use_fails_where_it_is_registered(wrong: Any, text: str) -> None:
    """The text names the handler and the parameter."""
    with pytest.raises(TypeError, match=text):
        server_of().on("order", wrong)


def test_a_failure_that_is_swallowed_in_closing_stays_one(runtime: Runtime) -> None:
    """Else a client that a connect handler has refused would be in."""
    server, log = Server(), Log()

    def forgets_to_raise() -> Iterator[str]:
        try:
            yield "session"
        except Exception as error:
            log.add(type(error).__name__)

    @server.on("connect")
    def connect(sid: str, environ: Any, auth: Any, db: Annotated[str, Inject(forgets_to_raise)]):  # type: ignore[no-untyped-def]
        if auth is None:
            raise ConnectionRefusedError("who are you?")

    @server.on("fail")
    def fail(sid: str, db: Annotated[str, Inject(forgets_to_raise)]) -> None:
        raise EventRefusedError("no")

    with plain(runtime, server) as live:
        stranger = Peer(live, join=None)
        stranger.send("40")
        assert stranger.text() == '44{"message":"who are you?"}'
        stranger.close()
        peer = Peer(live, join='40{"name":"Ada"}')
        peer.send('421["fail"]')
        assert peer.text() == '431[{"error":"no"}]'
        peer.close()
    assert log.entries == ["ConnectionRefusedError", "EventRefusedError"]


def test_a_handler_that_names_none_is_what_it_was() -> None:
    """It pays nothing; and what is given does not count among what a connect handler takes."""
    server = server_of()

    def plain_one(sid: str, text: str, number: int = 1) -> None: ...

    server.on("builtin", [].append)
    server.on("x", plain_one)
    assert server.handlers.find("/", "x").fn is plain_one  # type: ignore[union-attr]
    with pytest.raises(TypeError, match="a connect handler takes"):
        server.on("connect", handler(Annotated[int, Inject(give)]))


def test_outside_of_an_event_it_is_the_plain_function() -> None:
    """A program calls its handler with everything."""
    server = server_of()

    @server.on("x")
    def x(sid: str, given: Annotated[int, Inject(give)]) -> int:
        return given

    assert x("sid", 7) == 7
    assert repr(Inject(give)) == "Inject(give)"
