"""The time a request's body may take.

A WSGI call that reads a body holds a thread or a greenlet, and nothing in WSGI bounds how
long. Ours ends it from outside: the read side of the server's own socket is shut down,
and whoever waits in it learns of an end.
"""

from __future__ import annotations

import _socket
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from flask_sio.runtime import takeover

if TYPE_CHECKING:
    from flask_sio.protocol.timers import Timer
    from flask_sio.runtime.loop import Loop


class BodyDeadline:
    """Bounds the reading of one request's body, in the call that reads it."""

    __slots__ = ("_environ", "_loop", "_start_response", "_timer", "passed")

    def __init__(self, loop: Loop, environ: dict[str, Any], start_response: Any) -> None:
        self._loop = loop
        self._environ = environ
        self._start_response = start_response
        self._timer: Timer | None = None
        self.passed = False
        """Whether the reading was ended."""

    @contextmanager
    def of(self, seconds: float) -> Iterator[None]:
        """While entered, end what is read for longer than this."""
        self._loop.run(self._start, seconds)
        try:
            yield
        finally:
            self._loop.run(self._cancel)

    def _start(self, seconds: float) -> None:
        self._timer = self._loop.call_at(self._loop.now() + seconds, self._end)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self) -> None:
        self._timer = None
        self.passed = True
        sock = takeover.server_socket(self._environ, self._start_response)
        # gevent's socket stands before the system's.
        plain = getattr(sock, "_sock", sock)
        if isinstance(plain, _socket.socket):
            try:
                # Not TLS's own shutdown, which would forget the keys another thread reads with.
                _socket.socket.shutdown(plain, socket.SHUT_RD)
            except OSError:
                pass  # the client has left meanwhile
