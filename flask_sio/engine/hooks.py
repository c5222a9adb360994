"""What a program is asked and told about requests: admission, refusals, headers of answers.

Rules of this file: it calls user code, so nothing of it runs in the owner's turn; what user
code raises is logged once and changes no answer, but for ``allow_request``, which refuses.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from inspect import isawaitable
from typing import Any, NamedTuple
from wsgiref.headers import Headers

from flask_sio.engine.gate import EngineRequest, Refusal
from flask_sio.engine.http import ALLOW_REQUEST, ERRORS
from flask_sio.errors import ConnectionRefusedError

__all__ = ["ConnectionFailure", "EngineHooks", "Headers", "HeadersHook"]

logger = logging.getLogger("flask_sio.engine")

Pairs = list[tuple[str, str]]
HeadersHook = Callable[[Headers, dict[str, Any]], object]

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_OURS = frozenset(
    {
        "connection",
        "content-encoding",
        "content-length",
        "date",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that say how an answer travels: a hook that sets one would break it."""
_ADDED = frozenset({"set-cookie", "vary"})
"""Headers that stand beside those of the same name; others replace them."""
_FORBIDDEN = ERRORS[4][1]


class ConnectionFailure(NamedTuple):
    """A request that was refused, as `Server.on_connection_error` gets it."""

    code: int
    """Engine.IO's: 0 unknown transport, 1 unknown session, 2 bad handshake method, 3 bad
    request, 4 forbidden, 5 unsupported protocol version."""
    message: str
    """What the client was told."""
    context: Mapping[str, Any]
    """What the code does not say, for logs: ``{"name": "INVALID_ORIGIN", "origin": ...}``."""
    environ: dict[str, Any]
    """The WSGI environ of the request."""

    def __repr__(self) -> str:
        # It is there to be logged, and the environ holds cookies and a live id.
        return f"<{type(self).__name__} {self.code} {self.message!r} {dict(self.context)!r}>"


class EngineHooks:
    """The functions that were registered. Any thread."""

    __slots__ = ("_said", "connection_error", "headers", "initial_headers", "surround")

    def __init__(self) -> None:
        self.connection_error: tuple[Callable[[ConnectionFailure], object], ...] = ()
        self.initial_headers: tuple[HeadersHook, ...] = ()
        self.headers: tuple[HeadersHook, ...] = ()
        self.surround: Callable[[dict[str, Any]], AbstractContextManager[Any]] = _nothing
        """Gives the context in which the framework wants these functions called."""
        self._said: set[tuple[Callable[..., object], str]] = set()

    # -- admission ---------------------------------------------------------------------

    def admits(
        self, allow_request: Callable[[dict[str, Any]], Any], request: EngineRequest
    ) -> Refusal | None:
        """Ask whether a client may come at all; give what it is told if not."""
        environ = dict(request.environ)
        try:
            with self.surround(environ):
                answer = allow_request(environ)
            if isawaitable(answer):
                raise TypeError("its answer was not awaited")
        except ConnectionRefusedError as error:
            answer = error.payload["message"] if error.args else False
        except Exception as error:  # noqa: BLE001 # user code
            self._log(allow_request, "allow_request failed, which refuses: %r (said once)", error)
            answer = False
        if answer and not isinstance(answer, str):
            return None
        return Refusal(4, ALLOW_REQUEST, answer or _FORBIDDEN)

    # -- refusals ----------------------------------------------------------------------

    def refused(self, request: EngineRequest, refusal: Refusal) -> None:
        """Tell who listens of a request that is refused."""
        if not self.connection_error:
            return
        environ = dict(request.environ)
        failure = ConnectionFailure(
            refusal.code, refusal.message, _context(request, refusal), environ
        )
        for fn in self.connection_error:
            try:
                with self.surround(environ):
                    fn(failure)
            except Exception as error:  # noqa: BLE001 # user code
                self._log(fn, "a connection_error hook failed: %r (said once)", error)

    # -- headers -----------------------------------------------------------------------

    def add_headers(self, request: EngineRequest) -> Pairs:
        """Return what the hooks add to the answer of a request."""
        hooks = self.headers if request.sid else (*self.initial_headers, *self.headers)
        if not hooks:
            return []
        added: Pairs = []
        environ = dict(request.environ)
        for fn in hooks:
            headers = Headers([])
            try:
                with self.surround(environ):
                    fn(headers, environ)
            except Exception as error:  # noqa: BLE001 # user code
                self._log(fn, "a headers hook failed: %r (said once)", error)
                continue
            added = merged(added, self._sound(fn, headers.items()))
        return added

    def _sound(self, fn: HeadersHook, headers: Iterable[tuple[str, str]]) -> Pairs:
        """Leave out what no answer can carry."""
        sound: Pairs = []
        for name, value in headers:
            small = name.lower()
            if (
                small in _OURS
                or small.startswith("sec-websocket-")
                or _NAME.fullmatch(name) is None
                or _VALUE.fullmatch(value) is None
            ):
                self._log(fn, "a headers hook set %r, which was left out (said once)", name)
            else:
                sound.append((name, value))
        return sound

    def _log(self, fn: Callable[..., object], line: str, what: object) -> None:
        if (fn, line) not in self._said:
            self._said.add((fn, line))
            error = what if isinstance(what, Exception) else None
            logger.error(line, what, exc_info=error)


def merged(headers: Pairs, added: Pairs) -> Pairs:
    """Return headers with what hooks have set in the place of those of the same name."""
    if not added:
        return headers
    replaced = {name.lower() for name, _ in added} - _ADDED
    return [each for each in headers if each[0].lower() not in replaced] + added


def _context(request: EngineRequest, refusal: Refusal) -> dict[str, Any]:
    """Say what the code leaves open. Never a sid: one of another worker is a live secret."""
    context: dict[str, Any] = {"name": refusal.context} if refusal.context else {}
    if refusal.code == 0 or refusal.context == "TRANSPORT_MISMATCH":
        context["transport"] = request.transport
    elif refusal.code == 2:
        context["method"] = request.method
    elif refusal.context == "INVALID_ORIGIN":
        context["origin"] = request.origin
    elif refusal.code == 5 or refusal.context == "PROTOCOL_MISMATCH":
        context["protocol"] = request.eio
    return context


def _nothing(environ: dict[str, Any]) -> AbstractContextManager[Any]:
    return nullcontext()
