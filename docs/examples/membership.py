from flask import Flask, session
from flask_sio import EventRefusedError, SocketIO, emit, join_room

app = Flask(__name__)
app.secret_key = "change me"
socketio = SocketIO(app)
members = {"team": {"ann"}, "staff": set()}


@socketio.use_join
def may_enter(socket, room):
    if session.get("user") not in members.get(room, ()):
        raise EventRefusedError("members only", {"room": room})


@socketio.on("connect")
def connect(auth):
    session["user"] = auth["user"]


@socketio.on("join")
def join(room):
    join_room(room)  # refused, the rest does not run, and the client's ack tells it
    emit("joined", session["user"], to=room)
    return "welcome"
