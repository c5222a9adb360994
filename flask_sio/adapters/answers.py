"""Answers that are owed: by one client, by many, or by other servers. Owner's turn only."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from flask_sio.errors import DisconnectedError, TimeoutError
from flask_sio.runtime.loop import Loop, Waiter

__all__ = ["Asker", "Callback", "CallbackWithin", "Found", "Gathering", "OwedAnswer"]

Callback = Callable[..., object]

T = TypeVar("T")


class CallbackWithin:
    """A callback that waits for each client so long, and is told who does not answer.

    It is called once for each client that was asked: with the answer, or with an exception
    as its only argument.
    """

    __slots__ = ("event", "fn", "heard", "seconds")

    def __init__(self, fn: Callback, seconds: float, event: str | int) -> None:
        """Raises ValueError where ``seconds`` are no time that can pass."""
        if not 0 <= seconds < float("inf"):
            raise ValueError(f"timeout={seconds!r}: accepted is a number of seconds from 0")
        self.fn = fn
        self.seconds = seconds
        self.event = event
        self.heard: set[str] = set()
        """Clients of other servers whose turn it was, by id."""

    def __call__(self, *args: Any) -> object:
        return self.fn(*args)

    def late(self) -> TimeoutError:
        """Return what it is called with when there is no answer in time."""
        return TimeoutError(f"no answer to {self.event!r} within {self.seconds} s")

    def left(self) -> DisconnectedError:
        """Return what it is called with when the client has left."""
        return DisconnectedError(f"the client left before it answered {self.event!r}")


class OwedAnswer:
    """Somebody of ours who waits for one client's answer; no user code."""

    __slots__ = ()

    def resolve(self, answer: list[Any]) -> None:
        """Take the answer, ``[*args]``."""
        raise NotImplementedError

    def fail(self) -> None:
        """Learn that there will be none: the client has left. Twice is harmless."""
        raise NotImplementedError


Asker = OwedAnswer | Callback
"""Who gets a client's answer; a function is user code, and goes through its mailbox."""


class Found(list[T]):
    """What was found, and who did not say."""

    missing: tuple[str, ...] = ()
    """Servers that gave no answer: they have ended, or were too slow."""


class Gathering:
    """The answers of several clients, or of several servers, to one request.

    It is over when each of its servers has said whom it has asked, or what it knows, and
    everybody who was asked has answered or left. A server that is lost is waited for no
    more, and named in ``missing``. Owner's turn, but for `wait`.
    """

    __slots__ = (
        "_is_over",
        "_loop",
        "_owed",
        "_servers",
        "_waiter",
        "_when_over",
        "answers",
        "asked_any",
        "callback",
        "missing",
        "results",
    )

    def __init__(
        self,
        servers: Iterable[str],
        loop: Loop | None = None,
        waiter: Waiter | None = None,
        callback: Callback | None = None,
    ) -> None:
        self._servers = set(servers)
        self._loop = loop
        self._waiter = waiter
        self._when_over: list[Callable[[], object]] = []
        self._owed: dict[str, str] = {}  # id -> the server it is a client of
        self._is_over = False
        self.callback = callback
        """What each answer is handed to, where it is not kept."""
        self.asked_any = False
        """Whether anybody was asked."""
        self.answers: dict[str, list[Any]] = {}
        """By the id of who answered, in the order they came."""
        self.results: list[Any] = []
        """What servers have said that were asked themselves."""
        self.missing: list[str] = []

    @property
    def owed(self) -> tuple[str, ...]:
        """The ids of those who have been asked and have neither answered nor left."""
        return tuple(self._owed)

    def owed_by(self, server: str) -> list[str]:
        """Return the ids of those clients of a server who owe an answer."""
        return [own_id for own_id, owner in self._owed.items() if owner == server]

    @property
    def silent(self) -> tuple[str, ...]:
        """The servers that were lost, and those that have said nothing yet."""
        return (*self.missing, *sorted(self._servers))

    def asked(self, server: str, ids: Iterable[str]) -> None:
        """Learn whom a server has asked. It may not ask itself again."""
        if server in self._servers and not self._is_over:
            self._servers.remove(server)
            for each in ids:
                self.asked_any = True
                self._owed[each] = server
            self.look()

    def answered(self, own_id: str, answer: list[Any] | None) -> None:
        """Take a client's answer; None of one who has left without."""
        if self._owed.pop(own_id, None) is None:
            return
        if answer is not None:
            self.answers[own_id] = answer
        self.look()

    def said(self, server: str, result: Any) -> None:
        """Take what a server knows."""
        if server in self._servers and not self._is_over:
            self._servers.remove(server)
            self.results.append(result)
            self.look()

    def lost(self, server: str) -> None:
        """Learn that a server will say nothing more, and its clients neither."""
        theirs = self.owed_by(server)
        if self._is_over or (server not in self._servers and not theirs):
            return
        self._servers.discard(server)
        for own_id in theirs:
            del self._owed[own_id]
        self.missing.append(server)
        self.look()

    def look(self) -> None:
        """End if there is nobody to wait for."""
        if not (self._owed or self._servers or self._is_over):
            self.end()

    def when_over(self, fn: Callable[[], object]) -> None:
        """Call ``fn`` at the end, at once if it is over already."""
        if self._is_over:
            fn()
        else:
            self._when_over.append(fn)

    def end(self) -> None:
        """Wait for nobody any more. Twice is harmless."""
        if self._is_over:
            return
        self._is_over = True
        for fn in self._when_over:
            fn()
        if self._waiter is not None:
            self._waiter.set()

    def wait(self, timeout: float | None) -> bool:
        """Wait in the thread that made it; after ``timeout`` seconds end it and return False."""
        if self._waiter is None:
            return True
        is_over = False
        try:
            is_over = bool(self._waiter.wait(timeout))
        finally:
            if not is_over and self._loop is not None:
                self._loop.call(self.end)
        return is_over
