"""The matrix's application on the Flask extension.

``python -m tests.servers.apps.flask_app PORT`` serves it by ``socketio.run``.
"""

from __future__ import annotations

import sys
from typing import Any

from flask import Flask, Response

from flask_sio import ConnectionRefusedError, SocketIO, emit, join_room, leave_room
from tests.servers.apps import stats

app = Flask(__name__)
app.secret_key = "of the tests"
socketio = SocketIO(app)


@app.get("/")
def index() -> str:
    return "hello"


@app.get("/stats")
def show_stats() -> Response:
    return Response(stats.body(), mimetype="application/json")


@socketio.on("connect")
def connect(auth: Any = None) -> None:
    if isinstance(auth, dict) and "refuse" in auth:
        raise ConnectionRefusedError("go away", {"code": auth["refuse"]})


@socketio.on("disconnect")
def disconnect() -> None:
    stats.count("disconnect")
    print("disconnect handled", flush=True)


@socketio.on("echo")
def echo(number: Any) -> Any:
    stats.count("echo")
    emit("echoed", number)
    return number


@socketio.on("binary")
def binary(data: Any) -> Any:
    emit("binary", data)
    return data


@socketio.on("join")
def join(room: str) -> bool:
    join_room(room)
    return True


@socketio.on("leave")
def leave(room: str) -> bool:
    leave_room(room)
    return True


@socketio.on("shout")
def shout(room: str, data: bytes) -> bool:
    emit("shouted", {"room": room, "data": data}, to=room)
    return True


@socketio.on("announce")
def announce(data: bytes) -> bool:
    emit("announced", data, broadcast=True)
    return True


@socketio.on("slow")
def slow(seconds: float) -> str:
    socketio.sleep(seconds)
    print("slow handled", flush=True)
    return "slow"


if __name__ == "__main__":
    socketio.run(app, host="127.0.0.1", port=int(sys.argv[1]))
