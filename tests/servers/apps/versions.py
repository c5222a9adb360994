"""What clients of every version are driven against: one server, two namespaces, one room."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

from flask_sio import ConnectionRefusedError, Server, WSGIApp

ATTENDANTS = int(os.environ.get("ATTENDANTS", "1"))
"""How many clients have to be present before all of them are told."""
TEXT = "é€\U0001f600\ud800"
"""Latin-1, the BMP, beyond it, and half of a character."""
BYTES = bytes(range(256))

OPEN: dict[str, Any] = {
    "jsonp": True,
    "cors_allowed_origins": re.compile(r"http://(127\.0\.0\.1|localhost):[0-9]+"),
}
"""For pages of another origin, and browsers that can do no better."""

# Short, so that heartbeats of both directions come to pass; and python-engineio's client may
# forget to say good-bye when it is refused, and then waits for the next ping.
server = Server(ping_interval=1, **(OPEN if os.environ.get("OPEN") else {}))
present: set[str] = set()


def user(environ: dict[str, Any]) -> str:
    """Return the client's parameter of this name, which is in the query of its request."""
    return parse_qs(environ["QUERY_STRING"]).get("user", [""])[0]


@server.event
def connect(sid: str, environ: dict[str, Any], auth: Any) -> None:
    server.emit("hello", {"user": user(environ), "auth": auth, "text": TEXT}, to=sid)


@server.on("connect", namespace="/admin")
def connect_admin(sid: str, environ: dict[str, Any], auth: Any) -> None:
    if not isinstance(auth, dict) or auth.get("token") != "a,€&=":
        raise ConnectionRefusedError("no token")
    server.emit("hello", {"user": user(environ)}, to=sid, namespace="/admin")


@server.on("connect", namespace="/closed")
def connect_closed(sid: str, environ: dict[str, Any]) -> None:
    raise ConnectionRefusedError("closed", {"until": TEXT})


@server.event
def disconnect(sid: str) -> None:
    present.discard(sid)


@server.on("echo")
@server.on("echo", namespace="/admin")
def echo(sid: str, *args: Any) -> Any:
    """Answer with what was sent."""
    return args


@server.event
def say(sid: str, *args: Any) -> None:
    """Send an event back."""
    server.emit("said", args, to=sid)


@server.event
def ask_me(sid: str, *args: Any) -> Any:
    """Ask the client, and answer with what it answers."""
    return server.call("question", args, to=sid, timeout=60)


@server.event
def attend(sid: str) -> None:
    """Tell everybody once all are here."""
    server.enter_room(sid, "hall")
    present.add(sid)
    if len(present) == ATTENDANTS:
        server.emit("all here", {"text": TEXT, "bytes": [BYTES, b""]}, to="hall")


@server.event
def leave(sid: str) -> None:
    """Leave for the server."""
    server.disconnect(sid)


def pages(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/html"), ("Content-Length", "15")])
    return [b"<!doctype html>"]


app = WSGIApp(server, pages)
