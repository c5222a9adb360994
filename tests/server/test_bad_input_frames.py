"""WebSocket frames that break RFC 6455, and messages that are too much (protocol sheet 5.5)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.live import Runtime
from tests.raw_more import (
    BINARY,
    CLOSE,
    CONTINUED,
    NO_CODE,
    NO_FRAME,
    PING,
    PONG,
    TEXT,
    Frames,
    frame,
)
from tests.server.desk import Desk, engine

LIMIT = 1000


@pytest.fixture
def desk(runtime: Runtime) -> Iterator[Desk]:
    """A server with a small limit and no ping in between."""
    with engine(runtime, max_http_buffer_size=LIMIT) as desk:
        yield desk


@pytest.fixture
def ws(desk: Desk) -> Frames:
    return desk.ws()


VIOLATIONS = {
    "unmasked text": (1002, frame(TEXT, b"4hello", mask=None)),
    "unmasked ping": (1002, frame(PING, b"", mask=None)),
    "unmasked close": (1002, frame(CLOSE, b"", mask=None)),
    "RSV1, compressed": (1002, b"\xc1\x82\x00\x00\x00\x004x"),
    "RSV2": (1002, b"\xa1\x82\x00\x00\x00\x004x"),
    "RSV3": (1002, b"\x91\x82\x00\x00\x00\x004x"),
    "opcode 3": (1002, b"\x83\x80\x00\x00\x00\x00"),
    "opcode 7": (1002, b"\x87\x80\x00\x00\x00\x00"),
    "opcode 11": (1002, b"\x8b\x80\x00\x00\x00\x00"),
    "opcode 15": (1002, b"\x8f\x80\x00\x00\x00\x00"),
    "fragmented ping": (1002, frame(PING, b"", fin=False)),
    "long ping": (1002, frame(PING, 126 * b"x")),
    "continuation of nothing": (1002, frame(CONTINUED, b"4x")),
    "text within a text": (1002, frame(TEXT, b"4", fin=False) + frame(TEXT, b"x")),
    "length not minimal": (1002, b"\x81\xfe\x00\x02\x00\x00\x00\x004x"),
    "length of 64 bits": (1002, b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
    "close code cut short": (1002, frame(CLOSE, b"\x03")),
    "close code 1005": (1002, frame(CLOSE, b"\x03\xed")),
    "close code 999": (1002, frame(CLOSE, b"\x03\xe7")),
    "close reason no text": (1007, frame(CLOSE, b"\x03\xe8\xff")),
    "no UTF-8": (1007, frame(TEXT, b"4\xff")),
    "a surrogate": (1007, frame(TEXT, b"4\xed\xa0\x80")),
    "half a character": (1007, frame(TEXT, b"4\xe2\x82")),
    "no UTF-8 over two fragments": (
        1007,
        frame(TEXT, b"4\xe2", fin=False) + frame(CONTINUED, b"\x28\xa1"),
    ),
    "text too big": (1009, frame(TEXT, b"4" + LIMIT * b"x")),
    "binary too big": (1009, frame(BINARY, (LIMIT + 1) * b"x")),
    "16 bits of length, no payload": (1009, b"\x81\xfe\x03\xe9"),
    "64 bits of length, no payload": (1009, b"\x82\xff\x00\x00\x00\x01\x00\x00\x00\x00"),
    "fragments too big": (
        1009,
        frame(TEXT, b"4" + 998 * b"x", fin=False) + b"\x80\x82\x00\x00\x00\x00",
    ),
    "endless fragments": (1009, frame(TEXT, b"4", fin=False) + 16400 * frame(0, b"", fin=False)),
}


@pytest.mark.parametrize("masked", [False, True], ids=["", "after a message"])
@pytest.mark.parametrize("name", VIOLATIONS)
def test_a_violation_closes_with_its_code(desk: Desk, ws: Frames, name: str, masked: bool) -> None:
    """At the first byte that shows it; what came before is answered."""
    code, data = VIOLATIONS[name]
    ws.sendall(frame(TEXT, b"4before", mask=b"\x01\x02\x03\xff") + data if masked else data)
    if masked:
        assert ws.text() == "4before"
    assert ws.ends() == code
    assert desk.has_left() == "transport error"


def test_a_violation_byte_by_byte_closes_too(desk: Desk, ws: Frames) -> None:
    """However the bytes arrive."""
    for byte in frame(TEXT, b"4ok", mask=b"\x01\x02\x03\x04") + frame(TEXT, b"4\xff"):
        ws.sendall(bytes([byte]))
    assert ws.text() == "4ok"
    assert ws.ends() == 1007


def test_nothing_after_a_violation_is_read(desk: Desk, ws: Frames) -> None:
    """Not even a good message of the same segment."""
    ws.sendall(frame(TEXT, b"4\xff") + frame(TEXT, b"4late"))
    assert ws.ends() == 1007
    assert desk.has_left() == "transport error"


# -- what is right although it is rare -----------------------------------------------------


def test_a_message_of_exactly_the_limit_is_taken(ws: Frames) -> None:
    """The limit counts bytes of the message, whole or in fragments."""
    message = b"4" + 999 * b"x"
    ws.sendall(frame(TEXT, message))
    assert ws.text() == message.decode()
    ws.sendall(frame(TEXT, message[:500], fin=False) + frame(CONTINUED, message[500:]))
    assert ws.text() == message.decode()
    ws.leave()


def test_control_frames_may_come_between_fragments(ws: Frames) -> None:
    """A ping is answered at once, and a character may be cut in two."""
    euro = "€".encode()
    ws.sendall(frame(TEXT, b"4" + euro[:1], fin=False) + frame(PING, b"hello"))
    assert ws.frame() == (PONG, b"hello")
    ws.sendall(frame(PONG, b"unasked") + frame(CONTINUED, euro[1:2], fin=False))
    ws.sendall(frame(PING, b"") + frame(CONTINUED, euro[2:]))
    assert ws.frame() == (PONG, b"")
    assert ws.text() == "4€"
    ws.leave()


@pytest.mark.parametrize("payload", [b"", b"\x03\xe8", b"\x03\xe9bye", b"\x0b\xb8", b"\x0f\xa0"])
def test_a_close_frame_is_echoed(desk: Desk, ws: Frames, payload: bytes) -> None:
    """Its code is not interpreted; nothing behind it is read."""
    ws.sendall(frame(CLOSE, payload) + frame(TEXT, b"4late"))
    assert ws.frame() == (CLOSE, payload)
    assert ws.rest() == b""
    assert desk.has_left() == "transport close"


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_connection_that_just_ends_is_noticed(desk: Desk, ws: Frames, how: str) -> None:
    """With a FIN or a reset, in the middle of a frame or not."""
    ws.sendall(b"\x81\x85\x00\x00")
    getattr(ws, how)()
    assert desk.has_left() == "transport close"


# -- packets of Engine.IO ------------------------------------------------------------------


@pytest.mark.parametrize("message", ["", "7", "a", "x4", "\x1e4x", "b*", "bA", "é", " 4"])
def test_an_undecodable_packet_closes_the_session(desk: Desk, ws: Frames, message: str) -> None:
    """An empty text message is one, too."""
    ws.send(message)
    assert ws.ends() == NO_CODE
    assert desk.has_left() == "parse error"


@pytest.mark.parametrize("ping", ["2", "2probe", "2x"])
def test_a_ping_from_a_client_closes_the_session(desk: Desk, ws: Frames, ping: str) -> None:
    """In this revision the server pings; a probe on a session's only WebSocket is a ping."""
    ws.send(ping)
    assert ws.ends() == NO_CODE
    assert desk.has_left() == "transport error"


def test_packets_without_a_meaning_are_ignored(ws: Frames) -> None:
    """Unasked pongs, noops, a commit with nothing to commit, an open packet."""
    ws.send("3", "3probe", "6", "5", '0{"sid":"x"}', "b", "bAQID", "4\x1e4x")
    assert ws.binary() == b""
    assert ws.binary() == b"\x01\x02\x03"
    assert ws.text() == "4\x1e4x"
    ws.leave()


# -- who never reads -----------------------------------------------------------------------


def fill(desk: Desk, ws: Frames, data: bytes) -> None:
    """Send until the server has taken all, and never read."""
    ws.sock.settimeout(None)
    sent = 0
    while sent < 64 * 2**20 and ws.sid in desk.engine.connections:
        try:
            ws.sendall(data)
        except OSError:
            return
        sent += len(data)


def test_a_client_that_never_reads_is_closed(runtime: Runtime) -> None:
    """Over ``max_outbound_bytes`` it is cut off and its memory is free at once."""
    with engine(runtime, max_outbound_bytes=100_000) as desk:
        ws = desk.ws()
        fill(desk, ws, frame(TEXT, b"4" + 50_000 * b"x"))
        assert desk.has_left() == "transport error"
        assert ws.skip_to_end() == NO_FRAME


@pytest.mark.parametrize("opcode", [PING, PONG])
def test_a_client_that_only_pings_is_closed(desk: Desk, ws: Frames, opcode: int) -> None:
    """A thousand control frames between two pings of ours are taken, and no more."""
    stream = desk.connection(ws.sid).websocket.stream
    ws.sendall(1000 * frame(opcode, 125 * b"x"))
    ws.send("4still here")
    read = ws.frame()
    while read[0] == PONG:
        read = ws.frame()
    assert read == (TEXT, b"4still here")
    ws.sendall(frame(opcode, b""))
    assert desk.has_left() == "transport error"
    assert stream.buffered_bytes == 0


def test_pings_of_one_segment_get_one_answer(ws: Frames) -> None:
    """The last one's, before that of a message behind them."""
    ws.sendall(frame(PING, b"a") + frame(PING, b"b") + frame(TEXT, b"4c") + frame(PING, b"d"))
    assert ws.frame() == (PONG, b"b")
    assert ws.text() == "4c"
    assert ws.frame() == (PONG, b"d")
    ws.leave()


def test_packets_without_a_message_count_too(desk: Desk, ws: Frames) -> None:
    """Noops and pongs of Engine.IO are as idle as control frames."""
    ws.send(*(1001 * ["6"]))
    assert ws.ends() == NO_CODE
    assert desk.has_left() == "transport error"
