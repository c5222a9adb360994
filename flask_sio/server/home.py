"""What an adapter sees of its server: `adapters.adapter.Home`."""

from __future__ import annotations

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

    @property
    def has_loop(self) -> bool:
        return self._server.engine.has_loop

    @property
    def loop(self) -> Loop:
        return self._server.engine.loop

    def borrow_loop(self, borrower: object) -> Loop:
        return self._server.engine.start(None, borrower)

    def give_back(self, borrower: object) -> None:
        self._server.engine.give_back(borrower)

    def rooms(self, namespace: str) -> Rooms | None:
        space = self._server.spaces.get(namespace)
        return None if space is None else space.rooms

    def compose(self, namespace: str, body: Body) -> Encoded:
        return self._server.codec.compose(sio.Packet(sio.EVENT, namespace), body)

    def server_event(self, namespace: str, body: Body) -> list[Any]:
        return self._server.handle_server_event(namespace, body)
