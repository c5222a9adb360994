"""An application that notes, in a file of all workers, which users come and go."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from flask import Flask

from flask_sio import SocketIO

app = Flask(__name__)
socketio = SocketIO(app, presence_grace=float(os.environ["GRACE"]))


@socketio.identify
def user(auth: Any) -> Any:
    return auth["user"]


def note(event: str, user: str) -> None:
    with Path(os.environ["TOLD"]).open("a") as file:
        file.write(f"{event} {user}\n")


@socketio.on_presence("online")
def online(namespace: str, user: str) -> None:
    note("online", user)


@socketio.on_presence("offline")
def offline(namespace: str, user: str) -> None:
    note("offline", user)


@socketio.on("pid")
def pid() -> int:
    """Say whose client it is, once the other workers have been heard of what was before."""
    socketio.of("/").server_side_call("ping")
    return os.getpid()


@socketio.on_server_event("ping")
def ping() -> None:
    """Be there."""
