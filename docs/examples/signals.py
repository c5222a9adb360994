from flask import Flask
from flask_sio import SocketIO
from flask_sio.signals import client_connected, client_disconnected

app = Flask(__name__)
socketio = SocketIO(app)
online = set()


@client_connected.connect_via(app)
def connected(app, sid, namespace):
    online.add((namespace, sid))


@client_disconnected.connect_via(app)
def disconnected(app, sid, namespace, reason):
    online.discard((namespace, sid))
