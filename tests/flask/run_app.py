"""A program that calls socketio.run().

Usage: ``python run_app.py '{"patch": bool, "options": {...}, "run": {...}}'``
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

PLAN: dict[str, Any] = json.loads(sys.argv[1])
if PLAN.get("patch"):
    from gevent import monkey

    monkey.patch_all()

from flask import Flask  # noqa: E402 # after patch_all()

from flask_sio import SocketIO  # noqa: E402 # after patch_all()

app = Flask(__name__)
app.config.update(PLAN.get("config", {}))
socketio = SocketIO(app, **PLAN.get("options", {}))


@app.route("/pid")
def pid() -> str:
    return str(os.getpid())


@app.route("/fail")
def fail() -> str:
    raise LookupError("on purpose")


@socketio.event
def mode() -> str | None:
    return socketio.async_mode


@socketio.event
def stop() -> None:
    socketio.stop()


if __name__ == "__main__":
    socketio.run(app, **PLAN["run"])
    print("run() has returned", flush=True)
