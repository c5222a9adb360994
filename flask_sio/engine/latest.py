"""Packets of which only the latest matters, while their client cannot take them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from flask_sio.protocol.encoded import Encoded

__all__ = ["Latest"]


class Latest:
    """One packet per key, the keys in the order they came. Owner's turn only."""

    __slots__ = ("_packets", "size")

    def __init__(self) -> None:
        self._packets: dict[Hashable, Encoded] = {}
        self.size = 0
        """Bytes of all."""

    def __len__(self) -> int:
        return len(self._packets)

    def put(self, key: Hashable, encoded: Encoded) -> None:
        """Keep a packet instead of the one of the same key."""
        before = self._packets.get(key)
        self.size += encoded.size - (0 if before is None else before.size)
        self._packets[key] = encoded

    def take(self) -> Iterable[Encoded]:
        """Return all and keep none."""
        packets, self._packets, self.size = self._packets, {}, 0
        return packets.values()
