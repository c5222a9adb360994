from flask import Flask
from flask_sio import SocketIO

app = Flask(__name__)
socketio = SocketIO(app, presence_grace=2)
socketio.identify(lambda auth: auth["name"])


@socketio.on_presence("online")
def online(namespace, user):  # in one worker, whichever the user's sockets are at
    socketio.emit("came", user, namespace=namespace)


@socketio.on_presence("offline")
def offline(namespace, user):  # nobody has seen the user for two seconds
    socketio.emit("went", user, namespace=namespace)
