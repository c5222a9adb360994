"""A handler's signature, read once: whether it asks for models, and how its arguments are read.

A handler with a model among its annotations has all its annotated arguments checked, and
their number. One without is returned as it is, and pays nothing.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Any, NamedTuple

from flask_sio.errors import PayloadError
from flask_sio.server.annotations import hint_of, keep_local_names, parameters_of
from flask_sio.server.payloads.faults import Check, read_items
from flask_sio.server.payloads.shapes import Shapes, asks_for_model

__all__ = ["Typed", "typed"]

Function = Callable[..., Any]

logger = logging.getLogger("flask_sio.server")


def typed(fn: Function, skip: int = 0, is_whole: bool = False, reads: Any = None) -> Function:
    """Return a handler, or if it asks for models one that checks what it is given.

    ``skip``: the first arguments, which are not the client's. ``is_whole``: there is one of
    the client's, whose paths begin in it, not with a number. ``reads`` is the function whose
    signature counts, if that is not ``fn``'s.

    Raises:
        TypeError: an annotation beside a model's that nothing can be checked for.
    """
    parameters = _parameters(fn if reads is None else reads)
    if parameters is None:
        return fn
    expected = parameters[skip:]
    unread = [each for each in expected if each.annotation is not inspect.Parameter.empty]
    if not unread:
        return fn
    made = Typed(fn, reads or fn, expected, skip, is_whole)
    return made if made.is_needed else fn


class Typed:
    """A handler whose arguments are checked before it runs."""

    __slots__ = ("_args", "_expected", "_fn", "_has_refused", "_is_whole", "_reads", "_skip")

    def __init__(
        self,
        fn: Function,
        reads: Function,
        expected: list[inspect.Parameter],
        skip: int,
        is_whole: bool,
    ) -> None:
        self._fn = fn
        self._reads = reads
        self._expected = expected
        self._skip = skip
        self._is_whole = is_whole
        self._has_refused = False
        self._args: _Args | None = None
        """None while a name in the annotations is not defined yet."""
        keep_local_names(reads, expected)
        try:
            self._args = _Args.read(reads, expected)
        except NameError:
            pass

    @property
    def is_needed(self) -> bool:
        """Whether anything is to be checked, as far as is known."""
        return self._args is None or bool(self._args.checks)

    def __call__(self, *args: Any, **named: Any) -> Any:
        expected = self._args or self._read_late()
        if not expected.checks:
            return self._fn(*args, **named)
        skip = self._skip
        try:
            values = expected.values(args[skip:])
        except RecursionError:
            raise self._refused(PayloadError("is nested too deep")) from None
        except PayloadError as error:
            raise self._refused(error) from None
        return self._fn(*args[:skip], *values, **named)

    def _read_late(self) -> _Args:
        """Read the annotations at the first event, when every module is there."""
        try:
            self._args = _Args.read(self._reads, self._expected)
        except NameError as error:
            # Perhaps imported for type checkers only: if no other asks for a model, none may.
            if any(_asks(self._reads, each) for each in self._expected):
                raise
            logger.warning(
                "%s has an annotation that cannot be read (%s): what clients send to it is "
                "not checked",
                _name(self._reads),
                error,
            )
            self._args = _Args((), 0, None)
        return self._args

    def _refused(self, error: PayloadError) -> PayloadError:
        if self._is_whole:
            error = PayloadError(faults=[(path[1:], text) for path, text in error.faults])
        if not self._has_refused:
            self._has_refused = True
            logger.warning(
                "refused what a client sent to %s: %.500s (said once for this handler)",
                _name(self._reads),
                error,
            )
        return error


class _Args(NamedTuple):
    """The checks of a handler's arguments, in order."""

    checks: tuple[Check, ...]
    """Empty if no model is asked for."""
    least: int
    """How many have no default."""
    rest: Check | None
    """That of ``*args``."""

    @classmethod
    def read(cls, fn: Function, expected: list[inspect.Parameter]) -> _Args:
        """Return the checks for these parameters.

        Raises:
            TypeError: as `typed`.
            NameError: an annotation refers to what is not defined.
        """
        hints = [hint_of(fn, each) for each in expected]
        if not any(asks_for_model(hint) for hint in hints):
            return cls((), 0, None)
        shapes, checks, rest, least = Shapes(), [], None, 0
        for each, hint in zip(expected, hints, strict=True):
            try:
                check = shapes.of(hint)
            except TypeError as error:
                raise TypeError(f"{each.name} of {_name(fn)}: {error}") from error
            if each.kind is each.VAR_POSITIONAL:
                rest = check
                continue
            checks.append(check)
            least += each.default is each.empty
        if not checks and rest is not None:
            checks.append(rest)  # ``*args`` alone; the first of them may be missing, too
        return cls(tuple(checks), least, rest)

    def values(self, args: tuple[Any, ...]) -> list[Any]:
        """Return what the handler gets for what a client sent."""
        checks, count = self.checks, len(args)
        if count < self.least:
            faults = [((number,), "is missing") for number in range(count, self.least)]
            raise PayloadError(faults=faults)
        if count > len(checks):
            if self.rest is None:
                raise PayloadError("is one too many", [len(checks)])
            checks += (self.rest,) * (count - len(checks))
        return read_items(zip(range(count), checks, args, strict=False))


def _parameters(fn: Function) -> list[inspect.Parameter] | None:
    """Return a function's positional parameters; None if they are not known."""
    found = parameters_of(fn)
    kinds = (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        inspect.Parameter.VAR_POSITIONAL,
    )
    return None if found is None else [each for each in found if each.kind in kinds]


def _asks(fn: Function, parameter: inspect.Parameter) -> bool:
    try:
        return asks_for_model(hint_of(fn, parameter))
    except NameError:
        return False


def _name(fn: Any) -> str:
    return getattr(fn, "__qualname__", None) or repr(fn)
