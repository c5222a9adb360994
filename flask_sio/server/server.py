"""The Socket.IO server: what user code calls, from any thread or greenlet.

`Server` renders what it is given in the caller's thread, then does the rest in the owner's
turn. Methods that change or send never wait; those that return something about a client
wait for a turn, which under gevent is at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast, overload

from flask_sio.engine.connection import Connection
from flask_sio.engine.endpoint import Endpoint
from flask_sio.engine.server import Engine
from flask_sio.errors import DisconnectedError, NotConnectedError, TimeoutError
from flask_sio.options import ServerOptions
from flask_sio.protocol import sio
from flask_sio.protocol.json_codec import JsonCodec, ModuleCodec
from flask_sio.runtime.loop import Task, is_patched
from flask_sio.server import reasons
from flask_sio.server.acks import Callback, PendingCall
from flask_sio.server.class_namespace import Namespace
from flask_sio.server.client import Client
from flask_sio.server.cluster import Member
from flask_sio.server.handlers import Convention, Function, Handlers, PlainConvention
from flask_sio.server.jobs import answer_value
from flask_sio.server.namespace import LiveNamespace
from flask_sio.server.socket import Socket
from flask_sio.server.users import Users

if TYPE_CHECKING:
    from flask_sio.compat import EngineView, LiveMapping, ManagerView

logger = logging.getLogger("flask_sio.server")

Room = Hashable
Rooms = Room | Iterable[Room] | None
F = TypeVar("F", bound=Function)


class Server:
    """A Socket.IO server, to be mounted by `WSGIApp`.

    Options are those of `flask_sio.options.ServerOptions`. Handlers take the socket's id
    first: ``connect(sid, environ[, auth])``, ``event(sid, *args)``,
    ``disconnect(sid[, reason])``.
    """

    reason = reasons
    """The constants a disconnect handler's ``reason`` is one of."""

    def __init__(self, *, convention: Convention | None = None, **options: Any) -> None:
        self.convention = convention or PlainConvention()
        self.options = ServerOptions.build(options, self.convention.options)
        self.handlers = Handlers(self.convention, bool(self.options.async_handlers))
        self.codec = JsonCodec() if self.options.json is None else ModuleCodec(self.options.json)
        self.engine = Engine(self.options, self._accept)
        self._endpoint = Endpoint(self.engine)
        self.slow_handler_hook = self.on_slow_handler
        """`on_slow_handler`, bound once for all mailboxes."""
        self._spaces: dict[str, LiveNamespace] = {}
        self.users = Users(self)
        self.engine.on_fork = self._spaces.clear
        self.engine.has_clients = self._has_clients
        queue = self.options.client_manager
        self._member = None if queue is None else Member(self, queue)
        if self.options.logger or self.options.engineio_logger:
            import_module("flask_sio.compat").attach_loggers(self.options)

    def _accept(self, connection: Connection) -> Client:
        return Client(self, connection)

    def _has_clients(self) -> bool:
        return any(space.adapter.everyone for space in self._spaces.values())

    def handle_request(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer one HTTP request for the Socket.IO path; a WSGI application."""
        return self._endpoint.handle(environ, start_response)

    # -- handlers ----------------------------------------------------------------------

    @overload
    def on(
        self,
        event: str | int,
        handler: None = None,
        namespace: str | None = None,
        *,
        concurrent: bool | None = None,
        add: bool = False,
    ) -> Callable[[F], F]: ...
    @overload
    def on(
        self,
        event: str | int,
        handler: F,
        namespace: str | None = None,
        *,
        concurrent: bool | None = None,
        add: bool = False,
    ) -> F: ...
    def on(
        self,
        event: str | int,
        handler: F | None = None,
        namespace: str | None = None,
        *,
        concurrent: bool | None = None,
        add: bool = False,
    ) -> F | Callable[[F], F]:
        """Register a handler, as a decorator or at once; it replaces an earlier one.

        With ``add=True`` it runs after those there are; the first one's result is the ack.
        Events of one client run in order, one at a time; ``concurrent=True`` lets this
        one run beside the others. Any thread.

        Raises:
            TypeError: the function cannot take what it will be given.
            ValueError: an event of the protocol's own.
        """

        def register(fn: F) -> F:
            handler = self.convention.with_sid(fn, event, namespace or "/")
            self.handlers.add(event, handler, namespace or "/", concurrent, add)
            return fn

        return register if handler is None else register(handler)

    @overload
    def event(self, handler: F) -> F: ...
    @overload
    def event(
        self, *, namespace: str | None = None, concurrent: bool | None = None
    ) -> Callable[[F], F]: ...
    def event(
        self,
        handler: F | None = None,
        *,
        namespace: str | None = None,
        concurrent: bool | None = None,
    ) -> F | Callable[[F], F]:
        """Register a handler for the event of its own name; with or without arguments."""

        def register(fn: F) -> F:
            return self.on(fn.__name__, fn, namespace, concurrent=concurrent)

        return register if handler is None else register(handler)

    def register_namespace(self, namespace: Namespace) -> None:
        """Let an object's ``on_...`` methods handle its namespace. Any thread.

        Raises:
            ValueError: it is no `Namespace` object.
        """
        if not isinstance(namespace, Namespace):
            raise ValueError("Not a namespace instance: pass an object, not its class")
        namespace.server = self
        self.handlers.add_class(namespace)

    # -- emitting ----------------------------------------------------------------------

    def emit(
        self,
        event: str | int,
        data: Any = None,
        to: Rooms = None,
        room: Rooms = None,
        skip_sid: str | Iterable[str] | None = None,
        namespace: str | None = None,
        callback: Callback | None = None,
        ignore_queue: bool = False,
    ) -> None:
        """Send an event to a room, a client, or everybody in the namespace.

        ``data``: a tuple is several arguments, None is none, anything else is one.
        ``to`` (or ``room``): a room, a socket's id, or several; each client gets one copy.
        ``callback`` is called with each client's answer. ``ignore_queue``: clients of other
        servers on the same message queue get nothing. Any thread; never blocks.

        Raises:
            TypeError: data that is no JSON.
            ValueError: a reserved event name.
            ConfigError: a message queue that this release cannot reach.
        """
        rooms = room_list(to if to is not None else room)
        skip = [skip_sid] if isinstance(skip_sid, str) else list(skip_sid or ())
        args = event_args(data)
        self.emit_args(event, args, namespace or "/", rooms, skip, callback, ignore_queue)

    def send(
        self,
        data: Any,
        to: Rooms = None,
        room: Rooms = None,
        skip_sid: str | Iterable[str] | None = None,
        namespace: str | None = None,
        callback: Callback | None = None,
        ignore_queue: bool = False,
    ) -> None:
        """Send a ``message`` event; see `emit`."""
        self.emit("message", data, to, room, skip_sid, namespace, callback, ignore_queue)

    def emit_args(
        self,
        event: str | int,
        args: Sequence[Any],
        namespace: str = "/",
        rooms: Sequence[Room] | None = None,
        skip: Sequence[str] = (),
        callback: Callback | None = None,
        ignore_queue: bool = False,
    ) -> None:
        """Send an event with these arguments; ``rooms`` None means everybody. Any thread."""
        packet = sio.Packet(sio.EVENT, namespace, [event, *args])
        body = sio.render(packet, self.codec)
        if self._member is not None and not ignore_queue:
            self._member.emit(namespace, body, rooms, skip, callback)
        if not self.engine.has_loop:
            return  # nobody has ever connected
        if callback is None:
            encoded = sio.compose(packet, body)
            self.engine.loop.run(self._emit_now, namespace, encoded, rooms, skip)
        else:
            self.engine.loop.run(self._emit_asking, namespace, body, rooms, skip, callback)

    def _emit_now(
        self, namespace: str, encoded: Any, rooms: Sequence[Room] | None, skip: Sequence[str]
    ) -> None:
        space = self._spaces.get(namespace)
        if space is not None:
            space.adapter.broadcast(encoded, rooms, skip)

    def _emit_asking(
        self,
        namespace: str,
        body: sio.Body,
        rooms: Sequence[Room] | None,
        skip: Sequence[str],
        callback: Callback,
    ) -> None:
        space = self._spaces.get(namespace)
        if space is None:
            return
        for socket in space.adapter.recipients(rooms):
            if isinstance(socket, Socket) and socket.id not in skip:
                number = socket.ask(callback)
                asked = sio.Packet(sio.EVENT, namespace, id=number)
                if not socket.deliver(sio.compose(asked, body)):
                    socket.take_ack(number)

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
        """Send an event to one client and wait for its answer.

        Returns None, the one argument of the answer, or a tuple of them. Any thread; under
        gevent other greenlets run meanwhile.

        Raises:
            TimeoutError: no answer within ``timeout`` seconds.
            DisconnectedError: the client left; at once when it does.
            NotConnectedError: no such client.
            ValueError: no client was named.
        """
        whom = to or sid
        if whom is None:
            raise ValueError("call() asks one client: name it by to= or sid=")
        args = event_args(data)
        return self.call_args(event, args, whom, namespace or "/", timeout, ignore_queue)

    def call_args(
        self,
        event: str | int,
        args: Sequence[Any],
        sid: str,
        namespace: str = "/",
        timeout: float | None = 60,
        ignore_queue: bool = False,
    ) -> Any:
        """Like `call`, with the arguments as they are sent."""
        body = sio.render(sio.Packet(sio.EVENT, namespace, [event, *args]), self.codec)
        if self._member is not None and not ignore_queue and not self.has(sid, namespace):
            return self._member.call(body, sid, namespace, timeout)
        loop = self._loop_of(sid, namespace)
        call = PendingCall(loop.waiter())
        socket, number = loop.call(self._ask, body, sid, namespace, call)
        if not call.wait(timeout):
            loop.run(socket.take_ack, number)
            raise TimeoutError(f"no answer to {event!r} within {timeout} s")
        if call.answer is None:
            raise DisconnectedError(f"the client left before it answered {event!r}")
        return answer_value(call.answer)

    def _ask(
        self, body: sio.Body, sid: str, namespace: str, call: PendingCall
    ) -> tuple[Socket, int]:
        socket = self._socket(sid, namespace)
        number = socket.ask(call)
        packet = sio.Packet(sio.EVENT, namespace, id=number)
        if not socket.deliver(sio.compose(packet, body)):
            socket.take_ack(number)
            call.fail()
        return socket, number

    # -- clients and rooms -------------------------------------------------------------

    def _loop_of(self, sid: str, namespace: str) -> Any:
        if not self.engine.has_loop:
            raise NotConnectedError(f"{sid!r} is not connected to {namespace!r}")
        return self.engine.loop

    def _socket(self, sid: str, namespace: str) -> Socket:
        """Return a socket that has not left. Owner's turn."""
        space = self._spaces.get(namespace)
        socket = None if space is None else space.find(sid)
        if socket is None:
            raise NotConnectedError(f"{sid!r} is not connected to {namespace!r}")
        return socket

    def has(self, sid: object, namespace: str = "/") -> bool:
        """Whether an id is one of this server's own clients. Any thread; never blocks."""
        space = self._spaces.get(namespace)
        return space is not None and sid in space.adapter.everyone

    def _with_socket(self, sid: str, namespace: str | None, act: Callable[[Socket], Any]) -> Any:
        name = namespace or "/"
        return self._loop_of(sid, name).call(lambda: act(self._socket(sid, name)))

    def socket(self, sid: str, namespace: str | None = None) -> Socket:
        """Return the socket of an id.

        Raises:
            NotConnectedError: no such client.
        """
        return self._with_socket(sid, namespace, lambda socket: socket)  # type: ignore[no-any-return]

    def enter_room(self, sid: str, room: Room, namespace: str | None = None) -> None:
        """Put a client into a room; the client may be another server's on the message queue.

        Raises:
            NotConnectedError: no such client.
            ValueError: the room's name is another client's id.
        """

        if self._member is not None and self._member.enter(sid, room, namespace or "/"):
            return

        def join(socket: Socket) -> None:
            if room != socket.id and room in socket.space.adapter.everyone:
                raise ValueError("a client's id is its own room: another cannot enter it")
            if socket.state in ("connecting", "connected"):
                socket.space.adapter.join(socket, room)

        self._with_socket(sid, namespace, join)

    def leave_room(self, sid: str, room: Room, namespace: str | None = None) -> None:
        """Take a client out of a room; nothing happens if it is not in it."""
        if self._member is not None and self._member.leave_room(sid, room, namespace or "/"):
            return

        def leave() -> None:
            space = self._spaces.get(namespace or "/")
            socket = None if space is None else space.find(sid)
            if space is not None and socket is not None:
                space.adapter.leave(socket, room)

        if self.engine.has_loop:
            self.engine.loop.run(leave)

    def close_room(self, room: Room, namespace: str | None = None) -> None:
        """Let everybody leave a room.

        Raises:
            ValueError: the room's name is a client's id.
        """

        def close() -> None:
            space = self._spaces.get(namespace or "/")
            if space is None:
                return
            if room in space.adapter.everyone:
                raise ValueError("a client's id is its own room: it cannot be closed")
            space.adapter.close(room)

        if self._member is not None:
            self._member.close_room(room, namespace or "/")
        if self.engine.has_loop:
            self.engine.loop.call(close)

    def rooms(self, sid: str, namespace: str | None = None) -> list[Room]:
        """Return the rooms of a client, its own id's first; [] for one who has left."""
        try:
            return self._with_socket(sid, namespace, lambda socket: socket.rooms)  # type: ignore[no-any-return]
        except NotConnectedError:
            return []

    def disconnect(
        self, sid: str, namespace: str | None = None, ignore_queue: bool = False
    ) -> None:
        """Make a client leave a namespace; its disconnect handler runs after what it sent.

        Nothing happens if it has left. Any thread; never blocks.
        """
        if self._member is not None and not ignore_queue:
            if self._member.disconnect(sid, namespace or "/"):
                return

        def act() -> None:
            space = self._spaces.get(namespace or "/")
            socket = None if space is None else space.find(sid)
            if socket is not None:
                socket.client.disconnect(socket)

        if self.engine.has_loop:
            self.engine.loop.run(act)

    def tell_disconnect(self, room: Room, namespace: str | None) -> None:
        """Let the other servers of the message queue disconnect everybody in a room."""
        if self._member is not None:
            names = {*self._spaces, *self.handlers.namespaces}
            for name in names if namespace is None else (namespace,):
                self._member.disconnect_room(room, name)

    def get_environ(self, sid: str, namespace: str | None = None) -> dict[str, Any] | None:
        """Return the WSGI environ of a client's first request; None for one who has left."""
        try:
            return self.socket(sid, namespace).environ
        except NotConnectedError:
            return None

    def transport(self, sid: str, namespace: str | None = None) -> Literal["polling", "websocket"]:
        """Return the transport a client uses now.

        Raises:
            NotConnectedError: no such client.
        """
        return self.socket(sid, namespace).transport

    def get_session(self, sid: str, namespace: str | None = None) -> dict[str, Any]:
        """Return a client's session, a dict that lives as long as it is connected.

        Raises:
            NotConnectedError: no such client.
        """
        return self.socket(sid, namespace).session

    def save_session(self, sid: str, session: dict[str, Any], namespace: str | None = None) -> None:
        """Replace a client's session.

        Raises:
            NotConnectedError: no such client.
        """
        self.socket(sid, namespace).session = session

    @contextmanager
    def session(self, sid: str, namespace: str | None = None) -> Iterator[dict[str, Any]]:
        """Give a client's session to a ``with`` block and save it at its end."""
        session = self.get_session(sid, namespace)
        try:
            yield session
        finally:
            self.save_session(sid, session, namespace)

    # -- for the layers below and beside -----------------------------------------------

    @property
    def spaces(self) -> Mapping[str, LiveNamespace]:
        """The namespaces that clients have joined so far, by name. Owner's turn."""
        return self._spaces

    @cached_property
    def eio(self) -> EngineView:
        """The engine as python-socketio's programs reach for it; see `flask_sio.compat`."""
        return import_module("flask_sio.compat").EngineView(self)  # type: ignore[no-any-return]

    @cached_property
    def manager(self) -> ManagerView:
        """Clients and rooms as python-socketio's programs reach for them."""
        return import_module("flask_sio.compat").ManagerView(self)  # type: ignore[no-any-return]

    @property
    def environ(self) -> LiveMapping[str, dict[str, Any]]:
        """The environ of each connection, as python-socketio's programs reach for it."""
        return self.eio.environs

    def space(self, name: str) -> LiveNamespace | None:
        """Return the namespace a client asks for, or None if nobody serves it. Owner's turn."""
        space = self._spaces.get(name)
        if space is None and self._serves(name):
            space = self._spaces[name] = LiveNamespace(name)
        return space

    def drop_if_empty(self, space: LiveNamespace) -> None:
        """Forget a namespace that nobody is in and only its clients' choice made. Owner's turn."""
        if (
            self.options.namespaces == "*"
            and not space.adapter.everyone
            and not self.handlers.knows(space.name)
            and self._spaces.get(space.name) is space
        ):
            del self._spaces[space.name]

    def _serves(self, name: str) -> bool:
        accepted = self.options.namespaces
        if self.handlers.knows(name) or accepted == "*":
            return True
        if name == "/" if accepted is None else name in accepted:
            return True
        if self.handlers.wait_for_any:
            self.engine.warn_once(
                "refused namespace %.200r: a handler for namespace '*' opens none by itself, "
                "namespaces='*' does (said once)",
                name,
            )
        return False

    def on_slow_handler(self, running: str, waiting: str) -> None:
        """Say once that an event waits behind another handler of its client. Owner's turn."""
        self.engine.warn_once(
            "event %r waits behind the handler of %r, which has run for over 5 s: events of one "
            "client run in order. If they may overlap, register the slow one with "
            "concurrent=True, or move the work to start_background_task() (said once)",
            waiting,
            running,
        )

    # -- tasks and the end -------------------------------------------------------------

    @property
    def async_mode(self) -> Literal["gevent", "threading"]:
        """``"gevent"`` or ``"threading"``: what runs the handlers of this process."""
        if self.engine.has_loop:
            return self.engine.loop.name
        return self.options.async_mode or ("gevent" if is_patched() else "threading")

    def use_runtime(self, name: Literal["gevent", "threading"]) -> None:
        """Say which runtime the server about to be started has, before its first request."""
        self.engine.expect(name)

    def start_background_task(self, target: Callable[..., Any], *args: Any, **kwargs: Any) -> Task:
        """Run a function beside the handlers; return something with ``join()``."""
        return self.engine.tasks().spawn(target, *args, **kwargs)

    def sleep(self, seconds: float = 0) -> None:
        """Wait and let others run meanwhile."""
        self.engine.tasks().sleep(seconds)

    def shutdown(self, timeout: float = 5.0) -> bool:
        """Close every client cleanly, take no new ones, and wait for the last to go.

        Stock clients reconnect by themselves. Returns False if some were left after
        ``timeout`` seconds. Any thread.
        """
        if self._member is not None:
            self._member.leave()
        return self.engine.shutdown(timeout)


def room_list(to: Rooms) -> list[Room] | None:
    """Return the rooms of a ``to``; None where it names none, which means everybody."""
    if to is None or to == "" or (to == 0 and to is not False):
        return None
    if isinstance(to, (list, tuple, set, frozenset)):
        return list(to) or None
    return [cast("Room", to)]


def event_args(data: Any) -> tuple[Any, ...]:
    """Return the arguments of an event for what python-socketio calls ``data``."""
    if data is None:
        return ()
    return data if isinstance(data, tuple) else (data,)
