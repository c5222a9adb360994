"""Plain HTTP over WSGI: answers, query string, request body.

Rules of this file: no framework; hop-by-hop headers never go through ``start_response``
(wsgiref asserts that), only ``Response.raw`` writes them; whatever a client sends ends in
a value or in a ``ProtocolError``.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any, Protocol
from urllib.parse import unquote_to_bytes

from flask_sio.errors import PacketError, PayloadTooBig, ProtocolError

Headers = list[tuple[str, str]]

ERRORS: dict[int, tuple[str, str]] = {
    0: ("400 Bad Request", "Transport unknown"),
    1: ("400 Bad Request", "Session ID unknown"),
    2: ("400 Bad Request", "Bad handshake method"),
    3: ("400 Bad Request", "Bad request"),
    4: ("403 Forbidden", "Forbidden"),
    5: ("400 Bad Request", "Unsupported protocol version"),
}
"""Code -> (status of a plain HTTP answer, message). Source: engine.io 6, *server errors*."""

ALLOW_REQUEST = "ALLOW_REQUEST"
"""The context of a refusal that is the program's own."""

HEALTH_S = 2.0
"""A worker whose loop does not answer for so long is not fit for more clients."""

_CHUNK_BYTES = 65536
_MAX_LENGTH_DIGITS = 18  # int() of a long digit run is slow, and refused beyond 4300
_GZIP_WBITS = 31
_ZLIB_WBITS = 15
_WBITS = {"gzip": _GZIP_WBITS, "deflate": _ZLIB_WBITS}
# A header line never continues: like Go's net/http, line ends in a value become spaces.
_ONE_LINE = str.maketrans("\r\n\0", "   ")


class Refused(Protocol):
    """What `refusal` reads of the gate's answer."""

    @property
    def code(self) -> int: ...
    @property
    def context(self) -> str: ...
    @property
    def message(self) -> str: ...


class BodyAborted(ProtocolError, ConnectionError):
    """The peer went away before its request body was whole."""


@dataclass(slots=True)
class Response:
    """One whole answer; ``Content-Length`` is added when it is sent."""

    status: str
    """Code and phrase, ``"200 OK"``."""
    headers: Headers
    body: bytes = b""

    def send(self, start_response: Callable[..., Any], *, head: bool = False) -> list[bytes]:
        """Answer through WSGI; return the iterable for the server.

        ``head`` leaves the body out and keeps its length, for a HEAD request.
        """
        headers = [*self.headers, ("Content-Length", str(len(self.body)))]
        start_response(self.status, headers)
        return [] if head or not self.body else [self.body]

    def raw(self) -> bytes:
        """Give the bytes of the answer, for a socket taken from its server.

        HTTP/1.1 with ``Connection: close``, ``Date`` and ``Content-Length``. Never raises.
        """
        lines = [f"HTTP/1.1 {self.status}", f"Date: {formatdate(usegmt=True)}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        lines += [f"Content-Length: {len(self.body)}", "Connection: close"]
        head = "\r\n".join(line.translate(_ONE_LINE) for line in lines)
        return head.encode("latin-1", "replace") + b"\r\n\r\n" + self.body


def error(code: int, message: str | None = None) -> Response:
    """Refuse a plain HTTP request: ``{"code":1,"message":"Session ID unknown"}``.

    ``message`` replaces the fixed text.
    """
    status, text = ERRORS[code]
    body = json.dumps({"code": code, "message": message or text}, separators=(",", ":"))
    return Response(status, [("Content-Type", "application/json"), *private()], body.encode())


def ws_error(code: int, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    """Refuse a WebSocket upgrade before its 101: always 400, the fixed text.

    ``headers`` is for what a refusal must carry, ``Sec-WebSocket-Version`` for one.
    """
    content_type = ("Content-Type", "text/plain; charset=UTF-8")
    body = ERRORS[code][1].encode()
    return Response("400 Bad Request", [content_type, *private(), *headers], body)


def refusal(is_upgrade: bool, refused: Refused) -> Response:
    """Refuse a request as the gate, or the program, wants it."""
    if not is_upgrade:
        return error(refused.code, refused.message)
    response = ws_error(refused.code)
    response.body = refused.message.encode("utf-8", "replace")
    if refused.context == ALLOW_REQUEST:  # a 403 there too
        response.status = ERRORS[refused.code][0]
    return response


def poll_answer(payload: bytes, content_type: str = "text/plain; charset=UTF-8") -> Response:
    """Answer a GET with an encoded payload."""
    return Response("200 OK", [("Content-Type", content_type), *private()], payload)


def post_ok() -> Response:
    """Answer a POST whose packets were all dispatched."""
    return Response("200 OK", [("Content-Type", "text/html"), *private()], b"ok")


def bad_request() -> Response:
    """Answer 400 with no body: an overlapping or undecodable request of a session."""
    return Response("400 Bad Request", private())


def too_large() -> Response:
    """Answer 413 with no body."""
    return Response("413 Content Too Large", private())


def timed_out() -> Response:
    """Answer 408 with no body: the request's own took too long."""
    return Response("408 Request Timeout", private())


def headers_too_large() -> Response:
    """Answer 431 with no body."""
    return Response("431 Request Header Fields Too Large", private())


def too_many() -> Response:
    """Answer 429 with no body: the client's address has its share."""
    return Response("429 Too Many Requests", [("Retry-After", "5"), *private()])


def method_not_allowed() -> Response:
    """Answer 405 with no body: HEAD, PUT and the like on a session."""
    return Response("405 Method Not Allowed", [("Allow", "GET, POST, OPTIONS"), *private()])


def unavailable() -> Response:
    """Answer 503 with no body: no room for another connection."""
    return Response("503 Service Unavailable", [("Retry-After", "5"), *private()])


def health(is_fit: bool, body: dict[str, Any]) -> Response:
    """Answer a health check: 200, or 503 where no more clients should be sent here."""
    status = "200 OK" if is_fit else "503 Service Unavailable"
    content = json.dumps(body, separators=(",", ":")).encode()
    return Response(status, [("Content-Type", "application/json"), *private()], content)


def private() -> Headers:
    """Give the headers of every answer: not kept by caches, nor taken for a script."""
    return [("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")]


def compress(response: Response, accept_encoding: str | None, threshold: int) -> Response:
    """Give the answer compressed when it is worth it and the client takes it.

    Bodies under ``threshold`` bytes come back as they are; gzip wins a tie. An answer that
    might have been compressed says ``Vary: Accept-Encoding`` either way.
    """
    if len(response.body) < threshold or not response.body:
        return response
    headers = _with_vary(response.headers, "Accept-Encoding")
    coding = _best_coding(accept_encoding or "")
    if coding is None:
        return Response(response.status, headers, response.body)
    packer = zlib.compressobj(wbits=_WBITS[coding])
    body = packer.compress(response.body) + packer.flush()
    return Response(response.status, [*headers, ("Content-Encoding", coding)], body)


def _with_vary(headers: Headers, field: str) -> Headers:
    names = [value for name, value in headers if name.lower() == "vary"]
    others = [(name, value) for name, value in headers if name.lower() != "vary"]
    return [*others, ("Vary", ", ".join([*names, field]))]


def _best_coding(accept_encoding: str) -> str | None:
    """Source: RFC 9110 §12.5.3; a weight that cannot be read counts as 0."""
    weights: dict[str, float] = {}
    for item in accept_encoding.lower().split(","):
        name, _, parameters = item.partition(";")
        weights[name.strip().removeprefix("x-")] = _weight(parameters)
    rest = weights.get("*", 0.0)
    best = max(_WBITS, key=lambda name: weights.get(name, rest))  # the first wins a tie
    return best if weights.get(best, rest) > 0 else None


def _weight(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                weight = float(value)
            except ValueError:
                return 0.0
            return weight if 0 <= weight <= 1 else 0.0
    return 1.0


def header_bytes(environ: Mapping[str, Any]) -> int:
    """Count the bytes of a request's headers and query string. Never raises."""
    count = len(environ.get("QUERY_STRING") or "") + len(environ.get("PATH_INFO") or "")
    for name, value in environ.items():
        if name.startswith("HTTP_") and isinstance(value, str):
            count += len(name) + len(value)
    return count


def parse_query(environ: Mapping[str, Any]) -> dict[str, str]:
    """Give the query parameters; of a repeated one the last, blank ones kept.

    Percent-encoded UTF-8 with U+FFFD for what is not; ``+`` is a space. Never raises.
    """
    text = environ.get("QUERY_STRING")
    if not text or not isinstance(text, str):
        return {}
    query: dict[str, str] = {}
    for part in text.split("&"):
        if part:
            name, _, value = part.partition("=")
            query[_unquote(name)] = _unquote(value)
    return query


def _unquote(text: str) -> str:
    if text.isascii() and "%" not in text and "+" not in text:
        return text
    try:  # WSGI hands raw bytes over as latin-1
        quoted = text.encode("latin-1")
    except UnicodeEncodeError:
        quoted = text.encode("utf-8", "replace")
    return unquote_to_bytes(quoted.replace(b"+", b" ")).decode("utf-8", "replace")


def read_body(environ: Mapping[str, Any], limit: int) -> bytes:
    """Read the whole request body, at most ``limit`` bytes.

    Raises:
        PayloadTooBig: more than ``limit``; a declared length is refused unread.
        PacketError: no usable length (none, negative, several, not a number).
        BodyAborted: the peer went away.
    """
    declared = environ.get("CONTENT_LENGTH") or ""
    coded = environ.get("HTTP_TRANSFER_ENCODING") or ""
    if declared and coded:
        # RFC 9112 §6.3: a sign of request smuggling
        raise PacketError("both Content-Length and Transfer-Encoding")
    if declared:
        return _read_exactly(environ, _content_length(str(declared), limit))
    if coded or environ.get("wsgi.input_terminated"):
        return _read_to_end(environ, limit)
    raise PacketError("no Content-Length")


def _content_length(text: str, limit: int) -> int:
    # Servers join repeated headers with a comma: that is no number either.
    digits = text.strip(" \t")
    if not (digits.isascii() and digits.isdigit()):
        raise PacketError("Content-Length is not a number")
    digits = digits.lstrip("0") or "0"
    if len(digits) > _MAX_LENGTH_DIGITS or int(digits) > limit:
        raise PayloadTooBig(f"more than {limit} bytes announced")
    return int(digits)


def _read_exactly(environ: Mapping[str, Any], length: int) -> bytes:
    if not length:
        return b""
    body = _read(environ, length)
    if len(body) == length:  # every common server gives it in one call
        return body
    parts = [body]
    left = length - len(body)
    while left > 0 and parts[-1]:
        parts.append(_read(environ, left))
        left -= len(parts[-1])
    if left:
        raise BodyAborted(f"{left} of {length} bytes missing")
    return b"".join(parts)


def _read_to_end(environ: Mapping[str, Any], limit: int) -> bytes:
    parts: list[bytes] = []
    count = 0
    while part := _read(environ, min(_CHUNK_BYTES, limit + 1 - count)):
        parts.append(part)
        count += len(part)
        if count > limit:
            raise PayloadTooBig(f"more than {limit} bytes sent")
    return b"".join(parts)


def _read(environ: Mapping[str, Any], size: int) -> bytes:
    try:
        data: bytes = environ["wsgi.input"].read(size)
    except Exception as exc:
        # Each server has its own errors for a broken body; to us it is one thing.
        raise BodyAborted(f"reading the body failed: {type(exc).__name__}") from exc
    return data
