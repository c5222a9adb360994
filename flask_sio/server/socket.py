"""One client in one namespace. Changes in the owner's turn only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from flask_sio.protocol import sio
from flask_sio.protocol.encoded import Encoded
from flask_sio.server.acks import Acks, Callback, PendingCall

if TYPE_CHECKING:
    from flask_sio.adapters.memory import Room
    from flask_sio.server.client import Client
    from flask_sio.server.jobs import DisconnectJob
    from flask_sio.server.namespace import LiveNamespace

State = Literal["connecting", "connected", "leaving", "gone"]


class Socket:
    """A connected client as handlers of one namespace see it."""

    __slots__ = (
        "_acks",
        "_pending",
        "_pending_bytes",
        "_session",
        "auth",
        "client",
        "id",
        "parting",
        "space",
        "state",
        "was_accepted",
    )

    def __init__(self, client: Client, space: LiveNamespace, socket_id: str, auth: Any) -> None:
        self.client = client
        self.space = space
        self.id = socket_id
        """The public id; not the secret one of the connection."""
        self.auth = auth
        """What the client sent to connect here, or None."""
        self.state: State = "connecting"
        self.was_accepted: bool | None = None
        """None until its connect handler, if there is one, has decided."""
        self.parting: DisconnectJob | None = None
        """What runs when it left before its connect handler has decided."""
        self._pending: list[Encoded] | None = None
        self._pending_bytes = 0
        self._acks: Acks | None = None
        self._session: dict[str, Any] | None = None

    @property
    def namespace(self) -> str:
        return self.space.name

    @property
    def environ(self) -> dict[str, Any]:
        """The WSGI environ of the client's first request, without the server's own objects."""
        return self.client.connection.environ

    @property
    def transport(self) -> Literal["polling", "websocket"]:
        return self.client.connection.transport_name

    @property
    def connected(self) -> bool:
        return self.state == "connected"

    @property
    def rooms(self) -> list[Room]:
        """The rooms it is in, its own first. Owner's turn."""
        return self.space.adapter.rooms_of(self)

    @property
    def session(self) -> dict[str, Any]:
        """A dict for this client in this namespace; gone with it."""
        if self._session is None:
            self._session = {}
        return self._session

    @session.setter
    def session(self, session: dict[str, Any]) -> None:
        self._session = session

    def sibling(self, namespace: str) -> Socket | None:
        """Return the same client in another namespace, if it is connected there."""
        socket = self.client.sockets.get(namespace)
        return socket if socket is not None and socket.state != "connecting" else None

    def join(self, room: Room) -> None:
        """Enter a room.

        Raises:
            ValueError: it is in ``max_rooms`` rooms already.
        """
        limit, adapter = self.client.server.options.max_rooms, self.space.adapter
        if not adapter.has_place(self, room, limit):
            raise ValueError(
                f"a client may be in max_rooms={limit} rooms: leave_room() first, or raise it"
            )
        adapter.join(self, room)

    # -- out ---------------------------------------------------------------------------

    def deliver(self, encoded: Encoded) -> bool:
        """Send a packet, or keep it until the client is accepted; False once it left."""
        if self.state == "connected":
            return self.client.connection.send(encoded)
        if self.state != "connecting":
            return False
        if self._pending is None:
            self._pending = []
        options = self.client.server.options
        self._pending_bytes += encoded.size
        if (
            self._pending_bytes > options.max_outbound_bytes
            or len(self._pending) >= options.max_outbound_packets
        ):
            self.client.connection.overflow()
            return False
        self._pending.append(encoded)
        return True

    def ask(self, whom: PendingCall | Callback) -> int:
        """Return an ack id for ``whom``."""
        if self._acks is None:
            self._acks = Acks(self.client.server.options.max_unanswered_acks)
        return self._acks.ask(whom)

    def take_ack(self, number: int) -> PendingCall | Callback | None:
        """Return who waits for an answer, and wait for it no more."""
        return None if self._acks is None else self._acks.take(number)

    # -- life --------------------------------------------------------------------------

    def accept(self) -> None:
        """Tell the client that it is connected, then what was emitted to it meanwhile."""
        self.state = "connected"
        send = self.client.connection.send
        send(sio.encode(sio.Packet(sio.CONNECT, self.space.name, {"sid": self.id})))
        pending, self._pending = self._pending, None
        for encoded in pending or ():
            send(encoded)

    def refuse(self, refusal: Encoded) -> None:
        """Send a CONNECT_ERROR to a client that may not connect, and forget it."""
        if self.state == "connecting":
            self.client.connection.send(refusal)
        self.was_accepted = False
        self.parting = None
        self.leave()

    def start_leaving(self) -> None:
        """Take and give no more; rooms and session last until its disconnect handler ends."""
        self.state = "leaving"
        self._pending = None
        if self._acks is not None:
            self._acks.fail_all()
            self._acks = None

    def leave(self) -> None:
        """Leave the rooms and the namespace."""
        self.start_leaving()
        self.state = "gone"
        self.space.adapter.remove(self)
        self.client.server.drop_if_empty(self.space)
        if self.client.sockets.get(self.space.name) is self:
            del self.client.sockets[self.space.name]

    def __repr__(self) -> str:
        return f"<Socket {self.id} in {self.space.name!r} {self.state}>"
