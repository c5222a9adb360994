"""Run hundreds of clients of every kind for minutes, then look what is left: ``make soak``.

Usage: ``python -m tests.soak [--seconds N] [--clients N] [--attackers N] [--worker W] [--crowd]
[--kind K]``

Without ``--crowd`` most clients are honest, and some of them break off, come again, or are of
every other kind; it ends well if nothing of them is left in the server, every event that was
acked was handled, once, and its memory is back. ``--crowd`` is 50 honest clients beside
``--attackers`` of each other kind; it ends well if the honest ones notice nothing and the
server's memory keeps its bound.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Collection, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.servers.launch import Running, free_port, gunicorn, launched
from tests.soak.clients import ATTACKS, Book
from tests.soak.crews import attack_apart, crew
from tests.soak.links import Gone, request

APP = "tests.soak.app:app"
ENV = {"MALLOC_ARENA_MAX": "2"}
"""With many threads glibc keeps up to eight arenas for each core, and what was freed in them."""
REST_S = 60.0
"""How long what is left may take to end by the server's own deadlines."""
LEFT = ("connections", "streams", "sockets", "rooms", "joined", "lobby", "timers", "acks")
MEMORY_MB = 30
"""By how much memory may be above what it was after the first clients."""
CROWD_MB_PER_ATTACKER = 0.5
CROWD_REST_S = 0.4
"""How long an honest client of a crowd rests at most before an event: people do, and clients
that never rest keep the server busy by themselves."""
CROWD_MB = 60
"""The bound on a crowd: what the options of `app.py` let each keep, most much less, and a base."""


class Failed(Exception):
    """What must hold does not."""


async def get(port: int, path: str) -> Any:
    for _ in range(20):
        try:
            status, _, body = await request(port, "GET", path)
        except (OSError, Gone):
            await asyncio.sleep(0.2)
            continue
        if status == 200:
            return json.loads(body)
    raise Failed(f"{path} gives no answer")


async def all_gone(port: int, empty: dict[str, Any]) -> dict[str, Any]:
    """Wait until nothing is left of any client; return the server's state then."""
    deadline = time.monotonic() + REST_S
    while True:
        state: dict[str, Any] = await get(port, "/state")
        left = {name: state[name] for name in LEFT if state[name]}
        for name in ("fds", "greenlets", "threads"):
            if state[name] > empty[name]:
                left[name] = f"{state[name]}, was {empty[name]}"
        if not left:
            return state
        if time.monotonic() > deadline:
            raise Failed(f"left behind: {left}")
        await asyncio.sleep(0.5)


async def check_handled(port: int, acked: list[str]) -> None:
    """Every event that was acked was handled; and since nobody retries, once."""
    handled: dict[str, int] = await get(port, "/handled")
    handled.pop("x", None)  # the flooders'
    lost = [token for token in acked if token not in handled]
    twice = [token for token, times in handled.items() if times > 1]
    print(f"events: {len(acked)} acked, {len(handled)} handled")
    if lost or twice or not acked:
        raise Failed(f"acked and not handled {lost[:5]}, handled twice {twice[:5]}")


async def soak(server: Running, clients: int, seconds: float, seed: int) -> None:
    port = server.port
    # The first round starts what a server starts once: threads, greenlets, arenas.
    await crew(port, (max(2, clients // 2), 0, 1), min(8.0, seconds), seed)
    await asyncio.sleep(1)
    first = await get(port, "/state")
    empty = await all_gone(port, {**first, "fds": 10**6, "greenlets": 10**6, "threads": 10**6})
    attackers = max(1, clients // (4 * len(ATTACKS)))
    counts = (clients // 2, clients // 4, attackers)
    good, others = await crew(port, counts, seconds, seed + 1)
    empty["greenlets"] += 20  # workers of the pool are kept
    empty["threads"] += 32
    after = await all_gone(port, empty)
    report(server, good, others, empty, after)
    if good.wrong:
        raise Failed(f"{len(good.wrong)} honest sessions went wrong: {good.wrong[:5]}")
    await check_handled(port, good.acked + others.acked)
    grown = (after["rss_kb"] - empty["rss_kb"]) / 1024
    if grown > MEMORY_MB:
        raise Failed(f"memory grew by {grown:.0f} MB, the bound is {MEMORY_MB}")


async def crowd(
    server: Running, attackers: int, honests: int, seconds: float, seed: int, kinds: Collection[str]
) -> None:
    port = server.port
    await crew(port, (honests, 0, 1), 2, seed)
    alone, _ = await crew(port, (honests, 0, 0), 4, seed, rest_s=CROWD_REST_S)
    print(f"{server.name}: without attackers {delays(alone)}", flush=True)
    before = await get(port, "/state")
    peak, stop = [before["rss_kb"]], asyncio.Event()

    async def watch() -> None:
        while not stop.is_set():
            peak.append(int(await get(port, "/rss")))
            await asyncio.sleep(0.25)

    watching = asyncio.create_task(watch())
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as elsewhere:
        attack = asyncio.get_running_loop().run_in_executor(
            elsewhere, attack_apart, port, attackers, seconds, seed + 1, tuple(kinds)
        )
        good, _ = await crew(port, (honests, 0, 0), seconds, seed + 2, rest_s=CROWD_REST_S)
        others = await attack
    stop.set()
    await watching
    after = await all_gone(port, {**before, "fds": 10**6, "greenlets": 10**6, "threads": 10**6})
    report(server, good, others, before, after)
    bound = CROWD_MB + CROWD_MB_PER_ATTACKER * attackers * len(kinds)
    grown = (max(peak) - before["rss_kb"]) / 1024
    print(f"memory: at most {grown:.0f} MB more than before; the bound is {bound:.0f} MB")
    if good.wrong:
        raise Failed(f"{len(good.wrong)} honest sessions went wrong: {good.wrong[:5]}")
    await check_handled(port, good.acked)
    if grown > bound:
        raise Failed("memory went beyond its bound")


def report(
    server: Running, good: Book, others: Book, before: dict[str, Any], after: dict[str, Any]
) -> None:
    print(f"{server.name}: {sum(good.sessions.values())} honest sessions, of others:")
    print(f"  {dict(others.sessions)}")
    print(f"  {delays(good)}")
    for name in ("rss_kb", "fds", "greenlets", "os_threads"):
        print(f"  {name}: {before[name]} -> {after[name]}")
    sys.stdout.flush()


def delays(book: Book) -> str:
    """Say how long honest clients have waited for the acks of their events."""
    times = sorted(book.latencies) or [0.0]
    middle, late, last = times[len(times) // 2], times[int(len(times) * 0.99)], times[-1]
    return (
        f"acks after {middle * 1000:.0f} ms (median), {late * 1000:.0f} ms (99 %), "
        f"{last * 1000:.0f} ms (last)"
    )


@contextmanager
def a_core(number: int) -> Iterator[None]:
    """Have what is started within on one core, where there are several."""
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    if len(cores) > 1:
        os.sched_setaffinity(0, {sorted(cores)[number]})
    try:
        yield
    finally:
        if len(cores) > 1:
            os.sched_setaffinity(0, cores)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--clients", type=int, default=300)
    parser.add_argument("--attackers", type=int, default=200, help="of each kind, with --crowd")
    parser.add_argument("--honest", type=int, default=50, help="with --crowd")
    parser.add_argument("--worker", choices=["gevent", "gthread", "both"], default="both")
    parser.add_argument("--crowd", action="store_true")
    parser.add_argument(
        "--kind", action="append", choices=ATTACKS, help="of attackers, with --crowd; else all"
    )
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    args = parser.parse_args()
    print(f"seed {args.seed}")
    failed = False
    for worker in ["gevent", "gthread"] if args.worker == "both" else [args.worker]:
        failed |= not run(worker, args)
    return 1 if failed else 0


def run(worker: str, args: argparse.Namespace) -> bool:
    """Run against one server; return whether all held."""
    options = ["--threads", "64"] if worker == "gthread" else ["--worker-connections", "20000"]
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "server.log"
        command = gunicorn(APP, port, worker, "--access-logfile", os.devnull, *options)
        with ExitStack() as stack:
            with a_core(0):
                server = stack.enter_context(launched(command, port, log, env=ENV, workers=1))
            stack.enter_context(a_core(-1))
            server.name = worker
            try:
                if args.crowd:
                    count, kinds = args.attackers, args.kind or ATTACKS
                    asyncio.run(crowd(server, count, args.honest, args.seconds, args.seed, kinds))
                else:
                    asyncio.run(soak(server, args.clients, args.seconds, args.seed))
            except Failed as failure:
                lines = [line for line in server.log().splitlines() if "Invalid" not in line]
                print("\n".join(lines[-40:]))
                print(f"{worker}: FAILED: {failure}")
                return False
    print(f"{worker}: all held")
    return True


if __name__ == "__main__":
    sys.exit(main())
