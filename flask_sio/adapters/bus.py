"""How servers of a cluster talk: values, and what carries them.

A `Message` asks the others to do something with some of their clients, or to say what they
know of them; a `Reply` goes back to who has asked. Both are values, so that a bus to another
process can carry them as they are; ``memory://`` hands them over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, get_args

from flask_sio.adapters.adapter import EVERYBODY, BroadcastOptions
from flask_sio.adapters.rooms import Room
from flask_sio.protocol.sio import Body

__all__ = ["EVERY_NAMESPACE", "KINDS", "REPLIES", "Bus", "Listener", "Message", "Reply"]

Kind = Literal[
    "emit",
    "give_up",
    "join",
    "leave",
    "disconnect",
    "sockets",
    "ids",
    "sizes",
    "server_event",
    "presence",
]

ReplyKind = Literal["asked", "answer", "result", "unable"]
KINDS: tuple[Kind, ...] = get_args(Kind)
REPLIES: tuple[ReplyKind, ...] = get_args(ReplyKind)
EVERY_NAMESPACE = "*"
"""Of ``"disconnect"``: all that a server has. No namespace is called that."""


@dataclass(frozen=True, slots=True)
class Message:
    """What one server asks of the others."""

    kind: Kind
    namespace: str
    options: BroadcastOptions = EVERYBODY
    """Whom of their clients it concerns."""
    body: Body | None = field(default=None, repr=False)
    """Of ``"emit"`` and ``"server_event"``: the rendered ``[event, *args]``.

    Of ``"presence"``: what the layer above says of its users.
    """
    rooms: tuple[Room, ...] = ()
    """Of ``"join"`` and ``"leave"``."""
    close: bool = False
    """Of ``"disconnect"``: whether connections end."""
    sender: str = ""
    request: int | None = None
    """Where the sender wants answers: its number there; of ``"give_up"`` the one it wanted."""
    after_flush: bool = False
    """Of ``"disconnect"``: not before all that was emitted has left."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server tells the sender of a request.

    To an emit: first, once, whom it has asked; then for each of them its answer, or None when
    it left without one. To anything else its result. ``"unable"`` takes the place of any of
    these that cannot be written or read.
    """

    request: int
    sender: str
    kind: ReplyKind
    ids: tuple[str, ...] = ()
    """Whom it has asked; of ``"answer"`` the one who answers, and of ``"unable"`` in its place."""
    value: Any = field(default=None, repr=False)
    """The answer, ``[*args]`` or None; or the result."""


class Listener(Protocol):
    """A server on a bus. Any thread; must not wait."""

    id: str
    """What the others know it by; a bus may give it another when it joins."""

    def deliver(self, message: Message) -> None:
        """Take what another server asks for."""

    def has(self, namespace: str, own_id: str) -> bool:
        """Whether an id is one of its clients."""

    def settle(self, reply: Reply) -> None:
        """Take a reply to a request of its own."""

    def gained(self, server: str) -> None:
        """Learn that another server can be reached, where it may have been lost before."""

    def lost(self, server: str) -> None:
        """Learn that another server has left the bus."""


class Bus(Protocol):
    """What carries messages. Any thread; never blocks; keeps the order between two servers."""

    def join(self, listener: Listener) -> None:
        """Let a server hear what others send."""

    def leave(self, listener: Listener) -> None:
        """Let a server hear nothing more. Twice is harmless."""

    def others(self, sender: str) -> Sequence[str]:
        """Return who hears what ``sender`` publishes."""

    def owner(self, own_id: str) -> str | None:
        """Return the one server that a client of this id can be at, if the id tells."""

    def is_elsewhere(self, sender: str, namespace: str, own_id: str) -> bool:
        """Whether an id is that of a client of the others, as far as it can be told here."""

    def publish(self, message: Message, to: str | None = None) -> Sequence[str]:
        """Send to the others, or to one of them; return who gets it."""

    def reply(self, to: str, reply: Reply) -> None:
        """Send to who has asked; nothing happens if it has gone."""
