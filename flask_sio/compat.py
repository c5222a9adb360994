"""What programs written for Flask-SocketIO reach for behind its documented API.

``socketio.server.eio``, ``.manager`` and ``.environ`` are live views of this server: each
access reads what is true then, and what changes something goes through `Server`. Nothing
else in the package uses this file. Any thread; a view waits for a turn of the loop.

python-socketio calls a connection's secret its ``eio_sid`` and hands it out here. Whoever
has that secret *is* the client, so these views hand out another value: as opaque, the same
as long as the connection lives, and no way back to the secret. Where such a value is taken
(``environ[...]``, ``eio.sockets[...]``, ``eio.disconnect``), the secret itself and the id
of any of the client's sockets are taken too.

``logger=True`` and ``engineio_logger=True`` add a handler here, and only here. The loggers
``flask_sio.*`` belong to the process, so two servers that ask for different ones share both.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from flask_sio import ids
from flask_sio.option_checks import CHECKS
from flask_sio.options import ServerOptions
from flask_sio.server.client import Client
from flask_sio.server.socket import Socket

if TYPE_CHECKING:
    from flask_sio.adapters.answers import Callback
    from flask_sio.engine.connection import Connection
    from flask_sio.server.server import Server

__all__ = ["ConnectionView", "EngineView", "LiveMapping", "ManagerView", "attach_loggers"]

Room = Hashable
K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")

_KEY = secrets.token_bytes(16)


class LiveMapping(Mapping[K, V]):
    """A mapping whose keys and values are read at each access."""

    __slots__ = ("_find", "_keys")

    def __init__(self, keys: Callable[[], list[K]], find: Callable[[Any], V | None]) -> None:
        self._keys = keys
        self._find = find

    def __getitem__(self, key: Any) -> V:
        value = self._find(key)
        if value is None:
            raise KeyError(key)
        return value

    def __iter__(self) -> Iterator[K]:
        return iter(self._keys())

    def __len__(self) -> int:
        return len(self._keys())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._keys()!r}>"


class ConnectionView:
    """One connection as ``eio.sockets`` gives it."""

    __slots__ = ("_connection", "sid")

    def __init__(self, connection: Connection, sid: str) -> None:
        self._connection = connection
        self.sid = sid
        """The opaque value, not the secret."""

    @property
    def connected(self) -> bool:
        return self._connection.state == "open"

    @property
    def closing(self) -> bool:
        return self._connection.state == "closing"

    @property
    def closed(self) -> bool:
        return self._connection.state == "closed"

    @property
    def upgrading(self) -> bool:
        return self._connection.probe is not None

    @property
    def upgraded(self) -> bool:
        return self._connection.websocket is not None

    def close(self, wait: bool = True, abort: bool = False, reason: str | None = None) -> None:
        """Close the connection; the arguments are python-engineio's and change nothing."""
        if not self.closed:
            self._connection.engine.loop.run(self._connection.close)


class EngineView:
    """``socketio.server.eio``: the options of the engine, and its connections.

    Options are read here and set at construction only.
    """

    __slots__ = ("_secrets", "_server", "environs", "sockets")

    def __init__(self, server: Server) -> None:
        self._server = server
        self._secrets: dict[str, str] = {}
        self.sockets: LiveMapping[str, ConnectionView] = LiveMapping(self._keys, self._socket)
        self.environs: LiveMapping[str, dict[str, Any]] = LiveMapping(self._keys, self._environ)

    def __getattr__(self, name: str) -> Any:
        if name in CHECKS:
            return getattr(self._server.options, name)
        raise AttributeError(f"the engine has no {name!r} here")

    @property
    def async_mode(self) -> str:
        """``"gevent"`` or ``"threading"``."""
        return self._server.async_mode

    def disconnect(self, sid: str | None = None) -> None:
        """Close a connection, or without an id all of them. Never blocks."""
        engine = self._server.engine

        def close() -> None:
            found = engine.connections.values() if sid is None else [self.find(sid)]
            for connection in [each for each in found if each is not None]:
                connection.close()

        if engine.has_loop:
            engine.loop.run(close)

    def transport(self, sid: str) -> str:
        """Return the transport of a connection.

        Raises:
            KeyError: no such connection.
        """
        return "websocket" if self.sockets[sid].upgraded else "polling"

    def generate_id(self) -> str:
        """Return a new id, as connections get."""
        options = self._server.options
        return ids.new_id(options.generate_id, options.host_tag)

    # -- names of connections ----------------------------------------------------------

    def key(self, connection: Connection) -> str:
        """Return the value that stands for a connection's secret. Owner's turn."""
        digest = hashlib.blake2b(connection.sid.encode(), key=_KEY, digest_size=15).digest()
        key = urlsafe_b64encode(digest).decode("ascii")
        self._secrets[key] = connection.sid
        connections = self._server.engine.connections
        if len(self._secrets) > 2 * len(connections) + 100:  # forget those that have ended
            known = self._secrets
            self._secrets = {key: sid for key, sid in known.items() if sid in connections}
        return key

    def find(self, key: Any) -> Connection | None:
        """Return the connection of an opaque value, a secret or a socket's id. Owner's turn."""
        connections = self._server.engine.connections
        connection = connections.get(self._secrets.get(key, key))
        if connection is None:
            for space in self._server.spaces.values():
                socket = space.find(key)
                if socket is not None:
                    return socket.client.connection
        return connection

    def _keys(self) -> list[str]:
        connections = self._server.engine.connections
        return _read(self._server, lambda: [self.key(each) for each in connections.values()], [])

    def _socket(self, key: Any) -> ConnectionView | None:
        def look() -> ConnectionView | None:
            connection = self.find(key)
            return None if connection is None else ConnectionView(connection, self.key(connection))

        return _read(self._server, look, None)

    def _environ(self, key: Any) -> dict[str, Any] | None:
        connection = _read(self._server, lambda: self.find(key), None)
        if connection is None:
            return None
        # Flask-SocketIO has "saved_session" in it from the first event on.
        keep_session = getattr(self._server.convention, "keep_session", None)
        client = connection.handler
        if keep_session is not None and isinstance(client, Client):
            for socket in list(client.sockets.values())[:1]:
                keep_session(socket)
        return connection.environ


class ManagerView:
    """``socketio.server.manager``: who is in which room, of this server's own clients.

    The order of the parameters is that of python-socketio's manager.
    """

    __slots__ = ("_server", "rooms")

    def __init__(self, server: Server) -> None:
        self._server = server
        self.rooms: LiveMapping[str, LiveMapping[Room, LiveMapping[str, str]]] = LiveMapping(
            lambda: list(self.get_namespaces()), self._space
        )
        """``rooms[namespace][room][sid]``; the room None has everybody in it."""

    def get_namespaces(self) -> Iterable[str]:
        """Return the names of the namespaces that somebody is in."""
        spaces = self._server.spaces
        return _read(self._server, lambda: [n for n, s in spaces.items() if s.rooms.everyone], [])

    def get_participants(self, namespace: str, room: Any) -> Iterator[tuple[str, str]]:
        """Give ``(sid, value)`` of who is in a room, in any of several, or with None of all.

        ``value`` stands for the connection: it is opaque, and not its secret.
        """
        if isinstance(room, (list, tuple, set, frozenset)):
            return iter(self._participants(namespace, list(room)))
        return iter(self._participants(namespace, None if room is None else [room]))

    def is_connected(self, sid: str, namespace: str) -> bool:
        """Whether a client has been accepted and has not begun to leave."""

        def look() -> bool:
            space = self._server.spaces.get(namespace)
            socket = None if space is None else space.find(sid)
            return socket is not None and socket.connected

        return _read(self._server, look, False)

    can_disconnect = is_connected

    def get_rooms(self, sid: str, namespace: str) -> list[Room]:
        """Return the rooms of a client, its own first."""
        return self._server.rooms(sid, namespace)

    def eio_sid_from_sid(self, sid: str, namespace: str) -> str | None:
        """Return what stands for a client's connection; the same in every namespace."""
        return self._value(namespace, None, sid)

    def sid_from_eio_sid(self, eio_sid: str, namespace: str) -> str | None:
        """Return the id that a connection's client has in a namespace."""

        def look() -> str | None:
            connection = self._server.eio.find(eio_sid)
            client = None if connection is None else connection.handler
            socket = client.sockets.get(namespace) if isinstance(client, Client) else None
            return None if socket is None else socket.id

        return _read(self._server, look, None)

    def emit(
        self,
        event: str,
        data: Any,
        namespace: str,
        room: Any = None,
        skip_sid: str | Iterable[str] | None = None,
        callback: Callback | None = None,
        to: Any = None,
        **kwargs: Any,
    ) -> None:
        """Send an event; see `Server.emit`."""
        self._server.emit(event, data, to, room, skip_sid, namespace, callback, **kwargs)

    def enter_room(self, sid: str, namespace: str, room: Room, eio_sid: str | None = None) -> None:
        """Put a client into a room; see `Server.enter_room`."""
        self._server.enter_room(sid, room, namespace)

    def leave_room(self, sid: str, namespace: str, room: Room) -> None:
        """Take a client out of a room."""
        self._server.leave_room(sid, room, namespace)

    def close_room(self, room: Room, namespace: str | None = None) -> None:
        """Take everybody out of a room."""
        self._server.close_room(room, namespace)

    def disconnect(self, sid: str, namespace: str | None = None, **kwargs: Any) -> None:
        """Disconnect a client; see `Server.disconnect`."""
        self._server.disconnect(sid, namespace, **kwargs)

    # -- reading -----------------------------------------------------------------------

    def _participants(self, namespace: str, rooms: list[Room] | None) -> list[tuple[str, str]]:
        def look() -> list[tuple[str, str]]:
            space = self._server.spaces.get(namespace)
            found = () if space is None else space.rooms.select(rooms)
            key = self._server.eio.key
            sockets = [each for each in found if isinstance(each, Socket)]
            return [(each.id, key(each.client.connection)) for each in sockets]

        return _read(self._server, look, [])

    def _space(self, namespace: Any) -> LiveMapping[Room, LiveMapping[str, str]] | None:
        if namespace not in self.get_namespaces():
            return None

        def names() -> list[Room]:
            table = self._server.spaces[namespace].rooms
            return [None, *table.everyone, *table.sizes()] if table.everyone else []

        return LiveMapping(
            lambda: _read(self._server, names, []), lambda room: self._room(namespace, room)
        )

    def _room(self, namespace: str, room: Room) -> LiveMapping[str, str] | None:
        rooms = None if room is None else [room]

        def sids() -> list[str]:
            return [sid for sid, _ in self._participants(namespace, rooms)]

        if not sids():
            return None
        return LiveMapping(sids, lambda sid: self._value(namespace, room, sid))

    def _value(self, namespace: str, room: Room, sid: Any) -> str | None:
        """Return what stands for the connection of a client, if it is in the room."""

        def look() -> str | None:
            space = self._server.spaces.get(namespace)
            socket = None if space is None else space.find(sid)
            if socket is None or not (room is None or room in socket.rooms):
                return None
            return self._server.eio.key(socket.client.connection)

        return _read(self._server, look, None)


def _read(server: Server, fn: Callable[[], T], otherwise: T) -> T:
    """Return what ``fn`` finds in a turn; ``otherwise`` where no client has ever come."""
    return server.engine.loop.call(fn) if server.engine.has_loop else otherwise


# -- logging -----------------------------------------------------------------------------


class _ToStderr(logging.StreamHandler):  # type: ignore[type-arg] # no subscript before 3.11
    """What ``logger=True`` adds: lines on stderr."""


class _ToLogger(logging.Handler):
    """Hands records to a program's own logger, which decides about its level."""

    def __init__(self, target: Any) -> None:
        super().__init__()
        self.target = target

    def emit(self, record: logging.LogRecord) -> None:
        target = self.target
        if not isinstance(target, logging.Logger):
            target.log(record.levelno, record.getMessage(), exc_info=record.exc_info)
        elif target.isEnabledFor(record.levelno):
            target.handle(record)


_LOGGERS = {
    "logger": ("flask_sio.server", "flask_sio.flask"),
    "engineio_logger": ("flask_sio.engine", "flask_sio.runtime", "flask_sio.mesh"),
}


def attach_loggers(options: ServerOptions) -> None:
    """Do what ``logger`` and ``engineio_logger`` ask for. Twice adds nothing."""
    for option, names in _LOGGERS.items():
        wanted = getattr(options, option)
        for source in map(logging.getLogger, names if wanted else ()):
            if wanted is True:
                _attach(source, logging.INFO, _ToStderr())
            else:
                _attach_logger(source, getattr(wanted, "logger", wanted))  # of a LoggerAdapter


def _attach_logger(source: logging.Logger, target: Any) -> None:
    level = logging.INFO
    if isinstance(target, logging.Logger):
        if target is logging.root or f"{source.name}.".startswith(f"{target.name}."):
            return  # records go there by themselves
        level = target.getEffectiveLevel()
    _attach(source, level, _ToLogger(target))
    source.propagate = False  # or the root would write what the target hands on twice


def _attach(source: logging.Logger, level: int, handler: Any) -> None:
    known = [(type(each), getattr(each, "target", None)) for each in source.handlers]
    if (type(handler), getattr(handler, "target", None)) in known:
        return
    if source.level == logging.NOTSET or source.level > level:
        source.setLevel(level)
    source.addHandler(handler)
