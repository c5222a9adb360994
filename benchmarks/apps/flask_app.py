"""The program that is measured, with the extension that BENCH_EXTENSION names.

The very same lines run on flask_sio and on Flask-SocketIO.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from flask import Flask, request

if TYPE_CHECKING:
    import flask_sio as extension
else:
    extension = importlib.import_module(os.environ["BENCH_EXTENSION"])
emit, join_room, leave_room = extension.emit, extension.join_room, extension.leave_room

app = Flask(__name__)
app.secret_key = "for a benchmark"
socketio = extension.SocketIO(app)
online: dict[str, int] = {}


@app.route("/plain")
def plain() -> str:
    return "ok"


@app.route("/online")
def count() -> str:
    return str(len(online))


@socketio.on("connect")
def connect() -> None:
    online[request.sid] = 0  # type: ignore[attr-defined]
    if os.environ.get("BENCH_EXTRA") == "room":  # one that all are in
        join_room("everybody")


@socketio.on("disconnect")
def disconnect(reason: str) -> None:
    del online[request.sid]  # type: ignore[attr-defined]


@socketio.on("echo")
def echo(data: Any) -> None:
    online[request.sid] += 1  # type: ignore[attr-defined]
    emit("echo", data)


@socketio.on("ack")
def ack(data: Any) -> Any:
    online[request.sid] += 1  # type: ignore[attr-defined]
    return data


@socketio.on("fan")
def fan(data: Any) -> None:
    online[request.sid] += 1  # type: ignore[attr-defined]
    emit("fan", data, broadcast=True, include_self=False)


@socketio.on("join")
def join(room: str) -> list[Any]:
    join_room(room)
    return []


@socketio.on("room")
def to_room(room: str, data: Any) -> None:
    emit("room", data, to=room)


@socketio.on("churn")
def churn(data: Any) -> None:
    leave_room("everybody")
    join_room("everybody")


if os.environ.get("BENCH_EXTRA") == "thread":  # a worker such as Celery's: a thread of the OS
    from benchmarks.apps import os_thread

    jobs = os_thread.worker(lambda job: socketio.emit("echo", job[1], to=job[0]))

    @socketio.on("job")
    def job(data: Any) -> None:
        jobs.put((request.sid, data))  # type: ignore[attr-defined]


if os.environ.get("BENCH_EXTRA") == "burn":  # Python that computes beside the handlers
    from benchmarks.apps import os_thread

    os_thread.burn()
