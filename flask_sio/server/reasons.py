"""Why a client left: the protocol's reasons, and the five that handlers are given.

python-socketio's handlers know five strings; one table maps the protocol's exact ones.
"""

from __future__ import annotations

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


def public_reason(reason: str) -> str:
    """Return the reason that a disconnect handler is given."""
    return _PUBLIC[reason]
