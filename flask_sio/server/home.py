"""What an adapter sees of its server: `adapters.adapter.Home`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flask_sio.protocol import sio

if TYPE_CHECKING:
    from flask_sio.adapters.rooms import Rooms
    from flask_sio.protocol.encoded import Encoded
    from flask_sio.protocol.sio import Body
    from flask_sio.runtime.loop import Loop
    from flask_sio.server.server import Server

__all__ = ["ServerHome"]


class ServerHome:
    """One server, for its adapter."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._engine = server.engine
        self._compose = server.codec.compose

    @property
    def running(self) -> Loop | None:
        return self._engine.running

    def borrow_loop(self, borrower: object) -> Loop:
        return self._engine.start(None, borrower)

    def give_back(self, borrower: object) -> None:
        self._engine.give_back(borrower)

    @property
    def namespaces(self) -> list[str]:
        return list(self._server.spaces)

    def rooms(self, namespace: str) -> Rooms | None:
        space = self._server.spaces.get(namespace)
        return None if space is None else space.rooms

    def compose(self, namespace: str, body: Body) -> Encoded:
        return self._compose(sio.Packet(sio.EVENT, namespace), body)

    def server_event(self, namespace: str, body: Body) -> list[Any]:
        return self._server.handle_server_event(namespace, body)

    def hear_presence(self, server: str, body: Body, answer: Callable[[Body], object]) -> None:
        self._server.presence.hear(server, body, answer)

    def gained(self, server: str) -> None:
        self._server.presence.gained(server)

    def lost(self, server: str) -> None:
        self._server.presence.lost(server)
