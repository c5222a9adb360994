"""Several workers of gunicorn: any of them takes any request, and their ends harm few."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.servers.launch import Running, free_port, gunicorn, launched, started
from tests.servers.matrix import FLASK, PLAIN
from tests.servers.node import need_node, run_node
from tests.servers.raw import Reader, http, send_request
from tests.servers.raw import WebSocketClient as Socket

CLUSTER = "tests.servers.apps.cluster:app"
WORKERS = {"gevent": 4, "gthread": 2}


@contextmanager
def several(
    tmp_path: Path,
    worker: str,
    *options: str,
    cafile: Path | None = None,
    app: str = FLASK,
    clean: bool = True,
    env: Mapping[str, str] | None = None,
) -> Iterator[Running]:
    """Run gunicorn with more than one worker, all of them ready."""
    port, number = free_port(), WORKERS[worker]
    command = gunicorn(app, port, worker, "-w", str(number), *options)
    log = tmp_path / "server.log"
    with launched(
        command, port, log, cafile=cafile, workers=number, clean=clean, env=env
    ) as running:
        yield running


@pytest.mark.node
@pytest.mark.parametrize("worker", WORKERS)
def test_events_find_their_worker(worker: str, tmp_path: Path) -> None:
    """Polling, WebSocket and upgrades: every event is acked once and in order, none is refused.

    Also where the application was imported before the workers were forked.
    """
    need_node()
    options = ("--preload",) if worker == "gthread" else ()
    with several(tmp_path, worker, *options) as server:
        for mode, upgraded in (("default", 12), ("polling", 0), ("websocket", 12)):
            result = run_node("matrix.mjs", server, mode, 12, 6)
            del result["ms"]
            assert result == {
                "connected": 12,
                "upgraded": upgraded,
                "on_websocket": upgraded,
                "cut": 0,
                "lost": 0,
                "doubled": 0,
                "disordered": 0,
            }
    log = server.log()
    assert '" 400 ' not in log
    if worker == "gevent":  # with threads a poll that waited says 101 as well
        assert log.count('HTTP/1.1" 101 ') == 24


@pytest.mark.node
def test_encrypted_upgrades_are_relayed(tmp_path: Path, tls_files: tuple[Path, Path]) -> None:
    """A socket that cannot leave its process serves the session of another one nevertheless."""
    need_node()
    cert, key = tls_files
    files = ("--certfile", str(cert), "--keyfile", str(key))
    # Each worker reports who leaves within a TLS handshake, and their lines mix.
    with several(tmp_path, "gevent", *files, cafile=cert, clean=False) as server:
        result = run_node("matrix.mjs", server, "default", 12, 6)
        assert (result["upgraded"], result["lost"], result["disordered"]) == (12, 0, 0)
    assert "/flask_sio/" not in server.log(), "a traceback has been through the package"


@pytest.mark.node
def test_the_end_of_a_worker_harms_its_own_clients_only(tmp_path: Path) -> None:
    """After kill -9 its clients come back, on other workers; nobody else notices."""
    need_node()
    with several(tmp_path, "gevent") as server:
        result = run_node("workers.mjs", server, "kill", 12, server.process.pid)
        started(server, WORKERS["gevent"] + 1)
        assert result.pop("reasons") in ([], ["transport close"])
        assert result == {"on_polling": 0, "others": 0, "twice": 0, "unanswered": 0}


@pytest.mark.node
@pytest.mark.parametrize("worker", WORKERS)
def test_a_reload_brings_every_client_back(worker: str, tmp_path: Path) -> None:
    """On SIGHUP each is closed once, never by a "server disconnect", and reconnects by itself."""
    need_node()
    with several(tmp_path, worker, "--graceful-timeout", "8") as server:
        result = run_node("workers.mjs", server, "reload", 12, server.process.pid)
        started(server, 2 * WORKERS[worker])
        assert result == {
            "on_polling": 0,
            "others": 0,
            "twice": 0,
            "reasons": ["transport close"],
            "unanswered": 0,
        }
    assert "Worker graceful timeout" not in server.log()


@pytest.mark.node
@pytest.mark.parametrize("package", ["socket.io-client", "socket.io-client-2"])
def test_what_is_acked_during_reloads_was_handled_once(package: str, tmp_path: Path) -> None:
    """Clients that send all the time lose no event that was acked, and none is handled twice."""
    need_node()
    check_reloads(package, tmp_path, clients=12, rounds=2)


def check_reloads(package: str, tmp_path: Path, *, clients: int, rounds: int) -> int:
    """Return how many events were acked."""
    handled = tmp_path / "handled"
    env = {"HANDLED": str(handled)}
    with several(tmp_path, "gevent", "--graceful-timeout", "8", app=CLUSTER, env=env) as server:
        result = run_node("restarts.mjs", server, package, clients, rounds, server.process.pid)
        started(server, (1 + rounds) * WORKERS["gevent"])
    assert "Traceback" not in server.log()
    assert (result["left"], result["reasons"]) == ([rounds], ["transport close"])
    counted = Counter(handled.read_text().splitlines())
    assert set(counted.values()) == {1}
    acked = [f"{client} {n}" for client, ns in enumerate(result["acked"]) for n in ns]
    assert counted.keys() >= set(acked)
    return len(acked)


def test_workers_that_cannot_be_linked_say_so(tmp_path: Path) -> None:
    """Each says at its first request why, and what to do."""
    port = free_port()
    os.chmod(tmp_path, 0o777)
    command = gunicorn(PLAIN, port, "gevent", "-w", "2")
    env = {"FLASK_SIO_DIR": str(tmp_path)}
    with launched(command, port, tmp_path / "server.log", env=env, workers=2) as running:
        http(running, "GET", "/socket.io/?EIO=4&transport=polling")
    log = (tmp_path / "server.log").read_text()
    assert "gunicorn runs 2 workers, but they cannot be linked (others may write to" in log
    assert "or run one worker: -w 1" in log


@pytest.mark.node
@pytest.mark.parametrize("worker", WORKERS)
def test_clients_reach_each_other_across_workers(worker: str, tmp_path: Path) -> None:
    """Broadcasts, rooms, ids, users, answers, members, moves: as if there were one worker."""
    need_node()
    number = WORKERS[worker]
    with several(tmp_path, worker, app=CLUSTER) as server:
        result = run_node("cluster.mjs", server, number)
    everybody = number + 1
    heard = result.pop("heard")
    assert heard[0] == "all,room,own,others"
    assert heard[1].split(",") == ["all", "id"] + ["user"] * (number == 1)
    assert {each.replace(",user", "") for each in heard[2:]} == {"all,room,others"}
    assert sum("user" in each for each in heard) == 1
    assert result == {
        "workers": number,
        "to_id": 1,
        "to_own": 0,
        "in_order": True,
        "bytes": [0, 255],
        "views": ["1,2"],
        "answer": True,
        "unknown": {"error": "NotConnectedError"},
        "answers": True,
        "of_all": everybody,
        "sizes": True,
        "members": True,
        "pids": number,
        "count": everybody,
        "user": True,
        "nobody": [False, []],
        "servers": number - 1,
        "moved": True,
        "kicked": "io server disconnect",
        "user_kicked": "io server disconnect",
        "still_here": everybody - 2,
    }


@pytest.mark.parametrize("worker", WORKERS)
def test_a_view_reaches_clients_from_a_worker_that_has_none(worker: str, tmp_path: Path) -> None:
    """A worker that has served pages only finds the others when it has something to tell."""
    with several(tmp_path, worker, app=CLUSTER) as server, closing(Socket(server)) as client:
        asked: list[int] = []
        while len(set(asked)) < 2 and len(asked) < 200:
            with closing(Reader(server.connect())) as page:
                send_request(page.sock, "GET", "/worker")
                asked.append(json.loads(page.response()[2])["pid"])
                send_request(page.sock, "GET", f"/emit?event=told&n={len(asked)}")
                assert page.response()[2] == b"ok"
        assert len(set(asked)) == 2, "one worker took every connection"
        told = sorted(client.text() for _ in asked)
        assert told == sorted(f'42["told",{n + 1}]' for n in range(len(asked)))
