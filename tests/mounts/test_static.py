"""Static files of a mount: found where they may be, described, and nothing outside served."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from flask_sio.errors import ConfigError
from flask_sio.mounts.static import StaticFiles

pytestmark = pytest.mark.quick

MODIFIED_S = 1_700_000_000  # Tue, 14 Nov 2023 22:13:20 GMT


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with files, and a secret beside it."""
    folder = tmp_path / "public"
    (folder / "sub").mkdir(parents=True)
    for name in ("index.html", "home.htm", "app.js", "logo.png", "sub/index.html", "sub/ä b.txt"):
        (folder / name).write_bytes(f"this is {name}".encode())
        os.utime(folder / name, (MODIFIED_S, MODIFIED_S))
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "public-too").mkdir()
    (tmp_path / "public-too" / "secret.txt").write_text("secret")
    return folder


class Answer:
    """One request and what came of it; ``status`` is 0 where it was left to others."""

    def __init__(
        self, files: StaticFiles, path: str, method: str = "GET", /, **environ: Any
    ) -> None:
        self.status = 0
        self.body = b""
        wsgi_path = path.encode().decode("latin-1")
        answer = files.respond(
            {"REQUEST_METHOD": method, "PATH_INFO": wsgi_path, **environ}, self._start
        )
        if answer is None:
            assert self.status == 0
            return
        self.pieces = list(answer)
        self.body = b"".join(self.pieces)
        if close := getattr(answer, "close", None):
            close()

    def _start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
        self.status = int(status.split()[0])
        self.headers = dict(headers)


def test_a_url_of_a_file_gives_that_file_only(site: Path) -> None:
    """A key that names a file answers for itself, not for what is below or beside it."""
    files = StaticFiles({"/": str(site / "index.html"), "/a/b.js": site / "app.js"})

    assert Answer(files, "/").body == b"this is index.html"
    assert Answer(files, "/a/b.js").body == b"this is app.js"
    for path in ("", "/a", "/a/", "/a/b.js/", "/a/b.js/x", "/app.js", "/index.html"):
        assert Answer(files, path).status == 0, path


def test_a_mapping_says_the_content_type(site: Path) -> None:
    """``content_type`` replaces the guess; without it the name decides."""
    files = StaticFiles(
        {
            "/a": {"filename": str(site / "app.js"), "content_type": "text/plain"},
            "/b": {"filename": str(site / "app.js")},
        }
    )

    assert Answer(files, "/a").headers["Content-Type"] == "text/plain"
    assert "javascript; charset=utf-8" in Answer(files, "/b").headers["Content-Type"]


@pytest.mark.parametrize("key", ["/static", "/static/"])
def test_a_url_of_a_folder_gives_what_is_in_it(site: Path, key: str) -> None:
    """A folder's files are found at any depth, with names that are not ASCII, too."""
    files = StaticFiles({key: site})

    assert Answer(files, "/static/app.js").body == b"this is app.js"
    assert Answer(files, "/static/sub/ä b.txt").body == "this is sub/ä b.txt".encode()
    for path in ("/app.js", "/static/none.js", "/static/sub", "/staticapp.js", "/x/static/app.js"):
        assert Answer(files, path).status == 0, path


def test_a_folder_shows_its_index(site: Path) -> None:
    """A URL that ends with a slash, or is a folder's key, gives the index of the folder."""
    files = StaticFiles({"/static": site, "/": site})

    for path in ("/static", "/static/", "/"):
        assert Answer(files, path).body == b"this is index.html", path
    assert Answer(files, "/static/sub/").body == b"this is sub/index.html"
    assert Answer(files, "/sub/").body == b"this is sub/index.html"


def test_the_empty_key_names_the_index(site: Path) -> None:
    """It is a file name, or a mapping with a content type, for all folders."""
    named = StaticFiles({"": "home.htm", "/": site})
    typed = StaticFiles({"": {"filename": "home.htm", "content_type": "text/x-home"}, "/": site})

    assert Answer(named, "/").body == b"this is home.htm"
    assert Answer(typed, "/").headers["Content-Type"] == "text/x-home"
    assert Answer(named, "/sub/").status == 0
    assert Answer(named, "/index.html").body == b"this is index.html"


def test_the_longest_url_decides(site: Path) -> None:
    """A folder inside another's URL hides what that one has there."""
    files = StaticFiles({"/": site, "/sub": site.parent / "public-too"})

    assert Answer(files, "/sub/secret.txt").body == b"secret"
    assert Answer(files, "/sub/ä b.txt").status == 0
    assert Answer(files, "/app.js").status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/static/../secret.txt",
        "/static/..",
        "/static/../",
        "/static/sub/../../secret.txt",
        "/static/sub/../app.js",
        "/static/./app.js",
        "/static//app.js",
        "/static/../public-too/secret.txt",
        "/static/..\\secret.txt",
        "/static/sub\\..\\..\\secret.txt",
        "/static/app.js\0",
        "/static/\0/../../secret.txt",
        "/static/app.js/",
        "/static/app.js/..",
        "/static/" + "a" * 5000,
        "/static/" + "a/" * 3000,
    ],
)
def test_no_path_leads_out_of_its_folder(site: Path, path: str) -> None:
    """Dots, NUL, backslashes and names no file system takes find nothing."""
    assert Answer(StaticFiles({"/static": site, "/other/": site}), path).status == 0


def test_an_absolute_path_stays_inside(site: Path) -> None:
    """What follows the URL is never a path of its own."""
    secret = site.parent / "secret.txt"

    for key in ("/static", "/static/", "/"):
        for path in (f"{key}/{secret}", f"{key}{secret}", str(secret), f"/{secret}"):
            assert Answer(StaticFiles({key: site}), path).status == 0, (key, path)


def test_bytes_that_are_no_utf8_find_nothing(site: Path) -> None:
    """A PATH_INFO that is not UTF-8, or not even bytes, is left to the application."""
    files = StaticFiles({"/": site})

    assert files.find("/\xff.js") is None
    assert files.find("/\u20ac.js") is None


def test_a_link_out_of_the_folder_is_refused(site: Path) -> None:
    """A symbolic link to a file or a folder outside finds nothing; one inside does."""
    (site / "file.txt").symlink_to(site.parent / "secret.txt")
    (site / "folder").symlink_to(site.parent / "public-too")
    (site / "circle").symlink_to(site / "circle")
    (site / "inside.js").symlink_to(site / "app.js")
    files = StaticFiles({"/": site})

    for path in ("/file.txt", "/folder/secret.txt", "/folder/", "/circle", "/circle/x"):
        assert Answer(files, path).status == 0, path
    assert Answer(files, "/inside.js").body == b"this is app.js"


def test_a_folder_may_be_a_link_itself(site: Path, tmp_path: Path) -> None:
    """Where the mapped folder is a link, as in many deployments, its target counts."""
    (tmp_path / "current").symlink_to(site)

    assert Answer(StaticFiles({"/": tmp_path / "current"}), "/app.js").status == 200


def test_what_is_no_regular_file_is_left_alone(site: Path) -> None:
    """A named pipe in the folder is not opened, which would wait for its writer."""
    os.mkfifo(site / "pipe")

    assert Answer(StaticFiles({"/": site, "/p": site / "pipe"}), "/pipe").status == 0
    assert Answer(StaticFiles({"/p": site / "pipe"}), "/p").status == 0


def test_a_file_that_cannot_be_opened_is_left_to_the_application(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that goes away between being found and being opened is no error."""

    def gone(self: Path, mode: str) -> Any:
        raise PermissionError(mode)

    monkeypatch.setattr(Path, "open", gone)
    assert Answer(StaticFiles({"/": site}), "/app.js").status == 0


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_left_to_the_application(site: Path, method: str) -> None:
    """Only GET and HEAD ask for a file."""
    assert Answer(StaticFiles({"/": site}), "/", method).status == 0


def test_head_gives_the_headers_of_get(site: Path) -> None:
    """HEAD differs from GET in the body alone."""
    files = StaticFiles({"/": site})
    get, head = Answer(files, "/app.js"), Answer(files, "/app.js", "HEAD")

    assert (head.status, head.body, head.headers) == (200, b"", get.headers)
    assert get.headers["Content-Length"] == str(len(get.body))
    assert get.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("a.html", "text/html; charset=utf-8"),
        ("a.css", "text/css; charset=utf-8"),
        ("a.json", "application/json; charset=utf-8"),
        ("a.svg", "image/svg+xml; charset=utf-8"),
        ("a.png", "image/png"),
        ("a.gif", "image/gif"),
        ("a.jpg", "image/jpeg"),
        ("a.txt", "text/plain; charset=utf-8"),
        ("a.tar.gz", "application/gzip"),
        ("a.bz2", "application/octet-stream"),
        ("a.nobody-knows", "application/octet-stream"),
        ("a", "application/octet-stream"),
    ],
)
def test_the_name_gives_the_content_type(site: Path, name: str, content_type: str) -> None:
    """Texts are UTF-8; what is unknown or compressed is bytes."""
    (site / name).touch()

    assert Answer(StaticFiles({"/": site}), f"/{name}").headers["Content-Type"] == content_type


def test_a_version_the_client_has_is_not_sent_again(site: Path) -> None:
    """The ETag, also weak and among others, gives 304 with the same validators."""
    files = StaticFiles({"/": site})
    first = Answer(files, "/app.js")
    etag = first.headers["ETag"]

    for header in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        again = Answer(files, "/app.js", HTTP_IF_NONE_MATCH=header)
        assert (again.status, again.body) == (304, b""), header
        assert again.headers.items() <= first.headers.items()
        assert "Content-Length" not in again.headers
    assert Answer(files, "/app.js", HTTP_IF_NONE_MATCH='"x"').status == 200


@pytest.mark.parametrize(
    ("date", "status"),
    [
        ("Tue, 14 Nov 2023 22:13:20 GMT", 304),
        ("Wed, 15 Nov 2023 00:00:00 GMT", 304),
        ("Tue, 14 Nov 2023 22:13:19 GMT", 200),
        ("yesterday", 200),
        ("Tue, 99 Nov 99999999999999999999 22:13:20 GMT", 200),
        ("", 200),
    ],
)
def test_a_date_serves_where_there_is_no_etag(site: Path, date: str, status: int) -> None:
    """If-Modified-Since counts to the second, and not beside an If-None-Match."""
    files = StaticFiles({"/": site})

    answer = Answer(files, "/app.js", HTTP_IF_MODIFIED_SINCE=date)
    assert answer.status == status
    assert answer.headers["Last-Modified"] == "Tue, 14 Nov 2023 22:13:20 GMT"
    both = Answer(files, "/app.js", HTTP_IF_MODIFIED_SINCE=date, HTTP_IF_NONE_MATCH='"x"')
    assert both.status == 200


def test_a_new_version_has_a_new_etag(site: Path) -> None:
    """A file that has changed on disk is sent anew, also when its size is the same."""
    files = StaticFiles({"/": site})
    etag = Answer(files, "/app.js").headers["ETag"]
    (site / "app.js").write_bytes(b"that was app.js")

    assert Answer(files, "/app.js", HTTP_IF_NONE_MATCH=etag).body == b"that was app.js"


def test_a_large_file_comes_in_pieces(site: Path) -> None:
    """No piece is larger than 64 KiB, and together they are the file."""
    content = os.urandom(200_000)
    (site / "large").write_bytes(content)
    answer = Answer(StaticFiles({"/": site}), "/large")

    assert [len(piece) for piece in answer.pieces] == [65536, 65536, 65536, 3392]
    assert answer.body == content


def test_the_servers_file_wrapper_is_used(site: Path) -> None:
    """A server that can send files faster gets the open file, and closes it."""
    given: list[BinaryIO] = []

    def wrapper(file: BinaryIO, size: int) -> Iterator[bytes]:
        given.append(file)
        return iter(lambda: file.read(size), b"")

    answer = Answer(StaticFiles({"/": site}), "/app.js", **{"wsgi.file_wrapper": wrapper})

    assert answer.body == b"this is app.js"
    [file] = given
    file.close()


def test_a_file_is_closed_whatever_happens(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No descriptor is left by GET, HEAD, 304, or a server that cannot take the headers."""
    opened: list[BinaryIO] = []
    real: Callable[..., BinaryIO] = Path.open

    def watched(self: Path, mode: str) -> BinaryIO:
        opened.append(real(self, mode))
        return opened[-1]

    def fail(*_: Any) -> None:
        raise ConnectionResetError

    monkeypatch.setattr(Path, "open", watched)
    files = StaticFiles({"/": site})
    Answer(files, "/app.js")
    Answer(files, "/app.js", "HEAD")
    Answer(files, "/app.js", HTTP_IF_NONE_MATCH="*")
    with pytest.raises(ConnectionResetError):
        files.respond({"REQUEST_METHOD": "GET", "PATH_INFO": "/app.js"}, fail)

    assert [file.closed for file in opened] == [True] * 4


def test_relative_names_mean_the_directory_of_the_start(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that changes its directory later serves the same files."""
    monkeypatch.chdir(site)
    files = StaticFiles({"/a.js": "app.js", "/sub": "sub"})
    monkeypatch.chdir("/")

    assert Answer(files, "/a.js").status == Answer(files, "/sub/").status == 200


@pytest.mark.parametrize(
    "files",
    [
        {"static": "public"},
        {"/a": {}},
        {"/a": {"content_type": "text/html"}},
        {"/a": {"filename": "a", "type": "text/html"}},
    ],
)
def test_a_mapping_that_cannot_work_fails_at_once(files: dict[str, Any]) -> None:
    """A key without its slash, or an entry without a file name, is named."""
    with pytest.raises(ConfigError, match="static_files"):
        StaticFiles(files)
