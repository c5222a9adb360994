from dataclasses import dataclass, field
from typing import Literal

from flask import Flask
from flask_sio import PayloadError, SocketIO

app = Flask(__name__)
socketio = SocketIO(app)


@dataclass
class Item:
    product: str
    count: int = 1

    def __post_init__(self):
        if self.count < 1:
            raise ValueError("order at least one of each")


@dataclass
class Order:
    items: list[Item]
    ship_by: Literal["mail", "bike"] = "mail"
    notes: list[str] = field(default_factory=list)


@dataclass
class Visitor:
    token: str


@socketio.on("connect")
def connect(auth: Visitor):
    return auth.token == "secret"


@socketio.on("order")
def order(order: Order, urgent: bool = False):
    if order.ship_by == "bike" and len(order.items) > 10:
        raise PayloadError("does not fit on a bike", [0, "items"])
    return {"pieces": sum(item.count for item in order.items), "urgent": urgent}
