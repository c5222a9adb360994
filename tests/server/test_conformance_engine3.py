"""Engine.IO 3 on the wire: long polling in all of its forms, WebSocket, heartbeat, upgrade.

The server sends each message back.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from tests.live import Runtime
from tests.raw3 import ENDPOINT_3, OCTETS, TEXT, Frames3, Poller3, Script
from tests.raw_more import NO_CODE, ask, request
from tests.server.desk import Desk, engine

INTERVAL_S, TIMEOUT_S = 0.3, 0.2
EARLY_S = 0.01
SESSION_UNKNOWN = (400, b'{"code":1,"message":"Session ID unknown"}')
OPEN = (
    r'0\{"sid":"[A-Za-z0-9_-]{20}","upgrades":\[%s\],'
    r'"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000\}'
)


@pytest.fixture
def desk(runtime: Runtime) -> Iterator[Desk]:
    with engine(runtime, jsonp=True) as desk:
        yield desk


@pytest.fixture
def poller(desk: Desk) -> Iterator[Poller3]:
    """A session that takes bytes."""
    poller = Poller3(desk)
    yield poller
    poller.leave()


@pytest.fixture
def text_poller(desk: Desk) -> Iterator[Poller3]:
    """A session that takes text only."""
    poller = Poller3(desk, "&b64=1")
    yield poller
    poller.leave()


# -- handshake ---------------------------------------------------------------------------


def test_a_polling_handshake_has_its_length(poller: Poller3) -> None:
    """The open packet in a payload of text."""
    assert poller.handshake.headers["content-type"] == TEXT
    length, _, packet = poller.opened.partition(":")
    assert int(length) == len(packet)
    assert re.fullmatch(OPEN % '"websocket"', packet)


def test_a_websocket_handshake_is_that_of_revision_4(desk: Desk) -> None:
    """One packet in a frame of text."""
    ws = desk.keep(Frames3(desk))
    assert re.fullmatch(OPEN % "", ws.opened)
    ws.leave()


# -- polling -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "content_type", "echo"),
    [
        (b"6:4hello", TEXT, b"6:4hello"),
        (b"2:4a2:4b0:1:4", TEXT, b"2:4a2:4b1:4"),
        (b"3:4\xf0\x9f\x98\x80", OCTETS, b"\x00\x05\xff4\xf0\x9f\x98\x80"),
        (b"2:4a2:4\xe2\x82\xac", OCTETS, b"\x00\x02\xff4a\x00\x04\xff4\xe2\x82\xac"),
        (b"10:b4AQIDBA==", OCTETS, b"\x01\x05\xff\x04\x01\x02\x03\x04"),
        (b"2:4a2:b4", OCTETS, b"\x00\x02\xff4a\x01\x01\xff\x04"),
    ],
)
def test_text_is_answered_in_text_while_it_is_ascii(
    poller: Poller3, body: bytes, content_type: str, echo: bytes
) -> None:
    """With bytes, or with what 1.x would misread, the whole answer is of the binary form."""
    assert poller.post(body) == (200, b"ok")
    assert poller.take() == (content_type, echo)


@pytest.mark.parametrize(
    ("body", "content_type", "echo"),
    [
        ("00 02 ff 34 61", TEXT, b"2:4a"),
        ("00 04 ff 34 e2 82 ac", OCTETS, b"\x00\x04\xff4\xe2\x82\xac"),
        ("00 02 ff 34 61 01 03 ff 04 01 02", OCTETS, b"\x00\x02\xff4a\x01\x03\xff\x04\x01\x02"),
    ],
)
def test_bytes_are_taken_whatever_they_hold(
    poller: Poller3, body: str, content_type: str, echo: bytes
) -> None:
    """A 1.x client posts the binary form even for text alone."""
    assert poller.post_bytes(bytes.fromhex(body)) == (200, b"ok")
    assert poller.take() == (content_type, echo)


def test_an_empty_binary_payload_holds_nothing(poller: Poller3) -> None:
    """It is legal, as ``0:`` is."""
    assert poller.post_bytes(b"") == (200, b"ok")
    assert poller.post(b"0:") == (200, b"ok")


@pytest.mark.parametrize(
    ("body", "echo"),
    [
        (b"10:b4AQIDBA==2:b4", b"10:b4AQIDBA==2:b4"),
        (b"3:4\xf0\x9f\x98\x80", b"3:4\xf0\x9f\x98\x80"),
        # engine.io-parser 1: UTF-8 twice, and a length of bytes.
        (b"4:4\xc3\xa2\xc2\x82\xc2\xac", b"2:4\xe2\x82\xac"),
    ],
)
def test_a_client_that_takes_text_only_gets_base64(
    text_poller: Poller3, body: bytes, echo: bytes
) -> None:
    """Bytes as ``b4``; what 1.x has encoded twice is read once more."""
    assert text_poller.post(body) == (200, b"ok")
    assert text_poller.take() == (TEXT, echo)


def test_text_that_was_not_encoded_twice_tells_the_client_apart(text_poller: Poller3) -> None:
    """From then on nothing is read twice: "â\\x82¬" is what this one means."""
    assert text_poller.post(b"2:4\xe2\x82\xac") == (200, b"ok")
    assert text_poller.take() == (TEXT, b"2:4\xe2\x82\xac")
    assert text_poller.post(b"4:4\xc3\xa2\xc2\x82\xc2\xac") == (200, b"ok")
    assert text_poller.take() == (TEXT, b"4:4\xc3\xa2\xc2\x82\xc2\xac")


def test_only_text_is_encoded_twice(poller: Poller3) -> None:
    """A 1.x client does so where a payload has no bytes, and not in the binary form."""
    assert poller.post_bytes(b"\x00\x07\xff4\xc3\xa2\xc2\x82\xc2\xac") == (200, b"ok")
    assert poller.take() == (OCTETS, b"\x00\x07\xff4\xc3\xa2\xc2\x82\xc2\xac")
    assert poller.post(b"4:4\xc3\xa2\xc2\x82\xc2\xac") == (200, b"ok")
    assert poller.take() == (OCTETS, b"\x00\x04\xff4\xe2\x82\xac")


@pytest.mark.parametrize("body", [b"", b"4hello", b"9:4a", b"1:7", b"3:bAQ"])
def test_an_undecodable_post_ends_the_session(desk: Desk, body: bytes) -> None:
    """400, and the session is gone."""
    poller = Poller3(desk)
    assert poller.post(body) == (400, b"")
    assert poller.get() == SESSION_UNKNOWN
    assert desk.has_left() == "parse error"


def test_undecodable_bytes_end_the_session(desk: Desk) -> None:
    """400, and the session is gone."""
    poller = Poller3(desk)
    assert poller.post_bytes(b"\x00\x09\xff4") == (400, b"")
    assert poller.get() == SESSION_UNKNOWN
    assert desk.has_left() == "parse error"


def test_a_held_get_is_released_by_a_close(desk: Desk) -> None:
    """``1:1`` is answered ``1:6`` there."""
    poller = Poller3(desk)
    held = desk.held(poller)
    assert poller.post(b"1:1") == (200, b"ok")
    assert held.answer().body == b"1:6"
    assert poller.get() == SESSION_UNKNOWN
    assert desk.has_left() == "transport close"


def test_two_gets_at_once_end_the_session(desk: Desk) -> None:
    """The held one learns of the close."""
    poller = Poller3(desk)
    held = desk.held(poller)
    assert poller.get() == (400, b"")
    assert held.answer().body == b"1:1"
    assert desk.has_left() == "transport error"


def test_a_server_that_closes_is_heard_of_by_the_next_get(desk: Desk) -> None:
    """``6`` and ``1``, each with its length."""
    poller = Poller3(desk)
    desk.engine.loop.call(desk.connection(poller.sid).close)
    assert poller.take() == (TEXT, b"1:61:1")
    assert desk.has_left() == "forced server close"


def test_an_answer_has_sixteen_packets_at_most(poller: Poller3) -> None:
    """As in revision 4."""
    assert poller.post(20 * b"2:4a") == (200, b"ok")
    assert poller.take() == (TEXT, 16 * b"2:4a")
    assert poller.take() == (TEXT, 4 * b"2:4a")


def test_a_session_keeps_its_revision(desk: Desk, poller: Poller3) -> None:
    """A request of the other one is refused, and harms nothing."""
    four = desk.poller()
    refused = (400, b'{"code":3,"message":"Bad request"}')
    for eio, sid in ((4, poller.sid), (3, four.sid)):
        answer = ask(desk, request("GET", f"/socket.io/?EIO={eio}&transport=polling&sid={sid}"))
        assert (answer.status, answer.body) == refused
    four.leave()


# -- WebSocket ---------------------------------------------------------------------------


def test_websocket_messages_come_back_as_they_were(desk: Desk) -> None:
    """Bytes have their type before them, both ways; base64 is taken too."""
    ws = desk.keep(Frames3(desk))
    ws.send("4hello", b"\x04\x01\x02", b"\x04", "b4AQ==", "4ü €\U0001f600")
    assert ws.text() == "4hello"
    assert ws.binary() == b"\x04\x01\x02"
    assert ws.binary() == b"\x04"
    assert ws.binary() == b"\x04\x01"
    assert ws.text() == "4ü €\U0001f600"
    ws.leave()


def test_a_websocket_that_takes_text_only_gets_base64(desk: Desk) -> None:
    """It says so in its URL, of a new session or of an upgrade."""
    ws = desk.keep(Frames3(desk, query="&b64=1"))
    ws.send("b4AQIDBA==", "b4")
    assert (ws.text(), ws.text()) == ("b4AQIDBA==", "b4")
    ws.leave()
    poller = Poller3(desk)
    ws = desk.keep(Frames3(desk, poller.sid, query="&b64=1"))
    ws.send("5", b"\x04\x01\x02\x03\x04")
    assert ws.text() == "b4AQIDBA=="
    ws.leave()


@pytest.mark.parametrize("message", ["abc", "", "bAQ==", b"", b"\x09", b"4hello"])
def test_an_undecodable_websocket_message_ends_the_session(
    desk: Desk, message: str | bytes
) -> None:
    """Closed without a code."""
    ws = desk.keep(Frames3(desk))
    ws.send(message)
    assert ws.ends() == NO_CODE
    assert desk.has_left() == "parse error"


# -- heartbeat ---------------------------------------------------------------------------


def test_a_ping_is_answered(desk: Desk, poller: Poller3) -> None:
    """By a bare pong, before what waits, and several by one."""
    assert poller.post(b"2:4a") == (200, b"ok")
    assert poller.post(b"1:26:2probe") == (200, b"ok")
    assert poller.take() == (TEXT, b"1:32:4a")
    ws = desk.keep(Frames3(desk))
    ws.send("2", "2probe")
    assert (ws.text(), ws.text()) == ("3", "3")
    ws.leave()


def test_a_pong_is_the_wrong_direction(desk: Desk) -> None:
    """In this revision the client pings."""
    ws = desk.keep(Frames3(desk))
    ws.send("3")
    assert ws.ends() == NO_CODE
    assert desk.has_left() == "transport error"
    poller = Poller3(desk)
    assert poller.post(b"1:3") == (200, b"ok")
    assert poller.get() == SESSION_UNKNOWN
    assert desk.has_left() == "transport error"


@pytest.mark.parametrize("upgraded", [False, True])
def test_a_silent_client_is_dropped(runtime: Runtime, upgraded: bool) -> None:
    """After the interval and the timeout together, not before, and it is never pinged."""
    with engine(runtime, ping_interval=INTERVAL_S, ping_timeout=TIMEOUT_S) as desk:
        poller = Poller3(desk)
        ws = desk.keep(Frames3(desk, poller.sid))
        if upgraded:
            ws.send("5")
        began = time.monotonic()
        ws.send("4last" if upgraded else "2probe")
        assert ws.text() == ("4last" if upgraded else "3probe")
        assert ws.ends() == NO_CODE
        assert time.monotonic() - began > INTERVAL_S + TIMEOUT_S - EARLY_S
        assert desk.has_left() == "ping timeout"


def test_a_client_that_pings_stays(runtime: Runtime) -> None:
    """Three rounds on each transport, each longer than the timeout."""
    with engine(runtime, ping_interval=INTERVAL_S, ping_timeout=TIMEOUT_S) as desk:
        poller, ws = Poller3(desk), desk.keep(Frames3(desk))
        began = time.monotonic()
        while time.monotonic() - began < 3 * INTERVAL_S:
            assert poller.post(b"1:2") == (200, b"ok")
            assert poller.take() == (TEXT, b"1:3")
            ws.send("2")
            assert ws.text() == "3"
        poller.leave()
        ws.leave()
        assert {desk.has_left(), desk.has_left()} == {"transport close"}


# -- upgrade -----------------------------------------------------------------------------


def test_a_session_moves_to_a_websocket(desk: Desk) -> None:
    """What polling had left comes on the WebSocket, in its form."""
    poller = Poller3(desk)
    ws = desk.keep(Frames3(desk, poller.sid))
    held = desk.held(poller)
    ws.send("2probe")
    assert ws.text() == "3probe"
    assert held.answer().body == b"1:6"
    assert poller.post(b"2:4a6:b4AQ==") == (200, b"ok")
    ws.send("5")
    assert ws.text() == "4a"
    assert ws.binary() == b"\x04\x01"
    assert poller.get() == (400, b'{"code":3,"message":"Bad request"}')
    ws.leave()


# -- JSONP -------------------------------------------------------------------------------

SCRIPT = "text/javascript; charset=UTF-8"


def test_jsonp_answers_by_scripts(desk: Desk) -> None:
    """The index is the handshake's; its payload is of text, with base64."""
    script = Script(desk, "7")
    headers = script.handshake.headers
    assert (headers["content-type"], headers["x-content-type-options"]) == (SCRIPT, "nosniff")
    opened = script.handshake.body
    assert opened.startswith(b'___eio[7]("118:0{\\"sid\\":\\"')
    assert opened.endswith(b'\\"maxPayload\\":1000000}");')
    assert script.post(b"d=2%3A4%E2%82%AC6%3Ab4AQ%3D%3D") == (200, b"ok")
    assert script.get("&j=8") == (SCRIPT, b'___eio[7]("2:4\\u20ac6:b4AQ==");')
    held = desk.held(script)
    script.leave()
    assert held.answer().body == b'___eio[7]("1:6");'


def test_a_script_cannot_be_broken_out_of(desk: Desk) -> None:
    """Not by what is sent, nor by the index."""
    script = Script(desk, "1);alert(0", "&x=1")
    assert script.handshake.body.startswith(b'___eio[10]("')
    assert script.post(b"d=8%3A4%22%5C%5C%3C%2Fx%E2%80%A8") == (200, b"ok")
    assert script.get() == (SCRIPT, b'___eio[10]("8:4\\"\\\\\\\\\\u003c/x\\u2028");')
    script.leave()


@pytest.mark.parametrize("form", [b"", b"d=", b"x=1%3A2", b"d=1%3A2&d=1%3A2", b"1:2"])
def test_a_form_without_a_payload_ends_the_session(desk: Desk, form: bytes) -> None:
    """A refusal is told, and not passed over."""
    script = Script(desk, "0")
    assert script.post(form) == (400, b"")
    assert desk.has_left() == "parse error"


def test_jsonp_is_off_unless_it_is_asked_for(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    """Then its client is told why, and the log says it once."""
    with engine(runtime) as desk:
        for _ in range(2):
            answer = ask(desk, request("GET", f"{ENDPOINT_3}polling&j=0"))
            assert (answer.status, answer.body) == (
                400,
                b'{"code":3,"message":"JSONP polling is off; it needs jsonp=True on the server"}',
            )
    assert [each.getMessage() for each in caplog.records] == [
        "refused a client: JSONP polling is off; it needs jsonp=True on the server (said once)"
    ]


def test_revision_3_can_be_refused(runtime: Runtime, caplog: pytest.LogCaptureFixture) -> None:
    """The answer names both revisions and what to change; so does the log, once."""
    text = (
        "Unsupported protocol version: this client speaks Engine.IO revision 3 (socket.io-client "
        "1 or 2), this server revision 4 (socket.io-client 3 and 4); update the client, or let "
        "the server have allow_eio3=True"
    )
    with engine(runtime, allow_eio3=False) as desk:
        for _ in range(2):
            answer = ask(desk, request("GET", f"{ENDPOINT_3}polling"))
            assert (answer.status, answer.body.decode()) == (
                400,
                f'{{"code":5,"message":"{text}"}}',
            )
    assert [each.getMessage() for each in caplog.records] == [
        f"refused a client: {text} (said once)"
    ]
