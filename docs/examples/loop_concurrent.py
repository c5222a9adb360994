from flask import Flask, request
from flask_sio import SocketIO, emit

app = Flask(__name__)
socketio = SocketIO(app)
running = set()


@socketio.on("start", concurrent=True)
def start():
    running.add(request.sid)
    while request.sid in running:
        emit("tick")
        socketio.sleep(1)


@socketio.on("stop")
def stop():
    running.discard(request.sid)


@socketio.on("disconnect")
def disconnect():  # else the loop of a client that went away runs for ever
    running.discard(request.sid)
