"""The polling transport: at most one GET held and one POST running (protocol sheet 1.11).

A held GET is *parked* (its WSGI call waits; under gevent that is a greenlet) or *released*
(its socket was taken over, so that it holds no thread, and we write the answer). Either is
a `HeldPoll`. Everything but `HeldPoll.wait` happens in the owner's turn.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from flask_sio.engine.http import Response
from flask_sio.engine.payload import Packets
from flask_sio.protocol import eio
from flask_sio.protocol.encoded import Encoded, Part

if TYPE_CHECKING:
    from flask_sio.engine.connection import Connection
    from flask_sio.runtime.loop import Waiter

MAX_PACKETS = 16
"""Packets in one answer; python-engineio's client refuses more (trap 47)."""

Answer = Packets | Response | None
"""Of a GET: its packets; what the session's owner has made of them, where that is another
worker; None for a request that must be refused (400)."""


class HeldPoll:
    """One GET that waits for packets, and its answer."""

    __slots__ = ("_on_answer", "_waiter", "given")

    def __init__(
        self, waiter: Waiter | None = None, on_answer: Callable[[Answer], None] | None = None
    ) -> None:
        self._waiter = waiter
        self._on_answer = on_answer
        self.given: Answer = None

    def wait(self) -> Answer:
        """Wait for the answer, in the WSGI call of a parked GET."""
        if self._waiter is not None:
            self._waiter.wait()
        return self.given

    def answer(self, given: Answer) -> None:
        """Settle this GET. Once."""
        self.given = given
        if self._waiter is not None:
            self._waiter.set()
        if self._on_answer is not None:
            self._on_answer(given)


class Polling:
    """The transport of a connection that has not upgraded."""

    __slots__ = ("_connection", "_flushing", "_queue", "_queued_bytes", "held", "posting")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._queue: deque[Encoded] = deque()
        self._queued_bytes = 0
        self._flushing = False
        self.held: HeldPoll | None = None
        self.posting = False
        """Whether a POST's body is being read or acted upon."""

    # -- out ---------------------------------------------------------------------------

    @property
    def is_ready(self) -> bool:
        """Whether a GET waits for what is sent, and nothing else is queued."""
        return self.held is not None and not self._queue

    @property
    def is_empty(self) -> bool:
        """Whether all that was sent has been given to polls."""
        return not self._queue

    def send(self, encoded: Encoded) -> bool:
        options = self._connection.engine.options
        self._queued_bytes += encoded.size
        if (
            self._queued_bytes > options.max_outbound_bytes
            or len(self._queue) >= options.max_outbound_packets
        ):
            self._queued_bytes -= encoded.size
            if options.slow_client == "close":
                self._connection.overflow()
            return False
        self._queue.append(encoded)
        self._flush_soon()
        pressure = self._connection.engine.pressure
        if pressure.high_bytes is not None and self._queued_bytes >= pressure.high_bytes:
            pressure.rise(self._connection)
        return True

    def send_first(self, encoded: Encoded) -> None:
        """Queue a heartbeat before everything else, unless it waits there already."""
        if self._queue and self._queue[0] is encoded:
            return
        self._queue.appendleft(encoded)
        self._queued_bytes += encoded.size
        self._flush_soon()

    def _flush_soon(self) -> None:
        # One answer for all that is queued in this pass, header and attachments together.
        if self.held is not None and not self._flushing:
            self._flushing = True
            self._connection.engine.loop.soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if self.held is not None and self._queue:
            self._answer(self._take())

    def _take(self, parts: list[Part] | None = None) -> list[Part]:
        """Return ``parts`` and queued packets, `MAX_PACKETS` in all; the others stay queued."""
        parts = [] if parts is None else parts
        while self._queue and len(parts) < MAX_PACKETS:
            encoded = self._queue[0]
            fits = MAX_PACKETS - len(parts)
            if encoded.packets > fits and parts:
                break
            self._queue.popleft()
            self._queued_bytes -= encoded.size
            if encoded.packets > fits:
                rest = encoded.after(fits)
                self._queue.appendleft(rest)
                self._queued_bytes += rest.size
            parts.extend(encoded.polling[:fits])
        engine = self._connection.engine
        if engine.pressure and not self._queue:
            engine.loop.soon(self._connection.drained)
        return parts

    # -- GET ---------------------------------------------------------------------------

    def get(self, held: HeldPoll) -> bool:
        """Take a GET: answer it or hold it; return whether it is held."""
        connection = self._connection
        if self.held is not None:
            held.answer(None)
            connection.end("transport error", "two polls at once")
            return False
        if connection.state == "closing":
            parts = self._take()
            if not self._queue and len(parts) < MAX_PACKETS:
                parts = [*parts, eio.CLOSE] if parts else [eio.NOOP, eio.CLOSE]
                connection.end("transport close")
            held.answer(self._packets(parts))
            return False
        parts = self._take() if self._queue else []
        if not self._queue:
            connection.send_kept()
            if self._queue:
                self._take(parts)
        if parts:
            held.answer(self._packets(parts))
            return False
        if connection.state != "open":  # what was kept was too much
            held.answer(None)
            return False
        if connection.probe is not None and connection.probe.probed:
            held.answer(self._packets([eio.NOOP]))
            return False
        self.held = held
        return True

    def abandon(self, held: HeldPoll) -> None:
        """Note that the peer of a held GET has gone."""
        if self.held is held:
            self.held = None
            held.answer(self._packets([eio.NOOP]))
            self._connection.end("transport error", "a poll was aborted")

    def nudge(self) -> None:
        """Release a held GET with a noop: the client pauses polling to upgrade."""
        if self.held is not None:
            self._answer(self._take() or [eio.NOOP])

    def _answer(self, parts: list[Part]) -> None:
        held, self.held = self.held, None
        if held is not None:
            held.answer(self._packets(parts))

    def _packets(self, parts: list[Part]) -> Packets:
        return Packets(self._connection.payload, parts)

    # -- end ---------------------------------------------------------------------------

    def last_words(self) -> bool:
        """Send what is queued and the close packet; False if no GET is held for it."""
        if self.held is None or sum(each.packets for each in self._queue) >= MAX_PACKETS:
            return False
        self._answer([*self._take(), eio.CLOSE])
        return True

    def retire(self, answer: str) -> Iterable[Encoded]:
        """Stop being the transport; return what was queued, release a held GET with a packet."""
        queue, self._queue = self._queue, deque()
        self._queued_bytes = 0
        self._answer([answer])
        return queue
