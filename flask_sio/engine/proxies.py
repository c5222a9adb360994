"""Which proxies are believed, and whose requests they forward.

A forwarded header counts only where the peer that sent it is one of ``trusted_proxies``:
anybody can write one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Any

from flask_sio.errors import ConfigError

__all__ = ["Proxies"]

_Address = IPv4Address | IPv6Address
_HOPS = 16
"""Proxies in a row that are looked through."""
_WITH_PORT = re.compile(r"\[([^\]]*)\](?::[0-9]+)?|([0-9.]+):[0-9]+", re.ASCII)
_IPV6_SHARE = 64
"""The bits of an IPv6 address that tell customers apart: each has the other 64 for itself."""


class Proxies:
    """The stated proxies. Any thread; holds no state.

    Raises:
        ConfigError: an entry is no address or network.
    """

    __slots__ = ("_networks",)

    def __init__(self, trusted: Iterable[str] | str = ()) -> None:
        self._networks = _networks(trusted)

    def forwarded(self, environ: Mapping[str, Any], header: str) -> str:
        """Return what the trusted peer put into a header last; "" from anybody else.

        The proxy we trust wrote the last item; those before it came from its client.
        """
        if not self._networks or not self._trusts(_address(environ.get("REMOTE_ADDR"))):
            return ""
        return str(environ.get(header) or "").rpartition(",")[2].strip()

    def client_of(self, environ: Mapping[str, Any]) -> str | None:
        """Return the client's address, or its network of 64 bits under IPv6.

        None where nothing tells: a request over a UNIX socket.
        """
        address = _address(environ.get("REMOTE_ADDR"))
        if address is None:
            return None
        if self._networks and self._trusts(address):
            address = self._behind(address, str(environ.get("HTTP_X_FORWARDED_FOR") or ""))
        if isinstance(address, IPv6Address):
            return str(ip_network((address, _IPV6_SHARE), strict=False))
        return str(address)

    def _behind(self, proxy: _Address, forwarded: str) -> _Address:
        """Return the nearest address that is no trusted proxy's."""
        found = proxy
        for text in reversed(forwarded.rsplit(",", _HOPS)[-_HOPS:]):
            address = _address(text.strip())
            if address is None:
                return found
            found = address
            if not self._trusts(address):
                return found
        return found

    def _trusts(self, address: _Address | None) -> bool:
        return address is not None and any(address in network for network in self._networks)


def _address(text: object) -> _Address | None:
    if not isinstance(text, str):
        return None
    with_port = _WITH_PORT.fullmatch(text)
    if with_port is not None:
        text = with_port[1] or with_port[2] or ""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address


def _networks(proxies: Iterable[str] | str) -> tuple[IPv4Network | IPv6Network, ...]:
    names = [proxies] if isinstance(proxies, str) else proxies
    try:
        return tuple(ip_network(name, strict=False) for name in names if _is_text(name))
    except (ValueError, TypeError) as exc:
        raise ConfigError(
            f"trusted_proxies={proxies!r}: accepted are addresses such as '10.0.0.1' "
            "and networks such as '10.0.0.0/8'"
        ) from exc


def _is_text(name: object) -> bool:
    if not isinstance(name, str):  # ip_network(1) would be 0.0.0.1
        raise TypeError(name)
    return True
