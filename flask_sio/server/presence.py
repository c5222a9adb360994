"""Telling user code which users come and go: once, however many sockets and servers they have."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, get_args

from flask_sio.server import presence_words as words
from flask_sio.server.keeper import Key, PresenceEvent
from flask_sio.server.keepers import Keepers
from flask_sio.server.telling import Telling

if TYPE_CHECKING:
    from flask_sio.protocol.sio import Body
    from flask_sio.server.server import Server
    from flask_sio.server.socket import Socket

__all__ = ["Presence", "PresenceEvent", "check_presence_event"]

logger = logging.getLogger("flask_sio.server")

MAX_WAITING = 1_000_000
"""Things to tell: all users of a worker may go at once, and who misses that believes them here."""

_EVENTS: tuple[PresenceEvent, ...] = get_args(PresenceEvent)


class Presence:
    """What listens to the users of one server. Without listeners nothing is noted or sent.

    Owner's turn, where it does not say otherwise.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._listeners: dict[PresenceEvent, list[Callable[..., object]]] = {}
        self.is_watched = False
        """Whether anybody listens: only then `came` and `left` are to be called."""
        self.forget()

    def forget(self) -> None:
        """In a forked child, where the users are the parent's: have none."""
        self._is_ending = False
        self._sids: dict[Key, set[str]] = {}
        self._keepers = Keepers(self._server, self._tell, self._may_rest)
        self._telling: Telling[tuple[Callable[..., object], Key]] = Telling(
            self._server, "on_presence", self._call, self._may_rest, MAX_WAITING
        )

    def add(self, event: PresenceEvent, fn: Callable[..., object]) -> None:
        """Register a listener. Any thread. Users who are there already count as told of."""
        self._listeners.setdefault(event, []).append(fn)
        if not self.is_watched:
            self.is_watched = True
            loop = self._server.engine.running
            if loop is not None:
                loop.run(self._look)

    def _look(self) -> None:
        for space in self._server.spaces.values():
            for socket_id in list(space.rooms.everyone):
                socket = space.find(socket_id)
                if socket is not None and socket.connected:
                    self.came(socket, is_told=True)

    # -- sockets -----------------------------------------------------------------------

    def came(self, socket: Socket, is_told: bool = False) -> None:
        """Learn that a socket was accepted, or has become a user's. Twice is harmless."""
        for user in socket.space.rooms.users_of(socket):
            key = (socket.namespace, user)
            sids = self._sids.get(key)
            if sids is not None:
                sids.add(socket.id)
            else:
                self._sids[key] = {socket.id}
                self._keepers.came(key, is_told)

    def left(self, socket: Socket) -> None:
        """Learn that a socket begins to leave."""
        for user in socket.space.rooms.users_of(socket):
            key = (socket.namespace, user)
            sids = self._sids.get(key)
            if sids is not None:
                sids.discard(socket.id)
                if not sids:
                    del self._sids[key]
                    self._keepers.left(key)

    # -- other servers -----------------------------------------------------------------

    def hear(self, server: str, body: Body, answer: Callable[[Body], object]) -> None:
        """Take what another server says; ``answer`` says something back. Any thread.

        Raises:
            ProtocolError: no server says that.
        """
        word, loop = words.read(body), self._server.engine.running
        if word.kind == "kept" and not self.is_watched:
            return  # nobody here could be told
        if loop is not None:
            loop.run(self._keepers.hear, server, word, answer)
        elif word.view is not None:
            answer(words.OUT)

    def joined(self) -> None:
        """Learn that this server, alone until now, is on a bus. Any thread."""
        self._server.engine.loop.run(self._keepers.joined)

    def gained(self, server: str) -> None:
        """Learn that another server can be reached from now on. Any thread."""
        loop = self._server.engine.running
        if loop is not None:
            loop.run(self._keepers.gained, server)

    def lost(self, server: str) -> None:
        """Learn that another server has gone. Any thread."""
        loop = self._server.engine.running
        if loop is not None:
            loop.run(self._keepers.lost, server)

    def drain(self) -> None:
        """Let others keep what is kept here from now on, if somebody stays."""
        self._keepers.drain()

    def end(self) -> None:
        """Let others keep what is kept here: this server ends."""
        self._is_ending = True
        self._keepers.end()

    @property
    def needs_heir(self) -> bool:
        """Whether users are kept here, for whom an ending worker waits.

        In a reload new workers take them over, once a user has come there; else the grace ends.
        """
        return self._keepers.is_kept and not self._is_ending

    def _may_rest(self) -> None:
        """Need no loop that is there for test clients only, once nothing is left to tell."""
        engine = self._server.engine
        is_needed = engine.is_serving or self._sids or self._telling.is_busy
        if engine.running is not None and not is_needed:
            engine.running.soon(self._rest)

    def _rest(self) -> None:
        if self._keepers.is_idle and not (self._sids or self._telling.is_busy):
            self._keepers.rest()

    # -- listeners ---------------------------------------------------------------------

    def _tell(self, event: PresenceEvent, key: Key) -> None:
        for fn in self._listeners.get(event, ()):
            self._telling.put((fn, key))

    def _call(self, due: tuple[Callable[..., object], Key]) -> None:
        """Call a listener. On a worker."""
        fn, key = due
        try:
            self._server.convention.invoke_bare(fn, key)
        except Exception:
            logger.exception("what listens to users failed")


def check_presence_event(event: PresenceEvent) -> None:
    """Refuse a name that is no event of users.

    Raises:
        ValueError: it is none.
    """
    if event not in _EVENTS:
        raise ValueError(f"no event of users {event!r}: there are {', '.join(_EVENTS)}")
