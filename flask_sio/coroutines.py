"""Functions that nobody here would await: what they give is a coroutine, which is true."""

from __future__ import annotations

from functools import partial
from inspect import isasyncgenfunction, iscoroutinefunction
from typing import Any

__all__ = ["is_async"]


def is_async(fn: Any) -> bool:
    """Whether calling it runs nothing: an ``async def``, or an object that is called by one."""
    while isinstance(fn, partial):
        fn = fn.func
    called = getattr(type(fn), "__call__", None)  # noqa: B004 # the function, not whether
    return any(iscoroutinefunction(each) or isasyncgenfunction(each) for each in (fn, called))
