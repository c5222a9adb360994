"""What the annotations of a function mean: read where it is registered, postponed or not."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import partial
from types import FrameType, SimpleNamespace
from typing import Any, get_type_hints
from weakref import WeakKeyDictionary

__all__ = ["hint_of", "keep_local_names", "parameters_of"]

Function = Callable[..., Any]


def parameters_of(fn: Function) -> list[inspect.Parameter] | None:
    """Return a function's parameters; None if they are not known.

    A wrapper that takes anything has those of what it wraps.
    """
    more: dict[str, Any] = {}
    if sys.version_info >= (3, 14):  # where annotations are evaluated late, and may fail
        from annotationlib import Format

        more["annotation_format"] = Format.FORWARDREF
    try:
        found = inspect.signature(fn, follow_wrapped=False, **more)
        if any(each.kind is each.VAR_POSITIONAL for each in found.parameters.values()):
            found = inspect.signature(fn, **more)
    except (TypeError, ValueError):
        return None
    return list(found.parameters.values())


def hint_of(fn: Function, parameter: inspect.Parameter) -> Any:
    """Return a parameter's annotation as a type; Any for what is none.

    Raises:
        NameError: it refers to what is not defined.
    """
    annotation = parameter.annotation
    if annotation is parameter.empty:
        return Any
    bearer, home = SimpleNamespace(__annotations__={"it": annotation}), _home(fn)
    names = getattr(home, "__globals__", {})
    try:
        return get_type_hints(bearer, names, _local_names.get(home), include_extras=True)["it"]
    except AttributeError as error:  # of a module that is being imported
        raise NameError(str(error)) from error
    except (SyntaxError, TypeError):  # a comment, to its author
        return Any


_local_names: WeakKeyDictionary[Any, dict[str, Any]] = WeakKeyDictionary()
"""What the annotations of functions within functions mean, by function."""


def keep_local_names(fn: Function, parameters: list[inspect.Parameter]) -> None:
    """Keep of the names where a handler is registered those that its annotations need.

    Handlers and models of an application factory are no globals.
    """
    if not any(isinstance(each.annotation, str) for each in parameters):
        return  # a builtin, for one, of which nothing can be kept
    home = _home(fn)
    found = dict(_local_names.get(home, {}))
    for each in parameters:
        while isinstance(each.annotation, str):
            try:
                hint_of(fn, each)
            except NameError as error:
                name, names = error.name or "", _names_of_caller()
                if name in found or name not in names:
                    break
                found[name] = names[name]
                _local_names[home] = found
            else:
                break


def _names_of_caller() -> dict[str, Any]:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__", "").startswith("flask_sio."):
        frame = frame.f_back
    return {} if frame is None else frame.f_locals


def _home(fn: Any) -> Any:
    """Return the function that a handler's annotations were written at."""
    while True:
        if isinstance(fn, partial):
            fn = fn.func
        elif hasattr(fn, "__wrapped__"):
            fn = fn.__wrapped__
        elif hasattr(fn, "__func__"):
            fn = fn.__func__
        elif hasattr(fn, "__globals__"):
            return fn
        else:
            return type(fn).__call__
