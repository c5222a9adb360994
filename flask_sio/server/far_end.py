"""The Socket.IO of a client inside this process: what has come to it, and what answers.

`FarEnd` stands above `engine.memory`, as a browser's socket.io-client stands above its
WebSocket; `flask_sio.testing` is what tests see of it.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar, copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from flask_sio.engine.memory import MemoryStream
from flask_sio.errors import PacketError, TimeoutError
from flask_sio.protocol import sio, websocket
from flask_sio.server.client import Client
from flask_sio.server.jobs import ack_packet

if TYPE_CHECKING:
    from flask_sio.engine.connection import Connection
    from flask_sio.protocol.codec import PacketCodec, PacketDecoder
    from flask_sio.protocol.encoded import Encoded
    from flask_sio.runtime.loop import Waiter

__all__ = ["Busy", "FarEnd", "Received", "raise_errors"]

logger = logging.getLogger("flask_sio.testing")

Received = dict[str, Any]
"""An event: its ``name``, its ``args`` (one value for message and json) and ``namespace``."""

_answering: ContextVar[FarEnd | None] = ContextVar("flask_sio.answering", default=None)


class Busy(Protocol):
    """What a test waits for: another client, or what listens to what is sent."""

    waiters: list[Waiter]
    errors: list[BaseException]

    def busy(self) -> str: ...


class FarEnd:
    """One client. Owner's turn, but for `_answer` and what says otherwise.

    The server knows it by a weak reference only, so that it ends with the test.
    """

    connection: Connection
    stream: MemoryStream

    def __init__(self, codec: PacketCodec, auto_ack: bool) -> None:
        self._codec = codec
        self._decoder: PacketDecoder
        self.auto_ack = auto_ack
        """Whether what no function answers is acknowledged with nothing."""
        self.eio_sid = ""
        self.connected: dict[str, bool] = {}
        self.sids: dict[str, str] = {}
        self.queue: list[Received] = []
        self.acks: dict[int, list[Any]] = {}
        self.refused: Any = None
        """The data of the last CONNECT_ERROR."""
        self.unanswered: dict[tuple[str, int], str] = {}
        """Names of the events that wait for an answer, by namespace and ack id."""
        self.is_stuck = False
        """Whether a function has failed to answer, so that a handler may wait in vain."""
        self.functions: dict[tuple[str, str], Callable[..., Any]] = {}
        self._calls: deque[tuple[Callable[..., Any], list[Any], sio.Packet]] = deque()
        self._waiters: list[Waiter] = []

    @property
    def is_open(self) -> bool:
        return bool(self.eio_sid) and self.stream.is_open

    @property
    def is_anywhere(self) -> bool:
        """Whether it is in any namespace."""
        return True in self.connected.values()

    @property
    def is_answering(self) -> bool:
        """Whether this is called by one of its own functions, which must not wait for itself."""
        return _answering.get() is self

    # -- the connection ----------------------------------------------------------------

    def attached(self, connection: Connection, stream: MemoryStream) -> None:
        self.connection, self.stream = connection, stream
        self._decoder = self._codec.decoder(1 << 30, 1 << 62)
        self._calls.clear()
        self.unanswered.clear()
        client = connection.handler
        if isinstance(client, Client):
            stream.jobs = client.watch(stream.errors.append, stream.idle)
            stream.when_lost = partial(_forget, client)

    def opened(self, sid: str) -> None:
        self.eio_sid = sid

    def closed(self) -> None:
        for namespace in self.connected:
            self.connected[namespace] = False
        self.sids.clear()
        self._tell()

    def replace_environ(self, environ: dict[str, Any]) -> None:
        """Let the connection look as if it had begun with another request."""
        self.connection.environ = environ
        if isinstance(self.connection.handler, Client):
            self.connection.handler.kept = None

    # -- in ----------------------------------------------------------------------------

    def message(self, data: str | bytes) -> None:
        try:
            packet = self._decoder.feed(data)
        except PacketError as error:
            self.stream.errors.append(error)
            return
        if packet is not None:
            _TAKE[packet.type](self, packet)
            self._tell()

    def on_connect(self, packet: sio.Packet) -> None:
        self.connected[packet.namespace] = True
        self.sids[packet.namespace] = packet.data["sid"]

    def on_connect_error(self, packet: sio.Packet) -> None:
        self.connected[packet.namespace] = False
        self.refused = packet.data

    def on_disconnect(self, packet: sio.Packet) -> None:
        self.connected[packet.namespace] = False
        self.sids.pop(packet.namespace, None)

    def on_ack(self, packet: sio.Packet) -> None:
        if packet.id is not None:
            self.acks[packet.id] = packet.data

    def on_event(self, packet: sio.Packet) -> None:
        namespace, ack_id = packet.namespace, packet.id
        name, *args = packet.data
        is_single = name in ("message", "json") and len(args) == 1
        received = {"name": name, "args": args[0] if is_single else args, "namespace": namespace}
        self.queue.append(received)
        function = self.functions.get((namespace, name))
        if function is not None:
            self._calls.append((function, args, packet))
            self.stream.answering += 1
            if self.stream.answering == 1:
                self.stream.loop.defer(self._answer, self.stream)
        elif ack_id is not None and self.auto_ack:
            answer = self._codec.encode(ack_packet(namespace, ack_id, None))
            self.stream.loop.soon(self.transmit, answer)
        elif ack_id is not None:
            self.unanswered[namespace, ack_id] = name

    # -- its functions -----------------------------------------------------------------

    def _answer(self, stream: MemoryStream) -> None:
        """Call the function an event is for, on a worker."""
        function, args, packet = self._calls.popleft()
        try:
            result = copy_context().run(self._call, function, args)
            if packet.id is not None:
                answer = ack_packet(packet.namespace, packet.id, result)
                stream.loop.run(self.transmit, self._codec.encode(answer))
        except BaseException as error:  # noqa: BLE001 # the test raises it
            stream.errors.append(error)
            if packet.id is not None:
                self.is_stuck = True
                stream.loop.run(stream.wake)
        finally:
            stream.loop.run(self._answered, stream)

    def _call(self, function: Callable[..., Any], args: list[Any]) -> Any:
        _answering.set(self)
        return function(*args)

    def _answered(self, stream: MemoryStream) -> None:
        stream.answering -= 1
        if stream.answering:
            stream.loop.defer(self._answer, stream)
        else:
            stream.idle()

    # -- out ---------------------------------------------------------------------------

    def encode(
        self, kind: int, namespace: str, data: Any = None, ack_id: int | None = None
    ) -> Encoded:
        """Render a packet; what is no JSON fails here. Any thread."""
        return self._codec.encode(sio.Packet(kind, namespace, data, ack_id))

    def transmit(self, encoded: Encoded) -> None:
        if encoded.text:
            self.stream.feed(websocket.TEXT, encoded.text.encode("utf-8", "replace"))
        for attachment in encoded.attachments:
            self.stream.feed(websocket.BINARY, attachment)

    def leave(self, goodbyes: Mapping[str, Encoded]) -> None:
        """Leave these namespaces with their DISCONNECT packets."""
        for namespace, encoded in goodbyes.items():
            self.connected.pop(namespace, None)
            self.sids.pop(namespace, None)
            self.transmit(encoded)

    def hang_up(self) -> None:
        """Close the WebSocket as a browser does."""
        self.stream.feed(websocket.CLOSE, b"")

    # -- waiting -----------------------------------------------------------------------

    def wait_idle(self, streams: Sequence[Busy], what: str, timeout: float | None) -> None:
        """Wait until nothing runs for these clients. Not in a turn.

        Raises:
            TimeoutError: something still runs after ``timeout`` seconds.
            BaseException: what a handler or a function has raised.
        """
        loop = self.stream.loop
        deadline = None if timeout is None else loop.now() + timeout
        while not self.is_stuck:
            waiter = loop.waiter()
            if not loop.call(_wake_when_idle, streams, waiter):
                break
            if not _wait(waiter, deadline, loop.now()):
                break
        self.is_stuck = False
        raise_errors(streams)
        busy = loop.call(_first_busy, streams)
        if busy:
            asked = ", ".join(map(repr, self.unanswered.values()))
            hint = f"; the client has no function on() for {asked}" if asked else ""
            raise TimeoutError(f"{what}: {busy} still runs after {timeout} s{hint}")

    def until(self, find: Callable[[], Any], timeout: float | None) -> Any:
        """Return what ``find`` gives in a turn once it is not None; None after ``timeout`` seconds.

        Not in a turn.
        """
        loop = self.stream.loop
        deadline = None if timeout is None else loop.now() + timeout
        while True:
            waiter = loop.waiter()
            found = loop.call(self._look, find, waiter)
            if found is not None or not _wait(waiter, deadline, loop.now()):
                return found

    def _look(self, find: Callable[[], Any], waiter: Waiter) -> Any:
        """Return what ``find`` gives; if that is None, ``waiter`` learns of what comes."""
        found = find()
        if found is None:
            self._waiters.append(waiter)
        return found

    def _tell(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.set()

    def take(self, name: str, namespace: str) -> Received | None:
        """Return the first event of this name, out of the queue.

        Raises:
            RuntimeError: there is none, nor will there be.
        """
        for position, event in enumerate(self.queue):
            if event["name"] == name and event["namespace"] == namespace:
                return self.queue.pop(position)
        if not self.connected.get(namespace):
            raise RuntimeError("not connected")
        return None

    def take_all(self, namespace: str) -> list[Received]:
        """Return the events of one namespace, out of the queue."""
        found = [event for event in self.queue if event["namespace"] == namespace]
        self.queue[:] = [event for event in self.queue if event["namespace"] != namespace]
        return found


_TAKE: Mapping[int, Callable[[FarEnd, sio.Packet], None]] = {
    sio.CONNECT: FarEnd.on_connect,
    sio.CONNECT_ERROR: FarEnd.on_connect_error,
    sio.DISCONNECT: FarEnd.on_disconnect,
    sio.EVENT: FarEnd.on_event,
    sio.ACK: FarEnd.on_ack,
}


def _forget(client: Client) -> None:
    """End what the server keeps of a client that is garbage: its test is long over.

    No disconnect handler runs, in the middle of whatever test comes next.
    """
    client.on_error = None  # what still runs may log
    for socket in list(client.sockets.values()):
        socket.end()
    client.connection.end("transport close")


def _wait(waiter: Waiter, deadline: float | None, now: float) -> bool:
    return bool(waiter.wait(None if deadline is None else max(0.0, deadline - now)))


def _first_busy(streams: Sequence[Busy]) -> str:
    """Say what still runs for any of these clients; empty if nothing."""
    return next((busy for stream in streams if (busy := stream.busy())), "")


def _wake_when_idle(streams: Sequence[Busy], waiter: Waiter) -> bool:
    """Set ``waiter`` when the first busy one of these clients is idle; False if none is busy."""
    for stream in streams:
        if stream.busy():
            stream.waiters.append(waiter)
            return True
    return False


def raise_errors(streams: Sequence[Busy]) -> None:
    """Raise the first exception that came out of a handler of these clients; log the others."""
    first: BaseException | None = None
    for stream in streams:
        while stream.errors:
            error = stream.errors.pop(0)
            if first is None:
                first = error
            else:
                logger.error("another handler has failed too", exc_info=error)
    if first is not None:
        try:
            raise first
        finally:
            del first, error  # else its traceback keeps this frame alive, and so the client
