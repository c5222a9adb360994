"""What an idle WebSocket weighs: memory, greenlets, threads, descriptors of the server.

    python benchmarks/idle.py [CONNECTIONS]

Starts each application below under ``gunicorn -k gevent``, connects the clients from this
process and reads the worker's own numbers before and after. The first connections warm the
worker up and are not counted.
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
WARM_UP = 200
BROWSER = (
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/131.0.0.0 Safari/537.36\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Accept-Language: en-GB,en-US;q=0.9,en;q=0.8,de;q=0.7\r\n"
    "Cache-Control: no-cache\r\nPragma: no-cache\r\n"
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
    "Cookie: session=eyJuYW1lIjoiYWxpY2UifQ.Z%07d.abcdefghijklmnopqrstuvwxyz0; "
    "_ga=GA1.1.1234567890.%010d; theme=dark\r\n"
)
CASES = {
    "WSGIApp, bare client": ("idle_apps:plain", ""),
    "Flask, a browser's headers": ("idle_apps:flask_app", BROWSER),
}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def connect(port: int, headers: str, number: int) -> socket.socket:
    """Connect a client to the namespace ``/`` and leave it idle."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=30)
    if headers:
        headers = headers % (number, number)
    sock.sendall(
        (
            "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n"
            f"Host: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            f"{headers}\r\n"
        ).encode()
    )
    received = b""
    while b"0{" not in received:
        received += sock.recv(4096)
    sock.sendall(b"\x81\x82\0\0\0\x0040")
    while b"40{" not in received:
        received += sock.recv(4096)
    return sock


def stats(port: int) -> dict[str, int]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/stats", timeout=30) as answer:
        numbers: dict[str, int] = json.load(answer)
    return numbers


def measure(app: str, headers: str, connections: int) -> dict[str, Any]:
    port = free_port()
    argv = [sys.executable, "-m", "gunicorn", "-k", "gevent", "-b", f"127.0.0.1:{port}", app]
    server = subprocess.Popen(argv, cwd=HERE, stderr=subprocess.DEVNULL)
    try:
        wait_for(port)
        clients = [connect(port, headers, number) for number in range(WARM_UP)]
        before = stats(port)
        clients += [connect(port, headers, WARM_UP + number) for number in range(connections)]
        after = stats(port)
        for client in clients:
            client.close()
    finally:
        server.terminate()
        server.wait(30)
    return {
        "KB each": round((after["rss_kb"] - before["rss_kb"]) / connections, 2),
        "greenlets": after["greenlets"] - before["greenlets"],
        "threads": after["threads"] - before["threads"],
        "descriptors": after["fds"] - before["fds"],
    }


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            stats(port)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def rss_kb() -> int:
    """Return this process's resident memory; the applications under test call it."""
    found = re.search(r"Rss:\s+(\d+)", Path("/proc/self/smaps_rollup").read_text())
    return int(found.group(1)) if found else 0


def main() -> None:
    connections = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    print(f"{connections} idle WebSockets under gunicorn -k gevent, one worker")
    for name, (app, headers) in CASES.items():
        print(f"{name:28}", measure(app, headers, connections))


if __name__ == "__main__":
    main()
