"""One application under every server, driven by the stock JavaScript client."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.servers.launch import Running, free_port, launched, serve
from tests.servers.matrix import FLASK, SERVERS
from tests.servers.node import need_node, run_node
from tests.servers.raw import get_json, http

MODES = ("polling", "websocket", "default")

pytestmark = pytest.mark.node


@pytest.fixture(autouse=True)
def _node() -> None:
    need_node()


def check_matrix(server: Running, mode: str, clients: int, events: int, upgraded: int) -> None:
    handled = get_json(server, "/stats")["handled"].get("echo", 0)
    result = run_node("matrix.mjs", server, mode, clients, events)
    del result["ms"]
    assert result == {
        "connected": clients,
        "upgraded": upgraded,
        "on_websocket": upgraded,
        "cut": 0,
        "lost": 0,
        "doubled": 0,
        "disordered": 0,
    }
    assert get_json(server, "/stats")["handled"]["echo"] - handled == clients * events


@pytest.mark.parametrize("mode", MODES)
def test_every_event_is_handled_once_and_in_order(server: Running, mode: str) -> None:
    """Ten clients connect and upgrade; each event is handled, acked and answered once."""
    check_matrix(server, mode, 10, 10, upgraded=0 if mode == "polling" else 10)


def test_bytes_rooms_broadcasts_and_refusals(server: Running) -> None:
    """Bytes come back whole, rooms hold their members, a refusal has its text and data."""
    assert run_node("features.mjs", server, ",".join(MODES)) == {
        "binary": True,
        "rooms": True,
        "left": True,
        "broadcast": True,
        "slow": True,
        "refusal": True,
    }


def test_pages_beside_the_endpoint_are_served(server: Running) -> None:
    """The application's own pages go on as without the library."""
    status, _, body = http(server, "GET", "/")
    assert (status, body) == (200, b"hello")


def test_many_clients_upgrade_at_once(server: Running) -> None:
    """Two hundred stock clients connect at once and lose nothing while they upgrade."""
    clients = SERVERS[server.name].clients
    check_matrix(server, "default", clients, 10, upgraded=clients)


def test_waitress_serves_polling_and_says_why(tmp_path: Path) -> None:
    """Without a socket no upgrade is offered, clients poll, and one log line tells it."""
    port = free_port()
    command = serve("waitress", FLASK, port)
    with launched(command, port, tmp_path / "server.log") as server:
        _, _, body = http(server, "GET", "/socket.io/?EIO=4&transport=polling")
        assert b'"upgrades":[]' in body
        check_matrix(server, "default", 5, 10, upgraded=0)
        features = run_node("features.mjs", server, "polling")
        assert set(features.values()) == {True}
        log = server.log()
    told = [line for line in log.splitlines() if "flask_sio" in line]
    assert len(told) == 1, log
    assert "waitress" in told[0]
    assert "polling" in told[0]
