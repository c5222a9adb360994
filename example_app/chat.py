"""The state of the chat: who is here, the rooms, what was said. No framework.

An *address* is how a person names a conversation: ``#lobby`` is a room, ``@Bob`` the
private chat with Bob. All methods may be called from any thread: they take one lock,
around dict and deque operations only.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from . import limits
from .limits import Refused

ROOMS = ("Lobby", "Kitchen", "Music", "Travel")


@dataclass(slots=True, eq=False)
class Person:
    """Somebody with a name; ``token`` proves that a browser is theirs."""

    name: str
    key: str
    token: str
    sockets: set[str] = field(default_factory=set)
    last_seen: float = 0.0
    credit: float = limits.BURST
    credit_at: float = 0.0

    @property
    def channel(self) -> str:
        """The Socket.IO room that all tabs of this person are in."""
        return f"person:{self.token}"


@dataclass(slots=True, eq=False)
class Conversation:
    """A room, or a private chat of two (then ``members`` maps their tokens to names).

    Tokens, not names: who takes a name that was given back must not read its past.
    """

    title: str
    slug: str = ""
    members: dict[str, str] = field(default_factory=dict)
    permanent: bool = False
    here: dict[str, Person] = field(default_factory=dict)
    messages: deque[Message] = field(default_factory=lambda: deque(maxlen=limits.HISTORY))

    @property
    def channel(self) -> str:
        """The Socket.IO room of those who are in this room."""
        return f"room:{self.slug}"

    def address(self, person: Person) -> str:
        """Return what ``person`` calls this conversation."""
        if not self.members:
            return f"#{self.slug}"
        others = [name for token, name in self.members.items() if token != person.token]
        return f"@{others[0]}"

    def people(self) -> list[str]:
        """Return the names of those in the room, in alphabetical order."""
        return sorted({person.name for person in self.here.values()}, key=str.casefold)


@dataclass(slots=True, eq=False)
class Message:
    """Something said; with a picture ``text`` is empty and ``kind`` its media type."""

    id: str
    at_ms: int
    author: Person
    conversation: Conversation
    client_id: str
    text: str = ""
    kind: str = ""
    got: set[str] = field(default_factory=set)

    def shown_to(self, person: Person) -> dict[str, Any]:
        """Return the JSON for ``person``; authors also get the id they gave it."""
        shown: dict[str, Any] = {
            "id": self.id,
            "at": self.at_ms,
            "from": self.author.name,
            "in": self.conversation.address(person),
            "text": self.text,
            "kind": self.kind,
        }
        if person.token == self.author.token:
            shown["cid"] = self.client_id
            shown["got"] = len(self.got)
        return shown


class Chat:
    """Everything one server process knows; a restart begins with empty rooms."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._boot = secrets.token_hex(4)  # ids of an earlier process must not come back
        self._counter = 0
        self._people: dict[str, Person] = {}
        self._by_socket: dict[str, Person] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._rooms: dict[str, Conversation] = {}
        self._private: OrderedDict[frozenset[str], Conversation] = OrderedDict()
        self._messages: OrderedDict[str, Message] = OrderedDict()
        self._posted: OrderedDict[tuple[str, str], Message] = OrderedDict()
        self._pictures: OrderedDict[str, bytes] = OrderedDict()
        for title in ROOMS:
            self._rooms[_slug(title)] = Conversation(title, _slug(title), permanent=True)

    # People

    def claim(self, name: Any, token: str) -> Person:
        """Give a name to the browser with ``token``, which may hold it already."""
        name = limits.name_of(name)
        with self._lock:
            self._forget_people()
            if token in self._ended:  # a tab that has not heard of it yet
                raise Refused("You have left, please come in again.")
            key = limits.key_of(name)
            person = self._people.get(key)
            if person is None:
                if len(self._people) >= limits.PEOPLE:
                    raise Refused("The house is full, please try again later.")
                person = self._people[key] = Person(name, key, token)
            elif not secrets.compare_digest(person.token, token):
                raise Refused(f"The name “{person.name}” is taken.")
            person.last_seen = self._clock()
            return person

    def release(self, name: str, token: str) -> list[str]:
        """Give a name back, and end its token; return the sockets that are still open."""
        with self._lock:
            person = self._people.get(limits.key_of(name))
            if person is None or not secrets.compare_digest(person.token, token):
                return []
            del self._people[person.key]
            _remember(self._ended, token, None, limits.REMEMBERED)
            return list(person.sockets)

    def _forget_people(self) -> None:
        too_old = self._clock() - limits.NAME_KEPT_S
        for person in list(self._people.values()):
            if not person.sockets and person.last_seen < too_old:
                del self._people[person.key]

    def arrive(self, sid: str, person: Person) -> None:
        """Note that a tab of ``person`` has connected."""
        with self._lock:
            person.sockets.add(sid)
            self._by_socket[sid] = person

    def depart(self, sid: str) -> Conversation | None:
        """Forget a tab; return the room it was in."""
        with self._lock:
            person = self._by_socket.pop(sid, None)
            if person is not None:
                person.sockets.discard(sid)
                person.last_seen = self._clock()
            return self._leave(sid)

    def person(self, sid: str) -> Person:
        """Return whose tab this is."""
        person = self._by_socket.get(sid)
        if person is None:
            raise Refused("You are not signed in.")
        return person

    def named(self, name: str) -> Person | None:
        """Return the person of this name, None when nobody holds it."""
        return self._people.get(limits.key_of(name))

    # Rooms

    def rooms(self) -> list[dict[str, Any]]:
        """Return every room as ``{"address", "title", "count"}``."""
        with self._lock:
            return [
                {"address": f"#{slug}", "title": room.title, "count": len(room.people())}
                for slug, room in self._rooms.items()
            ]

    def enter(self, sid: str, to: Any, title: Any) -> tuple[Conversation | None, Conversation]:
        """Move a tab into a room; return ``(the room it left, the new one)``.

        A room that does not exist is made when a ``title`` comes with the request, so that a
        restart of the server does not lose the rooms people had made.
        """
        with self._lock:
            slug = to[1:] if isinstance(to, str) and to.startswith("#") else ""
            room = self._rooms.get(slug)
            if room is None:
                if title is None:
                    raise Refused("There is no such room.")
                room = self._make_room(limits.name_of(title, "room name"))
            person = self.person(sid)
            if sid in room.here:
                return None, room
            left = self._leave(sid)
            room.here[sid] = person
            return left, room

    def _make_room(self, title: str) -> Conversation:
        slug = _slug(title)
        if slug in self._rooms:
            return self._rooms[slug]
        if len(self._rooms) >= limits.ROOMS:
            spare = [s for s, room in self._rooms.items() if not room.permanent and not room.here]
            if not spare:
                raise Refused("There are rooms enough, please use one of them.")
            del self._rooms[spare[0]]
        self._rooms[slug] = Conversation(title, slug)
        return self._rooms[slug]

    def _leave(self, sid: str) -> Conversation | None:
        for room in self._rooms.values():
            if room.here.pop(sid, None) is not None:
                return room
        return None

    # Messages

    def find(self, person: Person, to: Any) -> Conversation:
        """Return the conversation at an address."""
        if not isinstance(to, str) or len(to) > 100:
            raise Refused("There is no such conversation.")
        with self._lock:
            if to.startswith("#") and to[1:] in self._rooms:
                return self._rooms[to[1:]]
            if to.startswith("@"):
                return self._private_chat(person, to[1:])
        raise Refused("This room is gone.")

    def _private_chat(self, person: Person, name: str) -> Conversation:
        other = self.named(name)
        if other is None:
            raise Refused(f"{name[: limits.NAME_CHARS]} is not here any more.")
        if other.token == person.token:
            raise Refused("That is you.")
        key = frozenset((person.token, other.token))
        found = self._private.get(key)
        if found is None:
            members = {person.token: person.name, other.token: other.name}
            found = self._private[key] = Conversation(other.name, members=members)
            if len(self._private) > limits.PRIVATE_CHATS:
                self._private.popitem(last=False)
        self._private.move_to_end(key)
        return found

    def post(
        self,
        person: Person,
        to: Any,
        client_id: str,
        text: str = "",
        picture: bytes = b"",
        kind: str = "",
    ) -> tuple[Message, bool]:
        """Keep a message; return it and whether it is new (False: a copy of an earlier one)."""
        with self._lock:
            known = self._posted.get((person.token, client_id))
            if known is not None:
                return known, False
            conversation = self.find(person, to)
            self._charge(person)
            self._counter += 1
            id = f"{self._boot}-{self._counter}"
            at_ms = int(self._clock() * 1000)
            message = Message(id, at_ms, person, conversation, client_id, text, kind)
            conversation.messages.append(message)
            _remember(self._posted, (person.token, client_id), message, limits.REMEMBERED)
            _remember(self._messages, id, message, limits.REMEMBERED)
            if picture:
                _remember(self._pictures, id, picture, limits.PICTURES)
            return message, True

    def _charge(self, person: Person) -> None:
        now = self._clock()
        earned = (now - person.credit_at) * limits.PER_SECOND
        person.credit = min(float(limits.BURST), person.credit + earned)
        person.credit_at = now
        if person.credit < 1:
            raise Refused("Too many messages, one moment please.", retry_after=1.0)
        person.credit -= 1

    def got(self, person: Person, id: Any) -> Message | None:
        """Note that a message has arrived; return it when its author should hear of it."""
        with self._lock:
            message = self._messages.get(id) if isinstance(id, str) else None
            if message is None or person.token == message.author.token:
                return None
            if person.token in message.got or not _may_read(person, message.conversation):
                return None
            message.got.add(person.token)
            return message

    def picture(self, person: Person, id: str) -> tuple[bytes, str] | None:
        """Return ``(content, media type)`` of a picture that is still kept and theirs to see."""
        with self._lock:
            message = self._messages.get(id)
            content = self._pictures.get(id)
            if message is None or content is None or not _may_read(person, message.conversation):
                return None
            return content, message.kind

    def privates(self, person: Person) -> list[dict[str, Any]]:
        """Return the private chats of ``person`` that have messages, newest last."""
        with self._lock:
            return [
                {
                    "address": chat.address(person),
                    "last": chat.messages[-1].id,
                    "mine": chat.messages[-1].author.token == person.token,
                }
                for chat in self._private.values()
                if person.token in chat.members and chat.messages
            ]

    def history(self, person: Person, conversation: Conversation) -> list[dict[str, Any]]:
        """Return what was said, oldest first, as ``person`` sees it."""
        with self._lock:
            return [message.shown_to(person) for message in conversation.messages]


def _may_read(person: Person, conversation: Conversation) -> bool:
    return not conversation.members or person.token in conversation.members


def _remember(store: OrderedDict[Any, Any], key: Any, value: Any, most: int) -> None:
    store[key] = value
    if len(store) > most:
        store.popitem(last=False)


def _slug(title: str) -> str:
    return re.sub(r"[\W_]+", "-", title.casefold()).strip("-") or "room"
