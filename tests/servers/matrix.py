"""The servers of the matrix: which command starts which application."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.servers.launch import gunicorn, serve

FLASK = "tests.servers.apps.flask_app:app"
PLAIN = "tests.servers.apps.plain:app"
DJANGO = "tests.servers.apps.django_site.wsgi:application"
WEBSOCKET_WORKER = "geventwebsocket.gunicorn.workers.GeventWebSocketWorker"


@dataclass(frozen=True)
class Spec:
    """How one server of the matrix is started, and what it can do."""

    command: Callable[[int], list[str]]
    tls: bool = False
    env: dict[str, str] = field(default_factory=dict)
    interrupt: bool = False
    """Stopped as a terminal stops it: SIGINT to the whole group."""
    clients: int = 200
    """How many it takes at once."""

    def argv(self, port: int, cert: Path, key: Path) -> list[str]:
        encrypted = ["--certfile", str(cert), "--keyfile", str(key)] if self.tls else []
        return [*self.command(port), *encrypted]


def by_gunicorn(
    app: str, worker: str, *options: str, tls: bool = False, clients: int = 200
) -> Spec:
    # A client on a busy machine may use a connection again just as gunicorn's two seconds are over.
    options = ("--keep-alive", "20", *options)
    return Spec(lambda port: gunicorn(app, port, worker, *options), tls=tls, clients=clients)


def by_serve(kind: str, app: str) -> Spec:
    return Spec(lambda port: serve(kind, app, port))


def flask_run(*options: str) -> Spec:
    command = [sys.executable, "-m", "flask", "--app", FLASK, "run", *options]
    return Spec(lambda port: [*command, "--port", str(port)], interrupt=True)


def socketio_run(port: int) -> list[str]:
    return [sys.executable, "-m", "tests.servers.apps.flask_app", str(port)]


def manage_py(port: int) -> list[str]:
    return [sys.executable, "-m", "django", "runserver", "--noreload", f"127.0.0.1:{port}"]


SERVERS: dict[str, Spec] = {
    "gunicorn-gevent": by_gunicorn(FLASK, "gevent"),
    "gunicorn-gevent-plain": by_gunicorn(PLAIN, "gevent"),
    "gunicorn-gevent-django": by_gunicorn(DJANGO, "gevent"),
    "gunicorn-gevent-tls": by_gunicorn(FLASK, "gevent", tls=True, clients=50),
    "gunicorn-gthread": by_gunicorn(FLASK, "gthread", "--threads", "4"),
    # A parked WebSocket holds its thread here: as many threads as sockets, and some.
    "gunicorn-gthread-tls": by_gunicorn(FLASK, "gthread", "--threads", "40", tls=True, clients=30),
    "gunicorn-geventwebsocket": by_gunicorn(FLASK, WEBSOCKET_WORKER),
    "gunicorn-sync": by_gunicorn(PLAIN, "sync"),
    "pywsgi": by_serve("pywsgi", PLAIN),
    "pywsgi-geventwebsocket": by_serve("geventwebsocket", FLASK),
    "flask-run": flask_run(),
    # Who edits a file while the tests run does not restart it.
    "flask-run-debug": flask_run("--debug", "--exclude-patterns", "*"),
    "socketio-run": Spec(socketio_run),
    "runserver": Spec(
        manage_py,
        env={"DJANGO_SETTINGS_MODULE": "tests.servers.apps.django_site.settings"},
        clients=30,  # its queue of connections to accept holds ten
    ),
    "cheroot": by_serve("cheroot", PLAIN),
}
