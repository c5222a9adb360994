"""The example under gunicorn in a process of its own, and what the browser tests need."""

from __future__ import annotations

import os
import queue
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from flask_sio.client_files import ClientFiles

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).parent.parent.parent
CHROMIUM = "/usr/bin/chromium"
CHROMIUM_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Long enough for a machine that is busy; what passes never waits for it.
PATIENCE_MS = 30_000
START_S = 20.0
STOP_S = 10.0


def missing() -> str | None:
    """Return what the browser tests lack here, None when all is there."""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "playwright for Python is not installed"
    if not Path(CHROMIUM).exists():
        return f"there is no {CHROMIUM}"
    if client_files().script() is None:
        return "there is no client bundle: npm install socket.io-client"
    return None


def client_files() -> ClientFiles:
    """Return the bundle the example will serve."""
    return ClientFiles(os.environ.get("SOCKETIO_CLIENT_DIR") or None, root=str(ROOT))


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run a headless Chromium."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
        yield browser
        browser.close()


class Program:
    """A web server in a process of its own.

    The first start takes a free port; later ones take the same, so that a stop and a
    start are a restart to those who are connected. ``command`` is for Python, with ``{port}``.
    """

    def __init__(self, *command: str) -> None:
        self.command = command
        self.port = 0
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._lines: list[str] = []

    @property
    def url(self) -> str:
        """Where the application is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def output(self) -> str:
        """What the server has written so far, over all starts."""
        return "".join(self._lines)

    def start(self) -> None:
        """Start it and wait until it says where it listens."""
        self._process = subprocess.Popen(
            [sys.executable, *(part.format(port=self.port) for part in self.command)],
            cwd=ROOT,
            env={**os.environ, "PARLOUR_SECRET_KEY": "of-a-test", "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        ports: queue.Queue[int] = queue.Queue()
        self._reader = threading.Thread(target=self._read, args=(self._process, ports))
        self._reader.start()
        try:
            self.port = ports.get(timeout=START_S)
        except queue.Empty:
            self.stop()
            raise RuntimeError(f"the server did not start:\n{self.output}") from None

    def _read(self, process: subprocess.Popen[str], ports: queue.Queue[int]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self._lines.append(line)
                listening = re.search(r" at:? http://127\.0\.0\.1:(\d+)", line)
                if listening:
                    ports.put(int(listening[1]))

    def stop(self) -> None:
        """End it as a deployment does, with SIGTERM."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        finally:
            process.wait()
            if self._reader is not None:
                self._reader.join()


@contextmanager
def running(program: Program) -> Iterator[Program]:
    """Start a server, and stop it in the end."""
    program.start()
    try:
        yield program
    finally:
        program.stop()


def gunicorn(application: str) -> Program:
    """Return ``gunicorn -k gevent`` with an application of the project."""
    options = ("-k", "gevent", "--graceful-timeout", "2", "--no-control-socket")
    return Program("-m", "gunicorn", *options, "--bind", "127.0.0.1:{port}", application)


def runserver() -> Program:
    """Return Django's development server with the site."""
    manage = "example_app/django_site/manage.py"
    return Program(manage, "runserver", "--noreload", "127.0.0.1:{port}")
