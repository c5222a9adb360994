"""Handlers that run once for each id of a client's: what is kept, for whom, and how long."""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from flask_sio import Ack, ConfigError, EventRefusedError, Namespace, Server, idempotent
from flask_sio.server.idempotent import Answers
from flask_sio.testing import TestClient
from tests.live import WAIT_S, Runtime, plain
from tests.server.clients import Gate, Log, Peer
from tests.servers.node import need_node, run_script


def server_of(**options: Any) -> Server:
    return Server(async_mode="threading", **options)


# -- retries -----------------------------------------------------------------------------


def test_the_same_event_twice_is_handled_once(runtime: Runtime) -> None:
    """Both are acknowledged with the same answer; another id, and none, is another event."""
    server, log = Server(), Log()

    @server.on("order")
    @idempotent(key="order_id")
    def order(sid: str, item: str, order_id: str | None = None) -> tuple[str, int]:
        log.add(order_id)
        return item, len(log.entries)

    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('420["order","tea","a"]', '421["order","tea","a"]', '422["order","tea","b"]')
        peer.send('423["order","tea"]', '424["order","tea"]', '425["order","tea","a"]')
        assert [peer.text() for _ in range(6)] == [
            '430["tea",1]',
            '431["tea",1]',
            '432["tea",2]',
            '433["tea",3]',
            '434["tea",4]',
            '435["tea",1]',
        ]
        assert log.entries == ["a", "b", None, None]
        peer.leave()


def test_a_retry_over_a_new_connection_waits_for_the_first(runtime: Runtime) -> None:
    """The first still runs when the client has come back: it is run once, and answers both."""
    server, log = Server(), Log()
    gate = Gate(server)

    @server.on("order")
    @idempotent(key=lambda sid, data: data["id"])
    def order(sid: str, data: dict[str, str]) -> dict[str, str]:
        log.add(data["id"])
        gate.wait()
        return {"order": data["id"]}

    with plain(runtime, server) as live:
        first, second, third = Peer(live), Peer(live), Peer(live)
        first.send('420["order",{"id":"a"}]')
        gate.arrived()
        second.send('427["order",{"id":"a"}]')
        third.send('428["order",{"id":"b"}]')
        gate.arrived()  # by the third: the second waits elsewhere, and holds up nobody
        assert gate.nobody_arrived()
        live.until(lambda: server.engine.loop.running_handlers == 3)
        gate.open()
        assert first.text() == '430[{"order":"a"}]'
        assert second.text() == '437[{"order":"a"}]'
        assert third.text() == '438[{"order":"b"}]'
        assert log.entries == ["a", "b"]
        for peer in (first, second, third):
            peer.leave()


def test_the_stock_client_with_retries(runtime: Runtime) -> None:
    """socket.io-client sends again what is not acknowledged in time; it is handled once."""
    need_node()
    server, log = Server(cors_allowed_origins="*"), Log()
    gate = Gate(server)

    @server.on("order")
    @idempotent(key="order_id")
    def order(sid: str, order_id: str) -> list[Any]:
        log.add(order_id)
        gate.wait()
        return [order_id, len(log.entries)]

    with plain(runtime, server) as live:
        found: list[Any] = []
        script = threading.Thread(
            target=lambda: found.append(run_script("retries.mjs", live.url, "order", "a"))
        )
        script.start()
        gate.arrived()
        live.until(lambda: _waiting(server) > 1)
        gate.open()
        script.join(WAIT_S)
    assert found[0]["answer"] == ["a", 1]
    assert found[0]["sent"] > 1
    assert log.entries == ["a"]


def _waiting(server: Server) -> int:
    """Count the events that wait behind another of their client."""
    return sum(each.handler._mailbox.waiting for each in server.engine.connections.values())


# -- what is kept ------------------------------------------------------------------------


def test_a_refusal_is_kept_and_an_exception_is_not() -> None:
    """What was refused stays refused, in the same words; what failed may work next time."""
    server = server_of(error_acks=True)
    seen: list[str] = []

    class Closed(EventRefusedError):
        def __init__(self, shop: str) -> None:
            super().__init__(f"{shop} is closed", {"until": 9})

    @server.on("order")
    @idempotent(key="order_id")
    def order(sid: str, order_id: str) -> str:
        seen.append(order_id)
        if order_id == "refused":
            raise Closed("the shop")
        if len(seen) < 3:
            raise OSError("the database is away")
        return "done"

    refusal = {"error": "the shop is closed", "data": {"until": 9}}
    with TestClient(server) as client:
        assert client.emit("order", "refused", callback=True) == refusal
        assert client.emit("order", "refused", callback=True) == refusal
        assert seen == ["refused"]
        with pytest.raises(OSError, match="away"):
            client.emit("order", "a", callback=True)
        assert client.emit("order", "a", callback=True) == "done"
        assert client.emit("order", "a", callback=True) == "done"
    assert seen == ["refused", "a", "a"]


def test_what_an_emit_gives_is_no_answer_and_an_ack_cannot_be_kept() -> None:
    """``return server.emit(...)`` is the empty answer both times; a late one is refused."""
    server = server_of()

    @server.on("tell")
    @idempotent(key="own")
    def tell(sid: str, own: int) -> Any:
        return server.emit("told", own)

    @server.on("later")
    @idempotent(key="own")
    def later(sid: str, own: int) -> Any:
        return Ack()

    with TestClient(server) as client:
        assert client.emit("tell", 1, callback=True) == []
        assert client.emit("tell", 1, callback=True) == []
        assert len(client.get_received()) == 1
        with pytest.raises(TypeError, match="an Ack is answered later"):
            client.emit("later", 1)


@pytest.mark.parametrize("own", [{"a": 1}, ["a"], "a" * 257, 1 << 4000])
def test_what_cannot_be_an_id(own: Any) -> None:
    """The client is told, and nothing runs: what is kept has a bound in bytes, too."""
    server = server_of()
    server.on("order", idempotent(key="own")(lambda sid, own: pytest.fail("it ran")))
    with TestClient(server) as client:
        answer = client.emit("order", own, callback=True)
    assert answer["error"] == "Invalid payload"
    assert answer["errors"][0]["message"].startswith("no id: it must be")


@pytest.mark.parametrize("own", ["a", 7, 0.5, b"\x00", uuid.UUID(int=1), ("a", 7, None)])
def test_what_can_be_an_id(own: Any) -> None:
    """A text, a number, bytes, a UUID, and several of these."""
    server = server_of()
    seen: list[Any] = []

    @server.on("order")
    @idempotent(key=lambda sid: own)
    def order(sid: str) -> None:
        seen.append(sid)

    with TestClient(server) as client:
        client.emit("order")
        client.emit("order")
    assert len(seen) == 1


# -- for whom ----------------------------------------------------------------------------


def test_ids_are_a_users_own() -> None:
    """The same id of two users is two events; of two clients of one user it is one."""
    server = server_of()
    seen: list[Any] = []

    @server.on("connect")
    def connect(sid: str, environ: Any, auth: dict[str, str | None]) -> None:
        server.users.claim(server.socket(sid), auth["user"])

    @server.on("order")
    @idempotent(key="own")
    def order(sid: str, own: str) -> int:
        seen.append(own)
        return len(seen)

    users = ("ann", "bob", "ann", None, None)
    clients = [TestClient(server, auth={"user": user}) for user in users]
    assert [each.emit("order", "a", callback=True) for each in clients] == [1, 2, 1, 3, 3]
    for each in clients:
        each.close()


def test_ids_are_a_namespaces_and_a_servers_own() -> None:
    """One function may handle several namespaces, of several servers."""
    seen: list[Any] = []

    @idempotent(key="own")
    def order(sid: str, own: str) -> int:
        seen.append(own)
        return len(seen)

    for first in (1, 3):
        server = server_of(namespaces=["/x"])
        server.on("order", order)
        server.on("order", order, "/x")
        with TestClient(server) as client:
            client.connect("/x")
            for _ in range(2):
                assert client.emit("order", "a", callback=True) == first
                assert client.emit("order", "a", namespace="/x", callback=True) == first + 1


def test_patterns_and_any_event() -> None:
    """The key function gets what the handler gets."""
    server = server_of()
    seen: list[Any] = []

    @server.on("*", namespace=re.compile("/job/(?P<job>.+)"))
    @idempotent(key=lambda event, namespace, sid, own, job: (event, own))
    def anything(event: str, namespace: str, sid: str, own: str, job: str) -> str:
        seen.append((event, job, own))
        return job

    with TestClient(server, "/job/a") as client:
        for event in ("x", "y", "x"):
            assert client.emit(event, "1", namespace="/job/a", callback=True) == "a"
    assert seen == [("x", "a", "1"), ("y", "a", "1")]


@pytest.mark.parametrize("own_trigger", [False, True])
def test_methods(own_trigger: bool) -> None:
    """A method of a class, found by its name or by the class's own trigger_event."""
    seen: list[Any] = []

    class Shop(Namespace):
        @idempotent(key="own")
        def on_order(self, sid: str, own: str) -> str:
            seen.append(own)
            return f"{own} in {self.namespace}"

    class Watched(Shop):
        def trigger_event(self, event: str, *args: Any, **values: Any) -> Any:
            return super().trigger_event(event, *args, **values)

    server = server_of()
    server.register_namespace((Watched if own_trigger else Shop)("/shop"))
    with TestClient(server, "/shop") as client:
        for _ in range(2):
            assert client.emit("order", "a", namespace="/shop", callback=True) == "a in /shop"
    assert seen == ["a"]


# -- as a function -----------------------------------------------------------------------


def test_outside_of_an_event_it_is_the_plain_function() -> None:
    """A program may call its handler, and a test too."""
    seen: list[Any] = []

    @idempotent(key="own")
    def order(own: str) -> None:
        """Order."""
        seen.append(own)

    order("a")
    order("a")
    assert (seen, order.__name__, order.__doc__) == (["a", "a"], "order", "Order.")


def test_wrong_use_fails_where_it_is_decorated() -> None:
    """An unknown parameter, an async handler, no function, no time and no place."""

    def order(sid: str, *rest: Any) -> None: ...

    async def later(sid: str, own: str) -> None: ...

    bare: Any = idempotent
    with pytest.raises(TypeError, match=r"key='own'.*order has no such parameter"):
        idempotent(key="own")(order)
    with pytest.raises(TypeError, match="no such parameter"):
        idempotent(key="rest")(order)
    with pytest.raises(TypeError, match="nothing awaits"):
        idempotent(key="own")(later)
    with pytest.raises(TypeError, match="idempotent"):
        bare(order)
    with pytest.raises(TypeError, match="needs a function"):
        bare(key=5)(order)
    with pytest.raises(ConfigError, match="keep_s="):
        idempotent(key="own", keep_s=0)
    with pytest.raises(ConfigError, match="max_keys="):
        idempotent(key="own", max_keys=0)


# -- bounds ------------------------------------------------------------------------------


def test_answers_are_kept_for_a_time_and_of_the_latest_keys() -> None:
    """What is too old or too much goes when the next answer comes."""
    now = [0.0]
    answers = Answers(10.0, 2, lambda: now[0])

    def give(key: str) -> int:
        made: int = answers.give((key,), lambda: next(numbers), threading.Event)
        return made

    numbers = iter(range(100))
    assert [give("a"), give("b"), give("a")] == [0, 1, 0]
    assert [give("c"), len(answers), give("b")] == [2, 2, 1]
    assert give("a") == 3  # it had gone for "c"
    now[0] = 9.0
    assert give("c") == 2
    now[0] = 10.0
    assert give("c") == 4  # from its time on an answer is none, kept or not
    assert len(answers) == 1


def test_threads_that_come_at_once_run_it_once() -> None:
    """Whoever is first runs it, for each key; the others get its answer."""
    answers = Answers(60.0, 1000)
    runs: list[int] = []
    start = threading.Barrier(8)
    got: list[list[int]] = [[] for _ in range(8)]

    def run(number: int) -> Callable[[], int]:
        return lambda: runs.append(number) or number

    def work(own: list[int]) -> None:
        start.wait(WAIT_S)
        own.extend(answers.give((number,), run(number), threading.Event) for number in range(500))

    threads = [threading.Thread(target=work, args=(own,)) for own in got]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    assert sorted(runs) == list(range(500))
    assert got == [list(range(500))] * 8
    assert len(answers) == 500


def test_who_waited_runs_it_if_the_first_has_failed() -> None:
    """An exception is for the one whose run it was."""
    answers = Answers(60.0, 10)
    seen: list[str] = []
    entered, go = threading.Event(), threading.Event()

    def first() -> None:
        entered.set()
        go.wait(WAIT_S)
        raise OSError("away")

    def fail() -> None:
        with pytest.raises(OSError, match="away"):
            answers.give(("a",), first, threading.Event)
        seen.append("failed")

    def waiter() -> threading.Event:
        go.set()
        return threading.Event()

    thread = threading.Thread(target=fail)
    thread.start()
    assert entered.wait(WAIT_S)
    assert answers.give(("a",), lambda: "second", waiter) == "second"
    thread.join(WAIT_S)
    assert seen == ["failed"]
    assert answers.give(("a",), lambda: "third", threading.Event) == "second"
