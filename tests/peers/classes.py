"""The other program: handlers are methods. See `functions`."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

socketio: Any = import_module(os.environ["MODULE"])
exceptions = socketio.exceptions

FOLDER = Path(os.environ["FOLDER"])
FOLDER.mkdir(parents=True)
(FOLDER / "index.html").write_text("this is the index")
(FOLDER / "plain").write_text("no suffix")

server = socketio.Server(
    async_mode=os.environ["ASYNC_MODE"], serializer="msgpack", namespaces="*", cookie="io"
)
log: list[Any] = []


class Main(socketio.Namespace):  # type: ignore[misc]
    def on_connect(self, sid: str, environ: dict[str, Any], auth: Any) -> Any:
        # An empty object is handed on as it came, where python-socketio makes it None.
        log.append(["connect", sid, environ["PATH_INFO"], environ["HTTP_X_FROM"], auth or None])
        refuse = (auth or {}).get("refuse")
        if refuse == "false":
            return False
        if refuse is not None:
            raise exceptions.ConnectionRefusedError(*refuse)
        self.enter_room(sid, "lobby")
        self.save_session(sid, {"visits": 1})
        self.emit("welcome", {"rooms": len(self.rooms(sid))}, to=sid)
        return None

    def on_disconnect(self, sid: str, reason: str) -> None:
        reasons = self.server.reason
        kinds = {reasons.CLIENT_DISCONNECT: "client", reasons.SERVER_DISCONNECT: "server"}
        rooms = sorted(str(room) for room in self.rooms(sid) if room != sid)
        log.append(["disconnect", sid, kinds[reason], rooms, self.get_session(sid)])

    def on_echo(self, sid: str, *args: Any) -> Any:
        return args

    def on_reply(self, sid: str, what: str) -> Any:
        answers = {"none": None, "tuple": (1, 2), "list": [1, 2], "empty": (), "false": False}
        return answers[what]

    def on_length(self, sid: str, data: bytes) -> int:
        return len(data)

    def on_bytes(self, sid: str, *data: bytes) -> Any:
        self.emit("bytes", {"nested": [*data]}, to=sid)
        return data[0] + b"\xff"

    def on_say(self, sid: str, room: Any, text: str) -> None:
        self.emit("said", (sid, text), room=room, skip_sid=sid)
        self.emit("said too", [sid, text], to=room, skip_sid=[sid])

    def on_shout(self, sid: str, text: str) -> None:
        self.emit("shouted")
        self.emit("shouted", text)
        self.emit("shouted", {"text": text}, ignore_queue=True)
        self.send(text)
        self.send((text, "and more"), to=["lobby", sid], skip_sid=sid)
        self.emit("heard", text, namespace="/chat")

    def on_call(self, sid: str, whom: str) -> Any:
        return [
            self.call("question", "to", to=whom, timeout=10),
            self.call("question", ("sid", "too"), sid=whom, namespace="/"),
        ]

    def on_call_in_vain(self, sid: str, whom: str) -> str:
        try:
            self.call("silence", to=whom, timeout=0.01)
        except exceptions.TimeoutError:
            return "no answer"
        return "an answer"

    def on_call_back(self, sid: str, whom: str) -> None:
        def answered(*args: Any) -> None:
            self.emit("answered", args, to=sid)

        self.emit("question", "callback", to=whom, callback=answered)

    def on_in_background(self, sid: str, count: int) -> str:
        def work(what: str, *, times: int) -> None:
            for number in range(times):
                self.server.sleep(0.001)
                self.emit(what, number, to=sid)

        task = self.server.start_background_task(work, "worked", times=count)
        task.join()
        return "joined"

    def on_rooms(self, sid: str, enter: Any, leave: Any, close: Any) -> Any:
        self.enter_room(sid, enter)
        self.enter_room(sid, enter, namespace="/")
        self.leave_room(sid, leave)
        self.close_room(close)
        return sorted(str(room) for room in self.rooms(sid) if room != sid)

    def on_forbidden(self, sid: str, other: str) -> Any:
        def raises(fn: Callable[..., Any], *args: Any) -> bool:
            try:
                fn(*args)
            except ValueError:
                return True
            return False

        return [
            raises(self.enter_room, sid, other),
            raises(self.close_room, other),
            raises(self.enter_room, sid, "room", "/nobody"),
            raises(self.server.register_namespace, Main),
            self.rooms("nobody"),
        ]

    def on_visit(self, sid: str) -> int:
        with self.session(sid) as session:
            session["visits"] += 1
        self.save_session(sid, {**self.get_session(sid), "last": "visit"}, namespace="/")
        return int(self.get_session(sid)["visits"])

    def on_about(self, sid: str) -> Any:
        environ = self.server.get_environ(sid)
        mode = self.server.async_mode == os.environ["ASYNC_MODE"]
        return [self.server.transport(sid), environ["REQUEST_METHOD"], environ["PATH_INFO"], mode]

    def on_kick(self, sid: str, whom: str) -> None:
        self.disconnect(whom)


class Chat(socketio.Namespace):  # type: ignore[misc]
    """Methods that leave out what they do not want; other events it ignores."""

    def on_connect(self, sid: str, environ: dict[str, Any]) -> None:
        log.append(["connect to chat", sid, environ["HTTP_X_FROM"]])

    def on_disconnect(self, sid: str) -> None:
        log.append(["disconnect from chat", sid])

    def on_hello(self, sid: str, *args: Any) -> Any:
        return ["hello of a class", self.namespace, sid, *args]


class Wide(socketio.Namespace):  # type: ignore[misc]
    """Sees every event, whatever its name."""

    def trigger_event(self, event: str, *args: Any) -> Any:
        if event == "connect":
            log.append(["wide", event, args[0], args[1]["HTTP_X_FROM"]])
            return None
        log.append(["wide", event, *args])
        return None if event == "disconnect" else ["triggered", event, *args[1:]]


class Anywhere(socketio.Namespace):  # type: ignore[misc]
    """The class of every other namespace."""

    def on_connect(self, namespace: str, sid: str, environ: dict[str, Any], auth: Any) -> Any:
        log.append(["connect anywhere", namespace, sid, auth])
        return auth["any"]

    def on_disconnect(self, namespace: str, sid: str, reason: str) -> None:
        log.append(["disconnect anywhere", namespace, sid, reason])

    def on_hello(self, namespace: str, sid: str, *args: Any) -> Any:
        return ["hello of any", namespace, sid, *args]


server.register_namespace(Main("/"))
server.register_namespace(Chat("/chat"))
server.register_namespace(Wide("/wide"))
server.register_namespace(Anywhere("*"))


@server.on("special", namespace="/chat")
def special(sid: str, *args: Any) -> Any:
    """Come before the class of the namespace."""
    return ["a function", *args]


application = socketio.WSGIApp(
    server, static_files={"/": f"{FOLDER}/", "/plain": str(FOLDER / "plain")}, socketio_path="ws"
)
