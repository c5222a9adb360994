from flask import Flask
from flask_sio import SocketIO, emit

app = Flask(__name__)
socketio = SocketIO(app)


@socketio.on("chat")
def chat(text):
    emit("chat", text, broadcast=True)


if __name__ == "__main__":
    socketio.run(app)
