"""The HTTP endpoint of the engine: handshake, GET, POST, WebSocket (protocol sheet 1).

`Endpoint.handle` runs in the server's thread or greenlet. It reads and writes HTTP there,
and does everything to a connection in the owner's turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextvars import copy_context
from typing import Any

from flask_sio.engine import http
from flask_sio.engine.body import BodyDeadline
from flask_sio.engine.connection import Connection
from flask_sio.engine.environ import slim
from flask_sio.engine.gate import EngineRequest, Refusal, check
from flask_sio.engine.hooks import merged
from flask_sio.engine.http import Response
from flask_sio.engine.owned import BrokenPost, answer_get, decode_post, read_post
from flask_sio.engine.payload import Packets
from flask_sio.engine.polling import Answer, HeldPoll
from flask_sio.engine.release import AbortWatch, ReleasedPoll
from flask_sio.engine.server import Engine, Session
from flask_sio.engine.upgrade import Upgrade
from flask_sio.runtime import takeover

StartResponse = Callable[..., Any]
Environ = dict[str, Any]


class Endpoint:
    """Answers the requests that `gate.matches` sends here."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def handle(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request; the WSGI application of the engine."""
        engine = self._engine
        if not engine.is_ready:
            found = takeover.find(environ, start_response)
            engine.make_ready(None if found is None else found.is_gevent)
        if engine.options.health and environ.get("PATH_INFO", "").endswith("/health"):
            return self._health().send(start_response)
        request = EngineRequest.from_environ(environ)
        if request.method == "OPTIONS":
            return engine.cors.preflight(environ).send(start_response)
        session = engine.session(request)
        if session is None or request.is_upgrade:
            engine.loop.line_up()
        refusal = check(request, lambda _: session, engine)
        if refusal is None and not request.sid and engine.options.allow_request is not None:
            refusal = engine.hooks.admits(engine.options.allow_request, request)
        if refusal is not None:
            return self._refuse(request, refusal, start_response)
        # Now, since a poll that is held may be answered in the owner's turn.
        request.added = engine.hooks.add_headers(request)
        if request.is_upgrade:
            return Upgrade(engine, request, session).answer(start_response)
        if session is None:
            return self._handshake(request, start_response)
        if request.method == "GET":
            return self._poll(request, session, start_response)
        if request.method == "POST":
            return self._send(request, self._post(request, session, start_response), start_response)
        return self._send(request, http.method_not_allowed(), start_response)

    def _health(self) -> Response:
        """Answer whether this worker takes clients: 200, or 503 with the same body."""
        engine = self._engine
        lag_s = engine.lag_s(http.HEALTH_S)
        state = "draining" if engine.is_draining else "ok" if lag_s < http.HEALTH_S else "stalled"
        body = {"status": state, "clients": len(engine.connections), "lag_s": round(lag_s, 4)}
        return http.health(state == "ok", body)

    # -- answers -----------------------------------------------------------------------

    def _send(
        self, request: EngineRequest, response: Response, start_response: StartResponse
    ) -> list[bytes]:
        self._dress(request, response)
        return response.send(start_response, head=request.method == "HEAD")

    def _dress(self, request: EngineRequest, response: Response) -> None:
        """Add the headers that do not depend on what is answered."""
        response.headers.extend(self._engine.cors.headers(request.environ))
        if request.added and response.status.startswith("200 "):
            response.headers = merged(response.headers, request.added)

    def _refuse(
        self, request: EngineRequest, refusal: Refusal, start_response: StartResponse
    ) -> list[bytes]:
        if refusal.context == "INVALID_ORIGIN":
            self._engine.warn_once(
                "refused a request from origin %.200r; cors_allowed_origins decides which "
                "may connect, ProxyFix or trusted_proxies what a proxy forwards (said once)",
                request.origin,
            )
        elif refusal.code == 5 or refusal.context == "JSONP_OFF":
            self._engine.warn_once("refused a client: %s (said once)", refusal.message)
        self._engine.hooks.refused(request, refusal)
        return self._send(request, http.refusal(request.is_upgrade, refusal), start_response)

    def _compressed(self, request: EngineRequest, response: Response) -> Response:
        options = self._engine.options
        if options.http_compression and response.status == "200 OK":
            accepted = request.environ.get("HTTP_ACCEPT_ENCODING")
            response = http.compress(response, accepted, options.compression_threshold)
        return response

    # -- GET ---------------------------------------------------------------------------

    def _handshake(self, request: EngineRequest, start_response: StartResponse) -> list[bytes]:
        engine, environ = self._engine, dict(request.environ)
        not_let_in = engine.admission.refusal(environ)
        if not_let_in is not None:
            return self._send(request, not_let_in, start_response)
        sid = engine.new_sid()
        if sid is None:
            refusal = Refusal(3, "ID_GENERATION_ERROR", http.ERRORS[3][1])
            return self._refuse(request, refusal, start_response)
        upgrades = self._upgrades(environ, start_response)
        kept, context = slim(environ), copy_context()
        query = request.query if request.eio == "3" else None
        connection = engine.loop.call(
            lambda: engine.open(sid, kept, context, polling=True, query_3=query)
        )
        opened = Packets(connection.payload, [engine.open_packet(connection, upgrades).text])
        response = self._compressed(request, answer_get(opened))
        cookie = engine.cookie.set_cookie(connection.sid)
        if cookie is not None:
            response.headers.append(cookie)
        return self._send(request, response, start_response)

    def _upgrades(self, environ: Environ, start_response: StartResponse) -> list[str]:
        engine = self._engine
        if not engine.options.allow_upgrades or "websocket" not in engine.transports:
            return []
        if takeover.has_socket(environ, start_response):
            return ["websocket"]
        engine.warn_once(
            "this WSGI server (%s) shows no socket: clients stay on long polling (said once)",
            environ.get("SERVER_SOFTWARE") or "unknown",
        )
        return []

    def _poll(
        self, request: EngineRequest, session: Session, start_response: StartResponse
    ) -> list[bytes]:
        loop, environ = self._engine.loop, dict(request.environ)
        if loop.name == "threading":
            released = ReleasedPoll(self._engine, session, lambda given: self._raw(request, given))
            given, is_released = released.get(environ, start_response)
            if is_released:
                start_response("101 Switching Protocols", [])
                return []
        else:
            held = HeldPoll(loop.waiter())
            if loop.call(session.get, held):
                try:
                    with AbortWatch(loop, takeover.watch_fd(environ), session, held):
                        held.wait()
                except BaseException:  # a kill: nobody will write the answer
                    loop.run(session.abandon, held)
                    raise
            given = held.given
        return self._send(request, self._compressed(request, answer_get(given)), start_response)

    def _raw(self, request: EngineRequest, given: Answer) -> bytes:
        response = self._compressed(request, answer_get(given))
        self._dress(request, response)
        return response.raw()

    # -- POST --------------------------------------------------------------------------

    def _post(
        self, request: EngineRequest, session: Session, start_response: StartResponse
    ) -> Response:
        loop = self._engine.loop
        if not isinstance(session, Connection):
            try:
                return session.post(self._body(request, start_response))
            except BrokenPost as broken:
                if broken.reason is not None:
                    session.end(broken.reason)
                return broken.response
        if not loop.call(session.begin_post):
            return http.bad_request()
        try:
            packets = decode_post(session, request, self._body(request, start_response))
        except BrokenPost as broken:
            if broken.reason is not None:
                loop.run(session.end, broken.reason)
            return broken.response
        else:
            return http.post_ok() if loop.call(session.post, packets) else http.bad_request()
        finally:
            loop.run(session.end_post)

    def _body(self, request: EngineRequest, start_response: StartResponse) -> bytes:
        options = self._engine.options
        deadline = BodyDeadline(self._engine.loop, dict(request.environ), start_response)
        try:
            with deadline.of(options.body_timeout):
                return read_post(request, options.max_http_buffer_size)
        except BrokenPost as broken:
            if deadline.passed:
                broken.response = http.timed_out()
            raise
