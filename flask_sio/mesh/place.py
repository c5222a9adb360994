"""Which workers are one group, and so which directory is theirs."""

from __future__ import annotations

import itertools
import sys
from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

from flask_sio.mesh.directory import Directory, Unusable, open_directory
from flask_sio.runtime import worker

if TYPE_CHECKING:
    import _socket

_TRIES = 5

_servers: defaultdict[str, Iterator[int]] = defaultdict(itertools.count)
"""By path, how many servers this process has made: all of its siblings count alike."""


class Place:
    """Where the workers of one server meet.

    Who names a directory names the group by it. Else each server of an application has its
    own, which is the same in all workers, also in those of before and after a restart: it is
    told by the addresses the application listens on, by where its code is, and by which of
    its servers this is.
    """

    def __init__(self, chosen_directory: str | None, path: str) -> None:
        self._chosen = chosen_directory
        self._path = path
        self._nth = next(_servers[path])
        self._group = ""

    def listen(self, tag: str) -> tuple[Directory, _socket.socket]:
        """Return the directory and a socket there that listens under this name.

        Raises:
            Unusable: the workers cannot meet.
        """
        if sys.platform not in ("linux", "darwin"):
            raise Unusable("they can be on Linux and macOS only")
        if not self._group:  # kept: a worker that ends has no addresses any more
            others = "" if self._chosen else f"{worker.name()} {self._nth}"
            self._group = f"{self._path} {others}"
        for _ in range(_TRIES):
            directory = open_directory(self._chosen, self._group)
            try:
                return directory, directory.listen(tag)
            except FileNotFoundError:
                continue  # the last of those before us has just taken it away
            except FileExistsError:
                raise Unusable(f"{directory.socket(tag)} is taken") from None
            except OSError as error:
                raise Unusable(f"{directory.path}: {error.strerror or error}") from None
        raise Unusable(f"{directory.path} does not stay")

    def forget(self) -> None:
        """In a forked child: it may be another application's."""
        self._group = ""
