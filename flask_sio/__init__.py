"""A Socket.IO server for Python web applications that run on WSGI.

``SocketIO`` is the Flask extension; ``Server`` and ``WSGIApp`` serve any WSGI application.
"""

from __future__ import annotations

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
from flask_sio.server.server import Server

__all__ = [
    "BadNamespaceError",
    "ConfigError",
    "ConnectionRefusedError",
    "DisconnectedError",
    "NotConnectedError",
    "ProtocolError",
    "Server",
    "SocketIOError",
    "TimeoutError",
    "WSGIApp",
]
