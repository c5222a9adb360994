"""Who keeps whom, by rendezvous hashing: where a server comes or goes, only its users move.

Users fall into slots, and servers are ranked once for each slot: a worker may have 20,000 users,
all of which it sorts in one turn.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any
from zlib import crc32

from flask_sio.server.keeper import Key

__all__ = ["Ranking"]

_SPREAD = 0x9E3779B97F4A7C15
_MASK = 2**64 - 1
_SLOTS = 255


class Ranking:
    """The servers that may keep users. The same on all servers that know the same ones."""

    def __init__(self, servers: Iterable[str]) -> None:
        self._seeds = [(_number(each), each) for each in servers]
        self.has_deputies = len(self._seeds) > 1
        self._keepers: dict[int, str] = {}
        self._deputies: dict[int, str] = {}

    def keeper_of(self, key: Key) -> str:
        """Return who keeps a user."""
        slot = crc32(key[1].encode(errors="surrogatepass")) & _SLOTS
        return self._keepers.get(slot) or self._rank(slot, self._keepers)

    def sort(
        self, users: Iterable[tuple[Key, Any]], *, by_deputy: bool = False
    ) -> dict[str, list[tuple[Any, ...]]]:
        """Return rows of users, each with what is to be said of it, by who keeps them.

        ``by_deputy``: by who keeps them once their keeper has gone.
        """
        found: dict[str, list[tuple[Any, ...]]] = {}
        servers = self._deputies if by_deputy else self._keepers
        for (namespace, user), value in users:
            slot = crc32(user.encode(errors="surrogatepass")) & _SLOTS
            server = servers.get(slot) or self._rank(slot, servers)
            if server not in found:
                found[server] = []
            found[server].append((namespace, user, value))
        return found

    def _rank(self, slot: int, servers: dict[int, str]) -> str:
        number = _number(str(slot))
        ranked = sorted([((number ^ seed) * _SPREAD & _MASK, each) for seed, each in self._seeds])
        self._keepers[slot] = ranked[-1][1]
        if self.has_deputies:
            self._deputies[slot] = ranked[-2][1]
        return servers[slot]


def _number(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")
