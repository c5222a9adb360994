"""Every exception of the package, in one tree.

::

    SocketIOError
    ├── ProtocolError            the peer's fault: the connection is closed
    │   ├── PacketError          an Engine.IO or Socket.IO packet that cannot be read
    │   │   └── PayloadTooBig    more bytes than ``max_http_buffer_size``
    │   ├── FrameError           a WebSocket violation; carries the close ``code``
    │   └── HandshakeError       a WebSocket upgrade that cannot be answered by 101
    ├── ConnectionError          a client that cannot connect
    │   └── ConnectionRefusedError   raised by a connect handler to refuse a client
    ├── EventRefusedError        raised to refuse an event, or the client's entry into a room
    ├── PayloadError             what a client sent is not what its handler takes
    ├── TimeoutError             no answer to a ``call()`` in time (a builtin TimeoutError too)
    ├── HandlerTimeoutError      an event's handler took too long (a builtin TimeoutError too)
    ├── DisconnectedError        the client left before it answered
    ├── BadNamespaceError        a namespace that nobody serves
    ├── NotConnectedError        an id that is no connected client (ValueError and KeyError too)
    └── ConfigError              an option's value is wrong (a ValueError too)
"""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = [
    "BadNamespaceError",
    "ConfigError",
    "ConnectionError",
    "ConnectionRefusedError",
    "DisconnectedError",
    "EventRefusedError",
    "FrameError",
    "HandlerTimeoutError",
    "HandshakeError",
    "NotConnectedError",
    "PacketError",
    "PayloadError",
    "PayloadTooBig",
    "ProtocolError",
    "SocketIOError",
    "TimeoutError",
]


_REJECTED = "Connection rejected by server"


class SocketIOError(Exception):
    """Base of everything this package raises on purpose."""


class ProtocolError(SocketIOError):
    """The peer broke the protocol; its connection is closed."""


class PacketError(ProtocolError):
    """An Engine.IO or Socket.IO packet that cannot be read."""


class PayloadTooBig(PacketError):
    """More bytes than the server takes in one message."""


class FrameError(ProtocolError):
    """A violation of RFC 6455."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        """The close code to send: 1002, 1007 or 1009."""


class HandshakeError(ProtocolError):
    """A WebSocket upgrade request that must be refused."""

    def __init__(
        self, status: int, message: str, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(message)
        self.status = status
        """The HTTP status of the refusal."""
        self.headers = headers
        """Headers the refusal must carry, ``Sec-WebSocket-Version`` for one."""


class ConnectionError(SocketIOError):
    """A client that cannot connect; of a server only `ConnectionRefusedError` is one."""


class ConnectionRefusedError(ConnectionError):
    """Raise in a connect handler to refuse the client.

    ``ConnectionRefusedError()`` sends a default message, ``("text",)`` that text,
    ``("text", data)`` the data too; more arguments make ``data`` a list. A dict in the
    text's place is data, but for its ``"message"``. This is not the builtin of the same
    name, which refuses as well.
    """

    @property
    def payload(self) -> dict[str, Any]:
        """The CONNECT_ERROR data: ``{"message": str}``, with ``"data"`` where given."""
        if not self.args:
            return {"message": _REJECTED}
        first, *data = self.args
        if isinstance(first, dict):
            rest = dict(first)
            first = rest.pop("message", _REJECTED)
            if rest:  # a whole payload, or data by itself
                data.insert(0, rest["data"] if rest.keys() == {"data"} else rest)
        refusal: dict[str, Any] = {"message": str(first)}
        if data:
            refusal["data"] = data[0] if len(data) == 1 else data
        return refusal


class EventRefusedError(SocketIOError):
    """Raise in event middleware, or in a handler, to refuse the event.

    ``EventRefusedError("slow down", {"wait": 3})`` is told to a client that has asked for an
    acknowledgement: ``{"error": "slow down", "data": {"wait": 3}}``. It is no failure: nothing
    is logged, and no error handler sees it. In a connect handler it refuses the client. Joining
    a room that `Server.use_join` says no to raises it.
    """

    @property
    def payload(self) -> dict[str, Any]:
        """The ack: ``{"error": str}``, with ``"data"`` where given."""
        if not self.args:
            return {"error": "Event refused"}
        first, *data = self.args
        refusal: dict[str, Any] = {"error": str(first)}
        if data:
            refusal["data"] = data[0] if len(data) == 1 else data
        return refusal


class PayloadError(SocketIOError):
    """What a client sent is not what the handler takes; a handler may raise it, too.

    ``PayloadError("no such room", [0, "room"])`` names the argument by its number, and the
    field in it. The client is told: by the ack if it asked for one, else by the event
    ``invalid_payload``; one that connects is refused.
    """

    def __init__(
        self,
        message: str = "is not valid",
        path: Sequence[str | int] = (),
        *,
        faults: Iterable[tuple[tuple[str | int, ...], str]] | None = None,
    ) -> None:
        self.faults = [(tuple(path), message)] if faults is None else list(faults)
        """Pairs of a path and a text."""
        super().__init__(message)

    def __str__(self) -> str:
        return "; ".join(
            ": ".join((".".join(map(str, path)), text)) if path else text
            for path, text in self.faults
        )

    @property
    def errors(self) -> list[dict[str, Any]]:
        """What the client is told: ``[{"path": [0, "age"], "message": "must be ..."}]``."""
        return [
            {"path": [_short(step) for step in path], "message": text[:_TEXT_CHARS]}
            for path, text in self.faults[:MAX_FAULTS]
        ]


MAX_FAULTS = 20
"""Faults of one payload that its client is told of."""
_TEXT_CHARS = 500
_STEP_CHARS = 100


def _short(step: str | int) -> str | int:
    return step if isinstance(step, int) else step[:_STEP_CHARS]


class TimeoutError(SocketIOError, builtins.TimeoutError):
    """No answer came in time."""

    def __init__(
        self,
        *args: object,
        answers: Mapping[str, Any] | None = None,
        owed: tuple[str, ...] = (),
        missing: tuple[str, ...] = (),
    ) -> None:
        super().__init__(*args)
        self.answers = dict(answers or {})
        """Where several clients were asked: the answers that have come, by their ids."""
        self.owed = owed
        """The ids of those who have not answered."""
        self.missing = missing
        """The servers that have not said whom they asked."""


class HandlerTimeoutError(SocketIOError, builtins.TimeoutError):
    """The handler of an event took longer than its ``timeout``; for error handlers to see."""

    def __init__(self, *args: object, seconds: float = 0.0) -> None:
        super().__init__(*args)
        self.seconds = seconds
        """What it may take."""


class DisconnectedError(SocketIOError):
    """The client left before it answered."""


class BadNamespaceError(SocketIOError):
    """Nobody serves this namespace."""


class NotConnectedError(SocketIOError, ValueError, KeyError):
    """No client with this id is connected to this namespace."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else "not connected"


class ConfigError(SocketIOError, ValueError):
    """An option has a value that cannot work; the text names the option."""
