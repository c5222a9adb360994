from flask import Flask
from flask_sio import SocketIO, emit

app = Flask(__name__)
socketio = SocketIO(app)


@socketio.on("add")
def add(a, b):  # socket.emit("add", 1, 2, (sum) => ...)
    return a + b


@socketio.event
def divide(a, b):  # the event's name is the function's
    return divmod(a, b)  # a tuple: (quotient, rest) => ...


@socketio.on("message")  # what socket.send(...) emits
def message(text):
    emit("heard", (text, len(text)))  # a tuple: two arguments
    emit("heard", text, len(text))  # the same


def rename(name, *, upper=False):
    emit("renamed", name.upper() if upper else name, broadcast=True, include_self=False)


socketio.on_event("rename", rename)


@socketio.on("*")
def others(event, *args):
    app.logger.info("nobody handles %s with %d arguments", event, len(args))


if __name__ == "__main__":
    socketio.run(app)
