"""Socket.IO packets that cannot be read (protocol sheet 6.2 to 6.4, traps 20 to 38)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.live import Runtime
from tests.raw_more import NO_CODE, Frames
from tests.server.desk import Desk, socketio
from tests.server.wires import OnPolling

ONE = '{"_placeholder":true,"num":0}'


@pytest.fixture
def desk(runtime: Runtime) -> Iterator[Desk]:
    with socketio(runtime, max_http_buffer_size=200_000) as desk:
        yield desk


@pytest.fixture
def ws(desk: Desk) -> Frames:
    """A client that has joined the main namespace."""
    ws = desk.ws()
    ws.send("40")
    assert [ws.text()[:2], ws.text()] == ["40", '42["auth",{}]']
    return ws


INVALID: dict[str, list[str | bytes]] = {
    "empty message": ["4"],
    "unknown type": ["47"],
    "no digit": ["4a"],
    "a digit of another script": ["4\u0662"],
    "event without data": ["42"],
    "event with an id only": ["42123"],
    "event of an object": ["42{}"],
    "event of a string": ['42"x"'],
    "event without a name": ["42[]"],
    "name null": ["42[null]"],
    "name true": ["42[true]"],
    "name object": ["42[{}]"],
    "name array": ['42[["a"]]'],
    "name connect": ['42["connect"]'],
    "name connect_error": ['42["connect_error"]'],
    "name disconnect": ['42["disconnect","x"]'],
    "name disconnecting": ['42["disconnecting"]'],
    "name newListener": ['42["newListener"]'],
    "name removeListener": ['42["removeListener"]'],
    "reserved name, binary": [f'451-["disconnect",{ONE}]', b""],
    "name a placeholder": [f"451-[{ONE}]", b""],
    "ack without data": ["43"],
    "ack with an id only": ["431"],
    "ack of an object": ["431{}"],
    "ack of a string": ['431"x"'],
    "connect with an array": ["40/custom,[]"],
    "connect with a string": ['40/custom,"x"'],
    "connect with null": ["40/custom,null"],
    "disconnect with an object": ["41{}"],
    "disconnect with an array": ["41[]"],
    "connect_error with an array": ["44[]"],
    "connect_error with nothing": ["44"],
    "connect_error": ['44{"message":"x"}'],
    "JSON cut short": ['42["a"'],
    "JSON with a tail": ['42["a"]x'],
    "two packets in one frame": ['42["a"]\x1e42["b"]'],
    "JSON with a comment": ['42["a"/**/]'],
    "JSON with single quotes": ["42['a']"],
    "raw control character": ['42["a\x01"]'],
    "NaN": ['42["a",NaN]'],
    "Infinity": ['42["a",Infinity]'],
    "minus Infinity": ['42["a",-Infinity]'],
    "a number of 5000 digits": ['42["a",' + 5000 * "1" + "]"],
    "arrays 50,000 deep": ['42["a",' + 50_000 * "[" + 50_000 * "]" + "]"],
    "objects 20,000 deep": ['42["a",' + 20_000 * '{"":' + "1" + 20_000 * "}" + "]"],
    "id of another script": ['42\u0663["a"]'],
    "id with an underscore": ['421_0["a"]'],
    "sign before the id": ['42-1["a"]'],
    "id of 21 digits": ["42" + 21 * "1" + '["a"]'],
    "id of 100,000 digits": ["42" + 100_000 * "1" + '["a"]'],
    "control character in a namespace": ['42/\x01,["a"]'],
    "binary without a count": ["45"],
    "binary without a dash": ['451["a"]'],
    "count no number": ["45a-"],
    "count a fraction": ['451.23-["a"]'],
    "count negative": ['45-1-["a"]'],
    "count missing": ['45-["a"]'],
    "count zero": ['450-["x"]'],
    "count zero, ack": ["460-1[]"],
    "count in hexadecimal": ['450x1-["x"]'],
    "count with an exponent": ['451e0-["x"]'],
    "count of another script": ['45\u0661-["x"]'],
    "too many attachments": ['4511-["x"]'],
    "very many attachments": ["45" + 5000 * "9" + '-["x"]'],
    "attachment nobody announced": [b"\x01"],
    "empty attachment nobody announced": [b""],
    "one attachment too many": [f'451-["note",{ONE}]', b"1", b"2"],
    "text for an attachment": [f'451-["message",{ONE}]', '42["message"]'],
    "a second header": [f'451-["message",{ONE}]', f'451-["message",{ONE}]'],
    "disconnect for an attachment": [f'451-["message",{ONE}]', "41"],
    "num negative": ['451-["a",{"_placeholder":true,"num":-1}]', b""],
    "num out of range": ['451-["a",{"_placeholder":true,"num":1}]', b""],
    "num a boolean": ['452-["a",{"_placeholder":true,"num":true}]', b"", b""],
    "num a float": ['451-["a",{"_placeholder":true,"num":0.0}]', b""],
    "num a string": ['451-["a",{"_placeholder":true,"num":"0"}]', b""],
    "num null": ['451-["a",{"_placeholder":true,"num":null}]', b""],
    "num missing": ['451-["a",{"_placeholder":true}]', b""],
    "num huge": ['451-["a",{"_placeholder":true,"num":1e400}]', b""],
    "attachments too big together": [f'452-["a",{ONE}]', 120_000 * b"x", 120_000 * b"x"],
}


@pytest.mark.parametrize("name", INVALID)
def test_an_invalid_packet_closes_the_connection(desk: Desk, ws: Frames, name: str) -> None:
    """Nothing explains it, the disconnect handler runs, and no event handler does."""
    ws.send(*INVALID[name])
    assert ws.ends() == NO_CODE
    assert desk.has_left() == "server disconnect"
    seen = [] if desk.seen.empty() else [desk.saw()]
    assert seen == ([(b"1",)] if name == "one attachment too many" else [])


@pytest.mark.parametrize("name", ["unknown type", "event without a name", "NaN", "count zero"])
def test_an_invalid_packet_closes_a_polling_client_too(desk: Desk, name: str) -> None:
    """The POST was well-formed, so it answers ``ok``; the next GET gets ``6`` and ``1``."""
    client = OnPolling(desk)
    client.send("40", *INVALID[name])
    status, body = client.poller.get()
    assert status == 200
    assert body.startswith(b'40{"sid":"')
    assert body.endswith(b"\x1e1")
    assert client.poller.get()[0] == 400
    assert desk.has_left() == "server disconnect"


def test_an_attachment_that_is_no_base64_ends_the_session(desk: Desk) -> None:
    """It is no packet of Engine.IO."""
    client = OnPolling(desk)
    client.send("40", f'451-["message",{ONE}]')
    assert client.poller.post(b"b*") == (400, b"")
    assert desk.has_left() == "transport error"


def test_a_closed_connection_takes_no_further_packet(desk: Desk, ws: Frames) -> None:
    """Those behind the bad one, in the same segment, are dropped."""
    ws.send("47", '42["note","late"]')
    assert ws.ends() == NO_CODE
    assert desk.has_left() == "server disconnect"
    assert desk.seen.empty()


# -- what is right although it is odd ------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (
            ['451-1["message-with-ack",{"_placeholder":1,"num":0}]', b""],
            '431[{"_placeholder":1,"num":0}]',
        ),
        (
            ['451-1["message-with-ack",{"_placeholder":"true","num":0}]', b""],
            '431[{"_placeholder":"true","num":0}]',
        ),
        (['4500000001-1["message-with-ack"]', b"unused"], "431[]"),
        (['42001["message-with-ack"]'], "431[]"),
        (['421["message-with-ack",1e400,-0]'], "431[null,0]"),
        (['421["message-with-ack","\\ud800"]'], '431["\\ud800"]'),
        (['421["message-with-ack",{"a":1,"a":2}]'], '431[{"a":2}]'),
        (['421[ "message-with-ack" , 1 ]'], "431[1]"),
        (['42 ["message","no id"]'], '42["message-back","no id"]'),
        (['421["message-with-ack",12345678901234567890123]'], "431[12345678901234567890123]"),
        (
            ['4510-1["message-with-ack",{"_placeholder":true,"num":9}]', *(10 * [b"x"])],
            '461-1[{"_placeholder":true,"num":0}]',
        ),
    ],
)
def test_an_odd_packet_is_taken(ws: Frames, sent: list[str | bytes], answer: str) -> None:
    """What only looks wrong is data, and what cannot be written again is made harmless."""
    ws.send(*sent)
    assert ws.text() == answer
    if answer.startswith("461-"):
        assert ws.binary() == b"x"
    ws.leave()


def test_heartbeats_may_come_between_header_and_attachment(runtime: Runtime) -> None:
    """Pings, pongs and noops are below Socket.IO; attachments may take several requests."""
    with socketio(runtime, ping_interval=0.2, ping_timeout=5) as desk:
        client = OnPolling(desk)
        client.send("40")
        assert str(client.read()).startswith("40{")
        assert client.read() == '42["auth",{}]'
        client.send('452-["note",{"_placeholder":true,"num":1}]', "6", b"\x05\x06")
        assert client.read() == "2"
        client.send("3", b"\x01\x02\x03\x04")
        assert desk.saw() == (b"\x01\x02\x03\x04",)
        client.leave()


def test_attachments_that_never_come_are_forgotten_with_their_client(desk: Desk) -> None:
    """Nothing of the half packet reaches the next session."""
    for _ in range(2):
        ws = desk.ws()
        ws.send("40", f'452-["note",{ONE}]', b"half")
        assert [ws.text()[:2], ws.text()] == ["40", '42["auth",{}]']
        ws.leave()
        assert desk.has_left() == "transport close"
    assert desk.seen.empty()


def test_a_count_of_attachments_is_an_option(runtime: Runtime) -> None:
    """``max_attachments`` bounds what one packet may announce."""
    with socketio(runtime, max_attachments=1) as desk:
        ws = desk.ws()
        ws.send("40", f'451-["note",{ONE}]', b"1")
        assert [ws.text()[:2], ws.text()] == ["40", '42["auth",{}]']
        assert desk.saw() == (b"1",)
        ws.send(f'452-["note",{ONE}]')
        assert ws.ends() == NO_CODE
