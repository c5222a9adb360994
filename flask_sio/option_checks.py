"""What each option accepts, as a table; `options.py` has what they mean, and their defaults."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from flask_sio import ids
from flask_sio.adapters.queue import MessageQueue
from flask_sio.coroutines import is_async
from flask_sio.engine.cookie import EngineCookie
from flask_sio.engine.cors import CorsPolicy, is_header_name
from flask_sio.engine.proxies import Proxies
from flask_sio.protocol.ws_deflate import DeflateOptions

__all__ = ["CHECKS", "COMPAT", "MAX_SECONDS", "Check", "Compat"]

# Browsers hold a timer's delay in 31 bits of milliseconds; a longer one fires at once.
MAX_SECONDS = 2_147_483
_MIN_SECONDS = 0.001  # one millisecond on the wire


class Check(NamedTuple):
    """``convert`` gives the value to keep, or raises ValueError or TypeError."""

    accepted: str
    convert: Callable[[Any], Any]


def _need(holds: bool) -> None:
    if not holds:
        raise ValueError


def _path(value: Any) -> str:
    _need(isinstance(value, str))
    path: str = value.removeprefix("/").removesuffix("/")
    _need(bool(path) and path.isprintable() and not set(path) & set(" ?#%\\"))
    _need(not path.startswith("/") and not path.endswith("/"))
    return path


def _transports(value: Any) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else tuple(dict.fromkeys(value))
    _need(bool(names) and set(names) <= {"polling", "websocket"})
    return names


def _real(value: Any) -> float:
    """Keep an int an int: 25 must be announced as 25000."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError
    _need(isinstance(value, int) or math.isfinite(value))
    return value


def _seconds(value: Any) -> float:
    number = _real(value)
    _need(_MIN_SECONDS <= number <= MAX_SECONDS)
    return number


def _switch_interval(value: Any) -> float:
    number = _real(value)
    _need(0.00001 <= number <= 1)
    return number


def _rate(value: Any) -> float:
    number = _real(value)
    _need(0.001 <= number <= 1_000_000)
    return number


def _seconds_or_zero(value: Any) -> float:
    return 0 if _real(value) == 0 else _seconds(value)


def _interval(value: Any) -> float:
    if not isinstance(value, (tuple, list)):
        return _seconds(value)
    interval, grace = value
    return _seconds(_real(interval) + _seconds_or_zero(grace))


def _count(least: int) -> Callable[[Any], int]:
    def convert(value: Any) -> int:
        number = _real(value)
        _need(number >= least and number == int(number))  # peers write 1e6
        return int(number)

    return convert


def _or_none(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else convert(value)


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):  # "False" from an environment variable is true
        raise TypeError
    return value


def _word(*words: str) -> Check:
    def convert(value: Any) -> str:
        _need(isinstance(value, str) and value in words)
        return str(value)

    return Check(" or ".join(map(repr, words)), convert)


def _origins(value: Any) -> Any:
    CorsPolicy(value)  # raises ConfigError
    return value


def _header_names(value: Any) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else tuple(value)
    _need(all(isinstance(name, str) and is_header_name(name) for name in names))
    return names


def _proxies(value: Any) -> tuple[str, ...]:
    proxies = (value,) if isinstance(value, str) else tuple(value)
    Proxies(proxies)
    return proxies


def _cookie(value: Any) -> Any:
    EngineCookie(value)
    return value


def _namespaces(value: Any) -> Any:
    if value is None or value == "*":
        return value
    _need(not isinstance(value, (str, bytes)))
    names = tuple(dict.fromkeys(value))
    if "*" in names:
        return "*"
    for name in names:
        _need(isinstance(name, str) and name.startswith("/"))
        _need(name.isprintable() and "," not in name)
    return names


def _module(value: Any) -> Any:
    _need(callable(getattr(value, "dumps", None)) and callable(getattr(value, "loads", None)))
    return value


_DEFLATE_RANGES = {
    "threshold": (0, sys.maxsize),
    "level": (1, 9),
    "window_bits": (9, 15),
    "mem_level": (1, 9),
}


def _deflate(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return DeflateOptions() if value else False
    given = value._asdict() if isinstance(value, DeflateOptions) else dict(value)
    _need(set(given) <= set(_DEFLATE_RANGES))
    for name, number in given.items():
        least, most = _DEFLATE_RANGES[name]
        given[name] = _count(least)(number)
        _need(given[name] <= most)
    return DeflateOptions(**given)


def _serializer(value: Any) -> Any:
    if value is None or isinstance(value, str):
        return _word("default", "msgpack").convert("default" if value is None else value)
    codec = value() if isinstance(value, type) else value
    _need(all(callable(getattr(codec, name, None)) for name in ("render", "compose", "decoder")))
    return codec


def _directory(value: Any) -> str:
    path = os.fspath(value)
    _need(isinstance(path, str) and bool(path))
    return str(path)


def _logger(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return bool(value)
    _need(callable(getattr(value, "log", None)))
    return value


def _host_tag(value: Any) -> str:
    _need(isinstance(value, str) and ids.HOST_TAG.fullmatch(value) is not None)
    return str(value)


def _queue(value: Any) -> Any:
    _need(value is None or isinstance(value, MessageQueue))
    return value


def _function(value: Any) -> Any:
    _need(callable(value) and not is_async(value))  # a coroutine is true: it would let all in
    return value


_SECONDS = Check(f"seconds, a number from 0.001 to {MAX_SECONDS}", _seconds)
_BOOL = Check("True or False", _bool)
_AT_LEAST_1 = Check("a whole number from 1", _count(1))
_AT_LEAST_0 = Check("a whole number from 0", _count(0))
_LOGGER = Check("True, False or a logger", _logger)
_1_OR_NONE = Check("None or a whole number from 1", _or_none(_count(1)))

CHECKS: dict[str, Check] = {
    "path": Check("a path such as 'socket.io'", _path),
    "transports": Check("'polling', 'websocket' or a list of these", _transports),
    "ping_interval": Check(f"{_SECONDS.accepted}, or (interval, grace)", _interval),
    "ping_timeout": _SECONDS,
    "max_http_buffer_size": _AT_LEAST_1,
    "allow_upgrades": _BOOL,
    "allow_eio3": _BOOL,
    "jsonp": _BOOL,
    "http_compression": _BOOL,
    "compression_threshold": _AT_LEAST_0,
    "per_message_deflate": Check(
        "False, True or a dict of threshold (from 0), level (1 to 9), window_bits (9 to 15) and "
        "mem_level (1 to 9)",
        _deflate,
    ),
    "cookie": Check("None, a name or a dict", _cookie),
    "cors_allowed_origins": Check("an origin", _origins),
    "cors_credentials": _BOOL,
    "cors_headers": Check("None, or a list of header names", _or_none(_header_names)),
    "cors_max_age": Check(f"0 or {_SECONDS.accepted}", _seconds_or_zero),
    "trusted_proxies": Check("a list of addresses and networks", _proxies),
    "max_header_bytes": _AT_LEAST_1,
    "body_timeout": _SECONDS,
    "connect_timeout": _SECONDS,
    "upgrade_timeout": _SECONDS,
    "max_attachments": _AT_LEAST_0,
    "attachment_timeout": _SECONDS,
    "max_namespaces": _AT_LEAST_1,
    "max_rooms": _AT_LEAST_0,
    "max_unanswered_acks": _AT_LEAST_1,
    "max_outbound_bytes": _AT_LEAST_1,
    "max_outbound_packets": _AT_LEAST_1,
    "high_water_bytes": _1_OR_NONE,
    "slow_client": _word("close", "drop"),
    "max_mailbox_events": _AT_LEAST_1,
    "max_mailbox_bytes": _AT_LEAST_1,
    "mailbox_overflow": _word("close", "error_ack", "drop"),
    "max_events_per_s": Check("None or a number from 0.001 to 1000000", _or_none(_rate)),
    "event_burst": _1_OR_NONE,
    "rate_overflow": _word("error_ack", "drop", "close"),
    "max_handlers": _1_OR_NONE,
    "switch_interval": Check("None or seconds from 0.00001 to 1", _or_none(_switch_interval)),
    "fresh_greenlets": _BOOL,
    "max_connections": _1_OR_NONE,
    "max_connections_per_address": _1_OR_NONE,
    "max_unconnected": _1_OR_NONE,
    "async_handlers": Check("None, True or False", _or_none(_bool)),
    "async_mode": Check(
        "None, 'gevent' or 'threading'", _or_none(_word("gevent", "threading").convert)
    ),
    "disconnect_wait": Check(f"0 or {_SECONDS.accepted}", _seconds_or_zero),
    "presence_grace": Check(f"0 or {_SECONDS.accepted}", _seconds_or_zero),
    "namespaces": Check("None, '*' or a list of names that begin with '/'", _namespaces),
    "always_connect": _BOOL,
    "error_acks": _BOOL,
    "handler_timeout": Check(f"None or {_SECONDS.accepted}", _or_none(_seconds)),
    "json": Check("None or an object with dumps and loads", _or_none(_module)),
    "serve_client": _BOOL,
    "client_dir": Check("None or a directory's path", _or_none(_directory)),
    "allow_request": Check("None or a function, not async", _or_none(_function)),
    "generate_id": Check("None or a function, not async", _or_none(_function)),
    "host_tag": Check("None or 2 characters of [A-Za-z0-9_-]", _or_none(_host_tag)),
    "client_manager": Check("None or a flask_sio.MessageQueue", _queue),
    "health": _BOOL,
    "mesh": Check("None, True or False", _or_none(_bool)),
    "mesh_dir": Check("None or a directory's path", _or_none(_directory)),
    "serializer": Check(
        "'default', 'msgpack', or an object or class with render(packet), "
        "compose(packet, body) and decoder(max_attachments, max_bytes); "
        "see flask_sio.protocol.codec.Codec",
        _serializer,
    ),
    "logger": _LOGGER,
    "engineio_logger": _LOGGER,
}
"""Option -> what it accepts. A test holds it equal to the fields of ``ServerOptions``."""


class Compat(NamedTuple):
    """``harmless`` values pass silently; another one warns with ``text``."""

    harmless: tuple[Any, ...]
    text: str


COMPAT: dict[str, Compat] = {
    "monitor_clients": Compat((None, True), "has no effect; idle clients are always closed"),
    "cleanup_empty_child_namespaces": Compat(
        (None, True), "has no effect; namespaces of a pattern always end with their last client"
    ),
    "add_trailing_slash": Compat((None, True, False), ""),
}
"""Options of peers that have no meaning here."""
