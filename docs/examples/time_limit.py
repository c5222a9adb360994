from contextlib import contextmanager

from flask import Flask, request
from flask_sio import HandlerTimeoutError, SocketIO

app = Flask(__name__)
socketio = SocketIO(app, handler_timeout=30)  # seconds, for events that say nothing else
closed = []


@contextmanager
def opened(name):
    try:
        yield name
    finally:
        closed.append(name)  # whatever happens


@socketio.on("report", timeout=1)
def report(name):
    with opened(name):
        socketio.sleep(60 if name == "slow" else 0)
        return 12


@socketio.errorhandler(HandlerTimeoutError)
def too_slow(error):
    app.logger.warning("%s: %s", request.event["message"], error)
    return {"error": "this takes too long, try again later"}
