from flask import Flask, request
from flask_sio import SocketIO

app = Flask(__name__)
socketio = SocketIO(app)
running = set()


def tick(sid):
    while sid in running:
        socketio.emit("tick", to=sid)
        socketio.sleep(1)


@socketio.on("start")
def start():
    if request.sid not in running:
        running.add(request.sid)
        socketio.start_background_task(tick, request.sid)


@socketio.on("stop")
@socketio.on("disconnect")
def stop():
    running.discard(request.sid)
