"""A loop without threads, sockets or a clock of its own, for tests that compare with a model.

Turns, jobs and timers run where `settle` and `advance` are called, in the order the real
loops give them; whatever raises in one raises there.
"""

from __future__ import annotations

import contextvars
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from flask_sio.protocol.timers import Timer, Wheel
from flask_sio.runtime.stream import Receiver


class VirtualLoop:
    """The owner of a server's state, in the hands of a test."""

    name = "threading"
    stall_s = 0.0
    running_handlers = 0

    def __init__(self) -> None:
        self.time = 1000.0
        self.wheel = Wheel(0.001)
        self._turns: deque[Callable[[], object]] = deque()
        self._ready: deque[Any] = deque()
        self._in_turn = False

    def run(self, fn: Callable[..., object], *args: Any) -> None:
        if self._in_turn:  # a turn asked for inside a turn comes after it
            self._turns.append(lambda: fn(*args))
        else:
            self.call(fn, *args)

    def call(self, fn: Callable[..., Any], *args: Any) -> Any:
        outer, self._in_turn = self._in_turn, True
        try:
            return fn(*args)
        finally:
            self._in_turn = outer

    def soon(self, fn: Callable[..., object], *args: Any) -> None:
        self._turns.append(lambda: fn(*args))

    def now(self) -> float:
        return self.time

    def call_at(self, when: float, fn: Callable[[], object]) -> Timer:
        return self.wheel.add(when, fn)

    def ready(self, turn: Any) -> None:
        self._ready.append(turn)

    def defer(self, fn: Callable[..., object], *args: Any) -> None:
        """What waits or logs: none of it matters here."""

    def on_tick(self, fn: Callable[[], None]) -> None: ...

    def stop(self) -> None: ...

    def settle(self) -> None:
        """Run every turn and every job that is due."""
        while self._turns or self._ready:
            while self._turns:
                self.call(self._turns.popleft())
            if self._ready:
                job = self.call(self._ready.popleft().take_turn)
                if job is not None:
                    job()

    def advance(self, seconds: float) -> None:
        """Let time pass, with everything that comes due in it."""
        until = self.time + seconds
        while (due := self.wheel.next()) is not None and due <= until:
            self.time = max(self.time, due)
            for fn in self.wheel.drain(self.time):
                self.call(fn)
            self.settle()
        self.time = until


class VirtualStream:
    """The server's end of a WebSocket whose client reads all at once."""

    buffered_bytes = 0
    buffered_packets = 0

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._receiver: Receiver | None = None
        self._when_closed: list[Callable[[Any], object]] = []
        self.is_open = True
        self._out = bytearray()

    def attach(self, receiver: Receiver) -> VirtualStream:
        self._receiver = receiver
        return self

    def send(self, data: bytes, *, first: bool = False) -> None:
        if self.is_open:
            self._out += data

    def frames(self) -> Iterator[tuple[int, bytes]]:
        """Take the frames that were sent: opcode and payload."""
        data, self._out = bytes(self._out), bytearray()
        while data:
            size, at = data[1], 2
            if size > 125:
                width = 2 if size == 126 else 8
                size, at = int.from_bytes(data[2 : 2 + width], "big"), 2 + width
            yield data[0] & 0xF, data[at : at + size]
            data = data[at + size :]

    def feed(self, *messages: str | bytes) -> None:
        """Hand the server messages, each in a frame of its own."""
        for message in messages:
            is_text = isinstance(message, str)
            payload = message.encode() if isinstance(message, str) else message
            size = len(payload)
            assert size < 65536
            head = bytes([0x81 if is_text else 0x82])
            head += bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
            if self._receiver is not None:
                self._loop.call(self._receiver.received, head + bytes(4) + payload)

    def lose(self) -> None:
        """End the connection as a crashed client does."""
        receiver, self._receiver = self._receiver, None
        self._closed()
        if receiver is not None:
            self._loop.call(receiver.gone)

    def read_now(self) -> None: ...

    def when_drained(self, fn: Callable[[], object]) -> None:
        fn()

    def close(self) -> None:
        self._receiver = None
        self._closed()

    abort = close_in_child = close

    def _closed(self) -> None:
        self.is_open = False
        told, self._when_closed = self._when_closed, []
        for fn in told:
            fn(self)

    def when_closed(self, fn: Callable[[Any], object]) -> None:
        if self.is_open:
            self._when_closed.append(fn)
        else:
            fn(self)


CONTEXT = contextvars.Context()
