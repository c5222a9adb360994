"""A session that another worker owns, as the engine sees it: the asking side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask_sio.engine import http
from flask_sio.engine.gate import EngineRequest
from flask_sio.engine.http import Response
from flask_sio.engine.polling import HeldPoll
from flask_sio.mesh import frames
from flask_sio.mesh.link import Peer
from flask_sio.mesh.passing import Passing

if TYPE_CHECKING:
    from flask_sio.engine.connection import Reason
    from flask_sio.mesh.mesh import Mesh
    from flask_sio.runtime.loop import Waiter

SLACK_S = 5.0
"""How much longer than a silent client's time an owner may take.

Until then a held GET is answered by a ping, or its session has ended. An owner that hangs is
for gunicorn's ``timeout`` to end, and that is noticed at once.
"""


class RemoteSession:
    """One request's view of it; see `flask_sio.engine.away.Away`."""

    __slots__ = ("_mesh", "_number", "_peer", "_request", "revision", "transport_name")

    def __init__(self, mesh: Mesh, peer: Peer, request: EngineRequest) -> None:
        self._mesh = mesh
        self._peer = peer
        self._request = request
        self._number = 0
        self.transport_name = request.transport
        self.revision = request.eio

    def _payload(self, body: bytes = b"") -> bytes:
        environ = self._request.environ
        head = {"m": self._request.method, "q": environ.get("QUERY_STRING") or ""}
        if content_type := environ.get("CONTENT_TYPE"):
            head["c"] = content_type
        return frames.join(frames.to_json(head), body)

    @property
    def _patience_s(self) -> float:
        options = self._mesh.engine.options
        return options.ping_interval_s + options.ping_timeout_s + SLACK_S

    # -- GET: owner's turn -------------------------------------------------------------

    def get(self, held: HeldPoll) -> bool:
        self._number = self._peer.ask(self._payload(), held.answer, self._patience_s)
        return self._number > 0

    def abandon(self, held: HeldPoll) -> None:
        if self._peer.forget(self._number) is not None:
            self._peer.send(frames.ABORT, self._number, self._request.sid.encode())
            held.answer(http.poll_answer(b"6"))  # nobody reads it

    # -- POST: the request's own thread ------------------------------------------------

    def post(self, body: bytes) -> Response:
        call = _Call(self._mesh.loop.waiter())
        self._mesh.loop.call(self._peer.ask, self._payload(body), call.settle, self._patience_s)
        return call.wait()

    def end(self, reason: Reason) -> None:
        payload = frames.join(self._request.sid.encode(), reason.encode())
        self._mesh.loop.run(self._peer.send, frames.END, 0, payload)

    # -- upgrades ----------------------------------------------------------------------

    def hand_over(self) -> Passing:
        way = self._mesh.directory.connect(self._peer.tag)
        return Passing(self._mesh, way, self._request.environ.get("QUERY_STRING") or "")


class _Call:
    """One answer that a thread or greenlet waits for."""

    __slots__ = ("_response", "_waiter")

    def __init__(self, waiter: Waiter) -> None:
        self._waiter = waiter
        self._response = http.unavailable()

    def settle(self, response: Response) -> None:
        self._response = response
        self._waiter.set()

    def wait(self) -> Response:
        self._waiter.wait()
        return self._response
