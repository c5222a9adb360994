"""Namespaces that patterns recognise: regular expressions, functions, paths with converters."""

from __future__ import annotations

import re
from typing import Any

import pytest

from flask_sio import ConnectionRefusedError, Namespace, Server
from flask_sio.server.patterns import names_of
from flask_sio.testing import TestClient
from tests.live import Runtime, plain
from tests.server.clients import Gate, Log, Peer, everyone

ROOM = re.compile(r"/room-(\d+)")


def server_of(**options: Any) -> Server:
    return Server(async_mode="threading", **options)


def refused(client: TestClient, namespace: str, auth: Any = None) -> Any:
    """Ask for a namespace; return what refused it, None if nothing did."""
    client.connect(namespace, auth=auth)
    return client.refused


# -- what is recognised ------------------------------------------------------------------


def test_a_regular_expression(runtime: Runtime) -> None:
    """The whole name has to fit; the handler gets the namespace's name first."""
    server, log = Server(), Log()

    @server.on("connect", namespace=ROOM)
    def connect(namespace: str, sid: str, environ: Any, auth: Any) -> None:
        log.add((namespace, auth))

    @server.on("say", namespace=ROOM)
    def say(namespace: str, sid: str, text: str) -> str:
        server.emit("said", text, namespace=namespace)
        return namespace

    @server.on("disconnect", namespace=ROOM)
    def disconnect(namespace: str, sid: str, reason: str) -> None:
        log.add((namespace, reason))

    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.join('40/room-1,{"a":1}')
        peer.send("40/room-x,", "40/room-1/more,", "40/a/room-1,")
        for name in ("/room-x", "/room-1/more", "/a/room-1"):
            assert peer.text() == f'44{name},{{"message":"Invalid namespace"}}'
        peer.send('42/room-1,0["say","hi"]')
        assert peer.text() == '42/room-1,["said","hi"]'
        assert peer.text() == '43/room-1,0["/room-1"]'
        peer.send("41/room-1,")
        assert log.wait(2) == [("/room-1", {"a": 1}), ("/room-1", "client disconnect")]
        peer.leave()


def test_named_groups_are_given_by_name() -> None:
    """To a handler that has such parameters, wherever they stand."""
    server, log = server_of(), Log()
    spec = re.compile(r"/(?P<kind>cat|dog)/(?P<name>\w+)")
    server.on("a", lambda namespace, sid, kind, text, name: log.add((kind, name, text)), spec)
    server.on("b", lambda namespace, sid, *args, **values: log.add((args, values)), spec)
    server.on("c", lambda namespace, sid, text, *, name: log.add((text, name)), spec)
    server.on("d", lambda namespace, sid, text: log.add(text), spec)
    with TestClient(server, "/cat/Tom") as client:
        for event in "abcd":
            client.emit(event, "x", namespace="/cat/Tom")
    assert log.entries == [
        ("cat", "Tom", "x"),
        (("x",), {"kind": "cat", "name": "Tom"}),
        ("x", "Tom"),
        "x",
    ]


def test_a_function_judges_each_client() -> None:
    """With its auth data, also where the namespace is there already."""
    server, log = server_of(), Log()

    def may_enter(name: str, auth: Any) -> bool:
        log.add((name, auth))
        return name.startswith("/team/") and bool(auth)

    server.on("go", lambda namespace, sid: namespace, may_enter)
    with TestClient(server) as one, TestClient(server) as other:
        assert refused(one, "/team/a", {"key": 1}) is None
        assert refused(other, "/team/a") == {"message": "Invalid namespace"}
        assert refused(other, "/x", {"key": 1}) == {"message": "Invalid namespace"}
        assert one.emit("go", namespace="/team/a", callback=True) == "/team/a"
    assert log.entries == [
        ("/team/a", {"key": 1}),
        ("/team/a", None),
        ("/x", {"key": 1}),
    ]


def test_a_function_may_refuse_with_a_reason_and_may_fail(
    caplog: pytest.LogCaptureFixture, runtime: Runtime
) -> None:
    """ConnectionRefusedError is told; another exception is logged and says nothing."""
    server = Server()

    def judge(name: str, auth: Any) -> bool:
        if name == "/full":
            raise ConnectionRefusedError("full", {"retry": True})
        raise LookupError("secret")

    server.on("go", lambda namespace, sid: None, judge)
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send("40/full,", "40/other,")
        assert peer.text() == '44/full,{"message":"full","data":{"retry":true}}'
        assert peer.text() == '44/other,{"message":"Internal error"}'
        assert live.until(lambda: list(server.spaces) == ["/"])
        peer.leave()
    assert "LookupError: secret" in caplog.text


JOBS = [
    ("/job/<int:number>", "/job/7", {"number": 7}),
    ("/job/<number>", "/job/a b", {"number": "a b"}),
    ("/file/<path:name>", "/file/a/b.txt", {"name": "a/b.txt"}),
    ("/<any(cat, dog):kind>/<float:size>", "/dog/1.5", {"kind": "dog", "size": 1.5}),
]


@pytest.mark.parametrize(("spec", "name", "values"), JOBS)
def test_a_path_with_converters(spec: str, name: str, values: dict[str, Any]) -> None:
    """What it finds is converted, and given by name to every handler that asks."""
    server, log = server_of(), Log()

    def note(*args: Any, **found: Any) -> None:
        log.add((args[0], found))

    server.on("connect", note, spec)
    server.on("go", note, spec)
    server.on("disconnect", note, spec)
    with TestClient(server, name) as client:
        client.emit("go", namespace=name)
    assert log.entries == [(name, values)] * 3


@pytest.mark.parametrize(
    "name",
    ["/job/", "/job/x", "/job/-1", "/job/1/", "//job/1", "/job/1/2", "/Job/1", "/job/1?", "/"],
)
def test_what_a_path_does_not_fit(name: str) -> None:
    """Such a namespace is refused, and nothing of it is kept."""
    server = server_of(namespaces=[])
    server.on("connect", lambda namespace, sid, environ, number: None, "/job/<int:number>")
    client = TestClient(server, name)
    assert client.refused == {"message": "Invalid namespace"}
    assert server.spaces == {}


def test_names_longer_than_256_fit_nothing() -> None:
    """So that no client can keep a regular expression busy."""
    server = server_of()
    server.on("go", lambda namespace, sid: None, re.compile(r"/a+"))
    with TestClient(server) as client:
        assert refused(client, "/" + "a" * 255) is None
        assert refused(client, "/" + "a" * 256) == {"message": "Invalid namespace"}


# -- which handler -----------------------------------------------------------------------


def test_exact_names_win_then_patterns_in_their_order() -> None:
    """The first that fits has all the handlers; those of "*" come after it."""
    server, log = server_of(), Log()

    def note(name: str) -> Any:
        return lambda *args: log.add(name)

    server.on("*", note("any of any"), namespace="*")
    server.on("go", note("one"), re.compile("/[ab]"))
    server.on("go", note("two"), "/<name>")
    server.on("go", note("exact"), "/exact")
    server.on("other", note("other of two"), "/<name>")
    server.on("*", note("any of two"), "/<name>")
    names = ["/a", "/exact", "/x"]
    with TestClient(server) as client:
        for name in names:
            client.connect(name)
            client.emit("go", namespace=name)
            client.emit("other", namespace=name)
            client.emit("more", namespace=name)
    assert log.entries == [
        *("one", "any of any", "any of any"),
        *("exact", "any of any", "any of any"),
        *("two", "other of two", "any of two"),
    ]


def test_an_exact_handler_registered_later_wins_at_once() -> None:
    """Also where clients are in the namespace, which then stays."""
    server = server_of()
    server.on("go", lambda namespace, sid: "pattern", "/<name>")
    with TestClient(server, "/x") as client:
        assert client.emit("go", namespace="/x", callback=True) == "pattern"
        server.on("go", lambda sid: "exact", "/x")
        assert client.emit("go", namespace="/x", callback=True) == "exact"
        client.connect("/y")
        assert client.emit("go", namespace="/y", callback=True) == "pattern"


def test_namespaces_that_no_pattern_fits_are_those_of_the_option() -> None:
    """With namespaces="*" they are accepted; with a list, those of the list by name."""
    server = server_of(namespaces="*")
    server.on("go", lambda namespace, sid: "pattern", re.compile("/p"))
    server.on("go", lambda namespace, sid: "any", "*")
    with TestClient(server, "/p") as client:
        client.connect("/x")
        assert client.emit("go", namespace="/p", callback=True) == "pattern"
        assert client.emit("go", namespace="/x", callback=True) == "any"
    assert server.spaces == {}
    server = server_of(namespaces=["/p"])
    server.on("go", lambda namespace, sid: "pattern", re.compile("/p"))
    server.on("go", lambda namespace, sid: "any", "*")
    with TestClient(server, "/p") as client:
        assert client.emit("go", namespace="/p", callback=True) == "any"


def test_class_namespaces() -> None:
    """An object may handle a pattern's namespaces; its methods get what functions get."""
    server, log = server_of(), Log()

    class Job(Namespace):
        def on_connect(self, namespace: str, sid: str, environ: Any, number: int) -> None:
            self.enter_room(sid, "room", namespace=namespace)
            log.add(("connect", number))

        def on_go(self, namespace: str, sid: str, text: str, number: int) -> None:
            self.emit("gone", (text, number), to="room", namespace=namespace)
            with pytest.raises(TypeError, match="handles more than one namespace"):
                self.emit("gone")

        def on_disconnect(self, namespace: str, sid: str, reason: str, details: Any) -> None:
            log.add(("disconnect", namespace, details.reason))

    class Room(Namespace):
        def trigger_event(self, event: str, *args: Any, **values: Any) -> Any:
            log.add((event, args[0]))
            return super().trigger_event(event, *args, **values)

        def on_go(self, namespace: str, sid: str, number: str) -> str:
            return number

    server.register_namespace(Job("/job/<int:number>"))
    server.register_namespace(Room(re.compile(r"/room-(?P<number>\d+)")))
    with TestClient(server, "/job/7") as client:
        client.emit("go", "x", namespace="/job/7")
        assert client.get_received("/job/7")[0]["args"] == ["x", 7]
        client.connect("/room-1")
        assert client.emit("go", namespace="/room-1", callback=True) == "1"
    assert log.entries[:1] == [("connect", 7)]
    assert ("disconnect", "/job/7", "client namespace disconnect") in log.entries
    assert ("go", "/room-1") in log.entries


# -- while a pattern is asked ------------------------------------------------------------


def test_events_sent_before_the_answer_are_handled_after_it(runtime: Runtime) -> None:
    """In order, by the pattern's handlers; a once handler once."""
    server, log = Server(), Log()
    gate = Gate(server)

    def judge(name: str, auth: Any) -> bool:
        gate.wait()
        return name == "/ok"

    server.on("connect", lambda namespace, sid, environ: log.add("connect"), judge)
    server.on("go", lambda namespace, sid, number: log.add(number) or number, judge)
    server.once("once", lambda namespace, sid: log.add("once"), judge)
    server.on("*", lambda event, namespace, sid, *args: log.add(event), judge)
    server.on_any(lambda event, namespace, sid, *args: log.add(f"any {event}"), judge)
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send("40/ok,", '42/ok,0["go",1]', '42/ok,["other"]', '42/ok,["once"]')
        gate.arrived()
        assert peer.sync() == []
        gate.open()
        assert peer.text().startswith('40/ok,{"sid":"')
        assert peer.text() == "43/ok,0[1]"
        assert log.wait(7) == [
            "connect",
            *("any go", 1),
            *("any other", "other"),
            *("any once", "once"),  # its own handler
        ]
        peer.send('42/ok,["once"]')
        assert log.wait(9)[7:] == ["any once", "once"]  # by "*", which had the others
        peer.send("40/no,", '42/no,["go",2]')
        assert peer.text() == '44/no,{"message":"Invalid namespace"}'
        peer.leave()
    assert 2 not in log.entries


def test_a_client_that_leaves_meanwhile(runtime: Runtime) -> None:
    """Its connect handler does not run, and the namespace is gone."""
    server, log = Server(), Log()
    gate = Gate(server)

    def judge(name: str, auth: Any) -> bool:
        gate.wait()
        return True

    server.on("connect", lambda namespace, sid, environ: log.add("connect"), judge)
    server.on("disconnect", lambda namespace, sid: log.add("disconnect"), judge)
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send("40/a,")
        gate.arrived()
        peer.send("41/a,")
        peer.sync()
        gate.open()
        live.until(lambda: not server.spaces.get("/a"))
        peer.leave()
    assert log.entries == []


def test_always_connect_waits_for_the_pattern(runtime: Runtime) -> None:
    """A client is told that it is connected when its namespace is known, not before."""
    server = Server(always_connect=True)
    gate = Gate(server)
    server.on("connect", lambda namespace, sid, environ: gate.wait(), re.compile("/a"))
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send("40/b,", "40/a,")
        assert peer.text() == '44/b,{"message":"Invalid namespace"}'
        assert peer.text().startswith('40/a,{"sid":"')
        gate.open()
        peer.leave()


# -- life of a namespace -----------------------------------------------------------------


def test_a_namespace_ends_with_its_last_client() -> None:
    """It is new again for the next; names that clients invent are not kept."""
    server, log = server_of(), Log()
    server.on_namespace_created(log.add)

    @server.on_namespace_created
    def fail(name: str) -> None:
        if name == "/job/2":
            raise LookupError("of no use")

    server.on("connect", lambda namespace, sid, environ: log.add("connect"), "/job/<int:number>")
    with TestClient(server) as one, TestClient(server) as other:
        one.connect("/job/1")
        other.connect("/job/1")
        assert log.entries == ["/job/1", "connect", "connect"]
        one.disconnect("/job/1")
        assert set(server.spaces) == {"/", "/job/1"}
        other.disconnect("/job/1")
        assert set(server.spaces) == {"/"}
        assert server.handlers.patterns.children == {}
        assert set(server.handlers._events) == set()
        one.connect("/job/1")
        assert log.entries[3:] == ["/job/1", "connect"]
        with pytest.raises(LookupError, match="of no use"):
            one.connect("/job/2")
        assert one.is_connected("/job/2")


def test_rooms_and_emits_are_of_one_namespace_each() -> None:
    """Two namespaces of one pattern share handlers and nothing else."""
    server = server_of()
    server.on(
        "connect",
        lambda namespace, sid, environ: server.enter_room(sid, "room", namespace),
        "/<name>",
    )
    with TestClient(server, "/a") as client:
        client.connect("/b")
        server.emit("x", to="room", namespace="/a")
        server.emit("y", namespace="/b")
        assert [each["name"] for each in client.get_received("/a")] == ["x"]
        assert [each["name"] for each in client.get_received("/b")] == ["y"]
        assert server.rooms(client.sid("/a"), "/a") == [client.sid("/a"), "room"]


def test_the_cleanup_option_of_node() -> None:
    """True is what happens anyway; False asks for what is not done, and is told so."""
    Server(cleanup_empty_child_namespaces=True)
    with pytest.warns(UserWarning, match="always end with their last client"):
        Server(cleanup_empty_child_namespaces=False)


# -- middleware and listeners ------------------------------------------------------------


def test_middleware_and_listeners_of_a_pattern() -> None:
    """They concern its namespaces, beside those of all; also outgoing ones."""
    server, log = server_of(namespaces=["/"]), Log()
    spec = "/job/<int:number>"
    server.use(lambda socket: log.add(("use", socket.namespace)), spec)
    server.use(lambda socket: log.add(("all", socket.namespace)), "*")
    server.use_event(lambda socket, event, args: [*args, "more"], spec)
    server.on_any_outgoing(lambda event, namespace, sid, *args: log.add((event, namespace)), spec)
    server.on("go", lambda namespace, sid, *args: server.emit("x", args, namespace=namespace), spec)
    with TestClient(server) as client:
        client.connect("/job/1")
        client.emit("go", 1, namespace="/job/1")
        server.emit("elsewhere")
        assert client.get_received("/job/1")[0]["args"] == [1, "more"]
    assert log.entries == [("all", "/"), ("all", "/job/1"), ("use", "/job/1"), ("x", "/job/1")]


def test_middleware_alone_makes_no_namespace() -> None:
    """A pattern opens namespaces by its handlers, as names do."""
    server = server_of()
    server.use(lambda socket: None, "/job/<int:number>")
    with TestClient(server) as client:
        assert refused(client, "/job/1") == {"message": "Invalid namespace"}


# -- registering -------------------------------------------------------------------------


@pytest.mark.parametrize("spec", ["/job/<nope:number>", "/job/<int:number"])
def test_a_path_with_a_mistake(spec: str) -> None:
    """Fails where it is registered, with the path and what is wrong."""
    with pytest.raises(ValueError, match=re.escape(f"the namespace {spec!r} is no path")):
        server_of().on("go", lambda namespace, sid: None, spec)


def test_what_is_no_pattern() -> None:
    """A number, an async function or one of other arguments is refused with the rule."""

    async def late(name: str, auth: Any) -> bool:
        return True

    for spec in (7, late, lambda name: True):
        with pytest.raises(TypeError, match=r"a function of \(name, auth\)"):
            server_of().on("go", lambda namespace, sid: None, spec)  # type: ignore[call-overload]


def test_off_of_a_pattern() -> None:
    """Handlers of a pattern are taken away by the same pattern."""
    server = server_of()
    server.on("go", lambda namespace, sid: 1, ROOM)
    server.on("go", lambda namespace, sid: 2, "/<name>")
    with TestClient(server, "/room-1") as client:
        assert client.emit("go", namespace="/room-1", callback=True) == 1
        server.off("go", namespace=re.compile(ROOM.pattern))
        assert client.emit("go", namespace="/room-1", callback=True) is None


def test_names_of_values() -> None:
    """They are read from the pattern."""
    assert names_of("/a/<int:b>/<any(x, y):c>/<d>") == ("b", "c", "d")
    assert names_of(re.compile("/(?P<a>.)(.)")) == ("a",)
    assert names_of(lambda name, auth: True) == ()


def test_nobody_is_left_after_many_namespaces(runtime: Runtime) -> None:
    """A client that tries many names leaves nothing behind."""
    server = Server()
    server.on("go", lambda namespace, sid: None, "/job/<int:number>")
    with plain(runtime, server) as live:
        peer = Peer(live)
        for number in range(100):
            peer.send(f"40/job/{number},", f"40/no/{number},", f"41/job/{number},")
            peer.sync()
            live.until(lambda: list(server.spaces) == ["/"])
        assert everyone(live) == [peer.sid]
        peer.leave()


# -- Server.of ---------------------------------------------------------------------------


def test_of_a_pattern_registers_and_reaches_all() -> None:
    """Its handlers are the pattern's, and what it emits goes to each of its namespaces."""
    server, log = server_of(), Log()
    rooms = server.of(ROOM)

    @rooms.on("go")
    def go(namespace: str, sid: str) -> str:
        return namespace

    @rooms.event
    def named(namespace: str, sid: str) -> None:
        log.add("named")

    rooms.use(lambda socket: log.add(socket.namespace))
    rooms.once("once", lambda namespace, sid: log.add("once"))
    listen = rooms.on_any(lambda event, namespace, sid: log.add(event))
    assert rooms.listeners("go") == [go]
    assert rooms.children == []
    with TestClient(server, "/room-1") as client:
        client.connect("/room-2")
        client.connect("/")
        assert client.emit("go", namespace="/room-1", callback=True) == "/room-1"
        client.emit("named", namespace="/room-2")
        rooms.off_any(listen)
        rooms.off("go")
        assert client.emit("go", namespace="/room-1", callback=True) is None
        client.emit("once", namespace="/room-1")
        client.emit("once", namespace="/room-2")
        assert sorted(rooms.children) == ["/room-1", "/room-2"]
        rooms.emit("news", 1)
        rooms.send("x")
        for name in ("/room-1", "/room-2"):
            assert [each["name"] for each in client.get_received(name)] == ["news", "message"]
        assert client.get_received() == []
    assert log.entries == ["/room-1", "/room-2", "go", "named", "named", "once"]
    assert rooms.children == []
    with pytest.raises(AttributeError, match=r"name the one that is meant"):
        rooms.to("room")


def test_of_a_name_registers_for_it() -> None:
    """The methods are the server's, for that namespace."""
    server, log = server_of(), Log()
    chat = server.of("/chat")

    @chat.use
    def guard(socket: Any) -> None:
        log.add("use")

    chat.on("go", lambda sid, text: log.add(text))
    chat.use_event(lambda socket, event, args: ["changed"])
    chat.on_any_outgoing(lambda event, sid: log.add(event))
    with TestClient(server, "/chat") as client:
        client.emit("go", "x", namespace="/chat")
        chat.emit("sent")
        chat.off("go")
        client.emit("go", "x", namespace="/chat")
    assert log.entries == ["use", "changed", "sent"]
    assert (chat.listeners("go"), server.listeners("go", "/chat")) == ([], [])
    assert server.of("/job/<int:number>").pattern == "/job/<int:number>"  # type: ignore[attr-defined]
