"""socketio.run(): what it starts, refuses, and how it ends."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import sys
import threading
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_sio import SocketIO
from tests.servers.launch import Running, certificate, free_port, launched
from tests.servers.raw import WebSocketClient, http

PROGRAM = Path(__file__).with_name("run_app.py")
UNPATCHED = "not monkey-patched"
THREADS = {"options": {"async_mode": "threading"}, "run": {"allow_unsafe_werkzeug": True}}
PLANS: dict[str, dict[str, Any]] = {
    "gevent": {},
    "gevent patched": {"patch": True},
    "threading": THREADS,
}


def run(
    folder: Path,
    plan: dict[str, Any],
    *,
    program: Path = PROGRAM,
    clean: bool = True,
    interrupt: bool = False,
    cafile: Path | None = None,
) -> AbstractContextManager[Running]:
    """Start the program with this plan on a free port."""
    port = free_port()
    plan = {**plan, "run": {"port": port, **plan.get("run", {})}}
    argv = [sys.executable, str(program), json.dumps(plan)]
    log = folder / "server.log"
    return launched(argv, port, log, clean=clean, interrupt=interrupt, cafile=cafile)


def ask_mode(client: WebSocketClient) -> str:
    """Return what async_mode the server reports, as its ack has it."""
    client.send('421["mode"]')
    return client.text()


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_it_in_order(name: str, number: signal.Signals, tmp_path: Path) -> None:
    """A signal closes the clients with 1001, then run() returns; nothing is thrown about."""
    with run(tmp_path, PLANS[name]) as server:
        client = WebSocketClient(server)
        assert ask_mode(client) == f'431["{name.split()[0]}"]'
        server.send(number)
        assert client.frame() == (8, b"\x03\xe9")
        client.close()
        assert server.wait() == 0
        log = server.log()
    assert log.count("run() has returned") == 1
    assert f"Running on http://127.0.0.1:{server.port}" in log
    assert log.count(UNPATCHED) == (1 if name == "gevent" else 0)


@pytest.mark.parametrize("name", PLANS)
def test_stop_in_a_handler_ends_it(name: str, tmp_path: Path) -> None:
    """socketio.stop() in a handler ends the server as a signal does."""
    with run(tmp_path, PLANS[name]) as server:
        client = WebSocketClient(server)
        client.send('42["stop"]')
        assert client.frame() == (8, b"\x03\xe9")
        client.close()
        assert server.wait() == 0
        assert "run() has returned" in server.log()


def test_tls_by_gevent(tmp_path: Path) -> None:
    """certfile and keyfile reach pywsgi, and the address says https."""
    cert, key = certificate(tmp_path)
    plan = {"run": {"certfile": str(cert), "keyfile": str(key)}}
    with run(tmp_path, plan, cafile=cert) as server:
        assert http(server, "GET", "/pid")[0] == 200
        client = WebSocketClient(server)
        assert ask_mode(client) == '431["gevent"]'
        client.close()
        assert f"https://127.0.0.1:{server.port}" in server.log()


@pytest.mark.parametrize("name", PLANS)
def test_debug_shows_the_debugger(name: str, tmp_path: Path) -> None:
    """With debug=True a failing view shows Werkzeug's debugger and events still work."""
    plan = PLANS[name]
    options = {"debug": True, "use_reloader": False, **plan.get("run", {})}
    with run(tmp_path, {**plan, "run": options}, clean=False) as server:
        status, _, page = http(server, "GET", "/fail")
        assert status == 500
        assert b"__debugger__" in page
        client = WebSocketClient(server)
        assert "431[" in ask_mode(client)
        client.close()


@pytest.mark.parametrize("name", PLANS)
def test_reloader_starts_again(name: str, tmp_path: Path) -> None:
    """A changed file restarts the server, whose clients can come back."""
    program = Path(shutil.copy(PROGRAM, tmp_path / "program.py"))
    plan = PLANS[name]
    reloader = {"interval": 0.1, "reloader_type": "stat"}
    options = {"use_reloader": True, "reloader_options": reloader, **plan.get("run", {})}
    with run(tmp_path, {**plan, "run": options}, program=program, interrupt=True) as server:
        before = http(server, "GET", "/pid")[2]
        client = WebSocketClient(server)
        program.write_text(program.read_text() + "\n# changed\n")
        assert client.frame() == (8, b"\x03\xe9")
        client.close()
        wait_for_another_process(server, before)


def wait_for_another_process(server: Running, before: bytes) -> None:
    """Ask until another process answers; the old one may serve to its very end."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with contextlib.suppress(EOFError, ConnectionError):
            if http(server, "GET", "/pid")[2] != before:
                return
        threading.Event().wait(0.02)
    raise AssertionError(server.log())


def test_server_name_gives_the_port(tmp_path: Path) -> None:
    """Without a port the one in SERVER_NAME counts."""
    port = free_port()
    plan = {"config": {"SERVER_NAME": f"localhost:{port}"}, "run": {}}
    argv = [sys.executable, str(PROGRAM), json.dumps(plan)]
    with launched(argv, port, tmp_path / "server.log") as server:
        http(server, "GET", "/pid")  # it answers once it has said where it listens
        assert f"http://127.0.0.1:{port}" in server.log()


# -- what it refuses --------------------------------------------------------------------


def test_nothing_happens_under_the_flask_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Under ``flask run`` the call returns at once and says why."""
    monkeypatch.setenv("FLASK_RUN_FROM_CLI", "true")
    app = Flask("site")
    SocketIO(app).run(app)
    assert "the flask command serves" in capsys.readouterr().err


@pytest.mark.parametrize("mode", ["gevent", "threading"])
def test_unknown_option_is_named(mode: str) -> None:
    """An option the server does not have is a TypeError with the nearest name."""
    app = Flask("site")
    socketio = SocketIO(app, async_mode=mode)
    name, near = ("certfil", "certfile") if mode == "gevent" else ("threadet", "threaded")
    options: dict[str, Any] = {name: "x"}
    with pytest.raises(TypeError, match=f"option '{name}'; did you mean '{near}'"):
        socketio.run(app, allow_unsafe_werkzeug=True, **options)


def test_development_server_wants_a_terminal() -> None:
    """Werkzeug's server is refused where no developer sits, unless that is permitted."""
    app = Flask("site")
    with pytest.raises(RuntimeError, match="allow_unsafe_werkzeug"):
        SocketIO(app, async_mode="threading").run(app)


def test_application_must_be_known() -> None:
    """run() with an application that was never initialised says what is missing."""
    with pytest.raises(RuntimeError, match="init_app"):
        SocketIO().run(Flask("site"))


def test_stop_without_run() -> None:
    """stop() has nothing to end where run() does not run."""
    with pytest.raises(RuntimeError, match="nothing runs"):
        SocketIO(Flask("site")).stop()
