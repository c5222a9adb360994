"""A WebSocket between this process and itself, for test clients.

Only the descriptor is missing. What the client sends are masked frames that the server's
`WebSocket` decodes; what the server sends are frames that are decoded here, where the part
of a browser's Engine.IO stands too: it answers pings. There is no HTTP, so no gate either.
"""

from __future__ import annotations

import json
import os
import sys
import weakref
from collections.abc import Callable
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Protocol

from flask_sio.engine.connection import Connection
from flask_sio.engine.environ import slim
from flask_sio.engine.websocket import WebSocket
from flask_sio.protocol import eio, websocket

if TYPE_CHECKING:
    from flask_sio.engine.server import Engine
    from flask_sio.runtime.loop import Loop, Waiter
    from flask_sio.runtime.stream import Receiver

__all__ = ["Far", "MemoryStream", "connect", "masked"]


class Far(Protocol):
    """The client of a `MemoryStream`. Called in the owner's turn; must not raise or wait."""

    def attached(self, connection: Connection, stream: MemoryStream) -> None:
        """Take the connection, before anything is sent on it."""

    def opened(self, sid: str) -> None:
        """Take the connection's id from the handshake."""

    def message(self, data: str | bytes) -> None:
        """Take one Engine.IO message."""

    def closed(self) -> None:
        """Learn that the connection has ended. Once."""


class Job(Protocol):
    """The one handler that a client's others wait for."""

    @property
    def name(self) -> str: ...


class Jobs(Protocol):
    """What of a client's user code is under way."""

    @property
    def is_idle(self) -> bool: ...
    @property
    def running(self) -> Job | None: ...


class MemoryStream:
    """The server's end of such a WebSocket, in the place of `runtime.stream.Stream`.

    The client is known by a weak reference: one that is garbage ends its connection. The
    stream counts as closed only when no user code of its client runs any more. Owner's
    turn only.
    """

    def __init__(self, loop: Loop, far: Far) -> None:
        self.loop = loop
        self._far: Callable[[], Far | None] = weakref.ref(far, self._lost)
        self._decoder = websocket.Decoder(sys.maxsize, mask_required=False)
        self._receiver: Receiver | None = None
        self._when_closed: list[Callable[[Any], object]] = []
        self._is_closed = False
        self.buffered_bytes = 0
        self.buffered_packets = 0
        self.jobs: Jobs | None = None
        self.answering = 0
        """How many functions of the client wait or run."""
        self.waiters: list[Waiter] = []
        """Who wants to know when nothing of this client runs any more."""
        self.errors: list[BaseException] = []
        """What its handlers have raised, in order; the test that learns of it raises it."""
        self.when_lost: Callable[[], object] | None = None
        """Ends the connection of a client that is garbage."""

    def attach(self, receiver: Receiver) -> MemoryStream:
        """Begin to read for the server."""
        self._receiver = receiver
        return self

    def _lost(self, _: object) -> None:
        self.loop.run(self._end_lost)

    def _end_lost(self) -> None:
        if self._receiver is not None and self.when_lost is not None:
            self.when_lost()

    # -- the client's side -------------------------------------------------------------

    def feed(self, opcode: int, payload: bytes) -> None:
        """Hand the server a frame, masked as a client's must be."""
        if self._receiver is not None:
            self._receiver.received(masked(opcode, payload))

    def busy(self) -> str:
        """Say what of this client's user code is under way; empty if nothing."""
        jobs = self.jobs
        if jobs is None or jobs.is_idle:
            return f"{self.answering} of the client's own functions" if self.answering else ""
        if jobs.running is not None:
            return f"the handler of {jobs.running.name!r}"
        return "a concurrent handler, or one that waits for a free worker,"

    def wake(self) -> None:
        """Let those look who wait for this client to be idle."""
        waiters, self.waiters = self.waiters, []
        for waiter in waiters:
            waiter.set()

    def idle(self) -> None:
        """Look whether nothing runs any more, and tell who waits for that."""
        if self.busy():
            return
        self.wake()
        if self._receiver is None and not self._is_closed:
            self._is_closed = True
            self.when_lost, self._far = None, _nobody
            for fn in self._when_closed:
                fn(self)

    # -- what the engine sees ----------------------------------------------------------

    @property
    def is_open(self) -> bool:
        return self._receiver is not None

    def send(self, data: bytes, *, first: bool = False) -> None:
        """Give the client what the frames hold. Nothing ever waits, so nothing jumps a queue."""
        far = self._far()
        if self._receiver is None or far is None:
            return
        for opcode, payload in self._decoder.feed(data):
            if isinstance(payload, str):
                self._take(far, payload)
            elif opcode == websocket.BINARY:
                far.message(payload)

    def _take(self, far: Far, text: str) -> None:
        kind = text[:1]
        if kind == eio.MESSAGE:
            far.message(text[1:])
        elif kind == eio.PING:
            self.loop.soon(self.feed, websocket.TEXT, eio.PONG.encode())
        elif kind == eio.OPEN:
            far.opened(json.loads(text[1:])["sid"])

    def read_now(self) -> None:
        """Do nothing: what the client sent has been read."""

    def when_drained(self, fn: Callable[[], object]) -> None:
        """Call ``fn`` at once: nothing ever waits."""
        fn()

    def close(self) -> None:
        """End the connection; there is nothing to wait for."""
        self.abort()

    def abort(self) -> None:
        """End the connection."""
        if self._receiver is None:
            return
        self._receiver = None
        far = self._far()
        if far is not None:
            far.closed()
        self.loop.run(
            self.idle
        )  # after this turn: first the server learns of it, and may have jobs to run

    def when_closed(self, fn: Callable[[Any], object]) -> None:
        """Call ``fn`` once the stream has ended and no user code of its client runs."""
        if self._is_closed:
            fn(self)
        else:
            self._when_closed.append(fn)

    def close_in_child(self) -> None:
        """Be of no use in a forked child: the client's connection is the parent's."""
        self._receiver = None
        self._is_closed = True


def connect(engine: Engine, far: Far, environ: dict[str, Any], sid: str = "") -> None:
    """Open a connection whose client is ``far``; ``sid`` is used again if nobody has it.

    Not in a turn. Starts a loop if there is none; it ends with the last such connection.

    Raises:
        RuntimeError: the server takes no more clients.
    """
    if not sid or sid in engine.connections:
        sid = engine.new_sid() or ""
    if not sid or engine.is_full:
        raise RuntimeError("the server takes no clients: it was shut down, or is full")
    borrower = object()
    loop = engine.start(None, borrower)
    kept, context = slim(environ), copy_context()
    stream = MemoryStream(loop, far)

    def attach() -> None:
        connection = engine.open(sid, kept, context, polling=False)
        connection.websocket = WebSocket(
            connection, stream.attach, max_message_bytes=engine.options.max_http_buffer_size
        )
        engine.keep(stream)
        stream.when_closed(lambda _stream: engine.give_back(borrower))
        far.attached(connection, stream)
        stream.send(engine.open_packet(connection, []).ws)

    loop.call(attach)


def _nobody() -> None:
    return None


def masked(opcode: int, payload: bytes) -> bytes:
    """Make one whole frame as a client does. RFC 6455 §5.3."""
    frame, size = websocket.frame(opcode, payload), len(payload)
    head, key = bytearray(frame[: len(frame) - size]), os.urandom(4)
    head[1] |= 0x80
    pad = (key * (size // 4 + 1))[:size]
    body = int.from_bytes(payload, "little") ^ int.from_bytes(pad, "little")
    return bytes(head) + key + body.to_bytes(size, "little")
