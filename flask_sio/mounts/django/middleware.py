"""The middleware of the settings that concerns events."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured, MiddlewareNotUsed
from django.utils.module_loading import import_string

__all__ = ["Middleware"]

_FOR_READERS = frozenset(
    {
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    }
)
"""The middleware that makes ``request.session`` and ``request.user``."""


class Middleware:
    """The middleware that concerns events, made once per server."""

    def __init__(self, call_handler: Callable[[Any], Any]) -> None:
        named = list(getattr(settings, "SOCKETIO_MIDDLEWARE", ()))
        self.for_readers: list[Any] = []
        """What runs when a handler reads the request, in order."""
        self.around: Callable[[Any], Any] | None = None
        """The named ones, of which the innermost calls the handler; None if there are none."""
        order = []
        for path in settings.MIDDLEWARE:
            made = import_string(path)
            if _is_for_readers(made):
                self.for_readers.append(made(_no_response))
            elif path in named:
                order.append(path)
        order += [path for path in named if path not in settings.MIDDLEWARE]
        for path in reversed(order):
            self._put_around(import_string(path), call_handler)

    def _put_around(self, made: Any, call_handler: Callable[[Any], Any]) -> None:
        if not getattr(made, "sync_capable", True):
            raise ImproperlyConfigured(f"SOCKETIO_MIDDLEWARE: {made.__name__} is only async")
        try:
            self.around = made(self.around or call_handler)
        except MiddlewareNotUsed:
            pass


def _is_for_readers(made: Any) -> bool:
    bases = inspect.getmro(made) if inspect.isclass(made) else ()
    return any(f"{base.__module__}.{base.__qualname__}" in _FOR_READERS for base in bases)


def _no_response(request: Any) -> Any:
    raise RuntimeError("only its process_request and process_response are called")
