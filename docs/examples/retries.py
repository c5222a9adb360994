from flask import Flask
from flask_sio import EventRefusedError, SocketIO, idempotent

app = Flask(__name__)
socketio = SocketIO(app)
orders = []


@socketio.on("order")
@idempotent(key=lambda order: order["id"])
def order(order):
    if order["item"] == "gold":
        raise EventRefusedError("we have no gold")
    orders.append(order["item"])
    return {"number": len(orders)}
