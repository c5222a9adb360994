"""What a handler can be called with; read from its signature once, when it is registered."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

__all__ = ["cut", "fitting", "name_of"]

Function = Callable[..., Any]


def fitting(fn: Function, *counts: int, names: Iterable[str] = ()) -> int | None:
    """Return the first of these numbers of positional arguments that ``fn`` can take.

    ``names`` are given by keyword besides. A wrapper that takes anything is judged by what
    it wraps; where that fits none (the wrapper adds or takes away), or a builtin does not
    say, the first number it is.
    """
    try:
        signature = inspect.signature(fn, follow_wrapped=False)
    except ValueError:
        return counts[0]
    takes_any = any(each.kind is each.VAR_POSITIONAL for each in signature.parameters.values())
    if takes_any:
        signature = inspect.signature(fn)
    for count in counts:
        try:
            signature.bind(*range(count), **dict.fromkeys(names))
        except TypeError:
            continue
        return count
    return counts[0] if takes_any else None


def cut(
    fn: Function,
    least: int,
    most: int,
    *,
    is_farewell: bool = False,
    names: Iterable[str] = (),
    call: Function | None = None,
) -> Function | None:
    """Return a function of ``most`` arguments that hands ``fn`` what it takes; None if it cannot.

    That is all of them, or the first ``least``. One that says good-bye gets the details of
    the reason, its last argument, in a parameter of that name. ``call`` is called in the
    place of ``fn``.
    """
    asks = is_farewell and _has_parameter(fn, "details")
    count = fitting(fn, most, least, names=(*names, "details") if asks else names)
    if count is None:
        return None
    called = call or fn
    if asks:
        return lambda *args, **values: called(*args[:count], details=args[-1].details, **values)
    if count == most:
        return called
    return lambda *args, **values: called(*args[:count], **values)


def _has_parameter(fn: Function, name: str) -> bool:
    try:
        return name in inspect.signature(fn).parameters
    except ValueError:  # a builtin that does not say
        return False


def name_of(fn: Any) -> str:
    """Return how an error names a function."""
    return str(getattr(fn, "__qualname__", None) or repr(fn))
