import time

from flask import Flask
from flask_sio import SocketIO

app = Flask(__name__)
socketio = SocketIO(app)


def tick():
    while True:
        socketio.emit("time", time.time())  # no client in sight: goes to everyone
        socketio.sleep(1)


@app.post("/say/<text>")
def say(text):
    socketio.emit("said", text)
    return "", 204


if __name__ == "__main__":
    socketio.start_background_task(tick)
    socketio.run(app)
