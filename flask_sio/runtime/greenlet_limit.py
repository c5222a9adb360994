"""Time limits under gevent: a greenlet is interrupted wherever it waits, as by `gevent.Timeout`."""

from __future__ import annotations

from typing import Any

from greenlet import getcurrent

from flask_sio.runtime.loop import TimeIsUp

__all__ = ["GreenletLimit"]


class GreenletLimit:
    """The time of what the current greenlet of the hub's thread goes on to do.

    The timer's own callback throws, and nothing is queued: once it is stopped nothing can
    reach the greenlet, whatever that does next.
    """

    __slots__ = ("_timer", "up")

    def __init__(self, libev: Any, seconds: float) -> None:
        self.up = TimeIsUp()
        self._timer = libev.timer(seconds)
        self._timer.start(getcurrent().throw, self.up, update=True)

    def end(self) -> bool:
        self._timer.stop()
        self._timer.close()
        del self.up  # whose traceback holds frames that may hold this
        return True
