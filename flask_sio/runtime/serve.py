"""What `SocketIO.run` starts: gevent's pywsgi, or Werkzeug's development server."""

from __future__ import annotations

import _thread
import difflib
import inspect
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from werkzeug._reloader import reloader_loops
from werkzeug.serving import is_running_from_reloader, run_simple

from flask_sio.runtime.loop import is_patched

if TYPE_CHECKING:
    from flask_sio.runtime.pywsgi import GeventServer

__all__ = ["Plan", "run_pywsgi", "run_werkzeug"]


class Application(Protocol):
    """A Flask application, as far as this file knows it."""

    debug: bool

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]: ...
    def run(self, host: str, port: int, debug: bool, **options: Any) -> None: ...


@dataclass(slots=True)
class Plan:
    """What to serve, and how."""

    app: Application
    host: str
    port: int
    options: dict[str, Any]
    """The WSGI server's own; names it does not have are refused."""
    reloader: dict[str, Any] | None
    """Options of Werkzeug's reloader; None runs without one."""
    log_output: bool
    """Log each request; Werkzeug's server always does."""
    shutdown: Callable[[], object]
    """Says good-bye to the clients; called before the server ends."""
    on_start: Callable[[Callable[[], None] | None, Any], None]
    """Told how to stop the server, and pywsgi's object; (None, None) when it has ended."""


def run_pywsgi(plan: Plan) -> None:
    """Serve with gevent's pywsgi until it is stopped.

    Raises:
        TypeError: an option that pywsgi does not have.
    """
    from flask_sio.runtime.pywsgi import OPTIONS, GeventServer

    _check_options(plan.options, OPTIONS, "gevent's pywsgi")
    if plan.reloader is not None and not is_running_from_reloader():
        _respawn(_reloader(plan.reloader))
        return
    server = GeventServer(plan.app, plan.host, plan.port, plan.options, plan.log_output)
    plan.on_start(server.stop, server.wsgi_server)
    try:
        if plan.reloader is None:
            server.serve(plan.shutdown)
        else:
            with _reloader(plan.reloader) as reloader:
                _serve_until_changed(reloader, server, plan.shutdown)
    finally:
        plan.on_start(None, None)


# Not Werkzeug's run_with_reloader(): that serves in a daemon thread, where a reload cuts
# every client off, and where gevent's loop crashes the interpreter at its end.


def _reloader(options: dict[str, Any]) -> Any:
    """Return what looks for changed files; the options are run_with_reloader()'s."""
    options = dict(options)
    if "reloader_interval" in options:  # app.run()'s name for it
        options["interval"] = options.pop("reloader_interval")
    # Watchdog waits in C, which would stop every greenlet of a patched process.
    kind = options.pop("reloader_type", "stat" if is_patched() else "auto")
    return reloader_loops[kind](**options)


def _respawn(reloader: Any) -> None:
    """Run this program again, in a child, for as long as that ends because of a change."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        sys.exit(reloader.restart_with_reloader())
    except KeyboardInterrupt:
        pass


def _serve_until_changed(
    reloader: Any, server: GeventServer, shutdown: Callable[[], object]
) -> None:
    """Serve until it is stopped or a file has changed; then ask the parent for a new child."""
    code: list[Any] = []

    def watch() -> None:
        try:
            reloader.run()
        except SystemExit as end:
            code.append(end.code)
            server.stop()

    threading.Thread(target=watch, name="flask_sio reloader", daemon=True).start()
    server.serve(shutdown)
    if code:
        sys.exit(code[0])


def run_werkzeug(plan: Plan, without_terminal: bool) -> None:
    """Serve with Werkzeug's development server, a thread per request, until it is stopped.

    Raises:
        TypeError: an option that it does not have.
        RuntimeError: no terminal, and so no developer, where ``without_terminal`` is False.
    """
    if not without_terminal and (sys.stdin is None or not sys.stdin.isatty()):
        raise RuntimeError(
            "Werkzeug's server is for development. Use gunicorn or async_mode='gevent', or "
            "pass allow_unsafe_werkzeug=True to run()"
        )
    known = {*inspect.signature(run_simple).parameters, "load_dotenv"}
    _check_options(plan.options, known, "Werkzeug's run_simple()")
    options = {"threaded": True, "use_reloader": plan.reloader is not None, **plan.options}
    for name, value in (plan.reloader or {}).items():
        # the reloader's name for it, and app.run()'s
        options["reloader_interval" if name == "interval" else name] = value
    plan.on_start(_thread.interrupt_main, None)  # ends serve_forever() as CTRL+C does
    before: Any = None
    try:
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    except ValueError:  # not the main thread
        pass
    try:
        plan.app.run(plan.host, plan.port, plan.app.debug, **options)
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)
        plan.on_start(None, None)
        plan.shutdown()


def _check_options(options: dict[str, Any], known: Iterable[str], server: str) -> None:
    """Refuse options that the server does not have.

    Raises:
        TypeError: names the option, the server, and the nearest name that is known.
    """
    for name in options:
        if name not in known:
            near = difflib.get_close_matches(name, sorted(known), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise TypeError(f"neither run() nor {server} has an option {name!r}{hint}")
