"""Packets of which only the latest matters, while their client cannot take them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from flask_sio.protocol.encoded import Encoded

__all__ = ["Latest"]


class Latest:
    """One packet per scope and key, in the order the keys came. Owner's turn only."""

    __slots__ = ("_packets", "size")

    def __init__(self) -> None:
        self._packets: dict[tuple[str, Hashable], Encoded] = {}
        self.size = 0
        """Bytes of all."""

    def __len__(self) -> int:
        return len(self._packets)

    def put(self, scope: str, key: Hashable, encoded: Encoded) -> None:
        """Keep a packet instead of the one of the same scope and key."""
        before = self._packets.get((scope, key))
        self.size += encoded.size - (0 if before is None else before.size)
        self._packets[scope, key] = encoded

    def take(self, scope: str | None = None) -> Iterable[Encoded]:
        """Return those of a scope, or all, and keep them no more."""
        if scope is None:
            packets, self._packets, self.size = self._packets, {}, 0
            return packets.values()
        taken = [self._packets.pop(each) for each in list(self._packets) if each[0] == scope]
        self.size -= sum(each.size for each in taken)
        return taken
