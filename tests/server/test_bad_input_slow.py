"""Clients that do not read, do not answer, or do not end (protocol sheet 5.1 and 5.3)."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.live import Runtime
from tests.raw_more import NO_CODE, NO_FRAME, Frames, Poller
from tests.server.desk import Desk, Gates, engine, socketio

BIG = 50_000 * "x"


@pytest.fixture
def desk(runtime: Runtime) -> Iterator[Desk]:
    """A server that keeps little for a client that does not read."""
    with socketio(runtime, max_outbound_bytes=200_000, max_outbound_packets=100) as desk:
        yield desk


def _join(desk: Desk) -> Frames:
    ws = desk.ws()
    ws.send("40")
    assert ws.text().startswith('40{"sid":"')
    assert ws.text() == '42["auth",{}]'
    return ws


# -- who does not read ---------------------------------------------------------------------


def test_a_websocket_client_that_does_not_read_is_closed(desk: Desk) -> None:
    """Its memory is free at once, and others in its room miss nothing."""
    slow, honest = _join(desk), _join(desk)
    stream = desk.connection(slow.sid).websocket.stream
    count = 0
    while slow.sid in desk.engine.connections:
        desk.live.server.emit("news", [count, BIG])
        assert honest.text() == f'42["news",[{count},"{BIG}"]]'
        count += 1
    assert desk.has_left() == "transport error"
    assert stream.buffered_bytes == 0
    assert slow.skip_to_end() == NO_FRAME
    honest.leave()


def test_a_polling_client_that_does_not_poll_is_closed(desk: Desk) -> None:
    """After ``max_outbound_packets``, or their bytes, and its memory is free at once."""
    for data, fit in ((1, 100), (BIG, 3)):
        poller = desk.poller()
        assert poller.post(b"40") == (200, b"ok")
        read = b""
        while not read.endswith(b'42["auth",{}]'):
            read = poller.get()[1]
        for _ in range(fit):
            desk.live.server.emit("news", data)
        desk.live.settle()
        assert poller.sid in desk.engine.connections
        desk.live.server.emit("news", data)
        assert desk.has_left() == "transport error"
        assert poller.get()[0] == 400


def test_with_drop_a_slow_client_loses_whole_packets_only(runtime: Runtime) -> None:
    """What it reads later is in order and uncut, and it is still served."""
    with socketio(runtime, max_outbound_bytes=200_000, slow_client="drop") as desk:
        ws = _join(desk)
        stream = desk.connection(ws.sid).websocket.stream
        for count in range(400):
            desk.live.server.emit("news", [count, BIG])
        desk.live.settle()
        assert stream.buffered_bytes <= 200_000
        read = []
        while desk.engine.loop.call(lambda: stream.buffered_bytes) or not read:
            news = ws.text()
            assert news.endswith(f',"{BIG}"]]')
            read.append(int(news[11:].split(",")[0]))
        assert read == list(range(len(read)))
        ws.send('421["message-with-ack"]')
        while ws.text() != "431[]":
            pass
        ws.leave()


@pytest.mark.parametrize("data", ["x", BIG])
def test_what_is_kept_for_an_undecided_client_is_bounded(desk: Desk, data: str) -> None:
    """By count and by bytes, like what an accepted one does not read."""
    gates, server = Gates(desk.live), desk.live.server
    sids: list[str] = []

    @server.on("connect", namespace="/gate")
    def connect(sid: str, environ: object) -> None:
        sids.append(sid)
        gates.stop()

    ws = desk.ws()
    ws.send("40/gate,")
    gate = gates.reached()
    for _ in range(101 if data == "x" else 5):
        server.emit("news", data, to=sids[0], namespace="/gate")
    assert ws.ends() == NO_CODE
    gates.go_on(gate)


# -- who does not answer -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "announced"),
    [
        ({"ping_interval": 0.25, "ping_timeout": 0.15}, '"pingInterval":250,"pingTimeout":150,'),
        (
            {"ping_interval": (0.2, 0.1), "ping_timeout": 1},
            '"pingInterval":300,"pingTimeout":1000,',
        ),
        ({"ping_interval": 0.07, "ping_timeout": 0.29}, '"pingInterval":70,"pingTimeout":290,'),
        ({}, '"pingInterval":25000,"pingTimeout":20000,'),
    ],
)
def test_times_are_announced_in_whole_milliseconds(
    runtime: Runtime, options: dict[str, object], announced: str
) -> None:
    """As they are kept; a client counts on them."""
    with engine(runtime, **options) as desk:
        poller, ws = desk.poller(), desk.ws()
        assert announced in poller.opened
        assert announced in ws.opened
        ws.close()
        assert poller.post(b"1")[0] in (200, 400)


@pytest.fixture
def brisk(runtime: Runtime) -> Iterator[Desk]:
    """A server that pings soon."""
    with socketio(runtime, ping_interval=0.2, ping_timeout=0.5) as desk:
        yield desk


def test_whatever_a_websocket_client_sends_is_a_sign_of_life(brisk: Desk) -> None:
    """It need not be the pong."""
    ws = _join(brisk)
    for _ in range(5):
        assert ws.text() == "2"
        ws.send('421["message-with-ack"]')
        assert ws.text() == "431[]"
    ws.leave()


def test_whatever_a_polling_client_asks_is_a_sign_of_life(brisk: Desk) -> None:
    """A new GET will do."""
    poller = brisk.poller()
    for _ in range(5):
        assert poller.get() == (200, b"2")
    poller.leave()


def test_a_client_that_stops_in_the_middle_of_a_frame_is_dropped(brisk: Desk) -> None:
    """The beginning of a message keeps nobody alive."""
    ws = _join(brisk)
    ws.sendall(b"\x81\xfe\x00\xff\x00\x00\x00\x0042")
    assert ws.text() == "2"
    assert ws.ends() == NO_CODE
    assert brisk.has_left() == "ping timeout"


def test_a_held_get_of_a_client_that_does_not_answer(brisk: Desk) -> None:
    """It is answered by the ping; then the session ends, and a GET is refused."""
    poller = brisk.poller()
    assert poller.post(b"40") == (200, b"ok")
    read = b""
    while not read.endswith(b"2"):
        read = poller.get()[1]
    assert brisk.has_left() == "ping timeout"
    assert poller.get()[0] == 400


def test_a_websocket_client_that_is_gone_without_a_word(brisk: Desk) -> None:
    """One that reads nothing either: it is dropped, with what was kept for it."""
    ws = _join(brisk)
    stream = brisk.connection(ws.sid).websocket.stream
    began = time.monotonic()
    while not stream.buffered_bytes and ws.sid in brisk.engine.connections:
        brisk.live.server.emit("news", BIG)
        brisk.live.settle()
    assert brisk.has_left() == "ping timeout"
    assert time.monotonic() - began < 10
    brisk.live.until(lambda: stream.buffered_bytes == 0)


# -- who does not end ----------------------------------------------------------------------


def test_a_client_that_half_closes_is_gone(brisk: Desk) -> None:
    """An end of its stream is the end of its WebSocket."""
    ws = _join(brisk)
    ws.sock.shutdown(1)
    assert brisk.has_left() == "transport close"
    assert ws.skip_to_end() in (NO_CODE, NO_FRAME)


def test_a_closing_polling_session_takes_nothing_any_more(desk: Desk) -> None:
    """POSTs are answered ``ok`` and ignored; the next GET gets the close and ends it."""
    poller: Poller = desk.poller()
    assert poller.post(b"40") == (200, b"ok")
    read = b""
    while not read.endswith(b'42["auth",{}]'):
        read = poller.get()[1]
    assert poller.post(b'42/never,["x"]') == (200, b"ok")
    assert desk.has_left() == "server disconnect"
    assert poller.post(b'42["note"]\x1e40/custom,') == (200, b"ok")
    assert poller.get() == (200, b"6\x1e1")
    assert poller.get()[0] == 400
    assert desk.seen.empty()
