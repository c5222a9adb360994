"""python-socketio's own client, and what it was sent: the driver of the programs beside this."""

from __future__ import annotations

import threading
from typing import Any

import socketio
from socketio.packet import DISCONNECT

WAIT_S = 40


class Visitor:
    """One stock client. What it gets is noted, and its ids are called by its name."""

    names: dict[str, str]
    """What each id is called in a transcript, for ids differ from run to run."""

    def __init__(self, name: str, names: dict[str, str]) -> None:
        self.name = name
        self.names = names
        self._inbox: list[Any] = []
        self._changed = threading.Condition()
        self._client: Any = None
        self.speak = threading.Event()
        """Until it is set, nothing answers the event ``silence``."""

    def connect(self, url: str, *namespaces: str, **options: Any) -> str:
        """Connect; return how that ended."""
        packets = options.pop("serializer", "default")
        self._client = socketio.Client(
            reconnection=False,
            handle_sigint=False,
            request_timeout=WAIT_S,
            serializer=packets,
        )
        for namespace in namespaces or ("/",):
            self._listen(namespace)
        options.setdefault("transports", ["websocket"])
        try:
            self._client.connect(
                url, namespaces=list(namespaces or ("/",)), wait_timeout=WAIT_S, **options
            )
        except socketio.exceptions.ConnectionError:
            return "refused"
        for namespace in namespaces or ("/",):
            name = self.name if namespace == "/" else f"{self.name} in {namespace}"
            self.names[self._client.get_sid(namespace)] = f"<{name}>"
        return f"on {self._client.transport()}"

    def _listen(self, namespace: str) -> None:
        def event(name: str, *args: Any) -> Any:
            self._note(name, namespace, *args)
            if name == "silence":
                self.speak.wait(WAIT_S)
            if name == "question":
                return ("answer of", self.name, *args)
            return None

        def gone(*args: Any) -> None:
            self._note("disconnect", namespace, *args)

        def refused(data: Any) -> None:
            self._note("connect_error", namespace, data)

        self._client.on("*", event, namespace=namespace)
        self._client.on("disconnect", gone, namespace=namespace)
        self._client.on("connect_error", refused, namespace=namespace)

    def _note(self, *entry: Any) -> None:
        with self._changed:
            self._inbox.append(self.known(list(entry)))
            self._changed.notify_all()

    def known(self, value: Any) -> Any:
        """Return a value with names for ids, and bytes as text."""
        if isinstance(value, (list, tuple)):
            return [self.known(each) for each in value]
        if isinstance(value, dict):
            return {key: self.known(each) for key, each in value.items()}
        if isinstance(value, bytes):
            return f"bytes {value.hex()}"
        return self.names.get(value, value) if isinstance(value, str) else value

    # -- what it does ------------------------------------------------------------------

    def sid(self, namespace: str = "/") -> str:
        return str(self._client.get_sid(namespace))

    def ask(self, event: str, *args: Any, namespace: str = "/") -> Any:
        """Emit, and return the acknowledgement."""
        return self.known(self._client.call(event, args, namespace=namespace, timeout=WAIT_S))

    def tell(self, event: str, *args: Any, namespace: str = "/") -> None:
        self._client.emit(event, args, namespace=namespace)

    def got(self, count: int) -> list[Any]:
        """Return what has come once it is ``count`` things.

        The stock client runs a thread for each event, so that their order says nothing.
        """
        with self._changed:
            met = self._changed.wait_for(lambda: len(self._inbox) >= count, WAIT_S)
            came, self._inbox = self._inbox, []
        assert met, f"{self.name}: only {came} of {count}"
        return sorted(came, key=repr)

    def say_goodbye(self) -> None:
        """Leave the namespace ``/``.

        `leave` ends the stock client's writer, which may not have written its good-bye by then.
        """
        client = self._client
        client._send_packet(client.packet_class(DISCONNECT, namespace="/"))

    def leave(self) -> None:
        """End the connection, and wait for that."""
        self._client.disconnect()
