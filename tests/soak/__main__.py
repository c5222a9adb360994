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
import os
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Collection
from pathlib import Path
from typing import Any

from tests.servers.launch import Running, free_port, gunicorn, launched
from tests.soak.clients import ATTACKS, Book, Honest
from tests.soak.links import Gone, request

APP = "tests.soak.app:app"
KINDS = [("websocket", 4), ("polling", 4), ("upgrade", 4)]
KINDS += [("websocket", 3), ("polling", 3), ("upgrade", 3)]
REST_S = 60.0
"""How long what is left may take to end by the server's own deadlines."""
LEFT = ("connections", "streams", "sockets", "rooms", "joined", "lobby", "timers", "acks")
MEMORY_MB = 30
"""By how much memory may be above what it was after the first clients."""
CROWD_MB_PER_ATTACKER = 0.2
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


async def guarded(work: Awaitable[None]) -> None:
    """Let a client that is not honest end as it may."""
    try:
        await work
    except (Gone, OSError, AssertionError, ValueError, asyncio.IncompleteReadError):
        pass
    except (asyncio.TimeoutError, TimeoutError):
        pass


async def honest(port: int, book: Book, dice: random.Random, until: float) -> None:
    """Come again and again, each time by another transport."""
    while time.monotonic() < until:
        kind, revision = dice.choice(KINDS)
        try:
            await Honest(port, book, dice).run(kind, revision, dice.randrange(4, 12))
        except Exception as error:
            book.wrong.append(f"{kind} of revision {revision}: {error!r}")
        book.sessions[f"{kind} {revision}"] += 1


async def fickle(port: int, book: Book, dice: random.Random, until: float) -> None:
    while time.monotonic() < until:
        kind, revision = dice.choice(KINDS)
        await guarded(Honest(port, book, dice, dies=0.2).run(kind, revision, 20))
        book.sessions[f"broke off: {kind} {revision}"] += 1


async def attacker(port: int, name: str, book: Book, dice: random.Random, until: float) -> None:
    while time.monotonic() < until:
        await guarded(ATTACKS[name](port, dice))
        book.sessions[name] += 1
        await asyncio.sleep(dice.random() * 0.5)


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


async def crew(
    port: int,
    counts: tuple[int, int, int],
    seconds: float,
    seed: int,
    kinds: Collection[str] = ATTACKS,
) -> tuple[Book, Book]:
    """Run so many honest clients, fickle ones, and attackers of each of these kinds."""
    until = time.monotonic() + seconds
    good, others = Book(), Book()
    honests, fickles, attackers = counts
    dice = random.Random(seed)

    def own() -> random.Random:
        return random.Random(dice.random())

    work: list[Any] = [honest(port, good, own(), until) for _ in range(honests)]
    work += [fickle(port, others, own(), until) for _ in range(fickles)]
    for name in kinds:
        work += [attacker(port, name, others, own(), until) for _ in range(attackers)]
    tasks = []
    for each in work:
        tasks.append(asyncio.create_task(each))
        if len(tasks) % 20 == 0:
            await asyncio.sleep(0.05)
    await asyncio.gather(*tasks)
    return good, others


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
    await crew(port, (honests, 0, 1), 4, seed)
    before = await get(port, "/state")
    peak, stop = [before["rss_kb"]], asyncio.Event()

    async def watch() -> None:
        while not stop.is_set():
            peak.append(int(await get(port, "/rss")))
            await asyncio.sleep(0.25)

    watching = asyncio.create_task(watch())
    good, others = await crew(port, (honests, 0, attackers), seconds, seed + 1, kinds)
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
    times = sorted(good.latencies) or [0.0]
    middle, late = times[len(times) // 2], times[int(len(times) * 0.99)]
    print(f"{server.name}: {sum(good.sessions.values())} honest sessions, of others:")
    print(f"  {dict(others.sessions)}")
    print(
        f"  acks after {middle * 1000:.0f} ms (median), {late * 1000:.0f} ms (99 %), "
        f"{times[-1] * 1000:.0f} ms (last)"
    )
    for name in ("rss_kb", "fds", "greenlets", "os_threads"):
        print(f"  {name}: {before[name]} -> {after[name]}")
    sys.stdout.flush()


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
        with launched(command, port, log, workers=1) as server:
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
