"""Serve ``module:attribute`` by one of the servers that have no command of their own.

Usage: ``python -m tests.servers.serve KIND MODULE:ATTRIBUTE PORT [CERTFILE KEYFILE]``
"""

from __future__ import annotations

import importlib
import logging
import signal
import sys
from collections.abc import Callable
from typing import Any

App = Callable[..., Any]
HOST = "127.0.0.1"


def load(spec: str) -> App:
    module, _, attribute = spec.partition(":")
    app: App = getattr(importlib.import_module(module), attribute)
    return app


def pywsgi(spec: str, port: int, *tls: str) -> None:
    from gevent.pywsgi import WSGIServer

    options = {"certfile": tls[0], "keyfile": tls[1]} if tls else {}
    end_greenlets_at_sigterm()
    WSGIServer((HOST, port), load(spec), **options).serve_forever()


def pywsgi_patched(spec: str, port: int) -> None:
    from gevent import monkey

    monkey.patch_all()
    pywsgi(spec, port)


def geventwebsocket(spec: str, port: int) -> None:
    from gevent.pywsgi import WSGIServer
    from geventwebsocket.handler import WebSocketHandler

    end_greenlets_at_sigterm()
    WSGIServer((HOST, port), load(spec), handler_class=WebSocketHandler).serve_forever()


def werkzeug(spec: str, port: int, *tls: str) -> None:
    from werkzeug.serving import run_simple

    run_simple(HOST, port, load(spec), threaded=True, ssl_context=tls or None)


def werkzeug_patched(spec: str, port: int) -> None:
    from gevent import monkey

    monkey.patch_all()
    end_greenlets_at_sigterm()
    werkzeug(spec, port)


def werkzeug_single(spec: str, port: int) -> None:
    from werkzeug.serving import run_simple

    run_simple(HOST, port, load(spec), threaded=False)


def wsgiref(spec: str, port: int) -> None:
    from wsgiref.simple_server import make_server

    make_server(HOST, port, load(spec)).serve_forever()


def runserver(spec: str, port: int) -> None:
    """Any WSGI application under Django's development server."""
    from django.conf import settings
    from django.core.management import execute_from_command_line

    settings.configure(
        DEBUG=True,
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        WSGI_APPLICATION=spec.replace(":", "."),
    )
    execute_from_command_line(["manage.py", "runserver", "--noreload", f"{HOST}:{port}"])


urlpatterns: list[Any] = []  # read by Django, see runserver()


def cheroot(spec: str, port: int, *tls: str) -> None:
    from cheroot.wsgi import Server

    server = Server((HOST, port), load(spec), numthreads=4, request_queue_size=256)
    if tls:
        from cheroot.ssl.builtin import BuiltinSSLAdapter

        server.ssl_adapter = BuiltinSSLAdapter(*tls)
    server.safe_start()


def waitress(spec: str, port: int) -> None:
    from waitress import serve

    # Each parked poll holds a thread here.
    serve(load(spec), host=HOST, port=port, threads=16)


KINDS: dict[str, Callable[..., None]] = {
    "pywsgi": pywsgi,
    "pywsgi-patched": pywsgi_patched,
    "geventwebsocket": geventwebsocket,
    "werkzeug": werkzeug,
    "werkzeug-patched": werkzeug_patched,
    "werkzeug-single": werkzeug_single,
    "wsgiref": wsgiref,
    "runserver": runserver,
    "cheroot": cheroot,
    "waitress": waitress,
}


def end_greenlets_at_sigterm() -> None:
    """Exit by the main greenlet; a Python handler raises in whichever happens to run."""
    import gevent

    gevent.signal_handler(signal.SIGTERM, sys.exit, 0)


def main() -> None:
    logging.basicConfig(level=logging.INFO)
    kind, spec, port, *options = sys.argv[1:]
    # These servers die of SIGTERM without a word; an ordinary end runs atexit hooks.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        KINDS[kind](spec, int(port), *options)
    except (KeyboardInterrupt, SystemExit):
        pass


if __name__ == "__main__":
    main()
