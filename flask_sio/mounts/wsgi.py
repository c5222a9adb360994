"""The WSGI mount: Socket.IO requests go to the server, all others to the application."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from flask_sio.client_files import ClientFiles
from flask_sio.engine.gate import matches
from flask_sio.mounts.static import StaticEntry, StaticFiles
from flask_sio.server.server import Server

StartResponse = Callable[..., Any]
WSGIApplication = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


class WSGIApp:
    """A WSGI application with a Socket.IO server in it.

    ``WSGIApp(server, app)`` mounts it in front of any other, which gets what is neither
    Socket.IO's nor a static file; without ``wsgi_app`` that is answered with 404.
    ``static_files`` maps URLs to files and folders, see `flask_sio.mounts.static.StaticFiles`.
    ``socketio_path`` stands in for the server's ``path``. It can itself be mounted below a
    prefix: what counts is the ``PATH_INFO``.
    """

    def __init__(
        self,
        server: Server,
        wsgi_app: WSGIApplication | None = None,
        static_files: Mapping[str, StaticEntry] | None = None,
        socketio_path: str | None = None,
    ) -> None:
        self.server = server
        self.wsgi_app = wsgi_app
        self.static_files = StaticFiles(static_files or {})
        path = server.options.path if socketio_path is None else socketio_path
        self.path = path.strip("/")
        self.client_files = ClientFiles(server.options.client_dir)
        self._bundle = f"/{self.path}/socket.io."

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        path_info = environ.get("PATH_INFO", "")
        if not matches(path_info, self.path):
            return self._pass_on(environ, start_response)
        if path_info.startswith(self._bundle) and self.server.options.serve_client:
            name = path_info.rsplit("/", 1)[-1]
            return self.client_files.respond(environ, start_response, name)
        return self.server.handle_request(environ, start_response)

    def _pass_on(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        answer = self.static_files.respond(environ, start_response)
        if answer is not None:
            return answer
        if self.wsgi_app is not None:
            return self.wsgi_app(environ, start_response)
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"Not Found"]


class Middleware(WSGIApp):
    """`WSGIApp` by its old name, for programs of python-socketio's early days."""

    def __init__(
        self,
        socketio_app: Server,
        wsgi_app: WSGIApplication | None = None,
        socketio_path: str | None = None,
    ) -> None:
        warnings.warn(
            "Middleware is called WSGIApp now: WSGIApp(server, wsgi_app, socketio_path=...)",
            DeprecationWarning,
            stacklevel=2,
        )
        super().__init__(socketio_app, wsgi_app, socketio_path=socketio_path)
