"""`SocketIO.run` and its end."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from flask import Flask
from werkzeug.debug import DebuggedApplication
from werkzeug.serving import is_running_from_reloader

from flask_sio.extension.mounting import Mounted
from flask_sio.runtime.serve import Plan, run_pywsgi, run_werkzeug
from flask_sio.server.status import Status

__all__ = ["Runner"]


class Runner(Mounted):
    """What can serve its applications by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.wsgi_server: Any = None
        """pywsgi's server object, while `run` serves with it."""
        self._stop: Callable[[], None] | None = None

    def run(
        self,
        app: Flask,
        host: str | None = None,
        port: int | None = None,
        *,
        debug: bool | None = None,
        log_output: bool | None = None,
        use_reloader: bool | None = None,
        reloader_options: dict[str, Any] | None = None,
        allow_unsafe_werkzeug: bool = False,
        **server_options: Any,
    ) -> None:
        """Serve the application until SIGINT, SIGTERM or `stop`.

        gevent's pywsgi serves, or Werkzeug's development server with
        ``async_mode="threading"``; ``server_options`` are that server's own. Under the
        ``flask`` command this does nothing, since that command serves.

        Raises:
            TypeError: an option the server does not have.
            RuntimeError: `init_app` was not called with this app; or Werkzeug's server
                without a terminal, which ``allow_unsafe_werkzeug=True`` permits.
        """
        if os.environ.get("FLASK_RUN_FROM_CLI") == "true":
            if not is_running_from_reloader():
                sys.stderr.write(" * socketio.run() does nothing: the flask command serves\n")
            return
        mount = self._mount_of(app)
        if mount is None:
            raise RuntimeError(f"call init_app(app) with the application {app.name!r} first")
        app.debug = debug = app.debug if debug is None else debug
        _, _, default_port = (app.config["SERVER_NAME"] or "").partition(":")
        reloader = dict(reloader_options or {})
        if extra_files := server_options.pop("extra_files", None):
            reloader["extra_files"] = extra_files
        plan = Plan(
            app=app,
            host=host or "127.0.0.1",
            port=int(default_port or 5000) if port is None else port,
            options=server_options,
            reloader=reloader if (debug if use_reloader is None else use_reloader) else None,
            log_output=debug if log_output is None else log_output,
            shutdown=self.shutdown,
            on_start=self._started,
        )
        if mount.wsgi.server.options.async_mode != "threading":
            mount.wsgi.server.use_runtime("gevent")
            if debug and not isinstance(mount.wsgi.wsgi_app, DebuggedApplication):
                inner: Any = mount.wsgi.wsgi_app
                mount.wsgi.wsgi_app = DebuggedApplication(inner, evalex=True)
            run_pywsgi(plan)
        else:
            run_werkzeug(plan, allow_unsafe_werkzeug)

    def _started(self, stop: Callable[[], None] | None, wsgi_server: Any) -> None:
        """Know the server that `run` has started, and that it has ended."""
        self._stop, self.wsgi_server = stop, wsgi_server

    def stop(self) -> None:
        """End what `run` began, after a good-bye to all clients. Never waits.

        Raises:
            RuntimeError: nothing runs; a server that was started otherwise is ended its way.
        """
        if self._stop is None:
            raise RuntimeError("stop() ends what socketio.run() began, and nothing runs")
        self._stop()

    def status(self) -> Status:
        """Describe this worker and its links to others, for monitoring. Any thread."""
        return self.server.status()

    def shutdown(self) -> None:
        """Close every connection so that clients come back by themselves, and take no more.

        Waits until all are gone, a few seconds at most.
        """
        for server in self._servers():
            server.shutdown()
