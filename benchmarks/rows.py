"""What is measured: one row of the table each, with the goal it is held to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of load."""

    title: str
    unit: str
    load: str
    """Arguments of the generator."""
    value: tuple[str, ...] = ("rate",)
    """Where the number is in what the generator prints."""
    more_is_better: bool = True
    extra: str = ""
    """BENCH_EXTRA of the program; such a row has a server of its own."""
    goals: Mapping[str, float] = field(default_factory=dict)
    """The ratio to each reference that is asked for."""
    is_memory: bool = False
    is_timed: bool = True
    """Whether it runs for as long as it is told to."""

    def read(self, result: dict[str, Any]) -> float:
        """Return the number of this row from one result."""
        found: Any = result
        for key in self.value:
            found = found[key]
        return float(found)


def goals(flask_socketio: float, node: float | None = None) -> dict[str, float]:
    found = {"flask_socketio": flask_socketio}
    return found if node is None else {**found, "node": node}


def echo(title: str, load: str, ratios: dict[str, float]) -> Row:
    return Row(title, "events/s", f"--mode echo {load}", goals=ratios)


def memory(title: str, load: str, ratios: dict[str, float]) -> Row:
    return Row(
        title,
        "KB",
        f"--mode idle --connections 2000 {load}",
        value=("kb_each",),
        more_is_better=False,
        goals=ratios,
        is_memory=True,
        is_timed=False,
    )


def probe(title: str, load: str) -> Row:
    """A row whose number is the p99 of something else beside the load."""
    p99 = ("probe", "p99_us")
    return Row(title, "us, p99", load, value=p99, more_is_better=False, goals=goals(1, 1))


ROWS = {
    "echo1": echo("echo, 1 connection, 32 B", "--connections 1", goals(3.5, 1)),
    "echo100": echo("echo, 100 connections, 32 B", "--connections 100", goals(10, 1)),
    "echo100_1k": echo(
        "echo, 100 connections, 1 KB", "--connections 100 --payload 1024", goals(8, 1)
    ),
    "echo1000": echo("echo, 1,000 connections, 32 B", "--connections 1000", goals(10, 1)),
    "ack100": Row(
        "event with ack, 100 connections, 32 B", "events/s", "--mode ack", goals=goals(10, 1)
    ),
    "binary100": Row(
        "binary echo, 100 connections, 1 KB",
        "events/s",
        "--mode binary --payload 1024",
        goals=goals(1, 0.8),
    ),
    "fanout1000": Row(
        "fan-out to 1,000, 64 B, 4 in flight",
        "deliveries/s",
        "--mode fanout --connections 1000 --payload 64",
        goals=goals(3, 1.3),
    ),
    "rooms1000": Row(
        "fan-out to 1,000 over 10 rooms",
        "deliveries/s",
        "--mode fanout --connections 1000 --rooms 10 --window 8 --payload 64",
        goals=goals(1, 0.8),
    ),
    "poll50": Row(
        "long-polling echo, 50 sessions",
        "events/s",
        "--mode poll --connections 50",
        goals=goals(4, 0.8),
    ),
    "connect2000": Row(
        "full handshakes, to the CONNECT reply",
        "handshakes/s",
        "--mode connect --connections 2000",
        goals=goals(8, 4),
        is_timed=False,
    ),
    "thread100": Row(
        "emit from an OS thread, 100 connections",
        "events/s",
        "--mode job --connections 100",
        extra="thread",
        goals=goals(1, 0.8),
    ),
    "burn100": Row(
        "echo, 100 connections, beside a CPU-bound OS thread",
        "events/s",
        "--mode echo --connections 100",
        extra="burn",
        goals=goals(1),
    ),
    "latency100": Row(
        "echo at 1,000 events/s over 100 connections",
        "us, p99",
        "--mode echo --connections 100 --rate 1000",
        value=("latency", "p99_us"),
        more_is_better=False,
        goals=goals(1, 1),
    ),
    "http1000": probe(
        "plain HTTP request beside 1,000 busy sockets",
        "--mode echo --connections 1000 --probe http",
    ),
    "storm1000": probe(
        "echo beside a broadcast storm to 1,000",
        "--mode fanout --connections 1000 --payload 64 --probe echo",
    ),
    "idle2000": memory("idle WebSocket", "", goals(0.1, 0.3)),
    "idle2000_browser": memory(
        "idle, a browser's headers and cookies", "--browser", goals(0.1, 0.3)
    ),
}
QUICK = (
    "echo1",
    "echo100",
    "ack100",
    "fanout1000",
    "poll50",
    "connect2000",
    "http1000",
    "idle2000",
)
