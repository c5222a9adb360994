"""The options of the server."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import warnings
from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_sio.adapters.queue import MessageQueue
from flask_sio.errors import ConfigError
from flask_sio.option_checks import CHECKS, COMPAT
from flask_sio.options import ServerOptions
from flask_sio.protocol.ws_deflate import DeflateOptions

DEFAULTS = {
    "path": "socket.io",
    "transports": ("polling", "websocket"),
    "ping_interval": 25,
    "ping_timeout": 20,
    "max_http_buffer_size": 1_000_000,
    "allow_upgrades": True,
    "allow_eio3": True,
    "jsonp": False,
    "http_compression": True,
    "compression_threshold": 1024,
    "per_message_deflate": False,
    "cookie": None,
    "cors_allowed_origins": None,
    "cors_credentials": True,
    "cors_headers": None,
    "cors_max_age": 600,
    "trusted_proxies": (),
    "connect_timeout": 45,
    "upgrade_timeout": 10,
    "max_attachments": 10,
    "max_outbound_bytes": 8388608,
    "max_outbound_packets": 4096,
    "slow_client": "close",
    "max_mailbox_events": 1000,
    "max_mailbox_bytes": 8388608,
    "mailbox_overflow": "close",
    "max_handlers": None,
    "fresh_greenlets": False,
    "max_connections": None,
    "async_handlers": None,
    "async_mode": None,
    "disconnect_wait": 1.0,
    "handler_timeout": None,
    "presence_grace": 5.0,
    "namespaces": None,
    "always_connect": False,
    "json": None,
    "serve_client": True,
    "client_dir": None,
    "generate_id": None,
    "host_tag": None,
    "client_manager": None,
    "health": False,
    "mesh": None,
    "mesh_dir": None,
    "serializer": "default",
    "logger": False,
    "engineio_logger": False,
}


@pytest.fixture(autouse=True)
def strict() -> Any:
    """Turn warnings nobody asked for into failures."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_defaults() -> None:
    """Without an option every value is the documented one, and passes its own check."""
    options = ServerOptions.build({})
    assert {name: getattr(options, name) for name in DEFAULTS} == DEFAULTS
    assert ServerOptions.build(DEFAULTS) == options


def test_every_option_has_a_check() -> None:
    """The table of checks and the fields name the same options."""
    assert set(CHECKS) == {field.name for field in fields(ServerOptions) if field.init}
    assert not set(CHECKS) & set(COMPAT)


def test_options_are_frozen() -> None:
    """Nobody changes an option of a running server by accident."""
    with pytest.raises(FrozenInstanceError):
        ServerOptions().path = "x"  # type: ignore[misc]


def function(*args: Any) -> str:
    """Stand for a user's function."""
    return "x"


PATTERN = re.compile("https://a")
QUEUE = MessageQueue("redis://")
LOG = logging.getLogger("tests.options")


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("path", "/socket.io/", "socket.io"),
        ("path", "a/b", "a/b"),
        ("path", None, "socket.io"),
        ("resource", "/ws", "ws"),
        ("resource", "ws/", "ws"),
        ("transports", "websocket", ("websocket",)),
        ("transports", ["websocket", "polling"], ("websocket", "polling")),
        ("transports", ["polling", "polling"], ("polling",)),
        ("ping_interval", 0.3, 0.3),
        ("ping_interval", (25, 5), 30),
        ("ping_interval", [0.5, 0], 0.5),
        ("ping_timeout", 0.001, 0.001),
        ("max_http_buffer_size", 1e6, 1_000_000),
        ("compression_threshold", 0, 0),
        ("per_message_deflate", None, False),
        ("per_message_deflate", True, DeflateOptions(1024, 3, 12, 5)),
        ("per_message_deflate", {"threshold": 0, "level": 9}, DeflateOptions(0, 9, 12, 5)),
        ("per_message_deflate", DeflateOptions(1, 1, 15, 9), DeflateOptions(1, 1, 15, 9)),
        ("cookie", "io", "io"),
        ("cookie", {"name": "io"}, {"name": "io"}),
        ("cors_allowed_origins", "*", "*"),
        ("cors_allowed_origins", ["https://a.com"], ["https://a.com"]),
        ("cors_allowed_origins", PATTERN, PATTERN),
        ("cors_allowed_origins", function, function),
        ("trusted_proxies", "10.0.0.1", ("10.0.0.1",)),
        ("trusted_proxies", ["10.0.0.0/8"], ("10.0.0.0/8",)),
        ("max_attachments", 0, 0),
        ("slow_client", "drop", "drop"),
        ("mailbox_overflow", "error_ack", "error_ack"),
        ("max_handlers", 5, 5),
        ("max_connections", 100, 100),
        ("async_handlers", True, True),
        ("async_mode", "gevent", "gevent"),
        ("async_mode", "threading", "threading"),
        ("disconnect_wait", 0, 0),
        ("handler_timeout", None, None),
        ("handler_timeout", 0.5, 0.5),
        ("presence_grace", 0, 0),
        ("namespaces", "*", "*"),
        ("namespaces", ["/", "/chat"], ("/", "/chat")),
        ("namespaces", ["*"], "*"),
        ("namespaces", [], ()),
        ("json", json, json),
        ("client_dir", Path("static"), "static"),
        ("client_dir", "static", "static"),
        ("generate_id", function, function),
        ("host_tag", "a0", "a0"),
        ("client_manager", QUEUE, QUEUE),
        ("serializer", None, "default"),
        ("logger", True, True),
        ("logger", None, False),
        ("logger", LOG, LOG),
        ("engineio_logger", True, True),
    ],
)
def test_accepted(name: str, value: Any, kept: Any) -> None:
    """Each accepted form comes out in the one form the server reads."""
    options = ServerOptions.build({name: value})
    got = getattr(options, "path" if name == "resource" else name)
    assert got == kept
    assert type(got) is type(kept)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("path", ""),
        ("path", "/"),
        ("path", "//a"),
        ("path", 5),
        ("path", "a?b"),
        ("path", "a\nb"),
        ("transports", []),
        ("transports", ["polling", "webtransport"]),
        ("transports", "flash"),
        ("transports", 5),
        ("transports", [["polling"]]),
        ("ping_interval", 0),
        ("ping_interval", -1),
        ("ping_interval", 0.0001),
        ("ping_interval", float("nan")),
        ("ping_interval", float("inf")),
        ("ping_interval", 10**400),
        ("ping_interval", True),
        ("ping_interval", "25"),
        ("ping_interval", None),
        ("ping_interval", (25,)),
        ("ping_interval", (25, -1)),
        ("ping_interval", (25, "5")),
        ("ping_interval", 2_147_483),
        ("ping_timeout", 2_147_484),
        ("max_http_buffer_size", 0),
        ("max_http_buffer_size", 1.5),
        ("max_http_buffer_size", True),
        ("allow_upgrades", "False"),
        ("allow_upgrades", 1),
        ("http_compression", None),
        ("compression_threshold", -1),
        ("per_message_deflate", "yes"),
        ("per_message_deflate", 1024),
        ("per_message_deflate", {"treshold": 1}),
        ("per_message_deflate", {"threshold": -1}),
        ("per_message_deflate", {"threshold": True}),
        ("per_message_deflate", {"level": 0}),
        ("per_message_deflate", {"level": 10}),
        ("per_message_deflate", {"window_bits": 8}),
        ("per_message_deflate", {"window_bits": 16}),
        ("per_message_deflate", {"mem_level": 1.5}),
        ("cookie", "a b"),
        ("cookie", {"nam": "io"}),
        ("cors_allowed_origins", "a.com"),
        ("cors_allowed_origins", 5),
        ("cors_credentials", "yes"),
        ("cors_headers", ["X-A", "X B"]),
        ("cors_headers", "X-A, X-B"),
        ("cors_headers", 5),
        ("cors_max_age", -1),
        ("trusted_proxies", "proxy.local"),
        ("trusted_proxies", 5),
        ("connect_timeout", 0),
        ("upgrade_timeout", "10"),
        ("max_attachments", -1),
        ("max_outbound_bytes", 0),
        ("max_outbound_packets", 0.5),
        ("slow_client", "wait"),
        ("slow_client", None),
        ("max_mailbox_events", 0),
        ("max_mailbox_bytes", 0),
        ("mailbox_overflow", "block"),
        ("max_handlers", 0),
        ("fresh_greenlets", 0),
        ("max_connections", -5),
        ("async_handlers", "yes"),
        ("async_mode", "eventlet"),
        ("async_mode", 5),
        ("disconnect_wait", -1),
        ("handler_timeout", 0),
        ("handler_timeout", "5"),
        ("handler_timeout", False),
        ("presence_grace", -1),
        ("presence_grace", None),
        ("namespaces", "/chat"),
        ("namespaces", ["chat"]),
        ("namespaces", ["/a,b"]),
        ("namespaces", ["/a\n"]),
        ("namespaces", [5]),
        ("namespaces", [[]]),
        ("namespaces", 5),
        ("always_connect", None),
        ("json", object()),
        ("json", "orjson"),
        ("serve_client", "no"),
        ("client_dir", 5),
        ("client_dir", b"static"),
        ("client_dir", ""),
        ("generate_id", "abc"),
        ("host_tag", "abc"),
        ("host_tag", 10),
        ("client_manager", "redis://"),
        ("serializer", "pickle"),
        ("serializer", object),
        ("logger", "debug"),
        ("engineio_logger", 1),
    ],
)
def test_refused(name: str, value: Any) -> None:
    """A value that cannot work is refused with the option's name and what is accepted."""
    with pytest.raises(ConfigError, match="accepted") as caught:
        ServerOptions.build({name: value})
    assert name in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_refusal_names_value_and_choices() -> None:
    """The text is enough to correct the line."""
    with pytest.raises(ConfigError) as caught:
        ServerOptions.build({"async_mode": "eventlet"})
    assert str(caught.value) == "async_mode='eventlet': accepted is None, 'gevent' or 'threading'"


def test_jsonp_needs_the_clients_that_have_it() -> None:
    """An option that nobody could use is refused."""
    with pytest.raises(ConfigError, match=r"^jsonp=True, allow_eio3=False: only clients"):
        ServerOptions.build({"jsonp": True, "allow_eio3": False})
    assert ServerOptions.build({"jsonp": True}).jsonp is True


def test_path_and_resource() -> None:
    """Both names at once must agree."""
    assert ServerOptions.build({"path": "ws", "resource": "ws"}).path == "ws"
    with pytest.raises(ConfigError, match="resource"):
        ServerOptions.build({"path": "a", "resource": "b"})


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("cors_allowed_origin", "cors_allowed_origins"),
        ("ping_intervall", "ping_interval"),
        ("pingInterval", "ping_interval"),
        ("maxHttpBufferSize", "max_http_buffer_size"),
        ("resorce", "resource"),
        ("monitor_client", "monitor_clients"),
        ("manage_sesion", "manage_session"),
    ],
)
def test_unknown_names_get_a_hint(name: str, nearest: str) -> None:
    """A mistyped option is never ignored."""
    with pytest.raises(TypeError, match=f"unknown option '{name}'; did you mean '{nearest}'"):
        ServerOptions.build({name: 1}, also=["manage_session"])


def test_unknown_name_without_a_neighbour() -> None:
    """A name like nothing else is refused without a guess."""
    with pytest.raises(TypeError, match=r"^unknown option 'zzz'$"):
        ServerOptions.build({"zzz": None})


@pytest.mark.parametrize("value", [[], (), set()])
def test_empty_origins_warn(value: Any) -> None:
    """An empty list now refuses all, which its author must hear, with the line to write."""
    with pytest.warns(UserWarning, match=re.escape("cors_allowed_origins='*'")) as caught:
        options = ServerOptions.build({"cors_allowed_origins": value})
    assert len(caught) == 1
    assert options.cors.allows({"HTTP_ORIGIN": "http://a", "HTTP_HOST": "a"}) is False


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("monitor_clients", False),
        ("monitor_clients", 5),
    ],
)
def test_compatibility_options_warn_when_they_ask(name: str, value: Any) -> None:
    """An option without a meaning here says so once, by name."""
    with pytest.warns(UserWarning, match=f"^{name}=") as caught:
        ServerOptions.build({name: value})
    assert len(caught) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("monitor_clients", True),
        ("monitor_clients", None),
        ("add_trailing_slash", False),
    ],
)
def test_compatibility_options_are_silent_otherwise(name: str, value: Any) -> None:
    """A default written out changes nothing."""
    assert ServerOptions.build({name: value}) == ServerOptions()


def test_policies_are_built_once() -> None:
    """The origin policy and the cookie come from the options."""
    options = ServerOptions.build(
        {"cookie": "io", "cors_allowed_origins": "*", "cors_credentials": False}
    )
    assert options.engine_cookie.set_cookie("a") is not None
    headers = options.cors.headers({"HTTP_ORIGIN": "https://x.com"})
    assert headers == [("Access-Control-Allow-Origin", "*"), ("Vary", "Origin")]
    proxied = ServerOptions.build({"trusted_proxies": "10.0.0.1"})
    environ = {
        "HTTP_ORIGIN": "https://pub.com",
        "HTTP_HOST": "inner",
        "HTTP_X_FORWARDED_HOST": "pub.com",
        "REMOTE_ADDR": "10.0.0.1",
    }
    assert proxied.cors.allows(environ) is True
    assert ServerOptions().cors.allows(environ) is False


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.binary(),
    st.lists(st.one_of(st.text(), st.integers())),
    st.dictionaries(st.text(), st.integers()),
)


@given(st.sampled_from(sorted(CHECKS)), VALUES)
def test_any_value_is_kept_or_refused(name: str, value: Any) -> None:
    """No value raises anything but a ConfigError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.suppress(ConfigError):
            ServerOptions.build({name: value})
