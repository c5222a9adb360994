"""Run the Node scripts of tests/js, which drive the stock client of npm."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.servers.launch import ROOT, Running

SCRIPTS = ROOT / "tests" / "js"
TIMEOUT_S = 45.0


@functools.cache
def missing(*packages: str) -> str | None:
    """Return what keeps the scripts from running, None if nothing does."""
    if shutil.which("node") is None:
        return "node is not installed"
    for package in ("socket.io-client", *packages):
        if not (ROOT / "node_modules" / package).is_dir():
            return f"{package} is not in node_modules: run `make client`"
    return None


def need_node(*packages: str) -> None:
    """Skip the test where node or its packages are missing; fail it in CI."""
    reason = missing(*packages)
    if reason is None:
        return
    if os.environ.get("FLASK_SIO_CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def run_node(script: str, server: Running, *arguments: object) -> dict[str, Any]:
    """Run a script against the server; return the object it prints."""
    env = {} if server.cafile is None else {"NODE_EXTRA_CA_CERTS": str(server.cafile)}
    try:
        return run_script(script, server.url, *arguments, env=env)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{server.tail()}") from None


def run_script(
    script: str, url: str, *arguments: object, env: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Run a script against what serves ``url``; return the object it prints."""
    need_node()
    command = ["node", str(Path(SCRIPTS, script)), url, *map(str, arguments)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
        env={**os.environ, **(env or {})},
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    assert "error" not in result, f"{result['error']}\n{done.stderr}"
    return result
