"""From a WSGI request to a WebSocket of ours: a new connection's, or a probe's.

Everything that can fail comes before the server's socket is taken (decision 10): limits,
the handshake, the decoy, the way to the worker that owns the session. After that the WSGI
call ends at once with a 101 that goes nowhere, or, where the socket cannot be taken (TLS
ended in this process), it waits for the WebSocket to close (*park*).

The probe of a session that another worker owns is for that worker: it gets the socket, and
nothing of it stays here. A socket that cannot be taken stays, and what it carries goes
through one end of a socket pair whose other end the owner gets (*relay*).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import copy_context
from functools import partial
from typing import Any

from flask_sio.engine import http
from flask_sio.engine.away import Away, HandOver
from flask_sio.engine.connection import Connection
from flask_sio.engine.environ import slim
from flask_sio.engine.gate import EngineRequest, Refusal
from flask_sio.engine.hooks import merged
from flask_sio.engine.http import Response
from flask_sio.engine.relay import Relay
from flask_sio.engine.server import Engine, Session
from flask_sio.engine.websocket import DeflatedWebSocket, Probe, WebSocket
from flask_sio.errors import HandshakeError
from flask_sio.protocol import ws_deflate, ws_handshake
from flask_sio.runtime import takeover
from flask_sio.runtime.stream import Stream

_HTTP_1_0 = (
    b"A WebSocket needs HTTP/1.1, and this request came as HTTP/1.0. "
    b"Behind nginx set: proxy_http_version 1.1;"
)

_HANDSHAKE = "TRANSPORT_HANDSHAKE_ERROR"


class _Refused(Exception):
    def __init__(self, response: Response, context: str = "") -> None:
        self.response = response
        self.context = context
        """engine.io's name of the reason, for ``connection_error``; may be empty."""


class _Rejected:
    """The user of a WebSocket that is answered 101 and closed: its session has one."""

    def alive(self) -> None: ...
    def chatter(self) -> None: ...
    def on_text(self, text: str) -> None: ...
    def on_binary(self, data: bytes) -> None: ...
    def on_lost(self, reason: str, description: str) -> None: ...


class _Ignored:
    """Reads what comes on a socket that is about to close."""

    def received(self, data: bytes) -> None: ...
    def gone(self) -> None: ...


class Upgrade:
    """One upgrade request that the gate has let through."""

    def __init__(self, engine: Engine, request: EngineRequest, session: Session | None) -> None:
        self._engine = engine
        self._request = request
        self._session = session
        self._sid = ""
        self._environ = slim(dict(request.environ)) if session is None else {}
        self._context = copy_context()

    def answer(self, start_response: Callable[..., Any]) -> list[bytes]:
        """Answer 101 and return when the WSGI call may end, or refuse."""
        environ, session = dict(self._request.environ), self._session
        try:
            found, response = self._check(environ, start_response)
            if session is None or isinstance(session, Connection):
                self._take(found, response)
            else:
                self._pass_on(found, response, self._way(session))
        except _Refused as refused:
            if refused.context:
                refusal = Refusal(3, refused.context, http.ERRORS[3][1])
                self._engine.hooks.refused(self._request, refusal)
            refused.response.headers.extend(self._engine.cors.headers(environ))
            return refused.response.send(start_response)
        start_response("101 Switching Protocols", [])
        return []

    def adopt(self, sock: Any, early: bytes, response: bytes) -> None:
        """Go on with a socket that came in at another worker, which has checked it and made
        the 101. Owner's turn.
        """
        if not isinstance(self._session, Connection):
            self.refuse(sock, http.ws_error(1) if response else None)
        elif self._engine.has_no_stream_left:  # its descriptor is one more in this process
            self._engine.say_full()
            self.refuse(sock, http.unavailable() if response else None)
        else:
            self._attach(sock, response, early, owned=True)

    def refuse(self, sock: Any, refusal: Response | None) -> None:
        """Answer on such a socket, unless it has been answered, and close it. Owner's turn."""
        stream = Stream(self._engine.loop, sock, _Ignored())
        self._engine.keep(stream)
        if refusal is not None:
            stream.send(refusal.raw())
        stream.close()

    def _take(self, found: takeover.Found, response: bytes) -> None:
        if found.can_swap:
            swap = self._prepare(found)
            self._engine.loop.call(
                lambda: self._attach(swap.commit(), response, found.early, owned=True)
            )
        else:
            self._park(found, response)

    # -- what another worker owns ------------------------------------------------------

    @staticmethod
    def _way(away: Away) -> HandOver:
        try:
            return away.hand_over()
        except OSError:  # it has ended just now
            raise _Refused(http.ws_error(1)) from None

    def _pass_on(self, found: takeover.Found, response: bytes, way: HandOver) -> None:
        loop = self._engine.loop
        try:
            relay = None if found.can_swap else Relay.prepare(self._engine)
            swap = self._prepare(found) if found.can_swap else None
        except OSError:
            way.cancel()
            raise _Refused(http.unavailable()) from None
        except _Refused:
            way.cancel()
            raise
        if swap is not None:
            loop.call(lambda: way.send(swap.commit(), found.early, response))
        elif relay is not None:
            found.claim()
            found.sock.settimeout(0)
            loop.call(way.send, relay.far_end, found.early, response)
            relay.run(found.sock)

    # -- checks ------------------------------------------------------------------------

    def _check(self, environ: dict[str, Any], start_response: Any) -> tuple[takeover.Found, bytes]:
        engine = self._engine
        if environ.get("SERVER_PROTOCOL") == "HTTP/1.0":
            plain = [("Content-Type", "text/plain"), *http.private()]
            raise _Refused(Response("400 Bad Request", plain, _HTTP_1_0), _HANDSHAKE)
        if self._session is None:
            refusal = engine.admission.refusal(environ)
        else:
            refusal = http.unavailable() if engine.has_no_stream_left else None
        if refusal is not None:
            raise _Refused(refusal)
        if self._session is not None and not engine.options.allow_upgrades:
            raise _Refused(http.ws_error(3), _HANDSHAKE)
        found = takeover.find(environ, start_response)
        if found is None:
            raise _Refused(http.ws_error(3), _HANDSHAKE)
        if self._session is None:
            self._sid = engine.new_sid() or ""
            if not self._sid:
                raise _Refused(http.ws_error(3), "ID_GENERATION_ERROR")
        return found, b"" if found.handshaken else self._handshake()

    def _handshake(self) -> bytes:
        """Return the 101 that answers the request."""
        environ = self._request.environ
        try:
            accept = ws_handshake.check(_headers(environ))
        except HandshakeError as error:
            # Hop-by-hop headers are the WSGI server's; wsgiref fails on them.
            kept = tuple(each for each in error.headers if each[0] != "Upgrade")
            raise _Refused(http.ws_error(3, kept), _HANDSHAKE) from None
        headers = merged(self._engine.cors.headers(environ), self._request.added)
        deflate, offers = self._engine.deflate, environ.get("HTTP_SEC_WEBSOCKET_EXTENSIONS")
        if deflate is not None and offers:
            answer = ws_deflate.negotiate(offers, deflate.options.window_bits)
            if answer is not None:
                headers.append(("Sec-WebSocket-Extensions", answer))
        return ws_handshake.response(accept, headers)

    def _prepare(self, found: takeover.Found) -> takeover.Swap:
        try:
            return takeover.Swap.prepare(found)
        except OSError as error:
            self._engine.warn_once("a WebSocket cannot be opened: %s (said once)", error)
            raise _Refused(http.unavailable()) from None

    # -- the owner's turn --------------------------------------------------------------

    def _attach(self, sock: Any, response: bytes, early: bytes, *, owned: bool) -> WebSocket:
        """Put the socket to work. Nothing here may fail: the server has let go of it."""
        connection = self._session
        if connection is None:
            query = self._request.query if self._request.eio == "3" else None
            connection = self._engine.open(
                self._sid, self._environ, self._context, polling=False, query_3=query
            )
            websocket = self._start(sock, connection, response, owned)
            connection.websocket = websocket
            websocket.stream.send(self._engine.open_packet(connection, []).ws)
        elif (
            isinstance(connection, Connection)
            and connection.probe is None
            and connection.polling is not None
        ):
            connection.expect_websocket(self._request.query)
            # Known before its WebSocket is: that may have died already, and ends the probe.
            probe = connection.probe = Probe(connection)
            websocket = self._start(sock, probe, response, owned)
            probe.start(websocket)
        else:  # upgrading, upgraded or closed meanwhile: 101, then close; the first is unharmed
            websocket = self._start(sock, _Rejected(), response, owned)
            websocket.close()
        if early:
            websocket.received(early)
        return websocket

    def _start(self, sock: Any, user: Any, response: bytes, owned: bool) -> WebSocket:
        engine = self._engine
        make: Callable[..., WebSocket] = WebSocket
        # The answer tells, which may have been made at another worker.
        if engine.deflate is not None and ws_deflate.is_negotiated(response):
            make = partial(DeflatedWebSocket, engine.deflate)
        websocket = make(
            user,
            lambda receiver: Stream(engine.loop, sock, receiver, owned=owned),
            max_message_bytes=engine.options.max_http_buffer_size,
            response=response,
        )
        self._engine.keep(websocket.stream)
        return websocket

    def _park(self, found: takeover.Found, response: bytes) -> None:
        """Keep the WSGI call until the WebSocket has closed; the loop drives the socket."""
        loop = self._engine.loop
        closed = loop.waiter()
        found.claim()
        found.sock.settimeout(0)

        def attach() -> WebSocket:
            websocket = self._attach(found.sock, response, found.early, owned=False)
            websocket.stream.when_closed(lambda _stream: closed.set())
            return websocket

        websocket = loop.call(attach)
        try:
            closed.wait()
        finally:  # also for a kill: the server closes the descriptor when this call ends
            loop.call(websocket.stream.abort)


def _headers(environ: Mapping[str, Any]) -> dict[str, str]:
    """Return the request's headers, names in lower case with dashes."""
    return {
        key[5:].replace("_", "-").lower(): value
        for key, value in environ.items()
        if key.startswith("HTTP_")
    }
