"""Two linked servers, and a peer that speaks by hand."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask_sio import Server, ids
from tests.live import WAIT_S, Live, Runtime, plain
from tests.servers.raw import ENDPOINT, http

ENTRY_TAG = "entry_"


@dataclass
class Pair:
    """`home` owns the sessions; at `entry` arrive requests of them."""

    home: Live
    entry: Live


def worker(folder: Path, **options: Any) -> Server:
    server = Server(mesh=True, mesh_dir=str(folder), **options)

    @server.event
    def echo(sid: str, value: Any) -> Any:
        server.emit("echoed", value, to=sid)
        return value

    return server


@contextmanager
def linked(runtime: Runtime, folder: Path, **options: Any) -> Iterator[Pair]:
    """Start both; each has had a request, and so knows the other."""
    home, entry = worker(folder, **options), worker(folder, **options)
    entry.mesh.tag = ENTRY_TAG  # ids of this process begin with the other's
    with plain(runtime, home) as first, plain(runtime, entry) as second:
        for live in (first, second):
            http(live, "GET", f"{ENDPOINT}none")  # type: ignore[arg-type]
        first.until(lambda: ENTRY_TAG in home.mesh.peers)
        second.until(lambda: ids.worker_prefix() in entry.mesh.peers)
        yield Pair(first, second)


class Stranger:
    """A process that dials a worker by hand: bytes in, bytes out."""

    def __init__(self, live: Live) -> None:
        mesh = live.server.mesh
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(WAIT_S)
        self.sock.connect(mesh.directory.socket(mesh.tag))

    def close(self) -> None:
        self.sock.close()

    def send(self, kind: int, number: int, payload: bytes) -> None:
        self.sock.sendall(struct.pack("!IBQ", 9 + len(payload), kind, number) + payload)

    def hello(self, tag: str = "hand_1") -> None:
        """Become a link, and take the other end's HELLO."""
        text = f'{{"proto":1,"tag":"{tag}","pid":7,"draining":false}}'
        self.send(1, 0, text.encode())
        assert self.frame()[0] == 1

    def request(self, number: int, method: str, query: str, body: bytes = b"") -> None:
        head = f'{{"m":"{method}","q":"{query}"}}'.encode()
        self.send(3, number, len(head).to_bytes(4, "big") + head + body)

    def frame(self) -> tuple[int, int, bytes]:
        """Return kind, id and payload of the next frame."""
        length, kind, number = struct.unpack("!IBQ", self._exactly(13))
        return kind, number, self._exactly(length - 9)

    def is_closed(self) -> bool:
        """Whether the other end closes the connection, after whatever it has to say."""
        try:
            while self.sock.recv(65536):
                pass
        except ConnectionResetError:
            pass
        return True

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            chunk = self.sock.recv(count - len(data))
            assert chunk, f"the link ended after {data!r}"
            data += chunk
        return data
