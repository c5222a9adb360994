"""What an extension says to clients without any context, and to users."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, overload

from flask_sio.adapters.adapter import BroadcastOptions, EmitResult
from flask_sio.extension.convention import FlaskConvention
from flask_sio.extension.functions import event_args, skipped, target_rooms
from flask_sio.extension.mounting import Mounted
from flask_sio.server.operators import ServerNamespace
from flask_sio.server.parents import ParentNamespace
from flask_sio.server.patterns import Spec

__all__ = ["Emitter"]

F = TypeVar("F", bound=Callable[..., Any])


class Emitter(Mounted):
    """What speaks to the clients of its applications, and knows their users."""

    def __init__(self) -> None:
        super().__init__()
        self.identifier: Callable[[Any], Any] | None = None

    def emit(
        self,
        event: str,
        *args: Any,
        namespace: str | None = None,
        to: Any = None,
        room: Any = None,
        include_self: bool = True,
        skip_sid: str | Iterable[str] | None = None,
        callback: Callable[..., Any] | None = None,
        broadcast: bool | None = None,
        ignore_queue: bool = False,
        user: Any = None,
        except_rooms: Any = None,
        volatile: bool = False,
        timeout: float | None = None,
    ) -> EmitResult:
        """Send an event to everybody in the namespace, ``"/"`` by default, or to ``to``.

        Needs no context. ``to`` (or ``room``): an id, a room, or a list, tuple or set of
        them. ``user``: a user's id, also several, for all clients of that user, beside those
        of ``to``. ``skip_sid`` and ``except_rooms`` leave clients out. One tuple as data is
        several arguments, as are several values. ``callback`` and ``timeout`` are as in
        `Server.emit`. ``volatile``: who cannot take it at once gets
        nothing. Returns what became of it. Any thread.

        Raises:
            TypeError: data that has no JSON form.
            ValueError: a reserved event name, or a user without an id.
            RuntimeError: ``include_self=False`` outside of an event.
        """
        if broadcast is not None:
            warnings.warn(
                "socketio.emit() goes to everybody by itself; leave out broadcast=",
                DeprecationWarning,
                stacklevel=2,
            )
        namespace = namespace or "/"
        rooms = target_rooms(to, room, user)
        options = BroadcastOptions(
            None if rooms is None else tuple(rooms),
            skipped(skip_sid, include_self, namespace, except_rooms),
            ignore_queue,
            volatile,
        )
        server, data = self._require(), event_args(args)
        return server.emit_args(event, data, namespace, options, callback, timeout)

    def send(
        self,
        data: Any,
        json: bool = False,
        namespace: str | None = None,
        to: Any = None,
        callback: Callable[..., Any] | None = None,
        include_self: bool = True,
        skip_sid: str | Iterable[str] | None = None,
        *,
        room: Any = None,
        broadcast: bool | None = None,
        ignore_queue: bool = False,
        user: Any = None,
        except_rooms: Any = None,
        volatile: bool = False,
        timeout: float | None = None,
    ) -> EmitResult:
        """Emit ``"message"``, or ``"json"`` with ``json=True``; the rest as `emit`."""
        return self.emit(
            "json" if json else "message",
            data,
            namespace=namespace,
            to=to,
            room=room,
            include_self=include_self,
            skip_sid=skip_sid,
            callback=callback,
            broadcast=broadcast,
            ignore_queue=ignore_queue,
            user=user,
            except_rooms=except_rooms,
            volatile=volatile,
            timeout=timeout,
        )

    def call(
        self,
        event: str,
        *args: Any,
        namespace: str | None = None,
        to: str | None = None,
        timeout: float | None = 60,
        ignore_queue: bool = False,
    ) -> Any:
        """Emit to the client ``to`` and wait for its answer: None, a value, or a tuple.

        Raises:
            ValueError: no client is named.
            TimeoutError: no answer within ``timeout`` seconds.
            DisconnectedError: the client left before it answered.
        """
        if not to:
            raise ValueError("Cannot use call() to broadcast. Name one client: to=sid")
        server = self._require()
        return server.call_args(
            event, event_args(args), to, namespace or "/", timeout, ignore_queue
        )

    @overload
    def of(self, namespace: str = "/") -> ServerNamespace: ...
    @overload
    def of(self, namespace: Spec) -> ServerNamespace | ParentNamespace: ...
    def of(self, namespace: Spec = "/") -> ServerNamespace | ParentNamespace:
        """Return a namespace, to reach its clients; see `Server.of`.

        Handlers that are registered with it are the server's: they take the id first, and are
        this application's only. ``socketio.on(..., namespace=)`` is for Flask's.
        """
        return self._require().of(namespace)

    def close_room(self, room: Any, namespace: str | None = None) -> None:
        """Take everybody out of a room."""
        self._require().close_room(room, namespace=namespace or "/")

    def room_members(self, room: Any, namespace: str | None = None) -> list[str]:
        """Return the ids of who is in a room, those of other servers too."""
        return self._require().room_members(room, namespace)

    def room_size(self, room: Any, namespace: str | None = None) -> int:
        """Return how many clients are in a room."""
        return self._require().room_size(room, namespace)

    def all_rooms(self, namespace: str | None = None) -> list[Any]:
        """Return the rooms that somebody has joined; not those of single clients."""
        return self._require().all_rooms(namespace)

    # -- users -------------------------------------------------------------------------

    def identify(self, fn: F) -> F:
        """Let the decorated function tell whose a client is, instead of Flask-Login.

        It runs in the context of each connect, after its handler, takes nothing or the
        client's auth data, and returns the user's id, the user, or None. What it raises
        refuses the client.

        Raises:
            TypeError: the function cannot be called so.
        """
        self.identifier = FlaskConvention.adapt("connect", fn)
        return fn

    def is_online(self, user: Any, namespace: str = "/") -> bool:
        """Whether a user has a client in the namespace.

        A client counts from its acceptance until it leaves; so its own connect and
        disconnect handlers learn of the user's other clients.
        """
        return bool(self.sids_of(user, namespace))

    def sids_of(self, user: Any, namespace: str = "/") -> list[str]:
        """Return the ids of a user's clients in the namespace, own server's first."""
        return self._require().users.sids(user, namespace)

    def disconnect_user(self, user: Any, namespace: str | None = None) -> None:
        """Disconnect all clients of a user, in all namespaces or in one. Any thread.

        Call it when the user logs out: open connections know nothing of that.
        """
        self._require().users.disconnect(user, namespace)
