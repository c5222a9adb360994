"""Two workers in this process: each has a loop of its own, and a link to the other."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live import Runtime
from tests.mesh.pair import Pair, linked
from tests.server.conftest import close_clients

__all__ = ["close_clients"]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A directory with a short name: that of a Unix socket has at most 107 bytes."""
    path = Path(tempfile.mkdtemp(prefix="mesh"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def pair(runtime: Runtime, folder: Path) -> Iterator[Pair]:
    """Two linked servers on each runtime."""
    with linked(runtime, folder) as both:
        yield both
