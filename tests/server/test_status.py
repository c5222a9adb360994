"""What a worker says of itself."""

from __future__ import annotations

import json
import os
import threading
from contextlib import closing
from pathlib import Path

from flask_sio import Server
from tests.live import WAIT_S, Runtime, plain
from tests.mesh.pair import ENTRY_TAG, linked
from tests.server.clients import Peer
from tests.servers.raw import http

HEALTH = "/socket.io/health"


def test_a_worker_describes_itself(runtime: Runtime) -> None:
    """Without others there are no links, and before the first client nothing to count."""
    server = Server()
    expected = {"worker": "", "pid": os.getpid(), "workers": 1, "draining": False, "links": []}
    idle = {"clients": 0, "handlers": 0, "lag_s": 0.0, "stalled_s": 0.0}
    assert server.status() == {**expected, **idle}
    with plain(runtime, server) as live, closing(Peer(live)):
        status = server.status()
        assert status["clients"] == 1
        assert 0 <= status["lag_s"] < WAIT_S
        assert {name: status[name] for name in expected} == expected  # type: ignore[literal-required]
        assert json.loads(json.dumps(status)) == status


def test_links_are_described(runtime: Runtime, tmp_path: Path) -> None:
    """Each with what the other worker has last said of itself."""
    with linked(runtime, tmp_path) as pair, closing(Peer(pair.entry)):
        home, entry = pair.home.server, pair.entry.server
        entry.engine.loop.call(entry.mesh._tell)
        pair.home.until(lambda: home.mesh.peers[ENTRY_TAG].clients)
        assert home.status()["links"] == [
            {
                "worker": ENTRY_TAG,
                "pid": os.getpid(),
                "clients": 1,
                "draining": False,
                "stalled_s": home.status()["links"][0]["stalled_s"],
                "queued_bytes": 0,
            }
        ]


def test_health_is_answered_where_it_is_wanted(runtime: Runtime) -> None:
    """200 with a status; without the option the path is one of the endpoint's like any other."""
    with plain(runtime, Server(health=True)) as live:
        status, headers, body = http(live, "GET", HEALTH)
        assert (status, headers["content-type"]) == (200, "application/json")
        assert {**json.loads(body), "lag_s": 0} == {"status": "ok", "clients": 0, "lag_s": 0}
        live.server.engine.is_draining = True
        status, _, body = http(live, "GET", HEALTH)
        assert (status, json.loads(body)["status"]) == (503, "draining")
    with plain(runtime, Server()) as live:
        assert http(live, "GET", HEALTH)[0] == 400


def test_a_worker_that_stands_still_is_not_fit() -> None:
    """With threads a check is answered though the loop is held up, and says so."""
    with plain("threading", Server(health=True)) as live:
        http(live, "GET", HEALTH)
        held, go_on = threading.Event(), threading.Event()

        def hold() -> None:
            held.set()
            go_on.wait(WAIT_S)

        threading.Thread(target=live.server.engine.loop.run, args=(hold,)).start()
        assert held.wait(WAIT_S)
        status, _, body = http(live, "GET", HEALTH)
        go_on.set()
        assert (status, json.loads(body)["status"]) == (503, "stalled")
