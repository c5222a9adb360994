"""One Socket.IO client by hand on either transport, for tests that hold for both."""

from __future__ import annotations

from typing import ClassVar, Protocol

from tests.raw_more import NO_CODE, Frames, Poller
from tests.server.desk import Desk


class Wire(Protocol):
    """Messages of Engine.IO, whatever carries them; binary ones are bytes."""

    def send(self, *messages: str | bytes) -> None: ...

    def read(self) -> str | bytes:
        """Return the next message."""

    def is_closed(self) -> bool:
        """Whether the close is what comes next."""

    def leave(self) -> None: ...


class OnWebSocket:
    def __init__(self, desk: Desk) -> None:
        self.ws: Frames = desk.ws()
        self.send = self.ws.send
        self.leave = self.ws.leave

    def read(self) -> str | bytes:
        opcode, payload = self.ws.frame()
        return payload.decode() if opcode == 1 else payload

    def is_closed(self) -> bool:
        return self.ws.ends() == NO_CODE


class OnPolling:
    """Sends each message by a POST of its own, binary ones as base64."""

    BASE64: ClassVar = {b"\x01\x02\x03\x04": "bAQIDBA==", b"\x05\x06": "bBQY=", b"": "b"}

    def __init__(self, desk: Desk) -> None:
        self.poller: Poller = desk.poller()
        self.leave = self.poller.leave
        self._read: list[str] = []

    def send(self, *messages: str | bytes) -> None:
        for message in messages:
            text = message if isinstance(message, str) else self.BASE64[message]
            assert self.poller.post(text.encode()) == (200, b"ok")

    def read(self) -> str | bytes:
        if not self._read:
            status, body = self.poller.get()
            assert status == 200
            self._read = body.decode().split("\x1e")
        text = self._read.pop(0)
        for data, base64 in self.BASE64.items():
            if text == base64:
                return data
        return text

    def is_closed(self) -> bool:
        """One that was held is answered ``1``, the next free one ``6`` and ``1``."""
        closed = [self.read(), *self._read]
        return closed in (["6", "1"], ["1"]) and self.poller.get()[0] == 400


WIRES = (OnWebSocket, OnPolling)
