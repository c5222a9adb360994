"""JSON as Socket.IO uses it, with one outcome whichever library is installed.

Reading is the standard library's C scanner, cached: as fast as orjson on a small event,
and strict where ``json.loads`` is not (no NaN, no Infinity). Writing is orjson where it
is installed; what it refuses (lone surrogates, integers beyond 64 bits, keys that are no
text) goes to the standard library, with ASCII escapes.
"""

from __future__ import annotations

import dataclasses
import datetime
import inspect
import json
import sys
from collections.abc import Callable
from decimal import Decimal
from enum import Enum
from math import isfinite
from typing import Any, Protocol
from uuid import UUID

_ORJSON_OPTIONS: int | None
try:
    import orjson

    # What is not exactly a JSON type goes through the hook, so that both libraries agree.
    _ORJSON_OPTIONS = (
        orjson.OPT_PASSTHROUGH_DATACLASS
        | orjson.OPT_PASSTHROUGH_DATETIME
        | orjson.OPT_PASSTHROUGH_SUBCLASS
    )
except ImportError:  # the standard library does all of it
    _ORJSON_OPTIONS = None

__all__ = ["Codec", "JsonCodec", "ModuleCodec", "to_json"]

Default = Callable[[Any], Any]

_WHITESPACE = " \t\n\r"
_BINARY = (bytes, bytearray, memoryview)
_SCALARS = frozenset((str, int, bool, type(None)))
# CPython's own limit, for the 3.10 releases that have none: int() is quadratic.
_MAX_INT_DIGITS = 4300


class Codec(Protocol):
    """What the Socket.IO layer asks of a JSON codec."""

    def dumps(self, obj: Any, default: Default | None = None) -> str:
        """Write ``obj``. Raises TypeError for what is no JSON."""

    def loads(self, text: str, start: int = 0) -> Any:
        """Read the value that fills ``text`` from ``start``. Raises ValueError."""

    def pack(self, data: Any) -> tuple[str, tuple[bytes, ...]]:
        """Write ``data`` with placeholders for bytes; return the text and the bytes."""


class _HasBinary(TypeError):
    """There are bytes in the data."""


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _bounded_int(digits: str) -> int:
    if len(digits) > _MAX_INT_DIGITS:
        raise ValueError("integer too long")
    return int(digits)


_scan = json.JSONDecoder(
    parse_constant=_refuse_constant,
    parse_int=None if hasattr(sys, "set_int_max_str_digits") else _bounded_int,
).scan_once  # type: ignore[attr-defined]  # in C, and public by use only


class JsonCodec:
    """The default codec. Stateless; any thread.

    Besides JSON's own types it writes dates (ISO 8601), UUID and Decimal (as text), Enum
    (its value), dataclasses (their fields) and numpy's scalars; NaN and infinities become
    null.
    """

    __slots__ = ("_orjson_options",)

    def __init__(self, use_orjson: bool = True) -> None:
        """Write with orjson where it is installed; False: never."""
        self._orjson_options = _ORJSON_OPTIONS if use_orjson else None

    def loads(self, text: str, start: int = 0) -> Any:
        """Read the one JSON value that fills ``text`` from ``start`` on.

        Raises:
            ValueError: anything else, NaN, infinities, too deep, too long an integer.
        """
        try:
            try:
                value, end = _scan(text, start)
            except StopIteration:
                rest = text[start:]
                text = rest.lstrip(_WHITESPACE)
                if text == rest:
                    raise
                value, end = _scan(text, 0)
        except StopIteration:
            raise ValueError("no JSON value") from None
        except RecursionError:
            raise ValueError("JSON too deep") from None
        if end != len(text) and text[end:].strip(_WHITESPACE):
            raise ValueError("text after the JSON value")
        return value

    def dumps(self, obj: Any, default: Default | None = None) -> str:
        """Write ``obj``; ``default`` is asked about what nobody knows, bytes too.

        Raises:
            TypeError: what is no JSON, a loop or too deep a nesting.
        """
        hook = to_json if default is None else _with_default(default)
        options = self._orjson_options
        if options is not None:
            try:
                return orjson.dumps(obj, hook, options).decode("utf-8")
            except orjson.JSONEncodeError as exc:
                if isinstance(exc.__cause__, _HasBinary):
                    raise exc.__cause__ from None
        return _dumps_stdlib(obj, hook)

    def pack(self, data: Any) -> tuple[str, tuple[bytes, ...]]:
        """Write ``data`` with a placeholder for each bytes-like; return both.

        Data without bytes, the usual event, is not walked in Python.

        Raises:
            TypeError: as ``dumps``.
        """
        try:
            if self._orjson_options is None:
                try:
                    return _write(data), ()
                except (ValueError, RecursionError):
                    pass  # `dumps` knows what to do
            return self.dumps(data), ()
        except _HasBinary:
            attachments: list[bytes] = []
            return self.dumps(_copy(data, attachments, to_json)), tuple(attachments)


class ModuleCodec:
    """A user's JSON module (``json=``) in place of ours: its rules, its errors.

    Needs ``dumps`` and ``loads``; ``separators`` is passed where ``dumps`` names it.
    """

    __slots__ = ("_dumps", "_loads", "_options")

    def __init__(self, module: Any) -> None:
        self._dumps = module.dumps
        self._loads = module.loads
        self._options = {"separators": (",", ":")} if _takes_separators(module.dumps) else {}

    def loads(self, text: str, start: int = 0) -> Any:
        """Read a value; whatever the module raises comes out as ValueError."""
        try:
            return self._loads(text[start:])
        except Exception as exc:
            raise ValueError(str(exc)) from exc

    def dumps(self, obj: Any, default: Default | None = None) -> str:
        """Write a value; what the module raises passes through."""
        options = self._options if default is None else {**self._options, "default": default}
        text = self._dumps(obj, **options)
        return text.decode("utf-8") if isinstance(text, bytes) else str(text)

    def pack(self, data: Any) -> tuple[str, tuple[bytes, ...]]:
        """Write ``data`` with a placeholder for each bytes-like; return both."""
        attachments: list[bytes] = []
        extracted = _copy(data, attachments, None)
        return self.dumps(extracted if attachments else data), tuple(attachments)


def _takes_separators(dumps: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(dumps).parameters.values()
    except (TypeError, ValueError):  # some functions written in C have none
        return False
    return any(p.name == "separators" or p.kind is p.VAR_KEYWORD for p in parameters)


_FAMILIES: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (Enum, lambda obj: obj.value),
    # Subclasses; the standard library never asks about them, orjson does.
    (str, str.__str__),
    (int, int.__int__),
    (float, float.__float__),
    (dict, lambda obj: dict(obj.items())),
    ((list, tuple), list),
    ((datetime.date, datetime.time), lambda obj: obj.isoformat()),
    ((UUID, Decimal), str),
)


def to_json(obj: Any) -> Any:
    """Turn one object that is no JSON into one that is."""
    if isinstance(obj, _BINARY):
        raise _HasBinary("bytes are not JSON")
    for family, convert in _FAMILIES:
        if isinstance(obj, family):
            return convert(obj)
    if dataclasses.is_dataclass(obj) and not isinstance(obj, type):
        return {field.name: getattr(obj, field.name) for field in dataclasses.fields(obj)}
    if getattr(obj, "shape", None) == () and callable(getattr(obj, "item", None)):
        value = obj.item()  # a scalar of numpy and its kin
        if type(value) is not type(obj):  # a long double stays one
            return value
    raise TypeError(f"Object of type {type(obj).__name__} is not JSON serializable")


def _with_default(default: Default) -> Default:
    def convert(obj: Any) -> Any:
        try:
            return to_json(obj)
        except TypeError:
            return default(obj)

    return convert


def _copy(obj: Any, attachments: list[bytes] | None, convert: Default | None) -> Any:
    """Copy ``obj``, depth first, with placeholders for bytes; ``obj`` stays as it is.

    With ``convert`` the copy is made of JSON's own types and finite numbers only. Without
    a list for them, bytes are what ``convert`` says.

    Source: Socket.IO v5, *Packet encoding*.

    Raises:
        TypeError: from ``convert``, or a loop or too deep a nesting.
    """
    try:
        return _extract(obj, attachments, convert)
    except RecursionError:
        raise TypeError("data too deep for JSON") from None


def _extract(obj: Any, attachments: list[bytes] | None, convert: Default | None) -> Any:
    if isinstance(obj, dict):
        return {key: _extract(value, attachments, convert) for key, value in obj.items()}
    if isinstance(obj, (list, tuple)):
        return [_extract(value, attachments, convert) for value in obj]
    if attachments is not None and isinstance(obj, _BINARY):
        attachments.append(bytes(obj))  # a snapshot: the caller may change a bytearray
        return {"_placeholder": True, "num": len(attachments) - 1}
    if convert is None or type(obj) in _SCALARS:
        return obj
    if isinstance(obj, float):
        return float(obj) if isfinite(obj) else None
    return _extract(convert(obj), attachments, convert)


def _dumps_stdlib(obj: Any, hook: Default) -> str:
    write = _write if hook is to_json else _writer(hook)
    try:
        try:
            return write(obj)
        except ValueError:  # NaN, an infinity, or an integer too long
            return write(_copy(obj, None, hook))
    except (ValueError, RecursionError) as exc:
        raise TypeError(f"not JSON serializable: {exc}") from exc


def _writer(hook: Default) -> Callable[[Any], str]:
    """Return what writes JSON as ``JSONEncoder.encode`` does, without its work at each call.

    That makes a new C encoder each time: an event of 32 bytes takes 2.7 us with it, 1.6 so
    (``make bench-micro``). A loop is noticed by its depth.
    """
    make = json.encoder.c_make_encoder  # type: ignore[attr-defined] # as `_scan`
    if make is None:  # another Python
        options: dict[str, Any] = {"separators": (",", ":"), "allow_nan": False}
        return json.JSONEncoder(**options, check_circular=False, default=hook).encode
    quote = json.encoder.encode_basestring_ascii
    encode = make(None, hook, quote, None, ":", ",", False, False, False)
    join = "".join
    return lambda obj: join(encode(obj, 0))


_write = _writer(to_json)
