"""The WSGI environ that a connection keeps: slim, and sharing what clients have in common.

Sockets, streams and the server's own objects are left out (they would keep the WSGI call
alive); everything else stays, whoever put it there. Header names, and values that many
clients send alike, are stored once.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable
from typing import Any

_DROPPED = frozenset(
    {
        "gunicorn.sock",
        "gunicorn.socket",
        "werkzeug.request",
        "werkzeug.server.shutdown",
        "werkzeug.socket",
        "wsgi.early_hints",
        "wsgi.file_wrapper",
        "wsgi.input",
        "wsgi.input_terminated",
        "wsgi.websocket",
    }
)
_NO_BODY = io.BytesIO()


class _Errors:
    """The ``wsgi.errors`` of all connections: Flask's own log handler writes there.

    The server's stream may end with its request; the process's is whatever it is by then.
    """

    __slots__ = ()

    def write(self, text: str) -> object:
        return sys.stderr.write(text)

    def writelines(self, lines: Iterable[str]) -> None:
        sys.stderr.writelines(lines)

    def flush(self) -> None:
        sys.stderr.flush()


_ERRORS = _Errors()
_SHARED_MAX = 4096
_SHARED_CHARS = 512
_PRIVATE = frozenset(
    {"HTTP_AUTHORIZATION", "HTTP_COOKIE", "HTTP_SEC_WEBSOCKET_KEY", "QUERY_STRING", "REMOTE_PORT"}
)
"""Different for each client, so that sharing them would only fill the table."""

_shared: dict[str, str] = {}


def share(text: str) -> str:
    """Return an equal string that others use too; a bounded table, never an intern."""
    known = _shared.get(text)
    if known is not None:
        return known
    if len(text) <= _SHARED_CHARS and len(_shared) < _SHARED_MAX:
        _shared[text] = text
    return text


def slim(environ: dict[str, Any]) -> dict[str, Any]:
    """Return the environ to keep for the life of a connection."""
    kept: dict[str, Any] = {}
    for key, value in environ.items():
        if key in _DROPPED:
            continue
        if type(value) is str and key not in _PRIVATE:
            value = share(value)
        kept[share(key)] = value
    kept["wsgi.input"] = _NO_BODY
    kept["wsgi.errors"] = _ERRORS
    return kept
