"""What connections cost a server while nothing happens on them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.servers.launch import Running, free_port, gunicorn, launched
from tests.servers.matrix import FLASK
from tests.servers.raw import WebSocketClient, crowd, get_json, http


def stats_when(server: Running, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Ask until it holds: closing is seen by the server in its own time."""
    deadline = time.monotonic() + 10.0
    while True:
        stats: dict[str, Any] = get_json(server, "/stats")
        if holds(stats) or time.monotonic() > deadline:
            return stats


def warmed_up(server: Running) -> dict[str, Any]:
    """Return the numbers with no client, after one has made whatever is made once."""
    client = WebSocketClient(server)
    client.send('420["echo",1]')
    assert client.text() == '42["echoed",1]'
    assert client.text() == "430[1]"
    before = get_json(server, "/stats")["fds"]
    client.leave()
    return stats_when(server, lambda stats: stats["fds"] < before)


def test_idle_websockets_hold_no_greenlet_and_no_thread(tmp_path: Path) -> None:
    """Two hundred WebSockets on gevent are two hundred descriptors, given back at the end."""
    port = free_port()
    command = gunicorn(FLASK, port, "gevent")
    with launched(command, port, tmp_path / "server.log") as server:
        empty = warmed_up(server)
        with crowd(server, 200) as clients:
            # The greenlets of the requests that were swapped out end in their own time.
            full = stats_when(server, lambda stats: stats["greenlets"] <= empty["greenlets"])
            assert full["greenlets"] <= empty["greenlets"]
            assert full["threads"] <= empty["threads"]
            # On a loaded machine one more may look for who holds the hub up.
            assert full["os_threads"] <= empty["os_threads"] + 1
            assert full["fds"] == empty["fds"] + 200
            for client in clients[:100]:
                client.leave()
        # The other hundred just went away.
        after = stats_when(server, lambda stats: stats["fds"] <= empty["fds"])
        assert after["fds"] == empty["fds"]
        after = stats_when(server, lambda stats: stats["handled"].get("disconnect") == 201)
        assert after["handled"]["disconnect"] == 201


def test_idle_clients_leave_the_threads_to_http(tmp_path: Path) -> None:
    """Fifty WebSockets and ten parked polls beside four threads: pages are served at once."""
    port = free_port()
    command = gunicorn(FLASK, port, "gthread", "--threads", "4")
    with launched(command, port, tmp_path / "server.log") as server:
        empty = warmed_up(server)
        with crowd(server, 50, 10):
            full = get_json(server, "/stats")
            for _ in range(20):
                assert http(server, "GET", "/")[0] == 200
            # Four of gunicorn's and eight handlers, as many as connected at a time: these
            # are started as they are needed, and one more may look for a lag. One per client
            # would be sixty.
            assert full["os_threads"] <= empty["os_threads"] + 4 + 8 + 1
            assert not full["gevent"]
        after = stats_when(server, lambda stats: stats["fds"] <= empty["fds"])
        assert after["fds"] == empty["fds"]
