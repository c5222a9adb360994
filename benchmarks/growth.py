"""What one event, one recipient and one idle connection cost as connections become more.

    python -m benchmarks.growth [--sizes 10,100,1000,10000]

CPU time of the server, which a busy machine disturbs less than a rate. Every number should stay
about the same down its column; the smallest sizes are the least exact.
"""

from __future__ import annotations

import argparse
import json
import sys
import time

from benchmarks.measuring import Server, held, load, running
from benchmarks.peers import HERE, PEERS
from benchmarks.report import amount, table, write

COLUMNS = {
    "handshake_us": "handshake, us",
    "idle_kb": "idle, KB",
    "idle_us": "idle, us of CPU a second",
    "echo_us": "echo beside them, us",
    "churn_us": "leave and join a room of all, us",
    "recipient_us": "recipient of a broadcast, us",
    "disconnect_us": "disconnect of all at once, us",
}
WARM_UP = ["--mode", "idle", "--connections", "50"]


def timed(seconds: float) -> list[str]:
    return ["--seconds", str(seconds), "--warmup", str(seconds / 3)]


def growth(size: int, program: str, seconds: float) -> dict[str, float]:
    """Measure one size on a server of its own, all of whose clients are in one room."""
    with running(PEERS["ours"], program, "room") as server:
        with held(server, WARM_UP):
            pass
        server.settle()
        costs, cpu_s = while_held(server, size, seconds)
        while server.page("/online") != b"0":
            time.sleep(0.05)
        server.settle()
        costs["disconnect_us"] = (server.cpu_s() - cpu_s) / size * 1e6
        fanout = ["--mode", "fanout", "--connections", str(size), *timed(seconds)]
        costs["recipient_us"] = load(server, fanout)["cpu_us"]
    return costs


def while_held(server: Server, size: int, seconds: float) -> tuple[dict[str, float], float]:
    """Measure beside idle connections; return also the CPU time when they are about to leave."""
    rss_kb, cpu_s = server.rss_kb(), server.cpu_s()
    with held(server, ["--mode", "idle", "--connections", str(size)]):
        server.settle()
        costs = {"connections": float(size), "handshake_us": (server.cpu_s() - cpu_s) / size * 1e6}
        costs["idle_kb"] = (server.rss_kb() - rss_kb) / size
        cpu_s = server.cpu_s()
        time.sleep(seconds)
        costs["idle_us"] = (server.cpu_s() - cpu_s) / seconds / size * 1e6
        active = ["--connections", "10", *timed(seconds)]
        costs["echo_us"] = load(server, ["--mode", "echo", *active])["cpu_us"]
        costs["churn_us"] = load(server, ["--mode", "churn", *active])["cpu_us"]
        server.settle()
        cpu_s = server.cpu_s()
    return costs, cpu_s


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--sizes", default="10,100,1000,10000")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--here", action="store_true", help="measure with this interpreter")
    parser.add_argument("--publish", action="store_true", help="write into docs/performance.md")
    chosen = parser.parse_args()
    sizes = [int(size) for size in chosen.sizes.split(",")]
    program = sys.executable if chosen.here else PEERS["ours"].prepare()
    results = []
    for size in sizes:
        print(f"{size} connections", file=sys.stderr)
        results.append(growth(size, program, chosen.seconds))
    folder = HERE / "results"
    folder.mkdir(exist_ok=True)
    path = folder / time.strftime("growth-%Y%m%d-%H%M%S.json")
    path.write_text(json.dumps(results, indent=1))
    lines = [
        [f"{costs['connections']:,.0f}", *(amount(costs[column]) for column in COLUMNS)]
        for costs in results
    ]
    shown = table(["connections", *COLUMNS.values()], lines)
    print(shown)
    if chosen.publish:
        write("growth", shown)


if __name__ == "__main__":
    main()
