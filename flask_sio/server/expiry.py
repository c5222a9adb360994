"""When a client's time is over, as its token says."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask_sio.protocol.timers import Timer
    from flask_sio.server.socket import Socket

__all__ = ["EXPIRED", "Expiry"]

EXPIRED = "expired"
"""What the details of a disconnect handler say of it."""

# A timer that is cancelled leaves its place on the wheel until its time: an hour's tokens of
# clients that come and go would leave hundreds of thousands. So none is set further ahead.
_STEP_S = 60.0


class Expiry:
    """One socket's last moment, and the timer that waits for it. Owner's turn only."""

    __slots__ = ("_deadline", "_socket", "_timer")

    def __init__(self, socket: Socket) -> None:
        self._socket = socket
        self._deadline = 0.0
        self._timer: Timer | None = None

    def set(self, deadline: float) -> None:
        """Let its time be over at ``deadline``, on the loop's clock."""
        self.cancel()
        self._deadline = deadline
        self._wait()

    def cancel(self) -> None:
        """Let it stay."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self) -> None:
        loop = self._socket.client.server.engine.loop
        when = min(self._deadline, loop.now() + _STEP_S)
        self._timer = loop.call_at(when, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._socket.client.server.engine.loop.now() < self._deadline:
            self._wait()
        else:
            self._socket.client.disconnect(self._socket, EXPIRED)
