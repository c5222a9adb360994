from collections import Counter

from flask import Flask, g, request

from flask_sio import ConnectionRefusedError, EventRefusedError, SocketIO, emit

app = Flask(__name__)
socketio = SocketIO(app)
users = {"secret-1": "ann", "secret-2": "bob"}
counts = Counter()


@socketio.use
def authenticate(auth):
    user = users.get((auth or {}).get("token"))
    if user is None:
        raise ConnectionRefusedError("unknown token", {"retry": False})
    g.user = user  # the connect handler has the same g


@socketio.on("connect")
def connect():
    emit("welcome", g.user)


@socketio.use_event
def clean(event, args):
    if event == "shout" and len(args[0]) > 100:
        raise EventRefusedError("too long", {"max": 100})
    return [arg.strip() if isinstance(arg, str) else arg for arg in args]


@socketio.on("shout")
def shout(text):
    emit("shouted", text, broadcast=True)
    return "done"


@socketio.on_any(namespace="*")
def count_in(event, *args):
    counts[f"in {request.namespace} {event}"] += 1


@socketio.on_any_outgoing
def count_out(event, *args):
    counts[f"out {event}"] += 1
