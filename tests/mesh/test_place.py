"""Which workers are one group: those of an application, before and after a restart."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import FrameType, SimpleNamespace

import pytest

from flask_sio.mesh import place
from flask_sio.mesh.directory import Unusable
from flask_sio.mesh.place import Place


class Worker:
    """What a gunicorn worker shows: its handler of SIGTERM is a method of it."""

    def __init__(self, address: str = "127.0.0.1:8000", app: str = "app:app") -> None:
        self.alive = True
        self.sockets = [SimpleNamespace(getsockname=lambda: address)]
        self.app = SimpleNamespace(app_uri=app)
        self.cfg = SimpleNamespace(workers=4, bind=[address])

    def handle(self, number: int, frame: FrameType | None) -> None: ...


Listen = Callable[..., str]


@pytest.fixture
def listen(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Listen]:
    """Give the directory that a server of a worker comes to."""
    monkeypatch.setenv("FLASK_SIO_DIR", str(folder))
    before = signal.getsignal(signal.SIGTERM)

    def listen(worker: Worker, path: str = "socket.io", chosen: str | None = None) -> str:
        place._servers.clear()  # the first server of its process
        signal.signal(signal.SIGTERM, worker.handle)
        directory, listener = Place(chosen, path).listen("tag___")
        with closing(listener):
            directory.remove("tag___")
        return directory.path

    yield listen
    signal.signal(signal.SIGTERM, before)


def test_workers_of_one_application_meet(listen: Listen) -> None:
    """Also those of another master: its addresses and the place of its code are the same."""
    assert listen(Worker()) == listen(Worker())


@pytest.mark.parametrize(
    ("worker", "path"),
    [
        (Worker("127.0.0.1:8001"), "socket.io"),
        (Worker(app="other:app"), "socket.io"),
        (Worker(), "other"),
    ],
)
def test_applications_do_not_mix(listen: Listen, worker: Worker, path: str) -> None:
    """Another address, other code, another path: another group, though the user is the same."""
    assert listen(Worker()) != listen(worker, path)


def test_two_servers_of_a_process_do_not_mix(folder: Path) -> None:
    """They are told apart by the order they were made in, which is the same in all workers."""
    place._servers.clear()
    one, two = (Place(None, "socket.io") for _ in range(2))
    assert (one._nth, two._nth) == (0, 1)


def test_a_chosen_directory_is_a_group_of_its_own(listen: Listen, folder: Path) -> None:
    """Whoever names it belongs to it, whatever address it has."""
    chosen = str(folder / "chosen")
    assert listen(Worker(), chosen=chosen) == listen(Worker("0.0.0.0:1"), chosen=chosen)


def test_the_group_is_kept_when_a_worker_ends(listen: Listen, folder: Path) -> None:
    """One that has closed its addresses still is where it was."""
    worker = Worker()
    signal.signal(signal.SIGTERM, worker.handle)
    here, found = Place(None, "socket.io"), set()
    for sockets in (worker.sockets, []):
        worker.sockets = sockets
        directory, listener = here.listen("tag___")
        with closing(listener):
            directory.remove("tag___")
        found.add(directory.path)
    assert len(found) == 1


def test_other_systems_are_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Descriptors cannot be passed there, or nobody has tried."""
    monkeypatch.setattr("sys.platform", "win32")
    with pytest.raises(Unusable, match="Linux and macOS only"):
        Place(str(folder), "socket.io").listen("tag___")
