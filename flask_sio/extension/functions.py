"""`emit` and its friends: what a handler calls to speak to its own client, or to others.

Inside a handler they default to the handler's client and namespace. Elsewhere, in a view for
one, they work only where both are given; the `SocketIO` object's methods need neither.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from flask_sio.adapters.adapter import BroadcastOptions, EmitResult
from flask_sio.errors import NotConnectedError
from flask_sio.extension.context import EventContext, current_event, current_extension
from flask_sio.server.emitting import left_out
from flask_sio.server.users import user_rooms

if TYPE_CHECKING:
    from flask_sio.server.server import Server
    from flask_sio.server.socket import Socket

__all__ = [
    "call",
    "close_room",
    "disconnect",
    "emit",
    "join_room",
    "leave_room",
    "rooms",
    "send",
]

logger = logging.getLogger("flask_sio.flask")


def emit(
    event: str,
    *args: Any,
    namespace: str | None = None,
    to: Any = None,
    room: Any = None,
    broadcast: bool = False,
    include_self: bool = True,
    skip_sid: str | Iterable[str] | None = None,
    callback: Callable[..., Any] | None = None,
    ignore_queue: bool = False,
    user: Any = None,
    except_rooms: Any = None,
    volatile: bool = False,
    timeout: float | None = None,
) -> EmitResult:
    """Send an event to the client whose event is being handled.

    ``to`` (or ``room``): an id, a room, or a list, tuple or set of them instead; ``user``:
    a user's id, also several, for all clients of that user, beside those of ``to``;
    ``broadcast=True``: everybody in the namespace, where none is given. Without them, a
    foreign ``namespace`` means the same client's socket there. One tuple as data is several
    arguments, as are several values. ``skip_sid`` and ``except_rooms`` leave clients out.
    ``callback`` runs in this client's context with what the receiver answers; with ``timeout``,
    in seconds, also when it does not, as `Server.emit` says. ``volatile``:
    who cannot take it at once gets nothing. Returns what became of it. Any thread.

    Raises:
        RuntimeError: there is no event, and so no client, to speak to.
        TypeError: data that has no JSON form.
        ValueError: a reserved event name, or a user without an id.
    """
    context = current_event()
    # The usual reply: to the own client, and nothing else is asked for.
    if (
        context is not None
        and (room is user is callback is None and include_self)
        and not (broadcast or volatile or skip_sid or except_rooms)
    ):
        own = own_socket(context, namespace) if namespace else context.socket
        if own is not None and (to is None or to == own.id):
            return context.convention.server.emit_to(own, event, event_args(args))
    targets = None
    server: Server
    if to is not None or room is not None or user is not None:
        targets = target_rooms(to, room, user)
    if context is None:
        if namespace is None or (targets is None and not broadcast):
            raise _no_event("emit()")
        server = current_extension().server
    else:
        server = context.convention.server
        namespace = namespace or context.socket.namespace
        if targets is None and not broadcast:
            targets = [_own_id(context, event, namespace)]
    options = BroadcastOptions(
        None if targets is None else tuple(targets),
        skipped(skip_sid, include_self, namespace, except_rooms),
        ignore_queue,
        volatile,
    )
    return server.emit_args(event, event_args(args), namespace, options, callback, timeout)


def send(
    message: Any,
    json: bool = False,
    namespace: str | None = None,
    to: Any = None,
    room: Any = None,
    broadcast: bool = False,
    include_self: bool = True,
    skip_sid: str | Iterable[str] | None = None,
    callback: Callable[..., Any] | None = None,
    ignore_queue: bool = False,
    user: Any = None,
    *,
    except_rooms: Any = None,
    volatile: bool = False,
    timeout: float | None = None,
) -> EmitResult:
    """Emit ``"message"``, or ``"json"`` with ``json=True``; the rest as `emit`."""
    return emit(
        "json" if json else "message",
        message,
        namespace=namespace,
        to=to,
        room=room,
        broadcast=broadcast,
        include_self=include_self,
        skip_sid=skip_sid,
        callback=callback,
        ignore_queue=ignore_queue,
        user=user,
        except_rooms=except_rooms,
        volatile=volatile,
        timeout=timeout,
    )


def call(
    event: str,
    *args: Any,
    namespace: str | None = None,
    to: str | None = None,
    timeout: float | None = 60,
    ignore_queue: bool = False,
) -> Any:
    """Emit to one client, this one by default, and wait for its answer.

    Returns None, the value, or a tuple of several. ``timeout`` in seconds.

    Raises:
        TimeoutError: no answer in time.
        DisconnectedError: the client left before it answered.
    """
    server, sid, namespace = _target("call()", to, namespace)
    return server.call_args(event, event_args(args), sid, namespace, timeout, ignore_queue)


def join_room(room: Any, sid: str | None = None, namespace: str | None = None) -> None:
    """Put this client, or ``sid``, into a room, or the rooms of a list or set.

    Raises:
        EventRefusedError: it may not, says `SocketIO.use_join`.
    """
    server, sid, namespace = _target("join_room()", sid, namespace)
    server.enter_room(sid, room, namespace=namespace)


def leave_room(room: Any, sid: str | None = None, namespace: str | None = None) -> None:
    """Take this client, or ``sid``, out of a room, or of those of a list or set."""
    server, sid, namespace = _target("leave_room()", sid, namespace)
    server.leave_room(sid, room, namespace=namespace)


def close_room(room: Any, namespace: str | None = None) -> None:
    """Take everybody out of a room."""
    context = current_event()
    if context is not None:
        namespace = namespace or context.socket.namespace
        context.convention.server.close_room(room, namespace=namespace)
    elif namespace is not None:
        current_extension().server.close_room(room, namespace=namespace)
    else:
        raise _no_event("close_room()")


def rooms(sid: str | None = None, namespace: str | None = None) -> list[Any]:
    """Return the rooms this client, or ``sid``, is in; its own id is one of them."""
    server, sid, namespace = _target("rooms()", sid, namespace)
    return server.rooms(sid, namespace=namespace)


def disconnect(
    sid: str | None = None,
    namespace: str | None = None,
    silent: bool = False,
    *,
    after_flush: bool = False,
) -> None:
    """Disconnect this client, or ``sid``, from the namespace.

    The rest of the handler still runs. With ``after_flush`` it stays until all that was
    emitted to it has left this server. ``silent`` is accepted for Flask-SocketIO's sake.
    """
    server, sid, namespace = _target("disconnect()", sid, namespace)
    server.disconnect(sid, namespace=namespace, after_flush=after_flush)


# What the methods of SocketIO share with these.


def event_args(data: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return an event's arguments: one tuple stands for several, one None for none."""
    if len(data) == 1:
        if isinstance(data[0], tuple):
            return data[0]
        if data[0] is None:
            return ()
    return data


def target_rooms(to: Any, room: Any = None, user: Any = None) -> list[Any] | None:
    """Return the rooms that ``to``, else ``room``, and ``user`` name; None where none does.

    An empty string or collection counts as not given, as it does in Flask-SocketIO; but no
    user at all is nobody.
    """
    if user is not None:
        return [*(target_rooms(to, room) or ()), *user_rooms(user)]
    for target in (to, room):
        if target is None or target is False:
            continue
        if isinstance(target, (list, tuple, set, frozenset)):
            if target:
                return list(target)
        elif target != "":
            return [target]
        warnings.warn(
            f"an emit to {target!r} counts as an emit without a target",
            RuntimeWarning,
            stacklevel=3,
        )
    return None


def skipped(
    skip_sid: str | Iterable[str] | None,
    include_self: bool,
    namespace: str,
    except_rooms: Any = None,
) -> tuple[Any, ...]:
    """Return whom an emit leaves out: those named, and the own client if it is not meant.

    Raises:
        RuntimeError: ``include_self=False`` where no event is being handled.
    """
    skip = left_out(skip_sid, except_rooms)
    if include_self:
        return skip
    context = current_event()
    if context is None:
        raise RuntimeError(
            "include_self=False needs an event that is being handled: here is no client to "
            "leave out; name one with skip_sid="
        )
    own = own_socket(context, namespace)
    return skip if own is None else (*skip, own.id)


def own_socket(context: EventContext, namespace: str) -> Socket | None:
    """Return the socket of the event's client in ``namespace``, if it is connected there."""
    socket = context.socket
    return socket if namespace == socket.namespace else socket.sibling(namespace)


def _own_id(context: EventContext, event: str, namespace: str) -> str:
    """Return the id that a reply into ``namespace`` goes to."""
    own = own_socket(context, namespace)
    if own is not None:
        return own.id
    logger.warning(
        "emit(%r, namespace=%r) reaches nobody: the client %s is not connected there",
        event,
        namespace,
        context.socket.id,
    )
    # Nobody answers to this id there, but the emit is checked like any other.
    return context.socket.id


def _target(what: str, sid: str | None, namespace: str | None) -> tuple[Server, str, str]:
    """Return the server, id and namespace that a function is about."""
    context = current_event()
    if context is None:
        if sid is None or namespace is None:
            raise _no_event(what)
        return current_extension().server, sid, namespace
    server = context.convention.server
    namespace = namespace or context.socket.namespace
    if sid is not None:
        return server, sid, namespace
    own = own_socket(context, namespace)
    if own is None:
        raise NotConnectedError(f"the client is not connected to {namespace}")
    return server, own.id, namespace


_INSTEAD = {
    "emit()": "use socketio.emit() or socketio.send(), the methods of your SocketIO object",
    "call()": "use socketio.call(..., to=sid), the method of your SocketIO object",
    "close_room()": "use socketio.close_room(room), the method of your SocketIO object",
}


def _no_event(what: str) -> RuntimeError:
    instead = _INSTEAD.get(what, "give it both a sid and a namespace")
    return RuntimeError(
        f"{what} speaks for the client whose event is being handled, and no event is: {instead}"
    )
