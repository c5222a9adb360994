"""One measurement: a server on one core, the generator on the other."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.peers import ROOT, Peer, prepare_c
from benchmarks.rows import Row

START_S = 30.0
SETTLE_S = 10.0
WARM_UP_CONNECTIONS = 200
"""Made before memory is weighed and handshakes are counted."""


class LoadError(Exception):
    """The generator gave up; its message says why."""


@contextlib.contextmanager
def core(number: int) -> Iterator[None]:
    """Pin what is started inside to one core, where the machine has so many."""
    before = os.sched_getaffinity(0)
    if len(before) > 1:
        os.sched_setaffinity(0, {sorted(before)[number]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Server:
    """A peer's process and its children."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.port = port

    def pids(self) -> list[int]:
        """Return the process and all below it."""
        parents = {}
        for name in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                stat = Path(f"/proc/{name}/stat").read_text()
                parents[int(name)] = int(stat.rpartition(")")[2].split()[1])
        found = [self.process.pid]
        for pid in found:
            found.extend(child for child, parent in parents.items() if parent == pid)
        return found

    def cpu_s(self) -> float:
        """Return the CPU time of all its threads so far; finer than the ticks of ``stat``."""
        used_ns = 0
        for pid in self.pids():
            for file in Path(f"/proc/{pid}/task").glob("*/schedstat"):
                with contextlib.suppress(OSError):
                    used_ns += int(file.read_text().split()[0])
        return used_ns / 1e9

    def rss_kb(self) -> int:
        """Return the resident memory of all its processes."""
        found = 0
        for pid in self.pids():
            status = Path(f"/proc/{pid}/status").read_text()
            found += int(re.search(r"VmRSS:\s+(\d+)", status)[1])  # type: ignore[index]
        return found

    def settle(self) -> None:
        """Wait until it has nothing more to do with clients that have left."""
        deadline = time.monotonic() + SETTLE_S
        before = self.cpu_s()
        while time.monotonic() < deadline:
            time.sleep(0.1)
            after = self.cpu_s()
            if after - before < 0.02:
                return
            before = after

    def page(self, path: str) -> bytes:
        url = f"http://127.0.0.1:{self.port}{path}"
        with urllib.request.urlopen(url, timeout=START_S) as answer:
            body: bytes = answer.read()
        return body

    def answers(self) -> bool:
        """Wait until it serves a page; return False where it never does."""
        deadline = time.monotonic() + START_S
        while self.process.poll() is None and time.monotonic() < deadline:
            try:
                self.page("/plain")
            except OSError:
                time.sleep(0.05)
            else:
                return True
        return False


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


@contextlib.contextmanager
def running(peer: Peer, program: str, extra: str = "") -> Iterator[Server]:
    """Start a peer on the first core; ``program`` is what its ``prepare`` has returned.

    Raises:
        LoadError: it does not start; its last lines of log are in the message.
    """
    port = free_port()
    env = {**os.environ, **peer.env, "BENCH_EXTRA": extra}
    with tempfile.TemporaryFile() as log:
        with core(0):
            process = subprocess.Popen(
                peer.command(program, port), cwd=ROOT, env=env, stdout=log, stderr=log
            )
        server = Server(process, port)
        try:
            if not server.answers():
                log.seek(0)
                raise LoadError(f"no server: {log.read()[-500:].decode(errors='replace')}")
            yield server
        finally:
            for pid in reversed(server.pids()):  # at once: nothing is measured any more
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait(30)


def generator(server: Server, arguments: Sequence[str]) -> subprocess.Popen[str]:
    """Start the generator on the second core."""
    pids = [word for pid in server.pids() for word in ("--pid", str(pid))]
    with core(1):
        return subprocess.Popen(
            [prepare_c("load"), "--port", str(server.port), *arguments, *pids],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )


def load(server: Server, arguments: Sequence[str]) -> dict[str, Any]:
    """Run the generator to its end and return what it printed.

    Raises:
        LoadError: the server did what it should not.
    """
    with generator(server, arguments) as process:
        out, err = process.communicate()
    if process.returncode:
        raise LoadError(err.strip()[:300])
    result: dict[str, Any] = json.loads(out)
    if result["events"]:
        result["cpu_us"] = round(result["server_cpu_s"] / result["events"] * 1e6, 2)
    return result


@contextlib.contextmanager
def held(server: Server, arguments: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Hold idle connections while the block runs."""
    with generator(server, arguments) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        if not line:
            raise LoadError(process.stderr.read().strip()[:300])
        try:
            yield json.loads(line)
        finally:
            process.communicate()  # the end of its input


def weigh(server: Server, arguments: Sequence[str]) -> dict[str, Any]:
    """Return the memory of one idle connection, after some that warm the server up."""
    count = int(arguments[list(arguments).index("--connections") + 1])
    warm_up = [*arguments, "--connections", str(WARM_UP_CONNECTIONS)]
    with held(server, warm_up):
        server.settle()
        before = server.rss_kb()
        with held(server, arguments) as result:
            server.settle()
            after = server.rss_kb()
    return {**result, "kb_each": round((after - before) / count, 2)}


def measure(server: Server, row: Row, seconds: float) -> dict[str, Any]:
    """Measure one row; return what the generator printed, and more.

    Raises:
        LoadError: the server did what it should not, or nothing at all.
    """
    result = _measure(server, row, seconds)
    try:
        row.read(result)
    except KeyError:
        raise LoadError(f"no answer within {seconds:g} s") from None
    return result


def _measure(server: Server, row: Row, seconds: float) -> dict[str, Any]:
    arguments = row.load.split()
    if row.is_memory:
        return weigh(server, arguments)
    if row.is_timed:
        warm_up = min(1.0, seconds / 3)
        return load(server, [*arguments, "--seconds", str(seconds), "--warmup", str(warm_up)])
    load(server, [*arguments, "--connections", str(WARM_UP_CONNECTIONS)])
    server.settle()
    return load(server, arguments)
