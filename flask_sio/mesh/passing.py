"""Sockets that move between workers, and connections before it is known what they are for.

A descriptor travels beside the bytes of a message (SCM_RIGHTS). What is read before the
first frame of a connection is whole is read with ``recvmsg``, since ``recv`` would drop it.
"""

from __future__ import annotations

import _socket
import os
import socket
import struct
from typing import TYPE_CHECKING, Any

from flask_sio.engine import http
from flask_sio.mesh import frames
from flask_sio.mesh.frames import Frame, LinkError
from flask_sio.runtime.stream import Stream
from flask_sio.runtime.takeover import plain_socket

if TYPE_CHECKING:
    from flask_sio.mesh.mesh import Mesh

GREETING_S = 5.0
"""How long a connection may be silent before it says what it is."""
_INT = struct.Struct("i")
_CLOEXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


class Arrival:
    """A connection to this worker whose first frame has not come. Owner's turn only."""

    def __init__(self, mesh: Mesh, sock: socket.socket) -> None:
        self._mesh = mesh
        self.sock = sock
        self._decoder = mesh.new_decoder()
        self._passed: list[int] = []
        loop = mesh.loop
        self._watch = loop.watch(sock, self.read, lambda: None)
        self._timer = loop.call_at(loop.now() + GREETING_S, self.end)

    def read(self) -> None:
        """Read what is there; once the first frame is whole, let the mesh act on it."""
        try:
            space = _socket.CMSG_SPACE(_INT.size)
            data, beside, _, _ = self.sock.recvmsg(65536, space, _CLOEXEC)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data, beside = b"", []
        for level, kind, content in beside:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                whole = len(content) - len(content) % _INT.size
                self._passed += [number for (number,) in _INT.iter_unpack(content[:whole])]
        try:
            if not data:
                raise LinkError("it has gone")
            received = self._decoder.feed(data)
            if received:
                self._act(received)
        except LinkError:
            self.end()

    def _act(self, received: list[Frame]) -> None:
        if received[0].kind == frames.SOCKET:
            if len(self._passed) != 1:  # this process may have had no descriptor left
                raise LinkError("a socket that did not come")
            payload, sock = received[0].payload, self._take()
            self.end()
            self._mesh.take_socket(payload, sock)
        elif self._passed:
            raise LinkError("a descriptor that nobody asked for")
        else:
            self._mesh.welcome(self, received, self._decoder)

    def _take(self) -> socket.socket:
        number = self._passed.pop()
        os.set_inheritable(number, False)
        return plain_socket(_socket.socket(fileno=number))

    def release(self) -> socket.socket:
        """Stop reading, and return the connection to go on with."""
        self._watch.stop()
        self._timer.cancel()
        self._mesh.door.arrivals.discard(self)
        return self.sock

    def end(self) -> None:
        """Close it, and what came with it."""
        self._mesh.loop.discard(self.release())
        while self._passed:
            os.close(self._passed.pop())


class Passing:
    """The way of one socket to the worker that owns its session."""

    def __init__(self, mesh: Mesh, way: _socket.socket, query: str) -> None:
        self._mesh = mesh
        self._way = plain_socket(way)
        self._query = query

    def send(self, sock: Any, early: bytes, response: bytes) -> None:
        """Pass the socket on and close our copy; see `flask_sio.engine.away.HandOver`."""
        loop = self._mesh.loop
        loop.part_with(sock)
        head = frames.to_json({"q": self._query})
        payload = frames.join(head, frames.join(response, early))
        message = frames.encode(frames.SOCKET, 0, payload)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, _INT.pack(sock.fileno()))]
        try:
            sent = self._way.sendmsg([message], rights)
        except OSError:  # the owner has ended just now
            self._refuse(sock, response)
            sent = len(message)
        loop.discard(sock)
        if sent == len(message):
            loop.discard(self._way)
        else:
            stream = Stream(loop, self._way, _Deaf())
            stream.send(message[sent:])
            stream.close()

    @staticmethod
    def _refuse(sock: Any, response: bytes) -> None:
        if response:
            try:
                sock.send(http.ws_error(1).raw())
            except OSError:
                pass

    def cancel(self) -> None:
        self._way.close()


class _Deaf:
    def received(self, data: bytes) -> None: ...
    def gone(self) -> None: ...
