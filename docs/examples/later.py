from flask import Flask, request
from flask_sio import Ack, SocketIO, TimeoutError, emit

app = Flask(__name__)
socketio = SocketIO(app)


@socketio.on("render")
def render(page):
    done = Ack()  # returned now, sent when the task calls it
    socketio.start_background_task(work, page, done)
    return done


def work(page, done):
    done("rendered", page)


@socketio.on("ready?")
def ready():
    def answered(answer):  # once for each client, whatever happens
        if isinstance(answer, TimeoutError):
            answer = "too slow"
        emit("ready", (request.answered_by, str(answer)))  # to the client that asked

    emit("ready?", broadcast=True, include_self=False, callback=answered, timeout=5)
