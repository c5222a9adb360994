import sys
import threading
import time

from flask import Flask
from flask_sio import SocketIO

app = Flask(__name__)
socketio = SocketIO(app)


def read():  # in a thread of the program's own; no context is needed
    for line in sys.stdin:
        socketio.emit("line", line.rstrip(), to="readers")


def tick(seconds):  # in a greenlet or a thread, whichever the server has
    while True:
        socketio.sleep(seconds)
        with app.app_context():  # for url_for, current_app, a database
            socketio.emit("time", time.time())


@app.post("/say/<text>")
def say(text):  # in a view
    socketio.emit("said", text)
    return "", 204


if __name__ == "__main__":
    threading.Thread(target=read, daemon=True).start()
    socketio.start_background_task(tick, 10)
    socketio.run(app)
