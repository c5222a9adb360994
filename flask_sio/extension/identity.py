"""Whose a client is: told by the program, or by Flask-Login; and what only users may call.

A program's function is asked once, when the client connects; Flask-Login's user is loaded
anew for each event that asks.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from flask_sio.errors import ConnectionRefusedError, EventRefusedError
from flask_sio.extension.callables import Bound, as_sync
from flask_sio.extension.context import current_event
from flask_sio.server.calling import cut, name_of
from flask_sio.server.users import LOGIN_MESSAGE, user_id

if TYPE_CHECKING:
    from flask import Flask

    from flask_sio.extension.context import EventContext
    from flask_sio.extension.convention import FlaskConvention

__all__ = ["has_flask_login", "identifying", "login_required"]

Function = Callable[..., Any]
F = TypeVar("F", bound=Function)

_DENIED = "Permission denied"
"""What `login_required` tells a user whom its ``check`` does not let in."""


def identifying(convention: FlaskConvention, context: EventContext, handler: Function) -> Function:
    """Return a connect handler that also says whose the client is, unless it refuses."""

    def connect(auth: Any) -> Any:
        result = handler(auth)
        if result is not False:
            user = _identified(context)
            if user is not None:
                convention.server.users.claim(context.socket, user)
        return result

    if isinstance(handler, Bound):
        return Bound(connect, handler.hooks, handler.instance)
    return connect


@overload
def login_required(handler: F) -> F: ...
@overload
def login_required(*, check: Function | None = None) -> Callable[[F], F]: ...
def login_required(handler: Any = None, *, check: Any = None) -> Any:
    """Keep clients that are nobody's from a handler; goes below ``@socketio.on(...)``.

    The handler is a function or a method, of connect or of an event. Whose a client is says
    `SocketIO.identify`, or else Flask-Login, for each event anew. A stranger's connect is
    refused with "Please log in.", an event by an `EventRefusedError` of that text.

    ``@login_required(check=may)`` also asks a function of yours, of nothing or of the user's
    id as text; unless what it returns is true, the text is "Permission denied".

    Raises:
        TypeError: no function, or a ``check`` that cannot be called so.
    """
    may = None
    if check is not None:
        may = cut(check, 0, 1, call=as_sync(check)) if callable(check) else None
        if may is None:
            raise TypeError(f"check must be a function of nothing or (user), not {name_of(check)}")

    def decorate(handler: Any) -> Any:
        if not callable(handler):
            raise TypeError(f"login_required needs a function, not {handler!r:.80}")
        call = as_sync(handler)

        @functools.wraps(handler)
        def checked(*args: Any, **values: Any) -> Any:
            _let_in(may)
            return call(*args, **values)

        return checked

    return decorate if handler is None else decorate(handler)


def _let_in(may: Function | None) -> None:
    """Refuse the event that is being handled unless its client is a user who may."""
    context = current_event()
    if context is None:
        raise RuntimeError("login_required is for handlers, and no event is being handled")
    if context.message in ("disconnect", "disconnecting"):
        return  # it has what to clear away, whoever leaves
    user = _current_user_id(context)
    if user is not None and (may is None or may(user)):
        return
    refusal = LOGIN_MESSAGE if user is None else _DENIED
    if context.message == "connect":
        raise ConnectionRefusedError(refusal)
    raise EventRefusedError(refusal)


def _current_user_id(context: EventContext) -> str | None:
    """Return the id of the user whose event this is."""
    convention = context.convention
    if context.message == "connect":
        return user_id(_identified(context))
    if convention.extension.identifier is None and has_flask_login(convention.app):
        return user_id(_flask_login_user())
    return context.socket.user


def _identified(context: EventContext) -> Any:
    """Return the user who connects; the program is asked once."""
    try:
        return context.user
    except AttributeError:
        pass
    convention = context.convention
    identify = convention.extension.identifier
    if identify is not None:
        context.user = identify(context.socket.auth)
    else:
        context.user = _flask_login_user() if has_flask_login(convention.app) else None
    return context.user


def has_flask_login(app: Flask) -> bool:
    """Whether the app has Flask-Login, whose user counts where `SocketIO.identify` says none."""
    return hasattr(app, "login_manager")


def _flask_login_user() -> Any:
    from flask_login import current_user

    return current_user if current_user.is_authenticated else None
