"""Connections whose client takes what it is sent too slowly, and those awaited to be empty.

Nothing of it is kept per connection: one that keeps up is in no table. Owner's turn only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask_sio.engine.connection import Connection

__all__ = ["Pressure"]


class Pressure:
    """What of one engine's connections is under way to clients that are slow."""

    __slots__ = ("_high", "_waiting", "high_bytes", "on_change")

    def __init__(self) -> None:
        self.high_bytes: int | None = None
        """Waiting bytes from which somebody wants to know; None if nobody does."""
        self.on_change: Callable[[Connection, bool], object] = lambda connection, is_high: None
        """Told of one that has this much waiting, and of one that has nothing any more."""
        self._high: set[Connection] = set()
        self._waiting: dict[Connection, list[Callable[[], object]]] = {}

    def __bool__(self) -> bool:
        return bool(self._high or self._waiting)

    def rise(self, connection: Connection) -> None:
        """Note that a connection has ``high_bytes`` waiting."""
        if connection not in self._high:
            self._high.add(connection)
            connection.await_drain()
            self.on_change(connection, True)

    def wait(self, connection: Connection, fn: Callable[[], object]) -> None:
        """Call ``fn`` once nothing waits for the client; never if the connection ends first."""
        self._waiting.setdefault(connection, []).append(fn)
        connection.await_drain()

    def fall(self, connection: Connection) -> None:
        """Note that nothing waits for a client any more."""
        if connection in self._high:
            self._high.remove(connection)
            self.on_change(connection, False)
        for fn in self._waiting.pop(connection, ()):
            fn()

    def forget(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        self._high.discard(connection)
        self._waiting.pop(connection, None)

    def clear(self) -> None:
        """Forget all, in a forked child."""
        self._high.clear()
        self._waiting.clear()
