"""The applications that idle.py measures, each with a page of its own numbers."""

from __future__ import annotations

import gc
import json
import os
import threading
from typing import Any

from flask import Flask, request, session
from greenlet import greenlet
from idle import rss_kb

from flask_sio import Server, SocketIO, WSGIApp, join_room


def numbers() -> dict[str, int]:
    gc.collect()
    return {
        "greenlets": sum(isinstance(each, greenlet) and not each.dead for each in gc.get_objects()),
        "threads": threading.active_count(),
        "fds": len(os.listdir("/proc/self/fd")),
        "rss_kb": rss_kb(),
    }


def show_numbers(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(numbers()).encode()]


plain = WSGIApp(Server(), show_numbers)

flask_app = Flask(__name__)
flask_app.secret_key = "for a benchmark"
socketio = SocketIO(flask_app)
flask_app.add_url_rule("/stats", "stats", numbers)


@socketio.on("connect")
def connect() -> None:
    """Do what an application does: read the request, keep a session, join a room."""
    session["agent"] = request.headers["User-Agent"]
    join_room("everybody")
