"""A server for tests that misbehave, and what must still hold when they have.

When its block ends, every client that is left has to be gone by itself, and an honest one
must still be served. `tests.live` then looks for what a shutdown leaves.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any, TypeVar, cast

from flask_sio import Server
from flask_sio.engine.connection import Connection, Reason
from flask_sio.engine.endpoint import Endpoint
from flask_sio.engine.server import Engine
from flask_sio.options import ServerOptions
from flask_sio.protocol.encoded import Encoded
from flask_sio.runtime.loop import Waiter
from tests.live import WAIT_S, Live, Runtime, plain, serve
from tests.raw3 import Script
from tests.raw_more import Frames, Peer, Poller, ask, request
from tests.servers.raw import ENDPOINT

T = TypeVar("T", bound=Peer)


class Desk:
    """A running server, its clients, and what it saw of them."""

    def __init__(self, live: Live) -> None:
        self.live = live
        # The first request chooses the loop, whatever a test asks of the server before.
        assert ask(live, request("GET", f"{ENDPOINT}none")).status == 400
        self.seen: SimpleQueue[tuple[Any, ...]] = SimpleQueue()
        """What handlers were given."""
        self.gone: SimpleQueue[str] = SimpleQueue()
        """Why clients have left."""
        self._peers: list[Peer] = []

    @property
    def engine(self) -> Engine:
        return self.live.server.engine

    def connect(self) -> Any:
        return self.live.connect()

    def ws(self, sid: str = "", *, early: bytes = b"") -> Frames:
        """Open a WebSocket: a session of its own, or beside a polling one."""
        return self.keep(Frames(self.live, sid, early=early))

    def peer(self, data: bytes = b"") -> Peer:
        """Open a raw connection and send this."""
        return self.keep(Peer(self.live, data))

    def poller(self, query: str = "") -> Poller:
        """Open a session on long polling."""
        return Poller(self.live, query)

    def held(self, poller: Poller | Script) -> Peer:
        """Return a GET that the server holds by now."""
        peer = self.keep(poller.hold())
        self.live.until(lambda: self.connection(poller.sid).polling.held)
        return peer

    def connection(self, sid: str) -> Any:
        """Return the server's side of a session, to wait for what it does not tell."""
        return self.engine.connections[sid]

    def push(self, sid: str, *packets: str) -> None:
        """Send packets to a session, as a handler would; return when they are queued."""
        for packet in packets:
            assert self.engine.loop.call(self.connection(sid).send, Encoded(packet))

    def has_left(self) -> str:
        """Return why the next client has left, once it has."""
        return self.gone.get(timeout=WAIT_S)

    def saw(self) -> tuple[Any, ...]:
        """Return what the next handler was given."""
        return self.seen.get(timeout=WAIT_S)

    def until_empty(self) -> None:
        """Wait until the server keeps nothing of any client."""
        engine = self.engine
        spaces = getattr(self.live.server, "_spaces", {})
        self.live.until(lambda: not engine.connections)
        self.live.until(lambda: not any(space.rooms.everyone for space in spaces.values()))

    def keep(self, peer: T) -> T:
        self._peers.append(peer)
        return peer

    def close(self) -> None:
        for peer in self._peers:
            peer.close()


@contextmanager
def socketio(runtime: Runtime, **options: Any) -> Iterator[Desk]:
    """Serve Socket.IO: the handlers of the conformance suite, ``echo``, and `hold_connect`'s."""
    server = Server(**options)
    with plain(runtime, server) as live:
        desk = Desk(live)
        for namespace in ("/", "/custom"):
            _register(server, desk, namespace)
        try:
            yield desk
        finally:
            desk.close()
        desk.until_empty()
        _serves_an_honest_client(live)


def _register(server: Server, desk: Desk, namespace: str) -> None:
    @server.on("connect", namespace=namespace)
    def connect(sid: str, environ: dict[str, Any], auth: Any) -> None:
        server.emit("auth", {} if auth is None else auth, to=sid, namespace=namespace)

    @server.on("message", namespace=namespace)
    def message(sid: str, *args: Any) -> None:
        desk.seen.put(args)
        server.emit("message-back", args, to=sid, namespace=namespace)

    @server.on("message-with-ack", namespace=namespace)
    def message_with_ack(sid: str, *args: Any) -> Any:
        return args

    @server.on("note", namespace=namespace)
    def note(sid: str, *args: Any) -> None:
        desk.seen.put(args)

    @server.on("disconnect", namespace=namespace)
    def disconnect(sid: str, reason: str) -> None:
        desk.gone.put(reason)


def _serves_an_honest_client(live: Live) -> None:
    websocket = Frames(live)
    websocket.send("40")
    assert websocket.text().startswith('40{"sid":"')
    assert websocket.text() == '42["auth",{}]'
    websocket.send('4217["message-with-ack","still here"]')
    assert websocket.text() == '4317["still here"]'
    websocket.leave()
    poller = Poller(live)
    assert poller.post(b"40") == (200, b"ok")
    assert poller.get()[1].startswith(b'40{"sid":"')
    poller.leave()


class _Echo:
    """A handler of the engine that sends every message back."""

    def __init__(self, connection: Connection, desk: list[Desk]) -> None:
        self._connection = connection
        self._desk = desk

    def message(self, data: str | bytes) -> None:
        is_binary = isinstance(data, bytes)
        self._connection.send(Encoded("", (data,)) if is_binary else Encoded(f"4{data}"))

    def closing(self) -> None:
        pass

    def closed(self, reason: Reason, description: str) -> None:
        self._desk[0].gone.put(reason)


class _EngineOnly:
    """What `tests.live` asks of a server, with an engine alone."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.desk: list[Desk] = []
        self.engine = Engine(ServerOptions.build(options), lambda each: _Echo(each, self.desk))
        self._endpoint = Endpoint(self.engine)
        self._spaces: dict[str, Any] = {}

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self._endpoint.handle(environ, start_response)

    def shutdown(self, timeout: float) -> bool:
        return self.engine.shutdown(timeout)


@contextmanager
def engine(runtime: Runtime, **options: Any) -> Iterator[Desk]:
    """Serve Engine.IO alone; each message is sent back."""
    server = _EngineOnly(options)
    with serve(runtime, server, cast("Server", server)) as live:
        desk = Desk(live)
        server.desk.append(desk)
        try:
            yield desk
        finally:
            desk.close()
        desk.until_empty()
        websocket = Frames(live)
        websocket.send("4still here")
        assert websocket.text() == "4still here"
        websocket.leave()


class Gates:
    """Handlers that stop where a test wants them to, and go on when it says so."""

    def __init__(self, live: Live) -> None:
        self._loop = live.server.engine.loop
        self._waiting: SimpleQueue[Waiter] = SimpleQueue()

    def stop(self) -> None:
        """Wait, in a handler, for the test."""
        waiter = self._loop.waiter()
        self._waiting.put(waiter)
        waiter.wait()

    def reached(self) -> Waiter:
        """Wait, in a test, until a handler has stopped."""
        return self._waiting.get(timeout=WAIT_S)

    def go_on(self, waiter: Waiter) -> None:
        """Let a stopped handler go on."""
        self._loop.run(waiter.set)
