"""The applications of one extension, and the server that stands in front of each."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterable
from typing import Any

import flask
from flask import Flask
from markupsafe import Markup

from flask_sio.client_files import ClientFiles, script_tag
from flask_sio.extension.context import active_app
from flask_sio.mounts.wsgi import WSGIApp
from flask_sio.server.server import Server

__all__ = ["Mount", "Mounted"]

_NO_FILES = ClientFiles(os.devnull)
"""Finds no bundle, for a server that serves none."""


class Mount:
    """What stands in ``app.wsgi_app`` for good, whichever server is behind it."""

    def __init__(self, app: Flask, server: Server) -> None:
        self._app = app
        self.wsgi = WSGIApp(server, app.wsgi_app)

    def replace(self, server: Server) -> None:
        """Put another server here, in front of the same application."""
        self.wsgi = WSGIApp(server, self.wsgi.wsgi_app)

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        environ["flask.app"] = self._app
        return self.wsgi(environ, start_response)


class Mounted:
    """What has a server in each of its applications."""

    def __init__(self) -> None:
        self._server: Server | None = None
        self._apps: weakref.WeakSet[Flask] = weakref.WeakSet()
        self._has_several = False

    @property
    def server(self) -> Server:
        """The server of the application that came last; None before `init_app`."""
        return self._server  # type: ignore[return-value] # nobody reads it before init_app()

    @property
    def sockio_mw(self) -> WSGIApp | None:
        """What stands in front of the last application, which is its ``wsgi_app``."""
        mounts = filter(None, map(self._mount_of, self._apps))
        return next((each.wsgi for each in mounts if each.wsgi.server is self._server), None)

    def _mount(self, app: Flask, server: Server) -> None:
        self._server = server
        mount = self._mount_of(app)
        if mount is None:
            mount = Mount(app, server)
            # Kept by the application: a table of ours would keep every application alive.
            app.extensions.setdefault("flask_sio", {})[self] = mount
            app.wsgi_app = mount  # type: ignore[method-assign] # how Flask is extended
            self._apps.add(app)
            self._has_several = len(self._apps) > 1
        else:
            mount.replace(server)
        app.extensions["socketio"] = self
        files = ClientFiles(server.options.client_dir, app.root_path)
        mount.wsgi.client_files = files
        if not server.options.serve_client:
            files = _NO_FILES

        def socketio_script() -> Markup:
            """Return the tag that loads the browser client."""
            prefix = flask.request.script_root if flask.has_request_context() else ""
            options = server.options
            return Markup(script_tag(options.path, prefix, files, options.serializer))

        app.jinja_env.globals["socketio_script"] = socketio_script

    def _mount_of(self, app: Flask) -> Mount | None:
        mounts: dict[Mounted, Mount] = app.extensions.get("flask_sio", {})
        return mounts.get(self)

    def _servers(self) -> list[Server]:
        mounts = [self._mount_of(app) for app in list(self._apps)]
        return [mount.wsgi.server for mount in mounts if mount is not None]

    def _require(self) -> Server:
        """Return the server of the application that is active, else of the last one."""
        if self._server is None:
            raise RuntimeError("this SocketIO has no application yet: call init_app(app) first")
        if self._has_several:
            app = active_app()
            mount = None if app is None else self._mount_of(app)
            if mount is not None:
                return mount.wsgi.server
        return self._server
