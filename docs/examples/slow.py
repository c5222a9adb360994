from flask import Flask, request

from flask_sio import SocketIO, emit, join_room, leave_room

app = Flask(__name__)
socketio = SocketIO(app, high_water_bytes=500_000, max_events_per_s=50)


@socketio.on("connect")
def connect():
    join_room("details")


@socketio.on_high_water
def too_slow():
    leave_room("details")  # until it has caught up
    app.logger.info("%s is slow", request.sid)


@socketio.on_drain
def caught_up():
    join_room("details")


@socketio.on("update")
def update(details):
    emit("updated", broadcast=True)
    emit("details", details, to="details")
