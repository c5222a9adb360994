"""A server that compresses, and echoes."""

from __future__ import annotations

from typing import Any

from flask_sio import Server, WSGIApp

server = Server(per_message_deflate=True)
app = WSGIApp(server)


@server.event
def echo(sid: str, value: Any) -> Any:
    return value


@server.event
def tell(sid: str, value: Any) -> None:
    server.emit("news", value, skip_sid=sid)
