"""What the engine asks of whatever knows the other workers of this host (`flask_sio.mesh`).

A session lives in one worker, its owner. A request of it that another worker gets is
answered there too: what concerns the session is asked of the owner, what concerns HTTP
(CORS, compression, the server's socket) is done where the request came in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from flask_sio.engine.connection import Reason
    from flask_sio.engine.gate import EngineRequest
    from flask_sio.engine.http import Response
    from flask_sio.engine.polling import HeldPoll


class PollSource(Protocol):
    """Whose packets a GET waits for: a `Connection`, or an `Away`. Owner's turn only."""

    def get(self, held: HeldPoll) -> bool:
        """Take a GET; return whether it is held."""

    def abandon(self, held: HeldPoll) -> None:
        """Learn that nobody takes the answer of a held GET."""


class HandOver(Protocol):
    """A way to the owner for one socket; made before the socket is taken from its server."""

    def send(self, sock: Any, early: bytes, response: bytes) -> None:
        """Pass the socket on and close the copy that is ours. Never raises. Owner's turn.

        ``response`` is the 101 for the owner to send, empty where it is out already.
        """

    def cancel(self) -> None:
        """Give back what it holds: no socket will come."""


class Away(PollSource, Protocol):
    """A session that another worker owns, for one request of it that came in here."""

    @property
    def transport_name(self) -> str:
        """The request's own: whether it is the session's is for the owner to say."""

    @property
    def revision(self) -> str:
        """The request's own, likewise."""

    def post(self, body: bytes) -> Response:
        """Let the owner act on the body of a POST. Waits; not in a turn."""

    def end(self, reason: Reason) -> None:
        """Let the owner end the session: its request was broken. Any thread."""

    def hand_over(self) -> HandOver:
        """Prepare to pass on the socket of an upgrade. Not in a turn.

        Raises:
            OSError: the owner cannot be reached.
        """


class Others(Protocol):
    """The other workers of this host."""

    def join(self) -> bool:
        """Find the others and be found; return whether there may be some. Not in a turn."""

    def find(self, request: EngineRequest) -> Away | None:
        """Return the request's session if another worker owns it. Any thread."""

    def drain(self) -> None:
        """Tell the others that this worker ends, and answer the polls it holds for them."""

    def close(self) -> None:
        """Leave. Owner's turn."""

    def forget(self) -> None:
        """In a forked child: all of it is the parent's."""
