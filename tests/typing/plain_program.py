"""A program without a framework: read by mypy --strict, never run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from wsgiref.headers import Headers

from sqlalchemy.orm import Session, scoped_session

from flask_sio import (
    Ack,
    ConnectionFailure,
    EventRun,
    NotConnectedError,
    PayloadError,
    Server,
    Socket,
    TimeoutError,
    WSGIApp,
    after_commit,
)
from flask_sio.protocol.codec import Codec
from flask_sio.protocol.sio import Packet
from flask_sio.testing import TestClient

server = Server(cors_allowed_origins="*", max_connections=1000)


@server.event
def connect(sid: str, environ: dict[str, Any], auth: Any) -> bool:
    server.enter_room(sid, "lobby")
    with server.session(sid) as session:
        session["name"] = auth
    return True


@server.on("ask", namespace="/", timeout=10)
def ask(sid: str, question: str) -> str:
    try:
        answer = server.call("question", question, to=sid, timeout=3)
    except (TimeoutError, NotConnectedError):
        return "nobody"
    server.emit("answer", (question, answer), room="lobby", skip_sid=sid)
    return str(answer)


@server.on("later")
def later(sid: str) -> Ack:
    done = Ack()
    server.emit("ready?", to=sid, callback=done, timeout=5)
    return done


@server.once("first")
def first(sid: str, text: str) -> int:
    return len(text)


@dataclass
class Order:
    number: int


@server.on("order")
def order(sid: str, order: Order, urgent: bool = False) -> int:
    if order.number > 10:
        raise PayloadError("there are only ten", [0, "number"])
    return order.number


@server.around_event
@contextmanager
def timed(run: EventRun) -> Iterator[None]:
    yield
    print(run.name, run.namespace, run.sid, run.outcome, run.duration_s, run.error)


ids: list[str] = server.users.sids("ann")
length: int = first("sid", "text")
server.off("first", first)


@server.on_initial_headers
def headers(headers: Headers, environ: dict[str, Any]) -> None:
    headers["X-Server"] = "1"


@server.on_connection_error
def refused(failure: ConnectionFailure) -> None:
    code: int = failure.code
    print(code, failure.environ["PATH_INFO"])


@server.use
def guard(socket: Socket) -> None:
    print(socket.id)


@server.use_event(namespace="*")
def check(socket: Socket, event: str, args: Sequence[Any]) -> list[Any]:
    return [*args]


@server.on_any
def listen(event: str, sid: str, *args: Any) -> int:
    return len(args)


count: int = listen("event", "sid")
server.off_any(listen)
listeners: list[Callable[..., Any]] = server.listeners_any_outgoing("*")


@server.on("go", namespace=re.compile(r"/room-(\d+)"))
def go(namespace: str, sid: str, text: str) -> str:
    return text


@server.event(namespace="/job/<int:number>")
def advance(namespace: str, sid: str, number: int) -> None: ...


def judge(name: str, auth: Any) -> bool:
    return name == str(auth)


server.on("go", go, judge)
server.off("go", go, judge)


@server.on_namespace_created
def created(name: str) -> None: ...


@server.on_high_water
def slow(sid: str) -> None:
    server.disconnect(sid, after_flush=True)


class Lines:
    def render(self, packet: Packet) -> str:
        return repr(packet.data)

    def compose(self, packet: Packet, body: str) -> list[str | bytes]:
        return [f"{packet.type} {packet.namespace} {packet.id} {body}", b""]

    def decoder(self, max_attachments: int, max_bytes: int) -> LinesDecoder:
        return LinesDecoder()


class LinesDecoder:
    def feed(self, message: str | bytes) -> Packet | None:
        return Packet(2, "/", ["event", len(message)])


codec: Codec = Lines()
packed = Server(serializer=codec, per_message_deflate={"threshold": 512})

application = WSGIApp(server)
mode: str = server.async_mode


@server.use_join
def may_enter(socket: Socket, room: Any) -> bool:
    return room in socket.session


@server.on_room_event("join")
def joined(namespace: str, room: Any, sid: str) -> int:
    return len(sid)


@server.on_presence("online")
def came(namespace: str, user: str) -> int:
    return len(user)


@server.on_server_event("news", namespace="/chat")
def news(text: str) -> int:
    return len(text)


chat = server.of("/chat")


@chat.on("line", concurrent=True, timeout=0.5)
def line(sid: str, text: str) -> int:
    return len(text)


@chat.event
def shout(sid: str, text: str) -> int:
    return len(text)


@chat.event(add=True)
def whisper(sid: str, text: str) -> int:
    return len(text)


@chat.once("hello")
def hello(sid: str) -> int:
    return len(sid)


@chat.use
def door(socket: Socket) -> bool:
    return socket.connected


@chat.on_any
def hear(event: str, sid: str, *args: Any) -> int:
    return len(args)


lengths: list[int] = [line("", ""), shout("", ""), whisper("", ""), hello(""), hear("", "")]
numbers: tuple[int, int, bool] = (joined("/", "room", "sid"), news("text"), door(server.socket("")))


def test_line() -> None:
    with TestClient(server, "/chat") as client:

        @client.on("question")
        def answer(text: str) -> int:
            return len(text)

        length: int = answer("text")
        assert client.emit("line", "text", callback=True) == [length]


def save(session: Session, sessions: scoped_session[Session]) -> None:
    after_commit(session)(server.emit, "saved", {"id": 1}, to="room")
    after_commit(sessions)(server.emit, "saved", too="room")  # type: ignore[call-arg]
