"""A timer wheel: many deadlines, few wake-ups.

Deadlines of the same ``resolution_s`` share a bucket and come due together, at the
bucket's end: never early, and late by one resolution at most. The clock is the caller's.
One owner; not thread-safe.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush
from math import ceil, floor
from operator import attrgetter
from typing import Any, TypeAlias

__all__ = ["Timer", "Wheel"]

_Bucket: TypeAlias = "dict[Timer, None]"

# Division by the resolution turns 0.07 into 7.000000000000001 buckets; a millionth of a
# bucket absorbs that for clocks up to 10 million seconds.
_ROUNDING = 1e-6

_when = attrgetter("when")


class Timer:
    """One deadline, made by ``Wheel.add``."""

    __slots__ = ("_bucket", "item", "when")

    def __init__(self, when: float, item: Any, bucket: _Bucket) -> None:
        self.when = when
        self.item = item
        self._bucket: _Bucket | None = bucket

    @property
    def active(self) -> bool:
        """Whether it can still come due."""
        return self._bucket is not None

    def cancel(self) -> None:
        """Never let it come due; its item is let go at once. Twice is harmless."""
        self._release()

    def _release(self) -> Any:
        if self._bucket is not None:
            del self._bucket[self]
            self._bucket = None
        item, self.item = self.item, None
        return item


class Wheel:
    """Deadlines with their items; the owner asks when to wake and what is due."""

    __slots__ = ("_buckets", "_order", "_resolution_s")

    def __init__(self, resolution_s: float = 0.01) -> None:
        self._resolution_s = resolution_s
        self._buckets: dict[int, _Bucket] = {}
        self._order: list[int] = []  # a heap of the keys of _buckets

    def add(self, when: float, item: Any) -> Timer:
        """Let ``item`` come due at ``when``; the past is due at the next ``expire``."""
        number = ceil(when / self._resolution_s - _ROUNDING)
        bucket = self._buckets.get(number)
        if bucket is None:
            bucket = self._buckets[number] = {}
            heappush(self._order, number)
        timer = Timer(when, item, bucket)
        bucket[timer] = None
        return timer

    def next(self) -> float | None:
        """Return when to call ``expire`` again, or None if nothing waits."""
        order = self._order
        while order:
            if self._buckets[order[0]]:
                return order[0] * self._resolution_s
            del self._buckets[heappop(order)]
        return None

    def expire(self, now: float) -> list[Any]:
        """Take out what is due, earliest first; equal times in the order of ``add``.

        An item of the list can no longer be cancelled: see ``drain``.
        """
        return list(self.drain(now))

    def drain(self, now: float) -> Iterator[Any]:
        """Give what is due one by one, leaving out what was cancelled meanwhile.

        Exhaust it: an abandoned iterator loses the items it has not given.
        """
        last = floor(now / self._resolution_s + _ROUNDING)
        order = self._order
        due: list[Timer] = []
        # All of them first: what the consumer adds meanwhile waits for the next call.
        while order and order[0] <= last:
            due += sorted(self._buckets.pop(heappop(order)), key=_when)
        for timer in due:
            if timer.active:
                yield timer._release()

    def __len__(self) -> int:
        return sum(map(len, self._buckets.values()))
