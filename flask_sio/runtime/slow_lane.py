"""The lane of those who want more than their share of the loop: a little of it in each pass.

A peer that has more to say than one turn takes is read on here, not whenever its socket is
readable. However many such peers there are, they hold up the others for `LANE_S` a pass.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask_sio.runtime.loop import Loop

__all__ = ["LANE_S", "SlowLane"]

LANE_S = 0.002
"""What all of them get of one pass, but for the last, who may end what it has begun."""


class SlowLane:
    """First come, first served; owner's turn."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._waiting: deque[Callable[[], object]] = deque()
        self._is_due = False

    def add(self, fn: Callable[[], object]) -> None:
        """Call ``fn`` in a pass to come; it must not raise."""
        self._waiting.append(fn)
        self._go_on()

    def _go_on(self) -> None:
        if self._waiting and not self._is_due:
            self._is_due = True
            self._loop.later(self._serve)

    def _serve(self) -> None:
        self._is_due = False
        until = time.perf_counter() + LANE_S
        try:
            for _ in range(len(self._waiting)):  # who comes back waits for the next pass
                self._waiting.popleft()()
                if time.perf_counter() > until:
                    break
        finally:
            self._go_on()
