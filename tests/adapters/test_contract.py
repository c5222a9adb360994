"""What every adapter must do, with clients of one server and of several."""

from __future__ import annotations

from collections.abc import Iterator

import gevent
import pytest

from flask_sio import DisconnectedError, NotConnectedError, TimeoutError
from flask_sio.adapters.rooms import UserRoom
from flask_sio.testing import TestClient
from tests.adapters.fleet import KINDS, Fleet, answering, fleet_of
from tests.live import WAIT_S, Runtime


@pytest.fixture(scope="module", autouse=True)
def hub() -> None:
    """Have this thread's hub, which is never given back, before leaks are looked for."""
    gevent.get_hub()
    gevent.sleep(0)


@pytest.fixture(params=KINDS)
def fleet(request: pytest.FixtureRequest, runtime: Runtime) -> Iterator[Fleet]:
    with fleet_of(request.param, runtime) as found:
        yield found


# -- emits ------------------------------------------------------------------------------


def test_everybody_gets_a_broadcast_once(fleet: Fleet) -> None:
    """Also with bytes in it, and nobody in another namespace."""
    clients = fleet.several(4)
    other = fleet.client("/other")
    fleet.server.of("/").emit("news", {"data": b"\x00"})
    fleet.settle()
    for client in clients:
        (event,) = client.get_received()
        assert event["args"] == [{"data": b"\x00"}]
    assert other.get_received("/other") == []


def test_rooms_are_a_union_and_skip_takes_away(fleet: Fleet) -> None:
    """Who is in several rooms gets one copy; rooms and ids are left out alike."""
    a, b, c, d = fleet.several(4)
    of = fleet.server.of("/")
    of.to(a.sid(), b.sid()).sockets_join("one")
    of.to(b.sid(), c.sid()).sockets_join("two")
    fleet.settle()
    of.to("one", "two").emit("union")
    of.to("one").to("two").except_("two").emit("but two")
    of.except_("one", d.sid()).emit("but one and d")
    of.to("nobody").emit("nobody")
    of.to([]).emit("nobody")
    assert fleet.heard() == [
        ["union", "but two"],
        ["union"],
        ["union", "but one and d"],
        [],
    ]


def test_a_room_can_have_any_name(fleet: Fleet) -> None:
    """Numbers, zero among them, and tuples; a text is another room than its number."""
    a, b = fleet.several(2)
    of = fleet.server.of("/")
    for room in (0, 7, ("job", 7)):
        of.to(b.sid()).sockets_join(room)
    of.to(a.sid()).sockets_join("7")
    fleet.settle()
    of.to(0).emit("zero")
    of.to(7).emit("seven")
    of.to(("job", 7)).emit("never")  # a tuple here is several rooms
    fleet.server.emit("text", to="7")
    assert fleet.heard() == [["text"], ["zero", "seven", "never"]]


def test_local_stays_at_home(fleet: Fleet) -> None:
    """Only clients of the server that is asked get it."""
    fleet.several(2)
    fleet.server.of("/").local.emit("here")
    expected = [["here"], [] if fleet.is_several else ["here"]]
    assert fleet.heard() == expected
    assert fleet.server.of("/").local.count() == (1 if fleet.is_several else 2)


def test_emits_keep_their_order(fleet: Fleet) -> None:
    """Whatever they are for, each client gets them in the order they were made."""
    _, far = fleet.several(2)
    of = fleet.server.of("/")
    for number in range(50):
        of.to(far.sid()).emit("n", number) if number % 2 else of.emit("n", number)
    fleet.settle()
    assert [event["args"] for event in far.get_received()] == [[n] for n in range(50)]


def test_an_emit_tells_what_became_of_it(fleet: Fleet) -> None:
    """Matched and queued are own clients; published is how many other servers got it."""
    fleet.several(2)
    result = fleet.server.of("/").emit("news")
    own = 1 if fleet.is_several else 2
    assert (result.matched, result.queued, result.dropped) == (own, own, 0)
    assert result.published == (1 if fleet.is_several else 0)
    nobody = fleet.server.of("/").to("nobody").emit("news")
    assert (nobody.matched, nobody.queued, nobody.dropped) == (0, 0, 0)


def test_an_emit_to_an_own_client_stays_at_home(fleet: Fleet) -> None:
    """The other servers are not told."""
    near, _ = fleet.several(2)
    assert fleet.server.emit("news", to=near.sid()).published == 0


# -- answers ----------------------------------------------------------------------------


def test_every_client_answers_once(fleet: Fleet) -> None:
    """The answers come by the id of who gave them: none, one, several."""
    a, b, c = fleet.several(3)
    answering(a, lambda: None)
    answering(b, lambda: 1)
    answering(c, lambda: (1, b"\x01"))
    answers = fleet.server.of("/").timeout(WAIT_S).call("question")
    assert answers == {a.sid(): None, b.sid(): 1, c.sid(): (1, b"\x01")}
    assert fleet.server.of("/").to("nobody").call("question") == {}


def test_answers_that_are_late_are_named(fleet: Fleet) -> None:
    """What came is kept, who owes is named, and nothing is kept of it anywhere."""
    a, b = fleet.several(2)
    answering(a, lambda: "a")
    with pytest.raises(TimeoutError) as caught:
        fleet.server.of("/").timeout(0.3).call("question")
    assert caught.value.answers == {a.sid(): "a"}
    assert caught.value.owed == (b.sid(),)
    assert caught.value.missing == ()
    fleet.settle()
    own_server = b.server
    acks = own_server.socket(b.sid())._acks
    assert acks is not None
    assert acks._owed == {}


def test_who_leaves_owes_nothing(fleet: Fleet) -> None:
    """A client that leaves instead of answering ends the wait, and is not among the answers."""
    a, b = fleet.several(2)
    answering(a, lambda: "a")
    answering(b, lambda: b.server.disconnect(b.sid()))
    assert fleet.server.of("/").timeout(WAIT_S).call("question") == {a.sid(): "a"}


def test_call_asks_one_client(fleet: Fleet) -> None:
    """Wherever it is; an unknown one and one that leaves are told apart."""
    _, far = fleet.several(2)
    answering(far, lambda text: text * 2)
    assert fleet.server.call("question", "x", to=far.sid(), timeout=WAIT_S) == "xx"
    with pytest.raises(NotConnectedError):
        fleet.server.call("question", to="nobody", timeout=WAIT_S)
    answering(far, lambda: far.server.disconnect(far.sid()))
    with pytest.raises(DisconnectedError):
        fleet.server.call("question", to=far.sid(), timeout=WAIT_S)


def test_a_callback_gets_each_answer(fleet: Fleet) -> None:
    """One call for each client that answers."""
    clients = fleet.several(4)
    got: list[str] = []

    def callback(answer: str) -> None:
        got.append(answer)
        fleet.server.emit("counted", to=clients[0].sid())

    for client in clients:
        answering(client, client.sid)
    fleet.server.of("/").emit("question", callback=callback)
    for _ in clients:
        clients[0].wait_for("counted", WAIT_S)
    assert sorted(got) == sorted(client.sid() for client in clients)


def test_a_callback_is_told_who_does_not_answer(fleet: Fleet) -> None:
    """Once for each client: its answer, that it left, or that its time is over."""
    clients = fleet.several(4)
    got: list[object] = []
    for client in clients[:2]:
        answering(client, client.sid)
    fleet.server.emit("question", callback=got.append, timeout=600)
    for client in clients[2:]:
        client.wait_for("question", WAIT_S)
        fleet.server.disconnect(client.sid())
    fleet.until(lambda: len(got) >= 4)
    assert sorted(map(str, got)) == sorted(
        [*(client.sid() for client in clients[:2]), *[LEFT.format("question")] * 2]
    )

    got.clear()
    fleet.server.emit("silence", callback=got.append, timeout=0.05)
    fleet.until(lambda: len(got) >= 2)
    assert [str(each) for each in got] == ["no answer to 'silence' within 0.05 s"] * 2
    assert {type(each) for each in got} == {TimeoutError}


LEFT = "the client left before it answered {!r}"


# -- rooms ------------------------------------------------------------------------------


def test_clients_are_moved_together(fleet: Fleet) -> None:
    """Joined by one filter, taken out by another; sizes and members are those of all servers."""
    a, b, c = fleet.several(3)
    of = fleet.server.of("/")
    of.sockets_join("x", ["y", "z"])
    of.to(c.sid()).sockets_leave("z")
    fleet.settle()
    assert of.room_sizes() == {"x": 3, "y": 3, "z": 2}
    assert sorted(of.room_members("z")) == sorted([a.sid(), b.sid()])
    assert of.to("x").except_("z").sids() == [c.sid()]
    of.sockets_leave("x", "y")
    fleet.settle()
    assert of.room_sizes() == {"z": 2}
    fleet.server.close_room("z")
    fleet.settle()
    assert of.room_sizes() == {}
    assert of.count() == 3


def test_nobody_enters_the_room_of_an_id(fleet: Fleet) -> None:
    """Nor can it be closed, wherever its client is."""
    a, b, c = fleet.several(3)
    of = fleet.server.of("/")
    of.to(a.sid()).sockets_join(c.sid())
    of.to(b.sid()).sockets_join(b.sid())
    of.to(c.sid()).sockets_leave(c.sid())
    fleet.settle()
    fleet.server.emit("private", to=c.sid())
    fleet.server.emit("own", to=b.sid())
    assert fleet.heard() == [[], ["own"], ["private"]]
    assert of.room_sizes() == {}


def test_nobody_joins_what_another_server_has(fleet: Fleet) -> None:
    """Where an id tells its server, or all servers are of one process."""
    a, b = fleet.several(2)
    if any(server.mesh.is_due for server in fleet.servers):
        return  # ids of one process tell none of its two workers: see tests/mesh/test_bus.py
    socket = a.server.socket(a.sid())
    with pytest.raises(ValueError, match="a client's id is its own room"):
        socket.join(b.sid())
    fleet.server.of("/").to(a.sid()).sockets_join(b.sid())
    assert socket.rooms == [a.sid()]


def test_who_leaves_is_in_no_room(fleet: Fleet) -> None:
    """Its rooms end with it; the others' stay."""
    a, b = fleet.several(2)
    of = fleet.server.of("/")
    of.sockets_join("both")
    of.to(b.sid()).sockets_join("b")
    fleet.settle()
    fleet.clients.remove(b)
    b.close()
    fleet.settle()
    assert of.room_sizes() == {"both": 1}
    assert of.sids() == [a.sid()]


# -- clients ----------------------------------------------------------------------------


def test_sockets_are_described(fleet: Fleet) -> None:
    """Id, rooms, handshake and data, of every server's."""
    near = fleet.client()
    far = TestClient(fleet.servers[-1], "/", "?a=b", {"X-Own": "1"}, {"token": 7}, timeout=WAIT_S)
    fleet.clients.append(far)
    far.server.socket(far.sid()).data["name"] = "far"
    fleet.server.of("/").to(far.sid()).sockets_join("room")
    fleet.settle()
    found = {each.id: each for each in fleet.server.of("/").fetch_sockets()}
    assert set(found) == {near.sid(), far.sid()}
    socket = found[far.sid()]
    assert socket.rooms == (far.sid(), "room")
    assert socket.data == {"name": "far"}
    assert socket.handshake.query == {"a": "b"}
    assert socket.handshake.headers["x-own"] == "1"
    assert socket.handshake.auth == {"token": 7}
    assert socket.namespace == "/"


def test_a_described_socket_can_be_spoken_to(fleet: Fleet) -> None:
    """It emits to its client only, asks it, moves it, and disconnects it."""
    near, far = fleet.several(2)
    answering(far, lambda: "yes")
    (socket,) = fleet.server.of("/").to(far.sid()).fetch_sockets()
    socket.emit("hello")
    assert socket.call("question") == "yes"
    socket.join("a", "b")
    socket.leave("a")
    fleet.settle()
    (again,) = fleet.server.of("/").to("b").fetch_sockets()
    assert again.rooms == (far.sid(), "b")
    socket.disconnect()
    fleet.settle()
    assert not far.is_connected()
    assert near.is_connected()


@pytest.mark.parametrize("close", [False, True])
def test_clients_are_disconnected_together(fleet: Fleet, close: bool) -> None:
    """From the namespace, or with close=True from all: the connection ends."""
    a, b = fleet.several(2)
    for client in (a, b):
        client.connect("/other")
    fleet.server.of("/").to(b.sid()).disconnect_sockets(close)
    fleet.settle()
    assert (a.is_connected(), b.is_connected()) == (True, False)
    assert b.is_connected("/other") is not close
    if close:
        fleet.clients.remove(b)


def test_users_are_reached_wherever_they_are(fleet: Fleet) -> None:
    """All clients of a user are one room; so they are counted, and disconnected."""
    clients = fleet.several(3)
    for client in clients[:2]:
        client.server.users.claim(client.server.socket(client.sid()), "ada")
    fleet.settle()
    server = fleet.server
    assert sorted(server.users.sids("ada", "/")) == sorted(each.sid() for each in clients[:2])
    server.emit("for ada", user="ada")
    server.of("/").to(user="ada").emit("for ada too")
    assert fleet.heard() == [["for ada", "for ada too"]] * 2 + [[]]
    assert server.of("/").room_sizes() == {}
    assert UserRoom("ada") not in server.rooms(clients[0].sid())
    server.users.disconnect("ada", None)
    fleet.settle()
    assert [client.is_connected() for client in clients] == [False, False, True]


def test_users_are_disconnected_from_namespaces_of_other_servers(fleet: Fleet) -> None:
    """Each server knows its own: who asks need not."""
    near, far = fleet.several(2)
    far.connect("/other")
    far.server.users.claim(far.server.socket(far.sid("/other"), "/other"), "ada")
    fleet.settle()
    fleet.server.users.disconnect("ada")
    fleet.settle()
    assert not far.is_connected("/other")
    assert far.is_connected()
    assert near.is_connected()


# -- servers ----------------------------------------------------------------------------


def test_servers_send_each_other_events(fleet: Fleet) -> None:
    """The others' functions get them, and what these return comes back; the own one does not."""
    fleet.several(2)
    heard: list[tuple[int, str]] = []
    for number, server in enumerate(fleet.servers):

        def listen(text: str, number: int = number) -> str:
            heard.append((number, text))
            return f"{text} {number}"

        server.on_server_event("greet", listen)
    of = fleet.server.of("/")
    others = [f"hi {number}" for number in range(1, len(fleet.servers))]
    found = of.timeout(WAIT_S).server_side_call("greet", "hi")
    assert (list(found), found.missing) == (others, ())
    of.server_side_emit("greet", "ho")
    assert list(of.timeout(WAIT_S).server_side_call("unknown")) == []
    expected = [(n, text) for n in range(1, len(fleet.servers)) for text in ("hi", "ho")]
    fleet.until(lambda: sorted(heard) == sorted(expected))


def test_servers_may_be_waited_for_without_end(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """timeout(None) is no default."""
    monkeypatch.setattr("flask_sio.server.operators.ACK_S", 0.0)
    fleet.several(2)
    for server in fleet.servers:
        server.on_server_event("greet", lambda server=server: server.sleep(0.01) or "hi")
    found = fleet.server.of("/").timeout(None).server_side_call("greet")
    assert (list(found), found.missing) == (["hi"] * (len(fleet.servers) - 1), ())


def test_bad_data_fails_at_the_call(fleet: Fleet) -> None:
    """What is no JSON reaches no server."""
    fleet.several(2)
    for call in (fleet.server.of("/").emit, fleet.server.of("/").call):
        with pytest.raises(TypeError):
            call("news", object())
    with pytest.raises(ValueError, match="reserved"):
        fleet.server.of("/").emit("disconnect")
    assert fleet.heard() == [[], []]
