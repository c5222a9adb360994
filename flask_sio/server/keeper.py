"""What one server keeps of users: which servers they are at, and what was told of them.

Told is told once: of a user who is at several servers, who goes from one to the other, or who
comes back within the grace, nothing is told a second time. Whether this server is the one to
tell is not known here; see `flask_sio.server.keepers`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from flask_sio.protocol.timers import Timer
    from flask_sio.runtime.loop import Loop

__all__ = ["Keeper", "Key", "PresenceEvent"]

PresenceEvent = Literal["online", "offline"]

Key = tuple[str, str]
"""A namespace, and a user's id."""


LATE_S = 60.0
"""How long servers that live may have lost each other and still learn what was told meanwhile."""


class _Entry:
    """One user, in one namespace."""

    __slots__ = ("is_told", "servers", "timer", "until")

    def __init__(self) -> None:
        self.servers: dict[str, int] = {}
        """Where the user is: 0 if that server knows that "online" was told, else its number."""
        self.is_told = False
        """Whether "online" was told, and "offline" not since."""
        self.until: float | None = None
        """When "offline" is due, on the loop's clock; None while it is not."""
        self.timer: Timer | None = None

    def cancel(self) -> None:
        """Let "offline" not come due by itself."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class Keeper:
    """The users that this server keeps. Owner's turn only."""

    def __init__(
        self,
        grace_s: float,
        loop: Callable[[], Loop],
        tell: Callable[[PresenceEvent, Key], object],
    ) -> None:
        self._grace_s = grace_s
        self._loop = loop
        self._on_told = tell
        self._entries: dict[Key, _Entry] = {}
        self._latest: dict[Key, tuple[PresenceEvent, float]] = {}
        """What was told of late, the latest at the end, and when."""
        self.is_settled = False
        """Whether something may be told; until then it is only noted what servers say."""
        self.unaware: dict[str, list[tuple[str, str, int]]] = {}
        """Servers that are still to learn that "online" was told of users of theirs."""

    @property
    def is_empty(self) -> bool:
        """Whether nobody is here, and nothing of anybody is still to be told."""
        return not self._entries

    @property
    def told(self) -> list[Key]:
        """Of whom "online" was told, and "offline" not yet."""
        return [key for key, entry in self._entries.items() if entry.is_told]

    @property
    def told_offline(self) -> list[tuple[Key, float]]:
        """Of whom "offline" was told of late, and when."""
        return [(key, when) for key, (what, when) in self._latest.items() if what == "offline"]

    # -- what servers say --------------------------------------------------------------

    def here(self, key: Key, server: str, number: int) -> None:
        """Learn that a server has a user.

        ``number``: 0 if it knows that this was told, else one that it learns it by.
        """
        entry = self._entry(key)
        entry.servers[server] = number
        self._decide(key, entry)

    def gone(self, key: Key, server: str) -> None:
        """Learn that a server has a user no more."""
        entry = self._entries.get(key)
        if entry is not None and server in entry.servers:
            entry.is_told |= entry.servers.pop(server) == 0
            self._decide(key, entry)

    def kept(self, key: Key, left_s: float | None) -> None:
        """Take over a user from another keeper that has told "online".

        ``left_s``: seconds until "offline" is due, unless the user is somewhere.
        """
        entry = self._entry(key)
        entry.is_told = True
        if left_s is not None and entry.until is None:
            entry.until = self._loop().now() + left_s
        self._decide(key, entry)

    def untold(self, key: Key, when: float) -> bool:
        """Learn when a keeper that could not be reached has told "offline" of a user.

        Returns whether that is news: nothing was told here since then.
        """
        _, latest = self._latest.get(key, ("", -inf))
        entry = self._entries.get(key)
        if latest >= when:
            return False
        if entry is not None:
            entry.is_told = False
            for server, number in entry.servers.items():
                entry.servers[server] = number or -1  # until it says another
        return True

    def lost(self, server: str) -> None:
        """Learn that a server has gone, with all its users."""
        for key, entry in list(self._entries.items()):
            if server in entry.servers:
                self.gone(key, server)

    def forget(self, server: str) -> None:
        """Forget what a server has said of its users: it says it anew."""
        for entry in self._entries.values():
            entry.servers.pop(server, None)

    # -- who keeps whom ----------------------------------------------------------------

    def hand_over(self, is_own: Callable[[Key], bool]) -> list[tuple[Key, float | None]]:
        """Forget whom others are to keep from now on; return what they must know: see `kept`."""
        handed = []
        for key, entry in list(self._entries.items()):
            if not is_own(key):
                entry.cancel()
                del self._entries[key]
                if entry.is_told:
                    handed.append((key, self._left_s(entry)))
        return handed

    def settle(self) -> None:
        """Tell what is to be told, now and from now on."""
        for key, entry in list(self._entries.items()):
            self._act(key, entry)
        self.is_settled = True

    def clear(self) -> None:
        """Forget everything, and let nothing come due."""
        for entry in self._entries.values():
            entry.cancel()
        self._entries.clear()
        self.unaware.clear()
        self.is_settled = False

    # -- deciding ----------------------------------------------------------------------

    def _entry(self, key: Key) -> _Entry:
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = _Entry()
        return entry

    def _left_s(self, entry: _Entry) -> float | None:
        return None if entry.until is None else max(0.0, entry.until - self._loop().now())

    def _decide(self, key: Key, entry: _Entry) -> None:
        if self.is_settled:
            self._act(key, entry)

    def _act(self, key: Key, entry: _Entry) -> None:
        if entry.servers:
            self._is_online(key, entry)
        elif not entry.is_told:
            del self._entries[key]
        else:
            self._is_offline(key, entry)

    def _is_online(self, key: Key, entry: _Entry) -> None:
        entry.cancel()
        entry.until = None
        if not (entry.is_told or 0 in entry.servers.values()):
            self._tell("online", key)
        entry.is_told = True
        for server, number in entry.servers.items():
            if number:
                entry.servers[server] = 0
                self.unaware.setdefault(server, []).append((*key, number))

    def _is_offline(self, key: Key, entry: _Entry) -> None:
        loop = self._loop()
        if entry.until is None:
            entry.until = loop.now() + self._grace_s
        if entry.until <= loop.now():
            entry.cancel()
            del self._entries[key]
            self._tell("offline", key)
        elif entry.timer is None:
            entry.timer = loop.call_at(entry.until, partial(self._due, key))

    def _tell(self, event: PresenceEvent, key: Key) -> None:
        now = self._loop().now()
        self._latest.pop(key, None)
        self._latest[key] = event, now
        while next(iter(self._latest.values()))[1] < now - LATE_S:
            del self._latest[next(iter(self._latest))]
        self._on_told(event, key)

    def _due(self, key: Key) -> None:
        entry = self._entries.get(key)
        if entry is not None and not entry.servers:
            entry.timer = None
            self._decide(key, entry)
