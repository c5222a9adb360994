"""A WebSocket on a stream, and the probe that asks to take over from polling.

`WebSocket` turns bytes into messages for its ``user``: the `Connection` whose transport it
is, or a `Probe`, which hands it to the connection when the client commits the upgrade.
Owner's turn only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, Protocol

from flask_sio.protocol import eio, websocket
from flask_sio.protocol.ws_deflate import Deflater, InflatingDecoder
from flask_sio.runtime.stream import AnyStream, Receiver

if TYPE_CHECKING:
    from flask_sio.engine.connection import Connection

_TEXT, _BINARY, _PING, _CLOSE = (
    websocket.TEXT,
    websocket.BINARY,
    websocket.PING,
    websocket.CLOSE,
)
_BACKLOG = 1024
"""Packets waiting for a peer beyond which its pings go unanswered: who reads no pong is owed
none (RFC 6455 §5.5.3 asks for the latest only)."""


class User(Protocol):
    """Who a WebSocket's messages are for."""

    def alive(self) -> None:
        """Learn that some bytes came."""

    def chatter(self) -> None:
        """Learn of a control frame; too many end the connection."""

    def on_text(self, text: str) -> None:
        """Take a text message."""

    def on_binary(self, data: bytes) -> None:
        """Take a binary message."""

    def on_lost(
        self, reason: Literal["transport close", "transport error"], description: str
    ) -> None:
        """Learn that the WebSocket has ended by itself. Once."""


class WebSocket:
    """RFC 6455 over a stream that is ours."""

    __slots__ = ("_decoder", "stream", "user")

    deflate: Deflater | None = None
    """Compresses what is sent, where that was negotiated."""

    _new_decoder: type[websocket.Decoder] = websocket.Decoder

    def __init__(
        self,
        user: User,
        open_stream: Callable[[Receiver], AnyStream],
        *,
        max_message_bytes: int,
        response: bytes = b"",
    ) -> None:
        self.user = user
        self._decoder = self._new_decoder(max_message_bytes)
        self.stream = open_stream(self)
        if response:
            self.stream.send(response)

    def received(self, data: bytes) -> None:
        self.user.alive()
        stream, ping = self.stream, None
        for opcode, payload in self._decoder.feed(data):
            if ping is not None and opcode != _PING:
                self._pong(ping)
                ping = None
            if opcode == _TEXT:
                self.user.on_text(payload)  # type: ignore[arg-type]
            elif opcode == _BINARY:
                self.user.on_binary(payload)  # type: ignore[arg-type]
            elif opcode == _CLOSE:
                stream.send(websocket.frame(_CLOSE, payload), first=True)  # type: ignore[arg-type]
                stream.close()
                self.user.on_lost("transport close", _close_code(payload))
            else:
                self.user.chatter()
                ping = payload if opcode == _PING else None
            if not stream.is_open:
                return
        if ping is not None:
            self._pong(ping)
        if self._decoder.error is not None:
            stream.send(websocket.close_frame(self._decoder.error.code))
            stream.close()
            self.user.on_lost("transport error", str(self._decoder.error))

    def awaited(self) -> int:
        return self._decoder.awaited()

    def _pong(self, ping: str | bytes) -> None:
        """Answer the last one of several pings (RFC 6455 §5.5.3)."""
        if self.stream.buffered_packets < _BACKLOG:
            self.stream.send(websocket.frame(websocket.PONG, ping), first=True)  # type: ignore[arg-type]

    def gone(self) -> None:
        self.user.on_lost("transport close", "no close frame")

    def close(self, code: int | None = None) -> None:
        """Send a close frame behind what is queued, then close."""
        if self.stream.is_open:
            self.stream.send(websocket.close_frame(code))
            self.stream.close()

    def drop(self) -> None:
        """Close now; what is queued is dropped, its memory is free at once."""
        if self.stream.is_open:  # one that ends by itself still has its close frame to send
            self.stream.abort()


class DeflatedWebSocket(WebSocket):
    """One that has negotiated permessage-deflate."""

    __slots__ = ("deflate",)

    deflate: Deflater

    _new_decoder = InflatingDecoder

    def __init__(
        self,
        deflate: Deflater,
        user: User,
        open_stream: Callable[[Receiver], AnyStream],
        *,
        max_message_bytes: int,
        response: bytes = b"",
    ) -> None:
        self.deflate = deflate
        super().__init__(user, open_stream, max_message_bytes=max_message_bytes, response=response)


class Probe:
    """A WebSocket beside a polling connection. Its failure harms nobody else."""

    __slots__ = ("_connection", "_timer", "_websocket", "probed")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._websocket: WebSocket | None = None
        self.probed = False
        """Whether ``2probe`` has come: from then on polls are answered at once."""
        loop = connection.engine.loop
        self._timer = loop.call_at(
            loop.now() + connection.engine.options.upgrade_timeout, self.close
        )

    def start(self, socket: WebSocket) -> None:
        """Begin on a WebSocket whose 101 is on its way."""
        self._websocket = socket

    def alive(self) -> None:
        self._connection.alive()

    def chatter(self) -> None:
        self._connection.chatter()

    def on_text(self, text: str) -> None:
        if self._websocket is None:
            return
        if text == "2probe" and not self._websocket.stream.buffered_bytes:
            self.probed = True
            self._websocket.stream.send(eio.PROBE_REPLY.ws)
            if self._connection.polling is not None:
                self._connection.polling.nudge()
        elif text == eio.UPGRADE:
            self._timer.cancel()
            self._connection.upgrade(self._websocket)
        else:
            self.close()

    def on_binary(self, data: bytes) -> None:
        self.close()

    def on_lost(self, reason: str, description: str) -> None:
        self._end()

    def close(self) -> None:
        """Give up on this upgrade; the connection stays on polling."""
        if self._websocket is not None:
            self._websocket.close()
        self._end()

    def _end(self) -> None:
        self._timer.cancel()
        if self._connection.probe is self:
            self._connection.probe = None


def _close_code(payload: bytes | str) -> str:
    """Say with which code the peer has closed: 1001 is a page that was left."""
    data = payload.encode() if isinstance(payload, str) else payload
    return f"close code {int.from_bytes(data[:2], 'big')}" if len(data) > 1 else "no close code"
