"""One Engine.IO connection: what a client keeps while its transport changes.

This is revision 4; what differs in revision 3 is in `connection3.py`. Everything happens in
the owner's turn (`runtime/loop.py`). A connection has one transport, polling or WebSocket,
and while it upgrades a probing WebSocket beside it:

====== =========== =========== ===========================================
packet polling     websocket   probing websocket
====== =========== =========== ===========================================
``0``  ignored     ignored     closes the probe
``1``  close       close       closes the probe
``2``  error       error       ``2probe``: answer ``3probe``, else closes it
``3``  alive       alive       closes the probe
``4``  message     message     closes the probe
``5``  ignored     ignored     the WebSocket becomes the transport
``6``  ignored     ignored     closes the probe
====== =========== =========== ===========================================
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from contextvars import Context
from typing import TYPE_CHECKING, Any, Literal, Protocol

from flask_sio.engine.latest import Latest
from flask_sio.engine.payload import PAYLOAD_4, Payload
from flask_sio.engine.polling import HeldPoll, Polling
from flask_sio.errors import PacketError
from flask_sio.protocol import eio
from flask_sio.protocol.encoded import Encoded
from flask_sio.protocol.heartbeat import Heartbeat

if TYPE_CHECKING:
    from flask_sio.engine.server import Engine
    from flask_sio.engine.websocket import Probe, WebSocket
    from flask_sio.protocol.timers import Timer

Reason = Literal[
    "ping timeout",
    "transport close",
    "transport error",
    "parse error",
    "forced close",
    "forced server close",
    "server shutting down",
]

MAX_CHATTER = 1000
"""Packets and control frames without a message that a client may send between two pings.

Legitimate ones are few: a pong, the packets of an upgrade, a WebSocket ping a second.
"""
_SAYS_NO_CLOSE = ("transport close", "server shutting down")
"""Reasons for which a held poll gets a noop: its client has closed, or is to find out by its
next request. python-engineio's client does not come back after a close packet."""
CLOSING_S = 30.0
"""How long a closed polling connection waits for the GET that takes its close packet."""


class Handler(Protocol):
    """The layer above: one client's share of Socket.IO. Owner's turn; must not wait."""

    def message(self, data: str | bytes) -> None:
        """Take one Engine.IO message."""

    def closing(self) -> None:
        """Send what is still to be sent: the server ends an open connection."""

    def closed(self, reason: Reason, description: str) -> None:
        """Learn that the connection has ended, and what else is known of it. Once."""


class Connection:
    """One client's Engine.IO connection."""

    revision = "4"
    """Of Engine.IO, as a request's ``EIO`` has it."""
    payload: Payload = PAYLOAD_4
    """How its polls are written and its POSTs are read."""

    _decode = staticmethod(eio.decode_packet)
    _new_heartbeat: type[Heartbeat] = Heartbeat

    __slots__ = (
        "_heartbeat",
        "_latest",
        "_timer",
        "context",
        "engine",
        "environ",
        "handler",
        "polling",
        "probe",
        "sid",
        "state",
        "websocket",
    )

    def __init__(self, engine: Engine, sid: str, environ: dict[str, Any], context: Context) -> None:
        self.engine = engine
        self.context = context
        """Of the client's first request; user code runs in copies of it."""
        self.sid = sid
        """Secret: whoever knows it is the client. Never leaves the handshake, nor enters a log."""
        self.environ = environ
        self.state: Literal["open", "closing", "closed"] = "open"
        self.handler: Handler | None = None
        self.polling: Polling | None = None
        self.websocket: WebSocket | None = None
        self.probe: Probe | None = None
        self._latest: Latest | None = None
        now = engine.loop.now()
        self._heartbeat = self._new_heartbeat(now)
        self._timer: Timer | None = engine.loop.call_at(
            now + engine.options.ping_interval_s, self._beat
        )

    @property
    def transport_name(self) -> Literal["polling", "websocket"]:
        return "polling" if self.websocket is None else "websocket"

    # -- in ----------------------------------------------------------------------------

    def alive(self) -> None:
        """Note that the client sent something, whatever it was."""
        self._heartbeat.heard = True

    def receive(self, kind: str, data: str | bytes) -> None:
        """Act on one packet of the connection's transport; see the table above."""
        if self.state != "open":
            return
        if kind == eio.MESSAGE:
            if self.handler is not None:
                self.handler.message(data)
        elif kind == eio.CLOSE:
            self.end("transport close", "close packet")
        elif kind == eio.PING:  # Engine.IO 4: the server pings
            self.end("transport error")
        else:
            self.chatter()

    def chatter(self) -> None:
        """Count what keeps a connection busy and says nothing; end it when that is too much."""
        self._heartbeat.chatter += 1
        if self._heartbeat.chatter > MAX_CHATTER:
            self.end("transport error", "too much that says nothing")

    def on_text(self, text: str) -> None:
        if text[:1] == "4":
            if self.state == "open" and self.handler is not None:
                self.handler.message(text[1:])
            return
        try:
            packet = self._decode(text)
        except PacketError:
            self.end("parse error")
        else:
            self.receive(packet.type, packet.data)

    def on_binary(self, data: bytes) -> None:
        self.receive("4", data)

    def on_lost(
        self, reason: Literal["transport close", "transport error"], description: str
    ) -> None:
        self.end(reason, description)

    # -- polling requests --------------------------------------------------------------

    def get(self, held: HeldPoll) -> bool:
        """Take a GET; return whether it is held. One that came too late is refused."""
        if self.polling is None or self.state == "closed":
            held.answer(None)
            return False
        self.alive()
        return self.polling.get(held)

    def abandon(self, held: HeldPoll) -> None:
        """Learn that nobody takes the answer of a held GET."""
        if self.polling is not None:
            self.polling.abandon(held)

    def release(self, held: HeldPoll) -> None:
        """Answer a held GET now, whether or not there is something to say."""
        if self.polling is not None and self.polling.held is held:
            self.polling.nudge()

    def begin_post(self) -> bool:
        """Admit a POST; two at once end the connection (data request overlap)."""
        if self.polling is None or self.state == "closed":
            return False
        if self.polling.posting:
            self.end("transport error", "two POSTs at once")
            return False
        self.alive()
        self.polling.posting = True
        return True

    def end_post(self) -> None:
        if self.polling is not None:
            self.polling.posting = False

    def post(self, packets: list[eio.Packet]) -> bool:
        """Act on the packets of a POST in their order; False if the connection had ended."""
        if self.state == "closed":
            return False
        self.alive()
        for packet in packets:
            self.receive(packet.type, packet.data)
        return True

    # -- out ---------------------------------------------------------------------------

    def send(self, encoded: Encoded) -> bool:
        """Hand a packet to the transport; return whether it was taken."""
        if self.state != "open":
            return False
        if self.websocket is None:
            return self.polling is not None and self.polling.send(encoded)
        websocket = self.websocket
        stream = websocket.stream
        if stream.buffered_bytes:
            options = self.engine.options
            if (
                stream.buffered_bytes + encoded.size > options.max_outbound_bytes
                or stream.buffered_packets >= options.max_outbound_packets
            ):
                if options.slow_client == "close":
                    self.overflow()
                return False
        deflate = websocket.deflate
        stream.send(encoded.ws if deflate is None else encoded.deflated(deflate))
        high = self.engine.pressure.high_bytes
        if high is not None and stream.buffered_bytes >= high:
            self.engine.pressure.rise(self)
        return True

    @property
    def is_ready(self) -> bool:
        """Whether what is sent leaves at once: nothing waits before it, and a poll for it."""
        if self.websocket is not None:
            return not self.websocket.stream.buffered_bytes
        return self.polling is not None and self.polling.is_ready

    def send_latest(self, encoded: Encoded, scope: str, key: Hashable) -> bool:
        """Send a packet, or keep it until the client is ready; then the latest of its key goes.

        Keys of different scopes are different keys.
        """
        if self.state != "open":
            return False
        if self.is_ready:
            return self.send(encoded)
        latest, options = self._latest, self.engine.options
        if latest is None:
            latest = self._latest = Latest()
        if not latest and self.websocket is not None:
            self.await_drain()
        latest.put(scope, key, encoded)
        if latest.size > options.max_outbound_bytes or len(latest) > options.max_outbound_packets:
            self.overflow()
            return False
        return True

    def send_kept(self, scope: str | None = None) -> None:
        """Send what was kept until now, of one scope or all: the client can take it, or leaves."""
        if self._latest:
            for encoded in self._latest.take(scope):
                self.send(encoded)

    def drop_kept(self, scope: str) -> None:
        """Forget what was kept for a scope that the client has left."""
        if self._latest:
            self._latest.take(scope)

    @property
    def is_flushed(self) -> bool:
        """Whether nothing waits for the client."""
        if self._latest:
            return False
        if self.websocket is not None:
            return not self.websocket.stream.buffered_bytes
        return self.polling is None or self.polling.is_empty

    def when_flushed(self, fn: Callable[[], object]) -> None:
        """Call ``fn`` once nothing waits for the client, at once if nothing does."""
        if self.state != "open" or self.is_flushed:
            fn()
        else:
            self.engine.pressure.wait(self, fn)

    def await_drain(self) -> None:
        """Have `drained` called; polls call it by themselves."""
        if self.websocket is not None:
            self.websocket.stream.when_drained(self.drained)

    def drained(self) -> None:
        """Learn that the transport has nothing waiting: send what was kept, tell who waits."""
        self.send_kept()
        if self.engine.pressure and self.state == "open":
            if self.is_flushed:
                self.engine.pressure.fall(self)
            else:
                self.await_drain()

    def overflow(self) -> None:
        """Close a client that does not take what it is sent. Its memory goes at once."""
        self.engine.log(
            "closing a slow client: more than max_outbound_bytes=%d or "
            "max_outbound_packets=%d are waiting for it",
            self.engine.options.max_outbound_bytes,
            self.engine.options.max_outbound_packets,
        )
        self.end("transport error", "too slow for what it is sent")

    # -- heartbeat ---------------------------------------------------------------------

    def _beat(self) -> None:
        action, when = self._due()
        if action == "ping":
            self._send_ping()
        elif action == "silent":
            # After a stall timers fire before readable sockets: look once more.
            if self.websocket is not None:
                self.websocket.stream.read_now()
            if self.state == "open":
                self.engine.loop.soon(self._end_if_silent)
            return
        if self.state == "open":  # a ping that could not be sent has ended it
            self._timer = self.engine.loop.call_at(when, self._beat)

    def _end_if_silent(self) -> None:
        if self.state != "open":
            return
        if self._heartbeat.heard:
            self._beat()
        else:
            self.end("ping timeout")

    def _due(self) -> tuple[str, float]:
        options, loop = self.engine.options, self.engine.loop
        return self._heartbeat.due(
            loop.now(), options.ping_interval_s, options.ping_timeout_s, loop.stall_s
        )

    def _send_ping(self) -> None:
        if self.websocket is not None:
            self.websocket.stream.send(eio.PING_PACKET.ws, first=True)
        elif self.polling is not None:
            self.polling.send_first(eio.PING_PACKET)

    # -- upgrade -----------------------------------------------------------------------

    def expect_websocket(self, query: Mapping[str, str]) -> None:
        """Learn with what query a WebSocket for this connection was asked for."""

    def upgrade(self, websocket: WebSocket) -> None:
        """Make the probed WebSocket the transport and send it what polling had left."""
        self.probe = None
        polling, self.polling = self.polling, None
        if self.state != "open" or polling is None:
            websocket.close()
            return
        websocket.user = self
        self.websocket = websocket
        for encoded in polling.retire(eio.NOOP):
            self.send(encoded)
        self.drained()

    # -- end ---------------------------------------------------------------------------

    def close(self, reason: Reason = "forced server close", description: str = "") -> None:
        """End the connection for the server: what is queued goes out first."""
        self._let_finish()
        self._finish(reason, "closing", description)

    def end(self, reason: Reason, description: str = "") -> None:
        """End the connection now: the client left, broke the rules, or is too slow."""
        self._finish(reason, "closed", description)

    def shut_down(self) -> None:
        """End the connection because the server stops; the client will come back."""
        self._let_finish()
        self._finish("server shutting down", "closed", code=1001)

    def _let_finish(self) -> None:
        if self.state == "open" and self.handler is not None:
            self.handler.closing()

    def _finish(
        self,
        reason: Reason,
        state: Literal["closing", "closed"],
        description: str = "",
        code: int | None = None,
    ) -> None:
        """The one door out."""
        if self.state == "closed" or (self.state == "closing" and state == "closing"):
            return
        told = self.state == "closing"
        self.state = "closed"
        self._latest = None
        if self.engine.pressure:
            self.engine.pressure.forget(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.probe is not None:
            self.probe.close()
            self.probe = None
        if self.websocket is not None:
            self._close_websocket(self.websocket, reason, code)
        if self.polling is not None:
            if state == "closing" and not self.polling.last_words():
                self.state = "closing"  # the next GET takes the close packet
                loop = self.engine.loop
                self._timer = loop.call_at(loop.now() + self._closing_s, self._forget)
            else:
                self.polling.retire(eio.NOOP if reason in _SAYS_NO_CLOSE else eio.CLOSE)
        if self.state == "closed":
            self.engine.forget(self)
        if self.handler is not None and not told:
            handler, self.handler = self.handler, None
            handler.closed(reason, description)

    @staticmethod
    def _close_websocket(websocket: WebSocket, reason: Reason, code: int | None) -> None:
        """Send a close frame, but not behind what a silent or slow client does not take."""
        if reason in ("ping timeout", "transport error") and websocket.stream.buffered_bytes:
            websocket.drop()
        else:
            websocket.close(code)  # nothing when it has closed by itself

    @property
    def _closing_s(self) -> float:
        # Who does not poll for this long is gone by any measure.
        options = self.engine.options
        return min(CLOSING_S, options.ping_interval_s + options.ping_timeout_s)

    def _forget(self) -> None:
        self.end("transport close")

    def forget(self) -> None:
        """In a forked child: it is the parent's. Answer nothing, tell nobody."""
        self.state = "closed"
        self.handler = None
        if self.polling is not None:
            self.polling.held = None
