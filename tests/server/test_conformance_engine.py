"""Engine.IO 4 on the wire: the public conformance suite, and the bytes it does not look at.

Source: engine.io-protocol, *test-suite*, with its options.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from tests.live import Runtime
from tests.raw_more import NO_CODE, Frames, Poller, ask, request, upgrade_request
from tests.server.desk import Desk, engine

INTERVAL_S, TIMEOUT_S = 0.3, 0.2
EARLY_S = 0.01
"""A client that measures sees the server's clock this much off at most."""


@pytest.fixture
def desk(runtime: Runtime) -> Iterator[Desk]:
    """The server the suite asks for."""
    with engine(runtime, ping_interval=INTERVAL_S, ping_timeout=TIMEOUT_S) as desk:
        yield desk


@pytest.fixture
def calm(runtime: Runtime) -> Iterator[Desk]:
    """The same without a ping in between."""
    with engine(runtime, ping_interval=25, ping_timeout=20) as desk:
        yield desk


# -- handshake ---------------------------------------------------------------------------


def test_a_polling_handshake_announces_the_session(desk: Desk) -> None:
    """The open packet is alone in its answer and has exactly the five keys."""
    poller = desk.poller()
    assert re.fullmatch(
        r'0\{"sid":"[A-Za-z0-9_-]{20}","upgrades":\["websocket"\],'
        r'"pingInterval":300,"pingTimeout":200,"maxPayload":1000000\}',
        poller.opened,
    )
    headers = poller.handshake.headers
    assert headers["content-type"] == "text/plain; charset=UTF-8"
    assert headers["cache-control"] == "no-store"
    assert "set-cookie" not in headers
    poller.leave()


def test_a_websocket_handshake_announces_no_upgrade(desk: Desk) -> None:
    """The first text frame is the open packet; the 101 agrees to nothing but the WebSocket."""
    ws = desk.ws()
    assert re.fullmatch(
        r'0\{"sid":"[A-Za-z0-9_-]{20}","upgrades":\[\],'
        r'"pingInterval":300,"pingTimeout":200,"maxPayload":1000000\}',
        ws.opened,
    )
    assert ws.head == (
        "HTTP/1.1 101 Switching Protocols\r\n"
        "Upgrade: websocket\r\n"
        "Connection: Upgrade\r\n"
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        "Vary: Origin\r\n"
        "\r\n"
    )
    ws.leave()


@pytest.mark.parametrize(
    ("method", "query"),
    [
        ("GET", "transport=polling"),
        ("GET", "EIO=abc&transport=polling"),
        ("GET", "EIO=4"),
        ("GET", "EIO=4&transport=abc"),
        ("POST", "EIO=4&transport=polling"),
        ("PUT", "EIO=4&transport=polling"),
    ],
)
def test_a_bad_polling_handshake_is_refused(desk: Desk, method: str, query: str) -> None:
    """Missing or unknown EIO or transport, and any method but GET, answer 400."""
    assert ask(desk, request(method, f"/socket.io/?{query}")).status == 400


@pytest.mark.parametrize(
    "query",
    ["transport=websocket", "EIO=abc&transport=websocket", "EIO=4", "EIO=4&transport=abc"],
)
def test_a_bad_websocket_handshake_ends_the_connection(desk: Desk, query: str) -> None:
    """The refusal comes before any 101."""
    assert ask(desk, upgrade_request(f"/socket.io/?{query}")).status == 400


# -- messages ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "payload",
    [
        b"4hello",
        b"4test1\x1e4test2\x1e4test3",
        b"4hello\x1ebAQIDBA==",
        b"b",
        "4ü €\U0001f600".encode(),
        b"4",
    ],
)
def test_polled_messages_come_back_as_they_were(calm: Desk, payload: bytes) -> None:
    """A POST answers ``ok`` and the next GET has all of its echoes in one payload."""
    poller = calm.poller()
    posted = poller.ask("POST", body=payload)
    assert (posted.status, posted.body) == (200, b"ok")
    assert posted.headers["content-type"] == "text/html"
    assert posted.headers["cache-control"] == "no-store"
    assert poller.get() == (200, payload)
    poller.leave()


@pytest.mark.parametrize("content_type", ["text/plain", "application/json", None])
def test_the_type_of_a_posted_body_says_nothing(calm: Desk, content_type: str | None) -> None:
    """Clients send what their HTTP library likes."""
    poller = calm.poller()
    posted = poller.ask("POST", {"Content-Type": content_type}, b"4hello")
    assert (posted.status, posted.body) == (200, b"ok")
    assert poller.get() == (200, b"4hello")
    poller.leave()


def test_a_held_get_is_answered_by_a_post_beside_it(calm: Desk) -> None:
    """A GET and a POST at the same time are the normal case."""
    poller = calm.poller()
    held = calm.held(poller)
    assert poller.post(b"4hello") == (200, b"ok")
    assert held.answer().body == b"4hello"
    poller.leave()


def test_websocket_messages_come_back_as_they_were(calm: Desk) -> None:
    """A text frame holds a typed packet, a binary frame the bare bytes, even none."""
    ws = calm.ws()
    ws.send("4hello", b"\x01\x02\x03\x04", "4", b"", "4ü €\U0001f600")
    assert ws.text() == "4hello"
    assert ws.binary() == b"\x01\x02\x03\x04"
    assert ws.text() == "4"
    assert ws.binary() == b""
    assert ws.text() == "4ü €\U0001f600"
    ws.leave()


def test_what_came_with_the_upgrade_request_is_not_lost(calm: Desk) -> None:
    """Frames sent before the 101 was read are read in their order."""
    ws = calm.ws(early=b"\x81\x86\x00\x00\x00\x004early")
    ws.send("4late")
    assert ws.text() == "4early"
    assert ws.text() == "4late"
    ws.leave()


def test_an_undecodable_post_ends_the_session(calm: Desk) -> None:
    """It answers 400, and so does whatever comes after it."""
    poller = calm.poller()
    assert poller.post(b"abc") == (400, b"")
    assert poller.get() == (400, b'{"code":1,"message":"Session ID unknown"}')
    assert calm.has_left() == "parse error"


def test_an_undecodable_websocket_message_ends_the_session(calm: Desk) -> None:
    """The server closes without a code, as it does for all but faults of the frames."""
    ws = calm.ws()
    ws.send("abc")
    assert ws.ends() == NO_CODE
    assert calm.has_left() == "parse error"


def test_two_gets_at_once_end_the_session(calm: Desk) -> None:
    """The held one learns of the close, the late one is refused, the next finds nothing."""
    poller = calm.poller()
    held = calm.held(poller)
    assert poller.get() == (400, b"")
    answer = held.answer()
    assert (answer.status, answer.body) == (200, b"1")
    assert poller.get() == (400, b'{"code":1,"message":"Session ID unknown"}')
    assert calm.has_left() == "transport error"


# -- heartbeat ---------------------------------------------------------------------------


def test_a_polling_client_that_answers_pings_stays(desk: Desk) -> None:
    """Three rounds of ``2`` and ``3``; a ping is never early."""
    began = time.monotonic()
    poller = desk.poller()
    for count in range(1, 4):
        assert poller.get() == (200, b"2")
        assert time.monotonic() - began > count * INTERVAL_S - EARLY_S
        assert poller.post(b"3") == (200, b"ok")
    poller.leave()
    assert desk.has_left() == "transport close"


def test_a_websocket_client_that_answers_pings_stays(desk: Desk) -> None:
    """Three rounds of ``2`` and ``3``; a ping is never early."""
    began = time.monotonic()
    ws = desk.ws()
    for count in range(1, 4):
        assert ws.text() == "2"
        assert time.monotonic() - began > count * INTERVAL_S - EARLY_S
        ws.send("3")
    ws.leave()
    assert desk.has_left() == "transport close"


def test_a_silent_polling_client_is_dropped(desk: Desk) -> None:
    """Not before its time, and then its next GET is refused."""
    began = time.monotonic()
    poller = desk.poller()
    assert desk.has_left() == "ping timeout"
    assert time.monotonic() - began > INTERVAL_S + TIMEOUT_S - EARLY_S
    assert poller.get() == (400, b'{"code":1,"message":"Session ID unknown"}')


def test_a_silent_websocket_client_is_closed(desk: Desk) -> None:
    """Not before its time: one ping, then the close."""
    began = time.monotonic()
    ws = desk.ws()
    assert ws.text() == "2"
    assert ws.ends() == NO_CODE
    assert time.monotonic() - began > INTERVAL_S + TIMEOUT_S - EARLY_S
    assert desk.has_left() == "ping timeout"


# -- close -------------------------------------------------------------------------------


def test_a_posted_close_releases_the_held_get(calm: Desk) -> None:
    """The GET gets ``6``, the POST ``ok``, and the session is gone."""
    poller = calm.poller()
    held = calm.held(poller)
    assert poller.post(b"1") == (200, b"ok")
    assert held.answer().body == b"6"
    assert poller.get() == (400, b'{"code":1,"message":"Session ID unknown"}')
    assert calm.has_left() == "transport close"


def test_a_close_packet_on_a_websocket_closes_it(calm: Desk) -> None:
    """Python clients send it; JavaScript ones send a close frame."""
    ws = calm.ws()
    ws.send("1")
    assert ws.ends() == NO_CODE
    assert calm.has_left() == "transport close"


# -- upgrade -----------------------------------------------------------------------------


def upgraded(desk: Desk) -> tuple[Poller, Frames]:
    """Return a session that has moved to a WebSocket."""
    poller = desk.poller()
    ws = desk.ws(poller.sid)
    ws.send("2probe")
    assert ws.text() == "3probe"
    assert poller.get() == (200, b"6")
    ws.send("5")
    return poller, ws


def test_a_session_moves_to_a_websocket(calm: Desk) -> None:
    """``2probe``, ``3probe``, the GET released with ``6``, ``5``, then messages."""
    _, ws = upgraded(calm)
    ws.send("4hello")
    assert ws.text() == "4hello"
    ws.leave()


def test_the_commit_need_not_wait_for_the_probe(calm: Desk) -> None:
    """``5`` may follow ``2probe`` in the same breath."""
    ws = calm.ws(calm.poller().sid)
    ws.send("2probe", "5", "4hello")
    assert ws.text() == "3probe"
    assert ws.text() == "4hello"
    ws.leave()


def test_polling_is_refused_after_the_upgrade(calm: Desk) -> None:
    """Both methods answer code 3; the WebSocket goes on."""
    poller, ws = upgraded(calm)
    ws.send("4before")
    assert ws.text() == "4before"
    assert poller.get() == (400, b'{"code":3,"message":"Bad request"}')
    assert poller.post(b"4no") == (400, b'{"code":3,"message":"Bad request"}')
    ws.send("4hello")
    assert ws.text() == "4hello"
    ws.leave()


def test_a_second_websocket_is_closed_and_the_first_goes_on(calm: Desk) -> None:
    """It gets its 101, as the suite demands, and then the end."""
    poller, ws = upgraded(calm)
    second = calm.ws(poller.sid)
    assert second.ends() == NO_CODE
    ws.send("4hello")
    assert ws.text() == "4hello"
    ws.leave()


def test_pings_go_on_after_the_upgrade(desk: Desk) -> None:
    """The heartbeat is the session's, whatever carries it."""
    _, ws = upgraded(desk)
    for _ in range(2):
        assert ws.text() == "2"
        ws.send("3")
    ws.leave()
