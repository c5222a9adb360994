"""The extension's own options, and the extension as its convention knows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol

from flask_sio.extension.hooks import HookTable
from flask_sio.extension.sessions import SessionScope

__all__ = ["OWN_OPTIONS", "Extension"]

Function = Callable[..., Any]

OWN_OPTIONS = ("manage_session", "session_scope", "connect_errors")
"""Options of the extension that are no server's: attributes of `Extension`."""


class Extension(Protocol):
    """The SocketIO object, as far as this file knows it."""

    manage_session: bool
    session_scope: SessionScope
    connect_errors: Literal["refuse", "accept"]
    hooks: HookTable
    identifier: Function | None
    """Gives the id of the user who connects, from the auth data; None is Flask-Login's user."""
