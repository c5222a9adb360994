"""Where connections from other workers come in. Owner's turn only."""

from __future__ import annotations

import _socket
import socket
from typing import TYPE_CHECKING

from flask_sio.mesh.directory import is_peer_ours
from flask_sio.mesh.passing import Arrival
from flask_sio.runtime.takeover import plain_socket

if TYPE_CHECKING:
    from flask_sio.mesh.mesh import Mesh
    from flask_sio.runtime.loop import Watch

_ACCEPTS = 64
"""Connections taken in one turn."""
_PAUSE_S = 0.5


class Door:
    """A worker's listening socket, and who has come in and not said what for."""

    __slots__ = ("_mesh", "_watch", "arrivals", "listener")

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self.listener: socket.socket | None = None
        self._watch: Watch | None = None
        self.arrivals: set[Arrival] = set()

    def open(self, listener: _socket.socket) -> None:
        """Take connections from now on, at another place if there was one."""
        self._shut()
        self.listener = plain_socket(listener)
        self._resume()

    def close(self) -> None:
        """Take none any more."""
        self._shut()
        for arrival in list(self.arrivals):
            arrival.end()

    def forget(self) -> None:
        """In a forked child: close the copies."""
        for arrival in self.arrivals:
            arrival.sock.close()
        self.arrivals = set()
        if self.listener is not None:
            self.listener.close()
            self.listener = None
        self._watch = None

    def catch_up(self) -> None:
        """Let in who waits, and hear what they say, without waiting for the loop."""
        if self._watch is not None:
            self._accept()
        for arrival in list(self.arrivals):
            arrival.read()

    def _shut(self) -> None:
        if self._watch is not None:
            self._watch.stop()
            self._watch = None
        if self.listener is not None:
            self._mesh.loop.discard(self.listener)
            self.listener = None

    def _accept(self) -> None:
        for _ in range(_ACCEPTS):
            if self.listener is None:
                return
            try:
                # Not accept(): in a patched process that makes a gevent socket.
                number, _address = self.listener._accept()  # type: ignore[attr-defined]
            except (BlockingIOError, ConnectionAbortedError, InterruptedError):
                return
            except OSError:  # no descriptor left: it stays readable, so look away for a while
                self._pause()
                return
            sock = plain_socket(_socket.socket(fileno=number))
            if is_peer_ours(sock):
                self.arrivals.add(Arrival(self._mesh, sock))
            else:
                sock.close()

    def _pause(self) -> None:
        if self._watch is not None:
            self._watch.stop()
            self._watch = None
            loop = self._mesh.loop
            loop.call_at(loop.now() + _PAUSE_S, self._resume)

    def _resume(self) -> None:
        if self.listener is not None and self._watch is None:
            self._watch = self._mesh.loop.watch(self.listener, self._accept, lambda: None)
