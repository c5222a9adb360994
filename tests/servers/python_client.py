"""python -m tests.servers.python_client URL

python-socketio's client on polling, on WebSocket and with an upgrade, all at once: what
tests/js/versions.mjs does with the JavaScript clients.
"""

from __future__ import annotations

import json
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import socketio  # type: ignore[import-untyped]

from tests.servers.apps.versions import BYTES, TEXT

MODES = {"polling": ["polling"], "websocket": ["websocket"], "default": ["polling", "websocket"]}
WAIT_S = 60
TOKEN = "a,€&="
NESTED = {"one": BYTES, "list": [b"", [{"two": BYTES[1:4]}], None, TEXT]}


class Client:
    """One client, and the events it was sent."""

    def __init__(self, url: str, mode: str) -> None:
        self.mode = mode
        self.url = f"{url}?user={quote('Jürgen')}"
        self.sio = socketio.Client(
            reconnection_delay=0.05, reconnection_delay_max=0.2, handle_sigint=False
        )
        self.got: dict[str, list[Any]] = {}
        self.changed = threading.Condition()
        for event, namespace in (
            ("hello", "/"),
            ("hello", "/admin"),
            ("said", "/"),
            ("all here", "/"),
            ("connect", "/"),
            ("disconnect", "/"),
        ):
            self.sio.on(event, self._keeper(event + namespace), namespace)
        self.sio.on("question", lambda *args: (*args, "answered"))

    def _keeper(self, key: str) -> Callable[..., None]:
        def keep(*args: Any) -> None:
            with self.changed:
                self.got.setdefault(key, []).append(args)
                self.changed.notify_all()

        return keep

    def took(self, key: str) -> Any:
        """Return the arguments of the next event, once it has come."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.got.get(key), WAIT_S), f"no {key!r}"
            return self.got[key].pop(0)

    def call(self, event: str, *args: Any, namespace: str = "/") -> Any:
        return self.sio.call(event, args, namespace, WAIT_S)

    def connect(self) -> None:
        self.sio.connect(
            self.url,
            transports=MODES[self.mode],
            namespaces=["/", "/admin"],
            auth={"token": TOKEN},
            wait_timeout=WAIT_S,
        )
        check(self.took("hello/"), ({"user": "Jürgen", "auth": {"token": TOKEN}, "text": TEXT},))
        check(self.took("hello/admin"), ({"user": "Jürgen"},))
        check(self.sio.transport(), "polling" if self.mode == "polling" else "websocket")
        self.took("connect/")

    def namespaces(self) -> None:
        check(self.call("echo", TEXT, BYTES, namespace="/admin"), (TEXT, BYTES))
        for namespace, refusal in (
            ("/admin", {"message": "no token"}),
            ("/closed", {"message": "closed", "data": {"until": TEXT}}),
            ("/nowhere", {"message": "Invalid namespace"}),
        ):
            refused = socketio.Client(reconnection=False, handle_sigint=False)
            told: list[Any] = []
            refused.on("connect_error", told.append, namespace)
            try:
                refused.connect(
                    self.url,
                    transports=MODES[self.mode],
                    namespaces=[namespace],
                    auth={"token": "wrong"},
                    wait_timeout=WAIT_S,
                )
            except socketio.exceptions.ConnectionError:
                check(told, [refusal])
            else:
                raise AssertionError(f"{namespace} let it in")

    def data(self) -> None:
        for value in (TEXT, BYTES, b"", NESTED, [NESTED, 0, "", False, -1.5]):
            check(self.call("echo", value), value)
            check(self.call("ask_me", value, "and"), (value, "and", "answered"))
            self.sio.emit("say", (value, TEXT))
            check(self.took("said/"), (value, TEXT))
        check(self.call("echo"), None)

    def attend(self) -> None:
        self.sio.emit("attend")
        check(self.took("all here/"), ({"text": TEXT, "bytes": [BYTES, b""]},))

    def reconnect(self) -> None:
        self.took("connect/")
        check(self.call("echo", NESTED), NESTED)
        self.got.pop("disconnect/", None)
        self.sio.emit("leave")
        self.took("disconnect/")
        self.sio.disconnect()


def check(found: Any, due: Any) -> None:
    assert found == due, f"{repr(found)[:500]} is not {repr(due)[:500]}"


def run_all(clients: list[Client], steps: list[str]) -> None:
    """Take these steps with each client in a thread of its own; raise what one raises."""
    failed: list[str] = []

    def run(client: Client) -> None:
        for step in steps:
            try:
                getattr(client, step)()
            except Exception:  # the test shows it
                failed.append(f"{client.mode}, {step}: {traceback.format_exc()}")
                return

    threads = [threading.Thread(target=run, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise AssertionError("\n".join(failed))


def main(url: str) -> None:
    clients = [Client(url, mode) for mode in MODES]
    try:
        run_all(clients, ["connect", "namespaces", "data", "attend"])
        print("ready", flush=True)
        run_all(clients, ["reconnect"])
        result: dict[str, Any] = {"modes": list(MODES)}
    except AssertionError as error:
        result = {"error": str(error)}
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
