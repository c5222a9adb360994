"""Django at home: handlers with Django's request, session and user; sockets.py of each app.

In the settings, ``"flask_sio.mounts.django.SocketIOConfig"`` among ``INSTALLED_APPS``, and
``SOCKETIO = {...}`` for options of `Server`; in ``wsgi.py`` this package's
`get_wsgi_application`; in an app's ``sockets.py``::

    from flask_sio.mounts.django import login_required, request, server

    @server.on("chat")
    @login_required
    def chat(sid, text):
        server.emit("chat", [request.user.get_username(), text])

Whose a client is, is asked once, when it connects: ``server.emit(..., user=pk)``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask_sio.mounts.django.apps import SocketIOConfig
from flask_sio.mounts.django.convention import DjangoConvention
from flask_sio.mounts.django.handlers import current_user_id, login_required, request
from flask_sio.mounts.django.project import (
    autodiscover,
    get_wsgi_application,
    project_server,
    socketio,
)

if TYPE_CHECKING:
    from flask_sio.server.server import Server

    server: Server

__all__ = [
    "DjangoConvention",
    "SocketIOConfig",
    "autodiscover",
    "current_user_id",
    "get_wsgi_application",
    "login_required",
    "request",
    "server",
    "socketio",
]


def __getattr__(name: str) -> Any:
    if name == "server":  # made late: an import of this package must not read the settings
        return project_server()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
