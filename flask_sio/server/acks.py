"""Acknowledgements that one socket still owes us, and what waits for its end. Owner's turn only.

A waiting `call()` is resolved at once, whatever else its client has queued; a callback is
user code and goes through the mailbox.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask_sio.adapters.answers import Asker, OwedAnswer

if TYPE_CHECKING:
    from flask_sio.runtime.loop import Waiter
    from flask_sio.server.expiry import Expiry

__all__ = ["Acks"]


class Acks:
    """What one socket was asked, by ack id."""

    __slots__ = ("_limit", "_next", "_owed", "expiry", "waiters")

    def __init__(self, limit: int) -> None:
        """Let it owe so many answers; beyond that the oldest is given up."""
        self._limit = limit
        self._next = 1
        self._owed: dict[int, Asker] = {}
        self.waiters: set[Waiter] | None = None
        """Who wants to know when the client leaves."""
        self.expiry: Expiry | None = None
        """When it has to leave, if that was ever said: here, as few sockets have any of this."""

    def ask(self, whom: Asker) -> int:
        """Return the id under which the answer will come."""
        number = self._next
        self._next += 1
        self._owed[number] = whom
        if len(self._owed) > self._limit:
            oldest = self._owed.pop(next(iter(self._owed)))
            if isinstance(oldest, OwedAnswer):
                oldest.fail()
        return number

    def take(self, number: int) -> Asker | None:
        """Return who waits for an answer, once; None for an unknown or repeated id."""
        return self._owed.pop(number, None)

    def fail_all(self) -> None:
        """Let every waiting call go; callbacks will never be called, and no timer waits."""
        if self.expiry is not None:
            self.expiry.cancel()
        waiters, self.waiters = self.waiters, None
        for waiter in waiters or ():
            waiter.set()
        owed, self._owed = self._owed, {}
        for whom in owed.values():
            if isinstance(whom, OwedAnswer):
                whom.fail()
