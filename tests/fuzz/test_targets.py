"""The fuzz targets on their seeds and on Hypothesis's bytes: a smoke of ``make fuzz``."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import SEEDS, TARGETS

pytestmark = pytest.mark.quick


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_pass(name: str) -> None:
    """Each target takes its seeds, each cut short anywhere, and each with one bit turned."""
    target = TARGETS[name]
    assert SEEDS[name]
    for seed in SEEDS[name]:
        for end in range(len(seed) + 1):
            target(seed[:end])
        for place in range(8 * len(seed)):
            turned = bytearray(seed)
            turned[place // 8] ^= 1 << place % 8
            target(bytes(turned))


@pytest.mark.parametrize("name", TARGETS)
def test_any_bytes_pass(name: str) -> None:
    """Bytes alone, and bytes put into a seed."""
    target = TARGETS[name]

    @settings(max_examples=60, deadline=None)
    @given(
        data=st.binary(max_size=300), seed=st.sampled_from(SEEDS[name]), place=st.integers(0, 99)
    )
    def run(data: bytes, seed: bytes, place: int) -> None:
        target(data)
        target(seed[:place] + data + seed[place:])

    run()


def test_a_failure_is_one(tmp_path: object) -> None:
    """The command fails where a target does: a fuzzer that cannot fail finds nothing."""
    pytest.importorskip("atheris", reason="atheris is not here for this Python")
    command = [sys.executable, "-m", "tests.fuzz", "--seconds", "20", "self_test"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "self_test: FAILED" in done.stdout
