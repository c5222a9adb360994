"""The cookie that lets a load balancer keep a client on one worker.

It is sent with the polling handshake and never read back: the sid in the query decides.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime, formatdate
from typing import Any

from flask_sio.errors import ConfigError

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 6265 §4.1.1
_ATTRIBUTE = re.compile(r"[\x20-\x3a\x3c-\x7e]+")  # any character but controls and ";"
_SID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MAX_AGE_LIMIT_S = 10**15
_SAME_SITE = {"lax": "Lax", "strict": "Strict", "none": "None"}
_DEFAULTS = {"name": "io", "path": "/", "httponly": True, "samesite": "Lax"}


class EngineCookie:
    """Writes the ``Set-Cookie`` header of a polling handshake.

    ``option`` is None (no cookie), the cookie's name, or a dict of ``name`` and attributes,
    spelled as in Python or in Node; a function as a value is called for each cookie.

    Raises:
        ConfigError: the option cannot be written as a cookie.
    """

    __slots__ = ("_attributes", "_fixed", "_name")

    def __init__(self, option: Any = None) -> None:
        self._name: str | None = None
        self._attributes: list[tuple[str, Any]] = []
        self._fixed: str | None = None
        """All attributes as text, where none is a function."""
        if option is None:
            return
        values = dict(_DEFAULTS)
        values.update({"name": option} if isinstance(option, str) else _read(option))
        name = values.pop("name")
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            raise _refuse("name", name, "a name of letters, digits and -_.")
        self._name = name
        self._attributes = [(key, values[key]) for key in _WRITERS if key in values]
        text = "".join(
            _attribute(key, value) for key, value in self._attributes if not callable(value)
        )
        if not any(callable(value) for _, value in self._attributes):
            self._fixed = text

    def set_cookie(self, sid: str) -> tuple[str, str] | None:
        """Give the header for a new session; None without a cookie.

        Raises:
            ConfigError: a function gave a value that cannot be written.
        """
        if self._name is None:
            return None
        if not _SID.fullmatch(sid):
            raise ConfigError("generate_id: accepted are up to 64 of A-Z a-z 0-9 _ -")
        text = self._fixed
        if text is None:
            text = "".join(
                _attribute(key, value() if callable(value) else value)
                for key, value in self._attributes
            )
        return ("Set-Cookie", f"{self._name}={sid}{text}")


def _read(option: object) -> dict[str, Any]:
    if not isinstance(option, Mapping):
        raise ConfigError(f"cookie={option!r}: accepted are None, a name, or a dict")
    values: dict[str, Any] = {}
    for key, value in option.items():
        known = str(key).replace("_", "").replace("-", "").lower()
        if known != "name" and known not in _WRITERS:
            names = ", ".join(["name", *_WRITERS])
            raise ConfigError(f"cookie: unknown attribute {key!r}; accepted are {names}")
        values[known] = value
    return values


def _attribute(key: str, value: Any) -> str:
    """Write one attribute as ``"; Path=/"``, or as nothing where it is off."""
    if value is None or value is False:
        return ""
    label, write = _WRITERS[key]
    text = write(value)
    if text is None:
        raise _refuse(key, value, _ACCEPTED[key])
    return f"; {label}={text}" if text else f"; {label}"


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and _ATTRIBUTE.fullmatch(value) else None


def _path(value: Any) -> str | None:
    return "/" if value is True else _text(value)


def _flag(value: Any) -> str | None:
    # Node takes any truthy value; a word such as "False" is more likely a mistake.
    return "" if value is True or value in (1, "true", "True") else None


def _same_site(value: Any) -> str | None:
    if value is True:  # as Node's cookie module
        return "Strict"
    return _SAME_SITE.get(value.lower()) if isinstance(value, str) else None


def _max_age(value: Any) -> str | None:
    if isinstance(value, timedelta):
        return str(int(value.total_seconds()))
    if isinstance(value, str):
        return value if re.fullmatch(r"-?[0-9]{1,15}", value) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return str(int(value)) if abs(value) < _MAX_AGE_LIMIT_S else None  # nan is not less


def _expires(value: Any) -> str | None:
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=timezone.utc)
        try:
            return format_datetime(aware.astimezone(timezone.utc), usegmt=True)
        except OverflowError:
            return None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return formatdate(value, usegmt=True)
        except (ValueError, OverflowError, OSError):
            return None
    return _text(value)


_WRITERS: dict[str, tuple[str, Callable[[Any], str | None]]] = {
    "path": ("Path", _path),
    "domain": ("Domain", _text),
    "maxage": ("Max-Age", _max_age),
    "expires": ("Expires", _expires),
    "httponly": ("HttpOnly", _flag),
    "secure": ("Secure", _flag),
    "samesite": ("SameSite", _same_site),
}
"""Attribute, without ``_`` and in lower case -> (name on the wire, writer), in wire order."""

_ACCEPTED = {
    "path": "a path, True or False",
    "domain": "a domain",
    "maxage": "seconds or a timedelta",
    "expires": "a datetime, a timestamp or an HTTP date",
    "httponly": "True or False",
    "secure": "True or False",
    "samesite": "'Lax', 'Strict' or 'None'",
}


def _refuse(key: str, value: object, accepted: str) -> ConfigError:
    return ConfigError(f"cookie: {key}={value!r}: accepted is {accepted}")
