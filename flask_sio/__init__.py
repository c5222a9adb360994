"""A Socket.IO server for Python web applications that run on WSGI.

``SocketIO`` is the Flask extension; ``Server`` and ``WSGIApp`` serve any WSGI application.
The Flask names are imported at their first use, so that a Django program loads no Flask.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from flask_sio import exceptions
from flask_sio.adapters.adapter import EmitResult
from flask_sio.adapters.queue import MessageQueue
from flask_sio.engine.hooks import ConnectionFailure
from flask_sio.errors import (
    BadNamespaceError,
    ConfigError,
    ConnectionRefusedError,
    DisconnectedError,
    EventRefusedError,
    HandlerTimeoutError,
    NotConnectedError,
    PayloadError,
    ProtocolError,
    SocketIOError,
    TimeoutError,
)
from flask_sio.mounts.wsgi import Middleware, WSGIApp
from flask_sio.server.around import EventRun
from flask_sio.server.class_namespace import Namespace
from flask_sio.server.idempotent import idempotent
from flask_sio.server.injection import Inject
from flask_sio.server.late import Ack
from flask_sio.server.operators import BroadcastOperator, RemoteSocket, ServerNamespace
from flask_sio.server.parents import ParentNamespace
from flask_sio.server.reasons import Details
from flask_sio.server.server import Server
from flask_sio.server.socket import Socket
from flask_sio.transactions import after_commit

if TYPE_CHECKING:
    from flask_sio.extension.blueprint import SocketBlueprint
    from flask_sio.extension.context import current_socket, request
    from flask_sio.extension.functions import (
        call,
        close_room,
        disconnect,
        emit,
        join_room,
        leave_room,
        rooms,
        send,
    )
    from flask_sio.extension.identity import login_required
    from flask_sio.extension.socketio import SocketIO
    from flask_sio.testing import SocketIOTestClient

__all__ = [
    "Ack",
    "BadNamespaceError",
    "BroadcastOperator",
    "ConfigError",
    "ConnectionFailure",
    "ConnectionRefusedError",
    "Details",
    "DisconnectedError",
    "EmitResult",
    "EventRefusedError",
    "EventRun",
    "HandlerTimeoutError",
    "Inject",
    "MessageQueue",
    "Middleware",
    "Namespace",
    "NotConnectedError",
    "ParentNamespace",
    "PayloadError",
    "ProtocolError",
    "RemoteSocket",
    "Server",
    "ServerNamespace",
    "Socket",
    "SocketBlueprint",
    "SocketIO",
    "SocketIOError",
    "SocketIOTestClient",
    "TimeoutError",
    "WSGIApp",
    "after_commit",
    "call",
    "close_room",
    "current_socket",
    "disconnect",
    "emit",
    "exceptions",
    "idempotent",
    "join_room",
    "leave_room",
    "login_required",
    "request",
    "rooms",
    "send",
]

_FLASK_NAMES = {
    "SocketBlueprint": "extension.blueprint",
    "SocketIO": "extension.socketio",
    "SocketIOTestClient": "testing",
    "call": "extension.functions",
    "close_room": "extension.functions",
    "disconnect": "extension.functions",
    "emit": "extension.functions",
    "join_room": "extension.functions",
    "leave_room": "extension.functions",
    "login_required": "extension.identity",
    "current_socket": "extension.context",
    "request": "extension.context",
    "rooms": "extension.functions",
    "send": "extension.functions",
}
"""Where the names are that need Flask."""


def __getattr__(name: str) -> Any:
    module = _FLASK_NAMES.get(name)
    if module is None:
        raise AttributeError(f"module 'flask_sio' has no attribute {name!r}")
    return getattr(import_module(f"flask_sio.{module}"), name)
