"""Classes of namespaces with an object for each client."""

from __future__ import annotations

import gc
import re
import weakref
from dataclasses import dataclass
from inspect import signature
from typing import Any

import pytest

from flask_sio import ConnectionRefusedError, Namespace, Server, idempotent
from flask_sio.testing import TestClient
from tests.live import Runtime, plain
from tests.server.clients import Gate, Log, Peer


def server_of(**options: Any) -> Server:
    return Server(async_mode="threading", **options)


class Basket(Namespace):
    """What a shop's client has taken so far."""

    per_client = True

    def __init__(self, namespace: str | None = None, *, log: Log) -> None:
        super().__init__(namespace)
        self.log = log
        self.items: list[str] = []
        self.sid = ""

    def on_connect(self, sid: str, environ: Any) -> None:
        self.sid = sid
        self.log.add(("connect", len(self.items)))

    def on_take(self, sid: str, item: str) -> list[str]:
        assert sid == self.sid
        self.items.append(item)
        return self.items

    def on_disconnect(self, sid: str) -> None:
        assert sid == self.sid
        self.log.add(("disconnect", self.items))


def test_each_client_has_its_own_state(runtime: Runtime) -> None:
    """From its connect handler to its disconnect handler, and none after it."""
    server, log = Server(), Log()
    registered = Basket("/shop", log=log)
    server.register_namespace(registered)
    with plain(runtime, server) as live:
        one, other = Peer(live, "40/shop,"), Peer(live, "40/shop,")
        one.send('42/shop,0["take","tea"]', '42/shop,1["take","milk"]')
        other.send('42/shop,0["take","rum"]')
        assert [one.text(), one.text()] == [
            '43/shop,0[["tea"]]',
            '43/shop,1[["tea","milk"]]',
        ]
        assert other.text() == '43/shop,0[["rum"]]'
        objects = server._spaces["/shop"].objects
        assert objects is not None
        one.leave()
        assert log.wait(3)[2] == ("disconnect", ["tea", "milk"])
        live.until(lambda: len(objects) == 1)
        again = Peer(live, "40/shop,")
        again.send('42/shop,0["take","ale"]')
        assert again.text() == '43/shop,0[["ale"]]'
        other.leave()
        again.leave()
        live.until(lambda: not objects)
    assert log.entries[:2] == [("connect", 0)] * 2
    assert (registered.items, registered.sid) == ([], "")


def test_an_object_is_garbage_once_its_client_has_left() -> None:
    """Whether the client leaves, or is refused by its own connect handler."""
    objects: list[weakref.ref[Namespace]] = []

    class Door(Namespace):
        per_client = True

        def on_connect(self, sid: str, environ: Any, auth: Any) -> None:
            objects.append(weakref.ref(self))
            if auth:
                raise ConnectionRefusedError("no")

    server = server_of()
    server.register_namespace(Door("/"))
    with TestClient(server) as client:
        assert client.is_connected()
    assert TestClient(server, auth={"no": 1}).refused == {"message": "no"}
    gc.collect()
    assert [each() for each in objects] == [None, None]
    server.shutdown()


def test_a_class_that_is_not_asked_to_serves_all_by_one_object() -> None:
    """And keeps nothing for its clients."""
    seen: list[Namespace] = []

    class Chat(Namespace):
        def on_go(self, sid: str) -> None:
            seen.append(self)

    server = server_of()
    registered = Chat("/")
    server.register_namespace(registered)
    with TestClient(server) as client:
        client.emit("go")
        assert server._spaces["/"].objects is None
    assert seen == [registered]


def test_it_is_made_when_its_client_connects() -> None:
    """Also where the class has no connect handler; a failure refuses the client."""
    made: list[str] = []

    class Quiet(Namespace):
        per_client = True

        def __init__(self, namespace: str, fails: bool) -> None:
            super().__init__(namespace)
            made.append(namespace)
            if fails and made.count(namespace) > 1:
                raise OSError("away")

    server = server_of()
    server.register_namespace(Quiet("/good", False))
    with TestClient(server, "/good") as client:
        assert (made, client.is_connected("/good")) == (["/good"] * 2, True)
    server.register_namespace(Quiet("/bad", True))
    with pytest.raises(OSError, match="away"):
        TestClient(server, "/bad")


def test_what_a_class_takes_is_still_seen() -> None:
    """By who reads its signature; and a class may have a ``__new__`` of its own."""

    class Own(Basket):
        def __new__(cls, *args: Any, **values: Any) -> Any:
            made = super().__new__(cls, *args, **values)
            made.extra = len(args)
            return made

        extra = 0

        def on_extra(self, sid: str) -> tuple[int, bool]:
            return self.extra, self is registered

    assert str(signature(Namespace)).startswith("(namespace: ")
    assert list(signature(Basket).parameters) == ["namespace", "log"]
    server, log = server_of(), Log()
    registered = Own("/x", log=log)
    server.register_namespace(registered)
    with TestClient(server, "/x") as client:
        assert client.emit("extra", namespace="/x", callback=True) == [1, False]


@dataclass
class Point:
    x: int


@pytest.mark.parametrize("own_trigger", [False, True])
def test_signatures_are_read_as_ever(own_trigger: bool) -> None:
    """Models, values of the namespace's name, fewer arguments, and details of the reason."""
    log = Log()

    class Job(Namespace):
        per_client = True

        def on_connect(self, namespace: str, sid: str, environ: Any, number: int) -> None:
            self.number = number
            self.points: list[Point] = []

        @idempotent(key=lambda self, namespace, sid, point: point.x)
        def on_move(self, namespace: str, sid: str, point: Point) -> int:
            self.points.append(point)
            return len(self.points)

        def on_disconnect(self, namespace: str, sid: str, details: Any) -> None:
            log.add((namespace, self.namespace, self.number, self.points, details.reason))

    class Watched(Job):
        def trigger_event(self, event: str, *args: Any, **values: Any) -> Any:
            log.add((event, self is not registered))
            return super().trigger_event(event, *args, **values)

    server = server_of()
    registered = (Watched if own_trigger else Job)("/job/<int:number>")
    server.register_namespace(registered)
    clients = [TestClient(server, f"/job/{number}") for number in (7, 8)]
    for client, where in zip(clients, ("/job/7", "/job/8"), strict=True):
        for x, count in ((1, 1), (1, 1), (2, 2)):
            assert client.emit("move", {"x": x}, namespace=where, callback=True) == count
        answer = client.emit("move", {"x": "?"}, namespace=where, callback=True)
        assert answer["error"] == "Invalid payload"
        client.disconnect(where)
        client.close()
    seen = [each for each in log.entries if len(each) == 5]
    reason = "client namespace disconnect"
    assert seen == [
        (f"/job/{number}", f"/job/{number}", number, [Point(1), Point(2)], reason)
        for number in (7, 8)
    ]
    assert all(each[1] for each in log.entries if len(each) == 2)
    assert own_trigger is (len(log.entries) > 2)


def test_patterns_and_any_namespace() -> None:
    """A client has one object in each namespace, which knows that one's name."""

    class Anywhere(Namespace):
        per_client = True

        def on_go(self, namespace: str, sid: str) -> tuple[str, int]:
            self.count = getattr(self, "count", 0) + 1
            self.emit("gone", self.count)
            return str(self.namespace), self.count

    for spec in ("*", re.compile("/(a|b)")):
        server = server_of(namespaces="*")
        server.register_namespace(Anywhere(spec))
        with TestClient(server, "/a") as client:
            client.connect("/b")
            assert client.emit("go", namespace="/a", callback=True) == ["/a", 1]
            assert client.emit("go", namespace="/a", callback=True) == ["/a", 2]
            assert client.emit("go", namespace="/b", callback=True) == ["/b", 1]
            assert [each["args"] for each in client.get_received("/a")] == [[1], [2]]


def test_an_async_method_is_refused_as_ever() -> None:
    """Nothing here awaits it."""

    class Later(Namespace):
        per_client = True

        async def on_go(self, sid: str) -> None: ...

    server = server_of()
    with pytest.raises(TypeError, match="nothing awaits"):
        server.register_namespace(Later("/"))


def test_another_class_for_the_same_namespace() -> None:
    """What is registered later has objects of its own, also for who is there already."""

    class Old(Namespace):
        per_client = True

        def on_go(self, sid: str) -> str:
            return type(self).__name__

    class New(Old):
        pass

    server = server_of()
    server.register_namespace(Old("/"))
    with TestClient(server) as client:
        assert client.emit("go", callback=True) == "Old"
        server.register_namespace(New("/"))
        assert client.emit("go", callback=True) == "New"


def test_a_handler_that_its_client_does_not_wait_for(runtime: Runtime) -> None:
    """It goes on with its object when the disconnect handler has run, and leaves nothing."""
    server, log = Server(disconnect_wait=0.01), Log()
    gate = Gate(server)

    class Slow(Namespace):
        per_client = True

        def on_connect(self, sid: str, environ: Any) -> None:
            self.said: list[str] = []

        def on_wait(self, sid: str) -> None:
            gate.wait()
            self.said.append("waited")
            log.add(list(self.said))

        def on_disconnect(self, sid: str) -> None:
            self.said.append("left")
            log.add(list(self.said))

    server.register_namespace(Slow("/"))
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('42["wait"]')
        gate.arrived()
        objects = server._spaces["/"].objects
        peer.leave()
        log.wait(1)
        live.until(lambda: objects == {})
        gate.open()
        assert log.wait(2) == [["left"], ["left", "waited"]]
