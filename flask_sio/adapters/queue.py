"""Message queues: how several servers reach each other's clients.

``memory://`` joins the servers of one process that name the same URL and channel; nothing
is sent anywhere and no thread runs: what one member says is handed to each other's loop.
Any other URL is kept and reported, and fails when it is first used.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from functools import partial
from typing import Any

from flask_sio.adapters.bus import Bus, Listener, Message, Reply
from flask_sio.errors import ConfigError

__all__ = ["Channel", "MessageQueue", "chosen_queue"]

DEFAULT_CHANNEL = "flask-socketio"

_LATER = {
    "amqp": "an AMQP broker such as RabbitMQ",
    "amqps": "an AMQP broker such as RabbitMQ",
    "kafka": "Kafka",
    "redis": "Redis",
    "rediss": "Redis",
    "redis+sentinel": "Redis Sentinel",
    "rediss+sentinel": "Redis Sentinel",
    "unix": "Redis on a local socket",
    "valkey": "Valkey",
    "valkeys": "Valkey",
    "valkey+sentinel": "Valkey Sentinel",
    "zmq": "ZeroMQ",
    "zmq+ipc": "ZeroMQ",
    "zmq+tcp": "ZeroMQ",
}


class Channel:
    """The bus of one queue in this process. `Bus` says what its methods do.

    It knows its members weakly: a server that nobody holds any more is no member.
    """

    def __init__(self) -> None:
        self._members: dict[str, weakref.ref[Listener]] = {}

    def join(self, listener: Listener) -> None:
        self._members[listener.id] = weakref.ref(listener, partial(self._left, listener.id))

    def leave(self, listener: Listener) -> None:
        if self._members.pop(listener.id, None) is not None:
            self._tell(listener.id)

    def _left(self, own_id: str, _: object) -> None:
        self._members.pop(own_id, None)
        self._tell(own_id)

    def _tell(self, gone: str) -> None:
        for member in self._others(gone):
            member.lost(gone)

    def _others(self, sender: str) -> list[Listener]:
        members = [reference() for own_id, reference in self._all() if own_id != sender]
        return [member for member in members if member is not None]

    def _all(self) -> list[tuple[str, weakref.ref[Listener]]]:
        return list(self._members.items())

    def others(self, sender: str) -> list[str]:
        return [member.id for member in self._others(sender)]

    def owner(self, own_id: str) -> str | None:
        return None  # ids name the process, which all members are in

    def is_elsewhere(self, sender: str, namespace: str, own_id: str) -> bool:
        return any(member.has(namespace, own_id) for member in self._others(sender))

    def publish(self, message: Message, to: str | None = None) -> list[str]:
        heard = [each for each in self._others(message.sender) if to is None or each.id == to]
        for member in heard:
            member.deliver(message)
        return [member.id for member in heard]

    def reply(self, to: str, reply: Reply) -> None:
        reference = self._members.get(to)
        member = None if reference is None else reference()
        if member is not None:
            member.settle(reply)


_channels: dict[tuple[str, str], Channel] = {}
"""By URL and channel. A forked child has copies, and so a cluster of its own."""


class MessageQueue:
    """Which queue a server uses; ``client_manager=`` takes one.

    Making one never fails and opens nothing.
    """

    def __init__(self, url: str, channel: str = DEFAULT_CHANNEL, write_only: bool = False) -> None:
        self.url = url
        self.channel = channel
        self.write_only = write_only
        """Its server tells the others, and hears nothing from them."""

    @property
    def scheme(self) -> str:
        """``"memory"`` of ``memory://``."""
        return self.url.partition(":")[0].lower()

    @property
    def is_open(self) -> bool:
        """Whether a server can hear it at once; a broker is opened at its first use."""
        return self.scheme == "memory"

    def open(self) -> Bus:
        """Return what carries its messages.

        Raises:
            ConfigError: this release does not have what the URL needs.
        """
        if self.scheme == "memory":
            return _channels.setdefault((self.url, self.channel), Channel())
        broker = _LATER.get(self.scheme, "a broker of an unknown kind")
        # The URL itself may hold a password.
        raise ConfigError(
            f"message_queue='{self.scheme}:...' needs a connection to {broker}, which this "
            "release does not have: brokers come in a later one. 'memory://' joins the servers "
            "of one process; without message_queue= a server stands alone"
        )

    def __repr__(self) -> str:
        only = ", write_only=True" if self.write_only else ""
        return f"MessageQueue('{self.scheme}:...', channel={self.channel!r}{only})"


def chosen_queue(
    options: Mapping[str, Any], latest: Mapping[str, Any], write_only: bool
) -> MessageQueue | None:
    """Return the queue that a SocketIO's options ask for.

    ``options`` are all so far, ``latest`` those of this call: a ``client_manager`` there
    comes before any ``message_queue``, which comes before an earlier ``client_manager``.

    Raises:
        ConfigError: a URL that is no text.
    """
    manager: MessageQueue | None = latest.get("client_manager")
    url = options.get("message_queue")
    if manager is not None or not url:
        return manager or options.get("client_manager")
    if not isinstance(url, str):
        raise ConfigError(f"message_queue={type(url).__name__}: accepted is None or a URL")
    return MessageQueue(url, options.get("channel") or DEFAULT_CHANNEL, write_only)
