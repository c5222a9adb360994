"""Broadcasts to many, some recipients at a time, so that others are served in between.

Nobody notices but by the clock: whatever else its namespace sends to a recipient that still
waits, it is served first (`FanOut.serve`), so that the order is the one in which things were
emitted. Between two namespaces of a connection no order is promised.
Owner's turn only.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from flask_sio.adapters.rooms import Recipient, Rooms

if TYPE_CHECKING:
    from flask_sio.adapters.adapter import EmitResult
    from flask_sio.runtime.loop import Loop

__all__ = ["AT_ONCE", "FanOut", "FanOuts"]

logger = logging.getLogger("flask_sio.server")

AT_ONCE = 256
"""Recipients served before sockets and timers get their turn: about 2 ms.

p99 of an echo beside broadcasts to 10,000: see ``storm1000`` of the benchmarks.
"""
_MAX_UNDER_WAY = 16
"""Broadcasts that may be on their way; with more the oldest is finished first."""

Send = Callable[[Recipient], bool]


class FanOut:
    """One broadcast on its way."""

    __slots__ = (
        "_has_failed",
        "_order",
        "_place",
        "_queued",
        "_result",
        "_rooms",
        "_send",
        "_waiting",
    )

    def __init__(
        self, rooms: Rooms, recipients: list[Recipient], send: Send, result: EmitResult | None
    ) -> None:
        self._rooms = rooms
        self._order = recipients
        self._place = 0
        self._waiting = set(recipients)
        self._send = send
        self._queued = 0
        self._has_failed = False
        self._result = result
        if result is not None:
            result.fan_out = self
        rooms.fan_outs = (*rooms.fan_outs, self)

    @property
    def is_over(self) -> bool:
        return self._place >= len(self._order)

    def go_on(self, count: int) -> None:
        """Serve so many more."""
        until = self._place + count
        for recipient in self._order[self._place : until]:
            if recipient in self._waiting:
                self.serve(recipient)
        self._place = until
        if self.is_over:
            self._end()

    def serve(self, recipient: Recipient) -> None:
        """Send to one recipient now, if it still waits: what was made before this comes first."""
        if recipient not in self._waiting:
            return
        rooms, fan_outs = self._rooms, self._rooms.fan_outs
        for older in fan_outs:
            if older is self:
                break
            older.serve(recipient)
        self._waiting.remove(recipient)
        rooms.fan_outs = ()  # it need not be served first by those that come after this
        try:
            self._queued += self._send(recipient)
        except Exception:  # the others get theirs
            if not self._has_failed:
                self._has_failed = True
                logger.exception("a broadcast failed for a client (said once for each)")
        finally:
            rooms.fan_outs = fan_outs

    def finish(self) -> None:
        """Serve all who wait. Twice is harmless."""
        if not self.is_over:
            self.go_on(len(self._order))

    def _end(self) -> None:
        self._rooms.fan_outs = tuple(each for each in self._rooms.fan_outs if each is not self)
        if self._result is not None:
            self._result.counts = (len(self._order), self._queued)
            self._result.fan_out = None


class FanOuts:
    """The broadcasts of one server that are on their way, in the order they were made."""

    __slots__ = ("_loop", "_under_way")

    def __init__(self) -> None:
        self._loop: Loop | None = None
        self._under_way: deque[FanOut] = deque()

    def start(self, fan_out: FanOut, loop: Loop) -> None:
        """Serve the first recipients now, or after the broadcasts before it."""
        if loop is not self._loop:  # with the last one its clients have gone
            self._loop = loop
            self._under_way.clear()
        if not self._under_way:
            fan_out.go_on(AT_ONCE)
            loop.later(self._go_on, loop)
        elif len(self._under_way) >= _MAX_UNDER_WAY:
            self._under_way.popleft().finish()
        self._under_way.append(fan_out)

    def _go_on(self, loop: Loop) -> None:
        if loop is not self._loop:
            return
        while self._under_way and self._under_way[0].is_over:
            self._under_way.popleft()
        if self._under_way:
            self._under_way[0].go_on(AT_ONCE)
            loop.later(self._go_on, loop)
