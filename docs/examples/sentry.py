from contextlib import contextmanager

import sentry_sdk
from flask import Flask
from flask_sio import SocketIO

app = Flask(__name__)
socketio = SocketIO(app)


@socketio.around_event
@contextmanager
def sentry_scope(run):
    name = f"{run.namespace} {run.name}"
    with sentry_sdk.isolation_scope() as scope, sentry_sdk.start_transaction(op="event", name=name):
        scope.set_tag("socketio.event", run.name)
        scope.set_tag("socketio.namespace", run.namespace)
        scope.set_tag("socketio.sid", run.sid)
        try:
            yield
        finally:
            if run.outcome == "error":
                sentry_sdk.capture_exception(run.error)


@socketio.on("divide")
def divide(a, b):
    sentry_sdk.add_breadcrumb(message=f"{a} by {b}")
    return a / b
