"""What a worker says of itself, for monitoring: `Server.status` and the health endpoint."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypedDict

from flask_sio.runtime import worker

if TYPE_CHECKING:
    from flask_sio.server.server import Server

__all__ = ["Link", "Status", "status"]

LAG_S = 5.0
"""How long a loop is waited for; one that does not answer until then has at least this lag."""


class Link(TypedDict):
    """Another worker of this host, as it has last said; at most five seconds old."""

    worker: str
    pid: int
    clients: int
    draining: bool
    stalled_s: float
    queued_bytes: int
    """What it has not taken yet of what it was sent."""


class Status(TypedDict):
    """One worker. All of it can be written as JSON."""

    worker: str
    """What the ids of its clients begin with; empty where workers are not linked."""
    pid: int
    workers: int
    """How many gunicorn runs; 1 where nobody tells."""
    clients: int
    """Connections of this worker."""
    handlers: int
    """Handlers that run, those that wait included."""
    draining: bool
    lag_s: float
    """What its loop takes at this moment to come to something new."""
    stalled_s: float
    """For how long the loop has been held up since it began."""
    links: list[Link]


def status(server: Server) -> Status:
    """Describe this worker. Any thread; not in a turn. Waits for the loop, `LAG_S` at most."""
    engine, mesh = server.engine, server.mesh
    found = Status(
        worker=mesh.tag,
        pid=os.getpid(),
        workers=worker.count(),
        clients=len(engine.connections),
        handlers=0,
        draining=engine.is_draining,
        lag_s=0.0,
        stalled_s=0.0,
        links=[
            Link(
                worker=peer.tag,
                pid=peer.pid,
                clients=peer.clients,
                draining=peer.draining,
                stalled_s=peer.stalled_s,
                queued_bytes=peer.queued_bytes,
            )
            for peer in list(mesh.peers.values())
        ],
    )
    if engine.has_loop:
        loop = engine.loop
        found["handlers"] = loop.running_handlers
        found["lag_s"] = round(engine.lag_s(LAG_S), 4)
        found["stalled_s"] = round(loop.stall_s, 3)
    return found
