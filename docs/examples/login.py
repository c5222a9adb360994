from flask import Flask
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user
from flask_sio import SocketIO, emit

app = Flask(__name__)
app.secret_key = "change me"
login = LoginManager(app)
socketio = SocketIO(app)


class User(UserMixin):
    def __init__(self, id):
        self.id = id


@login.user_loader
def load_user(user_id):
    return User(user_id)


@app.post("/login/<user_id>")
def log_in(user_id):  # check a password here
    login_user(User(user_id))
    return "", 204


@socketio.on("connect")
def connect():
    return current_user.is_authenticated


@socketio.on("message")
def message(text):  # to the sender's other tabs and telephones too
    emit("message", text, user=current_user.id)


@app.post("/logout")
def log_out():
    socketio.disconnect_user(current_user)
    logout_user()
    return "", 204
