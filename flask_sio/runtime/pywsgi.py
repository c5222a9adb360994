"""Start gevent's own WSGI server and end it in order."""

from __future__ import annotations

import inspect
import logging
import signal
import sys
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

from gevent.event import Event
from gevent.pywsgi import WSGIServer
from gevent.ssl import wrap_socket

from flask_sio.runtime.loop import is_patched

__all__ = ["OPTIONS", "GeventServer"]

logger = logging.getLogger("flask_sio.runtime")

_UNPATCHED = (
    "gevent serves a process that is not monkey-patched: while a handler waits (time.sleep, a "
    "database, requests), every client waits. Let the program begin with: "
    "from gevent import monkey; monkey.patch_all()"
)


_SIGNAL_S = 0.5
"""How often the hub wakes for signals. One that comes right before it begins to wait for
sockets does not wake it, and Python's handler runs in the next round only."""


def _parameters(function: Callable[..., Any], *without: str) -> set[str]:
    return set(inspect.signature(function).parameters).difference(without)


_TLS = _parameters(wrap_socket, "sock") | {"ssl_context"}
OPTIONS = _TLS | _parameters(WSGIServer.__init__, "self", "listener", "application", "ssl_args")
"""What pywsgi can be told."""


class GeventServer:
    """One run of pywsgi.

    ``options`` go to `gevent.pywsgi.WSGIServer`: `OPTIONS` are their names, those of TLS
    (``certfile``, ``keyfile``, ``ssl_context``, ...) among them.
    """

    def __init__(
        self,
        app: Callable[..., Any],
        host: str,
        port: int,
        options: Mapping[str, Any],
        log_output: bool = False,
    ) -> None:
        self.https = any(name in _TLS for name in options)
        self.wsgi_server = WSGIServer(
            (host, port), app, **{"log": "default" if log_output else None, **options}
        )
        self._host = host
        self._stopped = Event()

    def serve(self, shutdown: Callable[[], object]) -> None:
        """Serve until `stop`, SIGINT or SIGTERM, then say good-bye to the clients.

        ``shutdown`` is called while the server still runs. Signals end it in the main
        thread only.
        """
        if not is_patched():
            logger.warning(_UNPATCHED)
        before = self._take_signals()
        try:
            self.wsgi_server.start()
            sys.stderr.write(f" * Running on {self.address}\nPress CTRL+C to quit\n")
            sys.stderr.flush()
            while not self._stopped.wait(_SIGNAL_S):
                pass
        finally:
            # A second CTRL+C must end a shutdown that hangs.
            for number, handler in before.items():
                signal.signal(number, handler)
            shutdown()
            self.wsgi_server.stop()

    def stop(self) -> None:
        """Let `serve` end. Never waits; any thread, a signal handler too."""
        self._stopped.set()

    @property
    def address(self) -> str:
        """The URL that is served; the port is the real one once `serve` has begun."""
        scheme = "https" if self.https else "http"
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{scheme}://{host}:{self.wsgi_server.server_port}"

    def _take_signals(self) -> dict[signal.Signals, Any]:
        """Make the signals call `stop`; return the handlers that were there before."""

        def stop(_number: int, _frame: FrameType | None) -> None:
            self.stop()

        before = {}
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                before[number] = signal.signal(number, stop)
            except ValueError:  # not the main thread
                break
        return before
