"""What the parts of one event cost, each alone, in this process: ``python -m benchmarks.micro``.

Microseconds of one core, the best of several runs. No sockets: what the kernel takes is in the
other benchmarks.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from typing import Any

import gevent
from flask import Flask
from werkzeug.test import EnvironBuilder

from benchmarks.measuring import core
from benchmarks.report import table
from flask_sio import Server, SocketIO, emit, request
from flask_sio.adapters.rooms import Rooms
from flask_sio.engine.memory import masked
from flask_sio.engine.websocket import WebSocket
from flask_sio.protocol import sio, websocket
from flask_sio.protocol.json_codec import JsonCodec

RUN_S = 0.05
Case = tuple[str, int, Callable[[], object]]
"""What it is, how many of it one call does, the call."""


def best_us(fn: Callable[[], object], each: int, runs: int) -> float:
    """Return what one of ``each`` costs in the best run."""
    fn()
    best, count = float("inf"), 1
    for _ in range(runs):
        start = time.perf_counter()
        for _ in range(count):
            fn()
        taken = time.perf_counter() - start
        best = min(best, taken / count)
        count = max(1, int(RUN_S / best))
    return best / each * 1e6


def decoded(text: str) -> object:
    return sio.Decoder().feed(text)


def codec() -> Iterator[Case]:
    for size in (32, 1024):
        data = ["echo", "x" * size]
        packet, text = sio.Packet(sio.EVENT, "/", data), JsonCodec().dumps(data)
        ours = JsonCodec(use_orjson=False)
        yield f"codec: decode an event, {size} B", 1, partial(decoded, "2" + text)
        yield f"codec: encode an event, {size} B", 1, partial(sio.encode, packet, ours)
        if JsonCodec()._orjson_options is not None:
            yield f"codec: encode with orjson, {size} B", 1, partial(sio.encode, packet)
    binary = sio.Packet(sio.EVENT, "/", ["echo", b"x" * 1024])
    yield "codec: encode a binary event, 1024 B", 1, lambda: sio.encode(binary)


def framing() -> Iterator[Case]:
    for size in (45, 1024):
        payload = b"x" * size
        wire, decoder = masked(websocket.TEXT, payload), websocket.Decoder(1 << 20)
        yield f"framing: decode {size} B", 1, partial(decoder.feed, wire)
        yield f"framing: frame {size} B", 1, partial(websocket.frame, websocket.TEXT, payload)


class Sink:
    """A stream that takes everything and sends nothing."""

    buffered_bytes = buffered_packets = 0
    is_open = True

    def __init__(self) -> None:
        self.sent = 0

    def attach(self, receiver: Any) -> Any:
        return self

    def send(self, data: bytes, *, first: bool = False) -> None:
        self.sent += 1

    def read_now(self) -> None: ...
    def close(self) -> None: ...
    def abort(self) -> None: ...
    def close_in_child(self) -> None: ...
    def when_closed(self, fn: Callable[[Any], object]) -> None: ...


def connected(server: Server, count: int) -> list[tuple[WebSocket, Sink]]:
    """Connect clients whose sockets are sinks."""
    environ = EnvironBuilder("/socket.io/").get_environ()
    loop = server.engine.start(None, object())
    clients = []
    for _ in range(count):
        sink = Sink()
        connection = server.engine.open(
            server.engine.new_sid() or "", dict(environ), copy_context(), polling=False
        )
        connection.websocket = WebSocket(connection, sink.attach, max_message_bytes=1 << 20)
        loop.run(connection.websocket.received, masked(websocket.TEXT, b"40"))
        clients.append((connection.websocket, sink))
    while not all(sink.sent for _, sink in clients):
        gevent.sleep(0.001)
    return clients


def dispatch(name: str, server: Server) -> Iterator[Case]:
    """Events of 100 clients, from the frame that came to the frame that goes."""
    clients = connected(server, 100)
    enter = server.engine.loop.entry  # type: ignore[attr-defined] # gevent's
    for event, wire in {
        "echo": masked(websocket.TEXT, b'42["echo","%s"]' % (b"x" * 32)),
        "ack": masked(websocket.TEXT, b'421["ack","%s"]' % (b"x" * 32)),
        "nobody's": masked(websocket.TEXT, b'42["unknown","%s"]' % (b"x" * 32)),
    }.items():

        def run(wire: bytes = wire, answers: bool = event != "nobody's") -> None:
            last = clients[-1][1]
            due = last.sent + answers
            for socket, _ in clients:
                enter(socket.received, wire)
            while last.sent < due:
                gevent.sleep(0)

        yield f"dispatch: {event}, {name}", len(clients), run


def fan_out(server: Server) -> Iterator[Case]:
    connected(server, 1000)
    yield "fan-out: a broadcast, per recipient of 1,000", 1000, lambda: server.emit("news", "x")
    rooms = Rooms()
    everyone: list[Any] = list(server.spaces["/"].rooms.everyone.values())
    for recipient in everyone:
        rooms.add(recipient)
        rooms.join(recipient, "room")

    def churn() -> None:
        rooms.leave(everyone[500], "room")
        rooms.join(everyone[500], "room")

    yield "fan-out: who is in a room, per recipient", 1000, lambda: rooms.select(["room"])
    yield "fan-out: leave and join a room of 1,000", 1, churn


def context(app: Flask, socketio: SocketIO) -> Iterator[Case]:
    environ = EnvironBuilder("/socket.io/").get_environ()
    socket: Any = next(iter(socketio.server.spaces["/"].rooms.everyone.values()))
    invoke = socketio.server.convention.invoke

    def with_request() -> None:
        with app.request_context(environ):
            pass

    yield "context: of an event", 1, lambda: invoke(socket, "x", lambda: None, (), "event")
    yield (
        "context: of an event that reads request.sid",
        1,
        lambda: invoke(socket, "x", lambda: request.sid, (), "event"),
    )
    yield "context: Flask's own request_context", 1, with_request


@contextmanager
def program() -> Iterator[tuple[Flask, SocketIO]]:
    app = Flask(__name__)
    socketio = SocketIO(app, async_mode="gevent")
    socketio.on("echo")(lambda data: emit("echo", data) if request.sid else None)
    socketio.on("ack")(lambda data: data)
    yield app, socketio
    socketio.shutdown()


def plain() -> Server:
    server = Server(async_mode="gevent")
    server.on("echo", lambda sid, data: server.emit("echo", data, to=sid))
    server.on("ack", lambda sid, data: data)
    return server


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.micro", description=__doc__)
    parser.add_argument("--only", default="", help="the beginning of the names to run")
    parser.add_argument("--runs", type=int, default=7)
    chosen = parser.parse_args()
    lines = []
    with core(0), program() as (app, socketio):
        cases = [*codec(), *framing(), *dispatch("Flask", socketio.server)]
        cases += [*dispatch("no Flask", plain()), *fan_out(plain()), *context(app, socketio)]
        for name, each, fn in cases:
            if name.startswith(chosen.only):
                lines.append([name, f"{best_us(fn, each, chosen.runs):.2f}"])
    print(table(["", "us"], lines))


if __name__ == "__main__":
    main()
