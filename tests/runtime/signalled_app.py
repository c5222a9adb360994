"""A server on the hub of the main thread, where signal handlers run; for test_reentry.py.

Usage: ``python -m tests.runtime.signalled_app KIND PORT``
"""

from __future__ import annotations

import itertools
import signal
import sys
import threading
from types import FrameType

from flask_sio import Server, WSGIApp
from tests.servers.serve import end_greenlets_at_sigterm

SIGNALS = 300

server = Server(max_mailbox_events=100_000)
app = WSGIApp(server)
numbers = itertools.count()


def on_signal(number: int, frame: FrameType | None) -> None:
    count = next(numbers)
    if count < SIGNALS:
        server.emit("signal", count)
        server.rooms("nobody")
        server.leave_room("nobody", "room")
    else:
        signal.setitimer(signal.ITIMER_REAL, 0)


@server.on("begin")
def begin(sid: str) -> None:
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)


@server.on("echo")
def echo(sid: str, number: int) -> int:
    server.emit("broadcast", number)
    server.enter_room(sid, number % 10)
    return number


def main() -> None:
    kind, port = sys.argv[1], int(sys.argv[2])
    signal.signal(signal.SIGALRM, on_signal)
    if kind == "gevent":
        from gevent.pywsgi import WSGIServer

        end_greenlets_at_sigterm()
        WSGIServer(("127.0.0.1", port), app, log=None).serve_forever()
    else:
        from werkzeug.serving import make_server

        # Any thread may start the timer, the handler runs in this one: it emits too.
        http = make_server("127.0.0.1", port, app, threaded=True)
        threading.Thread(target=http.serve_forever, daemon=True).start()
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
        while True:
            server.emit("main", None, to="nobody")


if __name__ == "__main__":
    main()
