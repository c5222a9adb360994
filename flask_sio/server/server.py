"""The Socket.IO server: what user code calls, from any thread or greenlet.

`Server` is three files: what it sends (`emitting.py`), what it knows of its clients
(`clients.py`), and here its handlers, its parts, and its beginning and end.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from flask_sio.adapters import wire
from flask_sio.adapters.adapter import Adapter
from flask_sio.adapters.cluster import ClusterAdapter
from flask_sio.adapters.memory import MemoryAdapter
from flask_sio.engine.connection import Connection
from flask_sio.engine.endpoint import Endpoint
from flask_sio.engine.server import Engine
from flask_sio.mesh.bus import MeshBus
from flask_sio.mesh.mesh import Mesh
from flask_sio.options import ServerOptions
from flask_sio.protocol import sio
from flask_sio.protocol.codec import json_of, make_codec
from flask_sio.runtime.loop import Task, is_patched
from flask_sio.server import reasons
from flask_sio.server.calling import check_decorator, event_name
from flask_sio.server.class_namespace import Namespace
from flask_sio.server.client import Client
from flask_sio.server.client3 import Client3
from flask_sio.server.emitting import Emitting
from flask_sio.server.handlers import Convention, Function, Handlers, kind_of
from flask_sio.server.home import ServerHome
from flask_sio.server.input import Lobby, lobby_size
from flask_sio.server.namespace import LiveNamespace
from flask_sio.server.operators import ServerNamespace
from flask_sio.server.outgoing import Outgoing
from flask_sio.server.parents import ParentNamespace
from flask_sio.server.patterns import MAX_CHARS, UNDECIDED, Parent, Spec, is_pattern
from flask_sio.server.plain import PlainConvention
from flask_sio.server.presence import Presence
from flask_sio.server.rates import EventRate
from flask_sio.server.registering import Registering
from flask_sio.server.room_events import RoomEvents
from flask_sio.server.slow import SlowClients
from flask_sio.server.status import Status, status
from flask_sio.server.users import Users

if TYPE_CHECKING:
    from flask_sio.compat import EngineView, LiveMapping, ManagerView

logger = logging.getLogger("flask_sio.server")

Room = Hashable
Rooms = Room | Iterable[Room] | None
F = TypeVar("F", bound=Function)


class Server(Registering, Emitting):
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
        self.handlers = Handlers(
            self.convention, bool(self.options.async_handlers), self.options.handler_timeout
        )
        self.invoke = self.convention.invoke
        self.json = json_of(self.options.json)
        """What other servers are told in, whatever clients speak."""
        self.codec = make_codec(self.options.serializer, self.json)
        self.engine = Engine(self.options, self._accept)
        opts = self.options
        self.mesh = Mesh(self.engine, opts.mesh, opts.mesh_dir, opts.path)
        """The other workers of this host."""
        self.engine.others = self.mesh
        self.engine.hooks.surround = self.convention.surround
        self._endpoint = Endpoint(self.engine)
        self.slow_handler_hook = self.on_slow_handler
        """`on_slow_handler`, bound once for all mailboxes."""
        self._spaces: dict[str, LiveNamespace] = {}
        self.lobby = Lobby(self.options.max_unconnected or lobby_size(self.engine.max_connections))
        self.server_events: dict[tuple[str, str], Function] = {}
        self.room_events = RoomEvents(self)
        self.users = Users(self)
        self.presence = Presence(self)
        self.outgoing: Outgoing | None = None
        """Tells the listeners of `on_any_outgoing`; None until there is one."""
        self.slow_clients = SlowClients(self)
        self.event_rate = _event_rate(self.options)
        """None without ``max_events_per_s``."""
        self.handlers.middleware.on_change = self._listeners_changed
        self.engine.on_fork = self._forget_clients
        self.engine.has_clients = self._has_clients
        self.engine.on_others = self._meet_others
        self.engine.on_drain = self.presence.drain
        self.engine.on_leave = self.presence.end
        self._adapter = self._first_adapter()
        if self.options.logger or self.options.engineio_logger:
            import_module("flask_sio.compat").attach_loggers(self.options)

    def _accept(self, connection: Connection) -> Client:
        return (Client if connection.revision == "4" else Client3)(self, connection)

    def _forget_clients(self) -> None:
        for name in list(self._spaces):
            self.handlers.forget(name)
        self._spaces.clear()
        self.lobby.clear()
        if self.event_rate is not None:
            self.event_rate.clear()
        self.presence.forget()
        self._adapter = self._first_adapter()

    # -- other servers -----------------------------------------------------------------

    @property
    def adapter(self) -> Adapter:
        """What reaches clients, also those of other servers. Any thread; not in a turn."""
        if not self.engine.is_ready and self.mesh.is_due:
            self._look_for_others()
        return self._adapter

    @property
    def present_adapter(self) -> Adapter:
        """The same as it is now, without looking for other servers. Any thread."""
        return self._adapter

    def _first_adapter(self) -> Adapter:
        home, queue = ServerHome(self), self.options.client_manager
        return MemoryAdapter(home) if queue is None else ClusterAdapter(home, queue)

    def _look_for_others(self) -> None:
        """Find the other workers before this one's first request: it has something to tell."""
        if self.engine.may_choose_loop:
            self.engine.make_ready(None)
        else:  # the loop would be this thread's own
            logger.warning(
                "an emit of a thread, before this worker's first request, reaches no clients of "
                "other workers"
            )

    def _meet_others(self) -> None:
        queue = self.options.client_manager
        if queue is None:
            self._adapter = ClusterAdapter(ServerHome(self), MeshBus(self.mesh))
            self.presence.joined()
        elif queue.scheme == "memory":
            self.engine.warn_once(
                "message_queue='memory://' joins the servers of one process: rooms and broadcasts "
                "end at this worker. Leave it out, workers are linked without it (said once)"
            )

    def _has_clients(self) -> bool:
        if any(space.rooms.everyone for space in self._spaces.values()):
            return True
        return self.mesh.is_due and self.presence.needs_heir

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
        namespace: Spec | None = None,
        *,
        concurrent: bool | None = None,
        add: bool = False,
        timeout: float | None = None,
    ) -> Callable[[F], F]: ...
    @overload
    def on(
        self,
        event: str | int,
        handler: F,
        namespace: Spec | None = None,
        *,
        concurrent: bool | None = None,
        add: bool = False,
        timeout: float | None = None,
    ) -> F: ...
    def on(
        self,
        event: str | int,
        handler: F | None = None,
        namespace: Spec | None = None,
        *,
        concurrent: bool | None = None,
        add: bool = False,
        timeout: float | None = None,
    ) -> F | Callable[[F], F]:
        """Register a handler, as a decorator or at once; it replaces an earlier one.

        With ``add=True`` it runs after those there are; the first one's result is the ack.
        Events of one client run in order, one at a time; ``concurrent=True`` lets this
        one run beside the others. ``timeout``: seconds after which an event's handler is
        interrupted where it waits, with `HandlerTimeoutError` for its error handlers; None is
        the option ``handler_timeout``, ``math.inf`` any time. Any thread.

        Raises:
            TypeError: the function cannot take what it will be given; a ``timeout`` for
                connect or disconnect.
            ValueError: an event of the protocol's own; a ``timeout`` that is none.
        """

        check_decorator(event, "on")

        def register(fn: F) -> F:
            handler = self.convention.with_sid(fn, event, namespace or "/")
            where = namespace or "/"
            self.handlers.add(event, handler, where, concurrent, add, source=fn, timeout=timeout)
            return fn

        return register if handler is None else register(handler)

    @overload
    def event(self, handler: F) -> F: ...
    @overload
    def event(
        self,
        *,
        namespace: Spec | None = None,
        concurrent: bool | None = None,
        add: bool = False,
        timeout: float | None = None,
    ) -> Callable[[F], F]: ...
    def event(
        self,
        handler: F | None = None,
        *,
        namespace: Spec | None = None,
        concurrent: bool | None = None,
        add: bool = False,
        timeout: float | None = None,
    ) -> F | Callable[[F], F]:
        """Register a handler for the event of its own name; with or without arguments.

        The rest as `on`.

        Raises:
            TypeError: it has no name.
        """

        def register(fn: F) -> F:
            name = event_name(fn)
            return self.on(name, fn, namespace, concurrent=concurrent, add=add, timeout=timeout)

        return register if handler is None else register(handler)

    def register_namespace(self, namespace: Namespace) -> None:
        """Let an object's ``on_...`` methods handle its namespace. Any thread.

        Raises:
            ValueError: it is no `Namespace` object.
        """
        if not isinstance(namespace, Namespace):
            raise ValueError("Not a namespace instance: pass an object, not its class")
        names = (name.removeprefix("on_") for name in dir(namespace) if name.startswith("on_"))
        for event in ("event", *names):  # a wrong method fails here, not at its first event
            self.convention.bind(namespace, event, kind_of(event))
        namespace.server = self
        self.handlers.add_class(namespace)

    # -- namespaces, and other servers ---------------------------------------------------

    @overload
    def of(self, namespace: str = "/") -> ServerNamespace: ...
    @overload
    def of(self, namespace: Spec) -> ServerNamespace | ParentNamespace: ...
    def of(self, namespace: Spec = "/") -> ServerNamespace | ParentNamespace:
        """Return a namespace, to reach its clients: ``server.of("/chat").to("room").emit(...)``.

        For a pattern of namespaces it returns a `ParentNamespace`.

        Raises:
            ValueError: no name that a namespace can have.
        """
        if not isinstance(namespace, str) or is_pattern(namespace):
            return ParentNamespace(self, namespace)
        name = namespace if namespace.startswith("/") else f"/{namespace}"
        sio.check_namespace(name)
        return ServerNamespace(self, name)

    def handle_server_event(self, namespace: str, body: sio.Body) -> list[Any]:
        """Run what was registered for another server's event; return its answer, if any."""
        event, *args = wire.unpack(body, self.json)
        fn = self.server_events.get((namespace, event))
        return [] if fn is None else [self.convention.invoke_bare(fn, tuple(args))]

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

    def _listeners_changed(self) -> None:
        """Let connections and namespaces know whether anybody listens. Any thread."""
        self.slow_clients.look()
        if self.outgoing is None and self.handlers.middleware.watches_outgoing:
            self.outgoing = Outgoing(self)
        if self.outgoing is not None and self.engine.has_loop:
            self.engine.loop.run(self._look_for_listeners)

    def _look_for_listeners(self) -> None:
        for space in self._spaces.values():
            space.outgoing = self._outgoing_of(space.name)

    def _outgoing_of(self, name: str) -> Outgoing | None:
        if self.outgoing is None:
            return None
        listeners = self.handlers.middleware.hooks("outgoing", self.handlers.key(name))
        return self.outgoing if listeners else None

    def space(self, name: str) -> LiveNamespace | None:
        """Return the namespace a client asks for, or None if nobody serves it. Owner's turn."""
        space = self._spaces.get(name)
        if space is not None:
            return space
        may_fit = bool(self.handlers.patterns) and len(name) <= MAX_CHARS
        if not (self._serves_by_name(name) or may_fit or self.options.namespaces == "*"):
            self._hint_at_any(name)
            return None
        space = self._spaces[name] = LiveNamespace(name, self._outgoing_of(name))
        space.rooms.on_change = self.room_events.watcher(name)
        if may_fit and not self._serves_by_name(name):
            space.parent = UNDECIDED
        return space

    def adopt(self, space: LiveNamespace, found: tuple[Parent, Mapping[str, Any]] | None) -> bool:
        """Let a namespace be what a pattern has found, or refuse the client. Owner's turn."""
        if found is None:
            if space.parent is UNDECIDED and self.options.namespaces == "*":
                space.parent = None
            return space.parent is None
        parent, values = found
        if space.parent is UNDECIDED:
            space.parent, space.values = parent, values
            self.handlers.adopt(space.name, parent)
            space.outgoing = self._outgoing_of(space.name)
        return space.parent is parent

    def drop_if_empty(self, space: LiveNamespace) -> None:
        """Forget a namespace that nobody is in and only its clients' choice made. Owner's turn."""
        is_invented = space.parent is not None or (
            self.options.namespaces == "*" and not self.handlers.knows(space.name)
        )
        if is_invented and not space.rooms.everyone and self._spaces.get(space.name) is space:
            del self._spaces[space.name]
            self.handlers.forget(space.name)

    def _serves_by_name(self, name: str) -> bool:
        accepted = self.options.namespaces
        if self.handlers.knows(name):
            return True
        return name == "/" if accepted is None else accepted != "*" and name in accepted

    def _hint_at_any(self, name: str) -> None:
        if self.handlers.wait_for_any:
            self.engine.warn_once(
                "refused namespace %.200r: a handler for namespace '*' opens none by itself, "
                "namespaces='*' does (said once)",
                name,
            )

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

    def status(self) -> Status:
        """Describe this worker and its links to others, for monitoring. Any thread."""
        return status(self)

    def shutdown(self, timeout: float = 5.0) -> bool:
        """Close every client cleanly, take no new ones, and wait for the last to go.

        Stock clients reconnect by themselves. Returns False if some were left after
        ``timeout`` seconds. Any thread.
        """
        if self.engine.running is not None:
            self.engine.running.call(self.presence.end)
        self._adapter.close()  # not `adapter`, which would join others first
        return self.engine.shutdown(timeout)


def _event_rate(options: ServerOptions) -> EventRate | None:
    per_s = options.max_events_per_s
    return None if per_s is None else EventRate(per_s, options.event_burst)
