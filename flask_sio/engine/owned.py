"""Requests of a session as values, and what the owner of the session does with them.

`endpoint.py` uses the parts of it for requests that came in here; the mesh calls the
functions `take_...` for those that came in at another worker, which sends method, query
string and body. The answer is a `Response`; what depends on HTTP alone, CORS headers,
hooks, compression, is added where the request came in, so no user code runs here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask_sio.engine import http
from flask_sio.engine.connection import Connection, Reason
from flask_sio.engine.gate import EngineRequest, check
from flask_sio.engine.http import Response
from flask_sio.engine.payload import OCTETS
from flask_sio.engine.polling import Answer, HeldPoll
from flask_sio.engine.upgrade import Upgrade
from flask_sio.errors import PacketError, PayloadTooBig
from flask_sio.protocol import eio

if TYPE_CHECKING:
    from flask_sio.engine.server import Engine


class BrokenPost(Exception):
    """A POST that is not acted upon, and how its session ends, if it does."""

    def __init__(self, response: Response, reason: Reason | None) -> None:
        self.response = response
        self.reason = reason


def answer_get(given: Answer) -> Response:
    """Make the answer to a GET of a session."""
    if isinstance(given, Response):
        return given
    return http.bad_request() if given is None else given.response()


def read_post(request: EngineRequest, limit: int) -> bytes:
    """Read the body of a POST. Not in a turn.

    Raises:
        BrokenPost: it is too big, not whole, or of a type that no client sends.
    """
    if request.content_type == OCTETS and request.eio != "3":
        raise BrokenPost(http.bad_request(), "transport error")
    try:
        return http.read_body(request.environ, limit)
    except PayloadTooBig:
        raise BrokenPost(http.too_large(), None) from None
    except (http.BodyAborted, PacketError):
        raise BrokenPost(http.bad_request(), "transport error") from None


def decode_post(connection: Connection, request: EngineRequest, body: bytes) -> list[eio.Packet]:
    """Decode the body of a POST, as its connection writes them.

    Raises:
        BrokenPost: it cannot be read.
    """
    try:
        return connection.payload.decode(body, request.content_type)
    except PacketError:
        raise BrokenPost(http.bad_request(), "parse error") from None


def take_get(engine: Engine, request: EngineRequest, held: HeldPoll) -> bool:
    """Take a GET that came in at another worker; return whether it is held. Owner's turn."""
    connection, refusal = _find(engine, request)
    if connection is None:
        held.answer(refusal)
        return False
    return connection.get(held)


def take_post(engine: Engine, request: EngineRequest, body: bytes) -> Response:
    """Act on a POST that came in at another worker. Owner's turn."""
    connection, refusal = _find(engine, request)
    if connection is None:
        return refusal
    if not connection.begin_post():
        return http.bad_request()
    try:
        packets = decode_post(connection, request, body)
    except BrokenPost as broken:
        if broken.reason is not None:
            connection.end(broken.reason)
        return broken.response
    else:
        return http.post_ok() if connection.post(packets) else http.bad_request()
    finally:
        connection.end_post()


def take_socket(
    engine: Engine, request: EngineRequest, sock: Any, early: bytes, response: bytes
) -> None:
    """Go on with the WebSocket of an upgrade that came in at another worker. Owner's turn."""
    refusal = check(request, engine.connections.get, engine)
    connection = engine.connections.get(request.sid)
    upgrade = Upgrade(engine, request, connection)
    if refusal is None:
        upgrade.adopt(sock, early, response)
    else:
        upgrade.refuse(sock, http.ws_error(refusal.code) if response else None)


def _find(engine: Engine, request: EngineRequest) -> tuple[Connection | None, Response]:
    refusal = check(request, engine.connections.get, engine)
    if refusal is not None:
        return None, http.error(refusal.code)
    return engine.connections.get(request.sid), http.error(1)
