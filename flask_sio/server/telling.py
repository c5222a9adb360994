"""Tells user code of what has happened: in order, one thing at a time, on a worker, bounded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from flask_sio.server.server import Server

__all__ = ["Telling"]

MAX_WAITING = 10_000
"""Things that nobody has been told of yet; beyond them some are missed, and the log says so."""
_AT_ONCE = 100

T = TypeVar("T")


class Telling(Generic[T]):
    """What listeners of one kind are still to be told. Owner's turn, but for `_run`."""

    def __init__(
        self,
        server: Server,
        listeners: str,
        tell: Callable[[T], object],
        on_idle: Callable[[], object] | None = None,
        most: int | None = None,
    ) -> None:
        """``tell`` runs on a worker; ``listeners`` names them in the log.

        ``most`` may wait, `MAX_WAITING` without.
        """
        self._server = server
        self._listeners = listeners
        self._tell = tell
        self._on_idle = on_idle
        self._most = most
        self._waiting: deque[T] = deque()
        self.is_busy = False

    def put(self, thing: T) -> None:
        """Take what listeners are to be told; never raises or waits."""
        most = self._most or MAX_WAITING
        if len(self._waiting) >= most:
            self._server.engine.warn_once(
                f"{self._listeners} listeners are slower than what they are told: beyond "
                f"{most} waiting they miss some (said once)"
            )
            return
        self._waiting.append(thing)
        if not self.is_busy:
            self.is_busy = True
            self._server.engine.loop.defer(self._run)

    def _take(self) -> list[T]:
        """Return what comes next, the first one last."""
        waiting = self._waiting
        taken = [waiting.popleft() for _ in range(min(_AT_ONCE, len(waiting)))]
        if not taken:
            self.is_busy = False
            if self._on_idle is not None:
                self._on_idle()
        taken.reverse()
        return taken

    def _resume(self, untold: list[T]) -> None:
        self._waiting.extendleft(untold)
        self._server.engine.loop.defer(self._run)

    def _run(self) -> None:
        """Tell all there is. On a worker."""
        loop, untold = self._server.engine.loop, []
        try:
            while untold := loop.call(self._take):
                while untold:
                    self._tell(untold.pop())
        except BaseException:  # a timeout or a kill that was meant for one listener
            loop.run(self._resume, untold)
            raise
