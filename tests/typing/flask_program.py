"""A Flask program as users write it: read by mypy --strict, never run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

from flask import Flask

from flask_sio import (
    ConnectionRefusedError,
    EventRun,
    Inject,
    Namespace,
    Socket,
    SocketBlueprint,
    SocketIO,
    call,
    current_socket,
    emit,
    idempotent,
    join_room,
    login_required,
    request,
    rooms,
    send,
)

app = Flask(__name__)
socketio = SocketIO(app, cors_allowed_origins=["https://example.org"], ping_interval=10)
later = SocketIO()
later.init_app(app)


@socketio.on("connect")
def connect(auth: dict[str, Any] | None) -> bool | None:
    if auth is None:
        raise ConnectionRefusedError("who are you?", {"retry": True})
    join_room("everybody")
    return None


@socketio.on("chat", namespace="/chat", concurrent=True)
def chat(text: str, number: int = 1) -> tuple[str, int]:
    emit("chat", text, number, to=["a", "b"], include_self=False)
    send(text, broadcast=True)
    sid: str = request.sid
    names: list[Any] = rooms(sid)
    answer = call("question", to=sid, timeout=5)
    socketio.emit("seen", len(names), answer, skip_sid=[sid])
    return text, number


@socketio.event
def ping(data: Any) -> None: ...


@socketio.event(namespace="/chat", timeout=5)
def pong(data: Any) -> None: ...


@socketio.on("pay")
@idempotent(key="own_id", keep_s=60, max_keys=100)
def pay(own_id: str) -> int:
    return len(own_id)


paid: int = pay("x")


def open_file(socket: Socket) -> Iterator[int]:
    yield len(socket.id)


@socketio.on("read")
def read(size: int, number: Annotated[int, Inject(open_file)], socket: Socket) -> int:
    return size + number + len(socket.rooms)


# Decorators leave the type of what they decorate as it is.
result: tuple[str, int] = chat("x", number=2)

events = SocketBlueprint("events", namespace="/chat")


@events.on("typing")
def typing(is_typing: bool) -> None:
    emit("typing", is_typing, broadcast=True)


socketio.register_blueprint(events)


class Own(Namespace):
    per_client = True

    def __init__(self, namespace: str, size: int) -> None:
        super().__init__(namespace)
        self.size = size


socketio.on_namespace(Own("/own", size=3))


class Lobby(Namespace):
    def on_join(self, room: str) -> bool:
        self.emit("joined", room, to=room)
        return True


socketio.on_namespace(Lobby("/lobby"))


def test_chat() -> None:
    with socketio.test_client(app, auth={"user": "a"}) as client:
        client.emit("chat", "hello", callback=True)
        received: list[dict[str, Any]] = client.get_received()
        assert received


if __name__ == "__main__":
    socketio.run(app, port=5000)


@dataclass
class Order:
    number: int


@socketio.on("order")
def order(order: Order, urgent: bool = False) -> int:
    return order.number


@socketio.around_event
@contextmanager
def timed(run: EventRun) -> Iterator[None]:
    yield
    print(run.outcome)


@socketio.on("advance", namespace="/job/<int:number>")
def advance(number: int, percent: int) -> int:
    return number + percent


@socketio.use(namespace="*")
def guard(auth: Any) -> None: ...


@socketio.use_join(namespace="*")
def may_enter(socket: Socket, room: str) -> bool:
    return socket.id != room


@socketio.on_any
def listen(event: str, *args: Any) -> None: ...


@socketio.once("first")
def first(text: str) -> str:
    return text


@socketio.on("double")
@login_required
def double(number: int) -> int:
    current_socket.expire_at(1_900_000_000)
    current_socket.expire_at(None)
    return 2 * number


@socketio.on("triple")
@login_required(check=lambda user: user == "7")
def triple(number: int) -> int:
    return 3 * number


doubled: int = double(triple(1))
percent: int = advance(1, 2)
socketio.off("first", first)
events.use(guard)
