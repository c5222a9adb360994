"""Good packets at the wrong moment, and too many of them (protocol sheet 6.5 and 6.6)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from flask_sio import ConnectionRefusedError
from tests.live import Runtime
from tests.raw_more import NO_CODE, TEXT, Frames, frame
from tests.server.desk import Desk, Gates, socketio
from tests.server.wires import WIRES, Wire

ONE = '{"_placeholder":true,"num":0}'


@pytest.fixture
def desk(runtime: Runtime) -> Iterator[Desk]:
    with socketio(runtime) as desk:
        yield desk


@pytest.fixture(params=WIRES)
def joined(request: pytest.FixtureRequest, desk: Desk) -> Wire:
    """A client of the main namespace on either transport."""
    wire: Wire = request.param(desk)
    wire.send("40")
    assert str(wire.read()).startswith('40{"sid":"')
    assert wire.read() == '42["auth",{}]'
    return wire


@pytest.fixture
def ws(desk: Desk) -> Frames:
    """A client of the main namespace on a WebSocket."""
    return _join(desk)


def _join(desk: Desk) -> Frames:
    ws = desk.ws()
    ws.send("40")
    assert ws.text().startswith('40{"sid":"')
    assert ws.text() == '42["auth",{}]'
    return ws


# -- namespaces that were not joined -------------------------------------------------------


@pytest.mark.parametrize(
    "messages",
    [
        ['42/custom,["message"]'],
        ['42/nowhere,["message"]'],
        ['42/nowhere,1["message"]'],
        ['42/custom["message"]'],
        [f'451-/custom,["message",{ONE}]', b"\x05\x06"],
        ["43/custom,1[]"],
        [f"461-/custom,1[{ONE}]", b"\x05\x06"],
        ["41/custom,"],
        ["41/nowhere"],
        ["41/custom,", '42["note","late"]'],
    ],
)
def test_a_packet_for_a_namespace_never_joined_closes_the_connection(
    desk: Desk, joined: Wire, messages: list[str | bytes]
) -> None:
    """With it go its other namespaces; what comes behind it is dropped."""
    joined.send(*messages)
    assert joined.is_closed()
    assert desk.has_left() == "server disconnect"
    assert desk.seen.empty()


def test_packets_for_a_refused_namespace_are_ignored(joined: Wire) -> None:
    """The client may not have read the refusal yet."""
    joined.send("40/nowhere,", '42/nowhere,["message"]', "43/nowhere,1[]", "41/nowhere,")
    assert joined.read() == '44/nowhere,{"message":"Invalid namespace"}'
    joined.send('42["message","still here"]')
    assert joined.read() == '42["message-back","still here"]'
    joined.leave()


def test_late_packets_after_a_server_disconnect_are_ignored(desk: Desk, joined: Wire) -> None:
    """The other namespaces are unharmed, and this one may be joined again."""
    joined.send("40/custom,")
    sid = str(joined.read())[18:38]
    assert joined.read() == '42/custom,["auth",{}]'
    desk.live.server.disconnect(sid, namespace="/custom")
    assert desk.has_left() == "server disconnect"
    joined.send('42/custom,["note","late"]', "43/custom,0[]", "41/custom,", '42["message","x"]')
    assert [joined.read(), joined.read()] == ["41/custom,", '42["message-back","x"]']
    joined.send("40/custom,", '42/custom,["note","again"]')
    assert str(joined.read()).startswith('40/custom,{"sid":"')
    assert desk.saw() == ("x",)
    assert desk.saw() == ("again",)
    joined.leave()


def test_a_client_that_left_may_be_late_too(desk: Desk, joined: Wire) -> None:
    """Its own DISCONNECT makes its later packets harmless, twice as well."""
    joined.send("40/custom,", "41/custom,", '42/custom,["note","late"]', "41/custom")
    joined.send('42["message","x"]')
    while joined.read() != '42["message-back","x"]':
        pass
    assert desk.saw() == ("x",)
    joined.leave()


# -- while a CONNECT is decided ------------------------------------------------------------


def test_events_wait_for_the_decision_and_follow_it(desk: Desk) -> None:
    """They are handled in order after an acceptance, and dropped on a refusal."""
    gates = _gated(desk)
    for refuse in (False, True):
        ws = desk.ws()
        ws.send(f'40/gate,{{"refuse":{str(refuse).lower()}}}')
        ws.send('42/gate,["note",1]', '42/gate,7["note",2]', f'451-/gate,["note",{ONE}]', b"3")
        gate = gates.reached()
        ws.settle()
        assert desk.seen.empty()
        gates.go_on(gate)
        if refuse:
            assert ws.text() == '44/gate,{"message":"not you","data":{"code":7}}'
        else:
            assert ws.text().startswith('40/gate,{"sid":"')
            assert ws.text() == "43/gate,7[]"
            assert [desk.saw() for _ in range(3)] == [(1,), (2,), (b"3",)]
        ws.leave()
        desk.until_empty()
        assert desk.seen.empty()


def _gated(desk: Desk) -> Gates:
    """Register ``/gate``, whose connect handler waits for the test."""
    server, gates = desk.live.server, Gates(desk.live)

    @server.on("connect", namespace="/gate")
    def connect(sid: str, environ: dict[str, Any], auth: Any) -> None:
        gates.stop()
        if auth and auth.get("refuse"):
            raise ConnectionRefusedError("not you", {"code": 7})

    @server.on("note", namespace="/gate")
    def note(sid: str, *args: Any) -> None:
        desk.seen.put(args)

    @server.on("disconnect", namespace="/gate")
    def disconnect(sid: str, reason: str) -> None:
        desk.gone.put(reason)

    return gates


def test_a_second_connect_while_the_first_is_decided_closes(desk: Desk) -> None:
    """It is as wrong as one after it; nothing is left when the handler has ended."""
    gates = _gated(desk)
    ws = desk.ws()
    ws.send("40/gate,")
    gate = gates.reached()
    ws.send("40/gate,")
    assert ws.ends() == NO_CODE
    gates.go_on(gate)


def test_a_client_may_leave_while_it_is_decided(desk: Desk) -> None:
    """It is answered by nothing, and the connection goes on."""
    gates = _gated(desk)
    ws = desk.ws()
    ws.send("40/gate,")
    gate = gates.reached()
    ws.send("41/gate,", '42/gate,["note","late"]', "40")
    ws.settle()
    gates.go_on(gate)
    assert ws.text().startswith('40{"sid":"')
    assert desk.seen.empty()
    ws.leave()


def test_a_connection_lost_while_it_is_decided_leaves_nothing(desk: Desk) -> None:
    """Whatever the handler decides then."""
    for auth in ("", '{"refuse":true}'):
        gates = _gated(desk)
        ws = desk.ws()
        ws.send(f"40/gate,{auth}", '42/gate,["note",1]')
        gate = gates.reached()
        ws.reset()
        desk.live.until(lambda: not desk.engine.connections)
        gates.go_on(gate)
        desk.until_empty()


def test_events_before_a_decision_are_bounded(runtime: Runtime) -> None:
    """Over ``max_mailbox_events`` the connection is closed."""
    with socketio(runtime, max_mailbox_events=10) as desk:
        gates = _gated(desk)
        ws = desk.ws()
        ws.send("40/gate,")
        gate = gates.reached()
        ws.send(*(20 * ['42/gate,["note"]']))
        assert ws.ends() == NO_CODE
        gates.go_on(gate)
        desk.until_empty()


def test_joining_and_leaving_over_and_over_is_bounded(runtime: Runtime) -> None:
    """Each round queues work for handlers: it counts like events do."""
    with socketio(runtime, max_mailbox_events=10) as desk:
        gates = _gated(desk)
        ws = desk.ws()
        ws.send("40/gate,")
        gate = gates.reached()
        ws.send(*(100 * ["41/gate,", "40/gate,"]))
        assert ws.ends() == NO_CODE
        space = desk.live.server._spaces["/gate"]
        assert len(space.rooms.everyone) <= 11
        gates.go_on(gate)
        desk.live.until(lambda: not space.rooms.everyone)


def test_attachments_count_in_a_mailbox(runtime: Runtime) -> None:
    """Not only the last one of a packet: its header and all of them."""
    with socketio(runtime, max_mailbox_bytes=10_000, max_http_buffer_size=20_000) as desk:
        gates = _gated(desk)
        ws = desk.ws()
        ws.send("40/gate,")
        gate = gates.reached()
        for _ in range(3):
            ws.send(f'452-/gate,["note",{ONE}]', 6000 * b"x", b"")
        assert ws.ends() == NO_CODE
        gates.go_on(gate)
        desk.until_empty()


# -- who never connects --------------------------------------------------------------------


def test_a_refused_connect_does_not_stop_the_clock(runtime: Runtime) -> None:
    """A connection without a namespace is closed after ``connect_timeout``."""
    with socketio(runtime, connect_timeout=0.2) as desk:
        ws = desk.ws()
        ws.send("40/nowhere,")
        assert ws.text() == '44/nowhere,{"message":"Invalid namespace"}'
        assert ws.ends() == NO_CODE


def test_the_clock_stops_with_the_first_namespace_joined(runtime: Runtime) -> None:
    """A client that leaves its last one later may stay."""
    with socketio(runtime, connect_timeout=0.1, ping_interval=0.3, ping_timeout=5) as desk:
        ws = desk.ws(early=frame(TEXT, b"40"))  # in time, however slow this thread is
        assert [ws.text()[:2], ws.text()] == ["40", '42["auth",{}]']
        ws.send("41")
        assert desk.has_left() == "client disconnect"
        assert ws.text() == "2"
        ws.leave()


def test_a_client_that_is_being_decided_is_not_closed(runtime: Runtime) -> None:
    """However long its connect handler takes."""
    with socketio(runtime, connect_timeout=0.1, ping_interval=0.3, ping_timeout=5) as desk:
        gates = _gated(desk)
        ws = desk.ws(early=frame(TEXT, b"40/gate,"))
        gate = gates.reached()
        assert ws.text() == "2"
        gates.go_on(gate)
        assert ws.text().startswith('40/gate,{"sid":"')
        ws.leave()


# -- names ---------------------------------------------------------------------------------


def test_long_names_of_namespaces_are_not_kept(runtime: Runtime) -> None:
    """A client can make the server remember little, however long the names it tries."""
    with socketio(runtime, max_outbound_bytes=100_000_000) as desk:
        ws = _join(desk)
        client = desk.connection(ws.sid).handler
        for number in range(100):
            ws.send(f"40/{number}{100_000 * 'x'},")
            assert ws.text().startswith(f"44/{number}x")
        kept = desk.engine.loop.call(lambda: sum(map(len, client._left or ())))
        assert kept < 100_000
        ws.leave()


def test_namespaces_of_a_clients_choice_are_not_kept(runtime: Runtime) -> None:
    """With ``namespaces="*"`` one is gone when the last client has left it."""
    with socketio(runtime, namespaces="*") as desk:
        ws = _join(desk)
        for name in ("/a", "/b"):
            ws.send(f"40{name},")
            assert ws.text().startswith(f'40{name},{{"sid":"')
        ws.leave()
        desk.until_empty()
        assert set(desk.live.server._spaces) <= {"/", "/custom"}
