"""Class-based namespaces: an object whose ``on_...`` methods handle one namespace."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Hashable, Iterable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from flask_sio.server.patterns import Spec, check_spec, is_pattern

if TYPE_CHECKING:
    from flask_sio.adapters.adapter import EmitResult
    from flask_sio.adapters.answers import Callback
    from flask_sio.server.server import Server

Room = Hashable
_NOT_IN_A_NAME = re.compile(r"\W")


class Namespace:
    """Handle a namespace by the methods of a subclass: ``on_chat`` handles ``chat``.

    An event's name with other characters than letters, digits and ``_`` finds the method
    with ``_`` for each of those. One object serves all clients, unless `per_client` is set.
    What it is registered with decides how methods are called: by `Server.register_namespace`
    with the socket's id first, by ``SocketIO.on_namespace`` as Flask's handlers, without it.
    """

    namespace: Any
    """Its name, or the pattern of those it handles."""
    server: Server
    """The server it was registered with."""
    socketio: Any = None
    """The Flask extension it was registered with, if it was."""

    handler_timeout: float | None = None
    """Seconds that its methods may take for an event; None is the server's ``handler_timeout``."""

    per_client: bool = False
    """Set in a class: whether each client has an object of its own, for state in ``self``.

    It is made by the call that the registered object was made by, its class with the same
    arguments, before the client's connect handler, and forgotten after its disconnect
    handler; its `namespace` is the client's. The registered object itself handles nothing.
    Not a copy of that one: copies would share the lists that ``__init__`` makes.
    """

    _adapt: Callable[[str, Callable[..., Any]], Callable[..., Any]] | None = None
    """How the convention wants a method called by `trigger_event`; set at registration."""
    _made_by: tuple[tuple[Any, ...], dict[str, Any]] = ((), {})
    """The arguments it was made with."""
    _registered: Namespace | None = None
    """The object that was registered, if this is a client's own one."""

    def __init_subclass__(cls, **values: Any) -> None:
        super().__init_subclass__(**values)
        if cls.per_client:
            _note_arguments(cls)

    def __init__(self, namespace: Spec | None = None) -> None:
        check_spec(namespace)
        self.namespace = namespace or "/"

    def _where(self, namespace: str | None) -> str:
        """Return the namespace that is meant."""
        if namespace:
            return namespace
        if is_pattern(self.namespace):
            own: str | None = None if self.socketio is None else self.socketio.event_namespace()
            if own is None:
                raise TypeError(
                    "this object handles more than one namespace: name the one you mean by "
                    "namespace=, which its methods get"
                )
            return own
        return str(self.namespace)

    def is_asyncio_based(self) -> bool:
        """Return False, as python-socketio does for a class that is not asyncio's."""
        return False

    # -- dispatch ----------------------------------------------------------------------

    def handles_by_trigger(self, event: str) -> bool:
        """Whether a subclass has its own `trigger_event`, which then sees every event.

        But for ``disconnecting``, which python-socketio's programs do not know: that one only
        where there is a method for it.
        """
        if type(self).trigger_event is Namespace.trigger_event:
            return False
        return event != "disconnecting" or self.method_of(event) is not None

    def method_of(self, event: str) -> Callable[..., Any] | None:
        """Return the ``on_...`` method of an event, or None."""
        method = getattr(self, f"on_{event}", None)
        if method is None:
            method = getattr(self, "on_" + _NOT_IN_A_NAME.sub("_", event), None)
        if method is None and self.per_client and event == "connect":
            return self._arrive
        return method if callable(method) else None

    def _arrive(self, *args: Any, **values: Any) -> None:
        """Handle connect where a subclass does not, so that each client's object is made then."""

    def trigger_event(self, event: str, *args: Any, **values: Any) -> Any:
        """Call the method of an event; override it to see every event of the namespace.

        ``args`` begins with the socket's id.
        """
        method = self.method_of(event)
        if method is None:
            return None
        called = method if self._adapt is None else self._adapt(event, method)
        return called(*args, **values)

    # -- what handlers do --------------------------------------------------------------

    def emit(
        self,
        event: str | int,
        data: Any = None,
        to: Any = None,
        room: Any = None,
        skip_sid: str | Iterable[str] | None = None,
        namespace: str | None = None,
        callback: Callback | None = None,
        ignore_queue: bool = False,
        include_self: bool = True,
        user: Any = None,
        *,
        except_rooms: Any = None,
        volatile: bool = False,
        timeout: float | None = None,
    ) -> EmitResult:
        """Send an event to this namespace; see `Server.emit`.

        ``include_self=False`` leaves out the client whose event is being handled; with
        ``SocketIO.on_namespace`` only.
        """
        where = self._where(namespace)
        more = {"except_rooms": except_rooms, "user": user, "volatile": volatile}
        more["timeout"] = timeout
        if self.socketio is not None:
            more["include_self"] = include_self
            rest: dict[str, Any] = {"callback": callback, "ignore_queue": ignore_queue, **more}
            return self.socketio.emit(  # type: ignore[no-any-return] # not known here
                event, data, namespace=where, to=to, room=room, skip_sid=skip_sid, **rest
            )
        if not include_self:
            raise TypeError("include_self= is for SocketIO.on_namespace(); name skip_sid=")
        return self.server.emit(
            event, data, to, room, skip_sid, where, callback, ignore_queue, **more
        )

    def send(
        self,
        data: Any,
        to: Any = None,
        room: Any = None,
        skip_sid: str | Iterable[str] | None = None,
        namespace: str | None = None,
        callback: Callback | None = None,
        ignore_queue: bool = False,
        include_self: bool = True,
        user: Any = None,
        *,
        except_rooms: Any = None,
        volatile: bool = False,
        timeout: float | None = None,
    ) -> EmitResult:
        """Send a ``message`` event to this namespace; the rest as `emit`."""
        where = self._where(namespace)
        rest = (to, room, skip_sid, where, callback, ignore_queue, include_self, user)
        more: dict[str, Any] = {"except_rooms": except_rooms, "volatile": volatile}
        return self.emit("message", data, *rest, timeout=timeout, **more)

    def call(
        self,
        event: str | int,
        data: Any = None,
        to: str | None = None,
        sid: str | None = None,
        namespace: str | None = None,
        timeout: float | None = 60,
        ignore_queue: bool = False,
    ) -> Any:
        """Ask one client of this namespace; see `Server.call`."""
        where = self._where(namespace)
        return self.server.call(event, data, to, sid, where, timeout, ignore_queue)

    def enter_room(self, sid: str, room: Room, namespace: str | None = None) -> None:
        """Put a client into a room; see `Server.enter_room`."""
        self.server.enter_room(sid, room, self._where(namespace))

    def leave_room(self, sid: str, room: Room, namespace: str | None = None) -> None:
        """Take a client out of a room; see `Server.leave_room`."""
        self.server.leave_room(sid, room, self._where(namespace))

    def close_room(self, room: Room, namespace: str | None = None) -> None:
        """Let everybody leave a room; see `Server.close_room`."""
        self.server.close_room(room, self._where(namespace))

    def rooms(self, sid: str, namespace: str | None = None) -> list[Room]:
        """Return the rooms of a client; see `Server.rooms`."""
        return self.server.rooms(sid, self._where(namespace))

    def get_session(self, sid: str, namespace: str | None = None) -> dict[str, Any]:
        """Return a client's session; see `Server.get_session`."""
        return self.server.get_session(sid, self._where(namespace))

    def save_session(self, sid: str, session: dict[str, Any], namespace: str | None = None) -> None:
        """Replace a client's session; see `Server.save_session`."""
        self.server.save_session(sid, session, self._where(namespace))

    def session(
        self, sid: str, namespace: str | None = None
    ) -> AbstractContextManager[dict[str, Any]]:
        """Give a client's session to a ``with`` block; see `Server.session`."""
        return self.server.session(sid, self._where(namespace))

    def disconnect(
        self, sid: str, namespace: str | None = None, *, after_flush: bool = False
    ) -> None:
        """Make a client leave; see `Server.disconnect`."""
        self.server.disconnect(sid, self._where(namespace), after_flush=after_flush)


def _note_arguments(kind: Any) -> None:
    """Let the objects of a class know what they were made with."""
    make = kind.__new__

    def new(cls: Any, *args: Any, **values: Any) -> Any:
        self = make(cls) if make is object.__new__ else make(cls, *args, **values)
        self._made_by = args, values
        return self

    new.__signature__ = inspect.signature(kind.__init__)  # type: ignore[attr-defined] # for help()
    kind.__new__ = new
