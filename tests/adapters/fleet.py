"""Servers whose clients reach each other, by each way there is: the subjects of the contract."""

from __future__ import annotations

import itertools
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gevent

from flask_sio import MessageQueue, Server
from flask_sio.testing import TestClient
from tests.live import WAIT_S, Runtime

_numbers = itertools.count()
NAMESPACES = ["/", "/other"]


class Fleet:
    """One or more servers, and one client after the other on each in turn."""

    def __init__(self, servers: list[Server]) -> None:
        self.servers = servers
        self.clients: list[TestClient] = []
        self._turns = itertools.cycle(servers)

    @property
    def server(self) -> Server:
        """The one that the tests ask; the first client is its own, the second another's."""
        return self.servers[0]

    @property
    def is_several(self) -> bool:
        return len(self.servers) > 1

    def client(self, namespace: str = "/") -> TestClient:
        client = TestClient(next(self._turns), namespace, timeout=WAIT_S)
        self.clients.append(client)
        return client

    def several(self, count: int, namespace: str = "/") -> list[TestClient]:
        return [self.client(namespace) for _ in range(count)]

    def settle(self) -> None:
        """Let what was asked for until now happen, on every server."""
        for server in self.servers:
            if server.engine.has_loop:
                server.engine.loop.settle()
        for server in self.servers:  # the answers of others come behind what they were told
            server.of("/").count()

    def until(self, holds: Callable[[], bool]) -> None:
        """Let the servers go on until it holds."""
        deadline = time.monotonic() + WAIT_S
        while not holds():
            assert time.monotonic() < deadline, "it never held"
            self.settle()
            threading.Event().wait(0.002)

    def heard(self, namespace: str = "/") -> list[list[str]]:
        """Return the names of the events each client has got since it was asked."""
        self.settle()
        return [
            [event["name"] for event in client.get_received(namespace)] for client in self.clients
        ]

    def close(self) -> None:
        for client in self.clients:
            client.close()
        for server in self.servers:
            assert not getattr(server.adapter, "_gatherings", None)
            assert not getattr(server.adapter, "_inquiries", None)


def alone(runtime: Runtime) -> list[Server]:
    return [Server(async_mode=runtime, namespaces=NAMESPACES)]


def memory_queue(runtime: Runtime) -> list[Server]:
    url = f"memory://contract{next(_numbers)}"
    return [
        Server(async_mode=runtime, namespaces=NAMESPACES, client_manager=MessageQueue(url))
        for _ in range(2)
    ]


def mesh(runtime: Runtime, folder: str) -> list[Server]:
    """Two workers in one process; the ids of their clients tell neither."""
    servers = []
    for tag in ("first_", "other_"):
        server = Server(async_mode=runtime, namespaces=NAMESPACES, mesh=True, mesh_dir=folder)
        server.mesh.tag = tag
        servers.append(server)
    for server in servers:
        server.engine.make_ready(None)
    return servers


KINDS = ("alone", "memory", "mesh")


@contextmanager
def fleet_of(kind: str, runtime: Runtime) -> Iterator[Fleet]:
    folder = tempfile.mkdtemp(prefix="mesh")  # short: it is part of a Unix socket's name
    if kind == "mesh":
        servers = mesh(runtime, folder)
    else:
        servers = alone(runtime) if kind == "alone" else memory_queue(runtime)
    fleet = Fleet(servers)
    try:
        if kind == "mesh":
            fleet.until(lambda: all(server.mesh.tags for server in servers))
        yield fleet
    finally:
        fleet.close()
        for server in servers if kind == "mesh" else ():
            server.shutdown()
        gevent.sleep(0.001)  # a pass of the hub, which gives back what was closed
        shutil.rmtree(folder)


def answering(client: TestClient, answer: Callable[..., Any]) -> None:
    """Let a client answer ``question``."""
    client.on("question", answer)
