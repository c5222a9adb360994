"""A program for python-socketio or for us: which, ``MODULE`` says, and nothing else differs.

Handlers are functions. Between them, this and `classes` use every row of python-socketio's
server, namespace and WSGI application.
"""

from __future__ import annotations

import builtins
import json
import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from werkzeug.middleware.dispatcher import DispatcherMiddleware

socketio: Any = import_module(os.environ["MODULE"])
exceptions = socketio.exceptions

FOLDER = Path(os.environ["FOLDER"])
(FOLDER / "sub").mkdir(parents=True)
for name in ("page.html", "other.txt", "style.css", "data.json", "feed.xml", "sub/start.html"):
    (FOLDER / name).write_text(f"this is {name}")

server = socketio.Server(
    async_mode=os.environ["ASYNC_MODE"],
    logger=False,
    engineio_logger=False,
    serializer="default",
    json=json,
    always_connect=False,
    namespaces=["/", "/chat", "/any"],
    ping_interval=(25, 5),
    ping_timeout=20,
    max_http_buffer_size=1_000_000,
    allow_upgrades=True,
    http_compression=True,
    compression_threshold=1024,
    cookie={"name": "io", "path": "/"},
    cors_allowed_origins="*",
    cors_credentials=True,
    monitor_clients=True,
    transports=["polling", "websocket"],
)
log: list[Any] = []
"""What handlers were given, in order."""


@server.event
def connect(sid: str, environ: dict[str, Any], auth: Any) -> Any:
    # An empty object is handed on as it came, where python-socketio makes it None.
    log.append(["connect", sid, environ["PATH_INFO"], environ["HTTP_X_FROM"], auth or None])
    refuse = (auth or {}).get("refuse")
    if refuse == "false":
        return False
    if refuse == "builtin":
        raise builtins.ConnectionRefusedError
    if refuse is not None:
        raise exceptions.ConnectionRefusedError(*refuse)
    server.enter_room(sid, "lobby")
    server.save_session(sid, {"visits": 1})
    server.emit("welcome", {"rooms": len(server.rooms(sid))}, to=sid)
    return None


@server.event
def disconnect(sid: str, reason: str) -> None:
    kinds = {server.reason.CLIENT_DISCONNECT: "client", server.reason.SERVER_DISCONNECT: "server"}
    rooms = sorted(str(room) for room in server.rooms(sid) if room != sid)
    log.append(["disconnect", sid, kinds[reason], rooms, server.get_session(sid)])


# -- what handlers take and return -------------------------------------------------------


@server.on("echo")
def echo(sid: str, *args: Any) -> Any:
    return args


def reply(sid: str, what: str) -> Any:
    answers = {"none": None, "tuple": (1, 2), "list": [1, 2], "empty": (), "false": False}
    return answers[what]


server.on("reply", reply)
server.on("reply again", handler=reply)


@server.on("length")
@server.on("size")
def length(sid: str, data: bytes) -> int:
    return len(data)


@server.on("*")
def anything(event: str, sid: str, *args: Any) -> Any:
    log.append(["any event", event, sid, args])
    return ["any event", event]


# -- sending -----------------------------------------------------------------------------


@server.event
def say(sid: str, room: Any, text: str) -> None:
    server.emit("said", (sid, text), room=room, skip_sid=sid)
    server.emit("said too", [sid, text], to=room, skip_sid=[sid])


@server.event
def shout(sid: str, text: str) -> None:
    server.emit("shouted")
    server.emit("shouted", text)
    server.emit("shouted", {"text": text}, ignore_queue=True)
    server.send(text)
    server.send((text, "and more"), to=["lobby", sid], skip_sid=sid)
    server.emit("heard", text, namespace="/chat")


@server.event
def call(sid: str, whom: str) -> Any:
    return [
        server.call("question", "to", to=whom, timeout=10),
        server.call("question", ("sid", "too"), sid=whom, namespace="/"),
    ]


@server.event
def call_in_vain(sid: str, whom: str) -> str:
    try:
        server.call("silence", to=whom, timeout=0.01)
    except exceptions.TimeoutError:
        return "no answer"
    return "an answer"


@server.event
def call_back(sid: str, whom: str) -> None:
    def answered(*args: Any) -> None:
        server.emit("answered", args, to=sid)

    server.emit("question", "callback", to=whom, callback=answered)


@server.event
def in_background(sid: str, count: int) -> str:
    def work(what: str, *, times: int) -> None:
        for number in range(times):
            server.sleep(0.001)
            server.emit(what, number, to=sid)

    task = server.start_background_task(work, "worked", times=count)
    task.join()
    return "joined"


# -- rooms and sessions ------------------------------------------------------------------


@server.event
def rooms(sid: str, enter: Any, leave: Any, close: Any) -> Any:
    server.enter_room(sid, enter)
    server.enter_room(sid, enter, namespace="/")
    server.leave_room(sid, leave)
    server.close_room(close)
    return sorted(str(room) for room in server.rooms(sid) if room != sid)


@server.event
def forbidden(sid: str, other: str) -> Any:
    def raises(fn: Callable[..., Any], *args: Any) -> bool:
        try:
            fn(*args)
        except ValueError:
            return True
        return False

    return [
        raises(server.enter_room, sid, other),
        raises(server.close_room, other),
        raises(server.enter_room, sid, "room", "/nobody"),
        raises(server.register_namespace, object()),
        server.rooms("nobody"),
    ]


@server.event
def visit(sid: str) -> int:
    with server.session(sid) as session:
        session["visits"] += 1
    server.save_session(sid, {**server.get_session(sid), "last": "visit"}, namespace="/")
    return int(server.get_session(sid)["visits"])


@server.event
def about(sid: str) -> Any:
    environ = server.get_environ(sid)
    mode = server.async_mode == os.environ["ASYNC_MODE"]
    return [server.transport(sid), environ["REQUEST_METHOD"], environ["PATH_INFO"], mode]


@server.event
def kick(sid: str, whom: str) -> None:
    server.disconnect(whom)


# -- other namespaces --------------------------------------------------------------------


@server.event(namespace="/chat")
def connect(sid: str, environ: dict[str, Any]) -> None:  # noqa: F811 # as programs do
    log.append(["connect to chat", sid, environ["HTTP_X_FROM"]])


@server.event(namespace="/chat")
def disconnect(sid: str) -> None:  # noqa: F811
    log.append(["disconnect from chat", sid])


@server.on("hello", namespace="*")
def hello(namespace: str, sid: str, *args: Any) -> Any:
    return ["hello of any", namespace, sid, *args]


@server.on("*", namespace="*")
def whatever(event: str, namespace: str, sid: str, *args: Any) -> Any:
    return ["any of any", event, namespace, sid, *args]


@server.on("connect", namespace="*")
def connect_anywhere(namespace: str, sid: str, environ: dict[str, Any], auth: Any) -> Any:
    log.append(["connect anywhere", namespace, sid, auth])
    return auth["any"]


@server.on("disconnect", namespace="*")
def disconnect_anywhere(namespace: str, sid: str, reason: str) -> None:
    log.append(["disconnect anywhere", namespace, sid, reason])


# -- the WSGI application ----------------------------------------------------------------


def site(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    text = f"site {environ['REQUEST_METHOD']} {environ['PATH_INFO']}".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(text)))])
    return [text]


application = socketio.WSGIApp(
    server,
    site,
    static_files={
        "/": str(FOLDER / "page.html"),
        "/feed": {"filename": str(FOLDER / "feed.xml"), "content_type": "application/rss+xml"},
        "/files": str(FOLDER),
        "/more/": f"{FOLDER}/",
        "": "start.html",
    },
)
below = socketio.WSGIApp(server, site, static_files={"/s": str(FOLDER)}, socketio_path="/ws")
application = DispatcherMiddleware(application, {"/below": below})
