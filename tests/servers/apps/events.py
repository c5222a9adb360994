"""The matrix's handlers on the plain server: for any WSGI application, Django's for one."""

from __future__ import annotations

from typing import Any

from flask_sio import ConnectionRefusedError, Server
from tests.servers.apps import stats


def register(server: Server) -> None:
    """Give the server the same events as the Flask application has."""

    @server.event
    def connect(sid: str, environ: dict[str, Any], auth: Any) -> None:
        if isinstance(auth, dict) and "refuse" in auth:
            raise ConnectionRefusedError("go away", {"code": auth["refuse"]})

    @server.event
    def disconnect(sid: str) -> None:
        stats.count("disconnect")

    @server.event
    def echo(sid: str, number: Any) -> Any:
        stats.count("echo")
        server.emit("echoed", number, to=sid)
        return number

    @server.event
    def binary(sid: str, data: Any) -> Any:
        server.emit("binary", data, to=sid)
        return data

    @server.event
    def join(sid: str, room: str) -> bool:
        server.enter_room(sid, room)
        return True

    @server.event
    def leave(sid: str, room: str) -> bool:
        server.leave_room(sid, room)
        return True

    @server.event
    def shout(sid: str, room: str, data: bytes) -> bool:
        server.emit("shouted", {"room": room, "data": data}, to=room)
        return True

    @server.event
    def announce(sid: str, data: bytes) -> bool:
        server.emit("announced", data)
        return True

    @server.event
    def slow(sid: str, seconds: float) -> str:
        server.sleep(seconds)
        return "slow"
