"""Links between workers: how they begin, what they carry, how they end."""

from __future__ import annotations

import array
import json
import logging
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from flask_sio import Server, ids
from tests.live import WAIT_S, Live, Runtime, plain
from tests.mesh.pair import ENTRY_TAG, Pair, Stranger, linked, worker
from tests.server.clients import Poller
from tests.servers.raw import ENDPOINT, http

HELLO, STATE, REQUEST, ANSWER, ABORT, RELEASE, END, SOCKET, BROADCAST, DIRECT = range(1, 11)


@pytest.fixture
def home(runtime: Runtime, folder: Path) -> Iterator[Live]:
    """One worker that others can find."""
    with plain(runtime, worker(folder)) as live:
        http(live, "GET", f"{ENDPOINT}none")
        yield live


def query(poller: Poller) -> str:
    return poller.path.partition("?")[2]


def held(live: Live, poller: Poller) -> None:
    """Wait until a GET of this client is held."""
    sid = poller.path.rpartition("sid=")[2]
    live.until(lambda: live.server.engine.connections[sid].polling.held)


# -- the beginning -----------------------------------------------------------------------


def test_both_ends_say_hello(home: Live) -> None:
    """A link begins with who each is; then the peer is one of those that `tags` names."""
    with closing(Stranger(home)) as stranger:
        stranger.send(HELLO, 0, b'{"proto":1,"tag":"hand_1","pid":7,"draining":true}')
        kind, number, payload = stranger.frame()
        assert (kind, number) == (1, 0)
        assert json.loads(payload) == {
            "proto": 1,
            "tag": ids.worker_prefix(),
            "pid": os.getpid(),
            "draining": False,
        }
        assert home.server.mesh.tags == ["hand_1"]
        home.settle()
        peer = home.server.mesh.peers["hand_1"]
        assert (peer.pid, peer.draining) == (7, True)
    home.until(lambda: not home.server.mesh.tags)


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        (HELLO, b'{"proto":2,"tag":"hand_1","pid":7}'),
        (HELLO, b'{"proto":1,"tag":"hand","pid":7}'),
        (HELLO, b'{"proto":1,"pid":7}'),
        (HELLO, b"\x80\x04K\x01."),  # a pickle
        (STATE, b"{}"),
        (BROADCAST, b"who are you"),
        (SOCKET, b"\x00\x00\x00\x02{}\x00\x00\x00\x00"),  # and no descriptor beside it
    ],
)
def test_who_does_not_say_hello_is_no_peer(home: Live, kind: int, payload: bytes) -> None:
    """Another revision, no tag, or anything else as the first frame: the connection ends."""
    with closing(Stranger(home)) as stranger:
        stranger.send(kind, 0, payload)
        assert stranger.is_closed()
    assert home.server.mesh.tags == []
    assert home.server.mesh.door.arrivals == set()


def test_its_own_tag_is_no_peer(home: Live) -> None:
    """A worker does not link with itself, whoever claims to be it."""
    with closing(Stranger(home)) as stranger:
        tag = ids.worker_prefix()
        stranger.send(HELLO, 0, f'{{"proto":1,"tag":"{tag}"}}'.encode())
        assert stranger.is_closed()


@pytest.mark.parametrize(
    ("kind", "payload"),
    [(99, b""), (HELLO, b"{}"), (REQUEST, b"\x00\x00"), (ANSWER, b"\x00\x00\x00\x02{}")],
)
def test_nonsense_ends_a_link(home: Live, kind: int, payload: bytes) -> None:
    """Whatever a peer of this release does not send: the link ends, and the peer with it."""
    with closing(Stranger(home)) as stranger:
        stranger.hello()
        stranger.send(kind, 0, payload)
        assert stranger.is_closed()
    assert home.server.mesh.tags == []


def test_a_descriptor_nobody_asked_for_is_closed(home: Live) -> None:
    """One beside a HELLO ends the connection, and is not kept."""
    ours, theirs = socket.socketpair()
    with closing(Stranger(home)) as stranger, ours, theirs:
        payload = b'{"proto":1,"tag":"hand_1"}'
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [theirs.fileno()]))]
        head = (9 + len(payload)).to_bytes(4, "big") + b"\x01" + bytes(8)
        stranger.sock.sendmsg([head + payload], rights)
        assert stranger.is_closed()
        theirs.close()
        ours.settimeout(WAIT_S)
        assert ours.recv(1) == b""


def test_two_that_dial_each_other_stay_in_order(home: Live) -> None:
    """Both connections live; a worker sends on the first it knew, and takes from both."""
    mesh, got = home.server.mesh, []
    mesh.on_message = lambda tag, payload: got.append((tag, payload))
    with closing(Stranger(home)) as first, closing(Stranger(home)) as second:
        first.hello()
        second.hello()
        assert home.server.mesh.tags == ["hand_1"]
        mesh.publish(b"one")
        mesh.send("hand_1", b"two")
        assert [first.frame() for _ in range(2)] == [(9, 0, b"one"), (10, 0, b"two")]
        second.send(BROADCAST, 0, b"three")
        home.until(lambda: got)
        assert got == [("hand_1", b"three")]
        second.close()
        assert first.is_closed(), "the end of one link is the end of the peer"


def test_a_worker_that_starts_finds_who_is_there(runtime: Runtime, folder: Path) -> None:
    """It is known before it serves its first client, though nobody had time to accept it."""
    with linked(runtime, folder) as pair:
        third = worker(folder)
        third.mesh.tag = "third_"
        with plain(runtime, third) as live:
            poller = Poller(live)
            assert sorted(third.mesh.tags) == sorted([ids.worker_prefix(), ENTRY_TAG])
            for other in (pair.home, pair.entry):
                # Here its ids begin like home's, so only the link can be looked at.
                other.until(lambda other=other: "third_" in other.server.mesh.tags)
            poller.leave()
        pair.home.until(lambda: "third_" not in pair.home.server.mesh.tags)


def test_a_link_that_waits_to_be_accepted_is_found_by_a_request(home: Live) -> None:
    """An id whose worker has dialled but not been let in yet is not unknown."""
    mesh, loop = home.server.mesh, home.server.engine.loop
    loop.call(mesh.door._watch.stop)  # as if the loop had not come to it
    with closing(Stranger(home)) as stranger:
        stranger.send(HELLO, 0, b'{"proto":1,"tag":"hand_1","pid":7,"draining":false}')
        asked = threading.Thread(
            target=http, args=(home, "GET", f"{ENDPOINT}polling&sid=hand_1{'n' * 14}")
        )
        asked.start()
        assert stranger.frame()[0] == HELLO
        kind, number, payload = stranger.frame()
        assert (kind, number) == (REQUEST, 1)
        assert json.loads(payload[4:])["q"] == f"EIO=4&transport=polling&sid=hand_1{'n' * 14}"
        stranger.send(ANSWER, 1, b'\x00\x00\x00\x15{"s":"200 OK","h":[]}6')
        asked.join(WAIT_S)
        assert not asked.is_alive()


# -- requests ----------------------------------------------------------------------------


def test_a_request_and_its_answer(home: Live) -> None:
    """Method and query go in a head of JSON, the body behind it; status and headers come back."""
    poller = Poller(home)
    with closing(Stranger(home)) as stranger:
        stranger.hello()
        stranger.request(1, "POST", query(poller), b'42["echo","x"]')
        kind, number, payload = stranger.frame()
        size = int.from_bytes(payload[:4], "big")
        head = json.loads(payload[4 : 4 + size])
        assert (kind, number, head["s"], payload[4 + size :]) == (ANSWER, 1, "200 OK", b"ok")
        stranger.request(2, "GET", query(poller))
        kind, number, payload = stranger.frame()
        assert (kind, number) == (ANSWER, 2)
        assert payload.endswith(b'42["echoed","x"]')


def test_an_answer_that_nobody_took_ends_the_session(home: Live) -> None:
    """Whether it waits still or is on its way: its packets are lost for the client."""
    for number in (1, 2):
        poller = Poller(home)
        sid = poller.path.rpartition("sid=")[2]
        connection = home.server.engine.connections[sid]
        with closing(Stranger(home)) as stranger:
            stranger.hello()
            stranger.request(number, "GET", query(poller))
            held(home, poller)
            if number == 2:
                home.server.emit("late", 1, to=poller.sid)
                assert stranger.frame()[2].endswith(b'42["late",1]')
            stranger.send(ABORT, number, sid.encode())
            home.until(lambda connection=connection: connection.state == "closed")


def test_a_reason_nobody_knows_is_ignored(home: Live) -> None:
    """END names one of the protocol's reasons, or nothing happens."""
    poller = Poller(home)
    sid = poller.path.rpartition("sid=")[2].encode()
    with closing(Stranger(home)) as stranger:
        stranger.hello()
        head = len(sid).to_bytes(4, "big") + sid
        stranger.send(END, 0, head + b"because")
        stranger.request(1, "POST", query(poller), b"3")
        assert stranger.frame()[0] == ANSWER
        assert home.server.engine.connections[sid.decode()].state == "open"
        stranger.send(END, 0, head + b"parse error")
        home.until(lambda: sid.decode() not in home.server.engine.connections)


# -- the layer above ---------------------------------------------------------------------


def test_what_is_published_reaches_every_peer_in_order(pair: Pair) -> None:
    """Bytes come as they went, with the sender's tag; `send` reaches the one it names."""
    got: list[tuple[str, bytes]] = []
    mesh = pair.entry.server.mesh
    pair.home.server.mesh.on_message = lambda tag, payload: got.append((tag, payload))
    for number in range(100):
        mesh.publish(b"%d" % number)
        mesh.send(ids.worker_prefix(), b"to you")
        mesh.send("nobody", b"to nobody")
    mesh.publish(b"x" * 1_000_000)
    pair.home.until(lambda: len(got) == 201)
    expected = [b"%d" % (n // 2) if n % 2 == 0 else b"to you" for n in range(200)]
    assert got == [(ENTRY_TAG, each) for each in [*expected, b"x" * 1_000_000]]


def test_what_a_listener_raises_is_logged(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    """The link goes on, and what comes next is heard."""
    got: list[bytes] = []

    def listen(_: str, payload: bytes) -> None:
        if payload == b"bad":
            raise LookupError("a listener's fault")
        got.append(payload)

    pair.home.server.mesh.on_message = listen
    with caplog.at_level(logging.ERROR):
        for payload in (b"bad", b"good"):
            pair.entry.server.mesh.publish(payload)
        pair.home.until(lambda: got)
        pair.home.until(lambda: "a listener's fault" in caplog.text)


def test_the_end_of_a_peer_is_told(pair: Pair) -> None:
    """Once, by its tag."""
    lost: list[str] = []
    pair.home.server.mesh.on_peer_lost = lost.append
    pair.entry.server.engine.loop.call(pair.entry.server.mesh.close)
    pair.home.until(lambda: lost)
    assert lost == [ENTRY_TAG]


def test_a_peer_that_does_not_read_is_given_up(home: Live) -> None:
    """What waits for it is bounded: beyond that it counts as gone."""
    mesh, lost = home.server.mesh, []
    mesh.max_queued_bytes = 1_000_000
    mesh.on_peer_lost = lost.append
    with closing(Stranger(home)) as stranger:
        stranger.hello()
        while not lost:
            mesh.publish(b"x" * 100_000)
            home.settle()
        assert lost == ["hand_1"]
        assert mesh.tags == []


def test_a_link_that_was_given_up_comes_back(pair: Pair) -> None:
    """A peer that lives is dialled again."""
    home, entry = pair.home.server.mesh, pair.entry.server.mesh
    again: list[str] = []
    home.on_peer = again.append
    pair.home.server.engine.loop.call(lambda: home.give_up(home.peers[ENTRY_TAG], "a test"))
    pair.home.until(lambda: again)
    assert home.tags == [ENTRY_TAG]
    pair.entry.until(lambda: entry.tags == [ids.worker_prefix()])


# -- on and off --------------------------------------------------------------------------


def test_one_worker_alone_opens_nothing(runtime: Runtime, folder: Path) -> None:
    """Without siblings there is no directory and no socket."""
    server = Server(mesh_dir=str(folder))
    with plain(runtime, server) as live:
        assert http(live, "GET", f"{ENDPOINT}polling")[0] == 200
        assert server.mesh.door.listener is None
    assert os.listdir(folder) == []


def test_a_place_that_cannot_be_used_is_said_loudly(
    runtime: Runtime, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The server serves its own clients, and the log has the reason and the fix."""
    os.chmod(folder, 0o777)
    server = Server(mesh=True, mesh_dir=str(folder))
    with caplog.at_level(logging.WARNING), plain(runtime, server) as live:
        assert http(live, "GET", f"{ENDPOINT}polling")[0] == 200
        live.until(lambda: caplog.text)
    assert f"cannot be linked (others may write to {folder})" in caplog.text
    assert "Set mesh_dir= or FLASK_SIO_DIR" in caplog.text


def test_servers_of_different_paths_do_not_mix(runtime: Runtime, folder: Path) -> None:
    """Each group of the same directory, path included, is one of its own."""
    one, two = worker(folder), worker(folder, path="other")
    two.mesh.tag = ENTRY_TAG
    with plain(runtime, one) as first, plain(runtime, two) as second:
        http(first, "GET", f"{ENDPOINT}none")
        http(second, "GET", f"{ENDPOINT}none".replace("socket.io", "other"))
        assert one.mesh.directory.path != two.mesh.directory.path
        assert one.mesh.tags == two.mesh.tags == []


def test_a_worker_that_ends_leaves_nothing(runtime: Runtime, folder: Path) -> None:
    """Its socket can be found until then; the last one takes the directory away."""
    server = worker(folder)
    with plain(runtime, server) as live:
        http(live, "GET", f"{ENDPOINT}none")
        assert server.mesh.directory.tags() == [ids.worker_prefix()]
    assert os.listdir(folder) == []


def test_a_removed_directory_is_made_again(runtime: Runtime, folder: Path) -> None:
    """Who comes after a cleaner of directories still finds those that were there before."""
    with linked(runtime, folder) as pair:
        mesh = pair.home.server.mesh
        shutil.rmtree(mesh.directory.path)
        for live in (pair.home, pair.entry):
            live.server.engine.loop.call(live.server.mesh._mend)
        assert sorted(mesh.directory.tags()) == sorted([mesh.tag, ENTRY_TAG])
        third = worker(folder)
        third.mesh.tag = "third_"
        with plain(runtime, third) as live:
            http(live, "GET", f"{ENDPOINT}none")
            assert sorted(third.mesh.tags) == sorted([mesh.tag, ENTRY_TAG])


def test_a_message_too_big_is_its_senders_fault(pair: Pair) -> None:
    """The link is not harmed; who sends it learns what it may be."""
    mesh = pair.home.server.mesh
    with pytest.raises(ValueError, match="at most 16777216 are sent"):
        mesh.publish(bytes(16_777_217))
    with pytest.raises(ValueError, match="at most 16777216 are sent"):
        mesh.send(ENTRY_TAG, bytes(16_777_217))
    assert mesh.tags == [ENTRY_TAG]


def test_a_request_that_cannot_be_sent_is_answered(home: Live) -> None:
    """A peer that dies at this very moment leaves no poll waiting for ever."""
    mesh = home.server.mesh
    mesh.max_queued_bytes = 0
    with closing(Stranger(home)) as stranger:
        stranger.hello()
        peer = mesh.peers["hand_1"]
        stranger.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        loop, answers = home.server.engine.loop, []
        while peer.links:  # until the kernel takes no more
            number = loop.call(peer.ask, bytes(1_000_000), answers.append, 60.0)
        assert number == 0
        assert {answer.body for answer in answers} == {b'{"code":1,"message":"Session ID unknown"}'}
        assert loop.call(peer.ask, b"", answers.append, 60.0) == 0


def test_a_forked_child_has_no_links(runtime: Runtime, folder: Path) -> None:
    """What it closes are copies: the parent's links, name and requests go on."""
    with linked(runtime, folder) as pair:
        home, entry = pair.home.server.mesh, pair.entry.server.mesh
        child = os.fork()
        if child == 0:
            left = [home.tags, entry.tags, home.door.listener, home.tag]
            os._exit(left != [[], [], None, ""])
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert sorted(home.directory.tags()) == sorted([home.tag, ENTRY_TAG])
        got: list[bytes] = []
        home.on_message = lambda _, payload: got.append(payload)
        entry.publish(b"still here")
        pair.home.until(lambda: got)


def test_an_owner_that_hangs_is_not_waited_for_for_ever(runtime: Runtime, folder: Path) -> None:
    """After a silent client's time, and a look at what has come meanwhile, the answer is 503."""
    server = worker(folder, ping_interval=0.05, ping_timeout=0.05)
    with plain(runtime, server) as live:
        http(live, "GET", f"{ENDPOINT}none")
        with closing(Stranger(live)) as stranger:
            stranger.hello()
            answers: list[Any] = []
            loop, peer = server.engine.loop, server.mesh.peers["hand_1"]
            loop.call(peer.ask, b"", answers.append, 0.05)
            live.until(lambda: answers)
            assert answers[0].status == "503 Service Unavailable"
            stranger.frame()
            stranger.send(ANSWER, 1, b'\x00\x00\x00\x15{"s":"200 OK","h":[]}6')
            live.settle()
            assert len(answers) == 1
            assert server.mesh.tags == ["hand_1"]
