"""The shipped configurations of nginx and HAProxy, with the real ones and stock clients."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.conftest import missing
from tests.servers.launch import ROOT, Running, free_port, gunicorn, launched
from tests.servers.matrix import FLASK
from tests.servers.node import need_node, run_node
from tests.servers.raw import ENDPOINT, http

EXAMPLES = ROOT / "docs" / "examples"
TAGS = ("a0", "b0")
NGINX = """
daemon off;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {shown}
}}
"""
"""What stands around a site's configuration on any machine, in a folder of the test's."""


def shipped(name: str, ports: Mapping[str, int]) -> str:
    """Return a page's configuration with other ports, each of which it must have named."""
    text = (EXAMPLES / name).read_text()
    for shown, port in ports.items():
        text, count = re.subn(rf"\b{shown}\b", str(port), text)
        assert count, f"{name} names no port {shown}"
    return text


@contextmanager
def proxy(name: str, ports: Mapping[str, int], folder: Path) -> Iterator[Running]:
    """Start the proxy that a configuration is for."""
    program = "nginx" if name.endswith(".conf") else "haproxy"
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin")
    if path is None:
        missing(program)
    config = folder / name
    if program == "nginx":
        config.write_text(NGINX.format(folder=folder, shown=shipped(name, ports)))
        command = [path, "-p", str(folder), "-e", "stderr", "-c", str(config)]
    else:
        config.write_text(shipped(name, ports))
        command = [path, "-db", "-f", str(config)]
    with launched(command, ports["8080"], folder / "proxy.log", clean=False) as running:
        yield running


@contextmanager
def hosts(name: str, folder: Path) -> Iterator[tuple[Running, list[Running]]]:
    """Two servers that know nothing of each other, behind a proxy that knows their tags."""
    with ExitStack() as stack:
        servers = []
        for tag in TAGS:
            port = free_port()
            command = gunicorn(FLASK, port, "gevent")
            env = {"FLASK_SIO_HOST_TAG": tag}
            log = folder / f"{tag}.log"
            servers.append(stack.enter_context(launched(command, port, log, env=env)))
        ports = {"8001": servers[0].port, "8002": servers[1].port, "8080": free_port()}
        yield stack.enter_context(proxy(name, ports, folder)), servers


def matrix(server: Running, mode: str, clients: int = 20) -> None:
    """Let stock clients connect, upgrade where they may, and send events that are acked."""
    result = run_node("matrix.mjs", server, mode, clients, 10)
    del result["ms"]
    upgraded = 0 if mode == "polling" else clients
    assert result == {
        "connected": clients,
        "upgraded": upgraded,
        "on_websocket": upgraded,
        "cut": 0,
        "lost": 0,
        "doubled": 0,
        "disordered": 0,
    }


@pytest.mark.node
def test_nginx_in_front_of_one_server(tmp_path: Path) -> None:
    """Polling, WebSocket and upgrades pass by the configuration of the deployment page."""
    need_node()
    port = free_port()
    command = gunicorn(FLASK, port, "gevent")
    with (
        launched(command, port, tmp_path / "server.log"),
        proxy("nginx.conf", {"8000": port, "8080": free_port()}, tmp_path) as server,
    ):
        for mode in ("default", "polling", "websocket"):
            matrix(server, mode)


@pytest.mark.node
@pytest.mark.parametrize("name", ["nginx-hosts.conf", "haproxy-hosts.cfg"])
def test_sessions_are_routed_to_their_host(name: str, tmp_path: Path) -> None:
    """By the id: no cookie, no address; both hosts serve, and neither refuses a request."""
    need_node()
    with hosts(name, tmp_path) as (server, both):
        seen = set()
        for _ in range(4):
            _, _, body = http(server, "GET", f"{ENDPOINT}polling")
            seen.add(body[9:11].decode())
        assert seen == set(TAGS)
        for mode in ("default", "polling"):
            matrix(server, mode)
        for each in both:
            assert '" 400 ' not in each.log()
            assert '" 101 ' in each.log()
