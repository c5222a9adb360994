"""What peers ask about sessions of this worker: the answering side. Owner's turn only."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, get_args

from flask_sio.engine import http
from flask_sio.engine.connection import Reason
from flask_sio.engine.gate import EngineRequest
from flask_sio.engine.http import Response
from flask_sio.engine.owned import answer_get, take_get, take_post, take_socket
from flask_sio.engine.polling import Answer, HeldPoll
from flask_sio.mesh import frames
from flask_sio.mesh.frames import Frame, LinkError
from flask_sio.mesh.link import Peer

if TYPE_CHECKING:
    from flask_sio.engine.server import Engine

_REASONS: dict[bytes, Reason] = {reason.encode(): reason for reason in get_args(Reason)}


class Owner:
    """Acts on what peers ask of this worker's sessions."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def request(self, peer: Peer, frame: Frame) -> None:
        """Answer a GET or a POST, at once or when there is something to answer."""
        head, body = frames.split(frame.payload)
        request = _request(frames.from_json(head))
        if request.method == "POST":
            self._answer(peer, frame.id, take_post(self._engine, request, body))
            return
        held = HeldPoll(on_answer=partial(self._answer_get, peer, frame.id))
        peer.held[frame.id] = request.sid, held
        take_get(self._engine, request, held)

    def _answer_get(self, peer: Peer, number: int, given: Answer) -> None:
        sid, _ = peer.held.pop(number, ("", None))
        if not self._answer(peer, number, answer_get(given)):
            self._answer(peer, number, http.error(1))
            self._engine.warn_once("an answer to a poll is too big for the worker it came from")
            connection = self._engine.connections.get(sid)
            if connection is not None:  # and in the midst of sending
                self._engine.loop.soon(connection.end, "transport error")

    @staticmethod
    def _answer(peer: Peer, number: int, response: Response) -> bool:
        """Send an answer; return False if it is too big."""
        head = frames.to_json({"s": response.status, "h": response.headers})
        payload = frames.join(head, response.body)
        fits = peer.takes(payload)
        if fits:
            peer.send(frames.ANSWER, number, payload)
        return fits

    def abort(self, peer: Peer, frame: Frame) -> None:
        """End a session whose answer nobody took, sent already or not."""
        connection = self._engine.connections.get(_sid(frame.payload))
        _, held = peer.held.pop(frame.id, ("", None))
        if connection is None or connection.polling is None:
            return
        if held is not None:
            connection.abandon(held)
        else:
            connection.end("transport error")

    def release(self, peer: Peer, frame: Frame) -> None:
        """Answer a GET now: its worker is about to end."""
        sid, held = peer.held.get(frame.id, ("", None))
        connection = self._engine.connections.get(sid)
        if held is not None and connection is not None:
            connection.release(held)

    def end(self, frame: Frame) -> None:
        """End a session that has sent something broken."""
        sid, reason = frames.split(frame.payload)
        connection = self._engine.connections.get(_sid(sid))
        if connection is not None and reason in _REASONS:
            connection.end(_REASONS[reason])

    def lost(self, peer: Peer) -> None:
        """End the sessions whose GETs waited at a peer that has gone, as their clients did."""
        held, peer.held = peer.held, {}
        for sid, each in held.values():
            connection = self._engine.connections.get(sid)
            if connection is not None:
                connection.abandon(each)

    def socket(self, payload: bytes, sock: Any) -> None:
        """Go on with a client's WebSocket."""
        head, rest = frames.split(payload)
        response, early = frames.split(rest)
        asked = frames.from_json(head)
        take_socket(self._engine, _request({**asked, "m": "GET"}, True), sock, early, response)


def read_answer(payload: bytes) -> Response:
    """Return what an owner has answered.

    Raises:
        LinkError: it is no answer.
    """
    head, body = frames.split(payload)
    answer = frames.from_json(head)
    status, headers = answer.get("s"), answer.get("h")
    if not isinstance(status, str) or not isinstance(headers, list):
        raise LinkError("an answer without status or headers")
    return Response(status, [(str(name), str(value)) for name, value in headers], body)


def _request(head: dict[str, Any], is_upgrade: bool = False) -> EngineRequest:
    environ = {"REQUEST_METHOD": str(head.get("m")), "QUERY_STRING": str(head.get("q"))}
    if "c" in head:
        environ["CONTENT_TYPE"] = str(head["c"])
    if is_upgrade:
        # Without its origin, which was judged where it came in.
        environ["HTTP_UPGRADE"] = "websocket"
    return EngineRequest.from_environ(environ)


def _sid(payload: bytes) -> str:
    return payload.decode("ascii", "replace")
