"""What several workers cost: a request at the wrong one, a WebSocket that was handed over.

    python -m benchmarks.workers [--count 2000] [--spread 200]

Two workers of `gunicorn -k gevent`. A connection that is kept alive stays with the worker that
accepted it, and the first six characters of a session's id name its owner: so each cycle, a POST
of an event and the GET of its echo, is known to be at the right or at the wrong worker. Both are
measured in turns, a hundred at a time.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import dataclasses
import http.client
import json
import os
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

from benchmarks.measuring import Server, load, running
from benchmarks.peers import PEERS, Peer
from benchmarks.report import table

POLLING = "/socket.io/?EIO=4&transport=polling"
WEBSOCKET = "/socket.io/?EIO=4&transport=websocket"
TIMED = ["--seconds", "2", "--warmup", "0.5"]
BATCH = 100
TRIES = 100
KEEP_ALIVE_S = 30
"""How long a connection may rest while the other one has its turn."""
EVENT = b'42["echo","' + b"x" * 100 + b'"]'


def several(workers: int) -> Peer:
    """Our peer with this many workers."""
    ours = PEERS["ours"]

    def command(python: str, port: int) -> list[str]:
        words = ours.command(python, port)
        words[words.index("-w") + 1] = str(workers)
        return [*words, "--keep-alive", str(KEEP_ALIVE_S)]

    return dataclasses.replace(ours, command=command)


class Door:
    """A connection that is kept alive, and so stays with one worker."""

    def __init__(self, port: int) -> None:
        self.http = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self.http.connect()
        self.http.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.tag = self.session()[:6]

    def close(self) -> None:
        self.http.close()

    def ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        self.http.request(method, path, body, {"Content-Type": "text/plain"} if body else {})
        answer = self.http.getresponse()
        data = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{method} was answered {answer.status}: {data!r}")
        return data

    def session(self) -> str:
        """Open a session of this worker that has joined the namespace; return its id."""
        sid = str(json.loads(self.ask("GET", POLLING)[1:])["sid"])
        self.ask("POST", f"{POLLING}&sid={sid}", b"40")
        self.ask("GET", f"{POLLING}&sid={sid}")
        return sid

    def cycle(self, sid: str) -> tuple[float, float]:
        """Send an event and fetch its echo; return how long each took."""
        path = f"{POLLING}&sid={sid}"
        start = time.perf_counter()
        self.ask("POST", path, EVENT)
        between = time.perf_counter()
        data = self.ask("GET", path)
        while not data.startswith(b"42"):  # a ping
            self.ask("POST", path, b"3")
            between = time.perf_counter()
            data = self.ask("GET", path)
        return between - start, time.perf_counter() - between


def two_doors(port: int) -> tuple[Door, Door]:
    """Return connections to two different workers."""
    first = Door(port)
    for _ in range(TRIES):
        second = Door(port)
        if second.tag != first.tag:
            return first, second
        second.close()
    raise SystemExit("one worker took every connection")


class Wire:
    """A door's connection as the WebSocket of a session."""

    def __init__(self, door: Door, sid: str) -> None:
        self.sock = door.http.sock
        self.file = self.sock.makefile("rb")
        key = base64.b64encode(os.urandom(16)).decode()
        self.sock.sendall(
            f"GET {WEBSOCKET}&sid={sid} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
            "\r\n".encode()
        )
        while self.file.readline() != b"\r\n":
            pass
        self.send(b"2probe")
        self.read()
        self.send(b"5")

    def close(self) -> None:
        self.file.close()
        self.sock.close()

    def send(self, payload: bytes) -> None:
        self.sock.sendall(bytes([0x81, 0x80 | len(payload), 0, 0, 0, 0]) + payload)

    def read(self) -> bytes:
        size = self.file.read(2)[1]
        if size == 126:
            size = int.from_bytes(self.file.read(2), "big")
        return self.file.read(size)

    def cycle(self) -> tuple[float, float]:
        start = time.perf_counter()
        self.send(EVENT)
        while not self.read().startswith(b"42"):
            self.send(b"3")
        return time.perf_counter() - start, 0.0


def cpu_s(server: Server) -> dict[int, float]:
    """Return the CPU time of each worker."""
    used = {}
    for pid in server.pids()[1:]:
        files = Path(f"/proc/{pid}/task").glob("*/schedstat")
        used[pid] = sum(int(file.read_text().split()[0]) for file in files) / 1e9
    return used


def in_turns(
    server: Server, ways: dict[str, Callable[[], tuple[float, float]]], count: int
) -> dict[str, list[float]]:
    """Run each way so often; return medians in us, and CPU of most and least used worker."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    used: dict[str, Counter[int]] = {name: Counter() for name in ways}
    for name, way in [*ways.items()] * (count // BATCH):
        before = cpu_s(server)
        times[name] += [way() for _ in range(BATCH)]
        for pid, now in cpu_s(server).items():
            used[name][pid] += now - before[pid]  # type: ignore[assignment] # seconds
    results = {}
    for name, pairs in times.items():
        first, second = (median(column) * 1e6 for column in zip(*pairs, strict=True))
        busy = sorted((each / len(pairs) * 1e6 for each in used[name].values()), reverse=True)
        results[name] = [first, second, sum(busy), *busy]
    return results


def polls(server: Server, count: int) -> None:
    here, there = two_doors(server.port)
    sid = here.session()
    ways = {"at its worker": lambda: here.cycle(sid), "at another": lambda: there.cycle(sid)}
    with contextlib.closing(here), contextlib.closing(there):
        results = in_turns(server, ways, count)
    head = ["an event and its echo, polling", "POST us", "GET us", "CPU us", "", ""]
    print_all(head, results)


def sockets(server: Server, count: int) -> None:
    """Compare WebSockets whose upgrade came in at the owner with those handed over."""
    here, there = two_doors(server.port)
    own, other = here.session(), here.session()
    wires = {"at its worker": Wire(here, own), "handed over": Wire(there, other)}
    ways = {name: wire.cycle for name, wire in wires.items()}
    head = ["an echo, WebSocket", "us", "", "CPU us", "busy worker", "idle worker"]
    results = in_turns(server, ways, count)
    for wire in wires.values():
        wire.close()
    print_all(head, results)


def print_all(head: list[str], results: dict[str, list[float]]) -> None:
    lines = [[name, *(f"{each:.0f}" for each in row)] for name, row in results.items()]
    (_, base), (_, other) = (*results.items(),)
    ratio = [f"{b / a:.2f}" if a else "" for a, b in zip(base, other, strict=True)]
    print(table(head, [*lines, ["ratio", *ratio]]), "\n")


@contextlib.contextmanager
def started(workers: int) -> Iterator[Server]:
    with running(several(workers), sys.executable) as server:
        time.sleep(2.0)  # until all have started: they take connections only then
        yield server


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.workers", description=__doc__)
    parser.add_argument("--count", type=int, default=2000, help="cycles of each kind")
    parser.add_argument("--spread", type=int, default=200, help="connections to four workers")
    chosen = parser.parse_args()
    with started(2) as server:
        polls(server, chosen.count)
        sockets(server, chosen.count)
    lines = []
    for workers in (1, 2, 4):
        with started(workers) as server:
            doors = [Door(server.port) for _ in range(chosen.spread)]
            spread = sorted(Counter(door.tag for door in doors).values())
            for door in doors:
                door.close()
            cost = load(server, ["--mode", "echo", "--connections", "100", *TIMED])["cpu_us"]
            lines.append([f"-w {workers}", f"{cost:.1f}", " ".join(map(str, spread))])
    print(table(["100 WebSockets", "CPU us an echo", "connections, by worker"], lines))


if __name__ == "__main__":
    main()
