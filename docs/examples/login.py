from flask import Flask
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user
from flask_sio import SocketIO, emit, login_required

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
@login_required  # connect_error of a stranger: "Please log in."
def connect():
    emit("welcome", current_user.id)


@socketio.on("delete")
@login_required(check=lambda user: user == "7")  # else the ack {"error": "Permission denied"}
def delete(number):
    return f"{number} deleted"


@socketio.on("message")
def message(text):  # to the sender's other tabs and telephones too
    emit("message", text, user=current_user.id)


@app.post("/logout")
def log_out():
    socketio.disconnect_user(current_user)
    logout_user()
    return "", 204
