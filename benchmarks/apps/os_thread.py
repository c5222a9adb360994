"""Threads of the operating system, whether or not gevent has patched `threading`."""

from __future__ import annotations

from _queue import SimpleQueue  # of C: gevent leaves it alone
from collections.abc import Callable
from typing import Any

from gevent.monkey import get_original


def start(fn: Callable[[], None]) -> None:
    get_original("_thread", "start_new_thread")(fn, ())


def worker(fn: Callable[[Any], object]) -> SimpleQueue[Any]:
    """Return a queue whose items a thread of the OS handles."""
    jobs: SimpleQueue[Any] = SimpleQueue()

    def work() -> None:
        while True:
            fn(jobs.get())

    start(work)
    return jobs


def burn() -> None:
    """Compute for ever in one more thread."""

    def spin() -> None:
        number = 1
        while True:
            number = number * 1103515245 % 2147483647

    start(spin)
