"""Where the workers of an application find each other: a directory that only they can enter.

Rules of this file: the trust boundary is the user id. The directory is a real one, ours, and
closed to everybody else, or it is not used; what is above it lets nobody else replace it. No
name in it is made from what a client sends.
"""

from __future__ import annotations

import _socket
import errno
import hashlib
import os
import re
import stat
import struct
import sys
import tempfile
from typing import Any

__all__ = ["Directory", "Unusable", "is_peer_ours", "open_directory"]

ENVIRONMENT = "FLASK_SIO_DIR"
_NAME = re.compile(r"([A-Za-z0-9_-]{6})\.sock")
_MAX_PATH = 103 if sys.platform == "darwin" else 107
"""Bytes of a Unix socket's path, without the zero behind it."""
_BACKLOG = 1024
_UCRED = struct.Struct("3i")


class Unusable(Exception):
    """Why the workers cannot be linked, and what would help."""


def open_directory(chosen: str | None, group: str) -> Directory:
    """Return the directory of a group of workers, made if need be.

    ``chosen`` is the option ``mesh_dir``; without it the environment's FLASK_SIO_DIR, else
    XDG_RUNTIME_DIR, else the system's directory for temporary files.

    Raises:
        Unusable: it cannot be made, or somebody else could enter it.
    """
    key = hashlib.sha256(group.encode()).hexdigest()[:12]
    named = chosen or os.environ.get(ENVIRONMENT)
    if named:
        return _made(named, key)
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime:
        try:
            return _made(os.path.join(runtime, "flask_sio"), key)
        except Unusable:
            pass  # sudo and su hand on a variable that is another user's
    return _made(os.path.join(tempfile.gettempdir(), f"flask_sio-{os.geteuid()}"), key)


def _made(base: str, key: str) -> Directory:
    base = os.path.abspath(base)
    path = os.path.join(base, key)
    try:
        os.makedirs(base, mode=0o700, exist_ok=True)
        check_outer(os.path.dirname(base))
        check_outer(base)
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            pass
        check_private(path)
    except OSError as error:
        raise Unusable(f"{path}: {error.strerror}") from None
    directory = Directory(path)
    if len(os.fsencode(directory.socket("......"))) > _MAX_PATH:
        raise Unusable(f"{path}: too long a path for a Unix socket ({_MAX_PATH} bytes in all)")
    return directory


def check_private(path: str) -> None:
    """Raise Unusable unless only this user can enter a directory, and it is no link to one."""
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode):
        raise Unusable(f"{path} is no directory")
    if found.st_uid != os.geteuid():
        raise Unusable(f"{path} belongs to another user ({found.st_uid})")
    if found.st_mode & 0o077:
        raise Unusable(f"{path} is open to others: chmod 700 it, or remove it")


def check_outer(path: str) -> None:
    """Raise Unusable if somebody else could replace what is in a directory."""
    found = os.stat(path)
    if found.st_uid not in (0, os.geteuid()):
        raise Unusable(f"{path} belongs to another user ({found.st_uid})")
    if found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX:
        raise Unusable(f"others may write to {path}")


class Directory:
    """One group's directory, whose names are the tags of workers."""

    def __init__(self, path: str) -> None:
        self.path = path

    def socket(self, tag: str) -> str:
        """Return where a worker listens."""
        return os.path.join(self.path, f"{tag}.sock")

    def listen(self, tag: str) -> _socket.socket:
        """Return a listening socket, which can be found from now on.

        A name appears only once its socket listens, so that who finds it is let in.

        Raises:
            OSError: it cannot be made; FileExistsError where the tag is taken.
        """
        hidden, name = os.path.join(self.path, f"{tag}.tmp"), self.socket(tag)
        listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        try:
            _remove(hidden)
            listener.bind(hidden)
            listener.listen(_BACKLOG)
            try:
                os.link(hidden, name)
            except OSError as error:
                if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK):
                    raise
                os.rename(hidden, name)  # a file system without hard links
        except BaseException:
            listener.close()
            raise
        finally:
            _remove(hidden)
        return listener

    def tags(self) -> list[str]:
        """Return who listens here, or has."""
        try:
            names = os.listdir(self.path)
        except OSError:  # removed beneath us: nobody else can be found
            return []
        return [found[1] for name in names if (found := _NAME.fullmatch(name))]

    def connect(self, tag: str, timeout: float = 0.0) -> _socket.socket:
        """Return a socket connected to a worker. The name of a dead one is removed.

        Raises:
            OSError: nobody is there, or (BlockingIOError) too many are calling.
        """
        path = self.socket(tag)
        sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        try:
            sock.settimeout(timeout)
            sock.connect(path)
            if not is_peer_ours(sock):
                raise PermissionError(errno.EACCES, "another user listens there")
        except BaseException as error:
            sock.close()
            if isinstance(error, ConnectionRefusedError):
                _remove(path)  # tags are not used again, so nobody new can be there
            raise
        return sock

    def remove(self, tag: str) -> None:
        """Be found no more; the last one takes the directory away."""
        _remove(self.socket(tag))
        try:
            os.rmdir(self.path)
        except OSError:
            pass  # others are there


def is_peer_ours(sock: Any) -> bool:
    """Whether the process at the other end runs as this user."""
    if sys.platform == "darwin":
        # struct xucred: version, uid, ... from LOCAL_PEERCRED (1) at SOL_LOCAL (0).
        _, uid = struct.unpack_from("II", sock.getsockopt(0, 1, 76))
    else:
        credentials = sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, _UCRED.size)
        _, uid, _ = _UCRED.unpack(credentials)
    return bool(uid == os.geteuid())


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass
