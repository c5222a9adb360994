"""Telling user code what happens to rooms, in order, one thing at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flask_sio.adapters.rooms import Room, RoomEvent
from flask_sio.server.telling import Telling

if TYPE_CHECKING:
    from flask_sio.server.server import Server

__all__ = ["RoomEvents", "check_room_event"]

logger = logging.getLogger("flask_sio.server")

_EVENTS = ("create", "join", "leave", "delete")


class RoomEvents:
    """What listens to the rooms of one server. A server without listeners watches none."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._listeners: dict[RoomEvent, list[Callable[..., object]]] = {}
        self._telling: Telling[tuple[Callable[..., object], tuple[Any, ...]]] = Telling(
            server, "on_room_event", self._tell
        )

    def add(self, event: RoomEvent, fn: Callable[..., object]) -> None:
        """Register a listener. Any thread."""
        self._listeners.setdefault(event, []).append(fn)
        for name, space in list(self._server.spaces.items()):
            space.rooms.on_change = self.watcher(name)

    def watcher(self, namespace: str) -> Callable[[RoomEvent, Room, str], object] | None:
        """Return what a namespace's rooms tell; None if nobody listens."""
        if not self._listeners:
            return None

        def changed(event: RoomEvent, room: Room, own_id: str) -> None:
            args = (namespace, room, own_id) if own_id else (namespace, room)
            for fn in self._listeners.get(event, ()):
                self._telling.put((fn, args))

        return changed

    def _tell(self, due: tuple[Callable[..., object], tuple[Any, ...]]) -> None:
        """Call a listener. On a worker."""
        fn, args = due
        try:
            self._server.convention.invoke_bare(fn, args)
        except Exception:
            logger.exception("what listens to rooms failed")


def check_room_event(event: RoomEvent) -> None:
    """Refuse a name that is no room event.

    Raises:
        ValueError: it is none.
    """
    if event not in _EVENTS:
        raise ValueError(f"no room event {event!r}: there are {', '.join(_EVENTS)}")
