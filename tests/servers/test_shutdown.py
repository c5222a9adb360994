"""A server that is told to stop says good-bye to every client first."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.servers.launch import Running, free_port, gunicorn, launched
from tests.servers.matrix import FLASK, SERVERS
from tests.servers.raw import Client, PollingClient, WebSocketClient, crowd, get_json

EACH = 25
"""Clients of each transport."""
GRACEFUL_S = 8.0
FIRST_S = 1.5
"""Until the first client hears of it; gunicorn looks at its signals once a second."""
ALL_S = GRACEFUL_S * 0.8


def good_bye(client: Client) -> float:
    """Check one client's end and close it, as browsers do; return when it came."""
    try:
        return _good_bye(client)
    finally:
        client.close()


def _good_bye(client: Client) -> float:
    if isinstance(client, PollingClient):
        status, _, body = client.response()
        assert status == 200
        packets = body.split(b"\x1e")
        assert b"41" not in packets, "a client does not reconnect after that"
        assert b"1" not in packets, "nor does python-engineio's after that"
        return time.monotonic()
    while True:
        opcode, payload = client.frame()
        assert payload[:2] != b"41", "a client does not reconnect after that"
        if opcode == 8:
            assert payload[:2] == (1001).to_bytes(2, "big"), payload
            return time.monotonic()


def check_good_byes(connected: list[Client], started: float) -> None:
    with ThreadPoolExecutor(len(connected)) as pool:
        times = sorted(moment - started for moment in pool.map(good_bye, connected))
    assert times[0] < FIRST_S, times
    assert times[-1] < ALL_S, times


def wait_for_exit(pid: int, timeout_s: float) -> None:
    """Wait for the end of a process that is not our child."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([descriptor], [], [], timeout_s)[0], f"process {pid} goes on"
    finally:
        os.close(descriptor)


WORKERS = {"gevent": (), "gthread": ("--threads", "4")}


@pytest.fixture(params=WORKERS)
def gunicorn_server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Running]:
    """Gunicorn with one worker, and more clients than it has threads."""
    port = free_port()
    options = (*WORKERS[request.param], "--graceful-timeout", str(int(GRACEFUL_S)))
    command = gunicorn(FLASK, port, request.param, *options)
    with launched(command, port, tmp_path / "server.log") as server:
        yield server


def test_sigterm_ends_every_client_cleanly(gunicorn_server: Running) -> None:
    """After SIGTERM each WebSocket gets close 1001, each poll an answer; gunicorn exits."""
    with crowd(gunicorn_server, EACH, EACH) as connected:
        started = time.monotonic()
        gunicorn_server.send(signal.SIGTERM)
        check_good_byes(connected, started)
        assert gunicorn_server.wait(GRACEFUL_S) == 0
    assert "Worker graceful timeout" not in gunicorn_server.log()


def test_sigterm_lets_handlers_end(gunicorn_server: Running) -> None:
    """Handlers that run are not cut off, and each client's disconnect handler runs."""
    with crowd(gunicorn_server, 5, 5) as connected:
        for client in connected[:3]:
            assert isinstance(client, WebSocketClient)
            client.send('42["slow",1.5]')
        get_json(gunicorn_server, "/stats")
        gunicorn_server.send(signal.SIGTERM)
        check_good_byes(connected, time.monotonic())
        assert gunicorn_server.wait(GRACEFUL_S) == 0
    log = gunicorn_server.log()
    handled = {event: log.count(f"{event} handled") for event in ("slow", "disconnect")}
    assert handled == {"slow": 3, "disconnect": 10}


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="waits for a process by its pidfd")
def test_sighup_ends_the_clients_of_the_old_worker(gunicorn_server: Running) -> None:
    """After SIGHUP the old worker's clients end as cleanly, it exits, a new one serves."""
    old = get_json(gunicorn_server, "/stats")["pid"]
    with crowd(gunicorn_server, EACH, EACH) as connected:
        started = time.monotonic()
        gunicorn_server.send(signal.SIGHUP)
        check_good_byes(connected, started)
        wait_for_exit(old, GRACEFUL_S)
    assert get_json(gunicorn_server, "/stats")["pid"] != old
    assert "Worker graceful timeout" not in gunicorn_server.log()


@pytest.mark.parametrize("name", ["socketio-run", "flask-run"])
def test_sigint_ends_every_client_cleanly(name: str, tmp_path: Path) -> None:
    """Ctrl-C in a terminal closes the clients too, and the program ends by itself."""
    spec = SERVERS[name]
    port = free_port()
    command = spec.command(port)
    with (
        launched(command, port, tmp_path / "server.log", interrupt=True) as server,
        crowd(server, 5, 5) as connected,
    ):
        started = time.monotonic()
        server.send(signal.SIGINT)
        check_good_byes(connected, started)
        server.wait()


@pytest.mark.parametrize(("worker", "options"), [("gevent", ()), ("gthread", ("--threads", "40"))])
def test_sigterm_ends_encrypted_clients_cleanly(
    worker: str, options: tuple[str, ...], tls_files: tuple[Path, Path], tmp_path: Path
) -> None:
    """Clients whose calls are parked, as TLS needs it, get the same good-bye."""
    cert, key = tls_files
    port = free_port()
    files = ("--certfile", str(cert), "--keyfile", str(key))
    graceful = ("--graceful-timeout", str(int(GRACEFUL_S)))
    command = gunicorn(FLASK, port, worker, *options, *files, *graceful)
    with (
        launched(command, port, tmp_path / "server.log", cafile=cert) as server,
        crowd(server, 10, 10) as connected,
    ):
        started = time.monotonic()
        server.send(signal.SIGTERM)
        check_good_byes(connected, started)
        assert server.wait(GRACEFUL_S) == 0
