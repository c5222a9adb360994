"""The mount in a Django project: its server, its sockets.py modules, wsgi.py, templates."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flask_sio import Server, WSGIApp
from tests.django.conftest import Connect
from tests.live import Live, serve
from tests.servers.raw import http

pytestmark = pytest.mark.quick

ROOT = Path(__file__).parent.parent.parent
BROKEN = "tests.django.broken"


@pytest.fixture
def own() -> Server:
    """A server besides the project's."""
    from flask_sio.mounts.django import DjangoConvention

    return Server(convention=DjangoConvention(), async_mode="threading")


def test_the_projects_server_is_one_and_has_the_settings_options(project: None) -> None:
    """``server`` is made once, with Django's convention and the options in ``SOCKETIO``."""
    from flask_sio.mounts import django
    from flask_sio.mounts.django import server

    assert django.server is server
    assert isinstance(server.convention, django.DjangoConvention)
    assert (server.options.ping_interval, server.options.path) == (7, "live")
    with pytest.raises(AttributeError, match="srever"):
        _ = django.srever


def test_sockets_modules_were_imported_at_the_start(connect: Connect, alice: Any) -> None:
    """With SocketIOConfig installed, an app's handlers are there when the project is."""
    from django.test import Client

    from flask_sio.mounts.django import server

    client = Client()
    client.force_login(alice)

    assert connect(server, client).emit("who", callback=True) == "alice"
    assert connect(server).emit("who", callback=True) == "AnonymousUser"


def test_a_broken_sockets_module_is_no_secret(project: None) -> None:
    """An app without one is skipped, one that cannot be imported fails."""
    from django.conf import settings
    from django.test import override_settings

    from flask_sio.mounts.django import autodiscover

    autodiscover()
    apps = [*settings.INSTALLED_APPS, BROKEN]
    with pytest.raises(ImportError, match="no_such_module"), override_settings(INSTALLED_APPS=apps):
        pass


@pytest.fixture
def ask(own: Server) -> Iterator[Callable[..., Any]]:
    """Ask a running mount: path in, status and text out."""
    from flask_sio.mounts.django import get_wsgi_application

    with serve("threading", get_wsgi_application(own), own) as live:
        yield asking(live)


def asking(live: Live) -> Callable[..., Any]:
    def ask(path: str, body: bytes | None = None) -> tuple[int, str]:
        status, _, answer = http(live, "GET" if body is None else "POST", path, body or b"")
        return status, answer.decode()

    return ask


def test_the_mount_serves_djangos_pages_and_socketio(own: Server, ask: Callable[..., Any]) -> None:
    """`get_wsgi_application` stands in for Django's own, with Socket.IO in front."""
    own.on("double", lambda sid, number: number * 2)

    assert ask("/page") == (200, "page for AnonymousUser")
    status, opened = ask("/socket.io/?EIO=4&transport=polling")
    assert status == 200
    polling = f"/socket.io/?EIO=4&transport=polling&sid={json.loads(opened[1:])['sid']}"
    assert ask(polling, b"40") == (200, "ok")
    assert ask(polling)[1].startswith('40{"sid":')
    assert ask(polling, b'427["double",21]') == (200, "ok")
    assert ask(polling) == (200, "437[42]")
    assert ask(polling, b"1") == (200, "ok")


def test_without_a_server_the_mount_has_the_projects(project: None) -> None:
    """`get_wsgi_application` in wsgi.py needs no argument."""
    from flask_sio.mounts.django import get_wsgi_application, server

    application = get_wsgi_application()

    assert isinstance(application, WSGIApp)
    assert (application.server, application.path) == (server, "live")


def test_the_bundle_below_base_dir_is_found(
    own: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The project's node_modules are served, whatever the current directory is."""
    from django.test import override_settings

    from flask_sio.mounts.django import get_wsgi_application

    bundle = tmp_path / "node_modules" / "socket.io-client" / "dist"
    bundle.mkdir(parents=True)
    (bundle / "socket.io.min.js").write_text("var io;")
    (tmp_path / "a/b/c/d").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a/b/c/d")  # too deep to find it from there
    with override_settings(BASE_DIR=tmp_path / "mysite"):
        mount = get_wsgi_application(own)
    with serve("threading", mount, own) as live:
        assert asking(live)("/socket.io/socket.io.min.js") == (200, "var io;")


@pytest.mark.parametrize("prefix", ["", "/below"])
def test_templates_know_the_script_and_the_path(project: None, prefix: str) -> None:
    """The context processor gives the tag, not escaped, and the path below the prefix."""
    from django.template import engines
    from django.test import RequestFactory

    request = RequestFactory(SCRIPT_NAME=prefix).get("/")
    template = engines["django"].from_string("{{ socketio_path }} {{ socketio_script }}")
    path, _, tag = template.render({}, request).partition(" ")

    assert path == f"{prefix}/live"
    assert tag.startswith("<script src=")
    assert f'"{prefix}/live/socket.io' in tag or "https://cdn.socket.io/" in tag


def test_the_tag_names_the_cdn_where_no_client_is_served(project: None) -> None:
    """With ``serve_client=False`` the tag does not point at this server."""
    from flask_sio.mounts.django.project import _client_files

    assert _client_files(Server(serve_client=False)).script() is None


SETTINGS = """
SECRET_KEY = "docs"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3"}}
INSTALLED_APPS = [
    "flask_sio.mounts.django.SocketIOConfig",
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "chat",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
"""


def test_the_documented_project_passes_its_documented_test(tmp_path: Path) -> None:
    """The programs of docs/django.md are one project, whose test Django's own runner runs."""
    pytest.importorskip("django")
    examples = ROOT / "docs" / "examples"
    for name, text in {
        "mysite/settings.py": SETTINGS,
        "mysite/wsgi.py": (examples / "django_project.py").read_text(),
        "chat/__init__.py": "",
        "chat/sockets.py": (examples / "django_sockets.py").read_text(),
        "chat/tests.py": (examples / "django_tests.py").read_text(),
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", TEST_RUN],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=50,
    )

    assert done.returncode == 0, done.stderr
    assert "Ran 1 test" in done.stderr


TEST_RUN = """
import mysite.wsgi
from django.core.management import call_command
call_command("test", "chat")
"""


def test_the_documented_receiver_disconnects_who_logs_out(connect: Connect, alice: Any) -> None:
    """django_users.py: all of a user's connections end at once, and no others."""
    from django.test import Client

    from flask_sio.mounts.django import server

    program: dict[str, Any] = {}
    exec((ROOT / "docs" / "examples" / "django_users.py").read_text(), program)
    http, another = Client(), Client()
    http.force_login(alice)
    another.force_login(alice)
    tabs = [connect(server, http), connect(server, another)]
    stranger = connect(server)
    program["order_was_shipped"](SimpleNamespace(number=7, customer=alice))
    for tab in tabs:
        assert tab.get_received()[0]["args"] == [7]

    http.logout()
    assert [each.is_connected() for each in (*tabs, stranger)] == [False, False, True]


UPGRADE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)
CLOSE = "Connection: close\r\n"


@pytest.mark.parametrize(
    ("query", "extra"),
    [
        ("transport=polling", ""),
        ("transport=polling&sid=", ""),
        ("transport=polling&xsid=abc", ""),
        ("transport=websocket", UPGRADE),
    ],
)
def test_a_handshake_under_a_foreign_host_is_refused(
    own: Server, caplog: pytest.LogCaptureFixture, query: str, extra: str
) -> None:
    """What is not in ALLOWED_HOSTS gets 400 and a line in Django's own log, as from a view."""
    from flask_sio.mounts.django import get_wsgi_application

    with serve("threading", get_wsgi_application(own), own) as live:
        assert handshake(live, "127.0.0.1", query, extra) in (b"200", b"101")
        assert caplog.records == []
        assert handshake(live, "evil.example", query, extra) == b"400"
    [record] = caplog.records
    assert record.name == "django.security.DisallowedHost"
    assert "evil.example" in record.getMessage()


def handshake(live: Live, host: str, query: str, extra: str) -> bytes:
    """Return the status that a handshake under this host's name gets.

    The answer is read to its end: werkzeug leaves its selector open when a client breaks off,
    and the record of what was refused would keep the frame that has it.
    """
    with live.connect() as sock:
        sock.sendall(
            f"GET /socket.io/?EIO=4&{query} HTTP/1.1\r\nHost: {host}\r\n"
            f"Origin: http://{host}\r\n{extra or CLOSE}\r\n".encode()
        )
        answer = sock.recv(4096)
        status = answer.split(b" ")[1]
        while answer and status != b"101":
            answer = sock.recv(4096)
        return status


def test_the_documented_emit_waits_for_the_commit(connect: Connect, alice: Any) -> None:
    """django_commit.py: after a commit everybody is told, after a rollback nobody."""
    from django.db import transaction

    from flask_sio.mounts.django import server

    program: dict[str, Any] = {}
    exec((ROOT / "docs" / "examples" / "django_commit.py").read_text(), program)
    client = connect(server)
    with transaction.atomic():
        alice.save()
        assert client.get_received() == []
    assert client.get_received()[0]["args"] == ["alice"]
    with transaction.atomic():
        alice.save()
        transaction.set_rollback(True)
    assert client.get_received() == []

    def save(sid: str, is_good: bool) -> None:
        with transaction.atomic():
            alice.save()
            server.emit("saving", to=sid)
            transaction.set_rollback(not is_good)

    server.on("save", save)
    client.emit("save", False)
    client.emit("save", True)
    server.off("save")
    names = [each["name"] for each in client.get_received()]
    assert names == ["saving", "saving", "user_saved"]
