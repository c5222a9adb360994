"""A server with few descriptors, for test_descriptors.py.

Usage: ``python -m tests.runtime.limited_app KIND PORT LIMIT [MAX_CONNECTIONS]``. Route
``/take?N`` opens files until N descriptors are left, ``/give`` closes them.
"""

from __future__ import annotations

import logging
import os
import resource
import sys
from collections.abc import Iterable
from typing import Any

from flask_sio import Server, WSGIApp
from tests.servers.serve import end_greenlets_at_sigterm

taken: list[int] = []


def take(left: int) -> None:
    while True:
        try:
            taken.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            break
    for _ in range(left):
        os.close(taken.pop())


def give() -> None:
    while taken:
        os.close(taken.pop())


def pages(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/take":
        take(int(environ["QUERY_STRING"]))
    else:
        give()
    start_response("200 OK", [("Content-Length", "4")])
    return [b"done"]


def main() -> None:
    kind, port, limit = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (limit, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    )
    server = Server(max_connections=int(sys.argv[4]) if len(sys.argv) > 4 else None)
    server.on("echo", lambda sid, data: data)
    server.on("shout", lambda sid, data: server.emit("shouted", data))
    app = WSGIApp(server, pages)
    if kind == "gevent":
        from gevent.pywsgi import WSGIServer

        end_greenlets_at_sigterm()
        WSGIServer(("127.0.0.1", port), app, log=None).serve_forever()
    else:
        import signal

        from cheroot.wsgi import Server as Cheroot  # werkzeug's needs descriptors to answer

        # An interrupt may catch cheroot's main thread with a lock that its own end waits for.
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
        Cheroot(("127.0.0.1", port), app, numthreads=8).safe_start()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
