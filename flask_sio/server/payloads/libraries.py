"""Models of pydantic and msgspec: each library checks its own, by the model's own rules.

Neither is needed, nor imported before a handler asks for a model of it.
"""

from __future__ import annotations

import re
import sys
from importlib import import_module
from typing import Any

from flask_sio.errors import PayloadError
from flask_sio.server.payloads.faults import Check

__all__ = ["check", "owns"]


def owns(kind: Any) -> bool:
    """Whether a class is a model of one of the libraries."""
    return isinstance(kind, type) and (_is_pydantic(kind) or _is_struct(kind))


def check(kind: Any) -> Check:
    """Return the check of a model, or of a generic one with its types."""
    return _pydantic(kind) if _is_pydantic(kind) else _msgspec(kind)


def _is_pydantic(kind: Any) -> bool:
    return hasattr(kind, "__pydantic_validator__")


def _is_struct(kind: type) -> bool:
    msgspec = sys.modules.get("msgspec")
    return msgspec is not None and issubclass(kind, msgspec.Struct)


def _pydantic(kind: Any) -> Check:
    pydantic = import_module("pydantic")
    validate, failure = pydantic.TypeAdapter(kind).validate_python, pydantic.ValidationError

    def read(value: Any) -> Any:
        try:
            return validate(value)
        except failure as error:
            told = error.errors(include_url=False, include_context=False, include_input=False)
            faults = [(tuple(each["loc"]), each["msg"]) for each in told]
        raise PayloadError(faults=faults)

    return read


_PLACE = re.compile(r"(.*?)(?: - at `(?:key in )?\$(.*)`)?", re.DOTALL)
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\[(\.\.\.)\]")


def _msgspec(kind: Any) -> Check:
    msgspec = import_module("msgspec")
    convert, failure = msgspec.convert, msgspec.ValidationError

    def read(value: Any) -> Any:
        try:
            return convert(value, kind)
        except failure as error:
            place = _PLACE.fullmatch(str(error))
            assert place is not None
            path, text = tuple(_steps(place[2] or "")), place[1]
        raise PayloadError(text, path)

    return read


def _steps(place: str) -> list[str | int]:
    """Return the path that msgspec writes as ``.users[0].name``; ``[...]`` is any key."""
    steps = _STEP.findall(place)
    return [int(number) if number else name or rest for name, number, rest in steps]
