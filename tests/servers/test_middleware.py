"""Sockets are taken over beneath WSGI middleware, and its own business goes on undisturbed."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.servers.launch import Running, free_port, gunicorn, launched
from tests.servers.raw import Reader, get_json

WORKERS = {"gevent": ["gevent"], "gthread": ["gthread", "--threads", "8"]}
NAMES = ("proxied", "buffering", "sentry", "traced", "all")
FORWARDED = (
    "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n"
    "X-Forwarded-Host: public.example\r\n"
)
USUAL_LINE = re.compile(r"\[.*\] \[\d+\] \[INFO\] .*|[\d.]+ - - \[.*")


@pytest.fixture(scope="module", params=WORKERS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """One gunicorn with all the mounts; its whole output must be that of a healthy one."""
    pytest.importorskip("sentry_sdk")
    pytest.importorskip("opentelemetry.instrumentation.wsgi")
    port, folder = free_port(), tmp_path_factory.mktemp(request.param)
    command = gunicorn("tests.servers.apps.wrapped:app", port, *WORKERS[request.param])
    with launched(command, port, folder / "server.log") as running:
        yield running
    odd = [line for line in running.log().splitlines() if not USUAL_LINE.fullmatch(line)]
    assert odd == []


class Visitor(Reader):
    """Requests to one mount, as they come from a browser through a proxy."""

    def __init__(self, server: Running, name: str) -> None:
        super().__init__(server.connect())
        self.server = server
        self.name = name
        origin = "https://public.example" if name in ("proxied", "all") else "http://127.0.0.1"
        self.headers = f"Host: 127.0.0.1\r\nOrigin: {origin}\r\n{FORWARDED}"
        self.address = "203.0.113.9" if name in ("proxied", "all") else "127.0.0.1"

    def ask(self, query: str, body: str | None = None) -> str:
        """Make a request on a connection of its own; return the body of a 200."""
        head = f"/{self.name}/socket.io/?EIO=4&transport=polling{query} HTTP/1.1\r\n{self.headers}"
        with self.server.connect() as sock:
            if body is None:
                sock.sendall(f"GET {head}\r\n".encode())
            else:
                head += f"Content-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
                sock.sendall(f"POST {head}\r\n{body}".encode())
            status, _, answer = Reader(sock).response()
        assert status == 200, answer
        return answer.decode()

    def upgrade(self, query: str = "") -> None:
        """Ask for a WebSocket."""
        key = base64.b64encode(os.urandom(16)).decode()
        self.sock.sendall(
            f"GET /{self.name}/socket.io/?EIO=4&transport=websocket{query} HTTP/1.1\r\n"
            f"{self.headers}Upgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        assert self.through(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")

    def send(self, text: str) -> None:
        self.sock.sendall(bytes([0x81, 0x80 | len(text)]) + bytes(4) + text.encode())

    def text(self) -> str:
        return self.frame()[1].decode()


@pytest.fixture(params=NAMES)
def visitor(request: pytest.FixtureRequest, server: Running) -> Iterator[Visitor]:
    """A visitor of each mount."""
    visitor = Visitor(server, request.param)
    yield visitor
    visitor.close()


def answer(visitor: Visitor, number: int, transport: str) -> str:
    return f'43{number}[[{number},"{visitor.address}","{transport}"]]'


def test_polling(visitor: Visitor) -> None:
    """Every answer comes whole, and a poll that waits gets what is sent later."""
    sid = f"&sid={json.loads(visitor.ask('')[1:])['sid']}"
    assert visitor.ask(sid, "40") == "ok"
    assert visitor.ask(sid).startswith('40{"sid":')
    for number in range(3):
        assert visitor.ask(sid, f'42{number}["where",{number}]') == "ok"
        assert visitor.ask(sid) == answer(visitor, number, "polling")
    assert visitor.ask(sid, "1") == "ok"


def test_a_websocket_from_the_start(visitor: Visitor) -> None:
    """Its socket is taken although the middleware is not done with the request."""
    visitor.upgrade()
    assert visitor.text().startswith("0{")
    visitor.send("40")
    assert visitor.text().startswith("40{")
    for number in range(3):
        visitor.send(f'42{number}["where",{number}]')
        assert visitor.text() == answer(visitor, number, "websocket")
    visitor.send("1")
    assert visitor.frame()[0] == 8


def test_an_upgrade(visitor: Visitor) -> None:
    """A polling client goes over to a WebSocket and stays the same client."""
    sid = f"&sid={json.loads(visitor.ask('')[1:])['sid']}"
    assert visitor.ask(sid, "40") == "ok"
    assert visitor.ask(sid).startswith('40{"sid":')
    visitor.upgrade(sid)
    visitor.send("2probe")
    assert visitor.text() == "3probe"
    visitor.send("5")
    visitor.send('427["where",7]')
    assert visitor.text() == answer(visitor, 7, "websocket")
    visitor.send("1")
    assert visitor.frame()[0] == 8


def test_what_sentry_and_opentelemetry_saw(server: Running) -> None:
    """Each request is one of theirs, a WebSocket with its status 101; nothing was an error."""
    for name in NAMES:
        for test in (test_polling, test_a_websocket_from_the_start):
            visitor = Visitor(server, name)
            test(visitor)
            visitor.close()
    seen: dict[str, Any] = get_json(server, "/buffering/seen")

    assert seen["errors"] == []
    assert len(seen["transactions"]) >= 20
    assert {200, 101} == set(seen["statuses"])
    assert seen["statuses"].count(101) >= 2
