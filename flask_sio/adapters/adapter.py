"""The seam between a server and the clients of a namespace, wherever they are connected.

A server does through its `Adapter` whatever concerns many clients at once. `MemoryAdapter`
reaches those of this server; `ClusterAdapter` those of others too, over a `Bus`. Both pass
the suite in ``tests/adapters``, and so must any other.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from flask_sio.adapters.rooms import Room, Rooms
from flask_sio.protocol.sio import Body
from flask_sio.runtime.loop import Loop

if TYPE_CHECKING:
    from flask_sio.adapters.answers import Callback, Found, Gathering
    from flask_sio.adapters.fanout import FanOut
    from flask_sio.protocol.encoded import Encoded

__all__ = ["EVERYBODY", "Adapter", "BroadcastOptions", "EmitResult", "Home", "SocketRecord"]

QUERY_S = 5.0
"""How long other servers have to say what they know; Node's adapters wait as long."""


class BroadcastOptions(NamedTuple):
    """Whom something is for, and how it is sent; a value, fit to be sent to another server."""

    rooms: tuple[Room, ...] | None = None
    """Who is in any of these, each once; an id is the room of its one client. None: everybody."""
    skip: tuple[Room, ...] = ()
    """But for those in any of these."""
    local: bool = False
    """Only clients of this server."""
    volatile: bool = False
    """Only clients that take it at once."""
    compress: bool = True
    coalesce: Hashable = None
    """Where it has to wait, a later one with the same value takes its place."""


EVERYBODY = BroadcastOptions()


@dataclass(slots=True)
class SocketRecord:
    """A client as another server may know it."""

    id: str
    rooms: tuple[Room, ...]
    """Its own id's first."""
    handshake: dict[str, Any]
    data: dict[str, Any] = field(default_factory=dict)


class EmitResult:
    """What became of an emit; nothing is counted before it is read.

    The numbers are of this server's own clients. Reading waits for the emit's turn, which
    under gevent has passed. A handler that returns one returns nothing. Any thread.
    """

    __slots__ = ("_loop", "counts", "fan_out", "published")

    def __init__(self, loop: Loop | None) -> None:
        self._loop = loop
        self.counts: tuple[int, int] | None = None if loop else (0, 0)
        """Matched and queued, once the emit has had its turn."""
        self.fan_out: FanOut | None = None
        """What serves many recipients, while it does."""
        self.published = 0
        """How many other servers it was handed to."""

    def _read(self) -> tuple[int, int]:
        if self.counts is None and self._loop is not None:
            self._loop.call(self._settle)  # turns keep their order: it has had its own
        return self.counts or (0, 0)

    def _settle(self) -> None:
        if self.fan_out is not None:
            self.fan_out.finish()

    @property
    def matched(self) -> int:
        """How many clients it was for."""
        return self._read()[0]

    @property
    def queued(self) -> int:
        """How many connections took it: it was sent, or waits to be."""
        return self._read()[1]

    @property
    def dropped(self) -> int:
        """How many did not: gone, too slow, or not ready for a volatile one."""
        matched, queued = self._read()
        return matched - queued

    def __repr__(self) -> str:
        others = f" published={self.published}" if self.published else ""
        return f"<EmitResult matched={self.matched} queued={self.queued}{others}>"


class Home(Protocol):
    """The server an adapter works for, as far as it knows it."""

    @property
    def running(self) -> Loop | None:
        """The loop; None before the first, when there are no clients either."""

    def borrow_loop(self, borrower: object) -> Loop:
        """Return the loop, started if need be, and keep it until `give_back`."""

    def give_back(self, borrower: object) -> None:
        """Need the loop no more. Owner's turn."""

    @property
    def namespaces(self) -> Sequence[str]:
        """The namespaces that somebody is in. A snapshot. Owner's turn."""

    def rooms(self, namespace: str) -> Rooms | None:
        """Return a namespace's rooms, None while nobody is in it. Owner's turn."""

    def compose(self, namespace: str, body: Body) -> Encoded:
        """Return the packet of an event whose ``[event, *args]`` were rendered. Any thread."""

    def server_event(self, namespace: str, body: Body) -> Any:
        """Run what listens to another server's event; return its answer. On a worker."""

    def hear_presence(self, server: str, body: Body, answer: Callable[[Body], object]) -> None:
        """Take what another server says of its users; ``answer`` says something back. Any thread.

        Raises:
            ProtocolError: no server says that.
        """

    def gained(self, server: str) -> None:
        """Learn that another server can be reached from now on. Any thread."""

    def lost(self, server: str) -> None:
        """Learn that another server has gone. Any thread."""


class Adapter(Protocol):
    """Reaches clients. Any thread; only what returns something of clients waits.

    What is asked of other servers is theirs to do later, in the order it was asked.
    """

    def emit(self, namespace: str, body: Body, options: BroadcastOptions) -> EmitResult:
        """Send an event."""

    def emit_asking(
        self, namespace: str, body: Body, options: BroadcastOptions, callback: Callback
    ) -> EmitResult:
        """Send an event, and call ``callback`` with each client's answer."""

    def ask(self, namespace: str, body: Body, options: BroadcastOptions) -> Gathering:
        """Send an event, and gather each client's answer."""

    def join(self, namespace: str, options: BroadcastOptions, rooms: Sequence[Room]) -> None:
        """Let clients join rooms."""

    def leave(self, namespace: str, options: BroadcastOptions, rooms: Sequence[Room]) -> None:
        """Let clients leave rooms."""

    def disconnect(
        self,
        namespace: str | None,
        options: BroadcastOptions,
        close: bool = False,
        after_flush: bool = False,
    ) -> None:
        """Let clients leave the namespace, or with ``close`` end their connections.

        None: whatever namespaces each server has. ``after_flush``: of each client, once all
        that was emitted to it has left its server.
        """

    def is_elsewhere(self, namespace: str, room: Room) -> bool:
        """Whether a room's name is the id of another server's client, as far as it is known.

        Any thread; never blocks.
        """

    def sockets(self, namespace: str, options: BroadcastOptions) -> Found[SocketRecord]:
        """Describe clients."""

    def ids(self, namespace: str, options: BroadcastOptions) -> Found[str]:
        """Return the ids of clients that were accepted and have not begun to leave."""

    def sizes(self, namespace: str, local: bool = False) -> tuple[dict[Room, int], Iterable[str]]:
        """Return how many are in each room, and which servers did not say."""

    def server_event(self, namespace: str, body: Body) -> None:
        """Send an event to the other servers."""

    def server_call(
        self, namespace: str, body: Body, timeout: float | None
    ) -> tuple[list[Any], Iterable[str]]:
        """Send it and wait; ``timeout`` None: for as long as these servers are there.

        Returns their answers, and which servers gave none.
        """

    @property
    def id(self) -> str:
        """What other servers know this one by."""

    @property
    def others(self) -> Sequence[str]:
        """The servers that can be reached, and reach this one."""

    def tell_presence(self, server: str, body: Body) -> None:
        """Say something of this server's users to another; nothing happens if it has gone."""

    def close(self) -> None:
        """Hear nothing more from other servers. Twice is harmless."""
