"""Who is let in: the server's places, one address's share, the size of a first request.

What a connection's first request says is kept as long as the connection is, so its size
is bounded like everything else that is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flask_sio.engine import http
from flask_sio.engine.http import Response

if TYPE_CHECKING:
    from flask_sio.engine.server import Engine


class Admission:
    """The door of one engine."""

    __slots__ = ("_address_of", "_engine", "_per_address")

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # Both stay empty without max_connections_per_address.
        self._per_address: dict[str, int] = {}
        self._address_of: dict[str, str] = {}

    def refusal(self, environ: Mapping[str, Any]) -> Response | None:
        """Return the answer to a newcomer that is not let in, or None. Any thread."""
        engine, options = self._engine, self._engine.options
        if engine.is_full:
            engine.say_full()
            return http.unavailable()
        if http.header_bytes(environ) > options.max_header_bytes:
            return http.headers_too_large()
        if options.max_connections_per_address is not None:
            address = options.proxies.client_of(environ)
            here = 0 if address is None else self._per_address.get(address, 0)
            if here >= options.max_connections_per_address:
                engine.warn_once(
                    "max_connections_per_address=%d clients of one address are here: more of "
                    "it get 429. Behind a proxy, trusted_proxies must name it (said once)",
                    options.max_connections_per_address,
                )
                return http.too_many()
        return None

    def enter(self, sid: str, environ: Mapping[str, Any]) -> None:
        """Count a connection. Owner's turn."""
        options = self._engine.options
        if options.max_connections_per_address is None:
            return
        address = options.proxies.client_of(environ)
        if address is not None:
            self._address_of[sid] = address
            self._per_address[address] = self._per_address.get(address, 0) + 1

    def leave(self, sid: str) -> None:
        """Count a connection no more. Owner's turn; twice is harmless."""
        address = self._address_of.pop(sid, None)
        if address is not None:
            left = self._per_address.pop(address) - 1
            if left:
                self._per_address[address] = left

    def clear(self) -> None:
        """Forget everybody."""
        self._address_of.clear()
        self._per_address.clear()
