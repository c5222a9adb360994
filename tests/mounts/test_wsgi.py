"""The WSGI mount: who answers what, wherever it is mounted itself."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from flask_sio import Middleware, Server, WSGIApp
from tests.live import Live, Runtime, serve
from tests.server.clients import TEXT, frame
from tests.servers.raw import Reader, http

HANDSHAKE = "?EIO=4&transport=polling"


def wrapped(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Say who one is and what was asked."""
    body = f"app {environ['REQUEST_METHOD']} {environ['PATH_INFO']}".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def over_websocket(live: Live, path: str, message: str) -> list[str]:
    """Connect, send a message, and leave; return what came until its answer."""
    reader, came = Reader(live.connect()), []
    key = base64.b64encode(os.urandom(16)).decode()
    reader.sock.sendall(
        f"GET {path}?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: {key}\r\n\r\n".encode()
    )
    assert reader.through(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
    reader.sock.sendall(frame(TEXT, b"40") + frame(TEXT, message.encode()))
    while not came or not came[-1].startswith("43"):
        came.append(reader.frame()[1].decode())
    reader.close()
    return came


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a page, and with a file where Socket.IO is."""
    (tmp_path / "index.html").write_text("page")
    (tmp_path / "socket.io").mkdir()
    (tmp_path / "socket.io" / "index.html").write_text("never")
    return tmp_path


@contextmanager
def asking(*args: Any, **options: Any) -> Iterator[Callable[..., tuple[int, str]]]:
    """Serve a mount; give what asks it for a path and returns status and text."""
    server = Server(async_mode="threading")
    with serve("threading", WSGIApp(server, *args, **options), server) as live:

        def ask(path: str, method: str = "GET") -> tuple[int, str]:
            status, _, body = http(live, method, path)
            return status, body.decode()

        yield ask


def test_socketio_comes_first_then_files_then_the_application(folder: Path) -> None:
    """Each request has one answer, in that order."""
    with asking(wrapped, {"/": folder}) as ask:
        assert ask("/socket.io/")[0] == 400  # Engine.IO's: no transport was named
        assert ask("/socket.io")[0] == 400
        assert ask("/") == (200, "page")
        assert ask("/none") == (200, "app GET /none")
        assert ask("/", "POST") == (200, "app POST /")
        assert ask("/../index.html") == (200, "app GET /../index.html")


def test_without_an_application_the_rest_is_not_found(folder: Path) -> None:
    """Files are served, what is neither a file nor Socket.IO gets 404."""
    with asking(None, {"/": folder}) as ask:
        assert ask("/") == (200, "page")
        assert ask("/none")[0] == 404
        assert ask("/", "POST")[0] == 404


def test_socketio_may_have_another_path(folder: Path) -> None:
    """``socketio_path`` moves Socket.IO; what was its place is then like any other."""
    with asking(wrapped, {"/": folder}, socketio_path="/live/chat/") as ask:
        assert ask("/live/chat/")[0] == 400
        assert ask("/socket.io/") == (200, "never")


def test_a_dispatcher_may_mount_it_below_a_prefix(runtime: Runtime, folder: Path) -> None:
    """Under a SCRIPT_NAME polling, WebSocket, files and the application all work."""
    server = Server(async_mode=runtime)
    server.on("ask", lambda sid, number: number + 1)
    mounted = WSGIApp(server, wrapped, {"/files": folder})

    with serve(runtime, DispatcherMiddleware(wrapped, {"/below": mounted}), server) as live:
        status, _, body = http(live, "GET", "/below/socket.io/" + HANDSHAKE)
        assert (status, body[:1]) == (200, b"0")
        sid = json.loads(body[1:])["sid"]
        path = f"/below/socket.io/{HANDSHAKE}&sid={sid}"
        assert http(live, "POST", path, b"40")[2] == b"ok"
        assert http(live, "GET", path)[2].startswith(b'40{"sid":')
        assert http(live, "POST", path, b'420["ask",1]')[2] == b"ok"
        assert http(live, "GET", path)[2] == b"430[2]"
        assert http(live, "POST", path, b"1")[2] == b"ok"
        assert http(live, "GET", "/below/files/")[2] == b"page"
        assert http(live, "GET", "/below/page")[2] == b"app GET /page"
        assert http(live, "GET", "/socket.io/" + HANDSHAKE)[2] == b"app GET /socket.io/"
        assert "431[42]" in over_websocket(live, "/below/socket.io/", '421["ask",41]')


def test_the_old_name_of_the_mount_works_and_says_what_it_is_called_now() -> None:
    """As python-socketio's: the server, the application, and the path by position."""
    server = Server(async_mode="threading")
    with pytest.warns(DeprecationWarning, match=r"WSGIApp\(server, wsgi_app") as caught:
        mounted = Middleware(server, wrapped, "live")
    assert caught[0].filename == __file__
    with serve("threading", mounted, server) as live:
        assert http(live, "GET", "/live/")[0] == 400
        assert http(live, "GET", "/socket.io/")[2] == b"app GET /socket.io/"
