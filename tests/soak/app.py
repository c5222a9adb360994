"""The server under soak: what it handled, and everything it keeps, by ``GET /state``."""

from __future__ import annotations

import gc
import json
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from flask_sio import Server, WSGIApp
from tests.servers.apps import stats

logging.basicConfig(level=logging.WARNING)

OPTIONS: dict[str, Any] = {
    "ping_interval": 3,
    "ping_timeout": 15,
    "connect_timeout": 8,
    "upgrade_timeout": 10,
    "body_timeout": 3,
    "attachment_timeout": 3,
    "max_http_buffer_size": 100_000,
    "max_outbound_bytes": 262_144,
    "max_mailbox_bytes": 262_144,
    "max_mailbox_events": 100,  # at most five seconds of `nap`
    "namespaces": "*",
}
OPTIONS |= json.loads(os.environ.get("SOAK_OPTIONS", "{}"))

server = Server(**OPTIONS)
handled: Counter[str] = Counter()
"""How often each event was handled, by its token."""
BIG = 20_000 * "x"


@server.event
def join(sid: str, room: str) -> bool:
    server.enter_room(sid, room)
    return True


@server.event
def leave(sid: str, room: str) -> bool:
    server.leave_room(sid, room)
    return True


@server.event
def work(sid: str, token: str) -> str:
    handled[token] += 1
    return token


@server.event
def nap(sid: str, token: str) -> str:
    server.sleep(0.05)
    handled[token] += 1
    return token


@server.event
def echo(sid: str, data: Any) -> Any:
    return data


@server.event
def shout(sid: str, room: str) -> bool:
    server.emit("news", {"room": room}, to=room)
    return True


@server.event
def announce(sid: str) -> bool:
    server.emit("news", {"all": True})
    return True


@server.event
def quiz(sid: str) -> bool:
    """Ask the client something, which it may never answer."""
    server.emit("ask", "?", to=sid, callback=lambda *args: stats.count("answers"))
    return True


@server.event
def flood(sid: str) -> None:
    for number in range(40):
        server.emit("flood", [number, BIG], to=sid)


def state() -> dict[str, Any]:
    """Return what the server keeps for clients, read in one turn."""
    gc.collect()
    engine = server.engine
    if not engine.has_loop:
        return {}
    loop: Any = engine.loop

    def look() -> dict[str, int]:
        spaces = list(server.spaces.values())
        sockets = [socket for space in spaces for socket in space.rooms.everyone.values()]
        return {
            "connections": len(engine.connections),
            "streams": len(engine.streams),
            "sockets": len(sockets),
            "rooms": sum(len(space.rooms._rooms) for space in spaces),
            "joined": sum(len(space.rooms._joined) for space in spaces),
            "lobby": len(server.lobby),
            "timers": len(loop._wheel),
            "handlers": loop.running_handlers,
            "acks": sum(_owed(each) for each in gc.get_objects() if _is_acks(each)),
        }

    found: dict[str, Any] = loop.call(look)
    return found


def _is_acks(thing: object) -> bool:
    return type(thing).__name__ == "Acks" and type(thing).__module__.startswith("flask_sio.")


def _owed(acks: Any) -> int:
    return len(acks._owed)


def pages(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path == "/state":
        body = json.dumps({**stats.stats(), **state()}).encode()
    elif path == "/handled":
        body = json.dumps(handled).encode()
    elif path == "/rss":
        body = str(stats.status("VmRSS")).encode()
    else:
        body = b"hello"
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


app = WSGIApp(server, pages)
