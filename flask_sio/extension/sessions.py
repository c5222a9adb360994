"""``flask.session`` in an event, which has no response to carry a cookie.

======================================  =====================  ==============================
``manage_session``                      reads                  writes
======================================  =====================  ==============================
True (default)                          the session as it was  stay with the connection, for
                                        when first needed      all its namespaces or, by
                                                               ``session_scope``, one; HTTP
                                                               never sees them
False, session kept on the server       what is stored now     are stored after each event
False, session kept in a cookie         the handshake's cookie  are lost; said once
======================================  =====================  ==============================
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

from flask import Flask
from flask.sessions import SecureCookieSessionInterface, SessionMixin

if TYPE_CHECKING:
    from flask_sio.extension.context import EventContext
    from flask_sio.server.socket import Socket

__all__ = ["SESSION_KEY", "ManagedSession", "SessionScope", "Sessions"]

SESSION_KEY = "saved_session"
"""Where the connection's environ keeps the managed session; Flask-SocketIO's name."""

_IN_A_COOKIE = (
    "flask.session was changed in the event %.200r and that is lost: the session is kept in a "
    "cookie, which only the answer to a request can set. Change it in a view, keep sessions on the "
    "server (Flask-Session does), or use manage_session=True for a copy per connection (said once)"
)
_NEW = (
    "flask.session was changed in the event %.200r by a client that had no session cookie when it "
    "connected: nobody will find what is stored now. Begin the session in a view (said once)"
)


SessionScope = Literal["connection", "namespace"]


class Policy(Protocol):
    """The SocketIO object, as far as this file knows it."""

    manage_session: bool
    """Read at each event, so it may be changed at any time."""
    session_scope: SessionScope


class ManagedSession(dict[str, Any], SessionMixin):
    """A connection's own copy of the user's session; no cookie is ever written from it.

    One for all namespaces of the connection, or with ``session_scope="namespace"`` one for
    each. Handlers that overlap, ``concurrent`` ones or of several namespaces, change the
    same dict.
    """


_OF_SOCKET = f"{SESSION_KEY} of "
"""Begins the names of those that are one namespace's."""


def _forget_left(socket: Socket) -> None:
    """Drop the sessions of namespaces that the connection is in no more."""
    environ = socket.environ
    there = {f"{_OF_SOCKET}{each.id}" for each in list(socket.client.sockets.values())}
    for key in list(environ):
        if key.startswith(_OF_SOCKET) and key not in there:
            environ.pop(key, None)


class Sessions:
    """Opens and saves the sessions of one application's events."""

    __slots__ = ("_app", "_policy", "_said")

    def __init__(self, app: Flask, policy: Policy) -> None:
        self._app = app
        self._policy = policy
        self._said: set[str] = set()

    def open(self, context: EventContext) -> SessionMixin:
        """Return the connection's managed session, or the one Flask opens for this event."""
        managed = self._policy.manage_session
        environ, key = context.socket.environ, SESSION_KEY
        if self._policy.session_scope == "namespace":
            key = f"{_OF_SOCKET}{context.socket.id}"
        if managed and key in environ:
            return cast(SessionMixin, environ[key])
        interface = self._app.session_interface
        session = interface.open_session(self._app, context.request)
        if session is None:
            session = interface.make_null_session(self._app)
        if managed:
            # setdefault: two events of one connection may come here at once.
            session = environ.setdefault(key, ManagedSession(session))
            if key is not SESSION_KEY:
                _forget_left(context.socket)
        return session

    def save(self, context: EventContext, session: SessionMixin) -> None:
        """Give a session that Flask manages back to its interface, if it was changed."""
        if isinstance(session, ManagedSession) or not session.modified:
            return
        app, interface = self._app, self._app.session_interface
        if interface.is_null_session(session):
            return
        if type(interface).save_session is SecureCookieSessionInterface.save_session:
            self._say_once(_IN_A_COOKIE, context)
            return
        if interface.get_cookie_name(app) not in context.request.cookies:
            self._say_once(_NEW, context)
        interface.save_session(app, session, app.response_class())

    def _say_once(self, text: str, context: EventContext) -> None:
        if text not in self._said:
            self._said.add(text)
            self._app.logger.warning(text, context.message)
