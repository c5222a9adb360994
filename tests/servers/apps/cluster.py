"""An application whose clients ask their worker about clients of all workers."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

from flask import Flask, jsonify, request

from flask_sio import SocketIO, current_socket, emit, join_room
from flask_sio.errors import DisconnectedError, NotConnectedError, TimeoutError

app = Flask(__name__)
app.secret_key = "of the tests"
socketio = SocketIO(app)


@socketio.identify
def user(auth: Any) -> Any:
    return (auth or {}).get("user")


@socketio.on("connect")
def connect(auth: Any = None) -> None:
    current_socket.data["pid"] = os.getpid()


@app.get("/worker")
def worker() -> Any:
    """Say who answers, and which other workers it is linked to."""
    return jsonify(pid=os.getpid(), tags=socketio.server.mesh.tags)


@app.get("/emit")
def emit_anywhere() -> str:
    """Emit from a view, or from a thread of its own."""
    args = (request.args["event"], int(request.args["n"]))
    if "thread" in request.args:
        thread = threading.Thread(target=socketio.emit, args=args)
        thread.start()
        thread.join()
    else:
        socketio.emit(*args)
    return "ok"


@socketio.on("work")
def work(client: int, number: int) -> int:
    """Note in a file of all workers what was handled."""
    with Path(os.environ["HANDLED"]).open("a") as file:
        file.write(f"{client} {number}\n")
    return number


@socketio.on("join")
def join(*rooms: str) -> None:
    for room in rooms:
        join_room(room)


@socketio.on("say")
def say(target: dict[str, Any], data: Any) -> int:
    """Emit to a room, a user, but for some; return how many other workers heard."""
    to, user, skip = target.get("to"), target.get("user"), target.get("except")
    return socketio.emit("said", data, to=to, user=user, except_rooms=skip).published


@socketio.on("say-others")
def say_others(data: Any) -> None:
    emit("said", data, broadcast=True, include_self=False)


@socketio.on("ask")
def ask(sid: str, text: str) -> Any:
    try:
        return {"answer": socketio.call("question", text, to=sid, timeout=10)}
    except (DisconnectedError, NotConnectedError) as error:
        return {"error": type(error).__name__}


@socketio.on("poll")
def poll(room: str, timeout: float) -> Any:
    """Ask everybody in a room."""
    chain = socketio.of("/").to(room).timeout(timeout)
    try:
        return {"answers": chain.call("question", "all")}
    except TimeoutError as error:
        return {"answers": error.answers, "owed": error.owed, "missing": error.missing}


@socketio.on("who")
def who(room: str) -> Any:
    namespace = socketio.of("/")
    return {
        "sizes": namespace.room_sizes(),
        "members": namespace.room_members(room),
        "pids": sorted({each.data["pid"] for each in namespace.fetch_sockets()}),
        "count": namespace.count(),
    }


@socketio.on("user")
def of_user(name: str) -> Any:
    return [socketio.is_online(name), socketio.sids_of(name)]


@socketio.on("move")
def move(sid: str, old: str, new: str) -> None:
    chain = socketio.of("/").to(sid)
    chain.sockets_leave(old)
    chain.sockets_join(new)


@socketio.on("kick")
def kick(target: str) -> None:
    socketio.of("/").to(target).disconnect_sockets()


@socketio.on("kick-user")
def kick_user(name: str) -> None:
    socketio.disconnect_user(name)


@socketio.on("pids")
def pids() -> list[int]:
    return sorted(socketio.of("/").server_side_call("pid"))


@socketio.on_server_event("pid")
def pid() -> int:
    return os.getpid()
