"""Servers for the matrix: each is started once for all its tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.launch import Running, certificate, free_port, launched
from tests.servers.matrix import SERVERS


@pytest.fixture(scope="session")
def tls_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module", params=SERVERS)
def server(
    request: pytest.FixtureRequest,
    tls_files: tuple[Path, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Running]:
    """One server of the matrix."""
    spec = SERVERS[request.param]
    cert, key = tls_files
    port = free_port()
    with launched(
        spec.argv(port, cert, key),
        port,
        tmp_path_factory.mktemp(request.param) / "server.log",
        env=spec.env,
        cafile=cert if spec.tls else None,
        interrupt=spec.interrupt,
    ) as running:
        running.name = request.param
        yield running
