"""Which pages may talk to this server, and the CORS headers that tell browsers so.

Rules of this file: a request without ``Origin`` is allowed (no browser page sent it);
headers go to an allowed origin only; ``*`` never stands beside credentials.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from inspect import Parameter, isawaitable, signature
from typing import Any

from flask_sio.coroutines import is_async
from flask_sio.engine.http import Headers, Response
from flask_sio.engine.proxies import Proxies
from flask_sio.errors import ConfigError

Environ = Mapping[str, Any]
Check = Callable[[str, Environ], bool]

_MAX_ORIGIN_CHARS = 1024  # keeps a user's slow regex from long input
MAX_AGE_S = 600.0  # a change of policy reaches every browser within ten minutes
_ILLEGAL = re.compile(r"[^\x20-\x7e\x80-\xff]")
_ORIGIN = re.compile(
    r"([a-z][a-z0-9+.-]*)://(\[[0-9a-f:.]+\]|[^\s/?#@,:*\[\]]*)(?::([0-9]{1,5}))?",
    re.IGNORECASE | re.ASCII,
)
_HOST = re.compile(
    r"(\[[0-9a-f:.]+\]|[^\s/?#@,:*\[\]]+)(?::([0-9]{1,5}))?", re.IGNORECASE | re.ASCII
)
_HEADER_NAMES = re.compile(
    r"[A-Za-z0-9!#$%&'*+.^_`|~-]+(?:[ \t]*,[ \t]*[A-Za-z0-9!#$%&'*+.^_`|~-]+)*"
)
_MAX_HEADER_NAMES_CHARS = 1024
_POSITIONAL = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_STARRED = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_ACCEPTED = (
    "None (same origin), '*', an origin such as 'https://example.com', a compiled regular "
    "expression, a list of these, or a function, not async, of (origin) or (origin, environ)"
)


class CorsPolicy:
    """Decides about the ``Origin`` of requests. Any thread; holds no state.

    Raises:
        ConfigError: ``cors_allowed_origins`` or ``trusted_proxies`` cannot work.
    """

    __slots__ = ("_all", "_check", "_credentials", "_headers", "_max_age", "_proxies", "_shares")

    def __init__(
        self,
        allowed_origins: Any = None,
        credentials: bool = True,
        trusted_proxies: Iterable[str] | str | Proxies = (),
        request_headers: tuple[str, ...] | None = None,
        max_age_s: float = MAX_AGE_S,
    ) -> None:
        """Pages of other origins may send ``request_headers``, None is any."""
        if not isinstance(trusted_proxies, Proxies):
            trusted_proxies = Proxies(trusted_proxies)
        self._proxies = trusted_proxies
        self._credentials = credentials
        self._headers = None if request_headers is None else ", ".join(request_headers)
        self._max_age = str(int(max_age_s))
        self._all = _is_star(allowed_origins)
        # Same origin needs no header: browsers ask for none.
        self._shares = allowed_origins is not None
        self._check: Check = (
            self._same_origin if allowed_origins is None else _compile(allowed_origins)
        )

    def allows(self, environ: Environ) -> bool:
        """Tell whether the page that made this request may talk to us.

        What a function given as ``cors_allowed_origins`` raises passes through.
        """
        origin = environ.get("HTTP_ORIGIN")
        if not origin or self._all:
            return True
        if len(origin) > _MAX_ORIGIN_CHARS or not is_legal(origin):
            return False
        return bool(self._check(origin, environ))

    def headers(self, environ: Environ) -> Headers:
        """Give the CORS headers of an answer, refusals included.

        Without a right to any it is ``Vary`` alone: another origin is answered otherwise.
        """
        origin = environ.get("HTTP_ORIGIN")
        if not origin or not self._shares or not is_legal(origin) or not self.allows(environ):
            return [("Vary", "Origin")]
        if self._all and not self._credentials:
            return [("Access-Control-Allow-Origin", "*"), ("Vary", "Origin")]
        headers = [("Access-Control-Allow-Origin", origin), ("Vary", "Origin")]
        if self._credentials:
            headers.append(("Access-Control-Allow-Credentials", "true"))
        return headers

    def preflight(self, environ: Environ) -> Response:
        """Answer an OPTIONS request; needs no sid and touches no session."""
        headers = self.headers(environ)
        if headers[0][0] != "Access-Control-Allow-Origin":
            return Response("204 No Content", headers)
        headers.append(("Access-Control-Allow-Methods", "GET, POST, OPTIONS"))
        asked = environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS")
        if self._headers is not None:
            if self._headers:
                headers.append(("Access-Control-Allow-Headers", self._headers))
        elif asked:
            if len(asked) <= _MAX_HEADER_NAMES_CHARS and _HEADER_NAMES.fullmatch(asked):
                headers.append(("Access-Control-Allow-Headers", asked))
            headers.append(("Vary", "Access-Control-Request-Headers"))
        headers.append(("Access-Control-Max-Age", self._max_age))
        return Response("204 No Content", headers)

    def _same_origin(self, origin: str, environ: Environ) -> bool:
        """Compare host and port; TLS may end at a proxy, so the scheme says nothing.

        A host without a port, or with the default one of the scheme it was asked by,
        stands for the default port of the origin's scheme.
        """
        found = _ORIGIN.fullmatch(origin)
        default = _DEFAULT_PORTS.get(found[1].lower()) if found else None
        if found is None or default is None:
            return False
        scheme, host = self._asked(environ)
        asked = _HOST.fullmatch(host)
        if asked is None or asked[1].lower() != found[2].lower():
            return False
        port = int(asked[2]) if asked[2] else None
        if port == _DEFAULT_PORTS.get(scheme):
            port = None
        return (int(found[3]) if found[3] else default) == (default if port is None else port)

    def _asked(self, environ: Environ) -> tuple[str, str]:
        """Give the (scheme, host with port) the client asked for, as far as we may know."""
        scheme = environ.get("wsgi.url_scheme") or "http"
        host = environ.get("HTTP_HOST")
        if not host:
            host = f"{environ.get('SERVER_NAME', '')}:{environ.get('SERVER_PORT', '')}"
        scheme = self._proxies.forwarded(environ, "HTTP_X_FORWARDED_PROTO") or scheme
        host = self._proxies.forwarded(environ, "HTTP_X_FORWARDED_HOST") or host
        return scheme.lower(), host


def is_header_name(name: str) -> bool:
    """Tell whether a text is the name of one header."""
    return "," not in name and _HEADER_NAMES.fullmatch(name) is not None


def is_legal(origin: str) -> bool:
    """Tell whether an ``Origin`` holds only characters a header value may have."""
    return _ILLEGAL.search(origin) is None


def _is_star(allowed: Any) -> bool:
    if isinstance(allowed, (list, tuple, set, frozenset)):
        return any(isinstance(item, str) and item == "*" for item in allowed)
    return isinstance(allowed, str) and allowed == "*"


def _compile(allowed: Any) -> Check:
    """Turn the option into one function of (origin, environ)."""
    if callable(allowed):
        return _predicate(allowed)
    items = allowed if isinstance(allowed, (list, tuple, set, frozenset)) else [allowed]
    texts: set[str] = set()
    patterns: list[re.Pattern[str]] = []
    for item in items:
        if isinstance(item, re.Pattern) and isinstance(item.pattern, str):
            patterns.append(item)
        elif isinstance(item, str):
            texts.add(_canonical(_checked(item)))
        else:
            raise _refuse(item)

    def check(origin: str, environ: Environ) -> bool:
        if origin in texts or _canonical(origin) in texts:
            return True
        # fullmatch: "https://a.example.com" must not let "https://a.example.com.evil" in
        return any(pattern.fullmatch(origin) for pattern in patterns)

    return check


def _predicate(function: Callable[..., Any]) -> Check:
    """Read the arity once: (origin) or (origin, environ)."""
    if is_async(function):
        raise _refuse(function)
    try:
        parameters = signature(function).parameters.values()
    except (TypeError, ValueError):  # a builtin that tells nothing takes one
        return lambda origin, environ: _is_yes(function(origin))
    positional = [p for p in parameters if p.kind in _POSITIONAL]
    needed = [p for p in parameters if p.default is Parameter.empty and p.kind not in _STARRED]
    starred = any(p.kind is Parameter.VAR_POSITIONAL for p in parameters)
    if len(needed) > 2 or not set(needed) <= set(positional) or not (positional or starred):
        raise _refuse(function)
    # An optional second one is ours by its name only: it may bind a value of the user's.
    second = positional[1] if len(positional) > 1 else None
    if starred or (second is not None and (second in needed or second.name == "environ")):
        return lambda origin, environ: _is_yes(function(origin, environ))
    return lambda origin, environ: _is_yes(function(origin))


def _is_yes(answer: Any) -> bool:
    """Read a function's answer; one that nobody has awaited is none."""
    return bool(answer) and not isawaitable(answer)


def _checked(origin: str) -> str:
    """Refuse a configured origin that no browser would ever send."""
    text = origin.strip()
    if text in ("*", "null"):
        return text
    text = text[:-1] if text.endswith("/") and not text.endswith("//") else text
    found = _ORIGIN.fullmatch(text)
    # Browsers send names in punycode, so other letters would never match.
    if not found or not text.isascii() or not is_legal(text):
        raise _refuse(origin)
    if not found[2] and found[1].lower() in _DEFAULT_PORTS:
        raise _refuse(origin)
    return text


def _canonical(origin: str) -> str:
    """Write scheme and host in lower case, without a default port."""
    found = _ORIGIN.fullmatch(origin)
    if found is None:
        return origin
    scheme, host = found[1].lower(), found[2].lower()
    port = int(found[3]) if found[3] else None
    if port is None or port == _DEFAULT_PORTS.get(scheme):
        return f"{scheme}://{host}"
    return f"{scheme}://{host}:{port}"


def _refuse(value: object) -> ConfigError:
    return ConfigError(f"cors_allowed_origins={value!r}: accepted are {_ACCEPTED}")
