"""The adapter of a server that shares a bus with others.

Outgoing: it does for its own clients what it is told, and tells the others. Incoming: a
message is acted on in a turn of this server's loop. A server that no client has reached yet
has no loop, and nothing to do or to say.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Sequence
from contextvars import Context
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

from flask_sio import ids
from flask_sio.adapters.adapter import (
    QUERY_S,
    BroadcastOptions,
    EmitResult,
    Home,
    SocketRecord,
)
from flask_sio.adapters.answers import Callback, CallbackWithin, Found, Gathering
from flask_sio.adapters.bus import EVERY_NAMESPACE, Bus, Message, Reply
from flask_sio.adapters.memory import OWN, Inquiry, Member, MemoryAdapter, records_of
from flask_sio.adapters.presence import PresenceOnBus
from flask_sio.adapters.rooms import Room
from flask_sio.protocol.sio import Body
from flask_sio.runtime.loop import Loop

__all__ = ["BusSource", "ClusterAdapter"]

logger = logging.getLogger("flask_sio.server")


class BusSource(Protocol):
    """Where a server gets its bus, at its first use; `MessageQueue` is one."""

    write_only: bool

    @property
    def is_open(self) -> bool: ...
    def open(self) -> Bus: ...


class ClusterAdapter(PresenceOnBus, MemoryAdapter):
    """Reaches clients of every server on a bus. `Adapter` says what its methods do."""

    def __init__(self, home: Home, source: BusSource) -> None:
        super().__init__(home)
        self.id = ids.new_id()
        self._source = source
        self._gatherings: dict[int, Gathering] = {}
        self._inquiries: dict[tuple[str, int], Inquiry] = {}
        """What others want to know of own clients, by who asks and its number there."""
        self._numbers = itertools.count(1)
        self._warnings: set[str] = set()
        if source.is_open and not source.write_only:
            source.open().join(self)

    def close(self) -> None:
        if self._source.is_open:
            self._source.open().leave(self)

    # -- out: any thread ---------------------------------------------------------------

    def emit(self, namespace: str, body: Body, options: BroadcastOptions) -> EmitResult:
        heard = self._tell(Message("emit", namespace, options, body, sender=self.id))
        result = super().emit(namespace, body, options)
        result.published = len(heard)
        return result

    def emit_asking(
        self, namespace: str, body: Body, options: BroadcastOptions, callback: Callback
    ) -> EmitResult:
        message = Message("emit", namespace, options, body, sender=self.id)
        heard: Sequence[str] = ()
        if self._concerns_others(message):
            heard = self._request(message, callback=callback)[1]
        result = super().emit_asking(namespace, body, options, callback)
        result.published = len(heard)
        return result

    def ask(self, namespace: str, body: Body, options: BroadcastOptions) -> Gathering:
        message = Message("emit", namespace, options, body, sender=self.id)
        if not self._concerns_others(message):
            return super().ask(namespace, body, options)
        gathering, _ = self._request(message, own=True)
        self._run(self._ask, namespace, body, options, gathering)
        return gathering

    def join(self, namespace: str, options: BroadcastOptions, rooms: Sequence[Room]) -> None:
        self._tell(Message("join", namespace, options, rooms=tuple(rooms), sender=self.id))
        super().join(namespace, options, rooms)

    def leave(self, namespace: str, options: BroadcastOptions, rooms: Sequence[Room]) -> None:
        self._tell(Message("leave", namespace, options, rooms=tuple(rooms), sender=self.id))
        super().leave(namespace, options, rooms)

    def disconnect(
        self,
        namespace: str | None,
        options: BroadcastOptions,
        close: bool = False,
        after_flush: bool = False,
    ) -> None:
        name = EVERY_NAMESPACE if namespace is None else namespace
        message = Message("disconnect", name, options, close=close, sender=self.id)
        self._tell(replace(message, after_flush=after_flush))
        super().disconnect(namespace, options, close, after_flush)

    def is_elsewhere(self, namespace: str, room: Room) -> bool:
        source = self._source
        if not isinstance(room, str) or not source.is_open:
            return False
        return source.open().is_elsewhere(self.id, namespace, room)

    def sockets(self, namespace: str, options: BroadcastOptions) -> Found[SocketRecord]:
        found = super().sockets(namespace, options)
        return self._add(found, Message("sockets", namespace, options, sender=self.id))

    def ids(self, namespace: str, options: BroadcastOptions) -> Found[str]:
        found = super().ids(namespace, options)
        return self._add(found, Message("ids", namespace, options, sender=self.id))

    def sizes(self, namespace: str, local: bool = False) -> tuple[dict[Room, int], Iterable[str]]:
        sizes = dict(super().sizes(namespace)[0])
        message = Message("sizes", namespace, BroadcastOptions(local=local), sender=self.id)
        results, missing = self._query(message, QUERY_S)
        for result in results:
            for room, size in result.items():
                sizes[room] = sizes.get(room, 0) + size
        return sizes, missing

    def server_event(self, namespace: str, body: Body) -> None:
        self._tell(Message("server_event", namespace, body=body, sender=self.id))

    def server_call(
        self, namespace: str, body: Body, timeout: float | None
    ) -> tuple[list[Any], Iterable[str]]:
        message = Message("server_event", namespace, body=body, sender=self.id)
        results, missing = self._query(message, timeout)
        return [answer for result in results for answer in result], missing

    # -- asking others -----------------------------------------------------------------

    def _concerns_others(self, message: Message) -> bool:
        options = message.options
        if options.local:
            return False
        known = self._home.rooms(message.namespace)
        if options.rooms is None or known is None:
            return True
        return not all(room in known.everyone for room in options.rooms)

    def _tell(self, message: Message) -> Sequence[str]:
        if not self._concerns_others(message):
            return ()
        return self._publish(message)

    def _publish(self, message: Message) -> Sequence[str]:
        """Send a message to whom it concerns; return who gets it.

        Raises:
            ConfigError: the bus cannot be opened.
        """
        bus, rooms = self._source.open(), message.options.rooms
        if rooms is not None and len(rooms) == 1 and isinstance(rooms[0], str):
            return bus.publish(message, bus.owner(rooms[0]))
        return bus.publish(message)

    def _request(
        self, message: Message, *, own: bool = False, callback: Callback | None = None
    ) -> tuple[Gathering, Sequence[str]]:
        """Send what is to be answered; return the gathering, and who got it.

        It borrows the loop, for a server that no client has reached, until it is over.

        Raises:
            TypeError, ValueError: it cannot be sent.
        """
        if self._source.write_only:
            raise RuntimeError("a write-only message queue brings no answers back")
        others = list(self._source.open().others(self.id))
        number, borrower = next(self._numbers), object()
        loop = self._home.borrow_loop(borrower)

        waiter = loop.waiter() if callback is None else None
        gathering = Gathering([OWN, *others] if own else others, loop, waiter, callback)
        self._gatherings[number] = gathering
        gathering.when_over(lambda: self._over(number, gathering, message.namespace))
        gathering.when_over(lambda: self._home.give_back(borrower))
        if isinstance(callback, CallbackWithin):
            loop.run(self._limit, loop, number, gathering, callback, message.namespace)
        try:
            heard = self._publish(replace(message, request=number))
        except BaseException:
            loop.call(gathering.end)
            raise
        loop.run(self._published, gathering, set(others).difference(heard))
        return gathering, heard

    def _over(self, number: int, gathering: Gathering, namespace: str) -> None:
        del self._gatherings[number]
        if gathering.owed:  # its time is over: nobody need remember it
            message = Message("give_up", namespace, sender=self.id, request=number)
            self._source.open().publish(message)

    def _limit(
        self,
        loop: Loop,
        number: int,
        gathering: Gathering,
        callback: CallbackWithin,
        namespace: str,
    ) -> None:
        """Let a callback wait for other servers' clients no longer than it is to."""

        def too_late() -> None:
            if gathering.owed:
                message = Message("give_up", namespace, sender=self.id, request=number)
                self._source.open().publish(message)
            for own_id in gathering.owed:
                self._hear(gathering, own_id, [callback.late()])
            for server in gathering.silent:
                gathering.lost(server)

        gathering.when_over(loop.call_at(loop.now() + callback.seconds, too_late).cancel)

    @staticmethod
    def _published(gathering: Gathering, left_out: Iterable[str]) -> None:
        for server in left_out:
            gathering.asked(server, ())  # it is not concerned
        gathering.look()

    def _query(self, message: Message, timeout: float | None) -> tuple[list[Any], Sequence[str]]:
        if not self._concerns_others(message):
            return [], ()
        gathering, _ = self._request(message)
        gathering.wait(timeout)
        return gathering.results, gathering.silent

    def _add(self, found: Found[Any], message: Message) -> Found[Any]:
        results, missing = self._query(message, QUERY_S)
        for result in results:
            found.extend(result)
        found.missing = tuple(missing)
        return found

    # -- replies -----------------------------------------------------------------------

    def settle(self, reply: Reply) -> None:
        """Take what another server says about a request. Any thread."""
        if reply.request in self._gatherings:
            self._run(self._settle, reply)

    def _settle(self, reply: Reply) -> None:
        gathering = self._gatherings.get(reply.request)
        if gathering is None:  # its time is over
            return
        if reply.kind == "asked":
            gathering.asked(reply.sender, reply.ids)
        elif reply.kind == "result":
            gathering.said(reply.sender, reply.value)
        elif reply.kind == "unable" and not reply.ids:
            self._warn_once("another server could not say what it was asked; its log may tell why")
            gathering.lost(reply.sender)
        elif reply.value is not None and gathering.callback is not None:
            self._hear(gathering, reply.ids[0], reply.value)
        elif isinstance(gathering.callback, CallbackWithin):
            self._hear(gathering, reply.ids[0], [gathering.callback.left()])
        else:
            gathering.answered(reply.ids[0], reply.value)

    def _hear(self, gathering: Gathering, own_id: str, answer: list[Any]) -> None:
        """Hand a callback what a client has answered, or why it has not; the first counts."""
        callback = gathering.callback
        if isinstance(callback, CallbackWithin):
            if own_id in callback.heard:
                return
            callback.heard.add(own_id)
        if callback is not None:
            self._defer(partial(self._call_back, gathering, callback, own_id, answer))

    def _call_back(
        self, gathering: Gathering, callback: Callback, own_id: str, answer: list[Any]
    ) -> None:
        """Run a callback in a context of its own. On a worker."""
        try:
            Context().run(callback, *answer)
        except Exception:
            logger.exception("the callback of an emit failed")
        finally:
            self._run(gathering.answered, own_id, None)

    def lost(self, server: str) -> None:
        """Learn that another server has gone. Any thread; never blocks."""
        self._home.lost(server)
        if self._gatherings or self._inquiries:
            self._run(self._lost, server)

    def _lost(self, server: str) -> None:
        for gathering in list(self._gatherings.values()):
            if isinstance(gathering.callback, CallbackWithin):
                for own_id in gathering.owed_by(server):
                    self._hear(gathering, own_id, [gathering.callback.left()])
            gathering.lost(server)
        for asked_by in list(self._inquiries):
            if asked_by[0] == server:
                self._give_up(asked_by)

    def has(self, namespace: str, own_id: str) -> bool:
        """Whether an id is one of this server's clients. Any thread; never blocks."""
        rooms = self._home.rooms(namespace)
        return rooms is not None and own_id in rooms.everyone

    # -- in ----------------------------------------------------------------------------

    def deliver(self, message: Message) -> None:
        """Take what another server asks for. Any thread; never blocks."""
        if message.kind == "presence":
            self.hear_presence(message)
        elif self._home.running is not None:
            self._run(self._act, message)
        elif message.request is not None and message.kind != "give_up":
            self._reply(message, "asked")

    def _act(self, message: Message) -> None:
        namespace, options, kind = message.namespace, message.options, message.kind
        if kind == "emit":
            self._act_emit(message)
        elif kind == "join":
            self._join(namespace, options, message.rooms)
        elif kind == "leave":
            rooms = self._home.rooms(namespace)
            if rooms is not None:  # a client's own room is not closed
                names = [room for room in message.rooms if room not in rooms.everyone]
                self._leave(namespace, options, names)
        elif kind == "disconnect":
            name = None if namespace == EVERY_NAMESPACE else namespace
            self._disconnect(name, options, message.close, message.after_flush)
        elif kind == "sockets":
            self._describe(message, self._members(namespace, options), [])
        elif kind == "ids":
            self._reply(message, "result", value=self._ids(namespace, options))
        elif kind == "sizes":
            self._reply(message, "result", value=self._sizes(namespace))
        elif kind == "give_up":
            self._give_up((message.sender, message.request or 0))
        else:
            self._defer(self._serve_event, message)

    def _describe(
        self, message: Message, members: Sequence[Member], records: list[SocketRecord]
    ) -> None:
        """Describe some, and the others in later turns; then reply."""
        records += records_of(members, len(records))
        loop = self._home.running
        if len(records) < len(members) and loop is not None:
            loop.later(self._describe, message, members, records)
        else:
            self._reply(message, "result", value=records)

    def _act_emit(self, message: Message) -> None:
        namespace, options, body = message.namespace, message.options, message.body or ("[]", ())
        if message.request is None:
            encoded = self._home.compose(namespace, body)
            self._emit(namespace, encoded, options)
            return
        recipients = self._select(namespace, options)
        self._reply(message, "asked", tuple(each.id for each in recipients))
        inquiry = Inquiry(partial(self._answer, message))
        inquiry.ask(recipients, body, options)
        if not inquiry.is_over:
            self._inquiries[message.sender, message.request] = inquiry

    def _answer(self, message: Message, own_id: str, answer: list[Any] | None) -> None:
        self._reply(message, "answer", (own_id,), answer)
        asked_by = (message.sender, message.request or 0)
        inquiry = self._inquiries.get(asked_by)
        if inquiry is not None and inquiry.is_over:
            del self._inquiries[asked_by]

    def _give_up(self, asked_by: tuple[str, int]) -> None:
        inquiry = self._inquiries.pop(asked_by, None)
        if inquiry is not None:
            inquiry.cancel()

    def _serve_event(self, message: Message) -> None:
        """Let this server's own code handle another's event. On a worker."""
        answers: list[Any] = []
        try:
            answers = self._home.server_event(message.namespace, message.body or ("[]", ()))
        except Exception:
            logger.exception("what listens to another server's event failed")
        self._reply(message, "result", value=answers)

    def _reply(
        self,
        message: Message,
        kind: Any,
        own_ids: tuple[str, ...] = (),
        value: Any = None,
    ) -> None:
        if message.request is None:
            return
        bus, request = self._source.open(), message.request
        try:
            bus.reply(message.sender, Reply(request, self.id, kind, own_ids, value))
        except (TypeError, ValueError) as error:  # nobody must wait for it in vain
            self._warn_once("another server's %r cannot be answered: %s", message.kind, error)
            whom = own_ids if kind == "answer" else ()
            bus.reply(message.sender, Reply(request, self.id, "unable", whom))

    def _warn_once(self, text: str, *args: object) -> None:
        if text not in self._warnings:
            self._warnings.add(text)
            self._defer(logger.warning, text, *args)
