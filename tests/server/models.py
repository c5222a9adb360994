"""Models of the tests, with what they say postponed, and one that refers to another."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple, TypedDict
from uuid import UUID

from typing_extensions import NotRequired


class Colour(enum.Enum):
    RED = "red"
    BLUE = 2


class Point(NamedTuple):
    x: float
    y: float = 0.0


class Tags(TypedDict):
    main: str
    more: NotRequired[list[str]]


@dataclass
class User:
    name: str
    age: int
    friends: list[User] = field(default_factory=list)
    email: str | None = None

    def __post_init__(self) -> None:
        if self.age < 0:
            raise ValueError("nobody is that young")


@dataclass
class Branch:
    kind: Literal["branch"]
    below: list[Branch | Fork]


@dataclass
class Fork:
    kind: Literal["fork"]
    below: list[Branch | Fork]


def _even(number: int) -> int:
    if number % 2:
        raise ValueError("must be even")
    return number


@dataclass
class Everything:
    whole: int = 0
    number: float = 0.0
    truth: bool = False
    text: str = ""
    data: bytes = b""
    anything: Any = None
    nothing: None = None
    day: date | None = None
    moment: datetime | None = None
    hour: time | None = None
    price: Decimal | None = None
    key: UUID | None = None
    colour: Colour | None = None
    word: Literal["on", "off", 1] = "on"
    names: set[str] = field(default_factory=set)
    row: tuple[int, str] | None = None
    rows: tuple[int, ...] = ()
    table: dict[str, Point] = field(default_factory=dict)
    either: int | str | list[int] = 0
    even: Annotated[int, _even] = 0
    loose: list | None = None  # type: ignore[type-arg] # as people write it
    counted: int = field(default=7, init=False)


def greet(sid: str, user: User) -> list[Any]:
    """Handle an event with a payload of a dataclass."""
    return [user.name, user.age, [type(each).__name__ for each in user.friends]]
