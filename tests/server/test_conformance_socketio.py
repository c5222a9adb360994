"""Socket.IO 5 on the wire: the public conformance suite on both transports, and its neighbours.

Source: socket.io-protocol, *test-suite*, with its options and its server's handlers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.live import Runtime
from tests.raw_more import ask, request
from tests.server.desk import Desk, socketio
from tests.server.wires import WIRES, Wire

SID = "[A-Za-z0-9_-]{20}"


@pytest.fixture
def desk(runtime: Runtime) -> Iterator[Desk]:
    """The suite's server, with a calm heartbeat."""
    with socketio(runtime, connect_timeout=1) as desk:
        yield desk


@pytest.fixture(params=WIRES)
def wire(request: pytest.FixtureRequest, desk: Desk) -> Wire:
    """A session that has sent nothing yet."""
    made: Wire = request.param(desk)
    return made


@pytest.fixture
def joined(wire: Wire) -> Wire:
    """A session in the main namespace."""
    wire.send("40")
    assert re.fullmatch(r'40\{"sid":"%s"\}' % SID, str(wire.read()))  # noqa: UP031
    assert wire.read() == '42["auth",{}]'
    return wire


def test_the_path_is_matched_by_segments(desk: Desk) -> None:
    """With and without its last slash, and nothing that only begins like it."""
    for path in ("/socket.io/", "/socket.io"):
        answer = ask(desk, request("GET", f"{path}?EIO=4&transport=polling"))
        sid = answer.body[9:29].decode()
        assert answer.status == 200
        data = request("POST", f"{path}?EIO=4&transport=polling&sid={sid}", body=b"1")
        assert ask(desk, data).body == b"ok"
    for path in ("/socket.iox/", "/SOCKET.IO/", "/"):
        assert ask(desk, request("GET", f"{path}?EIO=4&transport=polling")).status == 404


# -- connect -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("packet", "reply", "auth"),
    [
        ("40", r"40", '42["auth",{}]'),
        ("40{}", r"40", '42["auth",{}]'),
        ('40{"token":"123"}', r"40", '42["auth",{"token":"123"}]'),
        ("40/,", r"40", '42["auth",{}]'),
        ("40/custom,", r"40/custom,", '42/custom,["auth",{}]'),
        ("40/custom", r"40/custom,", '42/custom,["auth",{}]'),
        ('40/custom,{"token":"abc"}', r"40/custom,", '42/custom,["auth",{"token":"abc"}]'),
    ],
)
def test_a_client_joins_a_namespace(wire: Wire, packet: str, reply: str, auth: str) -> None:
    """The reply has a key ``sid`` and no other, and comes before what the handler emits."""
    wire.send(packet)
    assert re.fullmatch(reply + r'\{"sid":"' + SID + r'"\}', str(wire.read()))
    assert wire.read() == auth
    wire.leave()


def test_the_id_of_a_socket_is_not_that_of_its_connection(desk: Desk) -> None:
    """The secret session id stays secret, and each namespace has an id of its own."""
    ws = desk.ws()
    ws.send("40", "40/custom,")
    replies = [ws.text() for _ in range(4)]
    ids = re.findall(SID, "".join(reply for reply in replies if reply.startswith("40")))
    assert len({*ids, ws.sid}) == 3
    ws.leave()


@pytest.mark.parametrize(
    ("packet", "reply"),
    [
        ("40/random", '44/random,{"message":"Invalid namespace"}'),
        ("40/random,{}", '44/random,{"message":"Invalid namespace"}'),
        ("40/custom?token=1,", '44/custom?token=1,{"message":"Invalid namespace"}'),
        ("40/é,", '44/é,{"message":"Invalid namespace"}'),
    ],
)
def test_an_unknown_namespace_is_refused(wire: Wire, packet: str, reply: str) -> None:
    """The connection stays, and a known one may be joined."""
    wire.send(packet)
    assert wire.read() == reply
    wire.send("40")
    assert str(wire.read()).startswith('40{"sid":"')
    wire.leave()


def test_a_refused_client_may_try_again(desk: Desk) -> None:
    """A second refusal looks like the first one."""
    ws = desk.ws()
    for _ in range(2):
        ws.send("40/random,")
        assert ws.text() == '44/random,{"message":"Invalid namespace"}'
    ws.leave()


@pytest.mark.parametrize("first", ["4abc", "4", '42["message"]', "43[]", "41", '44{"message":"x"}'])
def test_anything_before_the_connect_closes_the_connection(wire: Wire, first: str) -> None:
    """Only a CONNECT may come first."""
    wire.send(first)
    assert wire.is_closed()


def test_a_client_that_never_connects_is_closed(wire: Wire) -> None:
    """After ``connect_timeout`` seconds, however calm the heartbeat."""
    assert wire.is_closed()


def test_a_second_connect_closes_the_connection(joined: Wire) -> None:
    """A namespace is joined once on a connection."""
    joined.send("40")
    assert joined.is_closed()


# -- disconnect --------------------------------------------------------------------------


def test_a_client_leaves_the_main_namespace(desk: Desk, joined: Wire) -> None:
    """Nothing answers it; the connection stays and the namespace may be joined again."""
    joined.send("41")
    assert desk.has_left() == "client disconnect"
    joined.send("40")
    assert str(joined.read()).startswith('40{"sid":"')
    joined.leave()


@pytest.mark.parametrize("leaving", ["41/custom,", "41/custom"])
def test_leaving_one_namespace_leaves_the_others_alone(
    desk: Desk, joined: Wire, leaving: str
) -> None:
    """With or without the comma."""
    joined.send("40/custom,")
    assert str(joined.read()).startswith('40/custom,{"sid":"')
    assert joined.read() == '42/custom,["auth",{}]'
    joined.send(leaving, '42["message","message to main namespace"]')
    assert joined.read() == '42["message-back","message to main namespace"]'
    assert desk.has_left() == "client disconnect"
    joined.leave()


def test_a_client_without_namespaces_only_hears_pings(runtime: Runtime) -> None:
    """``41`` is answered by nothing but the next ``2``."""
    with socketio(runtime, ping_interval=0.3, ping_timeout=5) as desk:
        ws = desk.ws()
        ws.send("40")
        assert [ws.text()[:2], ws.text()] == ["40", '42["auth",{}]']
        ws.send("41")
        assert ws.text() == "2"
        ws.leave()


# -- messages ----------------------------------------------------------------------------


TWO = '{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}'
"""Placeholders of two attachments."""
FOUR_BYTES, TWO_BYTES = b"\x01\x02\x03\x04", b"\x05\x06"

ROUND_TRIPS: list[tuple[list[str | bytes], list[str | bytes]]] = [
    (['42["message",1,"2",{"3":[true]}]'], ['42["message-back",1,"2",{"3":[true]}]']),
    (['42["message"]'], ['42["message-back"]']),
    (['42/,["message","x"]'], ['42["message-back","x"]']),
    (['42["message",null,0,"",[],{}]'], ['42["message-back",null,0,"",[],{}]']),
    (['42["message","\\u20ac\\u001e"]'], ['42["message-back","€\\u001e"]']),
    (
        [f'452-["message",{TWO}]', FOUR_BYTES, TWO_BYTES],
        [f'452-["message-back",{TWO}]', FOUR_BYTES, TWO_BYTES],
    ),
    (
        ['451-["message",{"a":[{"_placeholder":true,"num":0}]}]', b""],
        ['451-["message-back",{"a":[{"_placeholder":true,"num":0}]}]', b""],
    ),
    (  # two places may share an attachment, and one may be unused
        [
            '452-["message",{"_placeholder":true,"num":1},{"_placeholder":true,"num":1}]',
            TWO_BYTES,
            FOUR_BYTES,
        ],
        [f'452-["message-back",{TWO}]', FOUR_BYTES, FOUR_BYTES],
    ),
    (  # no packet with attachments: it is data like any other
        ['42["message",{"_placeholder":true,"num":0}]'],
        ['42["message-back",{"_placeholder":true,"num":0}]'],
    ),
    (['42456["message-with-ack",1,"2",{"3":[false]}]'], ['43456[1,"2",{"3":[false]}]']),
    (['420["message-with-ack"]'], ["430[]"]),
    (['4212345678901234567890["message-with-ack",1]'], ["4312345678901234567890[1]"]),
    (
        [f'452-789["message-with-ack",{TWO}]', FOUR_BYTES, TWO_BYTES],
        [f"462-789[{TWO}]", FOUR_BYTES, TWO_BYTES],
    ),
    (["43[]", "430[]", '4399["nobody asked"]', '42["message",1]'], ['42["message-back",1]']),
    (['42[7,"no handler"]', '42["","none"]', '42["message",1]'], ['42["message-back",1]']),
]


@pytest.mark.parametrize(("sent", "read"), ROUND_TRIPS)
def test_events_and_acks_come_back(
    joined: Wire, sent: list[str | bytes], read: list[str | bytes]
) -> None:
    """Text and binary, with ids and without, and acks that nobody waits for."""
    joined.send(*sent)
    assert [joined.read() for _ in read] == read
    joined.leave()


@pytest.mark.parametrize(
    "packet", ["4abc", "42{}", '42abc["message-with-ack",1,"2",{"3":[false]}]']
)
def test_an_invalid_packet_closes_the_connection(joined: Wire, packet: str) -> None:
    """Nothing explains it."""
    joined.send(packet)
    assert joined.is_closed()


def test_events_of_one_payload_are_handled_in_order(desk: Desk) -> None:
    """All of them, however many, and the answers keep to sixteen a poll."""
    poller = desk.poller()
    events = [f'42["message",{number}]' for number in range(40)]
    payload = "\x1e".join(["40", *events])
    assert poller.post(payload.encode()) == (200, b"ok")
    read: list[str] = []
    while len(read) < 42:
        status, body = poller.get()
        packets = body.decode().split("\x1e")
        assert status == 200
        assert len(packets) <= 16
        read += packets
    assert read[0].startswith('40{"sid":"')
    assert read[1:] == ['42["auth",{}]', *(f'42["message-back",{n}]' for n in range(40))]
    poller.leave()
