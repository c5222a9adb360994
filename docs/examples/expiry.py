import time

from flask import Flask
from flask_sio import ConnectionRefusedError, EventRefusedError, SocketIO, current_socket, emit
from itsdangerous import BadSignature, URLSafeSerializer

app = Flask(__name__)
socketio = SocketIO(app)
signed = URLSafeSerializer("change me")  # a library for JWT does the same


def read(token):
    claims = signed.loads(token)
    if claims["exp"] <= time.time():
        raise BadSignature("expired")
    return claims


@socketio.identify
def who(auth):
    try:
        claims = read(auth["token"])
    except (BadSignature, KeyError, TypeError):
        raise ConnectionRefusedError("invalid token") from None
    current_socket.expire_at(claims["exp"])
    return claims["sub"]


@socketio.on("renew")
def renew(token):  # a client that sends a fresh one in time stays
    try:
        claims = read(token)
    except (BadSignature, TypeError):
        raise EventRefusedError("invalid token") from None
    if claims["sub"] != current_socket.user:
        raise EventRefusedError("invalid token")
    current_socket.expire_at(claims["exp"])


@socketio.on("disconnect")
def disconnect(reason, details):
    if details.description == "expired":
        emit("away", current_socket.user, broadcast=True)
