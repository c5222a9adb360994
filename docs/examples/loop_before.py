from flask import Flask, request
from flask_sio import SocketIO, emit

app = Flask(__name__)
socketio = SocketIO(app)
running = set()


@socketio.on("start")
def start():
    running.add(request.sid)
    while request.sid in running:
        emit("tick")
        socketio.sleep(1)


@socketio.on("stop")
def stop():  # never runs: its client's start handler has not ended
    running.discard(request.sid)
