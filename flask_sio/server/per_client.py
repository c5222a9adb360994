"""Classes of namespaces with an object for each client: `Namespace.per_client`.

The objects stand in their live namespace, by the ids of the clients, and only where there are any:
a socket has no place for one. Which client's object a method is to be called on is asked when it
is called; its signature is read once, as that of any handler.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import TYPE_CHECKING, Any

from flask_sio.coroutines import is_async
from flask_sio.server.calling import name_of
from flask_sio.server.class_namespace import Namespace
from flask_sio.server.jobs import running_socket
from flask_sio.server.patterns import is_pattern

if TYPE_CHECKING:
    from flask_sio.server.socket import Socket

__all__ = ["of_client"]

Function = Callable[..., Any]


def of_client(method: Any, as_sync: Callable[[Function], Function] | None = None) -> Any:
    """Return a method, or where each client has an object what calls that one's method.

    ``as_sync`` makes a function of one that may be ``async``; without it such a method is
    returned as it is, to be refused.
    """
    namespace = getattr(method, "__self__", None)
    if not isinstance(namespace, Namespace) or not namespace.per_client:
        return method
    if as_sync is None and is_async(method):
        return method
    registered = namespace._registered or namespace
    return _OfClient(registered, MethodType(method.__func__, registered), as_sync)


class _OfClient:
    """A method that is called on the object of the client whose event is being handled."""

    def __init__(
        self,
        registered: Namespace,
        method: MethodType,
        as_sync: Callable[[Function], Function] | None,
    ) -> None:
        if as_sync is not None:
            as_sync(method)  # which raises here what it would raise at each event
        self._registered = registered
        self._as_sync = as_sync
        self.__wrapped__ = method
        self.__qualname__ = name_of(method)

    def __call__(self, *args: Any, **values: Any) -> Any:
        socket = running_socket()
        assert socket is not None
        own: Function = MethodType(self.__wrapped__.__func__, _object_of(self._registered, socket))
        return (own if self._as_sync is None else self._as_sync(own))(*args, **values)


def _object_of(registered: Namespace, socket: Socket) -> Namespace:
    """Return a client's own object; make it if there is none. On a worker."""
    objects = socket.space.objects
    own = None if objects is None else objects.get(socket.id)
    if own is not None and own._registered is registered:
        return own
    args, values = registered._made_by
    made = type(registered)(*args, **values)
    made.server = socket.client.server
    made.socketio = registered.socketio
    made._adapt = registered._adapt
    made._registered = registered
    if not is_pattern(socket.namespace):  # a name that looks like one
        made.namespace = socket.namespace

    def keep() -> Namespace:
        there = socket.space.objects
        if socket.state == "gone":
            return made  # for a handler that was overtaken by the end of its client
        if there is None:
            there = socket.space.objects = {}
        kept = there.get(socket.id)
        if kept is None or kept._registered is not registered:  # one of another class
            kept = there[socket.id] = made
        return kept

    return socket.client.server.engine.loop.call(keep)
