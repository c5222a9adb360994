"""The pieces of user code that a client's mailbox runs, on a worker.

Each runs in a copy of its own of the connection's base context, so that nothing it sets
reaches another. One place, `_Job.run`, catches what user code raises.
"""

from __future__ import annotations

import builtins
import logging
from typing import TYPE_CHECKING, Any

from flask_sio.errors import ConnectionRefusedError
from flask_sio.protocol import sio
from flask_sio.protocol.encoded import Encoded
from flask_sio.protocol.json_codec import Codec
from flask_sio.server.acks import Callback
from flask_sio.server.handlers import Handler

if TYPE_CHECKING:
    from flask_sio.server.socket import Socket

logger = logging.getLogger("flask_sio.server")

REJECTED = {"message": "Connection rejected by server"}
REFUSED = {"message": "Connection refused by server"}
FAILED = {"message": "Internal error"}


class _Job:
    """One call of user code for one socket."""

    __slots__ = ("args", "handler", "name", "size", "socket")

    concurrent = False
    is_last = False

    def __init__(
        self, socket: Socket, name: str, handler: Handler | None, args: tuple[Any, ...], size: int
    ) -> None:
        self.socket = socket
        self.name = name
        self.handler = handler
        self.args = args
        self.size = size

    def run(self) -> None:
        client = self.socket.client
        try:
            client.context.copy().run(self._run)
        except BaseException as error:
            if client.on_error is not None:
                client.on_error(error)
            elif isinstance(error, Exception):
                logger.exception(
                    "the handler of %r failed for %s in %s",
                    self.name,
                    self.socket.id,
                    self.socket.namespace,
                )
            else:
                raise

    def _run(self) -> None:
        raise NotImplementedError


class EventJob(_Job):
    """An event's handler, and the ack of what it returns."""

    __slots__ = ("ack_id", "concurrent")

    def __init__(
        self,
        socket: Socket,
        name: str,
        handler: Handler,
        args: tuple[Any, ...],
        size: int,
        ack_id: int | None,
    ) -> None:
        super().__init__(socket, name, handler, args, size)
        self.ack_id = ack_id
        # What comes before the connect handler has decided waits for it, in order.
        self.concurrent = handler.concurrent and socket.state != "connecting"

    def _run(self) -> None:
        socket, handler = self.socket, self.handler
        if handler is None or not socket.was_accepted:
            return  # refused: what it sent meanwhile is dropped
        server = socket.client.server
        result = server.convention.invoke(socket, self.name, handler.fn, self.args, "event")
        if self.ack_id is not None:
            socket.client.acknowledge(socket, self.ack_id, result)


class AckJob(_Job):
    """A callback that a client's ack is for."""

    __slots__ = ("callback",)

    def __init__(
        self, socket: Socket, callback: Callback, args: tuple[Any, ...], size: int
    ) -> None:
        super().__init__(socket, "ack", None, args, size)
        self.callback = callback

    def _run(self) -> None:
        convention = self.socket.client.server.convention
        convention.invoke(self.socket, None, self.callback, self.args, "ack")


class ConnectJob(_Job):
    """The connect handler, and whether its client is accepted."""

    __slots__ = ()

    def __init__(self, socket: Socket, handler: Handler) -> None:
        super().__init__(socket, "connect", handler, (socket.auth,), 0)

    def _run(self) -> None:
        socket, server = self.socket, self.socket.client.server
        # Also what goes out where a worker is killed in between, or a refusal is no JSON.
        refusal: Encoded | None = refusal_packet(socket.namespace, FAILED)
        try:
            if self.handler is None or socket.state in ("leaving", "gone"):
                return  # the client left before its turn came
            result = server.convention.invoke(
                socket, "connect", self.handler.fn, self.args, "connect"
            )
            refusal = refusal_packet(socket.namespace, REJECTED) if result is False else None
        except ConnectionRefusedError as error:
            refusal = refusal_packet(socket.namespace, error.payload, server.codec)
        except builtins.ConnectionRefusedError:
            refusal = refusal_packet(socket.namespace, REFUSED)
        finally:
            server.engine.loop.run(socket.client.decide, socket, refusal)


class DisconnectJob(_Job):
    """The disconnect handler, the last of a socket; then it leaves its rooms."""

    __slots__ = ()

    is_last = True

    def __init__(self, socket: Socket, handler: Handler | None, reason: str) -> None:
        super().__init__(socket, "disconnect", handler, (reason,), 0)

    def _run(self) -> None:
        socket, server = self.socket, self.socket.client.server
        if socket.was_accepted is None and self.handler is not None:
            server.engine.loop.run(socket.client.part, self)
            return
        try:
            if self.handler is not None and socket.was_accepted:
                server.convention.invoke(
                    socket, "disconnect", self.handler.fn, self.args, "disconnect"
                )
        finally:
            server.engine.loop.run(socket.leave)


def ack_args(result: Any) -> list[Any]:
    """Return the arguments of the ack for what a handler returned."""
    if result is None:
        return []
    return list(result) if isinstance(result, tuple) else [result]


def answer_value(answer: list[Any]) -> Any:
    """Return what `call()` returns for a client's answer."""
    if not answer:
        return None
    return answer[0] if len(answer) == 1 else tuple(answer)


def refusal_packet(namespace: str, refusal: dict[str, Any], codec: Codec | None = None) -> Encoded:
    """Return the CONNECT_ERROR that tells why a client may not connect."""
    packet = sio.Packet(sio.CONNECT_ERROR, namespace, refusal)
    return sio.encode(packet) if codec is None else sio.encode(packet, codec)


def ack_packet(namespace: str, ack_id: int, result: Any) -> sio.Packet:
    """Return the ACK for what a handler returned."""
    return sio.Packet(sio.ACK, namespace, ack_args(result), ack_id)
