"""Rooms, and who an emit reaches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from flask_sio import Namespace, NotConnectedError, Server
from tests.live import Live, Runtime, plain
from tests.server.clients import Gate, Log, Peer, Poller, everyone, in_threads


@contextmanager
def three(runtime: Runtime, server: Server) -> Iterator[tuple[Live, Peer, Peer, Peer]]:
    """Give a server with three clients, and close them."""
    with plain(runtime, server) as live:
        peers = (Peer(live), Peer(live), Peer(live))
        yield (live, *peers)
        for peer in peers:
            peer.close()


def test_an_emit_reaches_who_it_names(runtime: Runtime) -> None:
    """A room, a client's id, everybody; each gets one copy."""
    server = Server()
    with three(runtime, server) as (_, a, b, c):
        server.enter_room(a.sid, "room")
        server.enter_room(b.sid, "room")
        server.emit("to room", to="room")
        server.emit("to client", to=c.sid)
        server.emit("to all")
        assert a.sync() == b.sync() == ['42["to room"]', '42["to all"]']
        assert c.sync() == ['42["to client"]', '42["to all"]']


@pytest.mark.parametrize("kind", [list, tuple, set, frozenset])
def test_several_rooms_are_one_set_of_clients(runtime: Runtime, kind: type) -> None:
    """Who is in more than one of them, or is named besides, gets one copy."""
    server = Server()
    with three(runtime, server) as (_, a, b, c):
        server.enter_room(a.sid, "one")
        server.enter_room(a.sid, "two")
        server.enter_room(b.sid, "two")
        server.emit("union", to=kind(["one", "two", a.sid, "nobody"]))
        assert a.sync() == b.sync() == ['42["union"]']
        assert c.sync() == []


def test_room_is_another_name_for_to(runtime: Runtime) -> None:
    """As in python-socketio."""
    server = Server()
    with three(runtime, server) as (_, a, b, _c):
        server.enter_room(a.sid, "room")
        server.emit("event", room="room")
        assert a.sync() == ['42["event"]']
        assert b.sync() == []


@pytest.mark.parametrize("as_list", [True, False])
def test_skipped_clients_get_nothing(runtime: Runtime, as_list: bool) -> None:
    """One id or several, on an emit to a room and to everybody."""
    server = Server()
    with three(runtime, server) as (_, a, b, c):
        server.enter_room(a.sid, "room")
        server.enter_room(b.sid, "room")
        server.emit("to room", to="room", skip_sid=[a.sid] if as_list else a.sid)
        server.emit("to all", skip_sid=[a.sid, c.sid] if as_list else a.sid)
        assert a.sync() == []
        assert b.sync() == ['42["to room"]', '42["to all"]']
        assert c.sync() == ([] if as_list else ['42["to all"]'])


def test_a_room_that_nobody_is_in_reaches_nobody(runtime: Runtime) -> None:
    """An empty room is not everybody."""
    server = Server()
    with three(runtime, server) as (_, a, _b, _c):
        server.emit("event", to="nobody")
        server.emit("event", to=["nobody", "neither"])
        assert a.sync() == []


@pytest.mark.parametrize("room", [7, ("a", 1), 1.5, True, "ü"])
def test_any_hashable_is_a_room(runtime: Runtime, room: object) -> None:
    """A number, a tuple; also in a list of rooms."""
    server = Server()
    with three(runtime, server) as (_, a, b, _c):
        server.enter_room(a.sid, room)
        assert server.rooms(a.sid) == [a.sid, room]
        server.emit("listed", to=[room])
        assert a.sync() == ['42["listed"]']
        assert b.sync() == []


def test_entering_and_leaving_twice_is_harmless(runtime: Runtime) -> None:
    """A client is in a room or it is not."""
    server = Server()
    with three(runtime, server) as (_, a, _b, _c):
        server.enter_room(a.sid, "room")
        server.enter_room(a.sid, "room")
        server.emit("in", to="room")
        server.leave_room(a.sid, "room")
        server.leave_room(a.sid, "room")
        server.leave_room(a.sid, "never entered")
        server.emit("out", to="room")
        assert a.sync() == ['42["in"]']
        assert server.rooms(a.sid) == [a.sid]


def test_closing_a_room_lets_everybody_leave(runtime: Runtime) -> None:
    """From other rooms nobody leaves; an unknown room is no error."""
    server = Server()
    with three(runtime, server) as (_, a, b, _c):
        for peer in (a, b):
            server.enter_room(peer.sid, "room")
            server.enter_room(peer.sid, "other")
        server.close_room("room")
        server.close_room("unknown")
        server.emit("closed", to="room")
        server.emit("open", to="other")
        assert a.sync() == b.sync() == ['42["open"]']
        assert server.rooms(a.sid) == [a.sid, "other"]


def test_rooms_are_listed_with_the_own_id_first(runtime: Runtime) -> None:
    """In the order they were entered."""
    server = Server()
    with three(runtime, server) as (_, a, _b, _c):
        assert server.rooms(a.sid) == [a.sid]
        server.enter_room(a.sid, "z")
        server.enter_room(a.sid, "a")
        assert server.rooms(a.sid) == [a.sid, "z", "a"]


def test_a_clients_own_room_cannot_be_left_or_closed(runtime: Runtime) -> None:
    """It is reached by its id as long as it is connected."""
    server = Server()
    with three(runtime, server) as (_, a, _b, _c):
        server.leave_room(a.sid, a.sid)
        with pytest.raises(ValueError, match="client's id"):
            server.close_room(a.sid)
        server.enter_room(a.sid, a.sid)
        server.emit("event", to=a.sid)
        assert a.sync() == ['42["event"]']
        assert server.rooms(a.sid) == [a.sid]


def test_a_client_cannot_enter_anothers_own_room(runtime: Runtime) -> None:
    """Else it would read what is meant for the other."""
    server = Server()
    log = Log()

    @server.on("join")
    def join(sid: str, room: str) -> None:
        try:
            server.enter_room(sid, room)
        except ValueError:
            log.add("refused")

    with three(runtime, server) as (_, a, b, _c):
        b.send(f'42["join","{a.sid}"]')
        assert log.wait(1) == ["refused"]
        server.emit("secret", to=a.sid)
        assert a.sync() == ['42["secret"]']
        assert b.sync() == []
        assert server.rooms(b.sid) == [b.sid]


def test_namespaces_have_rooms_of_their_own(runtime: Runtime) -> None:
    """The same name in two namespaces is two rooms; ids differ as well."""
    server = Server(namespaces=["/", "/ns"])
    with plain(runtime, server) as live:
        peer = Peer(live)
        inner = peer.join("40/ns,")
        assert inner != peer.sid
        server.enter_room(peer.sid, "room")
        server.emit("outer", to="room")
        server.emit("inner", to="room", namespace="/ns")
        server.enter_room(inner, "room", "/ns")
        server.emit("inner", to="room", namespace="/ns")
        assert peer.sync() == ['42["outer"]', '42/ns,["inner"]']
        with pytest.raises(NotConnectedError):
            server.enter_room(inner, "room")
        peer.close()


def test_rooms_and_session_last_until_the_disconnect_handler_has_ended(runtime: Runtime) -> None:
    """The handler may tell the others in the rooms; the leaving one gets nothing."""
    server = Server()
    seen = Log()

    @server.on("disconnect")
    def disconnect(sid: str) -> None:
        rooms = server.rooms(sid)
        seen.add((rooms, server.get_session(sid), server.get_environ(sid) is not None))
        server.emit("left", sid, to=rooms[1])

    with three(runtime, server) as (live, a, b, c):
        server.enter_room(a.sid, "room")
        server.enter_room(b.sid, "room")
        server.save_session(a.sid, {"user": "alice"})
        a.send("41")
        assert seen.wait(1) == [([a.sid, "room"], {"user": "alice"}, True)]
        assert b.text() == f'42["left","{a.sid}"]'
        assert a.sync() == c.sync() == []
        live.until(lambda: a.sid not in everyone(live))
        assert server.rooms(a.sid) == []


def test_what_is_asked_of_a_client_that_left_does_nothing(runtime: Runtime) -> None:
    """What changes nothing is silent; what would give an answer raises."""
    server = Server()
    with three(runtime, server) as (live, a, b, _c):
        server.enter_room(a.sid, "room")
        a.send("41")
        live.until(lambda: a.sid not in everyone(live))
        server.emit("event", to=a.sid)
        server.emit("event", to="room")
        server.leave_room(a.sid, "room")
        server.disconnect(a.sid)
        server.close_room("room")
        assert server.rooms(a.sid) == []
        assert server.get_environ(a.sid) is None
        for ask in (server.get_session, server.transport, server.socket):
            with pytest.raises(NotConnectedError):
                ask(a.sid)
        with pytest.raises(NotConnectedError):
            server.enter_room(a.sid, "room")
        assert a.sync() == b.sync() == []


def test_a_leaving_client_enters_no_room(runtime: Runtime) -> None:
    """A join while its disconnect handler runs leaves nothing behind."""
    server = Server()
    gate = Gate(server)
    server.on("disconnect", lambda sid: gate.wait())
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send("41")
        gate.arrived()
        server.enter_room(peer.sid, "room")
        assert server.rooms(peer.sid) == [peer.sid]
        gate.open()
        peer.close()


def test_before_the_first_client_nothing_is_an_error() -> None:
    """A server that never had a request takes emits, and knows nobody."""
    server = Server()
    server.emit("event")
    server.leave_room("nobody", "room")
    server.close_room("room")
    server.disconnect("nobody")
    assert server.rooms("nobody") == []
    assert server.get_environ("nobody") is None
    with pytest.raises(NotConnectedError):
        server.enter_room("nobody", "room")
    assert not server.engine.has_loop


def test_rooms_change_from_many_threads(runtime: Runtime) -> None:
    """Each thread's joins and leaves count, and nothing is left of them."""
    server = Server()
    with plain(runtime, server) as live:
        peers = [Peer(live) for _ in range(4)]
        poller = Poller(live)
        sids = [*(peer.sid for peer in peers), poller.sid]

        def work(number: int) -> None:
            for turn in range(100):
                for sid in sids:
                    server.enter_room(sid, f"{number} {turn % 5}")
                server.emit("event", turn, to=f"{number} {turn % 5}", skip_sid=poller.sid)
                for sid in sids:
                    server.leave_room(sid, f"{number} {turn % 5}")
            server.enter_room(sids[number % 5], number)

        in_threads(8, work)
        for index, sid in enumerate(sids):
            rooms = {number for number in range(8) if number % 5 == index}
            assert set(server.rooms(sid)[1:]) == rooms
        assert len(peers[0].sync()) == 800
        for peer in peers:
            peer.close()
        poller.leave()


@pytest.mark.parametrize("kind", [list, set])
def test_several_rooms_are_entered_and_left_at_once(runtime: Runtime, kind: type) -> None:
    """A list or set is several rooms, a tuple is one."""
    server = Server()
    with three(runtime, server) as (live, a, _b, _c):
        server.enter_room(a.sid, kind(["one", "two", 3]))
        assert set(server.rooms(a.sid)) == {a.sid, "one", "two", 3}
        server.leave_room(a.sid, kind(["one", 3, "none"]))
        server.enter_room(a.sid, ("a", "b"))
        assert set(server.rooms(a.sid)) == {a.sid, "two", ("a", "b")}
        server.socket(a.sid).join("x", "y")
        server.socket(a.sid).leave("y", "two")
        live.settle()
        assert set(server.rooms(a.sid)) == {a.sid, ("a", "b"), "x"}


@pytest.mark.parametrize("kind", [list, set, frozenset])
def test_whatever_joins_rooms_reads_them_alike(runtime: Runtime, kind: type) -> None:
    """Of a server, a socket, a chain: a list or set is several rooms, a tuple is one."""
    server = Server()
    team = ("team", 7)
    with three(runtime, server) as (live, a, b, c):
        server.enter_room(a.sid, kind([team, "x"]))
        server.socket(b.sid).join(team, kind(["x", "y"]))
        of_c = server.of("/").to(c.sid)
        of_c.sockets_join(team, kind(["x", "y"]))
        live.settle()
        (fetched,) = of_c.fetch_sockets()
        server.socket(b.sid).leave(kind(["y"]))
        fetched.leave(kind(["y"]))
        live.settle()
        for peer in (a, b, c):
            assert set(server.rooms(peer.sid)) == {peer.sid, team, "x"}
        server.emit("team", to=[team])
        server.of("/").to([team]).emit("of team")
        assert a.sync() == ['42["team"]', '42["of team"]']


def test_send_reaches_whom_emit_reaches(runtime: Runtime) -> None:
    """Of a server and of a class; who is left out, or is no such user, gets nothing."""
    server, methods = Server(), Namespace()
    server.register_namespace(methods)
    with three(runtime, server) as (_, a, b, c):
        server.enter_room(a.sid, "room")
        server.users.claim(server.socket(b.sid), "bob")
        senders: tuple[Server | Namespace, ...] = (server, methods)
        for sender in senders:
            sender.send("but the room", except_rooms="room")
            sender.send("to bob", user="bob", volatile=True)
            with pytest.raises(TypeError, match="timeout="):
                sender.send("x", timeout=1)
        assert a.sync() == []
        assert b.sync() == ['42["message","but the room"]', '42["message","to bob"]'] * 2
        assert c.sync() == ['42["message","but the room"]'] * 2


def test_of_several_rooms_those_before_the_wrong_one_are_entered(runtime: Runtime) -> None:
    """The error is the one of a single room."""
    server = Server()
    with three(runtime, server) as (_, a, b, _c):
        with pytest.raises(ValueError, match="its own room"):
            server.enter_room(a.sid, ["one", b.sid, "two"])
        assert server.rooms(a.sid) == [a.sid, "one"]


def test_who_is_in_a_room_is_told(runtime: Runtime) -> None:
    """Members, their number, and which rooms there are; ids are no rooms there."""
    server = Server()
    assert (server.room_members("x"), server.room_size("x"), server.all_rooms()) == ([], 0, [])
    with three(runtime, server) as (_, a, b, _c):
        server.enter_room(a.sid, ["one", 2])
        server.enter_room(b.sid, "one")
        assert server.room_members("one") == [a.sid, b.sid]
        assert server.room_members(a.sid) == [a.sid]
        assert (server.room_size("one"), server.room_size(2), server.room_size("x")) == (2, 1, 0)
        assert server.all_rooms() == ["one", 2]
        assert (server.all_rooms("/chat"), server.room_members("one", "/chat")) == ([], [])


def test_an_event_has_a_number_for_a_name(runtime: Runtime) -> None:
    """In both directions; as a name it is not its text."""
    log = Log()
    server = Server()
    server.on(7, lambda _sid, *args: log.add((7, args)))
    server.on("7", lambda _sid, *args: log.add(("7", args)))
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('42[7,"a"]', '42["7","b"]')
        log.wait(2)
        assert log.entries == [(7, ("a",)), ("7", ("b",))]
        server.emit(7, "c", to=peer.sid)
        assert peer.sync() == ['42[7,"c"]']
        peer.close()
