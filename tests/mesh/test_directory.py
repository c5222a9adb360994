"""Where workers find each other, and who is kept out."""

from __future__ import annotations

import os
import socket
from contextlib import closing
from pathlib import Path

import pytest

from flask_sio.mesh import directory
from flask_sio.mesh.directory import Unusable, check_outer, check_private, open_directory


def test_the_directory_is_closed_to_others(folder: Path) -> None:
    """Each group has one of its own, mode 0700, below the one that was named."""
    one, again = open_directory(str(folder), "one"), open_directory(str(folder), "one")
    two = open_directory(str(folder), "two")
    assert one.path == again.path != two.path
    assert Path(one.path).parent == folder
    assert os.lstat(one.path).st_mode & 0o777 == 0o700


def test_the_environment_names_a_place(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FLASK_SIO_DIR comes before XDG_RUNTIME_DIR, and that before the temporary directory."""
    ours, theirs = folder / "ours", folder / "theirs"
    theirs.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(theirs))
    assert Path(open_directory(None, "x").path).parent == theirs / "flask_sio"
    monkeypatch.setenv("FLASK_SIO_DIR", str(ours))
    assert Path(open_directory(None, "x").path).parent == ours
    monkeypatch.delenv("FLASK_SIO_DIR")
    os.chmod(theirs / "flask_sio", 0o777)  # as good as another user's
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    assert Path(open_directory(None, "x").path).parent == folder / f"flask_sio-{os.geteuid()}"


def test_a_directory_that_others_may_enter_is_refused(folder: Path) -> None:
    """One bit for group or others is too much."""
    for mode in (0o750, 0o701, 0o770):
        os.chmod(folder, mode)
        with pytest.raises(Unusable, match="open to others"):
            check_private(str(folder))


def test_a_link_or_a_file_in_its_place_is_refused(folder: Path) -> None:
    """What somebody else may have put there is not followed."""
    link, file = folder / "link", folder / "file"
    link.symlink_to(folder)
    file.touch(mode=0o600)
    for path in (link, file):
        with pytest.raises(Unusable, match="no directory"):
            check_private(str(path))


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a directory away")
def test_a_directory_of_another_user_is_refused(folder: Path) -> None:
    """Nor is one below it used."""
    theirs = folder / "theirs"
    theirs.mkdir(mode=0o700)
    os.chown(theirs, 65534, -1)
    with pytest.raises(Unusable, match="another user"):
        check_private(str(theirs))
    with pytest.raises(Unusable, match="another user"):
        open_directory(str(theirs), "x")


def test_a_place_where_others_may_write_is_refused(folder: Path) -> None:
    """They could put another directory in the place of ours, unless it is sticky."""
    os.chmod(folder, 0o777)
    with pytest.raises(Unusable, match="others may write"):
        check_outer(str(folder))
    os.chmod(folder, 0o1777)
    check_outer(str(folder))


def test_a_path_too_long_for_a_socket_is_refused(folder: Path) -> None:
    """And the reason names it."""
    with pytest.raises(Unusable, match="too long a path"):
        open_directory(str(folder / ("x" * 90)), "x")


def test_a_file_where_the_directory_should_be_is_a_reason(folder: Path) -> None:
    """What the system says goes into the message."""
    (folder / "file").touch()
    with pytest.raises(Unusable, match="file"):
        open_directory(str(folder / "file"), "x")


def test_who_is_found_listens(folder: Path) -> None:
    """A name stands for a worker that takes connections; the temporary one is gone."""
    place = open_directory(str(folder), "x")
    with closing(place.listen("abc-_1")):
        assert os.listdir(place.path) == ["abc-_1.sock"]
        assert place.tags() == ["abc-_1"]
        place.connect("abc-_1").close()
        with pytest.raises(FileExistsError):
            place.listen("abc-_1")
        place.connect("abc-_1").close()
    place.remove("abc-_1")
    assert place.tags() == []


def test_a_corpse_is_removed(folder: Path) -> None:
    """The name of a worker that was killed goes when somebody dials it."""
    place = open_directory(str(folder), "x")
    place.listen("dead__").close()
    assert place.tags() == ["dead__"]
    with pytest.raises(ConnectionRefusedError):
        place.connect("dead__")
    assert place.tags() == []


def test_other_names_are_nobody(folder: Path) -> None:
    """Only six characters of an id and .sock are a worker's name."""
    place = open_directory(str(folder), "x")
    for name in ("abc.sock", "abcdefg.sock", "abcdef.tmp", "abcdef", "abc/ef.sock"[:3]):
        Path(place.path, name).touch()
    assert place.tags() == []


def test_credentials_are_those_of_the_process_at_the_other_end() -> None:
    """A process of this user is let in."""
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        assert directory.is_peer_ours(ours)


@pytest.mark.skipif(os.geteuid() != 0, reason="changes its user id")
def test_a_process_of_another_user_is_told_by_its_credentials(folder: Path) -> None:
    """They are fixed when it connects, whatever it says."""
    place = open_directory(str(folder), "x")
    with closing(place.listen("home__")) as listener:
        os.chmod(folder, 0o711)
        os.chmod(place.path, 0o711)
        os.chmod(place.socket("home__"), 0o777)
        child = os.fork()
        if child == 0:
            os.setuid(65534)
            caller = socket.socket(socket.AF_UNIX)
            caller.connect(place.socket("home__"))
            caller.recv(1)
            os._exit(0)
        number, _ = listener._accept()
        with socket.socket(fileno=number) as accepted:
            assert not directory.is_peer_ours(accepted)
        os.waitpid(child, 0)
