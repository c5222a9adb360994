"""``python -m benchmarks``: all peers under all loads, in rounds; prints and saves a table."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.measuring import LoadError, Server, measure, running
from benchmarks.peers import HERE, PEERS, STANDARD, MissingError
from benchmarks.rows import QUICK, ROWS

RESULTS = HERE / "results"
Samples = list[dict[str, Any]]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rows", default=",".join(ROWS), help=", ".join(ROWS))
    parser.add_argument("--peers", default=",".join(STANDARD), help=", ".join(PEERS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--quick", action="store_true", help="under two minutes: fewer rows, short")
    parser.add_argument("--publish", action="store_true", help="write into docs/performance.md")
    parser.add_argument(
        "--show", metavar="FILE", nargs="+", help="show saved results, of all runs together"
    )
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.rounds, chosen.seconds, chosen.rows = 1, 1.0, ",".join(QUICK)
    chosen.rows, chosen.peers = chosen.rows.split(","), chosen.peers.split(",")
    for unknown in {*chosen.rows} - {*ROWS} | {*chosen.peers} - {*PEERS}:
        parser.error(f"unknown: {unknown}; there are {', '.join([*ROWS, *PEERS])}")
    return chosen


def prepare(names: Sequence[str]) -> dict[str, str]:
    """Install the peers; one that this machine cannot have is left out, aloud."""
    programs = {}
    for name in names:
        try:
            programs[name] = PEERS[name].prepare()
        except MissingError as missing:
            print(f"without {name}: {missing}", file=sys.stderr)
    return programs


def one_round(chosen: argparse.Namespace, programs: dict[str, str], number: int) -> Samples:
    """Measure every row on every peer, peers side by side and in another order each round."""
    samples: Samples = []
    names = list(programs)
    turn = number % len(names)
    names = names[turn:] + names[:turn]
    with contextlib.ExitStack() as stack:
        servers: dict[str, Server] = {}
        for row_name in chosen.rows:
            row = ROWS[row_name]
            for name in names:
                peer = PEERS[name]
                if (row.extra and row.extra not in peer.extras) or (
                    "poll" in row.load and not peer.can_poll
                ):
                    continue
                sample = {"round": number, "row": row_name, "peer": name}
                try:
                    if row.is_memory or row.extra:  # what it has done before would tell
                        with running(peer, programs[name], row.extra) as server:
                            sample |= measure(server, row, chosen.seconds)
                    else:
                        if name not in servers:
                            servers[name] = stack.enter_context(running(peer, programs[name]))
                        servers[name].settle()
                        sample |= measure(servers[name], row, chosen.seconds)
                        servers[name].settle()
                    value = f"{row.read(sample):,.1f} {row.unit}"
                except LoadError as error:
                    sample["error"] = value = str(error)
                print(f"round {number + 1}  {row_name:17} {name:15} {value}", file=sys.stderr)
                samples.append(sample)
    return samples


def machine() -> dict[str, Any]:
    """Say on what it was measured."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as lines:
        model = next((line.split(":")[1].strip() for line in lines if "model name" in line), model)
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "time": time.strftime("%Y-%m-%d %H:%M"),
    }


def together(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the results of several runs as if their rounds had been those of the last one."""
    samples: Samples = []
    for run in runs:
        first = 1 + max((each["round"] for each in samples), default=-1)
        samples += [{**each, "round": each["round"] + first} for each in run["samples"]]
    return {**runs[-1], "samples": samples}


def main() -> None:
    chosen = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # with its servers
    if chosen.show:
        results = together([json.loads(Path(file).read_text()) for file in chosen.show])
    else:
        programs = prepare(chosen.peers)
        results = {"machine": machine(), "seconds": chosen.seconds, "samples": []}
        path = RESULTS / time.strftime("%Y%m%d-%H%M%S.json")
        RESULTS.mkdir(exist_ok=True)
        for number in range(chosen.rounds):
            results["samples"] += one_round(chosen, programs, number)
            path.write_text(json.dumps(results, indent=1))  # each round: the next may be broken off
        path.with_suffix(".svg").write_text(report.plot(results))
        print(f"saved {path.relative_to(HERE.parent)} and .svg", file=sys.stderr)
    print(report.text(results))
    if chosen.publish:
        report.publish(results)


if __name__ == "__main__":
    main()
