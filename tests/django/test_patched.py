"""Django's convention in a process that gevent has patched, as under gunicorn's worker."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PROGRAM = """
import gevent.monkey; gevent.monkey.patch_all()
import sys
from pathlib import Path
from tests.django.project import close_connections, set_up
set_up(Path(sys.argv[1]))
close_connections()

from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.backends.signals import connection_created
from flask_sio.mounts.django import server
from flask_sio.protocol import sio
from flask_sio.testing import TestClient

opened = []
def note(connection, **_): opened.append(connection)
connection_created.connect(note)
waiters = []

@server.on("hold", concurrent=True)
def hold(sid):
    with transaction.atomic():
        User.objects.create(username="held")
        waiters.append(server.engine.loop.waiter())
        waiters[0].wait()
        return [connection.in_atomic_block, connection.connection is not None]

@server.on("release")
def release(sid):
    seen = [connection.in_atomic_block, User.objects.count()]
    server.engine.loop.run(waiters[0].set)
    return seen

with TestClient(server) as client:
    far = client._far
    def both():
        for number, name in enumerate(("hold", "release")):
            far.transmit(far.encode(sio.EVENT, "/", [name], number))
    client._act(both, "both")
    print(server.async_mode, [far.acks.pop(number) for number in (0, 1)])
print(len(opened), [each.connection for each in opened])
close_connections()
"""


def test_each_greenlet_has_its_own_connection_and_closes_it(tmp_path: Path) -> None:
    """An event in a transaction and another beside it do not meet; both leave nothing open."""
    pytest.importorskip("django")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=50,
    )

    assert done.stderr == ""
    assert done.stdout == "gevent [[[True, True]], [[False, 0]]]\n2 [None, None]\n"
