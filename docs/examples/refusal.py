from flask import Flask, request
from flask_sio import ConnectionRefusedError, SocketIO, emit

app = Flask(__name__)
socketio = SocketIO(app)
NAMES = {"secret-1": "Ann", "secret-2": "Bob"}


@socketio.on("connect")
def connect(auth):
    name = NAMES.get((auth or {}).get("token"))
    if name is None:
        # connect_error at the client: error.message, error.data
        raise ConnectionRefusedError("unknown token", {"retry": False})
    if request.args.get("version") == "1":
        return False  # "Connection rejected by server"
    emit("welcome", name)  # arrives after the client has its connect event
    return True


@socketio.on("disconnect")
def disconnect(reason):
    if reason == socketio.reason.PING_TIMEOUT:
        app.logger.info("%s vanished", request.sid)
    emit("left", request.sid, broadcast=True)
