from flask import Flask
from flask_sio import ConnectionRefusedError, SocketIO, emit

app = Flask(__name__)
socketio = SocketIO(app)
TOKENS = {"secret-1": "ann", "secret-2": "bob"}


@socketio.identify
def who(auth):  # after the connect handler; returns the user's id, or the user
    try:
        return TOKENS[auth["token"]]
    except (KeyError, TypeError):
        raise ConnectionRefusedError("unknown token") from None


@socketio.on("whisper")
def whisper(user, text):
    if not socketio.is_online(user):
        return "not here"
    emit("whispered", text, user=user)  # to every client of the user: tabs, telephones
    return "delivered"


@app.post("/notify/<user>")
def notify(user):
    socketio.emit("notified", user=user)
    return {"clients": socketio.sids_of(user)}


@app.post("/logout/<user>")
def logout(user):
    socketio.disconnect_user(user)
    return "", 204
