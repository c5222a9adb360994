"""What a client makes the server keep, or spend, has a bound (pains 2; docs/limits.md)."""

from __future__ import annotations

import resource
import threading
from collections.abc import Iterator

import pytest

from flask_sio import DisconnectedError, Server
from flask_sio.server.input import weight
from tests.live import WAIT_S, Runtime, plain
from tests.raw_more import NO_CODE, Frames, Poller, ask, request, upgrade_request
from tests.server.clients import Log, Peer
from tests.server.desk import Desk, Gates, engine, socketio
from tests.servers.raw import ENDPOINT

POLLING, WEBSOCKET = f"{ENDPOINT}polling", f"{ENDPOINT}websocket"
ONE = '{"_placeholder":true,"num":0}'


def _join(desk: Desk) -> Frames:
    ws = desk.ws()
    ws.send("40")
    assert ws.text().startswith('40{"sid":"')
    assert ws.text() == '42["auth",{}]'
    return ws


def _both(path_polling: dict[str, str], desk: Desk) -> list[int]:
    """Ask for a session on either transport; return the statuses."""
    return [
        ask(desk, request("GET", POLLING, path_polling)).status,
        ask(desk, upgrade_request(WEBSOCKET, path_polling)).status,
    ]


# -- who comes in --------------------------------------------------------------------------


def test_the_headers_of_a_first_request_are_bounded(runtime: Runtime) -> None:
    """They are kept as long as their client: 431 on either transport, and nothing is kept."""
    with engine(runtime, max_header_bytes=3000) as desk:
        assert _both({"X-Long": 3000 * "x"}, desk) == [431, 431]
        assert _both({f"X-{n}": 100 * "x" for n in range(30)}, desk) == [431, 431]
        answer = ask(desk, request("GET", f"{POLLING}&x={3000 * 'x'}"))
        assert (answer.status, answer.body) == (431, b"")
        assert desk.engine.connections == {}
        Poller(desk, f"&x={2000 * 'x'}").leave()


def test_one_address_has_its_share(runtime: Runtime) -> None:
    """429 beyond it, on either transport, until one of its clients has left."""
    with engine(runtime, max_connections_per_address=2) as desk:
        first, second = desk.poller(), desk.ws()
        assert _both({}, desk) == [429, 429]
        # Anybody can write a header: this one is nobody's proxy.
        assert _both({"X-Forwarded-For": "192.0.2.7"}, desk) == [429, 429]
        second.leave()
        desk.live.until(lambda: len(desk.engine.connections) == 1)
        desk.poller().leave()
        first.leave()


def test_behind_a_stated_proxy_each_client_has_its_own_share(runtime: Runtime) -> None:
    """The address is the last one that the proxy did not write for another proxy."""
    options = {"max_connections_per_address": 1, "trusted_proxies": "127.0.0.1"}
    with engine(runtime, **options) as desk:
        path = f"{ENDPOINT}polling"
        for address in ("192.0.2.1", "192.0.2.2", "2001:db8::1"):
            data = request("GET", path, {"X-Forwarded-For": address})
            assert ask(desk, data).status == 200
        # The client's own claim stands before what the proxy saw.
        for forged in ("9.9.9.9, 192.0.2.1", "2001:db8::2"):
            assert _both({"X-Forwarded-For": forged}, desk) == [429, 429]
        for connection in list(desk.engine.connections.values()):
            desk.engine.loop.run(connection.end, "transport close")


def test_sockets_that_end_still_count_as_descriptors(runtime: Runtime) -> None:
    """With as many as the process may hold open, newcomers and upgrades get 503."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (70, before[1]))
    try:
        server = Server(max_connections=1000)  # six are left, and it needs sixteen
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    with plain(runtime, server) as live:
        desk = Desk(live)
        poller = desk.poller()
        sockets = [desk.ws() for _ in range(16)]
        assert _both({}, desk) == [503, 503]
        answer = ask(desk, upgrade_request(f"{WEBSOCKET}&sid={poller.sid}"))
        assert answer.status == 503
        for ws in sockets:
            ws.leave()
        desk.live.until(lambda: not desk.engine.streams)
        poller.leave()
        desk.close()


def test_the_oldest_without_a_namespace_makes_room(runtime: Runtime) -> None:
    """A crowd that never connects keeps nobody out, and harms nobody who did."""
    with socketio(runtime, max_unconnected=3) as desk:
        honest = _join(desk)
        idle: list[Frames | Poller] = [desk.ws(), desk.poller(), desk.ws()]
        late = _join(desk)
        assert isinstance(idle[0], Frames)
        assert idle[0].ends() == NO_CODE
        third = desk.poller()
        lobby = desk.live.server.lobby
        assert desk.engine.loop.call(lambda: len(lobby)) == 3
        for ws in (honest, late):
            ws.send('421["message-with-ack"]')
            assert ws.text() == "431[]"
            ws.leave()
        assert isinstance(idle[1], Poller)
        assert isinstance(idle[2], Frames)
        idle[1].leave()
        idle[2].leave()
        third.leave()
        desk.live.until(lambda: not len(lobby))


# -- what arrives slowly -------------------------------------------------------------------


def test_a_body_that_comes_too_slowly_is_given_up(runtime: Runtime) -> None:
    """Its thread goes on with 408, and the session ends, though bytes still trickle."""
    with engine(runtime, body_timeout=0.3) as desk:
        poller = desk.poller()
        held = desk.held(poller)
        slow = desk.peer(request("POST", poller.path, {"Content-Length": "900"}, b"4slow"))
        stop = threading.Event()

        def trickle() -> None:
            while not stop.wait(0.05):
                try:
                    slow.sendall(b"x")
                except OSError:
                    return

        thread = threading.Thread(target=trickle)
        thread.start()
        try:
            assert slow.answer().status == 408
        finally:
            stop.set()
            thread.join()
        assert held.answer().body == b"1"
        assert desk.has_left() == "transport error"
        assert poller.get()[0] == 400


def test_the_time_for_a_body_ends_with_it(runtime: Runtime) -> None:
    """A connection that is kept alive is not cut by the deadline of an earlier request."""
    with engine(runtime, body_timeout=0.3, ping_interval=0.9, ping_timeout=5) as desk:
        poller = desk.poller()
        peer = desk.peer(request("POST", poller.path, body=b"4first"))
        assert peer.answer().status == 200
        assert poller.get() == (200, b"4first")
        assert poller.get() == (200, b"2")  # three times that later
        if runtime == "gevent":  # werkzeug's server closes after each
            peer.sendall(request("POST", poller.path, body=b"4second"))
            assert peer.answer().status == 200
            assert poller.get() == (200, b"4second")
        poller.leave()


def test_attachments_must_come_in_time(runtime: Runtime) -> None:
    """However many of them have come, and whatever else the client sends."""
    with socketio(runtime, attachment_timeout=0.2) as desk:
        ws = _join(desk)
        ws.send(f'452-["note",{ONE}]', b"one of two")
        assert ws.ends() == NO_CODE
        assert desk.has_left() == "server disconnect"


def test_the_time_for_attachments_ends_with_the_last(runtime: Runtime) -> None:
    """And begins anew with the next packet."""
    with socketio(
        runtime, attachment_timeout=0.1, ping_interval=0.3, ping_timeout=5, max_mailbox_bytes=1000
    ) as desk:
        ws = _join(desk)
        for _ in range(3):
            ws.send(f'451-["note",{ONE}]', b"\x01")
            assert desk.saw() == (b"\x01",)
        assert ws.text() == "2"
        ws.leave()


# -- what is kept for one client -----------------------------------------------------------


def test_packets_of_one_post_are_counted(runtime: Runtime) -> None:
    """16,384 are taken, one more is nothing but work: 400, and the session ends."""
    with engine(runtime) as desk:
        poller = desk.poller()
        assert poller.post(b"\x1e".join(16_385 * [b"6"])) == (400, b"")
        assert desk.has_left() == "parse error"
        # Fewer are read, and a thousand without a message end the session as well.
        poller = desk.poller()
        assert poller.post(b"\x1e".join(16_384 * [b"6"])) == (200, b"ok")
        assert desk.has_left() == "transport error"


@pytest.mark.parametrize("item", ["[]", "{}", '{"a":1}', "1.5"])
def test_data_that_grows_when_it_is_decoded_weighs_more(runtime: Runtime, item: str) -> None:
    """A mailbox's bytes are those its events hold, not those that came over the wire."""
    packet = '42["note",[' + ",".join(1000 * [item]) + "]]"
    with socketio(runtime, max_mailbox_bytes=5 * len(packet)) as desk:
        gates = Gates(desk.live)
        desk.live.server.on("gate", lambda sid: gates.stop())
        ws = _join(desk)
        ws.send('42["gate"]')
        gate = gates.reached()
        ws.send(packet, packet)
        assert ws.ends() == NO_CODE
        gates.go_on(gate)


def test_plain_text_weighs_what_it_is() -> None:
    """A megabyte of text is a megabyte."""
    assert weight('["note","' + 1_000_000 * "x" + '"]') < 1_000_200


def test_namespaces_of_one_client_are_counted(runtime: Runtime) -> None:
    """One more than ``max_namespaces`` closes the connection."""
    with socketio(runtime, max_namespaces=3, namespaces="*") as desk:
        ws = desk.ws()
        ws.send("40/a,", "40/b,", "40/c,")
        for name in "abc":
            assert ws.text().startswith(f'40/{name},{{"sid":"')
        ws.send("41/a,", "40/d,")
        assert ws.text().startswith('40/d,{"sid":"')
        ws.send("40/e,")
        assert ws.ends() == NO_CODE


@pytest.fixture
def joined(runtime: Runtime) -> Iterator[tuple[Server, Peer]]:
    server = Server(max_rooms=2, max_unanswered_acks=2)
    with plain(runtime, server) as live:
        peer = Peer(live)
        yield server, peer
        peer.leave()


def test_rooms_of_one_client_are_counted(joined: tuple[Server, Peer]) -> None:
    """The join that is one too many raises; leaving makes room, and repeating costs none."""
    server, peer = joined
    for room in ("a", "b", "a"):
        server.enter_room(peer.sid, room)
    with pytest.raises(ValueError, match="max_rooms=2"):
        server.enter_room(peer.sid, "c")
    server.leave_room(peer.sid, "a")
    server.enter_room(peer.sid, "c")
    assert server.rooms(peer.sid) == [peer.sid, "b", "c"]


def test_the_name_of_a_room_is_bounded(joined: tuple[Server, Peer]) -> None:
    """Programs take them from clients, and they are kept."""
    server, peer = joined
    with pytest.raises(ValueError, match="1024 characters"):
        server.enter_room(peer.sid, 1025 * "x")
    server.enter_room(peer.sid, 1024 * "x")


def test_the_oldest_unanswered_ack_is_given_up(joined: tuple[Server, Peer]) -> None:
    """A client that never answers makes us remember so many callbacks, and no more."""
    server, peer = joined
    log = Log()
    for number in range(3):
        server.emit("ask", to=peer.sid, callback=lambda *args, n=number: log.add((n, args)))
    asked = [str(peer.text()) for _ in range(3)]
    assert asked == ['421["ask"]', '422["ask"]', '423["ask"]']
    peer.send('431["late"]', '432["two"]', '433["three"]')
    assert log.wait(2) == [(1, ("two",)), (2, ("three",))]


def test_a_call_that_is_given_up_fails_at_once(joined: tuple[Server, Peer]) -> None:
    """Its caller is told that nobody will answer."""
    server, peer = joined
    failed = threading.Event()

    def call() -> None:
        with pytest.raises(DisconnectedError):
            server.call("ask", to=peer.sid, timeout=WAIT_S)
        failed.set()

    thread = threading.Thread(target=call)
    thread.start()
    assert peer.text() == '421["ask"]'
    for _ in range(2):
        server.emit("more", to=peer.sid, callback=print)
    thread.join(WAIT_S)
    assert failed.is_set()
