"""The adapter of a server that stands alone: its own clients, in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from flask_sio.adapters.adapter import BroadcastOptions, EmitResult, Home, SocketRecord
from flask_sio.adapters.answers import Callback, Found, Gathering, OwedAnswer
from flask_sio.adapters.fanout import AT_ONCE, FanOut, FanOuts, Send
from flask_sio.adapters.rooms import Recipient, Room, Rooms
from flask_sio.protocol.encoded import Encoded
from flask_sio.protocol.sio import Body

__all__ = ["DESCRIBED_AT_ONCE", "OWN", "Inquiry", "Member", "MemoryAdapter", "records_of"]

OWN = ""
"""Stands for this server among those that a `Gathering` waits for."""

DESCRIBED_AT_ONCE = 8
"""Clients described before others get their turn: each takes 0.1 to 0.7 ms."""
_PAUSE_S = 1.0
"""In case that the loop stops meanwhile."""

Member = tuple[Recipient, Sequence[Room]]
"""A client, and the rooms it was in."""


class _Part(OwedAnswer):
    """What one client owes to an inquiry."""

    __slots__ = ("_id", "_inquiry")

    def __init__(self, inquiry: Inquiry, own_id: str) -> None:
        self._inquiry = inquiry
        self._id = own_id

    def resolve(self, answer: list[Any]) -> None:
        self._inquiry.settle(self._id, answer)

    def fail(self) -> None:
        self._inquiry.settle(self._id, None)


class Inquiry:
    """Clients of this server that have been asked something. Owner's turn only."""

    __slots__ = ("_answered", "_owed")

    def __init__(self, answered: Callable[[str, list[Any] | None], object]) -> None:
        self._answered = answered
        self._owed: dict[str, tuple[Recipient, int]] = {}

    @property
    def is_over(self) -> bool:
        return not self._owed

    def ask(self, recipients: Iterable[Recipient], body: Body, options: BroadcastOptions) -> None:
        """Send the event to each; ``answered`` is called for each, once."""
        for each in recipients:
            number = each.request(body, _Part(self, each.id), options)
            if number:
                self._owed[each.id] = (each, number)
            else:
                self._answered(each.id, None)

    def settle(self, own_id: str, answer: list[Any] | None) -> None:
        """Take an answer; None of one who leaves."""
        if self._owed.pop(own_id, None) is not None:
            self._answered(own_id, answer)

    def cancel(self) -> None:
        """Wait for nobody any more, and keep nothing of it."""
        owed, self._owed = self._owed, {}
        for recipient, number in owed.values():
            recipient.take_ack(number)


class MemoryAdapter:
    """Reaches the clients of one server. `Adapter` says what its methods do."""

    id = OWN

    def __init__(self, home: Home) -> None:
        self._home = home
        self._fan_outs = FanOuts()

    # -- any thread --------------------------------------------------------------------

    def emit(self, namespace: str, body: Body, options: BroadcastOptions) -> EmitResult:
        loop = self._home.running
        result = EmitResult(loop)
        if loop is not None:  # else nobody has ever connected
            encoded = self._home.compose(namespace, body)
            loop.run(self._emit, namespace, encoded, options, result)
        return result

    def emit_asking(
        self, namespace: str, body: Body, options: BroadcastOptions, callback: Callback
    ) -> EmitResult:
        loop = self._home.running
        result = EmitResult(loop)
        if loop is not None:
            loop.run(self._emit_asking, namespace, body, options, callback, result)
        return result

    def ask(self, namespace: str, body: Body, options: BroadcastOptions) -> Gathering:
        loop = self._home.running
        if loop is None:
            return Gathering([])
        gathering = Gathering([OWN], loop, loop.waiter())
        loop.run(self._ask, namespace, body, options, gathering)
        return gathering

    def join(self, namespace: str, options: BroadcastOptions, rooms: Sequence[Room]) -> None:
        self._run(self._join, namespace, options, rooms)

    def leave(self, namespace: str, options: BroadcastOptions, rooms: Sequence[Room]) -> None:
        self._run(self._leave, namespace, options, rooms)

    def disconnect(
        self,
        namespace: str | None,
        options: BroadcastOptions,
        close: bool = False,
        after_flush: bool = False,
    ) -> None:
        self._run(self._disconnect, namespace, options, close, after_flush)

    def is_elsewhere(self, namespace: str, room: Room) -> bool:
        return False

    def sockets(self, namespace: str, options: BroadcastOptions) -> Found[SocketRecord]:
        members = self._call(self._members, namespace, options) or []
        found: Found[SocketRecord] = Found()
        for place in range(0, len(members), DESCRIBED_AT_ONCE):
            if place:
                self._pause()
            found += records_of(members, place)
        return found

    def ids(self, namespace: str, options: BroadcastOptions) -> Found[str]:
        return Found(self._call(self._ids, namespace, options) or ())

    def sizes(self, namespace: str, local: bool = False) -> tuple[dict[Room, int], Iterable[str]]:
        return self._call(self._sizes, namespace) or {}, ()

    def server_event(self, namespace: str, body: Body) -> None:
        pass  # there are no others

    def server_call(
        self, namespace: str, body: Body, timeout: float | None
    ) -> tuple[list[Any], Iterable[str]]:
        return [], ()

    @property
    def others(self) -> Sequence[str]:
        return ()

    def tell_presence(self, server: str, body: Body) -> None:
        pass

    def close(self) -> None:
        pass

    def _run(self, act: Callable[..., object], *args: Any) -> None:
        loop = self._home.running
        if loop is not None:
            loop.run(act, *args)

    def _defer(self, fn: Callable[..., object], *args: Any) -> None:
        loop = self._home.running
        if loop is not None:
            loop.defer(fn, *args)

    def _call(self, act: Callable[..., Any], *args: Any) -> Any:
        loop = self._home.running
        return None if loop is None else loop.call(act, *args)

    def _pause(self) -> None:
        """Let sockets and timers have their turn. Not in a turn."""
        loop = self._home.running
        if loop is not None:
            waiter = loop.waiter()
            loop.run(loop.later, waiter.set)
            waiter.wait(_PAUSE_S)

    # -- owner's turn ------------------------------------------------------------------

    def _select(self, namespace: str, options: BroadcastOptions) -> list[Recipient]:
        rooms = self._home.rooms(namespace)
        return [] if rooms is None else rooms.select(options.rooms, options.skip)

    def _emit(
        self,
        namespace: str,
        encoded: Encoded,
        options: BroadcastOptions,
        result: EmitResult | None = None,
    ) -> None:
        rooms = self._home.rooms(namespace)
        recipients = [] if rooms is None else rooms.select(options.rooms, options.skip)
        encoded.compress = options.compress
        if len(recipients) > AT_ONCE:
            self._fan_out(rooms, recipients, _sender(encoded, options), result)
            return
        queued = 0
        if options.volatile or options.coalesce is not None:
            queued = sum(map(_sender(encoded, options), recipients))
        else:
            for each in recipients:
                queued += each.deliver(encoded)
        if result is not None:
            result.counts = (len(recipients), queued)

    def _fan_out(
        self,
        rooms: Rooms | None,
        recipients: list[Recipient],
        send: Send,
        result: EmitResult | None,
    ) -> None:
        loop = self._home.running
        if rooms is not None and loop is not None:
            self._fan_outs.start(FanOut(rooms, recipients, send, result), loop)

    def _emit_asking(
        self,
        namespace: str,
        body: Body,
        options: BroadcastOptions,
        callback: Callback,
        result: EmitResult,
    ) -> None:
        recipients = self._select(namespace, options)
        asked = [each.request(body, callback, options) for each in recipients]
        result.counts = (len(asked), len(asked) - asked.count(0))

    def _ask(
        self, namespace: str, body: Body, options: BroadcastOptions, gathering: Gathering
    ) -> None:
        recipients = self._select(namespace, options)
        gathering.asked(OWN, [each.id for each in recipients])
        inquiry = Inquiry(gathering.answered)
        gathering.when_over(inquiry.cancel)
        inquiry.ask(recipients, body, options)

    def _join(self, namespace: str, options: BroadcastOptions, rooms: Sequence[Room]) -> None:
        for each in self._select(namespace, options):
            for room in rooms:
                each.enter(room)

    def _leave(self, namespace: str, options: BroadcastOptions, rooms: Sequence[Room]) -> None:
        table = self._home.rooms(namespace)
        if table is not None:
            for each in table.select(options.rooms, options.skip):
                for room in rooms:
                    table.leave(each, room)

    def _disconnect(
        self, namespace: str | None, options: BroadcastOptions, close: bool, after_flush: bool
    ) -> None:
        for name in self._home.namespaces if namespace is None else (namespace,):
            for each in self._select(name, options):
                if after_flush:
                    each.disconnect_flushed(close)
                else:
                    each.disconnect_now(close)

    def _members(self, namespace: str, options: BroadcastOptions) -> list[Member]:
        table = self._home.rooms(namespace)
        if table is None:
            return []
        found = table.select(options.rooms, options.skip)
        return [(each, table.rooms_of(each)) for each in found if each.connected]

    def _ids(self, namespace: str, options: BroadcastOptions) -> list[str]:
        return [each.id for each in self._select(namespace, options) if each.connected]

    def _sizes(self, namespace: str) -> dict[Room, int]:
        rooms = self._home.rooms(namespace)
        return {} if rooms is None else rooms.sizes()


def records_of(members: Sequence[Member], place: int) -> list[SocketRecord]:
    """Describe some, from a place on."""
    return [each.record(rooms) for each, rooms in members[place : place + DESCRIBED_AT_ONCE]]


def _sender(encoded: Encoded, options: BroadcastOptions) -> Send:
    """Return what sends a packet to one recipient, in the way that is asked for."""
    if options.volatile:
        return lambda each: each.deliver_if_ready(encoded)
    if options.coalesce is not None:
        return lambda each: each.deliver_latest(encoded, options.coalesce)
    return lambda each: each.deliver(encoded)
