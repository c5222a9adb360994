"""A whole project under ``manage.py runserver``: its users, over sockets."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.django.test_project import ROOT, SETTINGS
from tests.servers.launch import Running, free_port, launched
from tests.servers.raw import Reader

pytestmark = pytest.mark.quick

MORE_SETTINGS = """
DEBUG = True
DATABASES["default"]["NAME"] = "db.sqlite3"
ROOT_URLCONF = "mysite.urls"
WSGI_APPLICATION = "mysite.wsgi.application"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
"""
USERS = """
import django, json
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from django.contrib.auth.models import User
from django.test import Client
cookies = {}
for name in ("alice", "bob"):
    http = Client()
    http.force_login(User.objects.create_user(name))  # their keys are 1 and 2
    cookies[name] = http.cookies["sessionid"].value
print(json.dumps(cookies))
"""


class Visitor(Reader):
    """A browser's WebSocket, with the cookie of a session."""

    def __init__(self, server: Running, session: str = "") -> None:
        super().__init__(server.connect())
        key = base64.b64encode(os.urandom(16)).decode()
        self.sock.sendall(
            "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n"
            f"Host: 127.0.0.1:{server.port}\r\nOrigin: http://127.0.0.1:{server.port}\r\n"
            f"Cookie: sessionid={session}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        assert self.through(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
        assert self.text().startswith("0{")
        self.send("40")

    def send(self, text: str) -> None:
        self.sock.sendall(bytes([0x81, 0x80 | len(text)]) + bytes(4) + text.encode())

    def text(self) -> str:
        return self.frame()[1].decode()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Running, dict[str, str]]]:
    """The documented project with two users, running; and the cookies of their sessions."""
    examples = ROOT / "docs" / "examples"
    for name, text in {
        "mysite/__init__.py": "",
        "mysite/settings.py": SETTINGS + MORE_SETTINGS,
        "mysite/urls.py": "urlpatterns = []\n",
        "mysite/wsgi.py": (examples / "django_project.py").read_text(),
        "chat/__init__.py": "",
        "chat/sockets.py": (examples / "django_sockets.py").read_text(),
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    env = {
        "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}",
        "DJANGO_SETTINGS_MODULE": "mysite.settings",
    }
    made = subprocess.run(
        [sys.executable, "-W", "error", "-c", USERS],
        env={**os.environ, **env},
        cwd=tmp_path,
        capture_output=True,
        check=True,
        text=True,
        timeout=50,
    )
    port = free_port()
    command = [sys.executable, "-m", "django", "runserver", "--noreload", f"127.0.0.1:{port}"]
    with launched(command, port, tmp_path / "server.log", env=env, cwd=tmp_path) as server:
        yield server, json.loads(made.stdout)


def test_users_of_a_project_talk_and_strangers_do_not(
    site: tuple[Running, dict[str, str]],
) -> None:
    """Each message comes with the name Django knows its sender by; without a login none comes."""
    server, cookies = site
    alice, bob = (Visitor(server, cookies[name]) for name in ("alice", "bob"))
    stranger = Visitor(server)
    assert alice.text().startswith('40{"sid":')
    assert bob.text().startswith('40{"sid":')
    assert stranger.text() == '44{"message":"Please log in."}'
    alice.send('42["chat","hello"]')
    assert bob.text() == '42["chat","alice","hello"]'
    bob.send('42["chat","hi"]')
    assert alice.text() == '42["chat","alice","hello"]'
    assert alice.text() == '42["chat","bob","hi"]'
    alice.send('42["whisper",2,"psst"]')
    assert bob.text() == '42["chat","bob","hi"]'
    assert bob.text() == '42["whisper","alice","psst"]'
    bob.send('42["chat","!"]')
    assert alice.text() == '42["chat","bob","!"]'
    for visitor in (alice, bob, stranger):
        visitor.close()
