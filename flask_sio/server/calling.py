"""What a handler can be called with; read from its signature once, when it is registered."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

from flask_sio.coroutines import is_async

__all__ = ["Placed", "check_decorator", "check_function", "cut", "event_name", "fitting", "name_of"]

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


class Placed:
    """A function that is given values by name, each where it has such a parameter.

    Others of the names are kept from it. To who reads its signature it has none of them.
    """

    def __init__(self, fn: Function, names: Iterable[str], reads: Function | None = None) -> None:
        self._fn = fn
        self._names = frozenset(names)
        self.__wrapped__ = fn if reads is None else reads
        self.__qualname__ = name_of(self.__wrapped__)
        self._places: tuple[tuple[int, str], ...] = ()
        self._taken: frozenset[str] = frozenset()
        try:
            signature = inspect.signature(self.__wrapped__)
        except ValueError:  # a builtin that does not say
            return
        parameters = list(signature.parameters.values())
        self._places = tuple(
            (index, each.name)
            for index, each in enumerate(parameters)
            if each.name in self._names and each.kind is each.POSITIONAL_OR_KEYWORD
        )
        takes_all = any(each.kind is each.VAR_KEYWORD for each in parameters)
        there = self._names & signature.parameters.keys()
        self._taken = self._names if takes_all else frozenset(there)
        rest = [each for each in parameters if each.name not in self._names]
        self.__signature__ = signature.replace(parameters=rest)

    def __call__(self, *args: Any, **values: Any) -> Any:
        given, names = list(args), self._names
        values = {
            name: value
            for name, value in values.items()
            if name in self._taken or name not in names
        }
        for index, name in self._places:
            if name in values and index <= len(given):
                given.insert(index, values.pop(name))
        return self._fn(*given, **values)


def check_decorator(name: object, whose: str) -> None:
    """Refuse the decorator without its arguments: it would swallow the function.

    Raises:
        TypeError: a function stands where an event's name belongs.
    """
    if callable(name):
        raise TypeError(f'write @{whose}("name"): it got the function {name_of(name)}')


def event_name(fn: Any) -> str:
    """Return the name of the event that a function is for by its own name.

    Raises:
        TypeError: it has none.
    """
    check_function(fn, "event()")
    name = getattr(fn, "__name__", None)
    if not isinstance(name, str):
        raise TypeError(f"{fn!r} has no name of its own: give the event's by on(name, handler)")
    return name


def check_function(fn: Any, whose: str) -> None:
    """Refuse what cannot be called here.

    Raises:
        TypeError: no function, or an async one, whose coroutine nobody would await.
    """
    if is_async(fn):
        raise TypeError(f"{whose} needs a 'def': nothing awaits the 'async def' {name_of(fn)}")
    if not callable(fn):
        hint = ": a namespace goes by namespace=" if isinstance(fn, str) else ""
        raise TypeError(f"{whose} needs a function, not {fn!r}{hint}")


def _has_parameter(fn: Function, name: str) -> bool:
    try:
        return name in inspect.signature(fn).parameters
    except ValueError:  # a builtin that does not say
        return False


def name_of(fn: Any) -> str:
    """Return how an error names a function."""
    return str(getattr(fn, "__qualname__", None) or repr(fn))
