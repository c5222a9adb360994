"""What runs around the handlers of a namespace: middleware and listeners.

``connect`` middleware runs before the connect handler and may refuse the client, ``event``
middleware before an event's handler and may change or refuse the event. ``join``
policies say who may enter a room. ``incoming``
listeners see every event, ``outgoing`` ones what is sent to each client. Those of
namespace ``"*"`` come first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from flask_sio.server.calling import check_function, fitting, name_of
from flask_sio.server.patterns import check_spec

if TYPE_CHECKING:
    from flask_sio.server.socket import Socket

__all__ = ["Called", "Middleware", "Watchers", "What", "hook"]

Function = Callable[..., Any]
What = Literal["connect", "event", "join", "incoming", "outgoing", "high_water", "drain"]
Called = Callable[["Socket", str, Sequence[Any]], Any]
"""How all of them are called: socket, event's name, arguments."""

ANY = "*"


@dataclass(frozen=True, slots=True)
class Hook:
    """One registered function."""

    call: Called
    source: Function
    """As it was registered."""


@dataclass(frozen=True, slots=True)
class Watchers:
    """What runs around one namespace's handlers, in its order."""

    connect: tuple[Hook, ...] = ()
    event: tuple[Hook, ...] = ()
    incoming: tuple[Hook, ...] = ()
    outgoing: tuple[Hook, ...] = ()


class Middleware:
    """The middleware and listeners of one server. Any thread."""

    __slots__ = (
        "_hooks",
        "guards_rooms",
        "on_change",
        "watches_events",
        "watches_outgoing",
        "watches_slow",
    )

    def __init__(self) -> None:
        self._hooks: dict[tuple[What, Any], tuple[Hook, ...]] = {}
        self.watches_events = False
        """Whether anything sees events; read for each."""
        self.watches_outgoing = False
        self.watches_slow = False
        self.guards_rooms = False
        """Whether anybody is asked of joins; read for each."""
        self.on_change: Callable[[], object] = lambda: None
        """Called when something was registered or forgotten."""

    def add(
        self, what: What, namespace: Any, call: Called, source: Function, first: bool = False
    ) -> None:
        """Register a function; ``first`` before those there are.

        Raises:
            ValueError: a name that no namespace can have.
        """
        check_spec(namespace)
        there, new = self._hooks.get((what, namespace), ()), Hook(call, source)
        self._set(what, namespace, (new, *there) if first else (*there, new))

    def remove(self, what: What, namespace: Any, source: Function | None = None) -> None:
        """Forget a function once, the last registered first; or without one all."""
        there = list(self._hooks.get((what, namespace), ()))
        if source is None:
            there.clear()
        for number in reversed(range(len(there))):
            if there[number].source == source:
                del there[number]
                break
        self._set(what, namespace, tuple(there))

    def _set(self, what: What, namespace: Any, hooks: tuple[Hook, ...]) -> None:
        self._hooks.pop((what, namespace), None)
        if hooks:
            self._hooks[what, namespace] = hooks
        whats = {what for what, _ in list(self._hooks)}
        self.watches_events = not whats.isdisjoint(("event", "incoming"))
        self.watches_outgoing = "outgoing" in whats
        self.guards_rooms = "join" in whats
        self.watches_slow = not whats.isdisjoint(("high_water", "drain"))
        self.on_change()

    def sources(self, what: What, namespace: Any) -> list[Function]:
        """Return the functions that were registered for a namespace, in order."""
        return [each.source for each in self._hooks.get((what, namespace), ())]

    def hooks(self, what: What, namespace: Any) -> tuple[Hook, ...]:
        """Return what runs for a namespace."""
        there = self._hooks.get((what, namespace), ())
        return (*self._hooks.get((what, ANY), ()), *there) if namespace != ANY else there

    def specs(self, what: What) -> list[Any]:
        """Return the namespaces, and patterns of them, that functions are registered for."""
        return [spec for kind, spec in list(self._hooks) if kind == what]

    def of(self, namespace: Any) -> Watchers:
        """Return all that sees the events of a namespace."""
        hooks = self.hooks
        return Watchers(event=hooks("event", namespace), incoming=hooks("incoming", namespace))


_TAKES: dict[What, tuple[int, str]] = {
    "connect": (1, "use() needs a function that takes (socket)"),
    "event": (3, "use_event() needs a function that takes (socket, event, args)"),
    "join": (2, "use_join() needs a function that takes (socket, room)"),
    "incoming": (2, "on_any() needs a function that takes (event, sid, *args)"),
    "outgoing": (2, "on_any_outgoing() needs a function that takes (event, sid, *args)"),
    "high_water": (1, "on_high_water() needs a function that takes (sid)"),
    "drain": (1, "on_drain() needs a function that takes (sid)"),
}


def hook(what: What, fn: Any, any_namespace: bool) -> Called:
    """Return how a plain server calls a function.

    A listener gets the event's name, the namespace's if it is for several, the socket's id.

    Raises:
        TypeError: it cannot be called so.
    """
    count, rule = _TAKES[what]
    is_slow = what in ("high_water", "drain")
    if is_slow and any_namespace:
        count, rule = 2, rule.replace("(sid)", "(namespace, sid)")
    check_function(fn, rule.partition(" ")[0])
    is_listener = what in ("incoming", "outgoing")
    if not is_listener and fitting(fn, count) is None:
        raise TypeError(f"{rule}; {name_of(fn)} does not")
    if what == "connect":
        return lambda socket, event, args: fn(socket)
    if what == "event":
        called: Called = fn
        return called
    if what == "join":
        return lambda socket, event, args: fn(socket, *args)
    if is_slow:
        if any_namespace:
            return lambda socket, event, args: fn(socket.namespace, socket.id)
        return lambda socket, event, args: fn(socket.id)
    if any_namespace:
        return lambda socket, event, args: fn(event, socket.namespace, socket.id, *args)
    return lambda socket, event, args: fn(event, socket.id, *args)
