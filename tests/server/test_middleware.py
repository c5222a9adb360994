"""Middleware of connects and of events, on a plain server."""

from __future__ import annotations

import builtins
import logging
from typing import Any

import pytest

from flask_sio import ConnectionRefusedError, EventRefusedError, Server
from flask_sio.testing import TestClient
from tests.live import Runtime, plain
from tests.server.clients import Gate, Log, Peer


def server_of(**options: Any) -> Server:
    return Server(async_mode="threading", **options)


# -- connects ----------------------------------------------------------------------------


def test_connect_middleware_runs_in_order_before_the_handler(runtime: Runtime) -> None:
    """Those of all namespaces first, then the namespace's, then the handler."""
    server, log = Server(), Log()
    server.use(lambda socket: log.add(("own 1", socket.namespace, socket.auth)))

    @server.use(namespace="*")
    def everywhere(socket: Any) -> None:
        log.add(("all", socket.namespace, socket.environ["REQUEST_METHOD"]))

    server.use(lambda socket: log.add("other's"), namespace="/x")

    @server.use()
    def second(socket: Any) -> None:
        server.enter_room(socket.id, "room")
        log.add(("own 2", socket.id in server.rooms(socket.id)))

    server.on("connect", lambda sid, environ: log.add(("connect", server.rooms(sid)[1:])))
    with plain(runtime, server) as live:
        peer = Peer(live, join='40{"token":1}')
        assert log.entries == [
            ("all", "/", "GET"),
            ("own 1", "/", {"token": 1}),
            ("own 2", True),
            ("connect", ["room"]),
        ]
        peer.leave()


def test_connect_middleware_without_a_handler(runtime: Runtime) -> None:
    """It decides alone; the client is accepted only after it has run."""
    server = Server(namespaces=["/x"])
    gate = Gate(server)
    server.use(lambda socket: gate.wait(), namespace="/x")
    with plain(runtime, server) as live:
        peer = Peer(live, join=None)
        peer.send("40/x,")
        gate.arrived()
        assert peer.sync() == []
        gate.open()
        assert peer.text().startswith('40/x,{"sid":"')
        peer.leave()


REFUSALS: list[tuple[Any, str]] = [
    (ConnectionRefusedError("no", {"why": 1}), '44{"message":"no","data":{"why":1}}'),
    (builtins.ConnectionRefusedError(), '44{"message":"Connection refused by server"}'),
    (False, '44{"message":"Connection rejected by server"}'),
    (LookupError("secret"), '44{"message":"Internal error"}'),
]


@pytest.mark.parametrize(("given", "told"), REFUSALS)
def test_connect_middleware_refuses(runtime: Runtime, given: Any, told: str) -> None:
    """By what it raises or False; neither later ones nor the handler run."""
    server, log = Server(), Log()

    @server.use
    def refuse(socket: Any) -> Any:
        if isinstance(given, Exception):
            raise given
        return given

    server.use(lambda socket: log.add("later"))
    server.on("connect", lambda sid, environ: log.add("handler"))
    server.on("disconnect", lambda sid: log.add("left"))
    with plain(runtime, server) as live:
        peer = Peer(live, join=None)
        peer.send("40")
        assert peer.text() == told
        peer.leave()
    assert log.entries == []


def test_connect_middleware_of_any_namespace_handlers() -> None:
    """A handler for namespace "*" gets its arguments as ever."""
    server, log = server_of(namespaces="*"), Log()
    server.use(lambda socket: None, namespace="*")
    server.on("connect", lambda namespace, sid, environ: log.add(namespace), namespace="*")
    server.on("connect", lambda sid, environ, auth: log.add(auth), namespace="/own")
    with TestClient(server, "/any") as client:
        client.connect("/own", auth={"a": 1})
    assert log.entries == ["/any", {"a": 1}]


def test_always_connect_tells_of_a_refusal_by_a_disconnect(runtime: Runtime) -> None:
    """As with a connect handler that refuses."""
    server = Server(always_connect=True)
    server.use(lambda socket: False)
    with plain(runtime, server) as live:
        peer = Peer(live, join=None)
        peer.send("40")
        assert peer.text().startswith('40{"sid":"')
        assert peer.text() == "41"
        peer.leave()


# -- events ------------------------------------------------------------------------------


def test_event_middleware_sees_each_event_and_its_socket() -> None:
    """In order, those of all namespaces first; an event nobody handles, too."""
    server, log = server_of(), Log()
    server.use_event(lambda socket, event, args: log.add(("own", event, args)))

    @server.use_event(namespace="*")
    def everywhere(socket: Any, event: str, args: Any) -> None:
        log.add(("all", socket.namespace, event))

    server.on("known", lambda sid, *args: log.add("handled"))
    with TestClient(server) as client:
        client.emit("known", 1, [2])
        client.emit("unknown")
    assert log.entries == [
        ("all", "/", "known"),
        ("own", "known", (1, [2])),
        "handled",
        ("all", "/", "unknown"),
        ("own", "unknown", ()),
    ]


def test_event_middleware_replaces_the_arguments() -> None:
    """For what comes after it: middleware, the handler, handlers that were added, "*"."""
    server, log = server_of(), Log()
    server.use_event(lambda socket, event, args: [*args, "one"])
    server.use_event(lambda socket, event, args: (*args, "two"))
    server.on_any(lambda event, sid, *args: log.add(("any", args)))
    server.on("go", lambda sid, *args: (log.add(args), args[-1])[1])
    server.on("go", lambda sid, *args: log.add(("added", *args)), add=True)
    server.on("*", lambda event, sid, *args: log.add((event, *args)))
    with TestClient(server) as client:
        assert client.emit("go", 0, callback=True) == "two"
        client.emit("other")
    assert log.entries == [
        ("any", (0,)),
        (0, "one", "two"),
        ("added", 0, "one", "two"),
        ("any", ()),
        ("other", "one", "two"),
    ]


def test_event_middleware_refuses(runtime: Runtime, caplog: pytest.LogCaptureFixture) -> None:
    """The client is told by its ack, with the data; no handler runs, nothing is logged."""
    server, log = Server(), Log()

    @server.use_event
    def refuse(socket: Any, event: str, args: Any) -> None:
        if args == (1,):
            raise EventRefusedError("slow down", {"wait": 3})
        if args == (2,):
            raise EventRefusedError

    server.on("go", lambda sid, number: log.add(number))
    server.on("go", lambda sid, number: log.add("added"), add=True)
    with plain(runtime, server) as live, caplog.at_level(logging.INFO):
        peer = Peer(live)
        peer.send('420["go",1]', '42["go",1]', '421["go",2]', '422["unknown",1]', '423["go",3]')
        assert peer.text() == '430[{"error":"slow down","data":{"wait":3}}]'
        assert peer.text() == '431[{"error":"Event refused"}]'
        assert peer.text() == '432[{"error":"slow down","data":{"wait":3}}]'
        assert peer.text() == "433[]"
        peer.leave()
    assert log.wait(2) == [3, "added"]
    assert caplog.messages == []


def test_a_handler_may_refuse_its_event_too(runtime: Runtime) -> None:
    """EventRefusedError from a handler is its ack."""
    server = Server()

    @server.event
    def go(sid: str) -> None:
        raise EventRefusedError("not now", 1, 2)

    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('42["go"]', '420["go"]')
        assert peer.text() == '430[{"error":"not now","data":[1,2]}]'
        peer.leave()


@pytest.mark.parametrize("error_acks", [False, True])
def test_event_middleware_that_fails(
    runtime: Runtime, error_acks: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Counts as a failure of the handler: logged, and told where error_acks says so."""
    server, log = Server(error_acks=error_acks), Log()

    @server.use_event
    def fail(socket: Any, event: str, args: Any) -> Any:
        if not args:
            raise LookupError("of no use")
        return 7 if args == (7,) else None

    server.on("go", lambda sid, number=0: log.add(number) or number)
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('420["go"]', '421["go",7]', '422["go",1]')
        if error_acks:
            assert peer.text() == '430[{"error":"Internal error"}]'
            assert peer.text() == '431[{"error":"Internal error"}]'
        assert peer.text() == "432[1]"
        peer.leave()
    assert log.entries == [1]
    assert "LookupError: of no use" in caplog.text
    assert "event middleware returns the arguments, a tuple or list, or None" in caplog.text


def test_events_before_acceptance_are_seen_after_it(runtime: Runtime) -> None:
    """What a refused client has sent reaches neither middleware nor listeners."""
    server, log = Server(), Log()
    server.use_event(lambda socket, event, args: log.add(event))
    server.on_any(lambda event, sid, *args: log.add("any"))
    server.on("connect", lambda sid, environ, auth: auth is not None)
    with plain(runtime, server) as live:
        peer = Peer(live, join=None)
        peer.send("40", '42["go"]')
        assert peer.text() == '44{"message":"Connection rejected by server"}'
        peer.send('40{"a":1}', '42["go"]')
        assert log.wait(2) == ["any", "go"]
        peer.leave()


# -- registering -------------------------------------------------------------------------


def test_middleware_is_checked_where_it_is_registered() -> None:
    """A function that cannot be called so is a TypeError that names both."""
    server = server_of()
    with pytest.raises(TypeError, match=r"use\(\) needs a function that takes \(socket\)"):
        server.use(lambda: None)
    with pytest.raises(TypeError, match=r"use_event\(\) needs .* \(socket, event, args\)"):
        server.use_event(lambda event, args: None)
    with pytest.raises(TypeError, match=r"on_any\(\) needs"):
        server.on_any("nothing")  # type: ignore[type-var]
