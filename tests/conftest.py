"""What every test is held to: nothing it started is left when it ends."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Iterator
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, settings

from tests.live import RUNTIMES, Runtime

GRACE_S, PATIENCE_S = 0.03, 5

# How long an example takes is the machine's business. The rest is Hypothesis's own choice:
# under CI the examples are the same each time.
settings.register_profile(
    "untimed",
    settings(deadline=None, suppress_health_check=[HealthCheck.too_slow]),
)
settings.load_profile("untimed")

HEAVY = ("soak", "servers", "browser")
"""The folders with files that take longest: begun last, one would be all that runs in the end."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return what ``-n auto`` means: much of a test is processes of its own and waiting."""
    return min(4, max(2, os.cpu_count() or 2))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let several processes begin with the heavy files."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.path.parent.name not in HEAVY)


def pytest_collection_finish() -> None:
    """Keep what the suite itself is made of out of each `gc.collect` of the tests.

    With all 6,600 tests collected one took 0.13 s, which was half the time of some files.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(params=RUNTIMES)
def runtime(request: pytest.FixtureRequest) -> Runtime:
    """Both runtimes, one after the other."""
    chosen: Runtime = request.param
    return chosen


@pytest.fixture(autouse=True)
def no_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a thread or a descriptor behind.

    Fixtures of a wider scope hold some; so only what is more than before counts. Threads
    take a moment to end after they were told to: it waits for them.
    """
    before = _held()
    yield
    patience_s = GRACE_S
    while not _ends_within(patience_s, before):
        if patience_s > PATIENCE_S:
            pytest.fail(f"left behind: {sorted(_held() - before)}")
        gc.collect()  # what cycles hold; takes 0.1 s and more once much is imported
        patience_s *= 2


def _ends_within(seconds: float, before: set[str]) -> bool:
    deadline = time.monotonic() + seconds
    while not _held() <= before:
        if time.monotonic() > deadline:
            return False
        threading.Event().wait(0.002)
    return True


def _held() -> set[str]:
    threads = {f"thread {thread.name}" for thread in threading.enumerate()}
    return threads | {f"fd {number} {target}" for number, target in _descriptors()}


def _descriptors() -> Iterator[tuple[int, str]]:
    folder = "/proc/self/fd"
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        try:
            target = os.readlink(f"{folder}/{name}")
        except OSError:  # the one listdir itself had open
            continue
        if target.startswith(("socket:", "anon_inode:", "pipe:")):
            yield int(name), target


def missing(what: str) -> NoReturn:
    """Skip a test that needs what this machine lacks; where CI runs, fail instead."""
    if os.environ.get("FLASK_SIO_CI"):
        pytest.fail(f"{what} is missing, and CI must have it")
    pytest.skip(f"{what} is missing")
