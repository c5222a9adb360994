"""A Bottle program of python-socketio's kind. See `functions`."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

import bottle

socketio: Any = import_module(os.environ["MODULE"])
server = socketio.Server(async_mode=os.environ["ASYNC_MODE"])
site = bottle.Bottle()
log: list[Any] = []


@site.get("/say/<text>")
def say(text: str) -> str:
    server.emit("said", text)
    return f"said {text}"


@server.event
def echo(sid: str, *args: Any) -> Any:
    return args


application = socketio.WSGIApp(server, site)
