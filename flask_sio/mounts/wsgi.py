"""The WSGI mount: Socket.IO requests go to the server, all others to the application."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from flask_sio.client_files import ClientFiles
from flask_sio.engine.gate import matches
from flask_sio.server.server import Server

StartResponse = Callable[..., Any]
WSGIApplication = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


class WSGIApp:
    """A WSGI application with a Socket.IO server in it.

    ``WSGIApp(server, get_wsgi_application())`` mounts it in front of Django or any other.
    Without ``wsgi_app`` what is not Socket.IO gets 404.
    """

    def __init__(
        self,
        server: Server,
        wsgi_app: WSGIApplication | None = None,
        socketio_path: str | None = None,
    ) -> None:
        self.server = server
        self.wsgi_app = wsgi_app
        path = server.options.path if socketio_path is None else socketio_path
        self.path = path.strip("/")
        self.client_files = ClientFiles(server.options.client_dir)
        self._bundle = f"/{self.path}/socket.io."

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        path_info = environ.get("PATH_INFO", "")
        if not matches(path_info, self.path):
            if self.wsgi_app is not None:
                return self.wsgi_app(environ, start_response)
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"Not Found"]
        if path_info.startswith(self._bundle) and self.server.options.serve_client:
            name = path_info.rsplit("/", 1)[-1]
            return self.client_files.respond(environ, start_response, name)
        return self.server.handle_request(environ, start_response)
