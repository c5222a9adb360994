"""What handlers of a Django project use: its request, and who may call them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

from django.core.exceptions import PermissionDenied
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest
from django.utils.functional import LazyObject

from flask_sio.errors import ConnectionRefusedError
from flask_sio.mounts.django.events import current_event
from flask_sio.server.calling import check_function
from flask_sio.server.users import LOGIN_MESSAGE

__all__ = ["current_user_id", "login_required", "request"]

F = TypeVar("F", bound=Callable[..., Any])


class _CurrentRequest(LazyObject):  # type: ignore[misc] # Django is untyped
    """Stands for the request of the event that is being handled."""

    _wrapped = property(lambda _self: current_event().request)
    # Known without an event, for those who look at every object of a module.
    __class__ = property(lambda _self: WSGIRequest)


request: HttpRequest = cast(HttpRequest, _CurrentRequest())
"""Django's request of the event: the connection's first one, with session and user of now."""


def current_user_id() -> Any:
    """Return the primary key of the event's user; None for an anonymous one."""
    user = getattr(current_event().request, "user", None)
    return None if user is None else user.pk


def login_required(handler: F) -> F:
    """Keep anonymous users from a handler; goes below ``@server.on(...)``.

    Of a connect handler the client is refused. Of an event's, where the user has logged out
    since, the client is disconnected and the handler does not run.
    """

    check_function(handler, "login_required")

    @functools.wraps(handler)
    def checked(*args: Any, **values: Any) -> Any:
        event = current_event()
        if event.request.user.is_authenticated:
            return handler(*args, **values)
        if event.kind == "connect":
            raise ConnectionRefusedError(LOGIN_MESSAGE)
        socket = event.socket
        socket.client.server.disconnect(socket.id, socket.namespace)
        raise PermissionDenied("the user is not logged in any more")

    return cast(F, checked)
