"""A Django project in this process: two users, an SQLite file, an app with a sockets.py."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from flask_sio import Server
from flask_sio.testing import TestClient
from tests.conftest import missing
from tests.live import Runtime

if TYPE_CHECKING:
    from django.contrib.auth.models import User

HERE = "tests.django"
AUTH = "django.contrib.auth.middleware.AuthenticationMiddleware"
SESSION = "django.contrib.sessions.middleware.SessionMiddleware"

Connect = Callable[..., TestClient]

if find_spec("django") is None:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def project() -> Iterator[None]:
    """Set Django up once; nothing else in the suite uses it in this process."""
    if find_spec("django") is None:
        missing("django")
    import django
    from django.conf import settings
    from django.core.management import call_command

    with tempfile.TemporaryDirectory() as folder:
        settings.configure(
            SECRET_KEY="of the tests",
            ALLOWED_HOSTS=["127.0.0.1"],
            ROOT_URLCONF=f"{HERE}.urls",
            SOCKETIO={"ping_interval": 7, "path": "live"},
            INSTALLED_APPS=[
                "flask_sio.mounts.django.SocketIOConfig",
                "django.contrib.contenttypes",
                "django.contrib.auth",
                "django.contrib.sessions",
                f"{HERE}.discovered",
            ],
            MIDDLEWARE=["django.middleware.locale.LocaleMiddleware", SESSION, AUTH],
            DATABASES={
                "default": {
                    "ENGINE": "django.db.backends.sqlite3",
                    "NAME": Path(folder) / "db.sqlite3",
                    "CONN_MAX_AGE": None,  # Django itself would keep them open for good
                    "OPTIONS": {"timeout": 20},
                }
            },
            PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
            TEMPLATES=[
                {
                    "BACKEND": "django.template.backends.django.DjangoTemplates",
                    "OPTIONS": {"context_processors": ["flask_sio.mounts.django.socketio"]},
                }
            ],
            USE_TZ=True,
        )
        django.setup()
        call_command("migrate", verbosity=0)
        yield
        _close_connections()


@pytest.fixture(autouse=True)
def _nothing_open(project: None) -> Iterator[None]:
    """Begin and end with no database connection of this thread."""
    _close_connections()
    yield
    _close_connections()


def _close_connections() -> None:
    from django.db import connections

    connections.close_all()


@pytest.fixture
def alice() -> Iterator[User]:
    """A user, gone after the test with her sessions."""
    from django.contrib.auth.models import User
    from django.contrib.sessions.models import Session

    yield User.objects.create_user("alice", password="wonderland")
    User.objects.all().delete()
    Session.objects.all().delete()


@pytest.fixture
def server(runtime: Runtime) -> Server:
    """A server of Django's convention, on either runtime."""
    from flask_sio.mounts.django import DjangoConvention

    return Server(convention=DjangoConvention(), async_mode=runtime)


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Connect a client, with the cookies of a client of Django's own."""
    made: list[TestClient] = []

    def connect(server: Server, http: Any = None, **headers: str) -> TestClient:
        if http is not None:
            headers["Cookie"] = http.cookies.output(header="", sep=";", attrs=[])
        client = TestClient(server, headers=headers)
        made.append(client)
        return client

    yield connect
    for client in made:
        client.close()
