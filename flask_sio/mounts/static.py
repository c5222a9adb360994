"""Static files in front of an application: which file a URL stands for, and its answer.

Rules this file holds:

* A path from the network becomes a file name only inside the folder its URL stands for: it
  is checked part by part, joined, resolved, and must then still be in there. A symbolic
  link that leads out of its folder is none of its files.
* What is no file is not answered here, so that it falls to the application.
* A file is opened before it is described, and sent in pieces, never read whole.
"""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from email.utils import formatdate, mktime_tz, parsedate_tz
from pathlib import Path
from typing import Any, BinaryIO, Union

from flask_sio.client_files import etag_matches
from flask_sio.errors import ConfigError

__all__ = ["StaticEntry", "StaticFiles"]

StartResponse = Callable[..., Any]
StaticEntry = Union[str, "os.PathLike[str]", Mapping[str, str]]
"""A file or a folder, or ``{"filename": ..., "content_type": ...}``."""

_CHUNK_BYTES = 64 * 1024
_TEXTS = frozenset({"application/javascript", "application/json", "image/svg+xml"})
"""Texts that are not ``text/``."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """What a URL stands for."""

    path: Path
    content_type: str | None


class StaticFiles:
    """Answer requests for files. Any thread.

    Keys of ``files``: ``"/logo.png"`` for a file; ``"/static"`` for a folder and all that is
    in it; ``""`` for the name of the file that stands for a folder, ``index.html`` unless
    given. The longest key that fits decides. Relative names start at the current directory.

    Raises:
        ConfigError: a key without its slash, or a value that names no file.
    """

    __slots__ = ("_entries", "_index")

    def __init__(self, files: Mapping[str, StaticEntry]) -> None:
        self._entries: dict[str, _Entry] = {}
        self._index = _Entry(Path("index.html"), None)
        for url, value in files.items():
            entry = _read(url, value)
            if url == "":
                self._index = entry
            elif url.startswith("/"):
                path = entry.path.expanduser().absolute()
                self._entries[url] = _Entry(path, entry.content_type)
            else:
                raise ConfigError(f"static_files: the URL {url!r} must begin with a slash")

    def find(self, path_info: str) -> tuple[Path, str] | None:
        """Return the file for a WSGI ``PATH_INFO`` and its content type; None for no file."""
        if not self._entries:
            return None
        try:
            path = path_info.encode("latin-1").decode()
            entry = self._find(path)
        except (UnicodeError, OSError, RuntimeError, ValueError):
            return None  # not UTF-8, NUL, a name too long, no permission, links in a circle
        return None if entry is None else (entry.path, entry.content_type or _guess(entry.path))

    def _find(self, path: str) -> _Entry | None:
        entry = self._entries.get(path)
        if entry is not None:
            return entry if entry.path.is_file() else self._inside(entry, "")
        prefix = path
        while prefix:
            prefix = prefix.rpartition("/")[0]
            entry = self._entries.get(prefix) or self._entries.get(f"{prefix}/")
            if entry is not None:
                return self._inside(entry, path[len(prefix) + 1 :])
        return None

    def _inside(self, folder: _Entry, name: str) -> _Entry | None:
        """Return a file of a folder, by what follows the folder's URL and a slash."""
        content_type = folder.content_type
        if not name or name.endswith("/"):
            name, content_type = f"{name}{self._index.path}", self._index.content_type
        # The resolved path decides; this keeps one file from having many URLs.
        if "\\" in name or any(part in ("", ".", "..") for part in name.split("/")):
            return None
        root = folder.path.resolve()
        file = (root / name).resolve()
        if root not in file.parents or not file.is_file():
            return None
        return _Entry(file, content_type)

    def respond(
        self, environ: dict[str, Any], start_response: StartResponse
    ) -> Iterable[bytes] | None:
        """Answer a GET or HEAD for a file; None for all other requests."""
        method = environ.get("REQUEST_METHOD")
        found = self.find(environ.get("PATH_INFO", "")) if method in ("GET", "HEAD") else None
        if found is None:
            return None
        path, content_type = found
        try:
            file = path.open("rb")
        except OSError:  # not readable, or removed since it was found
            return None
        try:
            is_sent = _start(file, content_type, environ, start_response)
        except BaseException:
            file.close()
            raise
        if not is_sent:
            file.close()
            return []
        wrapper = environ.get("wsgi.file_wrapper", _Pieces)
        return wrapper(file, _CHUNK_BYTES)  # type: ignore[no-any-return] # as PEP 3333 says


def _read(url: str, value: StaticEntry) -> _Entry:
    if not isinstance(value, Mapping):
        return _Entry(Path(value), None)
    if "filename" not in value or value.keys() - {"filename", "content_type"}:
        raise ConfigError(
            f"static_files: {url!r} must have 'filename' and may have 'content_type', "
            f"not {sorted(value)}"
        )
    return _Entry(Path(value["filename"]), value.get("content_type"))


def _guess(path: Path) -> str:
    """Return a content type by the name; a compressed file is one, whatever is in it."""
    kind, encoding = mimetypes.guess_type(path.name)
    if encoding is not None:
        return "application/gzip" if encoding == "gzip" else "application/octet-stream"
    if kind is None:
        return "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") or kind in _TEXTS else kind


def _start(
    file: BinaryIO, content_type: str, environ: dict[str, Any], start_response: StartResponse
) -> bool:
    """Send status and headers; return whether the file is to follow."""
    stat = os.fstat(file.fileno())
    etag = f'"{stat.st_mtime_ns:x}-{stat.st_size:x}"'
    headers = [
        ("ETag", etag),
        ("Last-Modified", formatdate(stat.st_mtime, usegmt=True)),
        # A new version must reach browsers at once; the ETag keeps the check cheap.
        ("Cache-Control", "public, max-age=0"),
        ("X-Content-Type-Options", "nosniff"),
    ]
    if _is_fresh(environ, etag, int(stat.st_mtime)):
        start_response("304 Not Modified", headers)
        return False
    headers += [("Content-Type", content_type), ("Content-Length", str(stat.st_size))]
    start_response("200 OK", headers)
    return bool(environ["REQUEST_METHOD"] == "GET")


def _is_fresh(environ: dict[str, Any], etag: str, modified_s: int) -> bool:
    """Tell whether the client has this version. RFC 9110 §13.2.2: the ETag goes first."""
    tags = environ.get("HTTP_IF_NONE_MATCH")
    if tags is not None:
        return etag_matches(tags, etag)
    since = parsedate_tz(environ.get("HTTP_IF_MODIFIED_SINCE", ""))
    try:
        return since is not None and modified_s <= int(mktime_tz(since))
    except (OverflowError, ValueError):
        return False


class _Pieces:
    """A file in pieces, for servers without a ``wsgi.file_wrapper``."""

    __slots__ = ("_file", "_size", "close")

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size
        self.close = file.close

    def __iter__(self) -> _Pieces:
        return self

    def __next__(self) -> bytes:
        piece = self._file.read(self._size)
        if not piece:
            raise StopIteration
        return piece
