"""A Socket.IO server for Python web applications that run on WSGI.

``SocketIO`` is the Flask extension; ``Server`` and ``WSGIApp`` serve any WSGI application.
The Flask names are imported at their first use, so that a Django program loads no Flask.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from flask_sio.adapters.queue import MessageQueue
from flask_sio.errors import (
    BadNamespaceError,
    ConfigError,
    ConnectionRefusedError,
    DisconnectedError,
    NotConnectedError,
    ProtocolError,
    SocketIOError,
    TimeoutError,
)
from flask_sio.mounts.wsgi import WSGIApp
from flask_sio.server.class_namespace import Namespace
from flask_sio.server.server import Server

if TYPE_CHECKING:
    from flask_sio.extension import SocketIO
    from flask_sio.functions import (
        call,
        close_room,
        disconnect,
        emit,
        join_room,
        leave_room,
        rooms,
        send,
    )
    from flask_sio.registration import SocketBlueprint
    from flask_sio.testing import SocketIOTestClient

__all__ = [
    "BadNamespaceError",
    "ConfigError",
    "ConnectionRefusedError",
    "DisconnectedError",
    "MessageQueue",
    "Namespace",
    "NotConnectedError",
    "ProtocolError",
    "Server",
    "SocketBlueprint",
    "SocketIO",
    "SocketIOError",
    "SocketIOTestClient",
    "TimeoutError",
    "WSGIApp",
    "call",
    "close_room",
    "disconnect",
    "emit",
    "join_room",
    "leave_room",
    "rooms",
    "send",
]

_FUNCTIONS = frozenset(
    {"call", "close_room", "disconnect", "emit", "join_room", "leave_room", "rooms", "send"}
)


def __getattr__(name: str) -> Any:
    if name == "SocketIO":
        return import_module("flask_sio.extension").SocketIO
    if name == "SocketBlueprint":
        return import_module("flask_sio.registration").SocketBlueprint
    if name == "SocketIOTestClient":
        return import_module("flask_sio.testing").SocketIOTestClient
    if name in _FUNCTIONS:
        return getattr(import_module("flask_sio.functions"), name)
    raise AttributeError(f"module 'flask_sio' has no attribute {name!r}")
