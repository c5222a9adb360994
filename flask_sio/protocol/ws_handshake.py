"""The opening handshake of a WebSocket, server side. RFC 6455 §4.2."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from hashlib import sha1

from flask_sio.errors import HandshakeError

__all__ = ["accept_key", "check", "response"]

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
# 16 bytes in base64; the last character before the padding carries two bits only.
_KEY = re.compile(r"[A-Za-z0-9+/]{21}[AQgw]==")
_UNSAFE = re.compile(r"[\r\n\x00]")


def accept_key(key: str) -> str:
    """Compute ``Sec-WebSocket-Accept`` for a ``Sec-WebSocket-Key``."""
    return b64encode(sha1(key.encode("ascii") + _GUID, usedforsecurity=False).digest()).decode()


def check(headers: Mapping[str, str]) -> str:
    """Check the headers of an upgrade request, names in any case; return the accept key.

    Raises:
        HandshakeError: 400 for what is no WebSocket upgrade, 426 for another version.
    """
    found = {name.lower(): value.strip() for name, value in headers.items()}
    if "websocket" not in _tokens(found.get("upgrade", "")):
        raise HandshakeError(400, "Upgrade is not websocket")
    if "upgrade" not in _tokens(found.get("connection", "")):
        raise HandshakeError(400, "Connection is not upgrade")
    if found.get("sec-websocket-version") != "13":
        wanted = (("Sec-WebSocket-Version", "13"), ("Upgrade", "websocket"))
        raise HandshakeError(426, "WebSocket version is not 13", wanted)
    key = found.get("sec-websocket-key", "")
    if _KEY.fullmatch(key) is None:
        raise HandshakeError(400, "bad Sec-WebSocket-Key")
    return accept_key(key)


def _tokens(value: str) -> list[str]:
    return [token.strip().lower() for token in value.split(",")]


def response(
    accept: str,
    extra_headers: Iterable[tuple[str, str]] = (),
    protocol: str | None = None,
) -> bytes:
    """Render the whole 101 answer; ``protocol`` must be one the client offered.

    Raises:
        ValueError: a line break in a header.
    """
    headers = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", accept),
    ]
    if protocol is not None:
        headers.append(("Sec-WebSocket-Protocol", protocol))
    headers.extend(extra_headers)
    lines = ["HTTP/1.1 101 Switching Protocols"]
    for name, value in headers:
        if _UNSAFE.search(name) or _UNSAFE.search(value):
            raise ValueError(f"line break in header {name!r}")
        lines.append(f"{name}: {value}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
