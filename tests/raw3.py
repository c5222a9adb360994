"""Clients by hand that speak Engine.IO 3."""

from __future__ import annotations

from tests.raw_more import Frames, Peer, Place, Poller, ask, request

ENDPOINT_3 = "/socket.io/?EIO=3&transport="
OCTETS = "application/octet-stream"
TEXT = "text/plain; charset=UTF-8"


class Frames3(Frames):
    """A WebSocket of revision 3."""

    endpoint = ENDPOINT_3


class Poller3(Poller):
    """A session of revision 3 on long polling."""

    endpoint = ENDPOINT_3

    def post_bytes(self, body: bytes) -> tuple[int, bytes]:
        """Send a payload of the binary form."""
        answer = self.ask("POST", {"Content-Type": OCTETS}, body)
        return answer.status, answer.body

    def take(self) -> tuple[str, bytes]:
        """Poll once; return the answer's type and body."""
        answer = self.ask("GET")
        assert answer.status == 200, answer
        return answer.headers["content-type"], answer.body

    def leave(self) -> None:
        assert self.post(b"1:1") == (200, b"ok")


class Script:
    """A session of revision 3 that polls by JSONP, as ``___eio[INDEX]``."""

    def __init__(self, place: Place, index: str, query: str = "") -> None:
        self.place = place
        self.handshake = ask(place, request("GET", f"{ENDPOINT_3}polling&j={index}{query}"))
        assert self.handshake.status == 200, self.handshake
        body = self.handshake.body.decode()
        start = body.index('\\"sid\\":\\"') + len('\\"sid\\":\\"')
        self.sid = body[start : start + 20]
        self.path = f"{ENDPOINT_3}polling&sid={self.sid}"

    def get(self, query: str = "") -> tuple[str, bytes]:
        """Poll once; return the answer's type and body."""
        answer = ask(self.place, request("GET", self.path + query))
        assert answer.status == 200, answer
        return answer.headers["content-type"], answer.body

    def post(self, form: bytes) -> tuple[int, bytes]:
        """Send a form."""
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = ask(self.place, request("POST", self.path, headers, form))
        return answer.status, answer.body

    def hold(self) -> Peer:
        """Poll, and read the answer later."""
        return Peer(self.place, request("GET", self.path))

    def leave(self) -> None:
        assert self.post(b"d=1%3A1") == (200, b"ok")
