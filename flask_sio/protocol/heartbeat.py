"""When to ping, and when a silent peer is gone (Engine.IO, *Heartbeat*).

Values in, values out: the clock is an argument. A pong re-arms nothing, it only sets
`Heartbeat.heard`; any other byte of the peer does too. One timer per connection asks
`Heartbeat.due` what to do and when to ask again.
"""

from __future__ import annotations

from typing import Literal

Action = Literal["ping", "wait", "silent"]

_EARLY_S = 0.002
"""A timer may fire this much before its time; that still counts as due."""
_ROUNDED_UP_S = 0.001
"""Asked for so much earlier: who counts the announced milliseconds must not find us late."""
_LATE_S = 0.005
"""A ping up to this late counts from its time: the rounding of timers must not add up."""


class Heartbeat:
    """The heartbeat of one connection, as its server sees it."""

    __slots__ = ("_held_up", "_pinged_at", "chatter", "heard")

    def __init__(self, opened_at: float) -> None:
        self.heard = True
        """Whether a byte came in since the last ping."""
        self.chatter = 0
        """Packets without a message since the last ping: for the caller to count."""
        self._pinged_at = opened_at  # the handshake is as good as a ping that was answered
        self._held_up = 0.0

    def due(
        self, now: float, interval_s: float, timeout_s: float, held_up_s: float
    ) -> tuple[Action, float]:
        """Return what to do at ``now``, and when to ask again.

        ``held_up_s`` is how long the loop has been held up in all: a deadline moves by
        what was added to it since the ping. ``"silent"`` means that the deadline has
        passed; the caller reads the socket once more before it believes it.
        """
        next_ping = self._pinged_at + interval_s
        if self.heard:
            if now < next_ping - _EARLY_S:
                return "wait", next_ping
        else:
            deadline = self._pinged_at + timeout_s + (held_up_s - self._held_up)
            if now < deadline - _EARLY_S:
                when = min(next_ping, deadline) if now < next_ping else deadline
                return "wait", when - _ROUNDED_UP_S
            return "silent", now
        self._pinged_at = next_ping if now - next_ping < _LATE_S else now
        self._held_up = held_up_s
        self.heard = False
        self.chatter = 0
        return "ping", self._pinged_at + min(interval_s, timeout_s) - _ROUNDED_UP_S


class Heartbeat3(Heartbeat):
    """The heartbeat of a client of Engine.IO 3, which pings by itself.

    It is gone when nothing came for the interval and the timeout together.
    """

    __slots__ = ("_heard_at",)

    def __init__(self, opened_at: float) -> None:
        super().__init__(opened_at)
        self._heard_at = opened_at

    def hear(self, now: float) -> None:
        """Note that a byte came in."""
        self.heard = True
        self._heard_at = now

    def due(
        self, now: float, interval_s: float, timeout_s: float, held_up_s: float
    ) -> tuple[Action, float]:
        """Return ``"wait"`` or ``"silent"``, and when to ask again; see `Heartbeat.due`."""
        if self.heard:
            self.heard = False
            self.chatter = 0
            self._held_up = held_up_s
        deadline = self._heard_at + interval_s + timeout_s + (held_up_s - self._held_up)
        return ("silent", now) if now >= deadline - _EARLY_S else ("wait", deadline)
