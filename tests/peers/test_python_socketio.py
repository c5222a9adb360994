"""python-socketio's programs run here after one changed line, and its own client talks to them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
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

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(autouse=True)
def installed() -> None:
    if socketio is None:
        missing("python-socketio[client]")


@contextmanager
def playing(scene: str, folder: Path, *runs: str) -> Iterator[list[subprocess.Popen[str]]]:
    """Start a scene, for each of ``runs``: the package, and the runtime."""
    processes = []
    with ExitStack() as stack:
        for run in runs:
            module, mode = run.split()
            env = {"MODULE": module, "ASYNC_MODE": mode, "FOLDER": str(folder / run)}
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.peers.play", scene],
                env={**os.environ, **env},
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            processes.append(stack.enter_context(process))
            stack.callback(process.kill)
        yield processes


def end(process: subprocess.Popen[str]) -> tuple[list[Any], str]:
    """Return the transcript of a scene, and what went to stderr."""
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    return [json.loads(line) for line in out.splitlines()], err


@pytest.mark.parametrize("scene", ["functions", "classes", "bottle_site", "pyramid_site"])
def test_a_program_says_the_same_with_either_package(scene: str, tmp_path: Path) -> None:
    """Clients, handlers and requests see what they see with python-socketio, on either runtime."""
    if scene.endswith("site") and find_spec(scene.partition("_")[0]) is None:
        missing(scene.partition("_")[0])
    runs = ("socketio threading", "flask_sio threading", "flask_sio gevent")
    with playing(scene, tmp_path, *runs) as (stock, *ours):
        expected, _ = end(stock)
        assert len(expected) > (8 if scene.endswith("site") else 60)
        for process in ours:
            transcript, errors = end(process)
            assert transcript == expected
            assert "Traceback" not in errors


def test_a_threading_server_of_wsgiref_runs_it(tmp_path: Path) -> None:
    """Its client comes by polling, by WebSocket and by both; then all ends without a trace."""
    with playing("transports", tmp_path, "flask_sio threading") as [process]:
        transcript, errors = end(process)

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
