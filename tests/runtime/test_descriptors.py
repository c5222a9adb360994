"""Where descriptors run out, clients are refused cleanly, and nobody else notices."""

from __future__ import annotations

import base64
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flask_sio import Server
from tests.live import Runtime, plain
from tests.server.clients import Peer, Poller, clients, connection
from tests.servers.launch import Running, free_port, launched
from tests.servers.raw import ENDPOINT, Reader, http, send_request

pytest.importorskip("resource", reason="Windows has no such limit")

UPGRADE = (
    f"GET {ENDPOINT}websocket HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}\r\n\r\n"
).encode()


def _refused(server: object) -> None:
    """Both transports answer 503 and say when to come again."""
    status, headers, _ = http(server, "GET", f"{ENDPOINT}polling")  # type: ignore[arg-type]
    assert (status, headers["retry-after"]) == (503, "5")
    with server.connect() as sock:  # type: ignore[attr-defined]
        sock.sendall(UPGRADE)
        status, headers, _ = Reader(sock).response()
        assert (status, headers["retry-after"]) == (503, "5")


def test_over_max_connections_clients_get_503(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    """Until one leaves; a client that is there may still upgrade; one line says so."""
    server = Server(max_connections=3)
    server.on("echo", lambda sid, data: data)
    with plain(runtime, server) as live:
        peers, poller = [Peer(live) for _ in range(2)], Poller(live)
        for _ in range(3):
            _refused(live)
        poller.post('420["echo",1]')
        assert poller.get() == ["430[1]"]
        with live.connect() as sock:
            path = poller.path.replace("polling", "websocket").encode()
            sock.sendall(UPGRADE.replace(f"{ENDPOINT}websocket".encode(), path))
            assert Reader(sock).through(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
        peers.pop().close()
        live.until(lambda: len(server.engine.connections) < 3)
        peers.append(Peer(live))
        _refused(live)
        for peer in peers:
            peer.close()
        poller.leave()
        live.until(lambda: caplog.messages)
    assert caplog.messages == ["max_connections=3 clients are here: more get 503 (said once)"]


@contextmanager
def _app(runtime: Runtime, folder: Path, *limits: int) -> Iterator[Running]:
    port = free_port()
    command = [sys.executable, "-m", "tests.runtime.limited_app", runtime, str(port)]
    # From 3.13 on cheroot's writers complain when they are collected: "Exception ignored".
    clean = runtime == "gevent" or sys.version_info < (3, 13)
    with launched([*command, *map(str, limits)], port, folder / "log", clean=clean) as app:
        yield app


def test_the_limit_of_the_process_is_kept(runtime: Runtime, tmp_path: Path) -> None:
    """By default so many clients are let in that descriptors are left for the application."""
    limit, reserve = 110, 64
    with _app(runtime, tmp_path, limit) as app:
        peers = [Peer(app) for _ in range(limit - reserve)]
        for _ in range(5):
            _refused(app)
        assert http(app, "GET", "/give")[2] == b"done"
        for peer in peers:
            peer.send('420["echo","here"]')
            assert peer.text() == '430["here"]'
        for peer in peers[:10]:
            peer.leave()
        again = [_eventually(app) for _ in range(10)]
        for peer in (*peers[10:], *again):
            peer.close()
    lines = [line for line in app.log().splitlines() if line.startswith("WARNING")]
    assert lines == [
        "WARNING flask_sio.engine: max_connections=46 clients are here: more get 503 (said once)"
    ]


def _eventually(app: Running) -> Peer:
    """Connect as soon as the server has noticed that others left."""
    while True:  # the test's own timeout ends it
        try:
            return Peer(app)
        except AssertionError:
            clients.pop().close()


def test_with_no_descriptor_left_an_upgrade_gets_503(runtime: Runtime, tmp_path: Path) -> None:
    """On a connection that is there already; polls still work, and later everything does."""
    with _app(runtime, tmp_path, 256, 10_000) as app:
        peer, poller = Peer(app), Poller(app)
        keep_alive = [connection(app) for _ in range(3)]
        for reader in keep_alive:
            send_request(reader.sock, "GET", "/give")
            assert reader.response()[2] == b"done"
        control, upgrading, polling = keep_alive
        send_request(control.sock, "GET", "/take?0")
        assert control.response()[2] == b"done"

        upgrading.sock.sendall(UPGRADE)
        assert upgrading.response()[0] == 503
        send_request(polling.sock, "GET", poller.path)
        peer.send('42["shout","to all"]')
        assert peer.text() == '42["shouted","to all"]'
        status, _, body = polling.response()
        assert (status, body) == (200, b'42["shouted","to all"]')
        upgrading.sock.sendall(UPGRADE)
        assert upgrading.response()[0] == 503

        send_request(control.sock, "GET", "/give")
        assert control.response()[2] == b"done"
        upgrading.sock.sendall(UPGRADE)
        assert upgrading.through(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
        Peer(app).close()
        for reader in keep_alive:
            reader.close()
        peer.close()
        poller.leave()
    (line,) = [line for line in app.log().splitlines() if line.startswith("WARNING")]
    assert "a WebSocket cannot be opened: [Errno 24] Too many open files" in line


def test_descriptors_come_back(runtime: Runtime) -> None:
    """However clients end, nothing of them stays open in the server's process."""
    server = Server()
    server.on("echo", lambda sid, data: data)

    def count() -> int:
        gc.collect()  # werkzeug leaves a selector to it when a client has gone
        return len(os.listdir("/proc/self/fd"))

    with plain(runtime, server) as live:
        Peer(live).close()
        live.until(lambda: not server.engine.streams)
        before = count()
        for number in range(30):
            peer = Peer(live)
            if number % 3 == 0:
                peer.leave()
            elif number % 3 == 1:
                peer.send("1")
                peer.rest()
            else:
                peer.close()
            poller = Poller(live)
            poll = poller.park()
            poller.leave()
            poll.close()
        live.until(lambda: not server.engine.streams and not server.engine.connections)
        live.until(lambda: count() <= before)
