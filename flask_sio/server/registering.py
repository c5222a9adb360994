"""What a program registers with a server beside the handlers of events.

Each method takes a function and returns it, so that it serves as a decorator. Any thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask_sio.engine.hooks import ConnectionFailure, HeadersHook
from flask_sio.engine.server import Engine

__all__ = ["Registering"]

F = TypeVar("F", bound=Callable[..., Any])
H = TypeVar("H", bound=HeadersHook)


class Registering:
    """The part of `Server` that hooks are registered with."""

    engine: Engine

    # -- requests ----------------------------------------------------------------------

    def on_connection_error(
        self, fn: Callable[[ConnectionFailure], Any]
    ) -> Callable[[ConnectionFailure], Any]:
        """Call a function with each request that is refused: its code, message, environ.

        It runs before the answer is sent, in the server's thread. What it raises is logged.
        """
        hooks = self.engine.hooks
        hooks.connection_error = (*hooks.connection_error, fn)
        return fn

    def on_initial_headers(self, fn: H) -> H:
        """Let ``fn(headers, environ)`` add headers to the first answer a client gets.

        That is the handshake's, or the 101 of a WebSocket that comes first; ``headers`` is
        an empty `wsgiref.headers.Headers`. What it raises is logged once, and what no
        answer can carry is left out.
        """
        hooks = self.engine.hooks
        hooks.initial_headers = (*hooks.initial_headers, fn)
        return fn

    def on_headers(self, fn: H) -> H:
        """Let ``fn(headers, environ)`` add headers to every answer; see `on_initial_headers`."""
        hooks = self.engine.hooks
        hooks.headers = (*hooks.headers, fn)
        return fn
