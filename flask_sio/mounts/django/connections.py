"""Database connections that user code opens, and that end with it.

A worker ends or is cleaned of its thread-local values, where Django keeps database
connections; so those that a run of user code has opened are closed with it, whatever
CONN_MAX_AGE says. Asking Django what is open would itself leave a value on the worker:
its signal tells.
"""

from __future__ import annotations

import threading
from contextvars import ContextVar
from types import TracebackType
from typing import Any

from django.core.cache import caches
from django.db.backends.signals import connection_created

__all__ = ["Connections", "watch_connections"]

_current: ContextVar[Connections] = ContextVar("flask_sio.django.connections")


class Connections:
    """What one run of user code opens, closed at the end of the ``with`` block."""

    __slots__ = ("_is_over", "_opened", "_token")

    def __init__(self) -> None:
        self._opened: list[tuple[int, Any]] = []
        """Each after the ident of its thread."""
        self._is_over = False

    def add(self, connection: Any) -> None:
        """Take one that was opened, maybe on another thread, and maybe too late."""
        if not self._is_over:
            self._opened.append((threading.get_ident(), connection))

    def __enter__(self) -> None:
        self._token = _current.set(self)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_over = True
        _current.reset(self._token)
        caches.close_all()
        thread = threading.get_ident()
        for opened_by, connection in self._opened:
            # In an unpatched process greenlets share a connection; none loses its transaction.
            if opened_by == thread and not connection.in_atomic_block:
                connection.close()


def watch_connections() -> None:
    """Have Django tell of each connection; once per process, however often it is called."""
    connection_created.connect(_note, dispatch_uid="flask_sio")


def _note(connection: Any, **_: Any) -> None:
    current = _current.get(None)
    if current is not None:
        current.add(connection)
