"""A Pyramid program of python-socketio's kind. See `functions`."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from pyramid.config import Configurator
from pyramid.response import Response

socketio: Any = import_module(os.environ["MODULE"])
server = socketio.Server(async_mode=os.environ["ASYNC_MODE"])
log: list[Any] = []


def say(request: Any) -> Response:
    text = request.matchdict["text"]
    server.emit("said", text)
    return Response(f"said {text}")


@server.event
def echo(sid: str, *args: Any) -> Any:
    return args


with Configurator() as config:
    config.add_route("say", "/say/{text}")
    config.add_view(say, route_name="say")

application = socketio.WSGIApp(server, config.make_wsgi_app())
