"""A WSGI application that takes sockets over and echoes bytes: no other part of the library.

Each connection is echoed by a real OS thread, also in a patched process, so that nothing
here depends on the server's own idea of waiting.
"""

from __future__ import annotations

import _thread
import json
import select
import socket
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

from flask_sio.runtime.takeover import Found, Swap, find, has_socket, watch_fd

Start = Callable[..., Any]
HEAD = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\nreleased"
LEFT: list[str] = []


def app(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path == "/plain":
        return answer(start_response, b"plain")
    if path == "/where":
        return answer(start_response, json.dumps(where(environ, start_response)).encode())
    if path == "/watch":
        return watch(environ, start_response)
    if path == "/left":
        return answer(start_response, json.dumps(LEFT).encode())
    found = find(environ, start_response)
    if found is None:
        return answer(start_response, b"no socket")
    if found.tls:
        park(found)
    elif path == "/poll":
        spawn(release, Swap.prepare(found).commit())
    else:
        swap = Swap.prepare(found)
        spawn(echo, swap.commit(), found.early, not found.handshaken)
    start_response("101 Switching Protocols", [])
    return []


def answer(start_response: Start, body: bytes) -> list[bytes]:
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def where(environ: dict[str, Any], start_response: Start) -> dict[str, Any]:
    found = find(environ, start_response)
    return {
        "has_socket": has_socket(environ),
        "watched": watch_fd(environ) is not None,
        "found": found is not None,
        "is_gevent": found is not None and found.is_gevent,
        "tls": found is not None and found.tls,
        "early": found is not None and found.early.decode("latin-1"),
        "gevent_imported": "gevent" in sys.modules,
    }


def watch(environ: dict[str, Any], start_response: Start) -> list[bytes]:
    """Wait, inside the call, until the client is gone; tell how that was seen."""
    sock = watch_fd(environ)
    if sock is None:
        return answer(start_response, b"unwatched")
    seen: list[str] = []
    spawn(wait_for_end, sock.fileno(), seen)
    deadline = time.monotonic() + 5.0
    while not seen and time.monotonic() < deadline:
        time.sleep(0.005)  # patched or not: the wait of whatever runs this call
    LEFT.append(seen[0] if seen else "not seen")
    return answer(start_response, b"too late")


def wait_for_end(descriptor: int, seen: list[str]) -> None:
    poller = original("select", select, "poll")()
    poller.register(descriptor, select.POLLIN)
    poller.poll(5000)
    probe = original("socket", socket, "socket")(fileno=descriptor)
    try:
        seen.append("end" if probe.recv(1, socket.MSG_PEEK) == b"" else "bytes")
    finally:
        probe.detach()


def park(found: Found) -> None:
    """Echo in the server's own thread or greenlet, by the server's own socket."""
    found.claim()
    sock = found.sock
    sock.sendall(HEAD + found.early)
    while data := sock.recv(65536):
        sock.sendall(data)
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


def echo(sock: socket.socket, early: bytes, send_head: bool) -> None:
    assert not sock.getblocking()
    assert type(sock) is original("socket", socket, "socket")
    sock.setblocking(True)
    with sock:
        sock.sendall((HEAD if send_head else b"") + early)
        while data := sock.recv(65536):
            sock.sendall(data)


def release(sock: socket.socket) -> None:
    sock.setblocking(True)
    with sock:
        sock.sendall(OK)
        sock.shutdown(socket.SHUT_RDWR)


def original(name: str, module: Any, attribute: str) -> Any:
    if "gevent.monkey" in sys.modules:
        return sys.modules["gevent.monkey"].get_original(name, attribute)
    return getattr(module, attribute)


def spawn(function: Callable[..., None], *args: Any) -> None:
    original("_thread", _thread, "start_new_thread")(function, args)
