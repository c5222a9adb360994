"""The browser bundle: found where it may be, served with validators, never anything else."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flask_sio.client_files import CDN_INTEGRITY, CDN_VERSION, NAMES, ClientFiles, script_tag

CONTENT = b"/*! Socket.IO */ var io = 1;\n"


class Answer:
    """One call of ``respond`` and what came of it."""

    def __init__(self, files: ClientFiles, name: str, method: str = "GET", **headers: str) -> None:
        environ: dict[str, Any] = {"REQUEST_METHOD": method}
        environ.update({f"HTTP_{key.upper()}": value for key, value in headers.items()})
        self.body = b"".join(files.respond(environ, self._start, name))

    def _start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
        self.status = int(status.split()[0])
        self.headers = dict(headers)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A directory with every file of the bundle."""
    directory = tmp_path / "dist"
    directory.mkdir()
    for name in NAMES:
        (directory / name).write_bytes(CONTENT + name.encode())
    return directory


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current directory deep enough that no parent within reach has a bundle."""
    deep = tmp_path / "a" / "b" / "c" / "d"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    return deep


def install(directory: Path, *names: str) -> Path:
    """Put files where npm would, under ``directory``."""
    dist = directory / "node_modules" / "socket.io-client" / "dist"
    dist.mkdir(parents=True)
    for name in names or ("socket.io.min.js",):
        (dist / name).write_bytes(CONTENT)
    return dist


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_file_of_the_bundle_is_served(bundle: Path, name: str) -> None:
    """Each listed name is answered with its content, its type and its validators."""
    answer = Answer(ClientFiles(str(bundle)), name)
    kind = "application/json" if name.endswith(".map") else "text/javascript"
    assert answer.status == 200
    assert answer.body == CONTENT + name.encode()
    assert answer.headers["Content-Type"] == f"{kind}; charset=utf-8"
    assert answer.headers["Content-Length"] == str(len(answer.body))
    assert answer.headers["Cache-Control"] == "public, max-age=0"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["ETag"].startswith('"')


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', '"x",W/{}', " {} ", "*"])
def test_a_known_etag_is_answered_304(bundle: Path, form: str) -> None:
    """A validator that matches, strong or weak or in a list, gets 304 without a body."""
    files = ClientFiles(str(bundle))
    etag = Answer(files, "socket.io.js").headers["ETag"]
    answer = Answer(files, "socket.io.js", if_none_match=form.format(etag))
    assert (answer.status, answer.body) == (304, b"")
    assert answer.headers["ETag"] == etag
    assert "Content-Length" not in answer.headers


@pytest.mark.parametrize("value", ["", '"other"', 'W/"other"', "etag", '""'])
def test_another_etag_gets_the_file(bundle: Path, value: str) -> None:
    """A validator of another version does not suppress the body."""
    answer = Answer(ClientFiles(str(bundle)), "socket.io.js", if_none_match=value)
    assert answer.status == 200
    assert answer.body


def test_a_changed_file_gets_a_new_etag(bundle: Path) -> None:
    """A bundle that is updated on disk is served at once, without a restart."""
    files = ClientFiles(str(bundle))
    before = Answer(files, "socket.io.js")
    (bundle / "socket.io.js").write_bytes(b"var io = 2;")
    after = Answer(files, "socket.io.js")
    assert after.body == b"var io = 2;"
    assert after.headers["ETag"] != before.headers["ETag"]


def test_head_has_the_headers_and_no_body(bundle: Path) -> None:
    """HEAD announces what GET would send, and sends nothing."""
    files = ClientFiles(str(bundle))
    head, get = (Answer(files, "socket.io.js", method) for method in ("HEAD", "GET"))
    assert (head.status, head.body) == (200, b"")
    assert head.headers == get.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_other_methods_are_refused(bundle: Path, method: str) -> None:
    """Only GET and HEAD are allowed, and the answer says so."""
    answer = Answer(ClientFiles(str(bundle)), "socket.io.js", method)
    assert answer.status == 405
    assert answer.headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "secret.txt",
        "../secret.txt",
        "..\\secret.txt",
        "socket.io.js/../../secret.txt",
        "/etc/passwd",
        "%2e%2e/secret.txt",
        "SOCKET.IO.JS",
        "socket.io.js\0",
        "socket.io.js ",
    ],
)
def test_no_other_name_is_served(bundle: Path, name: str) -> None:
    """A name off the list is 404, whatever lies at that path."""
    (bundle / "secret.txt").write_bytes(b"secret")
    (bundle.parent / "secret.txt").write_bytes(b"secret")
    answer = Answer(ClientFiles(str(bundle)), name)
    assert answer.status == 404
    assert b"secret" not in answer.body


def test_without_a_bundle_the_hint_says_how_to_get_it(empty: Path) -> None:
    """A missing bundle is 404 with both ways to get one, in plain text without a path."""
    answer = Answer(ClientFiles(), "socket.io.js")
    assert answer.status == 404
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert b"npm install socket.io-client" in answer.body
    assert b"client_dir=" in answer.body
    assert str(empty).encode() not in answer.body
    assert Answer(ClientFiles(), "socket.io.js", "HEAD").body == b""


@pytest.mark.parametrize("levels", [0, 1, 2, 3])
def test_node_modules_is_found_here_and_above(empty: Path, levels: int) -> None:
    """npm's directory is found under the current directory and its three parents."""
    place = [empty, *empty.parents][levels]
    install(place)
    assert Answer(ClientFiles(), "socket.io.min.js").body == CONTENT


def test_node_modules_is_not_searched_further_up(empty: Path) -> None:
    """A bundle four levels up belongs to somebody else."""
    install(empty.parents[3])
    assert Answer(ClientFiles(), "socket.io.min.js").status == 404


def test_the_root_of_the_application_is_searched(empty: Path, tmp_path: Path) -> None:
    """A server started elsewhere finds the bundle beside the application, or above it."""
    root = tmp_path / "site" / "package"
    root.mkdir(parents=True)
    install(root.parent)
    assert Answer(ClientFiles(root=str(root)), "socket.io.min.js").body == CONTENT


def test_a_configured_directory_is_the_only_one(empty: Path, tmp_path: Path) -> None:
    """Naming a directory means that one, not some other version found near by."""
    install(empty)
    assert Answer(ClientFiles(str(tmp_path)), "socket.io.min.js").status == 404


def test_a_bundle_installed_later_is_found(empty: Path) -> None:
    """npm install needs no restart of the server."""
    files = ClientFiles()
    assert Answer(files, "socket.io.min.js").status == 404
    install(empty)
    assert Answer(files, "socket.io.min.js").status == 200


def test_the_current_directory_is_read_once(empty: Path, tmp_path: Path) -> None:
    """A process that changes its directory keeps the bundle it started with."""
    install(empty)
    files = ClientFiles()
    os.chdir(tmp_path)
    assert Answer(files, "socket.io.min.js").status == 200


@pytest.mark.parametrize(
    ("path", "prefix", "source"),
    [
        ("socket.io", "", "/socket.io/socket.io.min.js"),
        ("/socket.io/", "/", "/socket.io/socket.io.min.js"),
        ("/socket.io", "/shop", "/shop/socket.io/socket.io.min.js"),
        ("a/b", "/shop/", "/shop/a/b/socket.io.min.js"),
        ('"><b', "", "/%22%3E%3Cb/socket.io.min.js"),
    ],
)
def test_the_tag_points_at_our_route(bundle: Path, path: str, prefix: str, source: str) -> None:
    """With a bundle the tag loads it from this server, under the application's prefix."""
    assert script_tag(path, prefix, ClientFiles(str(bundle))) == f'<script src="{source}"></script>'


def test_the_tag_takes_the_plain_file_when_it_is_the_only_one(tmp_path: Path) -> None:
    """A directory with only the unminified client is a bundle too."""
    (tmp_path / "socket.io.js").write_bytes(CONTENT)
    tag = script_tag("socket.io", "", ClientFiles(str(tmp_path)))
    assert tag == '<script src="/socket.io/socket.io.js"></script>'


def test_without_a_bundle_the_tag_is_the_pinned_cdn(empty: Path) -> None:
    """Without a bundle the tag names the official CDN, an exact version and its hash."""
    assert script_tag("socket.io", "/shop", ClientFiles()) == (
        '<script src="https://cdn.socket.io/4.8.3/socket.io.min.js"'
        ' integrity="sha384-kzavj5fiMwLKzzD1f8S7TeoVIEi7uKHvbTA3ueZkrzYq75pNQUiUi6Dy98Q3fxb0"'
        ' crossorigin="anonymous"></script>'
    )


def test_a_server_that_speaks_msgpack_has_the_client_that_does(bundle: Path) -> None:
    """Another file of the same bundle, from our route or the CDN; other codecs bring their own."""
    (bundle / "socket.io.msgpack.min.js").write_bytes(CONTENT)
    files = ClientFiles(str(bundle))
    tag = script_tag("socket.io", "", files, "msgpack")
    assert tag == '<script src="/socket.io/socket.io.msgpack.min.js"></script>'
    assert script_tag("socket.io", "", files, object()) == script_tag("socket.io", "", files)
    assert script_tag("socket.io", "", ClientFiles(str(bundle / "none")), "msgpack") == (
        '<script src="https://cdn.socket.io/4.8.3/socket.io.msgpack.min.js"'
        ' integrity="sha384-EYFmDPSdCJ1WX+f4Pt09i90sE+XLpzPOVm2AFuJbLS7PXPQTkwqTDm7mlXHSVli4"'
        ' crossorigin="anonymous"></script>'
    )


@pytest.mark.parametrize("name", CDN_INTEGRITY)
def test_the_pinned_hash_is_that_of_the_installed_client(name: str) -> None:
    """The integrity value is the sha384 of the npm package's file, where it is at hand."""
    file = ClientFiles(root=str(Path(__file__).parent)).find(name)
    if file is None:
        pytest.skip("no socket.io-client under node_modules")
    content = file.read_bytes()
    if f"Socket.IO v{CDN_VERSION}\n".encode() not in content:
        pytest.skip(f"the installed client is not {CDN_VERSION}")
    digest = base64.b64encode(hashlib.sha384(content).digest()).decode()
    assert f"sha384-{digest}" == CDN_INTEGRITY[name]


def test_the_module_needs_no_framework() -> None:
    """The file alone runs on the standard library: no Flask, gevent or sibling is loaded."""
    code = (
        "import runpy, sys; runpy.run_path(sys.argv[1]);"
        "print([m for m in ('flask', 'gevent', 'django', 'flask_sio') if m in sys.modules])"
    )
    file = Path(__file__).parent.parent / "flask_sio" / "client_files.py"
    command = [sys.executable, "-c", code, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
