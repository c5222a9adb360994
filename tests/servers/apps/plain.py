"""The matrix's application without a framework: a server around a WSGI function."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from flask_sio import Server, WSGIApp
from tests.servers.apps import events, stats


def pages(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    body = stats.body() if environ["PATH_INFO"] == "/stats" else b"hello"
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


server = Server()
events.register(server)
app = WSGIApp(server, pages)
