"""One run of user code, and Django's request for it.

Rules this file holds:

* Each event has a request of its own, made from the connection's first one when a handler
  reads it. Session and user are loaded when *they* are read, so a logout counts from the
  next event on, and a handler that reads neither costs no query.
* ``request_started`` and ``request_finished`` are for HTTP and are not sent. What Django
  does at them for its own parts (database connections, caches) is done here.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpResponse
from django.urls import set_script_prefix

from flask_sio.errors import ConnectionRefusedError
from flask_sio.mounts.django.connections import Connections
from flask_sio.mounts.django.middleware import Middleware
from flask_sio.server.handlers import Kind

if TYPE_CHECKING:
    from flask_sio.server.socket import Socket

__all__ = ["Event", "call_handler", "current_event", "is_event_of"]

_current: ContextVar[Event] = ContextVar("flask_sio.django")


class Event:
    """One run of user code, and what Django holds for it."""

    def __init__(
        self, middleware: Middleware, socket: Socket, kind: Kind, call: Callable[[], Any]
    ) -> None:
        self._middleware = middleware
        self._call = call
        self._request: Any = None
        self.socket = socket
        self.kind = kind
        self.has_called = False
        self.result: Any = None

    @property
    def request(self) -> Any:
        if self._request is None:
            # A copy, since Django and its middleware write into it.
            request = WSGIRequest(self.socket.environ.copy())
            for middleware in self._middleware.for_readers:
                middleware.process_request(request)
            self._request = request
        return self._request

    def run(self, prefix: str) -> Any:
        """Call the handler and return its result. In a context of its own, once."""
        _current.set(self)
        set_script_prefix(prefix)
        status = 500  # with which the session is not saved
        with Connections():
            try:
                self._handle()
                status = 200
            finally:
                if self._request is not None:
                    self._respond(status)
        return self.result

    def _handle(self) -> None:
        around = self._middleware.around
        if around is None:
            self.call_handler()
            return
        response = around(self.request)
        if self.has_called:
            return
        if self.kind == "connect":
            raise ConnectionRefusedError(response.reason_phrase)
        raise PermissionDenied(f"a middleware answered {response.status_code}")

    def call_handler(self) -> None:
        self.result = self._call()
        self.has_called = True
        if self.kind == "connect" and self.result is not False:
            self._identify()

    def _identify(self) -> None:
        """Say whose the client is; a visitor without a session is nobody, and costs nothing."""
        cookies = self.socket.environ.get("HTTP_COOKIE", "")
        if self._request is None and f"{settings.SESSION_COOKIE_NAME}=" not in cookies:
            return
        user = getattr(self.request, "user", None)
        if user is not None and user.is_authenticated:
            self.socket.client.server.users.claim(self.socket, user)

    def _respond(self, status: int) -> None:
        """Let the middleware see an answer, at which it saves the session."""
        response = HttpResponse(status=status)
        for middleware in reversed(self._middleware.for_readers):
            if hasattr(middleware, "process_response"):
                response = middleware.process_response(self._request, response)


def current_event() -> Event:
    """Return the event that is being handled here.

    Raises:
        RuntimeError: there is none.
    """
    event = _current.get(None)
    if event is None:
        raise RuntimeError(
            "no Socket.IO event is being handled here: `request` of flask_sio.mounts.django is "
            "for handlers of a server with DjangoConvention; a task they start gets values"
        )
    return event


def is_event_of(socket: Socket) -> bool:
    """Whether the event that is being handled here, if any is, is this client's."""
    event = _current.get(None)
    return event is not None and event.socket is socket


def call_handler(request: Any) -> HttpResponse:
    """End the chain of middleware."""
    current_event().call_handler()
    return HttpResponse()
