"""Why a client left: the protocol's reasons, and the five that handlers are given.

python-socketio's handlers know five strings; one table maps the protocol's exact ones,
which a handler gets as its ``details`` if it asks for them.
"""

from __future__ import annotations

from typing import NamedTuple

SERVER_DISCONNECT = "server disconnect"
CLIENT_DISCONNECT = "client disconnect"
PING_TIMEOUT = "ping timeout"
TRANSPORT_CLOSE = "transport close"
TRANSPORT_ERROR = "transport error"

_PUBLIC = {
    "ping timeout": PING_TIMEOUT,
    "transport close": TRANSPORT_CLOSE,
    "transport error": TRANSPORT_ERROR,
    "parse error": TRANSPORT_ERROR,
    "forced close": SERVER_DISCONNECT,
    "forced server close": SERVER_DISCONNECT,
    "server shutting down": SERVER_DISCONNECT,
    "client namespace disconnect": CLIENT_DISCONNECT,
    "server namespace disconnect": SERVER_DISCONNECT,
}


class Details(NamedTuple):
    """Why a client left, exactly; a parameter named ``details`` of a disconnect handler."""

    reason: str
    """The protocol's word, such as ``"client namespace disconnect"`` or ``"parse error"``."""
    description: str
    """What is known beyond it, for logs: ``"close code 1001"``; may be empty."""


class Reason(str):
    """One of the five strings, which knows more."""

    __slots__ = ("details",)

    details: Details


def public_reason(reason: str, description: str = "") -> Reason:
    """Return the reason that a disconnect handler is given."""
    public = Reason(_PUBLIC[reason])
    public.details = Details(reason, description)
    return public
