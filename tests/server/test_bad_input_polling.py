"""Bodies, overlaps and aborts on long polling (protocol sheet 1.8, 1.9, 1.11, 3.1)."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator

import pytest

from flask_sio.protocol.encoded import Encoded
from tests.live import Runtime
from tests.raw_more import Poller, request
from tests.server.desk import Desk, engine

LIMIT = 1000
SID_UNKNOWN = b'{"code":1,"message":"Session ID unknown"}'


@pytest.fixture
def desk(runtime: Runtime) -> Iterator[Desk]:
    """A server with a small limit and no ping in between."""
    with engine(runtime, max_http_buffer_size=LIMIT) as desk:
        yield desk


def ended(desk: Desk, poller: Poller, reason: str) -> None:
    """Check that a session is gone, for this reason, and that nothing hangs on it."""
    assert desk.has_left() == reason
    assert poller.get() == (400, SID_UNKNOWN)
    assert poller.post(b"4late") == (400, SID_UNKNOWN)


def unharmed(poller: Poller) -> None:
    """Check that a session goes on, then end it."""
    assert poller.post(b"4unharmed") == (200, b"ok")
    assert poller.get() == (200, b"4unharmed")
    poller.leave()


# -- payloads ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"abc",
        b"7",
        b"\x1e",
        b"4good\x1e",
        b"\x1e4good",
        b"4good\x1e\x1e4good",
        b"4good\x1exbad",
        b"bAQI_=",
        b"bAQIDB",
        b"b*",
        b"bAQ ID",
        b"bA",
        "b\u0661".encode(),
        b"\xff",
        b" 4",
        b":4hello",
        b"\x00\x04\xff4hi",
    ],
)
def test_an_undecodable_payload_is_refused_whole(desk: Desk, payload: bytes) -> None:
    """400, nothing of it is delivered, and a held GET learns of the end."""
    poller = desk.poller()
    held = desk.held(poller)
    assert poller.post(payload) == (400, b"")
    assert held.answer().body == b"1"
    ended(desk, poller, "parse error")


@pytest.mark.parametrize(
    ("payload", "echo"),
    [
        (b"bAQIDBA", b"bAQIDBA=="),  # no padding
        (b"b-_8=", b"b+/8="),  # the URL-safe alphabet
        (b"4\xff\xfe", "4\ufffd\ufffd".encode()),
        (b"4\xed\xa0\x80", "4\ufffd\ufffd\ufffd".encode()),
        (b"4\x00\r\n", b"4\x00\r\n"),
        (b"0\x1e3\x1e5\x1e6\x1e4x", b"4x"),
        (b"3probe\x1e4x", b"4x"),
    ],
)
def test_a_lenient_decoder_takes_what_harms_nobody(desk: Desk, payload: bytes, echo: bytes) -> None:
    """Sloppy base64, U+FFFD for what is no UTF-8, and packets without a meaning here."""
    poller = desk.poller()
    assert poller.post(payload) == (200, b"ok")
    assert poller.get() == (200, echo)
    poller.leave()


@pytest.mark.parametrize("ping", [b"2", b"2probe"])
def test_a_ping_from_a_client_ends_the_session(desk: Desk, ping: bytes) -> None:
    """In this revision the server pings."""
    poller = desk.poller()
    held = desk.held(poller)
    poller.post(ping)
    assert held.answer().body == b"1"
    ended(desk, poller, "transport error")


def test_what_precedes_a_close_is_delivered_and_the_rest_dropped(desk: Desk) -> None:
    """``4a``, the close, then nothing; the POST answers ``ok`` and the GET is released."""
    poller = desk.poller()
    held = desk.held(poller)
    assert poller.post(b"4a\x1e1\x1e4b") == (200, b"ok")
    assert held.answer().body in (b"4a", b"4a\x1e6", b"6")
    ended(desk, poller, "transport close")


def test_a_post_may_hold_any_number_of_packets(desk: Desk) -> None:
    """All are handled in order; an answer holds sixteen at most."""
    poller = desk.poller()
    sent = [f"4{number}" for number in range(100)]
    assert poller.post("\x1e".join(sent).encode()) == (200, b"ok")
    read: list[str] = []
    sizes = []
    while len(read) < len(sent):
        packets = poller.get()[1].decode().split("\x1e")
        sizes.append(len(packets))
        read += packets
    assert read == sent
    assert sizes == [16, 16, 16, 16, 16, 16, 4]
    poller.leave()


def test_an_answer_never_holds_more_than_sixteen_packets(desk: Desk) -> None:
    """Nor does one with a close packet: that waits for the next GET."""
    poller = desk.poller()
    desk.push(poller.sid, *(f"4{number}" for number in range(16)))
    desk.engine.loop.run(desk.connection(poller.sid).close)
    assert poller.get()[1].count(b"\x1e") == 15
    assert poller.get() == (200, b"6\x1e1")
    assert poller.get() == (400, SID_UNKNOWN)


def test_sixteen_packets_and_a_close_for_a_held_get(desk: Desk) -> None:
    """All in one turn: nothing is lost, and each answer keeps to sixteen."""
    poller = desk.poller()
    held = desk.held(poller)
    connection = desk.connection(poller.sid)

    def act() -> None:
        for number in range(16):
            connection.send(Encoded(f"4{number}"))
        connection.close()

    desk.engine.loop.call(act)
    assert held.answer().body.count(b"\x1e") == 15
    assert poller.get() == (200, b"6\x1e1")


def test_a_packet_of_many_attachments_takes_several_polls(desk: Desk) -> None:
    """In its order and without a gap; what comes behind it follows it."""
    poller = desk.poller()
    connection = desk.connection(poller.sid)
    attachments = tuple(bytes([number]) for number in range(20))
    for packet in (Encoded("4before"), Encoded("4many", attachments), Encoded("4after")):
        desk.engine.loop.call(connection.send, packet)
    answers = [poller.get()[1].split(b"\x1e") for _ in range(3)]
    assert [len(packets) for packets in answers] == [1, 16, 6]
    base64 = [b"bAA==", b"bAQ==", b"bAg==", b"bAw==", b"bBA==", b"bBQ==", b"bBg==", b"bBw=="]
    assert answers[1][:9] == [b"4many", *base64]
    assert answers[2] == [b"bDw==", b"bEA==", b"bEQ==", b"bEg==", b"bEw==", b"4after"]
    poller.leave()


def test_an_upgrade_between_the_polls_of_one_packet_goes_on_with_it(desk: Desk) -> None:
    """The attachments no poll has taken come first over the WebSocket."""
    poller = desk.poller()
    attachments = tuple(bytes([number]) for number in range(20))
    desk.engine.loop.call(desk.connection(poller.sid).send, Encoded("4many", attachments))
    desk.push(poller.sid, "4after")
    assert poller.get()[1].endswith(b"\x1ebDg==")
    ws = desk.ws(poller.sid)
    ws.send("5")
    assert [ws.binary() for _ in range(5)] == [b"\x0f", b"\x10", b"\x11", b"\x12", b"\x13"]
    assert ws.text() == "4after"
    ws.leave()


# -- sizes ---------------------------------------------------------------------------------


def test_a_body_of_exactly_the_limit_is_taken(desk: Desk) -> None:
    """The limit counts bytes, not characters."""
    poller = desk.poller()
    payload = b"4" + "é".encode() * 499 + b"."
    assert len(payload) == LIMIT
    assert poller.post(payload) == (200, b"ok")
    assert poller.get() == (200, payload)
    poller.leave()


def test_a_body_over_the_limit_is_refused(desk: Desk) -> None:
    """413 with an empty body; the session stays, for its client to decide."""
    poller = desk.poller()
    assert poller.post(b"4" + LIMIT * b"x") == (413, b"")
    unharmed(poller)


@pytest.mark.parametrize("length", ["1001", "999999999999", "000000000000000001001"])
def test_an_announced_size_over_the_limit_is_refused_unread(desk: Desk, length: str) -> None:
    """The answer comes before one byte of the body was sent."""
    poller = desk.poller()
    peer = desk.peer(request("POST", poller.path, {"Content-Length": length}))
    assert peer.answer().status == 413
    peer.close()
    unharmed(poller)


@pytest.mark.parametrize(
    "length", ["-1", "1.5", "0x10", "abc", "+4", "4, 5", "1_0", None, "9" * 5000]
)
def test_a_length_that_is_none_is_refused(desk: Desk, length: str | None) -> None:
    """400 or 413, by the WSGI server or by us, and never a wait for a body."""
    poller = desk.poller()
    peer = desk.peer(request("POST", poller.path, {"Content-Length": length}, b"4x"))
    assert peer.answer().status in (400, 413)
    assert poller.post(b"1")[0] in (200, 400)


def test_two_ways_to_measure_a_body_are_one_too_many(desk: Desk) -> None:
    """Content-Length beside Transfer-Encoding: the chunks count, or the session ends."""
    poller = desk.poller()
    headers = {"Content-Length": "2", "Transfer-Encoding": "chunked"}
    peer = desk.peer(request("POST", poller.path, headers, b"2\r\n4x\r\n0\r\n\r\n"))
    answer = peer.answer()
    if answer.status == 200:  # pywsgi forgets the length, as RFC 9112 §6.3 allows
        assert poller.get() == (200, b"4x")
        poller.leave()
    else:
        assert answer.status == 400
        ended(desk, poller, "transport error")


CHUNKED = {"Content-Length": None, "Transfer-Encoding": "chunked"}


def test_a_chunked_body_is_taken(desk: Desk) -> None:
    """However its chunks are cut."""
    poller = desk.poller()
    body = b"2\r\n4h\r\n5\r\nello\x1e\r\n2\r\n4x\r\n0\r\n\r\n"
    answer = poller.ask("POST", CHUNKED, body)
    assert (answer.status, answer.body) == (200, b"ok")
    assert poller.get() == (200, b"4hello\x1e4x")
    poller.leave()


def test_a_chunked_body_over_the_limit_is_refused(desk: Desk) -> None:
    """As soon as the count exceeds it."""
    poller = desk.poller()
    chunk = b"1f4\r\n" + 500 * b"4" + b"\r\n"
    peer = desk.peer(request("POST", poller.path, CHUNKED, 3 * chunk + b"0\r\n\r\n"))
    assert peer.answer().status == 413
    unharmed(poller)


@pytest.mark.parametrize("body", [b"zz\r\n4x\r\n", b"-5\r\n4x\r\n0\r\n\r\n", b"4x"])
def test_a_broken_chunked_body_is_refused(desk: Desk, body: bytes) -> None:
    """Nothing of it is delivered."""
    poller = desk.poller()
    peer = desk.peer(request("POST", poller.path, CHUNKED, body))
    peer.sock.shutdown(1)
    assert b" 200 " not in peer.rest()
    assert poller.post(b"1")[0] in (200, 400)


def test_an_octet_stream_ends_the_session(desk: Desk) -> None:
    """It would be a payload of revision 3."""
    poller = desk.poller()
    answer = poller.ask("POST", {"Content-Type": "application/octet-stream"}, b"4x")
    assert (answer.status, answer.body) == (400, b"")
    ended(desk, poller, "transport error")


@pytest.mark.parametrize(
    ("accepted", "coding"), [("gzip, deflate", "gzip"), ("identity", None), (None, None)]
)
def test_a_large_answer_is_compressed_for_who_takes_it(
    runtime: Runtime, accepted: str | None, coding: str | None
) -> None:
    """The length is the compressed one; a POST's answer never is."""
    with engine(runtime) as desk:
        poller = desk.poller()
        payload = b"4" + 5000 * b"x"
        posted = poller.ask("POST", {"Accept-Encoding": accepted}, payload)
        assert "content-encoding" not in posted.headers
        answer = poller.ask("GET", {"Accept-Encoding": accepted})
        assert answer.headers.get("content-encoding") == coding
        assert (gzip.decompress(answer.body) if coding else answer.body) == payload
        poller.leave()


# -- overlaps and aborts -------------------------------------------------------------------


def test_two_posts_at_once_end_the_session(desk: Desk) -> None:
    """The late one is refused, and so is the first when its body comes."""
    poller = desk.poller()
    first = desk.peer(request("POST", poller.path, {"Content-Length": "6"}, b"4hel"))
    desk.live.until(lambda: desk.connection(poller.sid).polling.posting)
    assert poller.post(b"4second") == (400, b"")
    assert desk.has_left() == "transport error"
    first.sendall(b"lo")
    assert first.answer().status == 400
    assert poller.get() == (400, SID_UNKNOWN)


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_post_that_dies_mid_body_ends_the_session(desk: Desk, how: str) -> None:
    """What came of it is not delivered, and a held GET learns of the end."""
    poller = desk.poller()
    held = desk.held(poller)
    post = desk.peer(request("POST", poller.path, {"Content-Length": "9"}, b"4half"))
    desk.live.until(lambda: desk.connection(poller.sid).polling.posting)
    getattr(post, how)()
    assert held.answer().body == b"1"
    ended(desk, poller, "transport error")


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_client_that_dies_mid_poll_is_noticed_at_once(desk: Desk, how: str) -> None:
    """By its TCP connection, long before any ping is due."""
    poller = desk.poller()
    held = desk.held(poller)
    getattr(held, how)()
    ended(desk, poller, "transport error")


def test_a_client_that_never_comes_back_for_its_answer(runtime: Runtime) -> None:
    """What waits for it is bounded; beyond that it is closed and the memory is free."""
    with engine(runtime, max_outbound_packets=20) as desk:
        poller = desk.poller()
        for _ in range(20):
            assert poller.post(b"4x") == (200, b"ok")
        assert poller.post(b"4x") == (200, b"ok")
        ended(desk, poller, "transport error")


def test_a_full_queue_may_drop_instead(runtime: Runtime) -> None:
    """With ``slow_client="drop"`` the session stays and the newest packets are lost."""
    with engine(runtime, max_outbound_packets=20, slow_client="drop") as desk:
        poller = desk.poller()
        payload = "\x1e".join(f"4{number}" for number in range(30)).encode()
        assert poller.post(payload) == (200, b"ok")
        read = poller.get()[1].split(b"\x1e") + poller.get()[1].split(b"\x1e")
        assert read == [f"4{number}".encode() for number in range(20)]
        poller.leave()


def test_a_held_get_survives_a_pipelined_request(desk: Desk) -> None:
    """What comes behind it on its connection neither ends nor answers it."""
    poller = desk.poller()
    held = desk.held(poller)
    held.sendall(request("GET", "/socket.io/?EIO=4&transport=x"))
    assert poller.post(b"4x") == (200, b"ok")
    assert held.answer().body == b"4x"
    held.close()
    assert json.loads(poller.opened[1:])["sid"] == poller.sid
    poller.leave()
