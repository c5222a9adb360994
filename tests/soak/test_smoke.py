"""Some seconds of `make soak`: the whole of it is run by hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.servers.launch import ROOT

# Most of what `make soak` takes is the wait for the server's own deadlines; these are less.
DEADLINES = {
    "ping_interval": 1,
    "ping_timeout": 6,
    "connect_timeout": 3,
    "upgrade_timeout": 4,
    "body_timeout": 2,
    "attachment_timeout": 2,
}


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "arguments",
    [
        ["--worker", "gevent", "--clients", "24"],
        ["--worker", "gthread", "--crowd", "--attackers", "20", "--honest", "5"],
    ],
    ids=["soak", "crowd"],
)
def test_nothing_is_left_and_nobody_honest_notices(arguments: list[str]) -> None:
    """Clients of every kind and revision, for some seconds, and then what they left behind."""
    command = [sys.executable, "-m", "tests.soak", "--seconds", "4", "--seed", "1", *arguments]
    done = subprocess.run(
        command,
        env={**os.environ, "SOAK_OPTIONS": json.dumps(DEADLINES)},
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-8000:]
    assert "all held" in done.stdout
