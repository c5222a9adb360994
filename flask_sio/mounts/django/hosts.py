"""The mount in front of a Django project, which minds ALLOWED_HOSTS."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from django.core.exceptions import DisallowedHost
from django.core.handlers.wsgi import WSGIRequest

from flask_sio.engine import http
from flask_sio.engine.gate import EngineRequest, matches
from flask_sio.mounts.wsgi import StartResponse, WSGIApp

__all__ = ["DjangoApp"]

logger = logging.getLogger("django.security.DisallowedHost")
"""Where Django logs it for its own views."""


class DjangoApp(WSGIApp):
    """`WSGIApp`, but a client that comes under a foreign host name gets 400, as from a view.

    The check of the ``Origin`` compares it with the ``Host``: a name that an attacker lets
    point here is the same in both. Only handshakes are checked; what follows has the secret
    of its connection.
    """

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if matches(environ.get("PATH_INFO", ""), self.path):
            request = EngineRequest.from_environ(environ)
            if not request.sid and not _is_allowed(environ):
                answer = http.ws_error(3) if request.is_upgrade else http.error(3)
                return answer.send(start_response)
        return super().__call__(environ, start_response)


def _is_allowed(environ: dict[str, Any]) -> bool:
    request = WSGIRequest(environ)
    try:
        request.get_host()
    except DisallowedHost as error:
        logger.error("%s", error, extra={"status_code": 400, "request": request})
        return False
    return True
