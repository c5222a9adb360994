"""Dataclasses, typed dicts and named tuples, by the standard library alone.

Fields that the model does not have are left out, as pydantic and msgspec do: a newer client
may send more. A missing one has its default, or is a fault.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

from flask_sio.errors import PayloadError
from flask_sio.server.payloads.faults import Check, Faults

__all__ = ["Record", "is_record"]

_QUALIFIERS = ("Required", "NotRequired", "ReadOnly")


def is_record(kind: type) -> bool:
    """Whether a class is one of those that this file reads."""
    return dataclasses.is_dataclass(kind) or _is_typed_dict(kind) or _is_named_tuple(kind)


def _is_typed_dict(kind: type) -> bool:
    # `typing.is_typeddict` does not know those of typing_extensions.
    return issubclass(kind, dict) and hasattr(kind, "__required_keys__")


def _is_named_tuple(kind: type) -> bool:
    return issubclass(kind, tuple) and hasattr(kind, "_fields") and hasattr(kind, "_field_defaults")


class _Field(NamedTuple):
    name: str
    check: Check
    is_required: bool


class Record:
    """Checks one class. A JSON object has its fields; a named tuple may be a list of them."""

    __slots__ = ("_fields", "_is_tuple", "_kind", "_make")

    def __init__(self, kind: Any) -> None:
        self._kind = kind
        self._is_tuple = _is_named_tuple(kind)
        self._make: Callable[..., Any] = dict if _is_typed_dict(kind) else kind
        self._fields: tuple[_Field, ...] = ()

    def fill(self, check_of: Callable[[Any], Check]) -> None:
        """Read the fields; apart from the making, for a class with fields of itself.

        Raises:
            TypeError, NameError: as `Shapes.of`.
        """
        kind = self._kind
        hints = get_type_hints(kind, include_extras=True)
        if dataclasses.is_dataclass(kind):
            taken = _of_dataclass(kind)
        elif self._is_tuple:
            taken = {name: name not in kind._field_defaults for name in kind._fields}
        else:
            taken = {name: name in kind.__required_keys__ for name in hints}
        fields = []
        for name, is_required in taken.items():
            hint, said = _unqualified(hints.get(name, Any))
            required = is_required if said is None else said
            fields.append(_Field(name, check_of(hint), required))
        self._fields = tuple(fields)

    def __call__(self, value: Any) -> Any:
        if value.__class__ is not dict:
            if not (self._is_tuple and value.__class__ is list):
                raise PayloadError("must be an object")
            value = self._by_name(value)
        found: dict[str, Any] = {}
        faults: Faults | None = None
        for name, check, is_required in self._fields:
            if name in value:
                try:
                    found[name] = check(value[name])
                except PayloadError as error:
                    faults = faults or Faults()
                    faults.add(name, error)
            elif is_required:
                faults = faults or Faults()
                faults.missing(name)
        if faults is not None:
            raise faults.error()
        try:
            return self._make(**found)
        except ValueError as error:  # of a __post_init__
            raise PayloadError(str(error)) from error

    def _by_name(self, values: list[Any]) -> dict[str, Any]:
        if len(values) > len(self._fields):
            raise PayloadError(f"must be a list of {len(self._fields)}")
        return {field.name: value for field, value in zip(self._fields, values, strict=False)}


def _of_dataclass(kind: Any) -> dict[str, bool]:
    """Return the names that its constructor takes, each with whether it must be there."""
    for each in kind.__dataclass_fields__.values():
        if each._field_type is dataclasses._FIELD_INITVAR:  # type: ignore[attr-defined]
            raise TypeError(f"{kind.__qualname__}.{each.name} is an InitVar, which no client sends")
    missing = dataclasses.MISSING
    return {
        each.name: each.default is missing and each.default_factory is missing
        for each in dataclasses.fields(kind)
        if each.init
    }


def _unqualified(hint: Any) -> tuple[Any, bool | None]:
    """Return a field's type, and whether the field says itself that it must be there.

    In a module of postponed annotations the class does not know what its fields say.
    """
    said: bool | None = None
    while True:
        name = getattr(get_origin(hint), "_name", None)
        if name not in _QUALIFIERS:
            return hint, said
        if name != "ReadOnly":
            said = name == "Required"
        hint = get_args(hint)[0]
