from flask import Flask, request
from flask_sio import Namespace, SocketIO, emit, join_room

app = Flask(__name__)
socketio = SocketIO(app, namespaces="*")  # clients may join namespaces of any name


class Chat(Namespace):
    def on_connect(self, auth):
        join_room("lobby")

    def on_disconnect(self, reason):
        self.emit("left", request.sid)  # to everybody in /chat

    def on_say(self, text):  # the event "say"
        self.emit("said", text, to="lobby", include_self=False)
        return "delivered"

    def on_kick_user(self, sid):  # "kick_user", and "kick-user" too
        self.disconnect(sid)

    def error(self, exception):  # of this class's handlers; its result is the ack
        return {"error": str(exception)}


socketio.on_namespace(Chat("/chat"))


@socketio.on("ping", namespace="/monitor")
def ping():
    emit("pong")


@socketio.on("where", namespace="*")  # every namespace that has no handler of its own
def where():
    return request.namespace
