"""More than one worker: not served yet, and said so."""

from __future__ import annotations

from pathlib import Path

from tests.servers.launch import free_port, gunicorn, launched
from tests.servers.matrix import PLAIN
from tests.servers.raw import http


def test_several_workers_are_warned_of(tmp_path: Path) -> None:
    """Each worker says at its first request that it knows its own clients only."""
    port = free_port()
    command = gunicorn(PLAIN, port, "gevent", "-w", "2")
    with launched(command, port, tmp_path / "server.log", workers=2) as running:
        http(running, "GET", "/socket.io/?EIO=4&transport=polling")
    log = (tmp_path / "server.log").read_text()
    assert "gunicorn runs 2 workers, but a worker knows its own clients only" in log
