"""Serve the official browser client, and render the tag that loads it.

Rules this file holds:

* A name from the network is looked up in ``NAMES`` and never joined to a path unless it
  is one of them, so no request can name a file outside the bundle.
* The client is not vendored: it comes from the ``socket.io-client`` npm package, and
  without one the tag points at the official CDN, pinned by version and hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

__all__ = ["CDN_INTEGRITY", "CDN_VERSION", "NAMES", "ClientFiles", "etag_matches", "script_tag"]

CDN_VERSION = "4.8.3"
"""The client version of the CDN tag."""

# The sha384 of dist/ in socket.io-client 4.8.3 on npm; the first value also stands at
# https://socket.io/docs/v4/client-installation/.
CDN_INTEGRITY = {
    "socket.io.min.js": "sha384-kzavj5fiMwLKzzD1f8S7TeoVIEi7uKHvbTA3ueZkrzYq75pNQUiUi6Dy98Q3fxb0",
    "socket.io.msgpack.min.js": (
        "sha384-EYFmDPSdCJ1WX+f4Pt09i90sE+XLpzPOVm2AFuJbLS7PXPQTkwqTDm7mlXHSVli4"
    ),
}
"""The Subresource Integrity values of the files there."""

# The same eight files the Node server serves.
_SCRIPTS = (
    "socket.io.min.js",
    "socket.io.js",
    "socket.io.esm.min.js",
    "socket.io.msgpack.min.js",
)
NAMES = frozenset(_SCRIPTS) | {f"{name}.map" for name in _SCRIPTS}
"""Every file name that is served; all others are 404."""

_DIST = Path("node_modules", "socket.io-client", "dist")
_PARENTS = 3
_TAGGED = {"msgpack": ("socket.io.msgpack.min.js",)}
_PLAIN = _SCRIPTS[:2]  # what a <script> can load for any other serializer, the best first

_HINT = b"""The Socket.IO browser client is not installed on this server.

Either install it in the directory of the application:

    npm install socket.io-client

or name the directory that holds socket.io.min.js with the option client_dir=.
Templates that use {{ socketio_script() }} load it from the official CDN meanwhile.
"""

StartResponse = Callable[..., Any]


class ClientFiles:
    """Find the browser bundle and answer requests for its files.

    With ``directory`` only that directory is searched (``~`` is expanded). Without, it is
    ``node_modules/socket.io-client/dist`` under the current directory or ``root`` (the
    application's), or under one of the three parents of either. Any thread.
    """

    __slots__ = ("_cache", "_directory", "_roots")

    def __init__(self, directory: str | None = None, root: str | None = None) -> None:
        self._directory = Path(directory).expanduser().resolve() if directory else None
        self._roots = (Path.cwd(), Path(root).resolve()) if root else (Path.cwd(),)
        self._cache: dict[Path, tuple[tuple[int, int], bytes, str]] = {}

    def directories(self) -> list[Path]:
        """Return where the bundle is looked for, in order."""
        if self._directory is not None:
            return [self._directory]
        places = [
            place / _DIST
            for root in self._roots
            for place in (root, *list(root.parents)[:_PARENTS])
        ]
        return list(dict.fromkeys(places))

    def find(self, name: str) -> Path | None:
        """Return the file that ``name`` stands for, None for unknown or missing ones."""
        if name not in NAMES:
            return None
        for directory in self.directories():
            file = directory / name
            if file.is_file():
                return file
        return None

    def script(self, names: Iterable[str] = _PLAIN) -> str | None:
        """Return the first of ``names`` that is there, None when there is no bundle."""
        return next((name for name in names if self.find(name)), None)

    def respond(
        self, environ: dict[str, Any], start_response: StartResponse, name: str
    ) -> Iterable[bytes]:
        """Answer a request for the file ``name`` (no directory part) as a WSGI application."""
        method = environ.get("REQUEST_METHOD", "GET")
        head = method == "HEAD"
        if not head and method != "GET":
            allow = ("Allow", "GET, HEAD")
            return _text(start_response, "405 Method Not Allowed", b"Method not allowed\n", allow)
        if name not in NAMES:
            return _text(start_response, "404 Not Found", b"Not found\n", head=head)
        loaded = self._load(name)
        if loaded is None:
            return _text(start_response, "404 Not Found", _HINT, head=head)
        body, etag = loaded
        headers = [
            ("ETag", etag),
            # A new bundle must reach browsers at once; the ETag keeps the check cheap.
            ("Cache-Control", "public, max-age=0"),
            ("X-Content-Type-Options", "nosniff"),
        ]
        if etag_matches(environ.get("HTTP_IF_NONE_MATCH", ""), etag):
            start_response("304 Not Modified", headers)
            return []
        kind = "application/json" if name.endswith(".map") else "text/javascript"
        headers.append(("Content-Type", f"{kind}; charset=utf-8"))
        headers.append(("Content-Length", str(len(body))))
        start_response("200 OK", headers)
        return [] if head else [body]

    def _load(self, name: str) -> tuple[bytes, str] | None:
        """Return ``(content, etag)``; read again when the file has changed on disk."""
        file = self.find(name)
        if file is None:
            return None
        try:
            stat = file.stat()
            version = (stat.st_mtime_ns, stat.st_size)
            cached = self._cache.get(file)
            if cached is None or cached[0] != version:
                body = file.read_bytes()
                cached = (version, body, f'"{hashlib.sha256(body).hexdigest()[:32]}"')
                self._cache[file] = cached
        except OSError:  # removed or made unreadable since find() saw it
            return None
        return cached[1], cached[2]


def script_tag(path: str, prefix: str, files: ClientFiles, serializer: object = "default") -> str:
    """Render the ``<script>`` that loads the client, as HTML to be marked safe.

    ``path`` is the Socket.IO path (``socket.io``), ``prefix`` where the application is
    mounted (``SCRIPT_NAME``); slashes at their ends do not matter. ``serializer`` is the
    server's: the client that speaks msgpack is another file. Without a bundle the tag points
    at the official CDN.
    """
    names = _TAGGED.get(serializer, _PLAIN) if isinstance(serializer, str) else _PLAIN
    name = files.script(names)
    if name is None:
        source, digest = f"https://cdn.socket.io/{CDN_VERSION}/{names[0]}", CDN_INTEGRITY[names[0]]
        return f'<script src="{source}" integrity="{digest}" crossorigin="anonymous"></script>'
    parts = [part.strip("/") for part in (prefix, path)]
    source = "/".join(["", *(quote(part) for part in parts if part), name])
    return f'<script src="{escape(source)}"></script>'


def etag_matches(if_none_match: str, etag: str) -> bool:
    """Tell whether the header names ``etag``, weakly (RFC 9110 §13.1.2)."""
    if if_none_match.strip() == "*":
        return True
    tags = (tag.strip() for tag in if_none_match.split(","))
    return etag in (tag.removeprefix("W/") for tag in tags)


def _text(
    start_response: StartResponse,
    status: str,
    body: bytes,
    *headers: tuple[str, str],
    head: bool = False,
) -> Iterable[bytes]:
    start_response(
        status,
        [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            *headers,
        ],
    )
    return [] if head else [body]
