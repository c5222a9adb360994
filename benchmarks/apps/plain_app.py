"""The same handlers without Flask: `Server` in front of a WSGI application."""

from __future__ import annotations

from typing import Any

from flask_sio import Server, WSGIApp

server = Server()
online: dict[str, int] = {}


def plain(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [b"ok"]


app = WSGIApp(server, plain)


@server.event
def connect(sid: str, environ: dict[str, Any]) -> None:
    online[sid] = 0


@server.event
def disconnect(sid: str, reason: str) -> None:
    del online[sid]


@server.event
def echo(sid: str, data: Any) -> None:
    online[sid] += 1
    server.emit("echo", data, to=sid)


@server.event
def ack(sid: str, data: Any) -> Any:
    online[sid] += 1
    return data


@server.event
def fan(sid: str, data: Any) -> None:
    online[sid] += 1
    server.emit("fan", data, skip_sid=sid)


@server.event
def join(sid: str, room: str) -> list[Any]:
    server.enter_room(sid, room)
    return []


@server.event
def room(sid: str, room: str, data: Any) -> None:
    server.emit("room", data, to=room)
