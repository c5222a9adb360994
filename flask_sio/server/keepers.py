"""Which server keeps which user, agreed on by all of a bus without asking anybody.

Each user has one *keeper* among the servers that take part, by rendezvous hashing. A server
takes part from its first user on, and tells the keepers of its users when they come and go.

The rules that let everything be told once:

* Whoever learns that others take part than before says all of its users anew, to whom keeps
  them now, and then whom it counts, as a digest.
* Once all count the same, and each other server of the bus has said that it takes no part,
  everybody has heard what was said before that, since a bus keeps the order between two
  servers. So each hands over what it has kept for those who keep it now, and says so.
* Once all have done so, each *settles*: only then its `Keeper` tells anything. What it hears
  until then is kept in mind. Who says its users anew numbers that, and all hand over again, also
  if their view stays the same: it may have had another one for a moment.
* The keeper of a user notes what it tells with the *deputy*, which is the keeper once this one
  has died: a user may have been nowhere else.
* Two that live may lose each other, and what was on its way. What was handed to a server is kept
  in mind until that one settles. Who can be reached again is waited for and learns of whom
  "offline" was told of late; it passes that on to those whom it has told otherwise.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

from flask_sio.server import presence_words as words
from flask_sio.server.keeper import Keeper, Key, PresenceEvent
from flask_sio.server.ranking import Ranking

if TYPE_CHECKING:
    from flask_sio.protocol.sio import Body
    from flask_sio.server.presence_words import Kind, Word
    from flask_sio.server.server import Server

__all__ = ["Keepers"]


class Keepers:
    """This server among the keepers. Owner's turn only."""

    def __init__(
        self,
        server: Server,
        tell: Callable[[PresenceEvent, Key], object],
        on_idle: Callable[[], object],
    ) -> None:
        """``on_idle`` is called when there is nobody here, and nobody to be kept."""
        self._server = server
        self._tell = tell
        self._on_idle = on_idle
        grace_s = server.options.presence_grace
        self._keeper = Keeper(grace_s, lambda: server.engine.loop, self._told)
        self._notes: dict[Key, str] = {}
        """Users of whom "online" was told, and who did that, where this one is the deputy."""
        self._users: dict[Key, int] = {}
        """This server's own: 0 if it knows that "online" was told, else the number of their coming.

        A user may come again before a keeper's word of the last time has arrived.
        """
        self._numbers = count(1)
        self._own = ""
        self._takes_part = False
        self._has_ended = False
        self._ends = False
        self._ending: set[str] = set()
        """Who of the others ends soon."""
        self._views: dict[str, str] = {}
        """The others that take part: whom each sees; "" while it speaks."""
        self._awaited: set[str] = set()
        """Those of which nothing is known yet."""
        self._round = 0
        """How often this one has said its users anew."""
        self._rounds: dict[str, int] = {}
        """The same of those."""
        self._done: dict[str, str] = {}
        """When those had handed over, as a `_state`."""
        self._handed_over_in = ""
        """When this one had."""
        self._handed: dict[str, dict[Key, float | None]] = {}
        """What those were handed and may not have got: see `Keeper.kept`."""
        self._lost: deque[str] = deque(maxlen=100)
        """Who has gone, and may come back if it lives."""
        self._view = ""
        self._ranking = Ranking([""])

    @property
    def is_idle(self) -> bool:
        return not self._users and self._keeper.is_empty

    @property
    def is_kept(self) -> bool:
        """Whether somebody is kept here, or may have to be before all have the same view."""
        return self._takes_part and not (self._keeper.is_settled and self._keeper.is_empty)

    # -- own users ---------------------------------------------------------------------

    def came(self, key: Key, is_told: bool = False) -> None:
        """Learn that a user has come to this server, who was not here."""
        if self._has_ended:
            return
        if not self._takes_part:
            self._begin()
        number = self._users[key] = 0 if is_told else next(self._numbers)
        self._say_rows(self._keeper_of(key), "here", [(*key, number)])
        self._heard_enough()

    def left(self, key: Key) -> None:
        """Learn that a user is here no more."""
        if self._users.pop(key, None) is None or self._has_ended:
            return
        self._say_rows(self._keeper_of(key), "gone", [key])
        self._heard_enough()

    # -- taking part -------------------------------------------------------------------

    def _begin(self) -> None:
        adapter = self._server.present_adapter
        self._takes_part = True
        self._keeper.forget(self._own)
        self._own = adapter.id
        self._awaited = set(adapter.others)
        self._server.engine.keep_running(self)
        self._look_around()
        for other in list(self._awaited):
            self._say(other, (self._anew, words.view(self._view)))

    @property
    def _anew(self) -> Body:
        return words.anew(self._round, self._ends)

    def drain(self) -> None:
        """Keep nobody any more, if others can: this server ends once its clients have gone."""
        self._ends = True
        if self._takes_part:
            self._look_around()
            self._heard_enough()

    def end(self) -> None:
        """Take part no more; others keep what was kept here. Twice is harmless.

        Who is alone goes on: there is nobody else to tell anything.
        """
        others = self._server.present_adapter.others
        if others and not self._has_ended:
            self._has_ended = True
            if self._takes_part:
                self._say_farewell(others)
            self._stop()

    def rest(self) -> None:
        """Take no part until the next user comes, and need the loop no more."""
        if self._takes_part and not self._has_ended:
            if self._views or self._awaited:
                self._say_to_all((words.OUT,))
            self._stop()
            self._server.engine.give_back(self)

    def _say_farewell(self, others: Sequence[str]) -> None:
        if not self._views:  # one that has no users takes part from now on
            self._views[others[0]] = ""
        self._rank(self._views)
        handed = self._ranking.sort(self._keeper.hand_over(lambda _key: False))
        self._say_to_all((self._anew,))
        for other in self._views:
            self._say_rows(other, "kept", handed.get(other, ()))
        self._say_to_all((words.OUT,))

    def _stop(self) -> None:
        self._keeper.clear()
        self._users.clear()
        self._views.clear()
        self._rounds.clear()
        self._done.clear()
        self._handed.clear()
        self._notes.clear()
        self._ending.clear()
        self._takes_part = False

    # -- the others --------------------------------------------------------------------

    def joined(self) -> None:
        """Speak to those who are there already: what they have said went to nobody."""
        if self._takes_part:
            self._begin()
        else:
            for other in self._server.present_adapter.others:
                self._say(other, (words.OUT,))

    def gained(self, server: str) -> None:
        """Speak to a server that can be reached from now on."""
        if self._takes_part and server not in self._views:
            self._awaited.add(server)
            self._keeper.is_settled = False
            if server in self._lost:
                missed = [(*key, when, self._own) for key, when in self._keeper.told_offline]
                self._say_rows(server, "offline", missed)
            self._say(server, (self._anew, words.view(self._view)))

    def lost(self, server: str) -> None:
        """Learn that a server has gone."""
        self._lost.append(server)
        if self._takes_part:
            self._is_out(server, self._drop_notes(server))

    def hear(self, server: str, word: Word, answer: Callable[[Body], object]) -> None:
        """Take what another server says."""
        kind = word.kind
        if kind == "kept" and not (self._takes_part or self._has_ended):
            self._begin()
        if not self._takes_part:
            if word.view is not None:
                answer(words.OUT)
        elif kind == "anew":
            self._begins_anew(server, word.number, word.ends)
        elif kind == "void":
            self._drop_notes(server)
            self._handed.pop(server, None)
        elif kind == "view":
            if word.view is None:
                self._drop_notes(server)
                self._is_out(server)
            elif server in self._views:
                self._views[server] = word.view
                self._awaited.discard(server)
                self._look()
        elif kind == "done":
            self._done[server] = word.view or ""
            self._look()
        elif kind == "offline":
            self._missed(server, word.rows)
        else:
            self._take(server, kind, word.rows)
        self._heard_enough()

    def _take(self, server: str, kind: str, rows: Sequence[Sequence[Any]]) -> None:
        keeper = self._keeper
        for namespace, user, *more in rows:
            key = (namespace, user)
            if kind == "kept":
                keeper.kept(key, *more)
            elif kind == "told":
                if self._users.get(key) == more[0]:
                    self._users[key] = 0
            elif server not in self._views and server != self._own:
                continue  # it has left since
            elif kind == "here":
                keeper.here(key, server, *more)
            elif kind == "noted":
                if more[0]:
                    self._notes[key] = server
                else:
                    self._notes.pop(key, None)
            else:
                keeper.gone(key, server)

    def _missed(self, server: str, rows: Sequence[Sequence[Any]]) -> None:
        """Take back that users are known as online: "offline" was told out of reach since."""
        news = [row for row in rows if self._keeper.untold((row[0], row[1]), row[2])]
        for key in [(row[0], row[1]) for row in news]:
            self._notes.pop(key, None)
            for handed in self._handed.values():
                handed.pop(key, None)
            if self._users.get(key) == 0:
                self._users[key] = next(self._numbers)
        if news and news[0][3] == server:
            for other in self._views:  # to whom this one may have said that they are
                self._say_rows(other, "offline", news)

    def _begins_anew(self, server: str, number: int, ends: bool) -> None:
        is_new = server not in self._views or ends != (server in self._ending)
        (self._ending.add if ends else self._ending.discard)(server)
        self._views[server], self._rounds[server] = "", number
        self._keeper.is_settled = False
        self._keeper.forget(server)
        if is_new:
            self._look_around()

    def _drop_notes(self, server: str) -> list[Key]:
        dropped = [key for key, keeper in self._notes.items() if keeper == server]
        for key in dropped:
            del self._notes[key]
        return dropped

    def _is_out(self, server: str, noted: Iterable[Key] = ()) -> None:
        """Go on without a server, and with those whom it has kept and could not hand over."""
        self._awaited.discard(server)
        if self._views.pop(server, None) is None:
            self._look()
            return
        self._rounds.pop(server, None)
        self._done.pop(server, None)
        self._ending.discard(server)
        self._keeper.is_settled = False
        self._keeper.lost(server)
        for key in noted:
            self._keeper.kept(key, None)
        for key, left_s in self._handed.pop(server, {}).items():
            self._keeper.kept(key, left_s)
        self._look_around()
        self._heard_enough()

    # -- who keeps whom ----------------------------------------------------------------

    def _look_around(self) -> None:
        """Note who takes part now, and tell each of them whom it keeps."""
        own = self._own
        self._keeper.is_settled = False
        self._round += 1
        self._rank([own, *self._views])
        ending = (f"{each} ends" for each in self._all_ending)
        self._view = words.digest([own, *self._views, *ending])
        users = self._ranking.sort(self._users.items())
        self._keeper.forget(own)
        self._say_rows(own, "here", users.get(own, ()))
        for other in self._views:
            self._say(other, (self._anew,))
            self._say_rows(other, "here", users.get(other, ()))
            self._say(other, (words.view(self._view),))
        self._look()

    def _rank(self, servers: Iterable[str]) -> None:
        """Note who may keep users: who stays, or if nobody does, all."""
        names = sorted(servers)
        self._ranking = Ranking([each for each in names if each not in self._all_ending] or names)

    @property
    def _all_ending(self) -> set[str]:
        return {*self._ending, self._own} if self._ends else self._ending

    def _look(self) -> None:
        """Hand over, if all count the same; settle, once all have handed over."""
        if self._keeper.is_settled or self._awaited:
            return
        if any(view != self._view for view in self._views.values()):
            return
        state = self._state
        if self._handed_over_in != state:
            self._handed_over_in = state
            handed = self._keeper.hand_over(lambda key: self._keeper_of(key) == self._own)
            for key, left_s in handed:
                self._handed.setdefault(self._keeper_of(key), {})[key] = left_s
            for other, rows in self._ranking.sort(handed).items():
                self._say_rows(other, "kept", rows)
            for other in self._views:
                self._say(other, (words.done(state),))
        if all(self._done.get(other) == state for other in self._views):
            self._say_to_all((words.VOID,))
            self._keeper.settle()
            self._note(self._keeper.told, True)

    @property
    def _state(self) -> str:
        """What is the same for all that have heard the same: the view, and the last rounds."""
        rounds = {**self._rounds, self._own: self._round}
        return words.digest([self._view, *map(str, rounds.items())])

    def _told(self, event: PresenceEvent, key: Key) -> None:
        if self._keeper.is_settled:  # else it is noted with all others
            self._note((key,), event == "online")
        self._tell(event, key)  # its listener may be over before this turn is

    def _note(self, keys: Iterable[Key], is_online: bool) -> None:
        """Let deputies know of whom it was told that they are online, or are so no more."""
        if self._ranking.has_deputies:
            noted = self._ranking.sort([(key, is_online) for key in keys], by_deputy=True)
            for deputy, rows in noted.items():
                self._say_rows(deputy, "noted", rows)

    def _keeper_of(self, key: Key) -> str:
        return self._ranking.keeper_of(key)

    # -- out ---------------------------------------------------------------------------

    def _say(self, server: str, bodies: Iterable[Body]) -> None:
        for body in bodies:
            self._server.present_adapter.tell_presence(server, body)

    def _say_rows(self, server: str, kind: Kind, rows: Sequence[Sequence[Any]]) -> None:
        """Say something of users to a server, which may be this one."""
        if server == self._own:
            self._take(server, kind, rows)
        else:
            self._say(server, words.rows_of(kind, rows))

    def _say_to_all(self, bodies: Sequence[Body]) -> None:
        for other in {*self._views, *self._awaited}:
            self._say(other, bodies)

    def _heard_enough(self) -> None:
        """Let servers know what was told of their users."""
        unaware, self._keeper.unaware = self._keeper.unaware, {}
        for server, rows in unaware.items():
            self._say_rows(server, "told", rows)
        if self.is_idle:
            self._on_idle()
