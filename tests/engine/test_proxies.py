"""Whose request it is, and which proxies are believed about it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_sio.engine.proxies import Proxies

TRUSTED = ("10.0.0.0/8", "fd00::/8")


@pytest.mark.parametrize(
    ("remote", "forwarded", "client"),
    [
        ("192.0.2.1", None, "192.0.2.1"),
        ("192.0.2.1", "198.51.100.9", "192.0.2.1"),  # not from a proxy of ours
        ("10.0.0.9", None, "10.0.0.9"),
        ("10.0.0.9", "198.51.100.9", "198.51.100.9"),
        ("::ffff:10.0.0.9", "198.51.100.9", "198.51.100.9"),
        ("10.0.0.9", "203.0.113.5, 198.51.100.9", "198.51.100.9"),  # the first is a claim
        ("10.0.0.9", "203.0.113.5, 198.51.100.9, 10.1.1.1,10.2.2.2", "198.51.100.9"),
        ("10.0.0.9", "198.51.100.9:4711", "198.51.100.9"),
        ("10.0.0.9", "[2001:db8::7]:4711", "2001:db8::/64"),
        ("10.0.0.9", "unknown", "10.0.0.9"),
        ("10.0.0.9", "198.51.100.9, unknown, 10.1.1.1", "10.1.1.1"),
        ("10.0.0.9", "", "10.0.0.9"),
        ("10.0.0.9", ", ".join(["10.0.0.1"] * 5000), "10.0.0.1"),
        ("2001:db8:0:1:2:3:4:5", None, "2001:db8:0:1::/64"),
        ("2001:db8:0:1::9", None, "2001:db8:0:1::/64"),
        ("fd00::1", "2001:db8::7", "2001:db8::/64"),
        ("", "198.51.100.9", None),  # a UNIX socket
        (None, None, None),
        ("localhost", None, None),
    ],
)
def test_whose_request_it_is(remote: Any, forwarded: Any, client: str | None) -> None:
    """The nearest address that is no stated proxy's; of IPv6 the customer's network."""
    environ = {"REMOTE_ADDR": remote, "HTTP_X_FORWARDED_FOR": forwarded}
    assert Proxies(TRUSTED).client_of(environ) == client


def test_nobody_is_believed_by_default() -> None:
    """Without ``trusted_proxies`` the header is text from a stranger."""
    environ = {"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "198.51.100.9"}
    assert Proxies().client_of(environ) == "127.0.0.1"
    assert Proxies().forwarded(environ, "HTTP_X_FORWARDED_FOR") == ""


@given(remote=st.text(), forwarded=st.text() | st.none())
def test_any_header_is_survived(remote: str, forwarded: str | None) -> None:
    """No address and no header raises."""
    for address in (remote, "10.0.0.9"):
        environ = {"REMOTE_ADDR": address, "HTTP_X_FORWARDED_FOR": forwarded}
        found = Proxies(TRUSTED).client_of(environ)
        assert found is None or found.strip()
