"""What is wrong with a value, collected from its parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from flask_sio.errors import MAX_FAULTS, PayloadError

__all__ = ["Check", "Faults", "read_items"]

Check = Callable[[Any], Any]
"""Returns the value, converted, or raises `PayloadError` with paths that begin in it."""


class Faults:
    """The faults of the parts of one value; made when the first is found."""

    __slots__ = ("found",)

    def __init__(self) -> None:
        self.found: list[tuple[tuple[str | int, ...], str]] = []

    @property
    def are_enough(self) -> bool:
        """Whether more would not be told."""
        return len(self.found) >= MAX_FAULTS

    def add(self, step: str | int, error: PayloadError) -> None:
        """Take what is wrong with the part that ``step`` leads to."""
        self.found += [((step, *path), text) for path, text in error.faults]

    def missing(self, step: str | int) -> None:
        self.found.append(((step,), "is missing"))

    def error(self) -> PayloadError:
        return PayloadError(faults=self.found[:MAX_FAULTS])


def read_items(checked: Iterable[tuple[str | int, Check, Any]]) -> list[Any]:
    """Return the values, each checked by its own; the steps lead to them.

    Raises:
        PayloadError: some are wrong; their paths begin with their step.
    """
    values: list[Any] = []
    faults: Faults | None = None
    for step, check, value in checked:
        try:
            values.append(check(value))
        except PayloadError as error:
            faults = faults or Faults()
            faults.add(step, error)
            if faults.are_enough:
                break
    if faults is not None:
        raise faults.error()
    return values
