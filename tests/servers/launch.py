"""Start a WSGI server in a process of its own, read its log, and always stop it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gunicorn import version_info as gunicorn_version

from tests.servers import gunicorn_conf

ROOT = Path(__file__).resolve().parents[2]
READY_S = 20.0
STOP_S = 10.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Running:
    """A server that answers on ``port``; its output is in ``log_path``."""

    process: subprocess.Popen[bytes]
    port: int
    log_path: Path
    name: str = ""
    cafile: Path | None = None
    """Its certificate, where it speaks TLS."""
    interrupt: bool = False
    """Stop it as a terminal does: SIGINT to the whole group, a reloader's child included."""

    @property
    def url(self) -> str:
        return f"{'https' if self.cafile else 'http'}://127.0.0.1:{self.port}"

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def tail(self) -> str:
        """The end of the log, for the message of a failed test."""
        return "log of the server:\n" + "\n".join(self.log().splitlines()[-60:])

    def connect(self, timeout_s: float = 10.0) -> socket.socket:
        """Return a connection, encrypted where the server wants it."""
        plain = socket.create_connection(("127.0.0.1", self.port), timeout_s)
        if self.cafile is None:
            return plain
        context = ssl.create_default_context(cafile=str(self.cafile))
        try:
            return context.wrap_socket(plain, server_hostname="localhost")
        except OSError:
            plain.close()
            raise

    def wait(self, timeout_s: float = STOP_S) -> int:
        """Return the exit code once the process has ended by itself."""
        return self.process.wait(timeout_s)

    def send(self, number: int) -> None:
        """Send a signal: to the process that was started, SIGINT to its group if so asked."""
        if self.interrupt and number == signal.SIGINT:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.send(signal.SIGINT if self.interrupt else signal.SIGTERM)
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            # The whole group: a worker must not outlive its master here.
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            raise AssertionError(f"the server did not stop; {self.tail()}") from None

    def assert_clean_log(self) -> None:
        log = _LEFT_DURING_HANDSHAKE.sub("", self.log())
        for word in ("Traceback", "Exception ignored", "WORKER TIMEOUT", "ResourceWarning"):
            place = log.find(word)
            assert place < 0, (
                f"{word} in the log of the server:\n{log[max(0, place - 500) :][:5000]}"
            )


# gevent's server reports each client that goes away within its TLS handshake, as a browser
# does that aborts a request.
_LEFT_DURING_HANDSHAKE = re.compile(
    r"Traceback \(most recent call last\):\n(?:  .*\n)*?"
    r"    self\._sslobj\.do_handshake\(\)\n"
    r"(?:ssl\.SSLEOFError|ConnectionResetError).*\n.* failed with .*\n"
)


@contextlib.contextmanager
def launched(
    argv: Sequence[str],
    port: int,
    log_path: Path,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
    cafile: Path | None = None,
    interrupt: bool = False,
    clean: bool = True,
    workers: int = 0,
) -> Iterator[Running]:
    """Run ``argv`` until the block ends; if ``clean``, its log must hold no traceback.

    With ``workers``, wait until so many of gunicorn's have started. One that is told to stop
    while it boots may never hear of it, and its master then waits for it.
    """
    full_env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **(env or {})}
    full_env.pop("FLASK_DEBUG", None)
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=full_env,
            start_new_session=True,
            # A shell's background job ignores SIGINT, and hands that on to us and to it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
    server = Running(process, port, log_path, cafile=cafile, interrupt=interrupt)
    try:
        _wait_until(server, "listen", lambda: _listens(server))
        started(server, workers)
        yield server
    finally:
        try:
            server.stop()
        finally:
            # Workers and reloader children that outlived the process we started.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    if clean:
        server.assert_clean_log()


def started(server: Running, workers: int) -> None:
    """Wait until so many of gunicorn's workers have started, those that have ended included."""
    _wait_until(server, "start", lambda: server.log().count(gunicorn_conf.READY) >= workers)


def _listens(server: Running) -> bool:
    try:
        server.connect(1.0).close()
    except OSError:
        return False
    return True


def _wait_until(server: Running, what: str, holds: Callable[[], bool]) -> None:
    # The one place that has to ask again and again: no server tells when it listens
    # in a way that all of them share.
    deadline = time.monotonic() + READY_S
    while not holds():
        ended = server.process.poll()
        if ended is not None or time.monotonic() > deadline:
            raise AssertionError(f"the server does not {what} (exit code {ended}); {server.tail()}")
        time.sleep(0.02)


def gunicorn(app: str, port: int, worker: str, *options: str) -> list[str]:
    """Return the command line of gunicorn, with one worker of this class if no option says more."""
    return [
        sys.executable,
        "-m",
        "gunicorn",
        "-c",
        gunicorn_conf.__file__,
        "-k",
        worker,
        "-b",
        f"127.0.0.1:{port}",
        "--access-logfile",
        "-",
        *(["--no-control-socket"] if gunicorn_version >= (25, 1) else []),
        *options,
        app,
    ]


def serve(kind: str, app: str, port: int, *options: str) -> list[str]:
    """Return the command line of a server that `tests.servers.serve` starts."""
    return [sys.executable, "-m", "tests.servers.serve", kind, app, str(port), *options]


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a self-signed certificate for 127.0.0.1; return its path and its key's."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    wanted = (
        "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
        " -addext subjectAltName=DNS:localhost,IP:127.0.0.1"
    )
    files = ["-keyout", str(key), "-out", str(cert)]
    command = ["openssl", "req", "-x509", *wanted.split(), *files]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key
