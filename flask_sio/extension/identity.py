"""Whose a client is: told by the program, or by Flask-Login, when it connects."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from flask_sio.extension.callables import Bound

if TYPE_CHECKING:
    from flask_sio.extension.context import EventContext
    from flask_sio.extension.convention import FlaskConvention

__all__ = ["identifying"]

Function = Callable[..., Any]


def identifying(convention: FlaskConvention, context: EventContext, handler: Function) -> Function:
    """Return a connect handler that also says whose the client is, unless it refuses."""

    def connect(auth: Any) -> Any:
        result = handler(auth)
        if result is not False:
            identify = convention.extension.identifier or partial(_flask_login_user, convention)
            user = identify(auth)
            if user is not None:
                convention.server.users.claim(context.socket, user)
        return result

    if isinstance(handler, Bound):
        return Bound(connect, handler.hooks, handler.instance)
    return connect


def _flask_login_user(convention: FlaskConvention, auth: Any) -> Any:
    if not hasattr(convention.app, "login_manager"):
        return None
    from flask_login import current_user

    return current_user if current_user.is_authenticated else None
