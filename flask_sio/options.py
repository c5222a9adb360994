"""Every option of the server, declared once.

Names are the peers'; durations are seconds. ``ServerOptions.build`` is the only way in
from user code: after it every value can be trusted, and nobody checks again.
"""

from __future__ import annotations

import difflib
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from flask_sio.adapters.queue import MessageQueue
from flask_sio.engine.cookie import EngineCookie
from flask_sio.engine.cors import MAX_AGE_S, CorsPolicy
from flask_sio.engine.proxies import Proxies
from flask_sio.errors import ConfigError
from flask_sio.option_checks import CHECKS, COMPAT, MAX_SECONDS
from flask_sio.protocol.codec import Codec
from flask_sio.protocol.ws_deflate import DeflateOptions

CONFIG_PREFIX = "SOCKETIO_"
"""What the keys of options begin with in an application's configuration."""

_EMPTY_ORIGINS = (
    "cors_allowed_origins=[] allows no origin at all. In Flask-SocketIO it switched the check "
    "off: write cors_allowed_origins='*' for that, or None for same origin"
)


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """The options of one server; build it with ``build``."""

    path: str = "socket.io"
    """Without outer slashes; ``resource`` is another name for it."""
    transports: tuple[str, ...] = ("polling", "websocket")
    ping_interval: float = 25
    """Seconds between pings; (interval, grace) is taken as their sum."""
    ping_timeout: float = 20
    max_http_buffer_size: int = 1_000_000
    """Bytes of one POST body or WebSocket message; announced as ``maxPayload``."""
    allow_upgrades: bool = True
    allow_eio3: bool = True
    """Also serve Engine.IO 3: socket.io-client 1 and 2."""
    jsonp: bool = False
    """Let clients of Engine.IO 3 poll by script tags."""
    http_compression: bool = True
    compression_threshold: int = 1024
    """Bytes from which a poll answer is compressed."""
    per_message_deflate: DeflateOptions | Literal[False] = False
    """Compress WebSocket messages: True, or a dict of `DeflateOptions`' names."""
    cookie: str | Mapping[str, Any] | None = None
    """Name, or name and attributes, of an affinity cookie."""
    cors_allowed_origins: Any = None
    """None (same origin), ``"*"``, an origin, a regular expression, a list, a function."""
    cors_credentials: bool = True
    cors_headers: tuple[str, ...] | None = None
    """Headers that pages of other origins may send; None is whichever they ask for."""
    cors_max_age: float = MAX_AGE_S
    """Seconds that browsers may keep the answer to a preflight."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses and networks whose ``X-Forwarded-*`` headers count."""
    max_header_bytes: int = 16_384
    """Headers and query of a client's first request: they are kept as long as it is."""
    body_timeout: float = 30
    """Seconds the body of a POST may take."""
    connect_timeout: float = 45
    """Seconds a connection may stay without a namespace."""
    upgrade_timeout: float = 10
    max_attachments: int = 10
    """Binary attachments of one event."""
    attachment_timeout: float = 60
    """Seconds until the last attachment of an event must have come."""
    max_namespaces: int = 100
    """Namespaces one connection may be in."""
    max_rooms: int = 1000
    """Rooms a client may be in, in one namespace."""
    max_unanswered_acks: int = 10_000
    """Answers a client may owe; beyond it the oldest is given up."""
    max_outbound_bytes: int = 8 * 2**20
    """Bytes waiting for one client before ``slow_client`` decides."""
    max_outbound_packets: int = 4096
    high_water_bytes: int | None = None
    """Bytes waiting for one client that ``on_high_water`` tells of; None is a quarter."""
    slow_client: Literal["close", "drop"] = "close"
    """Over the bound: close the connection, or drop the new packet."""
    max_mailbox_events: int = 1000
    """Events of one client that wait for their handler."""
    max_mailbox_bytes: int = 8 * 2**20
    mailbox_overflow: Literal["close", "error_ack", "drop"] = "close"
    max_events_per_s: float | None = None
    """Events of one client; acks do not count."""
    event_burst: int | None = None
    """How many of them may come at once; None is those of two seconds."""
    rate_overflow: Literal["error_ack", "drop", "close"] = "error_ack"
    max_handlers: int | None = None
    """Handlers running at a time in one process; None is 10,000 with gevent, 256 threads."""
    switch_interval: float | None = None
    """Seconds after which a thread must let others run Python, of the whole process."""
    fresh_greenlets: bool = False
    """Run every handler in a new greenlet."""
    max_connections: int | None = None
    """None is the limit of open files less a reserve."""
    max_connections_per_address: int | None = None
    """Connections of one IPv4 address or IPv6 network of 64 bits; None is any number."""
    max_unconnected: int | None = None
    """Connections without a namespace; beyond it the oldest is closed. None: a quarter."""
    async_handlers: bool | None = None
    """True runs the events of one client at the same time, bounded."""
    async_mode: Literal["gevent", "threading"] | None = None
    disconnect_wait: float = 1.0
    """Seconds a disconnect handler waits for a running one of the same client."""
    presence_grace: float = 5.0
    """Seconds a user may be away before ``on_presence("offline")`` tells of it; 0 is at once."""
    namespaces: tuple[str, ...] | Literal["*"] | None = None
    """Namespaces accepted without a handler."""
    always_connect: bool = False
    error_acks: bool = False
    """Answer a failed event that asks for an ack with ``{"error": text}``; else not at all."""
    handler_timeout: float | None = None
    """Seconds an event's handler may take that says nothing else; None is any time."""
    json: Any = None
    """An object with ``dumps`` and ``loads`` instead of our JSON codec."""
    serve_client: bool = True
    client_dir: str | None = None
    """Where the browser bundles lie."""
    allow_request: Callable[[dict[str, Any]], Any] | None = None
    """Asked with the environ of each handshake whether the client may come."""
    generate_id: Callable[..., str] | None = None
    """Gives the random part of new ids."""
    host_tag: str | None = None
    """The 2 characters that ids of this host begin with; a load balancer may route by them."""
    client_manager: MessageQueue | None = None
    """The message queue that joins this server with others."""
    health: bool = False
    """Answer health checks, at ``health`` below the path."""
    mesh: bool | None = None
    """Whether the workers of this host are linked; None: where gunicorn runs several."""
    mesh_dir: str | None = None
    """Where they find each other; servers that share it and their path are one group."""
    serializer: Literal["default", "msgpack"] | Codec = "default"
    """What packets are written in: JSON, MessagePack, or a codec of your own."""
    logger: Any = False
    """True writes what the server logs to stderr from INFO on; or a logger that gets it."""
    engineio_logger: Any = False
    """The same for connections."""

    proxies: Proxies = field(init=False, repr=False, compare=False)
    cors: CorsPolicy = field(init=False, repr=False, compare=False)
    engine_cookie: EngineCookie = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        proxies = Proxies(self.trusted_proxies)
        cors = CorsPolicy(
            self.cors_allowed_origins,
            self.cors_credentials,
            proxies,
            self.cors_headers,
            self.cors_max_age,
        )
        object.__setattr__(self, "proxies", proxies)
        object.__setattr__(self, "cors", cors)
        object.__setattr__(self, "engine_cookie", EngineCookie(self.cookie))

    @property
    def ping_interval_s(self) -> float:
        """Seconds between pings."""
        return self.ping_interval

    @property
    def high_water(self) -> int:
        """Bytes waiting for one client from which it is slow."""
        return self.high_water_bytes or max(1, self.max_outbound_bytes // 4)

    @property
    def ping_timeout_s(self) -> float:
        """Seconds a pong may take."""
        return self.ping_timeout

    @classmethod
    def build(cls, kwargs: Mapping[str, Any], also: Iterable[str] = ()) -> ServerOptions:
        """Check keyword arguments and give the options.

        ``also`` names what the caller takes itself, for the hint about a mistyped name.
        Warns (UserWarning) about peers' options that mean nothing here.

        Raises:
            TypeError: an unknown name; the text has the nearest known one.
            ConfigError: a value that cannot work; the text has name, value and what can.
        """
        values: dict[str, Any] = {}
        for name, value in _without_alias(kwargs).items():
            if name in CHECKS:
                values[name] = _checked(name, value)
            elif name in COMPAT:
                _warn_compat(name, value)
            else:
                raise _unknown(name, also)
        options = cls(**values)
        if options.ping_interval + options.ping_timeout > MAX_SECONDS:
            raise ConfigError(
                f"ping_interval={options.ping_interval!r}, ping_timeout="
                f"{options.ping_timeout!r}: accepted is a sum up to {MAX_SECONDS}"
            )
        if options.json is not None and options.serializer != "default":
            raise ConfigError(
                f"json={options.json!r}, serializer={options.serializer!r}: accepted is one of them"
            )
        if options.jsonp and not options.allow_eio3:
            raise ConfigError(
                "jsonp=True, allow_eio3=False: only clients of Engine.IO 3 have JSONP"
            )
        if options.high_water > options.max_outbound_bytes:
            raise ConfigError(
                f"high_water_bytes={options.high_water_bytes!r}: accepted is a number up to "
                f"max_outbound_bytes={options.max_outbound_bytes!r}"
            )
        if options.event_burst is not None and options.max_events_per_s is None:
            raise ConfigError("event_burst is of no use without max_events_per_s")
        if _is_empty(options.cors_allowed_origins):
            _warn(_EMPTY_ORIGINS)
        return options


def _checked(name: str, value: Any) -> Any:
    accepted, convert = CHECKS[name]
    try:
        return convert(value)
    except ConfigError:
        raise
    except (ValueError, TypeError) as exc:
        raise ConfigError(f"{name}={value!r}: accepted is {accepted}") from exc


def _without_alias(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    values = dict(kwargs)
    path, resource = values.pop("path", None), values.pop("resource", None)
    if path is not None and resource is not None and path != resource:
        raise ConfigError(f"path={path!r}, resource={resource!r}: accepted is one of them")
    if path is not None or resource is not None:
        values["path"] = resource if path is None else path
    return values


def from_config(
    config: Mapping[str, Any], given: Iterable[str], also: Iterable[str] = ()
) -> dict[str, Any]:
    """Return the options that a configuration holds as ``SOCKETIO_...``, but for those ``given``.

    A key that resembles no option may be the program's own: it is warned about.

    Raises:
        TypeError: a mistyped option; the text has the nearest known one.
    """
    known, without = {*CHECKS, *COMPAT, *also, "resource"}, set(given)
    if without & {"path", "resource"}:
        without |= {"path", "resource"}
    values = {
        key.removeprefix(CONFIG_PREFIX).lower(): value
        for key, value in config.items()
        if key.startswith(CONFIG_PREFIX)
    }
    for name in values:
        if name in known:
            continue
        error = _unknown(name, also, lambda name: CONFIG_PREFIX + name.upper())
        if _nearest(name, also) is not None:
            raise error
        _warn(f"{error}: keys that begin with {CONFIG_PREFIX} are options of flask_sio")
    return {name: value for name, value in values.items() if name in known - without}


def check_names(names: Iterable[str], also: Iterable[str] = ()) -> None:
    """Refuse options that nobody knows, whatever their values.

    Raises:
        TypeError: an unknown name; the text has the nearest known one.
    """
    for name in names:
        if name not in {*CHECKS, *COMPAT, *also, "resource"}:
            raise _unknown(name, also)


def _nearest(name: str, also: Iterable[str]) -> str | None:
    known = sorted({*CHECKS, *COMPAT, *also, "resource"})
    # camelCase is Node's spelling of the same names
    snake = "".join(f"_{char.lower()}" if char.isupper() else char for char in str(name))
    return next(iter(difflib.get_close_matches(snake, known, n=1)), None)


def _unknown(name: str, also: Iterable[str], spelled: Callable[[str], str] = str) -> TypeError:
    near = _nearest(name, also)
    hint = f"; did you mean {spelled(near)!r}?" if near else ""
    return TypeError(f"unknown option {spelled(name)!r}{hint}")


def _warn_compat(name: str, value: Any) -> None:
    harmless, text = COMPAT[name]
    if not any(value is known or value == known for known in harmless):
        _warn(f"{name}={value!r}: {text}")


def _warn(text: str) -> None:
    """Warn about the program's line, however many of ours have led here."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("flask_sio."):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, UserWarning, stacklevel=level)


def _is_empty(origins: Any) -> bool:
    return isinstance(origins, (list, tuple, set, frozenset)) and not origins
