"""A check for each annotation: JSON's own types, containers of them, and what JSON spells.

Strict, since JSON tells its types: no number is made of text, no truth of a number. A whole
number is taken for a ``float``. What JSON has no type for is read from its usual spelling:
dates from ISO 8601, `Decimal` and `UUID` from text, an enum's member from its value.
"""

from __future__ import annotations

import enum
import json
import types
from collections import abc
from collections.abc import Callable
from contextvars import ContextVar
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal, NewType, TypeVar, Union, get_args, get_origin
from uuid import UUID

from flask_sio.errors import PayloadError
from flask_sio.server.payloads import libraries, records
from flask_sio.server.payloads.faults import Check, read_items

__all__ = ["Shapes", "asks_for_model"]

_UNIONS = (Union, types.UnionType)


def _only(kind: type, text: str) -> Check:
    def check(value: Any) -> Any:
        if value.__class__ is not kind:  # True is an int to isinstance()
            raise PayloadError(text)
        return value

    return check


def _anything(value: Any) -> Any:
    return value


def _number(value: Any) -> float:
    if value.__class__ not in (int, float):
        raise PayloadError("must be a number")
    try:
        return float(value)
    except OverflowError:
        raise PayloadError("is too big a number") from None


def _spelled(read: Callable[[Any], Any], kinds: tuple[type, ...], text: str) -> Check:
    def check(value: Any) -> Any:
        if value.__class__ in kinds:
            try:
                return read(value)
            except (ValueError, InvalidOperation):
                pass
        raise PayloadError(text)

    return check


def _datetime(value: str) -> datetime:
    # Python 3.10 does not know the "Z" that browsers write.
    return datetime.fromisoformat(f"{value[:-1]}+00:00" if value.endswith("Z") else value)


def _decimal(value: str | int) -> Decimal:
    number = Decimal(value)
    if not number.is_finite():
        raise ValueError
    return number


_STRING = (str,)
_PLAIN: dict[Any, Check] = {
    Any: _anything,
    object: _anything,
    None: _only(type(None), "must be null"),
    type(None): _only(type(None), "must be null"),
    bool: _only(bool, "must be true or false"),
    int: _only(int, "must be a whole number"),
    float: _number,
    str: _only(str, "must be text"),
    bytes: _only(bytes, "must be binary data"),
    list: _only(list, "must be a list"),
    dict: _only(dict, "must be an object"),
    datetime: _spelled(_datetime, _STRING, "must be a date and time"),
    date: _spelled(date.fromisoformat, _STRING, "must be a date"),
    time: _spelled(time.fromisoformat, _STRING, "must be a time"),
    Decimal: _spelled(_decimal, (str, int), "must be a decimal number"),
    UUID: _spelled(UUID, _STRING, "must be a UUID"),
}
_LISTS: dict[Any, Callable[[list[Any]], Any]] = {
    list: list,
    abc.Sequence: list,
    abc.MutableSequence: list,
    abc.Collection: list,
    abc.Iterable: list,
    set: set,
    abc.Set: set,
    frozenset: frozenset,
}
_MAPPINGS = (dict, abc.Mapping, abc.MutableMapping)
_KEYS = (str, Any, object, UUID)


def asks_for_model(annotation: Any, within: tuple[Any, ...] = ()) -> bool:
    """Whether an annotation is a model, or has one in it; ``within`` are aliases around it."""
    if isinstance(annotation, NewType):
        return asks_for_model(annotation.__supertype__, within)
    if _is_alias(annotation):
        if annotation in within:
            return False
        return asks_for_model(annotation.__value__, (*within, annotation))
    origin = get_origin(annotation)
    if origin is Literal:
        return False
    if _is_model(annotation) or _is_model(origin):
        return True
    return any(asks_for_model(each, within) for each in get_args(annotation))


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and (libraries.owns(kind) or records.is_record(kind))


def _is_alias(annotation: Any) -> bool:
    """Whether it was made by ``type X = ...``, which may refer to itself."""
    return type(annotation).__name__ == "TypeAliasType" and hasattr(annotation, "__value__")


class _Alias:
    """The check of an alias, there before that of its value is."""

    __slots__ = ("check",)

    check: Check

    def __call__(self, value: Any) -> Any:
        return self.check(value)


class Shapes:
    """Makes the checks of one handler; a model that refers to itself gets one."""

    def __init__(self) -> None:
        self._records: dict[Any, Check] = {}

    def of(self, annotation: Any) -> Check:
        """Return the check of a type.

        Raises:
            TypeError: a type that no client's data can be, or that is not known here.
            NameError: it refers to what is not defined yet.
        """
        while isinstance(annotation, NewType):
            annotation = annotation.__supertype__
        try:
            plain = _PLAIN.get(annotation)
        except TypeError:  # not even hashable
            plain = None
        if plain is not None:
            return plain
        if isinstance(annotation, TypeVar):
            return _anything
        if _is_alias(annotation):
            return self._alias(annotation)
        origin, args = get_origin(annotation), get_args(annotation)
        if not args:  # ``typing.List`` is ``list``
            return self._class(origin or annotation)
        return self._form(annotation, origin, args)

    def _alias(self, alias: Any) -> Check:
        known = self._records.get(alias)
        if known is None:
            known = self._records[alias] = made = _Alias()
            made.check = self.of(alias.__value__)
        return known

    def _class(self, kind: Any) -> Check:
        if not isinstance(kind, type):
            raise _unknown(kind)
        if libraries.owns(kind):
            return libraries.check(kind)
        if records.is_record(kind):
            known = self._records.get(kind)
            if known is None:
                record = self._records[kind] = records.Record(kind)
                record.fill(self.of)
                return record
            return known
        if issubclass(kind, enum.Enum):
            return _one_of(tuple(kind))
        if kind in _LISTS:
            return _list(_anything, _LISTS[kind])
        if kind is tuple:
            return _list(_anything, tuple)
        if kind in _MAPPINGS:
            return _PLAIN[dict]
        raise _unknown(kind)

    def _form(self, annotation: Any, origin: Any, args: tuple[Any, ...]) -> Check:
        if libraries.owns(origin):
            return libraries.check(annotation)
        if origin in _UNIONS:
            checks = [self.of(each) for each in args]
            return _once(_any_of(checks)) if _may_branch(args) else _any_of(checks)
        if origin is Literal:
            return _one_of(args)
        if origin is Annotated:
            return self._annotated(annotation, *args)
        if origin in _LISTS:
            return _list(self.of(args[0]), _LISTS[origin])
        if origin is tuple:
            if len(args) == 2 and args[1] is ...:
                return _list(self.of(args[0]), tuple)
            return _row([self.of(each) for each in args])
        if origin in _MAPPINGS:
            key, value = args
            named = key
            while isinstance(named, NewType):
                named = named.__supertype__
            if named not in _KEYS and get_origin(named) is not Literal and not _is_enum(named):
                raise TypeError(f"the keys of {annotation!r} are no text, as JSON's are")
            return _mapping(self.of(key), self.of(value))
        raise _unknown(annotation)

    def _annotated(self, annotation: Any, kind: Any, *more: Any) -> Check:
        check = self.of(kind)
        for each in more:
            if callable(each):
                check = _then(check, each)
            elif not isinstance(each, str):
                raise TypeError(
                    f"{annotation!r}: {each!r} is no function that checks a value; constraints "
                    "of a library belong into a model of that library"
                )
        return check


def _is_enum(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, enum.Enum)


def _unknown(annotation: Any) -> TypeError:
    return TypeError(f"{annotation!r} is no type that a client's data can be checked for")


def _then(check: Check, own: Callable[[Any], Any]) -> Check:
    """Return a check followed by a function of the user's."""

    def both(value: Any) -> Any:
        value = check(value)
        try:
            return own(value)
        except ValueError as error:
            raise PayloadError(str(error)) from error

    return both


def _list(check: Check, make: Callable[[list[Any]], Any]) -> Check:
    def read(value: Any) -> Any:
        if value.__class__ is not list:
            raise PayloadError("must be a list")
        return make(read_items((number, check, item) for number, item in enumerate(value)))

    return read


def _row(checks: list[Check]) -> Check:
    def read(value: Any) -> Any:
        if value.__class__ is not list or len(value) != len(checks):
            raise PayloadError(f"must be a list of {len(checks)}")
        steps = range(len(checks))
        return tuple(read_items(zip(steps, checks, value, strict=True)))

    return read


def _mapping(key: Check, check: Check) -> Check:
    def read(value: Any) -> Any:
        if value.__class__ is not dict:
            raise PayloadError("must be an object")
        names = read_items((str(name), key, name) for name in value)
        values = read_items((str(name), check, item) for name, item in value.items())
        return dict(zip(names, values, strict=True))

    return read


def _any_of(checks: list[Check]) -> Check:
    """Return what takes the first check that fits.

    If one of them fails within the value only, that one was meant, and its faults are told.
    """

    def read(value: Any) -> Any:
        within: list[PayloadError] = []
        at_all: list[PayloadError] = []
        for check in checks:
            try:
                return check(value)
            except PayloadError as error:
                deep = all(path for path, _ in error.faults)
                (within if deep else at_all).append(error)
        if len(within) == 1:
            raise within[0]
        if not within:
            texts = dict.fromkeys(text for error in at_all for _, text in error.faults)
            raise PayloadError(" or ".join(texts))
        raise PayloadError("has none of the forms that are taken")

    return read


def _may_branch(kinds: tuple[Any, ...]) -> bool:
    """Whether several alternatives may look into the same value."""
    return sum(kind not in _PLAIN and get_origin(kind) is not Literal for kind in kinds) > 1


_read: ContextVar[dict[tuple[int, int], Any] | None] = ContextVar("flask_sio.read", default=None)
"""What was read of the payload at hand, by check and value."""


def _once(check: Check) -> Check:
    """Return a check that reads each value once per payload.

    Alternatives that have alternatives in them would ask for what is innermost twice as
    often with each level.
    """

    def read(value: Any) -> Any:
        if value.__class__ not in (dict, list):
            return check(value)
        known = _read.get()
        if known is None:
            token = _read.set({})
            try:
                return read(value)
            finally:
                _read.reset(token)
        key = (id(check), id(value))
        if key not in known:
            try:
                known[key] = check(value)
            except PayloadError as error:
                known[key] = error
        if isinstance(known[key], PayloadError):
            raise PayloadError(faults=known[key].faults)
        return known[key]

    return read


def _one_of(values: tuple[Any, ...]) -> Check:
    spelled = {value.value if isinstance(value, enum.Enum) else value: value for value in values}
    taken = {(key.__class__, key): value for key, value in spelled.items()}
    text = "must be " + " or ".join(json.dumps(key, default=str) for key in spelled)

    def read(value: Any) -> Any:
        key = (value.__class__, value)  # since True == 1
        if value.__class__ in _SCALARS and key in taken:
            return taken[key]
        raise PayloadError(text)

    return read


_SCALARS = (str, int, float, bool, type(None))
