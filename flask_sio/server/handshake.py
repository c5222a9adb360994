"""What a client's connection began with, as handlers may read it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from flask_sio.engine.http import parse_query

if TYPE_CHECKING:
    from flask_sio.server.socket import Socket

__all__ = ["Handshake"]


@dataclass(frozen=True, slots=True)
class Handshake:
    """The first request of a client, and when it came. Source: Socket.IO 4, *socket.handshake*."""

    headers: dict[str, str]
    """Names in lower case."""
    time: str
    """When it connected to the namespace, as text in UTC."""
    address: str
    xdomain: bool
    """Whether a page has sent it: it has an ``Origin``."""
    secure: bool
    issued: int
    """`time` in milliseconds since 1970."""
    url: str
    query: dict[str, str]
    auth: Any
    """What the client sent to connect to the namespace, or None."""

    def as_dict(self) -> dict[str, Any]:
        """Return the same as JSON would have it."""
        return asdict(self)


def read(socket: Socket) -> Handshake:
    """Return the handshake of a socket."""
    environ = socket.environ
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    query = environ.get("QUERY_STRING", "")
    return Handshake(
        headers=_headers(environ),
        time=datetime.fromtimestamp(socket.issued, timezone.utc).strftime("%c"),
        address=environ.get("REMOTE_ADDR", ""),
        xdomain="HTTP_ORIGIN" in environ,
        secure=environ.get("wsgi.url_scheme") == "https",
        issued=int(socket.issued * 1000),
        url=f"{path}?{query}" if query else path,
        query=parse_query(environ),
        auth=socket.auth,
    )


def _headers(environ: dict[str, Any]) -> dict[str, str]:
    found = {
        key[5:].replace("_", "-").lower(): value
        for key, value in environ.items()
        if key.startswith("HTTP_") and isinstance(value, str)
    }
    for key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(key):
            found[key.replace("_", "-").lower()] = environ[key]
    return found
