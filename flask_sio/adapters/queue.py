"""Message queues: how several servers reach each other's clients.

``memory://`` joins the servers of one process that name the same URL and channel; nothing
is sent anywhere and no thread runs: what one member says is handed to each other's loop.
Any other URL is kept and reported, and fails when it is first used.

`Message` and `Reply` are values, so that a broker can carry them as they are.
"""

from __future__ import annotations

import weakref
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from flask_sio.errors import ConfigError
from flask_sio.protocol.sio import Body

__all__ = ["Channel", "Listener", "Message", "MessageQueue", "Reply", "chosen_queue"]

Room = Hashable

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


@dataclass(frozen=True, slots=True)
class Message:
    """What one member asks the others to do with some of their clients."""

    kind: Literal["emit", "enter", "leave", "disconnect"]
    namespace: str
    rooms: tuple[Room, ...] | None
    """Whom it concerns: who is in these rooms, each once; None is everybody."""
    skip: tuple[str, ...] = ()
    """Ids it does not concern."""
    body: Body | None = None
    """Of ``"emit"``: the rendered ``[event, *args]``."""
    room: Room = None
    """Of ``"enter"`` and ``"leave"``."""
    sender: str = ""
    request: int | None = None
    """Of an ``"emit"`` whose answers the sender wants: its number there."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a member tells the sender of a request.

    First, once, how many clients it has asked; then for each of them its answer, or None
    when it left without one.
    """

    request: int
    asked: int | None = None
    answer: tuple[Any, ...] | None = None


class Listener(Protocol):
    """A member of a channel. Any thread; must not wait."""

    id: str

    def deliver(self, message: Message) -> None:
        """Take what another member asks for."""

    def settle(self, reply: Reply) -> None:
        """Take a reply to a request of its own."""


class Channel:
    """The members of one queue in this process. Any thread; never blocks.

    It knows them weakly: a server that nobody holds any more is no member.
    """

    def __init__(self) -> None:
        self._members: dict[str, weakref.ref[Listener]] = {}

    def join(self, member: Listener) -> None:
        """Let a member hear what others publish."""
        own_id, members = member.id, self._members
        members[own_id] = weakref.ref(member, lambda _: members.pop(own_id, None))

    def leave(self, member: Listener) -> None:
        """Let a member hear nothing more. Twice is harmless."""
        self._members.pop(member.id, None)

    def publish(self, message: Message) -> int:
        """Hand a message to every member but its sender; return how many there were."""
        heard = 0
        for own_id, reference in list(self._members.items()):
            member = reference()
            if member is not None and own_id != message.sender:
                heard += 1
                member.deliver(message)
        return heard

    def reply(self, to: str, reply: Reply) -> None:
        """Hand a reply to the member it is for."""
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

    def open(self) -> Channel:
        """Return the channel.

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
