from flask import Flask, session
from flask_sio import SocketIO, call, emit

socketio = SocketIO()


@socketio.on("survey")
def survey():
    answer = call("question", "How many?", timeout=10)
    session["answer"] = answer
    return f"thanks, {answer}"


@socketio.on("evaluate")
def evaluate():
    socketio.start_background_task(publish, session["answer"])


def publish(answer):
    socketio.emit("result", answer)


@socketio.on("say")
def say(text):
    emit("said", text, broadcast=True, include_self=False)


def create_app(config=None):
    app = Flask(__name__)
    app.secret_key = "change me"
    app.config.update(config or {})
    socketio.init_app(app)
    return app
