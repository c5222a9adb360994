"""When to ping, and when a peer that does not answer is gone (Engine.IO 4, *Heartbeat*).

Values in, values out: the clock is an argument. A pong re-arms nothing, it only sets
`Heartbeat.heard`; any other byte of the peer does too. One timer per connection asks
`Heartbeat.due` what to do and when to ask again.
"""

from __future__ import annotations

from typing import Literal

Action = Literal["ping", "wait", "silent"]

_EARLY_S = 0.001
"""A timer may fire this much before its time; that still counts as due."""


class Heartbeat:
    """The heartbeat of one connection, as its server sees it."""

    __slots__ = ("_held_up", "_pinged_at", "heard")

    def __init__(self) -> None:
        self.heard = True
        """Whether a byte came in since the last ping."""
        self._pinged_at: float | None = None
        self._held_up = 0.0

    def due(
        self, now: float, interval_s: float, timeout_s: float, held_up_s: float
    ) -> tuple[Action, float]:
        """Return what to do at ``now``, and when to ask again.

        ``held_up_s`` is how long the loop has been held up in all: a deadline moves by
        what was added to it since the ping. ``"silent"`` means that the deadline has
        passed; the caller reads the socket once more before it believes it.
        """
        pinged_at = self._pinged_at
        if pinged_at is not None:
            next_ping = pinged_at + interval_s
            deadline = pinged_at + timeout_s + (held_up_s - self._held_up)
            if self.heard:
                if now < next_ping - _EARLY_S:
                    return "wait", next_ping
            elif now < deadline - _EARLY_S:
                return "wait", min(next_ping, deadline) if now < next_ping else deadline
            else:
                return "silent", now
        self._pinged_at = now
        self._held_up = held_up_s
        self.heard = False
        return "ping", now + min(interval_s, timeout_s)
