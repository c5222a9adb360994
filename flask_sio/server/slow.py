"""Tells user code of clients that take what they are sent too slowly, and that have caught up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask_sio.server.beside import beside
from flask_sio.server.telling import Telling

if TYPE_CHECKING:
    from flask_sio.engine.connection import Connection
    from flask_sio.server.middleware import Hook, What
    from flask_sio.server.server import Server
    from flask_sio.server.socket import Socket

__all__ = ["SlowClients"]


class SlowClients:
    """Runs the hooks of ``on_high_water`` and ``on_drain``, in order. Owner's turn."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._telling: Telling[tuple[Socket, str, Hook]] = Telling(
            server, "on_high_water and on_drain", self._tell
        )
        server.engine.pressure.on_change = self._changed

    def look(self) -> None:
        """Watch connections if anybody listens. Any thread."""
        listens = self._server.handlers.middleware.watches_slow
        options = self._server.options
        self._server.engine.pressure.high_bytes = options.high_water if listens else None

    def _changed(self, connection: Connection, is_high: bool) -> None:
        from flask_sio.server.client import Client  # which imports what imports this

        client, middleware = connection.handler, self._server.handlers.middleware
        if not isinstance(client, Client):
            return
        for socket in client.sockets.values():
            if socket.connected:
                what: What = "high_water" if is_high else "drain"
                for hook in middleware.hooks(what, socket.space.key):
                    self._telling.put((socket, what, hook))

    @staticmethod
    def _tell(waiting: tuple[Socket, str, Hook]) -> None:
        """Run a hook. On a worker."""
        socket, what, hook = waiting
        beside(socket, what, hook.call, ())
