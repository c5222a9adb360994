"""Who may enter which room: asking what `use_join` has registered, before a client joins.

It is user code, so it runs in the thread of who asks and never in a turn. Only then does a
turn let the client in.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from flask_sio.errors import ConnectionRefusedError, EventRefusedError
from flask_sio.server.handlers import ANY, is_refusal
from flask_sio.server.patterns import is_pattern

if TYPE_CHECKING:
    from flask_sio.adapters.rooms import Room
    from flask_sio.server.handlers import Convention, Handlers
    from flask_sio.server.middleware import Called
    from flask_sio.server.socket import Socket

__all__ = ["ask_to_join", "concerns"]

_REFUSED = "Room refused"
"""What a client is told where the policy says no more than False."""


def ask_to_join(
    convention: Convention, handlers: Handlers, socket: Socket, rooms: Iterable[Room]
) -> None:
    """Ask whether a client may enter rooms; of its own room nobody is asked.

    Raises:
        EventRefusedError: it may not enter one of them.
    """
    hooks = handlers.middleware.hooks("join", socket.space.key)
    for room in rooms if hooks else ():
        for hook in hooks if room != socket.id else ():
            convention.ask(socket, _decide, (hook.call, socket, room))


def _decide(call: Called, socket: Socket, room: Room) -> None:
    try:
        if is_refusal(call(socket, "join", (room,))):
            raise EventRefusedError(_REFUSED)
    except ConnectionRefusedError as error:
        told = error.payload
        data = (told["data"],) if "data" in told else ()
        raise EventRefusedError(told["message"], *data) from error


def concerns(handlers: Handlers, namespace: str) -> bool:
    """Whether a policy may be for a namespace that this server has perhaps no clients in.

    Any pattern may fit one that is known by no name.
    """
    is_known = handlers.knows(namespace)
    return any(
        spec in (ANY, handlers.key(namespace)) or (is_pattern(spec) and not is_known)
        for spec in handlers.middleware.specs("join")
    )
