"""Clients that come again and again until their time is up, in this process or another."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Awaitable, Collection
from typing import Any

from tests.soak.clients import ATTACKS, Book, Honest
from tests.soak.links import Gone

KINDS = [("websocket", 4), ("polling", 4), ("upgrade", 4)]
KINDS += [("websocket", 3), ("polling", 3), ("upgrade", 3)]


async def guarded(work: Awaitable[None]) -> None:
    """Let a client that is not honest end as it may."""
    try:
        await work
    except (Gone, OSError, AssertionError, ValueError, asyncio.IncompleteReadError):
        pass
    except (asyncio.TimeoutError, TimeoutError):
        pass


async def honest(port: int, book: Book, dice: random.Random, until: float, rest_s: float) -> None:
    """Come again and again, each time by another transport."""
    while time.monotonic() < until:
        kind, revision = dice.choice(KINDS)
        try:
            await Honest(port, book, dice, rest_s=rest_s).run(kind, revision, dice.randrange(4, 12))
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


async def crew(
    port: int,
    counts: tuple[int, int, int],
    seconds: float,
    seed: int,
    kinds: Collection[str] = ATTACKS,
    rest_s: float = 0.0,
) -> tuple[Book, Book]:
    """Run so many honest clients, fickle ones, and attackers of each of these kinds.

    Honest ones rest up to ``rest_s`` seconds before each event.
    """
    until = time.monotonic() + seconds
    good, others = Book(), Book()
    honests, fickles, attackers = counts
    dice = random.Random(seed)

    def own() -> random.Random:
        return random.Random(dice.random())

    work: list[Any] = [honest(port, good, own(), until, rest_s) for _ in range(honests)]
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


def attack_apart(
    port: int, attackers: int, seconds: float, seed: int, kinds: Collection[str]
) -> Book:
    """Run attackers in a process of their own: what they take to compute delays nobody honest."""
    if hasattr(os, "nice"):
        os.nice(10)
    _, others = asyncio.run(crew(port, (0, 0, attackers), seconds, seed, kinds))
    return others
