"""Origins and CORS headers."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_sio.engine.cors import CorsPolicy, is_legal
from flask_sio.errors import ConfigError


def request(origin: str | None = None, host: str | None = "a.com", **more: str) -> dict[str, str]:
    """Give an environ; None leaves the header out."""
    environ = {"wsgi.url_scheme": "http", "REMOTE_ADDR": "10.0.0.9", **more}
    if origin is not None:
        environ["HTTP_ORIGIN"] = origin
    if host is not None:
        environ["HTTP_HOST"] = host
    return environ


@pytest.mark.parametrize(
    ("origin", "host", "scheme", "allowed"),
    [
        (None, "a.com", "http", True),
        ("", "a.com", "http", True),
        ("http://a.com", "a.com", "http", True),
        ("https://a.com", "a.com", "http", True),  # TLS ended at a proxy
        ("http://a.com", "a.com", "https", True),
        ("https://a.com", "a.com:443", "http", True),
        ("https://a.com", "a.com:443", "https", True),
        ("https://a.com:443", "a.com", "http", True),
        ("http://a.com:80", "a.com", "http", True),
        ("http://a.com", "a.com:80", "http", True),
        ("https://a.com", "a.com:80", "http", True),
        ("http://A.com", "a.COM", "http", True),
        ("http://a.com:5000", "a.com:5000", "http", True),
        ("https://a.com:5000", "a.com:5000", "http", True),
        ("http://[::1]:5000", "[::1]:5000", "http", True),
        ("ws://a.com", "a.com", "http", True),
        ("http://a.com:5001", "a.com:5000", "http", False),
        ("http://a.com", "a.com:5000", "http", False),
        ("http://a.com:5000", "a.com", "http", False),
        ("http://a.com:443", "a.com", "http", False),
        ("http://b.com", "a.com", "http", False),
        ("http://sub.a.com", "a.com", "http", False),
        ("http://a.com.b.com", "a.com", "http", False),
        ("http://a.com@b.com", "a.com", "http", False),
        ("http://b.com@a.com", "a.com", "http", False),
        ("http://a.com/", "a.com", "http", False),
        ("http://a.com/x", "a.com", "http", False),
        ("http://a.com:", "a.com", "http", False),
        ("a.com", "a.com", "http", False),
        ("null", "a.com", "http", False),
        ("file://", "", "http", False),
        ("capacitor://a.com", "a.com", "http", False),
        ("http://a.com\x00", "a.com", "http", False),
        ("http://a.com", "a.com, b.com", "http", False),
        ("http://a.com", "evil@a.com", "http", False),
        ("http://" + "a" * 2000, "a" * 2000, "http", False),
    ],
)
def test_same_origin(origin: str | None, host: str, scheme: str, allowed: bool) -> None:
    """Host and port decide, default ports are equal to none, the scheme is not compared."""
    environ = request(origin, host, **{"wsgi.url_scheme": scheme})
    assert CorsPolicy().allows(environ) is allowed


@pytest.mark.parametrize(
    ("origin", "allowed"), [("http://a.com:8000", True), ("http://a.com", False)]
)
def test_same_origin_without_host_header(origin: str, allowed: bool) -> None:
    """Without a Host header the server's own name and port count."""
    environ = request(origin, None, SERVER_NAME="a.com", SERVER_PORT="8000")
    assert CorsPolicy().allows(environ) is allowed


@pytest.mark.parametrize(
    ("proxies", "remote", "trusted"),
    [
        ((), "10.0.0.9", False),
        (("10.0.0.9",), "10.0.0.9", True),
        ("10.0.0.9", "10.0.0.9", True),
        (["10.0.0.0/8"], "10.0.0.9", True),
        (["10.0.0.1/8"], "10.0.0.9", True),
        (["10.0.0.9"], "::ffff:10.0.0.9", True),
        (["fd00::/8"], "fd00::1", True),
        (["192.168.0.0/16", "10.0.0.9"], "10.0.0.9", True),
        (["192.168.0.0/16"], "10.0.0.9", False),
        (["0.0.0.0/0"], "::1", False),
        (["0.0.0.0/0"], "", False),
        (["0.0.0.0/0"], "unix:", False),
    ],
)
def test_forwarded_host_counts_from_trusted_proxies(
    proxies: Any, remote: str, trusted: bool
) -> None:
    """X-Forwarded-Host replaces Host only when a trusted proxy sent the request."""
    policy = CorsPolicy(None, True, proxies)
    forwarded = {"HTTP_X_FORWARDED_HOST": "pub.com", "HTTP_X_FORWARDED_PROTO": "https"}
    environ = request("https://pub.com", "inner:8000", REMOTE_ADDR=remote, **forwarded)
    assert policy.allows(environ) is trusted
    environ["HTTP_ORIGIN"] = "http://inner:8000"
    assert policy.allows(environ) is not trusted


@pytest.mark.parametrize(
    ("host", "proto", "origin", "allowed"),
    [
        ("evil.com, pub.com", "https", "https://pub.com", True),
        ("evil.com, pub.com", "https", "https://evil.com", False),
        ("pub.com:443", "https", "https://pub.com", True),
        ("pub.com:8443", "https", "https://pub.com:8443", True),
        ("pub.com:8443", "https", "https://pub.com", False),
        ("pub.com:443", "http, https", "http://pub.com", True),
        ("", "", "http://a.com", True),
    ],
)
def test_forwarded_values(host: str, proto: str, origin: str, allowed: bool) -> None:
    """The last item counts: the one the trusted proxy wrote itself."""
    environ = request(origin, HTTP_X_FORWARDED_HOST=host, HTTP_X_FORWARDED_PROTO=proto)
    assert CorsPolicy(None, True, ["10.0.0.0/8"]).allows(environ) is allowed


def allow_a(origin: str) -> bool:
    """Allow one origin."""
    return origin == "https://a.com"


def allow_by_host(origin: str, environ: dict[str, Any]) -> bool:
    """Allow the origin that names the host."""
    return origin == f"https://{environ['HTTP_HOST']}"


class Allow:
    """A callable object."""

    def __call__(self, origin: str, environ: Any = None) -> int:
        """Allow by a truthy value, with the environ by its name."""
        return 1 if environ is not None and origin == "https://a.com" else 0


def allow_listed(origin: str, known: tuple[str, ...] = ("https://a.com",)) -> bool:
    """Keep its own second parameter."""
    return origin in known


A_COM = re.compile(r"https://a\.com")
SUBS = re.compile(r"https://(\w+\.)?a\.com")


@pytest.mark.parametrize(
    ("option", "origin", "allowed"),
    [
        ("*", "https://any.com", True),
        ("*", "null", True),
        (["*"], "https://any.com", True),
        (["*", "https://a.com"], "https://any.com", True),
        ([], "https://a.com", False),
        ((), "http://a.com", False),
        ("https://a.com", "https://a.com", True),
        ("https://a.com", "HTTPS://A.com", True),
        ("https://a.com/", "https://a.com", True),
        ("https://a.com:443", "https://a.com", True),
        ("https://a.com", "https://a.com:443", True),
        ("https://a.com", "http://a.com", False),
        ("https://a.com", "https://a.com:444", False),
        ("https://a.com", "https://a.com.evil.com", False),
        ("https://a.com", "https://b.com", False),
        ("null", "null", True),
        ("file://", "file://", True),
        ("capacitor://localhost", "capacitor://localhost", True),
        (["https://a.com", "https://b.com"], "https://b.com", True),
        (["https://a.com", "https://b.com"], "https://c.com", False),
        ({"https://a.com"}, "https://a.com", True),
        (A_COM, "https://a.com", True),
        (A_COM, "https://a.com.evil.com", False),
        (A_COM, "https://evil.com/https://a.com", False),
        ([SUBS, "https://b.com"], "https://x.a.com", True),
        ([SUBS, "https://b.com"], "https://b.com", True),
        ([SUBS, "https://b.com"], "https://x.b.com", False),
        (allow_a, "https://a.com", True),
        (allow_a, "https://b.com", False),
        (allow_by_host, "https://a.com", True),
        (allow_by_host, "https://b.com", False),
        (Allow(), "https://a.com", True),
        (Allow(), "https://b.com", False),
        (allow_listed, "https://a.com", True),
        (allow_listed, "https://b.com", False),
        (lambda *args: len(args) == 2, "https://b.com", True),
        ({"https://a.com": 1}.get, "https://b.com", False),
    ],
)
def test_configured_origins(option: Any, origin: str, allowed: bool) -> None:
    """Each form of the option allows exactly what it names."""
    assert CorsPolicy(option).allows(request(origin)) is allowed
    assert CorsPolicy(option).allows(request(None)) is True


@pytest.mark.parametrize(
    "option",
    [
        5,
        True,
        "",
        "a.com",
        "a.com:5000",
        "https://",
        "https://a.com/path",
        "https://*.a.com",
        "https://user@a.com",
        "https://bücher.example",
        "https://a.com, https://b.com",
        "https://a.com\r\nX: 1",
        b"https://a.com",
        re.compile(rb"https://a\.com"),
        ["https://a.com", 5],
        [["https://a.com"]],
        lambda: True,
        lambda a, b, c: True,
        lambda origin, *, key: True,
    ],
)
def test_nonsense_names_the_option(option: Any) -> None:
    """What can never match is refused when the server is built."""
    with pytest.raises(ConfigError, match="cors_allowed_origins="):
        CorsPolicy(option)


@pytest.mark.parametrize("proxies", ["proxy.local", ["10.0.0.0/33"], [1], 5, [None]])
def test_bad_proxies_name_the_option(proxies: Any) -> None:
    """A proxy that is no address is refused when the server is built."""
    with pytest.raises(ConfigError, match="trusted_proxies="):
        CorsPolicy(None, True, proxies)


def test_an_error_of_the_function_passes_through() -> None:
    """A function that fails allows nothing, and its error is seen."""

    def fail(origin: str) -> bool:
        raise LookupError(origin)

    with pytest.raises(LookupError):
        CorsPolicy(fail).allows(request("https://a.com"))


REFLECTED = [
    ("Access-Control-Allow-Origin", "https://a.com"),
    ("Vary", "Origin"),
    ("Access-Control-Allow-Credentials", "true"),
]


VARY = ("Vary", "Origin")


@pytest.mark.parametrize(
    ("option", "credentials", "origin", "headers"),
    [
        ("*", False, "https://a.com", [("Access-Control-Allow-Origin", "*"), VARY]),
        ("*", True, "https://a.com", REFLECTED),
        ("https://a.com", True, "https://a.com", REFLECTED),
        ("https://a.com", False, "https://a.com", REFLECTED[:2]),
        (SUBS, True, "https://a.com", REFLECTED),
        ("https://a.com", True, "https://b.com", [VARY]),
        ("https://a.com", True, None, [VARY]),
        ("*", True, None, [VARY]),
        ("*", True, "https://a.com\r\nX: 1", [VARY]),
        ("*", True, "https://a.com\t", [VARY]),
        ("*", True, "https://\u20ac.com", [VARY]),
        ([], True, "https://a.com", [VARY]),
        (None, True, "http://a.com", [VARY]),
    ],
)
def test_headers(
    option: Any, credentials: bool, origin: str | None, headers: list[tuple[str, str]]
) -> None:
    """Only an allowed origin gets CORS headers, never a star with credentials; all say ``Vary``."""
    assert CorsPolicy(option, credentials).headers(request(origin)) == headers


def test_preflight_of_an_allowed_origin() -> None:
    """An allowed page learns methods, headers and for how long; no sid is needed."""
    asked = {"HTTP_ACCESS_CONTROL_REQUEST_HEADERS": "content-type, x-token"}
    response = CorsPolicy("https://a.com").preflight(request("https://a.com", **asked))
    assert response.status == "204 No Content"
    assert response.body == b""
    assert response.headers == [
        *REFLECTED,
        ("Access-Control-Allow-Methods", "GET, POST, OPTIONS"),
        ("Access-Control-Allow-Headers", "content-type, x-token"),
        ("Vary", "Access-Control-Request-Headers"),
        ("Access-Control-Max-Age", "600"),
    ]


@pytest.mark.parametrize(("names", "told"), [(("X-A", "X-B"), "X-A, X-B"), ((), None)])
def test_preflight_names_the_headers_it_was_told(names: tuple[str, ...], told: Any) -> None:
    """Whatever the page asks for; the time is an option too."""
    asked = request("https://a.com", HTTP_ACCESS_CONTROL_REQUEST_HEADERS="x-token")
    policy = CorsPolicy("https://a.com", request_headers=names, max_age_s=60)
    headers = dict(policy.preflight(asked).headers)
    assert headers.get("Access-Control-Allow-Headers") == told
    assert headers["Access-Control-Max-Age"] == "60"


@pytest.mark.parametrize(
    "asked", ["a b", "a\r\nX: 1", "a,,b", ",", "a;b", "x" * 1025, "\u20ac", "a\x00"]
)
def test_preflight_echoes_no_nonsense(asked: str) -> None:
    """Requested header names that are none are not sent back."""
    environ = request("https://a.com", HTTP_ACCESS_CONTROL_REQUEST_HEADERS=asked)
    headers = dict(CorsPolicy("*").preflight(environ).headers)
    assert "Access-Control-Allow-Headers" not in headers
    assert headers["Access-Control-Allow-Origin"] == "https://a.com"


@pytest.mark.parametrize(
    ("option", "origin"),
    [
        ("https://a.com", "https://b.com"),
        (None, "http://a.com"),
        ([], "https://a.com"),
        ("*", None),
    ],
)
def test_preflight_of_others_says_nothing(option: Any, origin: str | None) -> None:
    """A page that is not allowed gets an empty 204, which its browser takes as a no."""
    response = CorsPolicy(option).preflight(request(origin))
    assert (response.status, response.headers, response.body) == ("204 No Content", [VARY], b"")


@given(st.text(), st.text(), st.text(), st.sampled_from([None, "*", "https://a.com", SUBS]))
def test_any_header_is_survived(origin: str, host: str, asked: str, option: Any) -> None:
    """No header raises, and none with a control character is written."""
    environ = request(
        origin,
        host,
        HTTP_ACCESS_CONTROL_REQUEST_HEADERS=asked,
        HTTP_X_FORWARDED_HOST=host,
        HTTP_X_FORWARDED_PROTO=asked,
    )
    policy = CorsPolicy(option, True, ["10.0.0.0/8"])
    policy.allows(environ)
    for name, value in policy.preflight(environ).headers:
        assert is_legal(name + value) or "\t" in value


@given(st.dictionaries(st.sampled_from(["HTTP_HOST", "SERVER_NAME", "REMOTE_ADDR"]), st.none()))
def test_missing_keys_are_survived(environ: dict[str, Any]) -> None:
    """An environ without the usual keys is refused, not an error."""
    allows: Callable[[Any], bool] = CorsPolicy(None, True, ["10.0.0.0/8"]).allows
    assert allows({**environ, "HTTP_ORIGIN": "http://a.com"}) is False
