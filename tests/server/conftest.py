"""What the tests of the server share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.server import clients as raw


@pytest.fixture(autouse=True)
def close_clients() -> Iterator[None]:
    """Close what a failed test has left open, so that its failure is the only one."""
    yield
    while raw.clients:
        raw.clients.pop().close()
