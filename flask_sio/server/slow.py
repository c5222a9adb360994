"""Tells user code of clients that take what they are sent too slowly, and that have caught up."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from flask_sio.server.beside import beside

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
        self._waiting: deque[tuple[Socket, str, Hook]] = deque()
        self._is_telling = False
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
                    self._waiting.append((socket, what, hook))
        if self._waiting and not self._is_telling:
            self._is_telling = True
            self._server.engine.loop.defer(self._tell)

    def _next(self) -> tuple[Socket, str, Hook] | None:
        if self._waiting:
            return self._waiting.popleft()
        self._is_telling = False
        return None

    def _tell(self) -> None:
        """Run the hooks. On a worker."""
        while (waiting := self._server.engine.loop.call(self._next)) is not None:
            socket, what, hook = waiting
            beside(socket, what, hook.call, ())
