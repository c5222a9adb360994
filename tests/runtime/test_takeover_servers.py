"""The swap on real servers: one small echo application, started by each of them."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.servers.launch import Running, certificate, free_port, gunicorn, launched, serve

APP = "tests.runtime.takeover_app:app"
EARLY = b"\x81\x85\x00\x00\x00\x00early"
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)

Command = Callable[[int], list[str]]


def by_gunicorn(worker: str, *options: str) -> Command:
    return lambda port: gunicorn(APP, port, worker, *options)


def by_serve(kind: str) -> Command:
    return lambda port: serve(kind, APP, port)


SERVERS: dict[str, Command] = {
    "gunicorn-gevent": by_gunicorn("gevent"),
    "gunicorn-gthread": by_gunicorn("gthread", "--threads", "2"),
    "gunicorn-sync": by_gunicorn("sync"),
    "gunicorn-gevent_pywsgi": by_gunicorn("gevent_pywsgi"),
    "gunicorn-geventwebsocket": by_gunicorn(
        "geventwebsocket.gunicorn.workers.GeventWebSocketWorker"
    ),
    "pywsgi": by_serve("pywsgi"),
    "pywsgi-patched": by_serve("pywsgi-patched"),
    "geventwebsocket": by_serve("geventwebsocket"),
    "werkzeug": by_serve("werkzeug"),
    "werkzeug-patched": by_serve("werkzeug-patched"),
    "werkzeug-single": by_serve("werkzeug-single"),
    "wsgiref": by_serve("wsgiref"),
    "runserver": by_serve("runserver"),
    "cheroot": by_serve("cheroot"),
}
ON_GEVENT = {
    "gunicorn-gevent",
    "gunicorn-gevent_pywsgi",
    "gunicorn-geventwebsocket",
    "pywsgi",
    "pywsgi-patched",
    "geventwebsocket",
    "werkzeug-patched",
}
TLS_SERVERS = ("gunicorn-gevent", "gunicorn-gthread", "pywsgi", "werkzeug", "cheroot")


@pytest.fixture(scope="module", params=SERVERS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    port = free_port()
    log_path = tmp_path_factory.mktemp("log") / "server.log"
    with launched(SERVERS[request.param](port), port, log_path) as running:
        running.name = request.param
        yield running


def receive(sock: socket.socket, until: bytes) -> bytes:
    """Read until ``until`` has come; the rest of the socket's life is left alone."""
    data = b""
    while until not in data:
        chunk = sock.recv(65536)
        assert chunk, f"the connection ended after {data!r}"
        data += chunk
    return data


def get(server: Running, path: str) -> bytes:
    """Return the body of a GET on a connection of its own."""
    with server.connect() as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        head = receive(sock, b"\r\n\r\n")
        while chunk := sock.recv(65536):
            head += chunk
    return head.partition(b"\r\n\r\n")[2]


def upgrade(sock: socket.socket) -> None:
    """Upgrade with a frame in the same segment, and see it come back after the head."""
    sock.sendall(UPGRADE + EARLY)
    answer = receive(sock, b"early")
    head, _, rest = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    assert rest == EARLY


def echo(sock: socket.socket, data: bytes) -> None:
    sock.sendall(data)
    assert receive(sock, data) == data


def test_upgrade_keeps_early_bytes_and_frees_the_server(server: Running) -> None:
    """More sockets than workers echo on, HTTP is served beside them, the log stays clean."""
    with contextlib.ExitStack() as stack:
        sockets = []
        for number in range(5):
            # One after another: a server with one thread waits for each one's request.
            sock = stack.enter_context(server.connect())
            sockets.append(sock)
            upgrade(sock)
            assert get(server, "/plain") == b"plain"
            echo(sock, b"first of %d" % number)
        for number, sock in enumerate(sockets):
            echo(sock, b"second of %d" % number)
        # EOF from the server would show that it had closed the swapped descriptor.
        sockets[0].shutdown(socket.SHUT_WR)
        assert sockets[0].recv(100) == b""
        echo(sockets[1], b"x" * 300_000 + b"end")
    assert get(server, "/plain") == b"plain"


def test_plain_get_shows_its_socket_and_is_answered_as_usual(server: Running) -> None:
    """`find` works on a plain GET, tells the runtime, and leaves the server's answer alone."""
    seen = json.loads(get(server, "/where"))
    assert seen["found"]
    assert seen["has_socket"]
    assert seen["watched"]
    assert seen["early"] == ""
    assert not seen["tls"]
    assert seen["is_gevent"] == (server.name in ON_GEVENT)
    if server.name not in ON_GEVENT:
        assert not seen["gevent_imported"]


def test_long_poll_can_be_released(server: Running) -> None:
    """A swapped GET is answered by our own bytes alone, and closed."""
    with server.connect() as sock:
        sock.sendall(b"GET /poll HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = receive(sock, b"released")
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert answer.endswith(b"\r\n\r\nreleased")
        assert sock.recv(100) == b""
    assert get(server, "/plain") == b"plain"


def test_client_that_leaves_a_parked_poll_is_seen(server: Running) -> None:
    """The watched socket becomes readable, at its end, as soon as the client closes."""
    sock = server.connect()
    sock.sendall(b"GET /watch HTTP/1.1\r\nHost: x\r\n\r\n")
    sock.close()
    while (left := json.loads(get(server, "/left"))) == []:
        pass
    assert left == ["end"]


@pytest.fixture(scope="module")
def tls_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificate(tmp_path_factory.mktemp("tls"))


@pytest.mark.parametrize("name", TLS_SERVERS)
def test_tls_socket_is_found_and_can_be_parked(
    name: str, tls_files: tuple[Path, Path], tmp_path: Path
) -> None:
    """An encrypted socket is told as such; used in place it echoes, early bytes included."""
    cert, key = tls_files
    port = free_port()
    if name.startswith("gunicorn"):
        command = [*SERVERS[name](port), "--certfile", str(cert), "--keyfile", str(key)]
    else:
        command = serve(name, APP, port, str(cert), str(key))
    with launched(command, port, tmp_path / "server.log", cafile=cert) as server:
        seen = json.loads(get(server, "/where"))
        assert seen["tls"]
        assert seen["found"]
        assert not seen["watched"]
        with server.connect() as sock:
            upgrade(sock)
            echo(sock, b"more")


def test_waitress_shows_no_socket(tmp_path: Path) -> None:
    """A server without a socket in its environ gets an ordinary answer, and says so ahead."""
    port = free_port()
    with launched(serve("waitress", APP, port), port, tmp_path / "server.log") as server:
        assert get(server, "/ws") == b"no socket"
        seen = json.loads(get(server, "/where"))
        assert not seen["found"]
        assert not seen["has_socket"]
        assert not seen["watched"]


def test_http_1_0_is_told_but_not_taken(tmp_path: Path) -> None:
    """A proxy that speaks HTTP/1.0 is refused its upgrade, and its polls are watched."""
    port = free_port()
    command = SERVERS["gunicorn-gthread"](port)
    with launched(command, port, tmp_path / "server.log") as server:
        with server.connect() as sock:
            sock.sendall(b"GET /where HTTP/1.0\r\nHost: x\r\n\r\n")
            seen = json.loads(receive(sock, b"}").partition(b"\r\n\r\n")[2])
        assert not seen["found"]
        assert seen["has_socket"]
        assert seen["watched"]


def test_gunicorn_uwsgi_protocol_is_refused(tmp_path: Path) -> None:
    """The socket of gunicorn's uwsgi protocol carries no HTTP and is left alone."""
    values = {
        b"REQUEST_METHOD": b"GET",
        b"PATH_INFO": b"/where",
        b"SERVER_PROTOCOL": b"HTTP/1.1",
        b"HTTP_HOST": b"x",
    }
    packed = b"".join(
        len(part).to_bytes(2, "little") + part for item in values.items() for part in item
    )
    port = free_port()
    command = [*SERVERS["gunicorn-gthread"](port), "--protocol", "uwsgi"]
    # It reports every connection that ends without a request, that of the probe too.
    with (
        launched(command, port, tmp_path / "server.log", clean=False) as server,
        server.connect() as sock,
    ):
        sock.sendall(b"\x00" + len(packed).to_bytes(2, "little") + b"\x00" + packed)
        seen = json.loads(receive(sock, b"}").partition(b"\r\n\r\n")[2])
        assert not seen["found"]
        assert not seen["has_socket"]
        assert not seen["watched"]
