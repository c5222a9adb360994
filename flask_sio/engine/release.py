"""Long polls that hold no thread, and aborts of those that hold a greenlet.

Under threads a held GET's socket is taken from its server like a WebSocket's, and the
answer is written by us; four threads then hold any number of polls. Price: one TCP
connection a poll. Under gevent a parked greenlet keeps the connection alive and is cheap;
there the socket is only watched, to notice a client that left.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from flask_sio.engine.away import PollSource
from flask_sio.engine.http import Response
from flask_sio.engine.polling import Answer, HeldPoll
from flask_sio.engine.server import Engine
from flask_sio.runtime import takeover
from flask_sio.runtime.loop import Loop, Watch
from flask_sio.runtime.stream import Stream

_INLINE_BYTES = 4096
"""Answers up to this size are rendered in the owner's turn, larger ones on a worker."""


class ReleasedPoll:
    """One GET under threads: answered through WSGI at once, or held on our own socket."""

    def __init__(
        self, engine: Engine, source: PollSource, render: Callable[[Answer], bytes]
    ) -> None:
        self._engine = engine
        self._source = source
        self._render = render
        self._stream: Stream | None = None
        self._held: HeldPoll | None = None

    def get(self, environ: dict[str, Any], start_response: Any) -> tuple[Answer, bool]:
        """Return (answer, False), or (None, True) if the socket was taken and GET is held."""
        loop = self._engine.loop
        swap = self._prepare(environ, start_response)
        if swap is None:
            held = HeldPoll(loop.waiter())
            if loop.call(self._source.get, held):
                held.wait()
            return held.given, False
        self._held = HeldPoll(on_answer=self._answer)
        if loop.call(self._hold, swap):
            return None, True
        return self._held.given, False

    @staticmethod
    def _prepare(environ: dict[str, Any], start_response: Any) -> takeover.Swap | None:
        found = takeover.find(environ, start_response)
        if found is None or not found.can_swap:
            return None
        try:
            return takeover.Swap.prepare(found)
        except OSError:  # no descriptor left: the call waits instead
            return None

    def _hold(self, swap: takeover.Swap) -> bool:
        assert self._held is not None
        if not self._source.get(self._held):
            swap.abandon()
            return False
        self._stream = Stream(self._engine.loop, swap.commit(), self)
        self._engine.keep(self._stream)
        return True

    def _answer(self, given: Answer) -> None:
        if self._stream is None:  # answered before the socket was taken
            return
        if _size(given) <= _INLINE_BYTES:
            self._write(self._render(given))
        else:
            self._engine.loop.defer(self._render_and_write, given)

    def _render_and_write(self, given: Answer) -> None:
        self._engine.loop.run(self._write, self._render(given))

    def _write(self, answer: bytes) -> None:
        if self._stream is not None:
            self._stream.send(answer)
            self._stream.close()

    def received(self, data: bytes) -> None:
        """Ignore a pipelined request: the answer says ``Connection: close``."""

    def gone(self) -> None:
        if self._held is not None:
            self._source.abandon(self._held)


def _size(given: Answer) -> int:
    if isinstance(given, Response):
        return len(given.body)
    return 0 if given is None else given.size


class AbortWatch:
    """While entered, ends the connection when the peer of a parked GET leaves."""

    def __init__(self, loop: Loop, sock: Any | None, source: PollSource, held: HeldPoll) -> None:
        self._loop = loop
        # gevent's socket would wait in the hub; the one below it does not.
        self._sock: Any = getattr(sock, "_sock", sock)
        self._source = source
        self._held = held
        self._watch: Watch | None = None

    def __enter__(self) -> None:
        if self._sock is not None:
            self._loop.call(self._start)

    def __exit__(self, *_: object) -> None:
        if self._sock is not None:
            self._loop.call(self._stop)

    def _start(self) -> None:
        if self._held.given is None:
            self._watch = self._loop.watch(self._sock, self._look, lambda: None)

    def _stop(self) -> None:
        if self._watch is not None:
            self._watch.stop()
            self._watch = None

    def _look(self) -> None:
        try:
            peeked = self._sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            peeked = b""
        self._stop()  # a pipelined request would keep us awake
        if not peeked:
            self._source.abandon(self._held)
