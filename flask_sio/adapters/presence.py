"""How servers of a bus speak of their users; what they say is the layer's above."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from flask_sio.adapters.bus import EVERY_NAMESPACE, Message

if TYPE_CHECKING:
    from flask_sio.adapters.adapter import Home
    from flask_sio.adapters.cluster import BusSource
    from flask_sio.protocol.sio import Body

__all__ = ["PresenceOnBus"]


class PresenceOnBus:
    """The part of a `ClusterAdapter` that carries it. Any thread; never blocks."""

    id: str
    _home: Home
    _source: BusSource

    @property
    def others(self) -> Sequence[str]:
        source = self._source
        return source.open().others(self.id) if source.is_open and not source.write_only else ()

    def tell_presence(self, server: str, body: Body) -> None:
        message = Message("presence", EVERY_NAMESPACE, body=body, sender=self.id)
        self._source.open().publish(message, server)

    def hear_presence(self, message: Message) -> None:
        """Take what another server says.

        Raises:
            ProtocolError: no server says that.
        """
        answer = partial(self.tell_presence, message.sender)
        self._home.hear_presence(message.sender, message.body or ("", ()), answer)

    def gained(self, server: str) -> None:
        """Learn that another server can be reached."""
        self._home.gained(server)
