"""Nothing that a handler leaves behind reaches another client's handler.

Measured before the rule: a row that Alice had added and not committed went out with Bob's
commit, because both handlers ran on the same greenlet with the same `scoped_session`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.server.clients import Peer
from tests.servers.launch import Running, free_port, launched, serve

KINDS = {"gevent": "pywsgi-patched", "threading": "werkzeug"}
WAYS = ["return", "exception", "base exception", "kept"]
WAYS_OF = {
    "gevent": [*WAYS, "kill", "late kill", "timeout", "timeout at once"],
    "threading": [*WAYS, "exit of the thread"],
}


@pytest.fixture(
    scope="module",
    params=[(mode, fresh) for mode in KINDS for fresh in (False, True)],
    ids=["gevent", "gevent-fresh", "threading", "threading-fresh"],
)
def app(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """The application of isolation_app.py, on one runtime, with or without fresh greenlets."""
    mode, fresh = request.param
    folder = tmp_path_factory.mktemp("isolation")
    port = free_port()
    with launched(
        serve(KINDS[mode], "tests.server.isolation_app:app", port),
        port,
        folder / "log",
        env={"DATABASE": f"sqlite:///{folder}/rows", "FRESH": str(int(fresh))},
        clean=False,  # its handlers fail on purpose
    ) as running:
        running.name = mode
        yield running


def test_what_a_handler_leaves_behind_reaches_nobody(app: Running) -> None:
    """Neither contextvars nor local values nor an uncommitted row, however it ended."""
    alice, bobs = Peer(app), [Peer(app) for _ in range(3)]
    for how in WAYS_OF[app.name] * 3:
        alice.send(f'42["leave","left by {how}","{how}"]')
        # No ack where the handler has failed; the next event of Alice comes after it.
        alice.send('420["look"]')
        assert alice.text() == "430[[null,null,[],0]]", how
        for bob in bobs:
            bob.send('420["look politely"]', '421["look"]')
        for bob in bobs:
            assert (bob.text(), bob.text()) == ("430[[null]]", "431[[null,null,[],0]]"), how
    for peer in (alice, *bobs):
        peer.close()


def test_workers_are_used_again_unless_asked_otherwise(
    app: Running, request: pytest.FixtureRequest
) -> None:
    """Else the test above would show nothing. ``fresh_greenlets`` gives one per event."""
    fresh = "fresh" in request.node.name
    peer = Peer(app)
    peer.send('420["version"]')
    mode, *version = json.loads(peer.text()[2 + 1 :])[0]
    assert mode == app.name
    answers = set()
    for _ in range(10):
        peer.send('420["reused"]')
        answers.add(peer.text())
    if mode == "threading" and version >= [3, 13]:
        fresh = True  # nothing tells there whether a thread holds local values
    assert ("430[true]" in answers) == (not fresh)
    peer.close()
