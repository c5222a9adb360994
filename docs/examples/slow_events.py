from contextlib import contextmanager

from flask import Flask
from flask_sio import SocketIO

app = Flask(__name__)
socketio = SocketIO(app)
SLOW_S = 1.0


@socketio.around_event
@contextmanager
def tell_of_slow_ones(run):
    yield
    if run.duration_s > SLOW_S:
        app.logger.warning("%s took %.1f s for %s", run.name, run.duration_s, run.sid)


@socketio.on("sleep")
def sleep(seconds):
    socketio.sleep(seconds)
