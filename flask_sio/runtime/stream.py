"""A non-blocking socket on a loop, with a buffer for what it does not take at once.

`Stream.send` writes straight from the emitter; only what the kernel refuses is kept, and a
write watch drains it. Everything here happens in the owner's turn. A stream never raises:
a socket that fails ends in one call of ``receiver.gone()``.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol, cast

from flask_sio.protocol.timers import Timer
from flask_sio.runtime.loop import LONG_S, Loop, Watch

__all__ = ["AnyStream", "Receiver", "Stream"]

RECV_BYTES = 65536
TURN_BYTES = 2048
"""What is read of a peer before others get their turn, unless it is inside a longer message.

Thousands of the smallest frames fit into `RECV_BYTES`, and everybody waits while they are read.
A peer that has more to say goes on in the loop's slow lane, as one does whose data takes long.
"""
FEW_BYTES = 200
"""So few take no time worth a look at the clock."""
LINGER_S = 3.0
"""How long a closing stream waits for the peer to take the rest and to close."""

_WOULD_BLOCK = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Receiver(Protocol):
    """Who reads a stream. Called in the owner's turn; must not raise, wait or log.

    One that is `Framed` is given `TURN_BYTES` at a time, or what it awaits; others are given
    `RECV_BYTES`.
    """

    def received(self, data: bytes) -> None:
        """Take bytes that came in."""

    def gone(self) -> None:
        """Learn that the peer has closed or the socket has failed. Once, then no more."""


class Framed(Receiver, Protocol):
    """One that knows how much is still to come."""

    def awaited(self) -> int:
        """Return how many bytes the message that has begun still needs."""


class AnyStream(Protocol):
    """What the engine asks of a stream: `Stream`, or one that has no socket."""

    buffered_bytes: int

    @property
    def buffered_packets(self) -> int: ...
    @property
    def is_open(self) -> bool: ...
    def send(self, data: bytes, *, first: bool = False) -> None: ...
    def read_now(self) -> None: ...
    def when_drained(self, fn: Callable[[], object]) -> None: ...
    def close(self) -> None: ...
    def abort(self) -> None: ...
    def when_closed(self, fn: Callable[[Any], object]) -> None: ...
    def close_in_child(self) -> None: ...


class Stream:
    """One socket that is ours alone."""

    __slots__ = (
        "_closing",
        "_linger",
        "_loop",
        "_most",
        "_out",
        "_owned",
        "_paused",
        "_pending",
        "_receiver",
        "_sock",
        "_watch",
        "_when_closed",
        "_when_drained",
        "buffered_bytes",
    )

    def __init__(self, loop: Loop, sock: Any, receiver: Receiver, *, owned: bool = True) -> None:
        self._loop = loop
        self._owned = owned  # else the WSGI server closes it, when its call returns
        # TLS keeps decrypted bytes that no poll would tell of.
        self._pending = getattr(sock, "pending", None)
        self._sock = sock
        self._receiver: Receiver | None = receiver
        self._most = TURN_BYTES if hasattr(receiver, "awaited") else RECV_BYTES
        self._out: deque[bytes | memoryview] | None = None
        self._closing = False
        self._paused = False
        self._linger: Timer | None = None
        self.buffered_bytes = 0
        """Bytes accepted by `send` that the kernel has not taken yet."""
        self._when_closed: tuple[Callable[[Any], object], ...] = ()
        self._when_drained: Callable[[], object] | None = None
        self._watch: Watch | None = loop.watch(sock, self._readable, self._writable)

    def when_closed(self, fn: Callable[[Any], object]) -> None:
        """Call ``fn(stream)`` once the descriptor is given back, at once if it has been."""
        if self._watch is None:
            fn(self)
        else:
            self._when_closed = (*self._when_closed, fn)

    def when_drained(self, fn: Callable[[], object]) -> None:
        """Call ``fn`` once, when nothing waits any more; one function at a time."""
        self._when_drained = fn

    @property
    def is_open(self) -> bool:
        return self._watch is not None and not self._closing

    @property
    def buffered_packets(self) -> int:
        """How many calls of `send` are still waiting, at least in part."""
        return len(self._out) if self._out else 0

    def send(self, data: bytes, *, first: bool = False) -> None:
        """Write ``data``, or keep what the kernel does not take; ``first`` jumps the queue.

        Never interleaves: a message that has begun to leave goes on before any other.
        """
        if self._watch is None or self._closing:
            return
        if self._out:
            self._keep(data, first)
            return
        try:
            sent = self._sock.send(data)
        except _WOULD_BLOCK:
            sent = 0
        except OSError:
            self._fail()
            return
        if sent < len(data):
            self._keep(memoryview(data)[sent:] if sent else data, first)

    def _keep(self, data: bytes | memoryview, first: bool) -> None:
        if self._out is None:
            self._out = deque()
        if first and len(self._out) > 1:
            self._out.insert(1, data)  # the head may have left in part
        else:
            self._out.append(data)
        self.buffered_bytes += len(data)
        if len(self._out) == 1 and self._watch is not None:
            self._watch.want_write(True)

    def _writable(self) -> None:
        out = self._out
        while out:
            data = out[0]
            try:
                sent = self._sock.send(data)
            except _WOULD_BLOCK:
                return
            except OSError:
                self._fail()
                return
            self.buffered_bytes -= sent
            if sent < len(data):
                out[0] = memoryview(data)[sent:]
                return
            out.popleft()
        self._out = None
        if self._watch is not None:
            self._watch.want_write(False)
        if self._closing:
            self._half_close()
        elif self._when_drained is not None:
            drained, self._when_drained = self._when_drained, None
            drained()

    def read_now(self) -> None:
        """Read once, as if the socket had become readable: before a deadline closes it."""
        if self._watch is not None:
            self._readable()

    def _readable(self) -> None:
        most = self._most
        while self._watch is not None:
            try:
                data = self._sock.recv(most)
            except _WOULD_BLOCK:
                return
            except OSError:
                data = b""
            if not data:
                self._fail()
                return
            began = 0.0
            if self._receiver is not None:
                if len(data) > FEW_BYTES:
                    began = time.perf_counter()
                self._receiver.received(data)
            if self._pending is not None and self._pending():
                continue
            if began and time.perf_counter() - began > LONG_S:
                self._pause()
                return
            if len(data) < most or most > TURN_BYTES or self._receiver is None:
                return
            most = min(cast("Framed", self._receiver).awaited(), RECV_BYTES)
            if most <= TURN_BYTES:
                self._pause()
                return

    def _pause(self) -> None:
        """Read on when those who send less have had their turn."""
        if not self._paused and self._watch is not None:
            self._paused = True
            self._watch.want_read(False)
            self._loop.slow_lane.add(self._read_on)

    def _read_on(self) -> None:
        self._paused = False
        try:
            self._readable()
        finally:
            if self._watch is not None and not self._paused:
                self._watch.want_read(True)

    def close(self) -> None:
        """Send what is kept, then close; the receiver hears no more.

        The peer gets `LINGER_S` seconds to take the rest and to close its side: a socket
        closed with unread input would be reset, and a reset destroys what is on its way.
        """
        if self._closing or self._watch is None:
            return
        self._closing = True
        self._receiver = None
        self._linger = self._loop.call_at(self._loop.now() + LINGER_S, self.abort)
        if not self._out:
            self._half_close()

    def _half_close(self) -> None:
        if self._pending is not None:
            return  # a TLS stream has no half; the peer closes, or the linger ends
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.abort()

    def abort(self) -> None:
        """Close now; what is kept is dropped and the receiver hears no more."""
        self._receiver = None
        self._fail()

    def close_in_child(self) -> None:
        """Close a forked child's copy of the descriptor; the parent's stays as it is.

        The loop has forgotten by then what it shares with the parent.
        """
        if self._watch is not None:
            self._watch.stop()
            self._watch = None
        self._receiver = None
        if self._owned:
            self._sock.close()

    def _fail(self) -> None:
        watch, self._watch = self._watch, None
        if watch is None:
            return
        watch.stop()
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        self._out = None
        self.buffered_bytes = 0
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        if self._owned:
            self._loop.discard(self._sock)
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.gone()
        for fn in self._when_closed:
            fn(self)
        self._when_closed = ()
        self._when_drained = None
