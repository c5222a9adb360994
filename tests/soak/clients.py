"""Honest clients, and those of every other kind."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress

from tests.soak.links import WAIT_S, Gone, Link, PollLink, WsLink, abort, connect, frame, request

_EVENT = re.compile(r"42(\d*)\[\"(\w+)\"")
_BINARY_ACK = re.compile(r"46\d+-(\d+)\[")
ONE = '{"_placeholder":true,"num":0}'


class Book:
    """What all clients together have seen."""

    def __init__(self) -> None:
        self.acked: list[str] = []
        self.latencies: list[float] = []
        self.sessions: Counter[str] = Counter()
        self.wrong: list[str] = []
        """What an honest client complains of."""
        self._number = 0
        self._name = os.urandom(3).hex()

    def token(self) -> str:
        self._number += 1
        return f"{self._name}-{self._number}"


class Honest:
    """One session that keeps to the rules.

    ``dies`` says how likely it is to break off, ``rest_s`` how long it rests at most, in
    seconds, before each event.
    """

    def __init__(
        self, port: int, book: Book, dice: random.Random, dies: float = 0.0, rest_s: float = 0.0
    ) -> None:
        self.port, self.book, self.dice, self.dies, self.rest_s = port, book, dice, dies, rest_s
        self.link: Link
        self._acks: dict[int, asyncio.Future[None]] = {}
        self._number = 0
        self._opened = asyncio.Event()
        self._is_pausing = False

    async def run(self, kind: str, revision: int, events: int) -> None:
        """Come, do something, and leave."""
        link: Link
        if kind == "websocket":
            link = await WsLink(self.port, revision).open()
        else:
            link = await PollLink(self.port, revision).open()
        self.link = link
        reading = asyncio.create_task(self._read())
        pinging = asyncio.create_task(self._ping()) if revision == 3 else None
        try:
            if revision == 4:
                await link.send("40")
            await asyncio.wait_for(self._opened.wait(), WAIT_S)
            for at in range(events):
                if kind == "upgrade" and at == events // 2 and isinstance(link, PollLink):
                    reading = await self._upgrade(link, reading)
                await self._act()
                if self.dice.random() < self.dies:
                    self.link.abort()
                    return
        finally:
            for task in filter(None, (reading, pinging)):
                await _cancelled(task)
            if not self.dies:
                await self.link.close()
            self.link.abort()

    async def _upgrade(self, poll: PollLink, reading: asyncio.Task[None]) -> asyncio.Task[None]:
        socket = await poll.probe()
        self._is_pausing = True
        await reading  # the GET that is held is answered, now that the probe is there
        await socket.send("5")
        self.link, self._is_pausing = socket, False
        return asyncio.create_task(self._read())

    async def _act(self) -> None:
        if self.rest_s:
            await asyncio.sleep(self.dice.random() * self.rest_s)
        dice = self.dice.random()
        if dice < 0.1:
            token = self.book.token()
            await self._ask("nap", json.dumps(token))
            self.book.acked.append(token)
        elif dice < 0.6:
            token = self.book.token()
            began = time.perf_counter()
            await self._ask("work", json.dumps(token))
            self.book.latencies.append(time.perf_counter() - began)
            self.book.acked.append(token)
        elif dice < 0.7:
            await self._ask("join", json.dumps(f"room{self.dice.randrange(20)}"))
        elif dice < 0.75:
            await self._ask("leave", json.dumps(f"room{self.dice.randrange(20)}"))
        elif dice < 0.8:
            await self._ask("shout", json.dumps(f"room{self.dice.randrange(20)}"))
        elif dice < 0.81:
            await self._ask("announce", "")
        elif dice < 0.9:
            await self._ask("quiz", "")
        else:
            await self._ask("echo", ONE, b"\x01\x02\x03")

    async def _ask(self, event: str, data: str, *attachments: bytes) -> None:
        """Send an event and wait for its ack."""
        self._number += 1
        number = self._number
        future = self._acks[number] = asyncio.get_running_loop().create_future()
        head = f"45{len(attachments)}-" if attachments else "42"
        text = f'{head}{number}["{event}"{"," if data else ""}{data}]'
        await self.link.send(text, *attachments)
        await asyncio.wait_for(future, WAIT_S)

    async def _read(self) -> None:
        try:
            while not self._is_pausing:
                for part in await self.link.receive():
                    if isinstance(part, str):
                        await self._take(part)
        except Gone as gone:
            for future in self._acks.values():
                if not future.done():
                    future.set_exception(gone)
            self._opened.set()
            raise

    async def _take(self, part: str) -> None:
        if part == "2":
            await self.link.send("3")
        elif part.startswith("40"):
            self._opened.set()
        elif part.startswith("43"):
            self._answered(int(part[2 : part.index("[")]))
        elif (match := _BINARY_ACK.match(part)) is not None:
            self._answered(int(match[1]))
        elif (match := _EVENT.match(part)) is not None and match[1]:
            if self.dice.random() < 0.7:  # others owe their answer
                await self.link.send(f'43{match[1]}["yes"]')

    def _answered(self, number: int) -> None:
        future = self._acks.pop(number, None)
        if future is not None and not future.done():
            future.set_result(None)

    async def _ping(self) -> None:
        with suppress(Gone):
            while True:
                await asyncio.sleep(1)
                await self.link.send("2")


async def _cancelled(task: asyncio.Task[None]) -> None:
    """Cancel a task until it has heard: before Python 3.12 ``wait_for`` may swallow it."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.1)
    if not task.cancelled():
        task.exception()


# -- those who are not ---------------------------------------------------------------------

Attack = Callable[[int, random.Random], Awaitable[None]]


async def _until_gone(link: WsLink) -> None:
    """Hold a connection open, reading nothing to the end of the server's patience."""
    try:
        with suppress(Gone, TimeoutError, asyncio.TimeoutError):
            while True:
                await link.receive()
    finally:
        link.abort()


async def _joined(port: int) -> WsLink:
    link = await WsLink(port, 4).open()
    await link.send("40")
    return link


async def never_connects(port: int, dice: random.Random) -> None:
    """Opens a session and says nothing more."""
    if dice.random() < 0.5:
        await PollLink(port, 4).open()
    else:
        await _until_gone(await WsLink(port, 4).open())


async def half_open(port: int, dice: random.Random) -> None:
    """Joins, and is never heard of again; its TCP connection stays."""
    link = await _joined(port)
    try:
        await asyncio.sleep(10)
    finally:
        link.abort()


async def slow_reader(port: int, dice: random.Random) -> None:
    """Asks for much and reads none of it."""
    link = await _joined(port)
    link.writer.transport.pause_reading()  # type: ignore[attr-defined]
    try:
        await link.send(*(8 * ['42["flood"]']))
        await asyncio.sleep(6)
    except Gone:
        pass
    finally:
        link.abort()


async def flooder(port: int, dice: random.Random) -> None:
    """Sends events faster than handlers take them."""
    link = await _joined(port)
    with suppress(Gone):
        await link.send(*(1500 * ['42["nap","x"]']))
    await _until_gone(link)


async def pinger(port: int, dice: random.Random) -> None:
    """Sends control frames without end."""
    link = await _joined(port)
    try:
        for _ in range(20):
            link.write(500 * frame(9, b"x"))
            await link.writer.drain()
    except OSError:
        pass
    await _until_gone(link)


async def fragmenter(port: int, dice: random.Random) -> None:
    """Never ends its message: many fragments, empty or not."""
    link = await _joined(port)
    size = dice.choice([0, 1, 5000])
    link.write(frame(1, b"4", fin=False) + 3000 * frame(0, size * b"x", fin=False))
    await _until_gone(link)


async def hoarder(port: int, dice: random.Random) -> None:
    """Announces attachments that never come, or more than there may be."""
    link = await _joined(port)
    with suppress(Gone):
        count = dice.choice([3, 10, 99999])
        await link.send(f'45{count}-["echo",{ONE}]', 40_000 * b"x", 40_000 * b"x")
    await _until_gone(link)


async def oversized(port: int, dice: random.Random) -> None:
    """Sends a message, or a body, beyond the limit."""
    if dice.random() < 0.5:
        link = await _joined(port)
        with suppress(Gone):
            await link.send("4" + 200_000 * "x")
        await _until_gone(link)
    else:
        poll = await PollLink(port, 4).open()
        await poll.send("40")
        await request(port, "POST", poll.path, 200_000 * b"x")


async def nester(port: int, dice: random.Random) -> None:
    """Sends data that is hard on parsers, or grows when it is parsed."""
    link = await _joined(port)
    bad = dice.choice(["[" * 45_000, "9" * 5000, '["x"' + ",{}" * 30_000 + "]", "{" * 30_000])
    with suppress(Gone):
        for _ in range(5):
            await link.send("42" + bad)
    await _until_gone(link)


async def slow_poster(port: int, dice: random.Random) -> None:
    """Sends a body byte by byte."""
    poll = await PollLink(port, 4).open()
    reader, writer = await connect(port)
    try:
        head = f"POST {poll.path} HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n4"
        writer.write(head.encode())
        for _ in range(60):
            await asyncio.sleep(0.1)
            writer.write(b"x")
            await writer.drain()
            if reader.at_eof():
                return
    except OSError:
        pass
    finally:
        abort(writer)


async def prober(port: int, dice: random.Random) -> None:
    """Begins upgrades and never ends them."""
    poll = await PollLink(port, 4).open()
    await poll.send("40")
    for _ in range(3):
        link = await WsLink(port, 4, poll.sid).open()
        if dice.random() < 0.5:
            await link.send("2probe")
        if dice.random() < 0.5:
            link.abort()
        else:
            await _until_gone(link)


async def joiner(port: int, dice: random.Random) -> None:
    """Joins namespaces without end, and leaves them."""
    link = await WsLink(port, 4).open()
    with suppress(Gone):
        for number in range(300):
            await link.send(f"40/n{number % 150},")
            if number % 3 == 0:
                await link.send(f"41/n{number % 150},")
    await _until_gone(link)


async def babbler(port: int, dice: random.Random) -> None:
    """Sends bytes that are nothing."""
    for _ in range(3):
        reader, writer = await connect(port)
        try:
            writer.write(dice.randbytes(200) + b"\r\n\r\n")
            await asyncio.wait_for(reader.read(1000), 2)
        except (OSError, asyncio.TimeoutError, TimeoutError):
            pass
        finally:
            abort(writer)
        link = await _joined(port)
        link.write(dice.randbytes(300))
        await _until_gone(link)


async def knocker(port: int, dice: random.Random) -> None:
    """Asks for what it may not have."""
    for query in ("EIO=9&transport=polling", "EIO=4&transport=x", "EIO=4&transport=polling&sid=A"):
        await request(port, dice.choice(["GET", "POST", "PUT"]), f"/socket.io/?{query}")
    reader, writer = await connect(port)
    try:
        big = f"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\nX: {'x' * 8000}\r\n"
        writer.write((big + f"Y: {'y' * 8000}\r\nZ: {'z' * 4000}\r\n\r\n").encode())
        await asyncio.wait_for(reader.read(100), 3)
    except (OSError, asyncio.TimeoutError, TimeoutError):
        pass
    finally:
        abort(writer)


ATTACKS: dict[str, Attack] = {
    each.__name__: each
    for each in (
        never_connects,
        half_open,
        slow_reader,
        flooder,
        pinger,
        fragmenter,
        hoarder,
        oversized,
        nester,
        slow_poster,
        prober,
        joiner,
        babbler,
        knocker,
    )
}
