"""A connection of Engine.IO 3: its client pings, and binary messages have a type.

====== ===================================================================
packet differs from revision 4
====== ===================================================================
``2``  is answered ``3``; ``2probe`` on the probing WebSocket ``3probe``
``3``  error
====== ===================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import Context
from typing import TYPE_CHECKING, Any

from flask_sio.engine.connection import Connection
from flask_sio.engine.payload import payload_3
from flask_sio.errors import PacketError
from flask_sio.protocol import eio, eio3
from flask_sio.protocol.encoded import Encoded
from flask_sio.protocol.heartbeat import Heartbeat3

if TYPE_CHECKING:
    from flask_sio.engine.server import Engine

_PONGS = 64
"""Packets waiting for a client beyond which its pings go unanswered: it reads none."""


class Connection3(Connection):
    """One client's connection of Engine.IO 3."""

    __slots__ = ("_base64_polling", "_base64_websocket", "payload")

    revision = "3"

    _heartbeat: Heartbeat3
    _decode = staticmethod(eio3.decode_packet)
    _new_heartbeat = Heartbeat3

    def __init__(
        self,
        engine: Engine,
        sid: str,
        environ: dict[str, Any],
        context: Context,
        query: Mapping[str, str],
    ) -> None:
        """Begin with the query of the handshake."""
        super().__init__(engine, sid, environ, context)
        self.payload = payload = payload_3(query)
        self._base64_polling = payload.takes_base64
        self._base64_websocket = False
        self.expect_websocket(query)

    def expect_websocket(self, query: Mapping[str, str]) -> None:
        self._base64_websocket = bool(query.get("b64"))

    # -- in ----------------------------------------------------------------------------

    def alive(self) -> None:
        self._heartbeat.hear(self.engine.loop.now())

    def receive(self, kind: str, data: str | bytes) -> None:
        if self.state != "open":
            return
        if kind == eio.PING:
            self._answer_ping()
            self.chatter()
        elif kind == eio.PONG:
            self.end("transport error")
        else:
            super().receive(kind, data)

    def on_binary(self, data: bytes) -> None:
        try:
            packet = eio3.decode_binary(data)
        except PacketError:
            self.end("parse error")
        else:
            self.receive(packet.type, packet.data)

    # -- out ---------------------------------------------------------------------------

    def send(self, encoded: Encoded) -> bool:
        base64 = self._base64_polling if self.websocket is None else self._base64_websocket
        return super().send(encoded.rev3_base64 if base64 else encoded.rev3)

    def _answer_ping(self) -> None:
        if self.websocket is None:
            if self.polling is not None:
                self.polling.send_first(eio.PONG_PACKET)
        elif self.websocket.stream.buffered_packets < _PONGS:
            self.websocket.stream.send(eio.PONG_PACKET.ws, first=True)
