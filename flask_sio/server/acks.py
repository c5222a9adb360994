"""Acknowledgements that one socket still owes us. Owner's turn only.

A waiting `call()` is resolved at once, whatever else its client has queued; a callback is
user code and goes through the mailbox.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask_sio.runtime.loop import Waiter


class PendingCall:
    """One `call()` that waits for its answer."""

    __slots__ = ("_waiter", "answer", "disconnected")

    def __init__(self, waiter: Waiter) -> None:
        self._waiter = waiter
        self.answer: list[Any] | None = None
        self.disconnected = False

    def resolve(self, answer: list[Any]) -> None:
        self.answer = answer
        self._waiter.set()

    def fail(self) -> None:
        """Let the caller go: its client has left. Twice is harmless."""
        if not self.disconnected:
            self.disconnected = True
            self._waiter.set()

    def wait(self, timeout: float | None) -> bool:
        """Wait in the caller's thread; return False after ``timeout`` seconds."""
        return bool(self._waiter.wait(timeout))


Callback = Callable[..., object]


class Acks:
    """What one socket was asked, by ack id."""

    __slots__ = ("_limit", "_next", "_owed")

    def __init__(self, limit: int) -> None:
        """Let it owe so many answers; beyond that the oldest is given up."""
        self._limit = limit
        self._next = 1
        self._owed: dict[int, PendingCall | Callback] = {}

    def ask(self, whom: PendingCall | Callback) -> int:
        """Return the id under which the answer will come."""
        number = self._next
        self._next += 1
        self._owed[number] = whom
        if len(self._owed) > self._limit:
            oldest = self._owed.pop(next(iter(self._owed)))
            if isinstance(oldest, PendingCall):
                oldest.fail()
        return number

    def take(self, number: int) -> PendingCall | Callback | None:
        """Return who waits for an answer, once; None for an unknown or repeated id."""
        return self._owed.pop(number, None)

    def fail_all(self) -> None:
        """Let every waiting call go; callbacks will never be called."""
        owed, self._owed = self._owed, {}
        for whom in owed.values():
            if isinstance(whom, PendingCall):
                whom.fail()
