"""The servers that are measured, each installed from its published packages."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
CACHE = HERE / ".cache"
GUNICORN = ("gunicorn[gevent]", "packaging")  # its gevent worker imports that, undeclared


class MissingError(Exception):
    """What a peer needs is not on this machine."""


@dataclass(frozen=True, slots=True)
class Peer:
    """One server: how it is installed and how it is started."""

    title: str
    command: Callable[[str, int], list[str]]
    """The argument list, from its interpreter (or program) and a port."""
    prepare: Callable[[], str]
    """Install what it needs, if that is not there; return the interpreter or program."""
    env: Mapping[str, str] = field(default_factory=dict)
    extras: frozenset[str] = frozenset()
    """Values of BENCH_EXTRA it understands."""
    can_poll: bool = True


def prepare_c(name: str) -> str:
    """Compile one of the C programs here; return the path of the result.

    Raises:
        MissingError: no C compiler.
    """
    source, target = HERE / f"{name}.c", CACHE / name
    if target.exists() and target.stat().st_mtime >= source.stat().st_mtime:
        return str(target)
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise MissingError("a C compiler (gcc) is missing")
    CACHE.mkdir(exist_ok=True)
    flags = ["-O2", "-std=gnu11", "-Wall", "-Wextra"]
    subprocess.run([compiler, *flags, "-o", target, source], check=True)
    return str(target)


def prepare_python(name: str, *requirements: str) -> str:
    """Make a venv with these requirements, if there is none; return its interpreter."""
    folder = CACHE / name
    python, stamp, wanted = folder / "bin" / "python", folder / "installed", "\n".join(requirements)
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"installing {' '.join(requirements)}", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        pip = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
        subprocess.run([*pip, *requirements], cwd=ROOT, check=True)
        stamp.write_text(wanted)
    return str(python)


def prepare_node() -> str:
    """Install the npm packages that package-lock.json names; return the path of node.

    Raises:
        MissingError: no node, or no npm.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise MissingError("node and npm are missing")
    lock, stamp = HERE / "package-lock.json", HERE / "node_modules" / ".package-lock.json"
    if not stamp.exists() or stamp.stat().st_mtime < lock.stat().st_mtime:
        print("installing the npm packages of Node's socket.io", file=sys.stderr)
        subprocess.run([npm, "ci", "--loglevel=error"], cwd=HERE, check=True)
        stamp.touch()
    return node


def gunicorn(app: str) -> Callable[[str, int], list[str]]:
    def command(python: str, port: int) -> list[str]:
        worker = ["-k", "gevent", "-w", "1", "--worker-connections", "20000"]
        return [python, "-m", "gunicorn", *worker, "-b", f"127.0.0.1:{port}", app]

    return command


FLASK_APP = "benchmarks.apps.flask_app:app"
PEERS = {
    "flask_socketio": Peer(
        "Flask-SocketIO 5.7, gunicorn -k gevent",
        gunicorn(FLASK_APP),
        lambda: prepare_python("flask_socketio", "flask-socketio==5.7.*", *GUNICORN),
        {"BENCH_EXTENSION": "flask_socketio"},
        frozenset({"thread", "burn"}),
    ),
    "node": Peer(
        "Node socket.io 4.8 + bufferutil",
        lambda node, port: [node, str(HERE / "apps" / "node_app.js"), str(port)],
        prepare_node,
        extras=frozenset({"thread"}),
    ),
    "ours": Peer(
        "flask_sio, gunicorn -k gevent",
        gunicorn(FLASK_APP),
        lambda: prepare_python("ours", "--editable", ".", *GUNICORN),
        {"BENCH_EXTENSION": "flask_sio"},
        frozenset({"thread", "burn"}),
    ),
    "ours_fast": Peer(
        "flask_sio[fast], gunicorn -k gevent",
        gunicorn(FLASK_APP),
        lambda: prepare_python("ours_fast", "--editable", ".[fast]", *GUNICORN),
        {"BENCH_EXTENSION": "flask_sio"},
        frozenset({"thread", "burn"}),
    ),
    "ours_wsgi": Peer(
        "flask_sio without Flask, gunicorn -k gevent",
        gunicorn("benchmarks.apps.plain_app:app"),
        lambda: prepare_python("ours", "--editable", ".", *GUNICORN),
    ),
    "ceiling": Peer(
        "C and epoll, no protocol",
        lambda program, port: [program, str(port)],
        lambda: prepare_c("ceiling"),
        can_poll=False,
    ),
}
"""By name; the first two are what ratios are taken to."""
STANDARD = ("flask_socketio", "node", "ours", "ceiling")
REFERENCES = ("flask_socketio", "node")
