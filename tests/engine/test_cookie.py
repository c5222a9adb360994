"""The affinity cookie."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_sio.engine.cookie import EngineCookie
from flask_sio.errors import ConfigError

EPOCH = "Thu, 01 Jan 1970 00:00:00 GMT"


def test_no_cookie_by_default() -> None:
    """Without the option there is no header."""
    assert EngineCookie().set_cookie("abc") is None


@pytest.mark.parametrize(
    ("option", "header"),
    [
        ("io", "io=abc; Path=/; HttpOnly; SameSite=Lax"),
        ("my-cookie", "my-cookie=abc; Path=/; HttpOnly; SameSite=Lax"),
        ({}, "io=abc; Path=/; HttpOnly; SameSite=Lax"),
        ({"name": "x"}, "x=abc; Path=/; HttpOnly; SameSite=Lax"),
        ({"path": "/a"}, "io=abc; Path=/a; HttpOnly; SameSite=Lax"),
        ({"path": False}, "io=abc; HttpOnly; SameSite=Lax"),
        ({"path": None}, "io=abc; HttpOnly; SameSite=Lax"),
        ({"httponly": False}, "io=abc; Path=/; SameSite=Lax"),
        ({"httpOnly": False}, "io=abc; Path=/; SameSite=Lax"),
        ({"http_only": False}, "io=abc; Path=/; SameSite=Lax"),
        ({"HttpOnly": "true"}, "io=abc; Path=/; HttpOnly; SameSite=Lax"),
        ({"samesite": "strict"}, "io=abc; Path=/; HttpOnly; SameSite=Strict"),
        ({"sameSite": True}, "io=abc; Path=/; HttpOnly; SameSite=Strict"),
        ({"SameSite": False}, "io=abc; Path=/; HttpOnly"),
        (
            {"same_site": "none", "secure": True},
            "io=abc; Path=/; HttpOnly; Secure; SameSite=None",
        ),
        ({"max_age": 60}, "io=abc; Path=/; Max-Age=60; HttpOnly; SameSite=Lax"),
        ({"maxAge": 60.9}, "io=abc; Path=/; Max-Age=60; HttpOnly; SameSite=Lax"),
        ({"max-age": "60"}, "io=abc; Path=/; Max-Age=60; HttpOnly; SameSite=Lax"),
        (
            {"max_age": timedelta(minutes=1)},
            "io=abc; Path=/; Max-Age=60; HttpOnly; SameSite=Lax",
        ),
        (
            {"domain": "a.com", "Secure": True},
            "io=abc; Path=/; Domain=a.com; HttpOnly; Secure; SameSite=Lax",
        ),
        ({"expires": 0}, f"io=abc; Path=/; Expires={EPOCH}; HttpOnly; SameSite=Lax"),
        ({"expires": EPOCH}, f"io=abc; Path=/; Expires={EPOCH}; HttpOnly; SameSite=Lax"),
        (
            {"expires": datetime(1970, 1, 1)},
            f"io=abc; Path=/; Expires={EPOCH}; HttpOnly; SameSite=Lax",
        ),
        (
            {"expires": datetime(1970, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))},
            f"io=abc; Path=/; Expires={EPOCH}; HttpOnly; SameSite=Lax",
        ),
        ({"secure": lambda: True}, "io=abc; Path=/; HttpOnly; Secure; SameSite=Lax"),
        ({"secure": lambda: False}, "io=abc; Path=/; HttpOnly; SameSite=Lax"),
        ({"path": lambda: "/b"}, "io=abc; Path=/b; HttpOnly; SameSite=Lax"),
    ],
)
def test_header(option: Any, header: str) -> None:
    """Each form of the option gives this one header."""
    assert EngineCookie(option).set_cookie("abc") == ("Set-Cookie", header)


def test_functions_are_called_for_each_cookie() -> None:
    """A function's value is fresh for every session, and not asked before."""
    ages = iter([1, 2])
    cookie = EngineCookie({"max_age": lambda: next(ages), "httponly": False, "samesite": False})
    assert cookie.set_cookie("a") == ("Set-Cookie", "io=a; Path=/; Max-Age=1")
    assert cookie.set_cookie("b") == ("Set-Cookie", "io=b; Path=/; Max-Age=2")


@pytest.mark.parametrize(
    "option",
    [
        5,
        True,
        b"io",
        ["io"],
        "",
        "a b",
        "io=1",
        "io; Secure",
        "io\r\nX: 1",
        "ü",
        {"name": None},
        {"name": 5},
        {"name": "a;b"},
        {"nam": "io"},
        {5: "io"},
        {"path": "/;x"},
        {"path": "/\r\nX: 1"},
        {"path": ""},
        {"path": 5},
        {"domain": "a.com\n"},
        {"domain": True},
        {"samesite": "loose"},
        {"samesite": 5},
        {"httponly": "False"},
        {"secure": "yes"},
        {"max_age": "1m"},
        {"max_age": True},
        {"max_age": float("nan")},
        {"max_age": 10**400},
        {"expires": "x; Secure"},
        {"expires": True},
        {"expires": 1e300},
        {"expires": datetime.min.replace(tzinfo=timezone(timedelta(hours=2)))},
    ],
)
def test_nonsense_is_refused_at_once(option: Any) -> None:
    """What cannot be written as a cookie is refused when the server is built."""
    with pytest.raises(ConfigError, match="cookie"):
        EngineCookie(option)


def test_nonsense_of_a_function_is_refused() -> None:
    """A function cannot add a header or an attribute either."""
    with pytest.raises(ConfigError, match="path"):
        EngineCookie({"path": lambda: "/\r\nX: 1"}).set_cookie("abc")


@pytest.mark.parametrize("sid", ["", "a;b", "a\r\nX: 1", "a b", "x" * 65, "abc\n"])
def test_odd_ids_are_refused(sid: str) -> None:
    """An id that needs quoting is never written."""
    with pytest.raises(ConfigError, match="generate_id"):
        EngineCookie("io").set_cookie(sid)


@given(
    st.dictionaries(
        st.sampled_from(["name", "path", "domain", "expires", "maxAge", "sameSite", "secure"]),
        st.one_of(st.text(), st.booleans(), st.integers(), st.floats(), st.none()),
    )
)
def test_no_option_injects_a_header(option: dict[str, Any]) -> None:
    """Any dict gives one clean line or a ConfigError."""
    try:
        cookie = EngineCookie(option).set_cookie("abc")
    except ConfigError:
        return
    assert cookie is not None
    assert cookie[1].isascii()
    assert cookie[1].isprintable()
