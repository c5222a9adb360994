"""The 20-character ids of connections and sockets.

Layout: 2 characters host tag, 4 worker tag, 14 random (84 bits). Peers, load balancers
and worker mates may route on the prefix; other lengths break Node's sharded adapter.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import socket
from collections.abc import Callable

from flask_sio.errors import ConfigError

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
_RANDOM_CHARS = 14
_RANDOM_PART = re.compile(r"[A-Za-z0-9_-]{14}")

HOST_TAG = re.compile(r"[A-Za-z0-9_-]{2}")
ENVIRONMENT = "FLASK_SIO_HOST_TAG"
"""Names this host's tag where no option does."""

_worker: tuple[int, str] | None = None
_host: str | None = None
"""The tag of this host, once it was needed."""


def _host_tag() -> str:
    named = os.environ.get(ENVIRONMENT, "")
    if HOST_TAG.fullmatch(named):
        return named
    if named:
        raise ConfigError(f"{ENVIRONMENT} must be 2 characters of [A-Za-z0-9_-]")
    digest = hashlib.sha256(socket.gethostname().encode()).digest()
    return _ALPHABET[digest[0] & 63] + _ALPHABET[digest[1] & 63]


def worker_prefix(host_tag: str | None = None) -> str:
    """Return this process's 6-character prefix; a forked child gets its own.

    Without ``host_tag`` it begins with that of the environment when the first id was made, or
    one made of the host's name.

    Raises:
        ConfigError: the environment has one that no id can have.
    """
    global _worker, _host
    if _worker is None or _worker[0] != os.getpid():
        _worker = (os.getpid(), "".join(secrets.choice(_ALPHABET) for _ in range(4)))
    if not host_tag:
        if _host is None:
            _host = _host_tag()
        host_tag = _host
    return host_tag + _worker[1]


def random_part() -> str:
    """Return 14 fresh characters of ``[A-Za-z0-9_-]``: 84 random bits."""
    return secrets.token_urlsafe(11)[:_RANDOM_CHARS]


def new_id(random: Callable[[], str] | None = None, host_tag: str | None = None) -> str:
    """Return a new 20-character id. Any thread.

    ``random`` supplies the 14 random characters instead of `random_part`.
    """
    if random is None:
        return worker_prefix(host_tag) + random_part()
    part = random()
    if _RANDOM_PART.fullmatch(part) is None:
        raise ConfigError("generate_id must return 14 characters of [A-Za-z0-9_-]")
    return worker_prefix(host_tag) + part
