"""Rooms of one namespace in this process's memory.

An adapter knows recipients, not sockets: an ``id`` and ``deliver``. Owner's turn only.
Every recipient is alone in a room named by its id; that one is implicit, not stored.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable
from dataclasses import dataclass
from typing import Protocol

from flask_sio.protocol.encoded import Encoded

Room = Hashable


@dataclass(frozen=True, slots=True)
class UserRoom:
    """The room of everybody who is one user. Being no text, no client can name it."""

    user: str


class Recipient(Protocol):
    """Who can be in a room."""

    @property
    def id(self) -> str: ...

    def deliver(self, encoded: Encoded) -> bool:
        """Send one packet; return whether it was taken. Never raises."""


class MemoryAdapter:
    """Who is in which room. Joins, leaves and disconnects cost the rooms of that one."""

    __slots__ = ("_joined", "_rooms", "everyone")

    def __init__(self) -> None:
        self.everyone: dict[str, Recipient] = {}
        """The recipients by id, in the order they came."""
        self._rooms: dict[Room, dict[Recipient, None]] = {}
        self._joined: dict[Recipient, dict[Room, None]] = {}

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
        if room != recipient.id:
            self._rooms.setdefault(room, {})[recipient] = None
            self._joined.setdefault(recipient, {})[room] = None

    def has_place(self, recipient: Recipient, room: Room, limit: int) -> bool:
        """Whether a recipient may join a room if it may be in ``limit`` of them."""
        joined = self._joined.get(recipient)
        return joined is None or len(joined) < limit or room in joined

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

    def close(self, room: Room) -> None:
        """Let everybody leave a room."""
        for recipient in self.members(room):
            self.leave(recipient, room)

    def rooms_of(self, recipient: Recipient) -> list[Room]:
        """Return the rooms of a recipient, its own first."""
        if recipient.id not in self.everyone:
            return []
        joined = self._joined.get(recipient, ())
        return [recipient.id, *(room for room in joined if room.__class__ is not UserRoom)]

    @property
    def names(self) -> list[Room]:
        """The rooms that somebody has joined; not those of each one's id."""
        return [room for room in self._rooms if room.__class__ is not UserRoom]

    def members(self, room: Room) -> list[Recipient]:
        """Return who is in a room."""
        return list(self._rooms.get(room, ()))

    def recipients(self, rooms: Iterable[Room] | None) -> Collection[Recipient]:
        """Return who an emit is for, each once; None means everybody. A snapshot."""
        if rooms is None:
            return list(self.everyone.values())
        found: dict[Recipient, None] = {}
        for room in rooms:
            alone = self.everyone.get(room) if isinstance(room, str) else None
            if alone is not None:
                found[alone] = None
            else:
                found.update(self._rooms.get(room, {}))
        return list(found)

    def broadcast(
        self, encoded: Encoded, rooms: Iterable[Room] | None, skip: Collection[str]
    ) -> int:
        """Deliver one packet to each recipient but those in ``skip``; return how many took it."""
        taken = 0
        for recipient in self.recipients(rooms):
            if recipient.id not in skip and recipient.deliver(encoded):
                taken += 1
        return taken
