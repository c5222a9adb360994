"""What a client makes us keep before a handler sees it: newcomers, half packets, data that waits.

Owner's turn only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask_sio.protocol.timers import Timer
    from flask_sio.server.client import Client

_PER_CONTAINER = 80
_PER_ITEM = 24
"""Measured with CPython 3.11: an empty array or object is 80 bytes with its place, ``{"a":1}``
192, an item of its own 8 to 48."""


def weight(text: str) -> int:
    """Estimate the bytes that a packet holds once it is decoded. Three scans, in C."""
    containers = text.count("[") + text.count("{")
    return len(text) + _PER_CONTAINER * containers + _PER_ITEM * text.count(",")


class Partial:
    """A packet whose attachments are still coming."""

    __slots__ = ("_deadline", "size")

    def __init__(self, deadline: Timer) -> None:
        self._deadline = deadline
        self.size = 0
        """Bytes that have come of it."""

    def end(self) -> int:
        """Wait for it no more; return its size."""
        self._deadline.cancel()
        return self.size


def lobby_size(max_connections: int) -> int:
    """Return how many may wait at the door of a server that takes so many in."""
    return max(1000, max_connections // 4)


class Lobby:
    """The clients that have joined no namespace yet.

    Over its size the one that came first is closed: an honest client joins within a round
    trip, so that those who stay are not honest, and newcomers are let in.
    """

    __slots__ = ("_size", "_waiting")

    def __init__(self, size: int) -> None:
        self._size = size
        self._waiting: dict[Client, None] = {}

    def enter(self, client: Client) -> None:
        self._waiting[client] = None
        if len(self._waiting) > self._size:
            # Ended, not closed: a closing one is kept until it polls.
            next(iter(self._waiting)).connection.end("forced server close")

    def leave(self, client: Client) -> None:
        """Forget a client that has joined or left. Twice is harmless."""
        self._waiting.pop(client, None)

    def clear(self) -> None:
        self._waiting.clear()

    def __len__(self) -> int:
        return len(self._waiting)
