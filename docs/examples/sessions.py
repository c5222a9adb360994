from flask import Flask, session
from flask_sio import SocketIO

app = Flask(__name__)
app.secret_key = "change me"
socketio = SocketIO(app)


@app.post("/name/<name>")
def set_name(name):
    session["name"] = name  # in the cookie; connections made from now on see it
    return "", 204


@socketio.on("count")
def count():
    session["count"] = session.get("count", 0) + 1  # kept with the connection
    return session.get("name"), session["count"]
