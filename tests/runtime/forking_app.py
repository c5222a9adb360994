"""A server that forks while it has clients, for test_fork.py.

Usage: ``python -m tests.runtime.forking_app KIND PORT``. Routes: ``/fork?end`` forks a child
that looks around and ends as an interpreter does, ``/fork?serve`` one that serves anew on a
port of its own, ``/state`` tells of the process that answers.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from flask_sio import DisconnectedError, Server, WSGIApp
from tests.servers.serve import end_greenlets_at_sigterm

KIND = sys.argv[1] if len(sys.argv) > 1 else ""
server = Server(ping_interval=0.3, ping_timeout=20)
left: list[str] = []
listener: Any = None


@server.on("enter")
def enter(sid: str) -> None:
    server.enter_room(sid, "room")


@server.on("echo")
def echo(sid: str, data: Any) -> Any:
    return data


@server.on("shout")
def shout(sid: str, data: Any) -> None:
    server.emit("shouted", data)


@server.on("call")
def call(sid: str) -> Any:
    try:
        return server.call("ask", to=sid)
    except DisconnectedError:
        return None


@server.on("disconnect")
def disconnect(sid: str) -> None:
    left.append(sid)


def state() -> dict[str, Any]:
    engine = server.engine
    return {
        "pid": os.getpid(),
        "connections": len(engine.connections),
        "streams": len(engine.streams),
        "spaces": sorted(server._spaces),
        "has_loop": engine.has_loop,
        "left": left,
    }


def pages(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    what = environ["PATH_INFO"] + "?" + environ["QUERY_STRING"]
    answer = {"/state?": state, "/fork?end": fork_and_end, "/fork?serve": fork_and_serve}[what]()
    body = json.dumps(answer).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


app = WSGIApp(server, pages)


def fork() -> int:
    if KIND == "gevent":
        import gevent.os

        pid: int = gevent.os.fork()
        return pid
    return os.fork()


def fork_and_end() -> dict[str, Any]:
    """Return what the child saw, once it has ended as an interpreter does."""
    sockets = [stream._sock.fileno() for stream in server.engine.streams]
    reader, writer = os.pipe()
    pid = fork()
    if not pid:
        with ending():
            seen = {**state(), "open": [number for number in sockets if _is_open(number)]}
            server.emit("from the child")
            server.close_room("room")
            atexit._run_exitfuncs()
            gc.collect()
            os.write(writer, json.dumps(seen).encode())
    os.close(writer)
    with open(reader, "rb") as report:
        seen = json.load(report)
    assert os.waitpid(pid, 0) == (pid, 0)
    result: dict[str, Any] = seen
    return result


@contextmanager
def ending() -> Iterator[None]:
    """End this process with the block, and not by going on as the parent."""
    try:
        yield
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def fork_and_serve() -> dict[str, Any]:
    """Return where the child serves; it does until it is killed."""
    reader, writer = os.pipe()
    pid = fork()
    if not pid:
        with ending():
            serve_anew(writer)
    os.close(writer)
    with open(reader, "rb") as report:
        port = json.load(report)
    return {"port": port, "pid": pid}


def serve_anew(writer: int) -> None:
    def tell(port: int) -> None:
        os.write(writer, str(port).encode())
        os.close(writer)

    if KIND == "gevent":
        from gevent.event import Event
        from gevent.pywsgi import WSGIServer

        listener.stop_accepting()  # close() would end main() here
        listener.socket.close()
        mine = WSGIServer(("127.0.0.1", 0), app, log=None)
        mine.start()
        tell(mine.server_port)
        Event().wait()
    else:
        from werkzeug.serving import make_server

        http = make_server("127.0.0.1", 0, app, threaded=True)
        tell(http.server_port)
        http.serve_forever()


def main() -> None:
    global listener
    port = int(sys.argv[2])
    if KIND == "gevent":
        from gevent.pywsgi import WSGIServer

        end_greenlets_at_sigterm()
        listener = WSGIServer(("127.0.0.1", port), app, log=None)
        listener.serve_forever()
    else:
        import signal

        from werkzeug.serving import run_simple

        signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
        run_simple("127.0.0.1", port, app, threaded=True)


if __name__ == "__main__":
    main()
