"""Answers that may come late: a client's to us, within a time, and ours to a client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask_sio.adapters.answers import Callback, CallbackWithin, OwedAnswer

if TYPE_CHECKING:
    from flask_sio.protocol.timers import Timer
    from flask_sio.server.socket import Socket

__all__ = ["Ack", "TimedCallback"]


class TimedCallback(OwedAnswer):
    """One client's part of a `CallbackWithin`. Owner's turn only."""

    __slots__ = ("_asked", "_number", "_socket", "_timer")

    def __init__(self, socket: Socket, asked: CallbackWithin) -> None:
        self._socket = socket
        self._asked = asked
        self._number = 0
        self._timer: Timer | None = None

    def start(self, number: int) -> None:
        """Begin to wait for the answer of this number."""
        loop = self._socket.client.server.engine.loop
        self._number = number
        self._timer = loop.call_at(loop.now() + self._asked.seconds, self._expire)

    def stop(self) -> Callback:
        """Wait no more; return the callback."""
        if self._timer is not None:
            self._timer.cancel()
        return self._asked.fn

    def fail(self) -> None:
        """Tell the callback that the client has left."""
        self._socket.client.call_back(self._socket, self.stop(), self._asked.left())

    def _expire(self) -> None:
        if self._socket.take_ack(self._number) is self:
            self._socket.client.call_back(self._socket, self._asked.fn, self._asked.late())


class Ack:
    """An acknowledgement that is sent when you call it: a handler returns one.

    ``done = Ack()``, hand it to a background task, ``return done``; ``done(*args)`` is what
    the client gets. It may be called in any thread, before the handler has returned too;
    only the first time counts. One is for one event.
    """

    __slots__ = ("_state",)

    def __init__(self) -> None:
        # Single operations of a dict, which no thread can come between, take a lock's place.
        self._state: dict[str, Any] = {"unsent": True}

    @property
    def requested(self) -> bool | None:
        """Whether the client waits for it; None until the handler has returned."""
        to = self._state.get("to")
        return None if to is None else to[1] is not None

    def __call__(self, *args: Any) -> None:
        """Send it.

        Raises:
            TypeError: data that is no JSON, if the handler has returned; else the log says so.
        """
        self._state.setdefault("args", args)
        self._settle()

    def bind(self, socket: Socket, ack_id: int | None) -> None:
        """Learn whose acknowledgement it is. On a worker.

        Raises:
            RuntimeError: it is another event's.
        """
        to = (socket, ack_id)
        if self._state.setdefault("to", to) is not to:
            raise RuntimeError("an Ack is for one event: make a new one in each handler's run")
        self._settle()

    def _settle(self) -> None:
        state = self._state
        if "to" not in state or "args" not in state or not state.pop("unsent", False):
            return
        socket, ack_id = state["to"]
        if ack_id is not None:
            socket.client.acknowledge(socket, ack_id, state["args"])

    def __repr__(self) -> str:
        return f"<Ack {'unsent' if 'unsent' in self._state else 'sent'}>"
