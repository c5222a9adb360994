"""What the tests of the server share."""

from __future__ import annotations

from collections.abc import Iterator

import gevent
import pytest

from tests.server import clients as raw


@pytest.fixture(scope="module", autouse=True)
def hub() -> None:
    """Have this thread's hub, which is never given back, before leaks are looked for."""
    gevent.get_hub()
    gevent.sleep(0)


@pytest.fixture(autouse=True)
def close_clients() -> Iterator[None]:
    """Close what a failed test has left open, so that its failure is the only one."""
    yield
    while raw.clients:
        raw.clients.pop().close()
