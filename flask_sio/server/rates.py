"""How many events a client may send: so many a second, and so many at once."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask_sio.server.client import Client

__all__ = ["EventRate"]


class EventRate:
    """A token bucket for each client that has sent something. Owner's turn only.

    It keeps one number per client, the time at which its bucket will be full again (the
    *generic cell rate algorithm*, ITU-T I.371). A server without a limit has no such object.
    """

    __slots__ = ("_full_at", "_interval_s", "_tolerance_s")

    def __init__(self, per_s: float, burst: int | None) -> None:
        size = max(1, math.ceil(2 * per_s)) if burst is None else burst
        self._interval_s = 1 / per_s
        self._tolerance_s = (size - 1) * self._interval_s + 1e-9
        self._full_at: dict[Client, float] = {}

    def admits(self, client: Client, now: float) -> bool:
        """Whether an event that comes now is within the limit; it counts if it is."""
        full_at = max(self._full_at.get(client, 0.0), now)
        if full_at - now > self._tolerance_s:
            return False
        self._full_at[client] = full_at + self._interval_s
        return True

    def forget(self, client: Client) -> None:
        """Forget a client that has left."""
        self._full_at.pop(client, None)

    def clear(self) -> None:
        """Forget all."""
        self._full_at.clear()
