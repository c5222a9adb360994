"""An application with Socket.IO in this process, and clients of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask

from flask_sio import SocketIO
from tests.flask.polling import PollingClient


class Site:
    """An application with Socket.IO, whose clients are made at will and leave at the end."""

    def __init__(self, **options: Any) -> None:
        self.app = Flask("site")
        self.app.secret_key = "secret"
        self.socketio = SocketIO(self.app, **options)
        self.do: Callable[..., Any] = lambda *args: None
        """What the event "do" runs, in both namespaces; its result is the ack."""
        for namespace in ("/", "/other"):
            self.socketio.on_event("do", lambda *args: self.do(*args), namespace)

    def client(self, **kwargs: Any) -> PollingClient:
        """Return a client that has joined no namespace yet."""
        return PollingClient(self.app, **kwargs)

    def joined(self) -> tuple[PollingClient, str]:
        """Return a client of the default namespace, and its id."""
        client = self.client()
        return client, client.sid()

    def run(self, client: PollingClient, fn: Callable[..., Any], *args: Any) -> Any:
        """Run ``fn`` as a handler of the client; return the ack's arguments."""
        self.do = fn
        return client.ask("do", *args)

    def heard(self, client: PollingClient) -> list[list[Any]]:
        """Return the events a client was sent until now."""
        self.run(client, lambda: None)
        return client.events()

    def leave(self, client: PollingClient) -> None:
        """Let a client leave the default namespace; its handlers have run when this returns."""
        client.connect("/other")
        client.post("41")
        self.do = lambda: None
        client.ask("do", namespace="/other")
