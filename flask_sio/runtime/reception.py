"""Where newcomers wait in line, so that a crowd of them holds up nobody who is there.

A handshake costs as much as twenty events, and a server accepts a hundred connections in one
pass of the loop. Those who ask for a session or a WebSocket are taken in for `RECEPTION_S` a pass,
in the order in which they came; who asks without end waits most of the time.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any

from gevent.hub import Waiter

if TYPE_CHECKING:
    from flask_sio.runtime.gevent import GeventLoop

__all__ = ["RECEPTION_S", "Reception"]

RECEPTION_S = 0.003
"""What all newcomers together get of one pass, but for the last, who may end what it has begun."""


class Reception:
    """First come, first served. Greenlets of the hub's thread."""

    def __init__(self, loop: GeventLoop) -> None:
        self._waiting: deque[Waiter[None]] = deque()
        self._timer: Any = loop.libev.timer(0.0)
        self._is_open = False
        """Whether somebody was taken in since the loop has looked at its sockets."""
        self._until = 0.0

    def wait(self) -> None:
        """Return when the calling greenlet may go on: at once, if few have come."""
        now = time.perf_counter()
        if not self._is_open:
            self._open(now)
        elif self._waiting or now > self._until:
            place: Waiter[None] = Waiter()
            self._waiting.append(place)
            place.get()  # the place of one that is killed stays, and switches into nobody

    def _open(self, now: float) -> None:
        self._is_open = True
        self._until = now + RECEPTION_S
        # A timer, not run_callback: those are run again and again before the poll.
        self._timer.start(self._go_on)

    def _go_on(self) -> None:
        """Take in those who wait. In the hub, outside of a turn: they are switched into."""
        self._timer.stop()
        self._is_open = False
        if not self._waiting:
            return
        self._open(time.perf_counter())
        while self._waiting and time.perf_counter() <= self._until:
            self._waiting.popleft().switch(None)

    def forget(self) -> None:
        """In a forked child: those who wait are the parent's."""
        self._waiting.clear()
        self._timer.stop()
