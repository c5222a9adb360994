"""The mesh as a bus: who is asked, what is learnt of a worker that ends."""

from __future__ import annotations

import threading
from pathlib import Path
from uuid import UUID

import gevent
import pytest

from flask_sio import DisconnectedError, Server, TimeoutError, ids
from flask_sio.adapters.adapter import QUERY_S
from flask_sio.adapters.cluster import ClusterAdapter
from flask_sio.mesh.bus import MeshBus
from tests.live import WAIT_S, Runtime
from tests.mesh.pair import ENTRY_TAG, Pair, linked
from tests.server.clients import Peer
from tests.server.test_volatile import stuff

HOME_TAG = ids.worker_prefix()


@pytest.fixture(scope="module", autouse=True)
def hub() -> None:
    """Have this thread's hub, which is never given back, before leaks are looked for."""
    gevent.get_hub()
    gevent.sleep(0)


def test_the_id_of_a_client_tells_its_worker(pair: Pair) -> None:
    """Of the peers and of this worker itself; a room's name tells none, nor a dead worker's id."""
    bus = MeshBus(pair.entry.server.mesh)
    rest = "x" * 14
    assert bus.owner(HOME_TAG + rest) == HOME_TAG
    assert bus.owner(ENTRY_TAG + rest) == ENTRY_TAG
    for name in ("room", HOME_TAG, HOME_TAG + rest + "x", "ghost_" + rest):
        assert bus.owner(name) is None


def test_what_is_for_one_client_goes_to_its_worker(pair: Pair) -> None:
    """And what is for one of this worker that has left goes to nobody."""
    at_home = Peer(pair.home)
    server = pair.entry.server
    assert server.emit("one", to=at_home.sid).published == 1
    assert server.emit("two", to=ENTRY_TAG + "x" * 14).published == 0
    assert server.emit("three", to="room").published == 1
    server.emit("four")
    assert [at_home.text(), at_home.text()] == ['42["one"]', '42["four"]']
    at_home.leave()


def test_a_worker_that_ends_is_named(pair: Pair) -> None:
    """Whoever waits for its clients goes on at once, with the answers there are."""
    at_home, at_entry = Peer(pair.home), Peer(pair.entry)
    server, caught = pair.entry.server, []

    def ask() -> None:
        with pytest.raises(TimeoutError) as error:
            server.of("/").timeout(None).call("question")
        caught.append(error.value)

    thread = threading.Thread(target=ask)
    thread.start()
    assert at_home.text() == at_entry.text() == '421["question"]'
    at_entry.send('431["yes"]')
    pair.home.server.engine.loop.call(pair.home.server.mesh.close)
    thread.join(WAIT_S)
    (error,) = caught
    assert error.answers == {at_entry.sid: "yes"}
    assert (error.owed, error.missing) == ((), (HOME_TAG,))
    for peer in (at_home, at_entry):
        peer.leave()


def test_an_emit_finds_the_workers_by_itself(runtime: Runtime, pair: Pair, folder: Path) -> None:
    """A worker that has had no request yet is linked by the first thing it has to say."""
    at_home = Peer(pair.home)
    third = Server(async_mode=runtime, mesh=True, mesh_dir=str(folder))
    third.mesh.tag = "third_"
    assert not third.engine.has_loop
    assert third.emit("news").published == 2
    assert isinstance(third.adapter, ClusterAdapter)
    assert at_home.text() == '42["news"]'
    third.shutdown()
    gevent.sleep(0.001)  # a pass of the hub, which gives back what was closed
    at_home.leave()


def test_a_thread_before_the_first_request_reaches_nobody(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It says so where the loop would be gevent's, and so that thread's."""
    server = Server(mesh=True, mesh_dir=str(folder), async_mode="gevent")
    thread = threading.Thread(target=server.emit, args=("news",))
    thread.start()
    thread.join(WAIT_S)
    assert "before this worker's first request" in caplog.text
    assert not server.engine.has_loop


def test_the_id_of_another_workers_client_is_no_room(pair: Pair) -> None:
    """It is its own room there too; other names may look as they like."""
    victim, spy = Peer(pair.home), Peer(pair.entry)
    server = pair.entry.server
    server.enter_room(spy.sid, ["x" * 20, "room"])
    with pytest.raises(ValueError, match="a client's id is its own room"):
        server.enter_room(spy.sid, victim.sid)
    server.of("/").to(spy.sid).sockets_join(victim.sid)
    assert server.rooms(spy.sid) == [spy.sid, "x" * 20, "room"]
    for peer in (victim, spy):
        peer.leave()


def test_a_slow_client_of_another_worker_leaves_after_its_last_event(
    runtime: Runtime, folder: Path
) -> None:
    """disconnect(after_flush=True) is obeyed where the client is."""
    with linked(runtime, folder, max_outbound_bytes=50_000_000) as pair:
        slow = Peer(pair.home)
        count = stuff(pair.home.server, slow.sid)
        pair.entry.server.disconnect(slow.sid, after_flush=True)
        pair.entry.server.of("/").count()  # its answer comes behind
        assert pair.home.server.socket(slow.sid).connected
        pair.home.server.emit("last", to=slow.sid)
        got = [slow.text() for _ in range(count + 2)]
        assert got[-2:] == ['42["last"]', "41"]
        slow.leave()


def test_what_looks_like_an_attachment_breaks_no_question(pair: Pair) -> None:
    """A client's auth and its answers arrive at other workers as it has sent them."""
    forged = {"_placeholder": True, "num": 9}
    at_home = Peer(pair.home, join='40{"_placeholder":true,"num":9}')
    server, answers = pair.entry.server, []
    (found,) = server.of("/").fetch_sockets()
    assert (found.id, found.handshake.auth) == (at_home.sid, forged)

    def ask() -> None:
        answers.append(server.call("question", to=at_home.sid))

    thread = threading.Thread(target=ask)
    thread.start()
    assert at_home.text() == '421["question"]'
    at_home.send('431[{"_placeholder":true,"num":9}]')
    thread.join(WAIT_S)
    assert answers == [forged]
    at_home.leave()


def test_server_events_keep_what_looks_like_an_attachment(pair: Pair) -> None:
    """With true bytes beside it."""
    forged = {"_placeholder": True, "num": 0}

    @pair.home.server.on_server_event("told")
    def told(first: object, second: object) -> list[object]:
        return [second, first]

    Peer(pair.home).leave()  # a server that nobody has reached has nothing to say
    server = pair.entry.server
    assert server.of("/").server_side_call("told", forged, b"\x00") == [[b"\x00", forged]]


def test_what_cannot_be_told_is_no_silence(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    """A worker whose answer cannot be written is named at once, and says why, once."""
    at_home, at_entry = Peer(pair.home), Peer(pair.entry)
    pair.home.server.socket(at_home.sid).data["thing"] = object()
    pair.home.server.enter_room(at_home.sid, UUID(int=1))
    server = pair.entry.server
    began = server.engine.loop.now()
    for _ in range(2):
        found = server.of("/").fetch_sockets()
        assert [each.id for each in found] == [at_entry.sid]
        assert found.missing == (HOME_TAG,)
        assert server.all_rooms() == []
    assert server.engine.loop.now() - began < 4 * QUERY_S
    pair.home.settle()
    assert caplog.text.count("cannot be answered") == 1
    for peer in (at_home, at_entry):
        peer.leave()


def test_an_answer_that_cannot_be_told_is_none(pair: Pair) -> None:
    """It is too big for a frame: who asks learns at once that none comes."""
    at_home = Peer(pair.home)
    pair.home.server.mesh.max_payload = 1000
    server, caught = pair.entry.server, []

    def ask() -> None:
        with pytest.raises(DisconnectedError) as error:
            server.call("question", to=at_home.sid, timeout=None)
        caught.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    assert at_home.text() == '421["question"]'
    at_home.send('431["' + "x" * 1000 + '"]')
    thread.join(WAIT_S)
    assert len(caught) == 1
    at_home.leave()


def test_what_cannot_be_asked_leaves_nothing(pair: Pair) -> None:
    """It raises where it is asked; no loop stays borrowed, and nobody is waited for."""
    server = pair.entry.server
    borrowed = server.engine.loop.call(lambda: set(server.engine._borrowers))
    room = UUID(int=1)
    with pytest.raises(TypeError, match="rooms of several servers"):
        server.emit("question", to=room, callback=print)
    with pytest.raises(TypeError, match="rooms of several servers"):
        server.of("/").to(("a", room)).call("question")
    assert isinstance(server.adapter, ClusterAdapter)
    assert not server.adapter._gatherings
    assert server.engine.loop.call(lambda: set(server.engine._borrowers)) == borrowed


def test_who_shuts_down_before_the_first_request_joins_nobody(folder: Path) -> None:
    """There is nothing to end, so nothing is started for it."""
    server = Server(mesh=True, mesh_dir=str(folder))
    assert server.shutdown()
    assert not server.engine.has_loop
    assert list(folder.iterdir()) == []
