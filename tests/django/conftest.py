"""A Django project in this process: two users, an SQLite file, an app with a sockets.py."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gevent
import pytest

from flask_sio import Server
from flask_sio.testing import TestClient
from tests.conftest import missing
from tests.django.project import close_connections, set_up
from tests.live import Runtime

if TYPE_CHECKING:
    from django.contrib.auth.models import User

Connect = Callable[..., TestClient]

if find_spec("django") is None:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def project() -> Iterator[None]:
    """Set Django up once; nothing else in the suite uses it in this process."""
    if find_spec("django") is None:
        missing("django")
    with tempfile.TemporaryDirectory() as folder:
        set_up(Path(folder))
        yield
        close_connections()


@pytest.fixture(scope="session", autouse=True)
def _hub() -> None:
    """Have this thread's hub, which is never given back, before leaks are looked for."""
    gevent.get_hub()
    gevent.sleep(0)


@pytest.fixture(autouse=True)
def _nothing_open(project: None) -> Iterator[None]:
    """Begin and end with no database connection of this thread."""
    close_connections()
    yield
    close_connections()


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
