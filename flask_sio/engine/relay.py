"""A socket that cannot leave this process, for a session that another worker owns.

TLS that ends here is tied to its object. So the owner gets one end of a socket pair and
treats it like any client's socket, and the WSGI call waits while this loop copies bytes
between the other end and the client. What the client does not take is bounded by
``max_outbound_bytes``: over it the client is cut off, as a slow one always is.
"""

from __future__ import annotations

import _socket
from typing import TYPE_CHECKING, Any

from flask_sio.runtime.stream import Stream
from flask_sio.runtime.takeover import plain_socket

if TYPE_CHECKING:
    from flask_sio.engine.server import Engine


class _Side:
    """Reads one side and writes to the other. Owner's turn only."""

    def __init__(self, limit: int) -> None:
        self.own: Stream | None = None
        self.other: Stream | None = None
        self._limit = limit

    def received(self, data: bytes) -> None:
        if self.other is None or self.own is None:
            return
        self.other.send(data)
        if self.other.buffered_bytes > self._limit:
            self.other.abort()
            self.own.close()

    def gone(self) -> None:
        if self.other is not None:
            self.other.close()


class Relay:
    """The two ends, before and while bytes go through."""

    def __init__(self, engine: Engine, near: Any, far: Any) -> None:
        self._engine = engine
        self._near = near
        self.far_end = far
        """For the session's owner."""

    @classmethod
    def prepare(cls, engine: Engine) -> Relay:
        """Acquire what can fail.

        Raises:
            OSError: no descriptor is left.
        """
        # Not socket.socketpair(): in a patched process it makes two gevent sockets.
        near, far = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
        return cls(engine, plain_socket(near), plain_socket(far))

    def run(self, client: Any) -> None:
        """Copy bytes until both sides have ended. Waits, in the WSGI call of the client."""
        loop = self._engine.loop
        closed = loop.waiter()
        streams: list[Stream] = []

        def ended(stream: Stream) -> None:
            streams.remove(stream)
            if not streams:
                closed.set()

        def start() -> None:
            limit = self._engine.options.max_outbound_bytes
            sides = _Side(limit), _Side(limit)
            outer = Stream(loop, client, sides[0], owned=False)
            inner = Stream(loop, self._near, sides[1])
            sides[0].own, sides[0].other = outer, inner
            sides[1].own, sides[1].other = inner, outer
            streams.extend((outer, inner))
            for stream in (outer, inner):
                self._engine.keep(stream)
                stream.when_closed(ended)

        loop.call(start)
        try:
            closed.wait()
        finally:  # also for a kill: the server closes the descriptor when this call ends
            loop.call(self._abort, streams)

    @staticmethod
    def _abort(streams: list[Stream]) -> None:
        for stream in list(streams):
            stream.abort()
