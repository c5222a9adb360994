"""A client of Socket.IO 1.x or 2.x: `Client` as revision 4 of the protocol has it.

The server joins it to ``/`` by itself. Packets for a namespace that it is not in are
ignored, and so is a CONNECT for one that it is in: servers of that age did so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask_sio.protocol import sio
from flask_sio.protocol.sio4 import error_data, read_name
from flask_sio.server.client import Client
from flask_sio.server.socket import Socket

if TYPE_CHECKING:
    from flask_sio.engine.connection import Connection
    from flask_sio.protocol.codec import PacketDecoder
    from flask_sio.server.server import Server


class Client3(Client):
    """What a server keeps of one connection of Engine.IO 3."""

    __slots__ = ()

    def __init__(self, server: Server, connection: Connection) -> None:
        super().__init__(server, connection)
        server.engine.loop.run(self._join_root)  # after this turn, which sends the handshake

    def _make_decoder(self, max_attachments: int, max_bytes: int) -> PacketDecoder:
        return self.server.codec.decoder_4(max_attachments, max_bytes)

    def _join_root(self) -> None:
        if self.connection.state == "open":
            self._on_connect(sio.Packet(sio.CONNECT))

    def _socket(self, namespace: str) -> Socket | None:
        return self.sockets.get(namespace)

    def _on_connect(self, packet: sio.Packet) -> None:
        packet.namespace, query = read_name(packet.namespace)
        joined = self.sockets.get(packet.namespace)
        if joined is None or joined.state == "leaving":
            packet.data = query
            super()._on_connect(packet)

    def welcome(self, socket: Socket) -> sio.Packet:
        return sio.Packet(sio.CONNECT, socket.namespace)

    def refusal(self, namespace: str, refusal: dict[str, Any]) -> sio.Packet:
        return sio.Packet(sio.CONNECT_ERROR, namespace, error_data(refusal))
