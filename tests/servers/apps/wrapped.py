"""Servers behind the middleware that programs put around an application, one below each name."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import sentry_sdk
from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sentry_sdk.integrations.wsgi import SentryWsgiMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

from flask_sio import Server, WSGIApp

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

spans, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
reports: list[Any] = []


class Transport(sentry_sdk.transport.Transport):
    """Keeps what Sentry would send."""

    def capture_envelope(self, envelope: Any) -> None:
        reports.extend(item.payload.json for item in envelope.items)


sentry_sdk.init(dsn="https://key@sentry.invalid/1", transport=Transport, traces_sample_rate=1.0)


def buffering(app: App) -> App:
    """Collect the whole answer, and only then begin it, with its length."""

    def collect(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        begun: list[Any] = []
        answer = app(environ, lambda *args: begun.append(args))
        try:
            body = b"".join(answer)
        finally:
            if hasattr(answer, "close"):
                answer.close()
        status, headers, *_ = begun[0]
        headers = [each for each in headers if each[0].lower() != "content-length"]
        start_response(status, [*headers, ("Content-Length", str(len(body)))])
        return [body]

    return collect


def proxied(app: App) -> App:
    return ProxyFix(app, x_for=1, x_proto=1, x_host=1)


def traced(app: App) -> App:
    made: App = OpenTelemetryMiddleware(app, tracer_provider=provider)
    return made


def pages(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Tell what Sentry and OpenTelemetry have seen."""
    told = {
        "transactions": [each["transaction"] for each in reports if each],
        "errors": [each for each in reports if each and each.get("type") != "transaction"],
        "statuses": [
            (each.attributes or {}).get("http.status_code") for each in spans.get_finished_spans()
        ],
    }
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(told, default=str).encode()]


def below(wrap: Callable[[App], App]) -> App:
    server = Server()

    @server.on("where")
    def where(sid: str, number: int) -> list[Any]:
        environ = server.get_environ(sid)
        assert environ is not None
        return [number, environ["REMOTE_ADDR"], server.transport(sid)]

    return wrap(WSGIApp(server, pages))


MOUNTS: dict[str, App] = {
    "proxied": below(proxied),
    "buffering": below(buffering),
    "sentry": below(SentryWsgiMiddleware),
    "traced": below(traced),
    "all": below(lambda app: proxied(buffering(SentryWsgiMiddleware(traced(app))))),
}


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Pass a request on to the mount that its path begins with."""
    _, name, rest = environ["PATH_INFO"].split("/", 2)
    environ["SCRIPT_NAME"], environ["PATH_INFO"] = f"/{name}", f"/{rest}"
    return MOUNTS[name](environ, start_response)
