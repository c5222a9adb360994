"""A small threading server for a Socket.IO server, as python-socketio's own tests have one.

What it knows of the server is python-socketio's API, so that either package's may be in it.
"""

from __future__ import annotations

import threading
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server


class _ThreadingServer(ThreadingMixIn, WSGIServer):
    """One thread per connection; closing it waits for all of them."""


class _Handler(WSGIRequestHandler):
    def get_environ(self) -> dict[str, Any]:
        # How gunicorn's threaded worker lets an application have the socket.
        return {**super().get_environ(), "gunicorn.socket": self.connection}

    def log_message(self, format: str, *args: Any) -> None:
        """Keep stderr for what should not be there."""


class Harness:
    """A running server; `stop` ends it."""

    def __init__(self, server: Any, app: Any) -> None:
        self._server = server
        self._httpd = make_server("127.0.0.1", 0, self._wrap(app), _ThreadingServer, _Handler)
        self.url = f"http://127.0.0.1:{self._httpd.server_port}"
        self._thread = threading.Thread(target=self._httpd.serve_forever, args=(0.01,))
        self._thread.start()

    @staticmethod
    def _wrap(app: Any) -> Any:
        def wrapped(environ: dict[str, Any], start_response: Any) -> Any:
            try:
                return app(environ, start_response)
            except StopIteration:  # how simple-websocket ends a request that has no answer
                start_response("200 OK", [])
                return []

        return wrapped

    def stop(self) -> None:
        """Shut the Socket.IO server down, then the web server, and wait for every thread."""
        self._server.shutdown()
        self._httpd.shutdown()
        self._httpd.server_close()
        self._thread.join()
