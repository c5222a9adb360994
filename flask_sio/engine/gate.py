"""Which requests are refused before a session is touched.

The rules are data, in the order of engine.io's ``Server.verify``; the first that applies
wins. What needs a session's state beyond its transport (overlap, a second upgrade) is not
decided here. OPTIONS never comes here: ``CorsPolicy.preflight`` answers it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from flask_sio.engine import http
from flask_sio.engine.cors import is_legal

_SID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_REVISION = re.compile(r"[0-9]{1,3}")
_PAGE = re.compile(r"https?://[^/?#]+")
_REVISION_4 = "revision 4 (socket.io-client 3 and 4)"


class Session(Protocol):
    """What the gate reads of a connection."""

    @property
    def transport_name(self) -> str: ...
    @property
    def revision(self) -> str: ...


class Origins(Protocol):
    """What the gate asks about the origin; ``CorsPolicy`` answers."""

    def allows(self, environ: Mapping[str, Any]) -> bool: ...


class GateOptions(Protocol):
    """What the gate reads of ``ServerOptions``."""

    @property
    def transports(self) -> Collection[str]: ...
    @property
    def cors(self) -> Origins: ...
    @property
    def revisions(self) -> Collection[str]:
        """The values of ``EIO`` that are served."""

    @property
    def jsonp(self) -> bool: ...


@dataclass(slots=True)
class EngineRequest:
    """One request for the endpoint, read once."""

    method: str
    transport: str
    eio: str
    sid: str = field(repr=False)
    """Empty for a handshake."""
    is_upgrade: bool
    """A GET that asks for a WebSocket."""
    origin: str
    """Empty without an ``Origin`` header."""
    query: dict[str, str] = field(repr=False)
    environ: Mapping[str, Any] = field(repr=False)
    added: list[tuple[str, str]] = field(default_factory=list, repr=False)
    """Headers that hooks have set for the answer, if it is no refusal."""

    @property
    def content_type(self) -> str:
        return _text(self.environ, "CONTENT_TYPE")

    @classmethod
    def from_environ(cls, environ: Mapping[str, Any]) -> EngineRequest:
        """Read a WSGI environ. Never raises."""
        query = http.parse_query(environ)
        method = _text(environ, "REQUEST_METHOD").upper()
        return cls(
            method=method,
            transport=query.get("transport", ""),
            eio=query.get("EIO", ""),
            sid=query.get("sid", ""),
            is_upgrade=method == "GET" and _asks_websocket(environ),
            origin=_text(environ, "HTTP_ORIGIN"),
            query=query,
            environ=environ,
        )


@dataclass(slots=True, frozen=True)
class Refusal:
    """Why a request is refused; the peer gets ``code`` and ``message`` only.

    The message is fixed, but for the revision of a client that speaks a wrong one.
    """

    code: int
    context: str
    """engine.io's name of the reason, for logs and ``connection_error``; may be empty."""
    message: str


class Rule(NamedTuple):
    """``refuses(request, session, options)`` tells whether ``code`` is the answer."""

    refuses: Callable[[EngineRequest, Session | None, GateOptions], bool]
    code: int
    context: str
    advice: Callable[[EngineRequest, GateOptions], str] | None = None
    """Gives the message where the code's own does not say what to change."""


def check(
    request: EngineRequest, lookup: Callable[[str], Session | None], options: GateOptions
) -> Refusal | None:
    """Give the first reason to refuse the request, or None.

    ``lookup`` finds a connection by its sid; it is asked only for a sid of a sane shape.
    A WebSocket upgrade of a session that is no longer on polling passes: it is accepted and
    closed by the caller, as engine.io does.
    """
    session = lookup(request.sid) if _SID.fullmatch(request.sid) else None
    for refuses, code, context, advice in RULES:
        if refuses(request, session, options):
            message = http.ERRORS[code][1] if advice is None else advice(request, options)
            return Refusal(code, context, message)
    return None


def matches(path_info: str, path: str) -> bool:
    """Tell whether a request path is the endpoint's or below it.

    ``path`` has no outer slashes: ``"socket.io"`` serves ``/socket.io``, ``/socket.io/`` and
    what follows, not ``/socket.iox``.
    """
    if not path.isascii():  # WSGI hands UTF-8 over as latin-1
        path = path.encode().decode("latin-1")
    end = len(path) + 1
    return (
        path_info.startswith(path, 1)
        and path_info[:1] == "/"
        and path_info[end : end + 1] in ("", "/")
    )


def _text(environ: Mapping[str, Any], key: str) -> str:
    value = environ.get(key)
    return value if isinstance(value, str) else ""


def _asks_websocket(environ: Mapping[str, Any]) -> bool:
    upgrade = _text(environ, "HTTP_UPGRADE")
    return bool(upgrade) and "websocket" in [item.strip() for item in upgrade.lower().split(",")]


def _is_ancient(request: EngineRequest, _: Session | None, __: GateOptions) -> bool:
    """Tell whether this is the first request of a Socket.IO 0.9 client, ``/socket.io/1/?t=``."""
    if request.eio or request.transport:
        return False
    return _text(request.environ, "PATH_INFO").endswith("/1/")


def _unknown_transport(request: EngineRequest, _: Session | None, options: GateOptions) -> bool:
    return request.transport not in options.transports


def _illegal_origin(request: EngineRequest, _: Session | None, __: GateOptions) -> bool:
    return not is_legal(request.origin)


def _unknown_sid(request: EngineRequest, session: Session | None, _: GateOptions) -> bool:
    return bool(request.sid) and session is None


def _upgrade_to_polling(request: EngineRequest, _: Session | None, __: GateOptions) -> bool:
    return request.is_upgrade and request.transport != "websocket"


def _other_transport(request: EngineRequest, session: Session | None, _: GateOptions) -> bool:
    if session is None or request.is_upgrade:
        return False
    return session.transport_name != request.transport


def _other_revision(request: EngineRequest, session: Session | None, _: GateOptions) -> bool:
    return session is not None and request.eio != session.revision


def _bad_method(request: EngineRequest, session: Session | None, _: GateOptions) -> bool:
    return session is None and request.method != "GET"


def _no_upgrade(request: EngineRequest, _: Session | None, __: GateOptions) -> bool:
    return request.transport == "websocket" and not request.is_upgrade


def _refused_origin(request: EngineRequest, session: Session | None, options: GateOptions) -> bool:
    # A poll of a session is left alone: its secret sid says more than its origin.
    if session is not None and not request.is_upgrade:
        return False
    environ = request.environ
    if not request.origin and is_jsonp(request):
        environ = {**environ, "HTTP_ORIGIN": _page_of_script(environ)}
    return not options.cors.allows(environ)


def _page_of_script(environ: Mapping[str, Any]) -> str:
    """Return the origin of the page whose script tag asks; such requests have no ``Origin``.

    Empty where nothing tells: an old browser's page that hides itself gets in.
    """
    page = _PAGE.match(_text(environ, "HTTP_REFERER"))
    if page is not None:
        return page[0]
    site = _text(environ, "HTTP_SEC_FETCH_SITE")
    return "null" if site in ("cross-site", "same-site") else ""


def _unserved_revision(
    request: EngineRequest, session: Session | None, options: GateOptions
) -> bool:
    return session is None and request.eio not in options.revisions


def _unwanted_jsonp(request: EngineRequest, session: Session | None, options: GateOptions) -> bool:
    return session is None and is_jsonp(request) and not options.jsonp


def is_jsonp(request: EngineRequest) -> bool:
    """Tell whether a handshake asks for polling by script tags, as only revision 3 does."""
    return request.eio == "3" and request.transport == "polling" and "j" in request.query


def _revision_advice(request: EngineRequest, options: GateOptions) -> str:
    serves_3 = "3" in options.revisions
    ours = "revisions 3 and 4 (socket.io-client 1 to 4)" if serves_3 else _REVISION_4
    if request.eio == "3":  # and it is served no more
        theirs = "Engine.IO revision 3 (socket.io-client 1 or 2)"
        todo = "update the client, or let the server have allow_eio3=True"
    elif _is_ancient(request, None, options):
        theirs, todo = "Socket.IO 0.9", "use socket.io-client 4"
    elif _REVISION.fullmatch(request.eio):
        theirs, todo = f"Engine.IO revision {request.eio}", "use socket.io-client 4"
    else:
        theirs, todo = "no known revision of Engine.IO", "its requests need EIO=4"
    message = http.ERRORS[5][1]
    return f"{message}: this client speaks {theirs}, this server {ours}; {todo}"


def _jsonp_advice(_: EngineRequest, __: GateOptions) -> str:
    return "JSONP polling is off; it needs jsonp=True on the server"


RULES = (
    Rule(_is_ancient, 5, "", _revision_advice),
    Rule(_unknown_transport, 0, ""),
    Rule(_illegal_origin, 3, "INVALID_ORIGIN"),
    Rule(_unknown_sid, 1, ""),
    Rule(_upgrade_to_polling, 3, "TRANSPORT_MISMATCH"),
    Rule(_other_transport, 3, "TRANSPORT_MISMATCH"),
    Rule(_other_revision, 3, "PROTOCOL_MISMATCH"),
    Rule(_bad_method, 2, ""),
    Rule(_no_upgrade, 3, "TRANSPORT_HANDSHAKE_ERROR"),
    Rule(_refused_origin, 4, "INVALID_ORIGIN"),
    Rule(_unserved_revision, 5, "", _revision_advice),
    Rule(_unwanted_jsonp, 3, "JSONP_OFF", _jsonp_advice),
)
