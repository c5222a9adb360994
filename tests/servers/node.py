"""Run the Node scripts of tests/js, which drive the stock client of npm."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.servers.launch import ROOT, Running

SCRIPTS = ROOT / "tests" / "js"
TIMEOUT_S = 45.0


@functools.cache
def missing() -> str | None:
    """Return what keeps the scripts from running, None if nothing does."""
    if shutil.which("node") is None:
        return "node is not installed"
    if not (ROOT / "node_modules" / "socket.io-client").is_dir():
        return "socket.io-client is not in node_modules: run `make client`"
    return None


def need_node() -> None:
    """Skip the test where node or its packages are missing; fail it in CI."""
    reason = missing()
    if reason is None:
        return
    if os.environ.get("FLASK_SIO_CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def run_node(script: str, server: Running, *arguments: object) -> dict[str, Any]:
    """Run a script against the server; return the object it prints."""
    need_node()
    env = dict(os.environ)
    if server.cafile is not None:
        env["NODE_EXTRA_CA_CERTS"] = str(server.cafile)
    command = ["node", str(Path(SCRIPTS, script)), server.url, *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, env=env
    )
    assert done.returncode == 0, f"{done.stderr}\n{server.tail()}"
    result: dict[str, Any] = json.loads(done.stdout)
    assert "error" not in result, f"{result['error']}\n{server.tail()}"
    return result
