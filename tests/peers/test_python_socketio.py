"""python-socketio's programs run here after one changed line, and its own client talks to them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import missing

ROOT = Path(__file__).parent.parent.parent

try:
    import engineio  # noqa: F401 # what python-socketio stands on
    import socketio
    import websocket  # noqa: F401 # its client's
except ImportError:
    socketio = None

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(autouse=True)
def installed() -> None:
    if socketio is None:
        missing("python-socketio[client]")


def begin(scene: str, module: str, mode: str, folder: Path) -> subprocess.Popen[str]:
    """Start a scene with this package, in this runtime."""
    env = {"MODULE": module, "ASYNC_MODE": mode, "FOLDER": str(folder / f"{module}-{mode}")}
    return subprocess.Popen(
        [sys.executable, "-m", "tests.peers.play", scene],
        env={**os.environ, **env},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(process: subprocess.Popen[str]) -> tuple[list[Any], str]:
    """Return the transcript of a scene, and what went to stderr."""
    try:
        out, err = process.communicate(timeout=100)
    finally:
        process.kill()
    assert process.returncode == 0, err
    return [json.loads(line) for line in out.splitlines()], err


@pytest.mark.parametrize("scene", ["functions", "classes"])
def test_a_program_says_the_same_with_either_package(scene: str, tmp_path: Path) -> None:
    """Clients, handlers and requests see what they see with python-socketio, on either runtime."""
    stock = begin(scene, "socketio", "threading", tmp_path)
    ours = [begin(scene, "flask_sio", mode, tmp_path) for mode in ("threading", "gevent")]

    expected, _ = end(stock)

    assert len(expected) > 60
    for process in ours:
        transcript, errors = end(process)
        assert transcript == expected
        assert "Traceback" not in errors


def test_a_threading_server_of_wsgiref_runs_it(tmp_path: Path) -> None:
    """Its client comes by polling, by WebSocket and by both; then all ends without a trace."""
    transcript, errors = end(begin("transports", "flask_sio", "threading", tmp_path))

    assert [text for what, text in transcript if what == "Ann comes"] == [
        "on polling",
        "on websocket",
        "on websocket",
    ]
    assert [value for what, value in transcript if what == "echo"] == [{"a": [1]}] * 3
    assert [value for what, value in transcript if what == "is told"] == [
        [["worked", "/", 0], ["worked", "/", 1]]
    ] * 3
    assert transcript[-1] == ["threads", ["MainThread"]]
    assert errors == ""
