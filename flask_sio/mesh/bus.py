"""The mesh as an adapter's bus: messages between the servers of one host's workers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flask_sio.adapters.bus import Listener, Message, Reply
from flask_sio.adapters.wire import decode, encode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flask_sio.mesh.mesh import Mesh

__all__ = ["MeshBus"]

_ID_CHARS = 20


class MeshBus:
    """Carries an adapter's messages over the links of a mesh. `Bus` says what its methods do.

    A server is named by its worker's tag, which the ids of its clients begin with: what
    concerns one client goes to its worker alone. Who a message is from is what the link
    says, not the message.
    """

    write_only = False
    is_open = True

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._listener: Listener | None = None

    def open(self) -> MeshBus:
        """Return the bus: it is its own source."""
        return self

    def join(self, listener: Listener) -> None:
        self._listener = listener
        listener.id = self._mesh.tag
        self._mesh.on_message = self._received
        self._mesh.on_peer_lost = listener.lost
        self._mesh.on_peer = listener.gained

    def leave(self, listener: Listener) -> None:
        self._listener = None

    def others(self, sender: str) -> Sequence[str]:
        return self._mesh.tags

    def owner(self, own_id: str) -> str | None:
        mesh = self._mesh
        tag = own_id[: len(mesh.tag)]
        if len(own_id) != _ID_CHARS or not (tag == mesh.tag or tag in mesh.peers):
            return None
        return tag  # its own: a client of this worker that has left

    def is_elsewhere(self, sender: str, namespace: str, own_id: str) -> bool:
        return self.owner(own_id) not in (None, self._mesh.tag)

    def publish(self, message: Message, to: str | None = None) -> Sequence[str]:
        data = encode(message)
        if to is None:
            self._mesh.publish(data)
            return self._mesh.tags
        if to == self._mesh.tag:
            return ()
        self._mesh.send(to, data)
        return (to,)

    def reply(self, to: str, reply: Reply) -> None:
        self._mesh.send(to, encode(reply))

    def _received(self, tag: str, data: bytes) -> None:
        """Hand on what a peer has sent. Owner's turn.

        Raises:
            ProtocolError: it is no message.
        """
        if self._listener is None:
            return
        value = decode(data)
        if isinstance(value, Message):
            self._listener.deliver(replace(value, sender=tag))
        else:
            self._listener.settle(replace(value, sender=tag))
