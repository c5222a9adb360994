"""Find the client's socket in a WSGI request, and take it away from the server.

The rules this file holds:

* **Nothing is consumed before it is certain.** `find` only looks: the server can still
  answer the request in its own way. `Found.claim` and `Swap.commit` are the point of no
  return.
* **Everything that can fail comes before ``detach()``.** After it the descriptor belongs
  to nobody, and an exception would strand the client.
* **Never ``dup`` a live descriptor.** libev rebuilds its whole epoll set for it: 24.7 ms
  of hub stall per handshake beside 8,000 idle connections, 0.37 ms with the swap.

A swap gives the server's own socket *object* one end of a dead socketpair. The server
then reads EOF, its writes meet EPIPE and its close closes the decoy, so it ends the
request without a traceback and without a byte on the wire. Finish the WSGI call by
``start_response("101 Switching Protocols", [])`` and ``return []``.
"""

from __future__ import annotations

import _socket
import errno
import io
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "Found",
    "Swap",
    "find",
    "has_socket",
    "plain_socket",
    "server_socket",
    "watch_fd",
]

_SOCKET_KEYS = ("gunicorn.socket", "gunicorn.sock", "werkzeug.socket")
# wsgi.input wraps the reader of the connection: pywsgi and cheroot, werkzeug's chunked
# bodies, Django before 4.2. Django's present LimitedStream keeps the bound method only.
_INNER_STREAMS = ("rfile", "_rfile", "stream")
# Servers that name no socket in the environ are recognised by one of these, and only
# then: a server nobody tried may hand out a reader and still not survive a swap.
_KNOWN_SOFTWARE = ("gevent/", "WSGIServer/")
_KNOWN_INPUTS = ("gevent.", "cheroot.", "django.")
_KNOWN_HANDLERS = ("gevent.pywsgi", "wsgiref.handlers")
_TLS_METHODS = ("getpeercert", "get_peer_certificate")


@dataclass(slots=True)
class Found:
    """A client's connection as the server holds it."""

    sock: Any
    """The server's own socket object, untouched."""
    early: bytes
    """What the server had read ahead of the request: the client's first frames."""
    tls: bool
    """Encrypted in this process: its state is tied to the object, so it is never swapped."""
    handshaken: bool
    """gevent-websocket has sent its 101 already."""
    is_gevent: bool
    """Which runtime drives it, told by the class of the socket."""
    _reader: Any = field(default=None, repr=False)
    _websocket: Any = field(default=None, repr=False)

    @property
    def can_swap(self) -> bool:
        """Whether `Swap` can release the WSGI call; else it has to be parked."""
        return not self.tls and sys.platform != "win32"

    def claim(self) -> None:
        """Make the server forget the early bytes, and gevent-websocket its object.

        `Swap.commit` calls it; a parked call calls it itself before it reads ``sock``.
        May be called again. Never raises.
        """
        if self._websocket is not None:
            self._websocket.closed = True
        if self.early and self._reader is not None:
            _forget(self._reader, len(self.early))
        self._reader = None


def find(environ: dict[str, Any], start_response: Callable[..., Any] | None) -> Found | None:
    """Return the client's socket with the bytes read ahead of it, or None.

    None for a server that shows none (waitress), for one nobody tried, for HTTP/2 (the
    connection is shared), HTTP/1.0 and gunicorn's uwsgi protocol. Works on an upgrade
    and on a plain GET. Call it in the thread or greenlet of the request. Never blocks,
    never raises; the server's socket and buffers are left as they were.
    """
    if environ.get("SERVER_PROTOCOL") != "HTTP/1.1":
        return None
    place = _locate(environ, start_response)
    if place is None:
        return None
    sock, reader, tls = place
    websocket = environ.get("wsgi.websocket")
    return Found(
        sock=sock,
        early=_peek(reader, sock),
        tls=tls,
        handshaken=websocket is not None,
        is_gevent=_is_gevent(sock),
        _reader=reader,
        _websocket=websocket,
    )


def has_socket(environ: dict[str, Any], start_response: Callable[..., Any] | None = None) -> bool:
    """Whether an upgrade through this server can succeed, told from any request of it.

    True for HTTP/1.0 as well, so that the upgrade is tried and its refusal says what
    the proxy lacks. Never blocks, never raises.
    """
    return _locate(environ, start_response) is not None


def watch_fd(environ: dict[str, Any]) -> Any | None:
    """Return the socket that becomes readable when the client of a parked poll leaves.

    It stays the server's: look at it with ``MSG_PEEK`` only. None where the end of the
    connection cannot be told that way: TLS, HTTP/2, no socket. Never raises.
    """
    place = _locate(environ, None)
    return None if place is None or place[2] else place[0]


def server_socket(
    environ: dict[str, Any], start_response: Callable[..., Any] | None = None
) -> Any | None:
    """Return the server's socket of a request that is under way, TLS or not. Never raises."""
    place = _locate(environ, start_response)
    return None if place is None else place[0]


class Swap:
    """Take a found socket out of the server's object, in two steps.

    Between `prepare` and `commit` the caller acquires what else can fail (its watcher,
    its place in the limits); `abandon` ends the attempt and leaves the server as it was.
    """

    __slots__ = ("_class", "_decoy", "_family", "_found", "_proto")

    _class: type[socket.socket]
    _decoy: _socket.socket
    _family: int
    _found: Found
    _proto: int

    @classmethod
    def prepare(cls, found: Found) -> Swap:
        """Acquire everything a swap needs.

        Raises:
            OSError: no descriptor is left, the socket is closed, or it is one that
                cannot be swapped. The server's socket is untouched.
        """
        if not found.can_swap:
            raise OSError(errno.EOPNOTSUPP, "this socket cannot be taken from its server")
        if found.sock.fileno() < 0:
            raise OSError(errno.EBADF, "the server has closed the socket")
        self = cls()
        self._found = found
        self._class = _plain_class()
        self._family = int(found.sock.family)
        self._proto = int(found.sock.proto)
        self._decoy = _dead_end()
        return self

    def commit(self) -> socket.socket:
        """Return the client's descriptor as a plain non-blocking socket of the stdlib.

        Its class is the original one even in a patched process; the number of the
        descriptor does not change. Call it once. Never raises.
        """
        found, sock = self._found, self._found.sock
        found.claim()
        # Files made from the socket keep it open until they are closed too; a fresh
        # __init__ would forget them.
        io_refs = sock._io_refs
        descriptor = sock.detach()
        type(sock).__init__(
            sock, self._decoy.family, socket.SOCK_STREAM, 0, fileno=self._decoy.detach()
        )
        sock._io_refs = io_refs
        mine = self._class(self._family, socket.SOCK_STREAM, self._proto, fileno=descriptor)
        try:
            mine.setblocking(False)
            if self._family in (socket.AF_INET, socket.AF_INET6):
                mine.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            pass  # the client is gone already (macOS answers EINVAL); reading will tell
        return mine

    def abandon(self) -> None:
        """Release what `prepare` acquired; the server keeps its socket."""
        self._decoy.close()


_Place = tuple[Any, Any, bool]  # the server's socket, who holds bytes read ahead, tls


def _locate(environ: dict[str, Any], start_response: Callable[..., Any] | None) -> _Place | None:
    if environ.get("SERVER_PROTOCOL") not in ("HTTP/1.1", "HTTP/1.0"):
        return None
    try:
        # gunicorn tells HTTP/2 here as well.
        if environ.get("HTTP_VERSION") == "2" or _speaks_uwsgi(environ, start_response):
            return None
        sock, reader = _candidates(environ, start_response)
        if sock is None or sock.fileno() < 0:
            return None
        tls = _is_tls(sock)
        return None if tls is None else (sock, reader, tls)
    except Exception:  # foreign objects: whatever they do, the client can still poll
        return None


def _candidates(
    environ: dict[str, Any], start_response: Callable[..., Any] | None
) -> tuple[Any, Any]:
    websocket = environ.get("wsgi.websocket")
    if websocket is not None:
        handler = getattr(websocket, "handler", None)
        return getattr(handler, "socket", None), getattr(handler, "rfile", None)
    reader = _reader(environ.get("wsgi.input"))
    for key in _SOCKET_KEYS:
        sock = environ.get(key)
        if sock is not None:
            return sock, reader
    if reader is None or not _is_known(environ, start_response):
        return None, None
    raw = getattr(reader, "raw", None)
    return getattr(raw, "_sock", None), reader


def _reader(stream: Any) -> Any | None:
    """Return what holds the bytes read ahead: a buffered reader or gunicorn's unreader."""
    for _ in range(4):
        if stream is None:
            return None
        if getattr(getattr(stream, "raw", None), "_sock", None) is not None:
            return stream
        body = getattr(stream, "reader", None)  # gunicorn's Body
        if body is not None:
            holder = body if hasattr(body, "unreader") else getattr(body, "req", None)
            return getattr(holder, "unreader", None)
        stream = _inner(stream)
    return None


def _inner(stream: Any) -> Any | None:
    for name in _INNER_STREAMS:
        inner = getattr(stream, name, None)
        if inner is not None:
            return inner
    return getattr(getattr(stream, "_read", None), "__self__", None)


def _is_known(environ: dict[str, Any], start_response: Callable[..., Any] | None) -> bool:
    if type(environ.get("wsgi.input")).__module__.startswith(_KNOWN_INPUTS):
        return True
    if str(environ.get("SERVER_SOFTWARE", "")).startswith(_KNOWN_SOFTWARE):
        return True
    handler = getattr(start_response, "__self__", None)
    return any(cls.__module__ in _KNOWN_HANDLERS for cls in type(handler).__mro__)


def _speaks_uwsgi(environ: dict[str, Any], start_response: Callable[..., Any] | None) -> bool:
    """Whether gunicorn got this request by ``--protocol uwsgi``: no HTTP on that socket."""
    if "gunicorn.socket" not in environ:
        return False
    requests = [getattr(getattr(start_response, "__self__", None), "req", None)]
    # The request object is nowhere in the environ but in this closure.
    for cell in getattr(environ.get("wsgi.early_hints"), "__closure__", None) or ():
        requests.append(cell.cell_contents)
    return any(type(request).__module__.startswith("gunicorn.uwsgi") for request in requests)


def _peek(reader: Any, sock: Any) -> bytes:
    """Return the bytes the server has read ahead; at most one read, which cannot block."""
    try:
        if reader is None:
            return b""
        buf = getattr(reader, "buf", None)
        if buf is not None:  # gunicorn's unreader
            return bytes(buf.getvalue())
        pending = getattr(reader, "_read_buf", None)
        if pending is not None:  # cheroot: the readers of _pyio
            return bytes(pending[reader._read_pos :])
        timeout = sock.gettimeout()
        sock.settimeout(0.0)
        try:
            return bytes(reader.peek(1))
        finally:
            sock.settimeout(timeout)
    except (OSError, ValueError, AttributeError):
        return b""  # a broken connection: its reading will tell


def _forget(reader: Any, count: int) -> None:
    # Left in the buffer, a keep-alive server would read them as its next request.
    try:
        if getattr(reader, "buf", None) is not None:
            reader.buf = io.BytesIO()
        else:
            reader.read1(count)
    except (OSError, ValueError, AttributeError):
        pass


def _is_gevent(sock: Any) -> bool:
    return type(sock).__module__.startswith("gevent.")


def _is_tls(sock: Any) -> bool | None:
    """True, False, or None for a class whose ``__init__`` nobody knows."""
    cls = type(sock)
    if cls is _plain_class() or (_is_gevent(sock) and cls.__name__ == "socket"):
        return False
    return True if any(hasattr(cls, name) for name in _TLS_METHODS) else None


def _plain_class() -> type[socket.socket]:
    monkey = sys.modules.get("gevent.monkey")
    if monkey is None:
        return socket.socket
    original: type[socket.socket] = monkey.get_original("socket", "socket")
    return original


def plain_socket(sock: _socket.socket) -> socket.socket:
    """Return a bare socket as a non-blocking one of the stdlib's original class.

    The bare one is empty afterwards. Never raises for an open socket.
    """
    mine = _plain_class()(sock.family, sock.type, sock.proto, fileno=sock.detach())
    mine.setblocking(False)
    return mine


def _dead_end() -> _socket.socket:
    """Return one end of a socketpair whose other end is closed."""
    # Not socket.socketpair(): in a patched process it makes two gevent sockets.
    end, other = _socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    other.close()
    return end
