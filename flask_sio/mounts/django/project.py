"""A project's server: its options, its handlers, its WSGI application, its templates."""

from __future__ import annotations

import os
import threading
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application as django_application
from django.http import HttpRequest
from django.utils.module_loading import autodiscover_modules
from django.utils.safestring import mark_safe

from flask_sio.client_files import ClientFiles, script_tag
from flask_sio.mounts.django.convention import DjangoConvention
from flask_sio.mounts.django.hosts import DjangoApp
from flask_sio.server.server import Server

__all__ = ["autodiscover", "get_wsgi_application", "project_server", "socketio"]

_making = threading.Lock()
_made: list[Server] = []


def project_server() -> Server:
    """Return the project's server, made at the first call with the options in ``SOCKETIO``."""
    with _making:
        if not _made:
            options = getattr(settings, "SOCKETIO", {})
            _made.append(Server(convention=DjangoConvention(), **options))
    return _made[0]


def autodiscover() -> None:
    """Import the ``sockets`` module of each installed app that has one."""
    autodiscover_modules("sockets")


def get_wsgi_application(server: Server | None = None) -> DjangoApp:
    """Return Django's WSGI application with Socket.IO in front: the project's, or this server."""
    pages = django_application()
    autodiscover()  # for projects without SocketIOConfig
    mount = DjangoApp(project_server() if server is None else server, pages)
    mount.client_files = _client_files(mount.server)
    return mount


def _client_files(server: Server) -> ClientFiles:
    if not server.options.serve_client:
        return ClientFiles(os.devnull)  # finds no bundle
    root = getattr(settings, "BASE_DIR", None)
    return ClientFiles(server.options.client_dir, None if root is None else str(root))


def socketio(request: HttpRequest) -> dict[str, Any]:
    """Give templates ``{{ socketio_script }}`` and ``{{ socketio_path }}``; a context processor.

    The first is the tag that loads the browser client, the second what its option ``path``
    must be, which matters below a prefix or with an own ``path``.
    """
    server, prefix = project_server(), request.META.get("SCRIPT_NAME", "")
    path = server.options.path

    def script() -> Any:
        files, serializer = _client_files(server), server.options.serializer
        return mark_safe(script_tag(path, prefix, files, serializer))

    return {"socketio_script": script, "socketio_path": f"{prefix.rstrip('/')}/{path.strip('/')}"}
