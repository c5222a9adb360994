"""A Socket.IO client over long polling, in the test's own thread, with the packets in the open."""

from __future__ import annotations

import json
from typing import Any

from flask import Flask
from werkzeug.test import Client

SEPARATOR = "\x1e"


class PollingClient:
    """One Engine.IO connection to an application in this process."""

    def __init__(self, app: Flask, path: str = "/socket.io/", client: Client | None = None) -> None:
        self._http = client or Client(app)
        self.received: list[str] = []
        """Every packet so far, as text."""
        self._url = f"{path}?EIO=4&transport=polling"
        answer = self._http.get(self._url)
        assert answer.status_code == 200, answer.text
        self._url += "&sid=" + json.loads(answer.text[1:])["sid"]
        self._next_ack = 0

    def post(self, packet: str) -> None:
        """Send a packet as it stands."""
        answer = self._http.post(self._url, data=packet.encode())
        assert answer.text == "ok", answer.text

    def poll(self) -> list[str]:
        """Wait for packets and return them."""
        answer = self._http.get(self._url)
        assert answer.status_code == 200, answer.text
        packets = answer.text.split(SEPARATOR)
        if "2" in packets:
            self.post("3")
        self.received += packets
        return packets

    def until(self, prefix: str) -> str:
        """Poll until a packet that begins so has come, and take it out."""
        while True:
            for packet in self.received:
                if packet.startswith(prefix):
                    self.received.remove(packet)
                    return packet
            self.poll()

    def connect(self, namespace: str = "/", auth: Any = None) -> str:
        """Connect to a namespace; return what the server answers, after its packet type."""
        data = "" if auth is None else json.dumps(auth)
        self.post(f"40{_prefix(namespace)}{data}")
        while True:
            for kind in ("40", "44"):
                start = f"{kind}{_prefix(namespace)}{{"
                for packet in self.received:
                    if packet.startswith(start):
                        self.received.remove(packet)
                        return packet
            self.poll()

    def sid(self, namespace: str = "/", auth: Any = None) -> str:
        """Connect to a namespace; return the id there."""
        packet = self.connect(namespace, auth)
        sid: str = json.loads(packet[packet.index("{") :])["sid"]
        return sid

    def emit(self, event: str, *args: Any, namespace: str = "/") -> None:
        """Send an event."""
        self.post(f"42{_prefix(namespace)}{json.dumps([event, *args])}")

    def ask(self, event: str, *args: Any, namespace: str = "/") -> Any:
        """Send an event and return its ack's arguments; what comes before is in `received`."""
        number, self._next_ack = self._next_ack, self._next_ack + 1
        self.post(f"42{_prefix(namespace)}{number}{json.dumps([event, *args])}")
        start = f"43{_prefix(namespace)}{number}["
        return json.loads(self.until(start)[len(start) - 1 :])

    def events(self) -> list[list[Any]]:
        """Return the events of the default namespace so far, and forget them."""
        events = [json.loads(packet[2:]) for packet in self.received if packet[:3] == "42["]
        self.received = [packet for packet in self.received if packet[:3] != "42["]
        return events


def _prefix(namespace: str) -> str:
    return "" if namespace == "/" else f"{namespace},"
