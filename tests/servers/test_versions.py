"""Stock clients of every generation on one server, all at the same time."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.conftest import missing
from tests.servers.launch import ROOT, free_port, gunicorn, launched
from tests.servers.node import SCRIPTS, need_node

APP = "tests.servers.apps.versions:app"
NPM = ["socket.io-client-1", "socket.io-client-2", "socket.io-client-3", "socket.io-client"]
"""The stock client of each generation, as package.json names them; the last is the current."""
MODES = ["polling", "websocket", "default"]
GATHERED_S = 100
"""Far longer than it takes, as the deadlines of what is driven: a busy machine decides nothing."""

pytestmark = pytest.mark.node


def commands(url: str) -> dict[str, list[str]]:
    """Return what drives the clients of one library each, on every transport at once."""
    script = str(Path(SCRIPTS, "versions.mjs"))
    driven = {name: ["node", script, url, name] for name in NPM}
    driven["python-socketio"] = [sys.executable, "-m", "tests.servers.python_client", url]
    return driven


@contextmanager
def running(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        with process:
            yield process
            process.wait(GATHERED_S)
    finally:
        process.kill()


@pytest.mark.timeout(200)
def test_every_client_since_2014_at_the_same_time(tmp_path: Path) -> None:
    """Each connects, says who it is, joins namespaces and is refused others, acknowledges and
    is acknowledged, sends and gets bytes and any text, and comes back after a restart.

    Halfway all are in one room of one process, which the server tells at once.
    """
    need_node(*NPM)
    if find_spec("socketio") is None or find_spec("websocket") is None:
        missing("python-socketio, with websocket-client,")
    port = free_port()
    argv = gunicorn(APP, port, "gevent")
    driven = commands(f"http://127.0.0.1:{port}")
    env = {"ATTENDANTS": str(len(driven) * len(MODES))}
    with ExitStack() as stack:
        with launched(argv, port, tmp_path / "first.log", env=env) as server:
            drivers = {
                name: stack.enter_context(running(command)) for name, command in driven.items()
            }
            for name, process in drivers.items():
                assert line(process) == "ready", f"{name}: {line(process)}; {server.tail()}"
        with launched(argv, port, tmp_path / "second.log", env=env) as server:
            results = {name: json.loads(line(process)) for name, process in drivers.items()}
            assert results == {name: {"modes": MODES} for name in driven}, server.tail()


def line(process: subprocess.Popen[str]) -> str:
    """Return the next line of its output; its own deadline ends it."""
    assert process.stdout is not None
    return process.stdout.readline().strip()
