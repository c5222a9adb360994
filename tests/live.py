"""A server in this process, on either runtime, for clients on plain blocking sockets.

gevent's hub and werkzeug's threads both run beside the test's own thread, which therefore
is the "foreign OS thread" of the design: whatever a test calls on `Live.server` proves
that it may be called from one.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

from flask_sio import Server, WSGIApp

Runtime = Literal["gevent", "threading"]
RUNTIMES: tuple[Runtime, ...] = ("gevent", "threading")
WAIT_S = 20
"""Far longer than anything takes: a wait that ends by it is a failure."""


class Live:
    """A running server and where it listens."""

    def __init__(self, runtime: Runtime, server: Server, port: int) -> None:
        self.runtime = runtime
        self.server = server
        self.port = port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self) -> socket.socket:
        """Return a fresh connection; reading from it fails after `WAIT_S`."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=WAIT_S)

    def settle(self) -> None:
        """Wait until everything asked for so far has had its turn."""
        self.server.engine.loop.call(lambda: None)

    def until(self, test: Callable[[], Any]) -> Any:
        """Return what ``test`` gives in the owner's turn once it is true."""
        loop = self.server.engine.loop
        met = threading.Event()
        found: list[Any] = []

        def look() -> None:
            value = test()
            if value:
                found.append(value)
                met.set()
            elif not met.is_set():
                loop.call_at(loop.now() + 0.01, look)

        loop.run(look)
        if not met.wait(WAIT_S):
            met.set()
            raise AssertionError(f"never came true: {test}")
        return found[0]


@contextmanager
def serve(runtime: Runtime, app: Callable[..., Any], server: Server) -> Iterator[Live]:
    """Run ``app`` while entered; at the end nothing of its clients may be left."""
    with (_gevent if runtime == "gevent" else _threads)(app) as port:
        live = Live(runtime, server, port)
        try:
            yield live
        finally:
            _check_clean(live)


def _check_clean(live: Live) -> None:
    engine = live.server.engine
    if not engine.has_loop:
        return
    assert live.server.shutdown(WAIT_S), f"streams left: {engine.streams}"
    assert engine.connections == {}
    spaces = live.server._spaces.values()
    assert [space.rooms.everyone for space in spaces if space.rooms.everyone] == []
    assert [space.rooms._rooms for space in spaces if space.rooms._rooms] == []


@contextmanager
def _threads(app: Callable[..., Any]) -> Iterator[int]:
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"

        def log(self, type: str, message: str, *args: Any) -> None: ...

    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def _gevent(app: Callable[..., Any]) -> Iterator[int]:
    started = threading.Event()
    state: dict[str, Any] = {}

    def main() -> None:
        import gevent
        from gevent.pywsgi import WSGIServer

        state["stop"] = gevent.get_hub().loop.async_()
        stopped = gevent.event.Event()
        state["stop"].start(stopped.set)
        server = WSGIServer(("127.0.0.1", 0), app, log=None, error_log=None)
        server.start()
        state["port"] = server.server_port
        started.set()
        stopped.wait()
        server.stop(timeout=1)
        state["stop"].close()
        gevent.get_hub().destroy(destroy_loop=True)

    thread = threading.Thread(target=main)
    thread.start()
    assert started.wait(WAIT_S)
    try:
        yield state["port"]
    finally:
        state["stop"].send()
        thread.join(WAIT_S)
        assert not thread.is_alive()


@contextmanager
def plain(runtime: Runtime, server: Server) -> Iterator[Live]:
    """Run a server without any application beside it."""
    with serve(runtime, WSGIApp(server), server) as live:
        yield live
