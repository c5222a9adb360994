"""Who is in which room of one namespace, in this process's memory.

Rooms know recipients, not sockets. Owner's turn only. Every recipient is alone in a room
named by its id; that one is implicit, not stored.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from flask_sio.adapters.adapter import BroadcastOptions, SocketRecord
    from flask_sio.adapters.answers import Asker
    from flask_sio.adapters.fanout import FanOut
    from flask_sio.protocol.encoded import Encoded
    from flask_sio.protocol.sio import Body

Room = Hashable

RoomEvent = Literal["create", "join", "leave", "delete"]


@dataclass(frozen=True, slots=True)
class UserRoom:
    """The room of everybody who is one user. Being no text, no client can name it."""

    user: str


class Recipient(Protocol):
    """Who can be in a room. Owner's turn only; nothing here raises or waits."""

    @property
    def id(self) -> str: ...
    @property
    def connected(self) -> bool:
        """Whether it was accepted and has not begun to leave."""

    def deliver(self, encoded: Encoded) -> bool:
        """Send one packet; return whether it was taken."""

    def deliver_if_ready(self, encoded: Encoded) -> bool:
        """Send one packet if nothing waits before it; return whether it was taken."""

    def deliver_latest(self, encoded: Encoded, key: Hashable) -> bool:
        """Send one packet; while it waits, a later one of the same key takes its place."""

    def request(self, body: Body, whom: Asker, options: BroadcastOptions) -> int:
        """Send an event that asks for an answer; return its number, 0 if it was not taken."""

    def take_ack(self, number: int) -> object:
        """Wait for that answer no more."""

    def enter(self, room: Room) -> None:
        """Join a room, unless it is leaving, or the room is another's own."""

    def disconnect_now(self, close: bool) -> None:
        """Leave the namespace, or with ``close`` end the whole connection."""

    def disconnect_flushed(self, close: bool) -> None:
        """Do that once all that was emitted to it has left."""

    def record(self, rooms: Sequence[Room]) -> SocketRecord:
        """Describe it, who was in these rooms, for `Adapter.sockets`. Any thread."""


class Rooms:
    """The rooms of one namespace. Joins, leaves and disconnects cost the rooms of that one."""

    __slots__ = ("_joined", "_rooms", "everyone", "fan_outs", "on_change")

    def __init__(self) -> None:
        self.everyone: dict[str, Recipient] = {}
        """The recipients by id, in the order they came."""
        self._rooms: dict[Room, dict[Recipient, None]] = {}
        self._joined: dict[Recipient, dict[Room, None]] = {}
        self.fan_outs: tuple[FanOut, ...] = ()
        """Broadcasts on their way to some of them; see `FanOut.serve`."""
        self.on_change: Callable[[RoomEvent, Room, str], object] | None = None
        """Told of rooms that begin and end, and of who joins and leaves: an id; "" where the
        room itself is meant. The rooms of ids and of users are nobody's business."""

    def add(self, recipient: Recipient) -> None:
        """Take in a recipient; it is in no room but its own."""
        self.everyone[recipient.id] = recipient

    def remove(self, recipient: Recipient) -> None:
        """Forget a recipient and leave its rooms."""
        self.everyone.pop(recipient.id, None)
        for room in self._joined.pop(recipient, ()):
            self._leave_room(recipient, room)

    def join(self, recipient: Recipient, room: Room) -> None:
        """Put a recipient into a room. Its own id's room it is in already."""
        if room == recipient.id:
            return
        members = self._rooms.get(room)
        if members is None:
            members = self._rooms[room] = {}
            if self.on_change is not None:
                self._tell("create", room)
        elif recipient in members:
            return
        members[recipient] = None
        self._joined.setdefault(recipient, {})[room] = None
        if self.on_change is not None:
            self._tell("join", room, recipient.id)

    def leave(self, recipient: Recipient, room: Room) -> None:
        """Take a recipient out of a room, if it is in it."""
        joined = self._joined.get(recipient)
        if joined is not None and room in joined:
            del joined[room]
            if not joined:
                del self._joined[recipient]
            self._leave_room(recipient, room)

    def _leave_room(self, recipient: Recipient, room: Room) -> None:
        members = self._rooms[room]
        del members[recipient]
        if not members:
            del self._rooms[room]
        if self.on_change is not None:
            self._tell("leave", room, recipient.id)
            if not members:
                self._tell("delete", room)

    def _tell(self, what: RoomEvent, room: Room, own_id: str = "") -> None:
        if self.on_change is not None and room.__class__ is not UserRoom:
            self.on_change(what, room, own_id)

    def rooms_of(self, recipient: Recipient) -> list[Room]:
        """Return the rooms of a recipient, its own first."""
        if recipient.id not in self.everyone:
            return []
        joined = self._joined.get(recipient, ())
        return [recipient.id, *(room for room in joined if room.__class__ is not UserRoom)]

    def users_of(self, recipient: Recipient) -> list[str]:
        """Return the ids of the users that a recipient belongs to."""
        joined = self._joined.get(recipient, ())
        return [room.user for room in joined if isinstance(room, UserRoom)]

    def has_place(self, recipient: Recipient, room: Room, limit: int) -> bool:
        """Whether a recipient may join a room if it may be in ``limit`` of them."""
        joined = self._joined.get(recipient)
        return joined is None or len(joined) < limit or room in joined

    def sizes(self) -> dict[Room, int]:
        """Return how many are in each room that somebody has joined; not those of ids."""
        rooms = self._rooms.items()
        return {room: len(members) for room, members in rooms if room.__class__ is not UserRoom}

    def members(self, room: Room) -> list[Recipient]:
        """Return who is in a room."""
        alone = self.everyone.get(room) if isinstance(room, str) else None
        return list(self._rooms.get(room, ())) if alone is None else [alone]

    def select(self, rooms: Sequence[Room] | None, skip: Iterable[Room] = ()) -> list[Recipient]:
        """Return who is in any of ``rooms``, each once, and in none of ``skip``. A snapshot.

        None means everybody.
        """
        if rooms is None:
            found = list(self.everyone.values())
        elif len(rooms) == 1:
            found = self.members(rooms[0])
        else:
            union: dict[Recipient, None] = {}
            for room in rooms:
                alone = self.everyone.get(room) if isinstance(room, str) else None
                if alone is not None:
                    union[alone] = None
                else:
                    union.update(self._rooms.get(room, {}))
            found = list(union)
        if skip:
            left_out = {each for room in skip for each in self.members(room)}
            if left_out:
                return [each for each in found if each not in left_out]
        return found


def check_hashable(call: str, what: str, things: Iterable[object]) -> None:
    """Refuse what cannot be the key of a dict, in the call that names it.

    Raises:
        TypeError: there is one.
    """
    for thing in things:
        try:
            hash(thing)
        except TypeError:
            raise TypeError(
                f"{call}: {what} must be hashable, such as a string; {thing!r:.80} is not"
            ) from None
