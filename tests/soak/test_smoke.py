"""Some seconds of `make soak`: the whole of it is run by hand."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.servers.launch import ROOT


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
    """Clients of every kind and revision, for five seconds, and then what they left behind."""
    command = [sys.executable, "-m", "tests.soak", "--seconds", "5", "--seed", "1", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, (done.stdout + done.stderr)[-8000:]
    assert "all held" in done.stdout
