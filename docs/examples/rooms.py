from flask import Flask, request
from flask_sio import ConnectionRefusedError, SocketIO, emit, join_room, leave_room

app = Flask(__name__)
socketio = SocketIO(app)


@socketio.on("connect")
def connect(auth):
    if not auth or "name" not in auth:
        raise ConnectionRefusedError("who are you?")


@socketio.on("join")
def join(room):
    join_room(room)
    emit("joined", request.sid, to=room)
    return "welcome"  # the acknowledgement of the client's emit


@socketio.on("leave")
def leave(room):
    leave_room(room)


@socketio.on("disconnect")
def disconnect(reason):
    app.logger.info("%s left: %s", request.sid, reason)


if __name__ == "__main__":
    socketio.run(app)
