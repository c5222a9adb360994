"""Upgrades that fail, race or never end (protocol sheet 4, traps 16 to 19 and 48 to 51)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.live import Runtime
from tests.raw_more import (
    CLOSE,
    NO_CODE,
    NO_FRAME,
    TEXT,
    Frames,
    Poller,
    ask,
    frame,
    request,
    upgrade_request,
)
from tests.server.desk import Desk, engine
from tests.servers.raw import ENDPOINT


@pytest.fixture
def desk(runtime: Runtime) -> Iterator[Desk]:
    with engine(runtime) as desk:
        yield desk


@pytest.fixture
def poller(desk: Desk) -> Poller:
    return desk.poller()


def probed(desk: Desk, poller: Poller) -> Frames:
    """Return a WebSocket that may commit."""
    ws = desk.ws(poller.sid)
    ws.send("2probe")
    assert ws.text() == "3probe"
    return ws


def until_unprobed(desk: Desk, poller: Poller) -> None:
    """Wait until the session has no WebSocket beside it."""
    desk.live.until(lambda: desk.connection(poller.sid).probe is None)


def still_polls_and_upgrades(desk: Desk, poller: Poller) -> None:
    """Check that polling goes on, with GETs held again, and that a new attempt succeeds."""
    until_unprobed(desk, poller)
    held = desk.held(poller)
    assert poller.post(b"4polling") == (200, b"ok")
    assert held.answer().body == b"4polling"
    ws = probed(desk, poller)
    ws.send("5", "4upgraded")
    assert ws.text() == "4upgraded"
    ws.leave()
    assert desk.has_left() == "transport close"


# -- failures ------------------------------------------------------------------------------


@pytest.mark.parametrize("is_probed", [False, True])
@pytest.mark.parametrize(
    "message",
    [
        "4x",
        "2",
        "2Probe",
        "2probe ",
        "3",
        "5x",
        "6",
        "1",
        "0{}",
        "abc",
        "",
        "2probe\x1e5",
        b"2probe",
    ],
)
def test_a_bad_message_ends_the_upgrade_only(
    desk: Desk, poller: Poller, message: str | bytes, is_probed: bool
) -> None:
    """Only ``2probe`` and ``5`` are expected on a probing WebSocket."""
    ws = probed(desk, poller) if is_probed else desk.ws(poller.sid)
    ws.send(message)
    assert ws.ends() == NO_CODE
    still_polls_and_upgrades(desk, poller)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(TEXT, b"2probe", mask=None), 1002),
        (frame(TEXT, b"\xff"), 1007),
        (b"\x81\xff\x00\x00\x00\x00\x00\x0f\x42\x41", 1009),
        (frame(CLOSE, b"\x03\xe8"), 1000),
        (frame(CLOSE, b""), NO_CODE),
    ],
)
def test_a_probing_websocket_ends_alone(desk: Desk, poller: Poller, data: bytes, code: int) -> None:
    """By a fault in its frames, or because its client has closed it."""
    ws = desk.ws(poller.sid)
    ws.sendall(data)
    assert ws.ends() == code
    still_polls_and_upgrades(desk, poller)


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("is_probed", [False, True])
def test_a_probing_websocket_that_dies_harms_nobody(
    desk: Desk, poller: Poller, how: str, is_probed: bool
) -> None:
    """From then on GETs are held again, and nobody spins."""
    ws = probed(desk, poller) if is_probed else desk.ws(poller.sid)
    getattr(ws, how)()
    still_polls_and_upgrades(desk, poller)


def test_a_websocket_that_dies_before_its_101_harms_nobody(desk: Desk, poller: Poller) -> None:
    """Its place beside the session is free for the next one."""
    for _ in range(20):
        desk.peer(upgrade_request(f"{ENDPOINT}websocket&sid={poller.sid}")).reset()
    for _ in range(100):  # the dead ones are still being noticed
        ws = desk.ws(poller.sid)
        ws.send("2probe")
        if ws.frame() == (TEXT, b"3probe"):
            break
    ws.send("5", "4upgraded")
    assert ws.text() == "4upgraded"
    ws.leave()


@pytest.mark.parametrize("is_probed", [False, True])
def test_an_upgrade_that_is_not_committed_times_out(runtime: Runtime, is_probed: bool) -> None:
    """Its WebSocket is closed after ``upgrade_timeout`` seconds, and nothing else."""
    with engine(runtime, upgrade_timeout=0.1) as desk:
        poller = desk.poller()
        ws = probed(desk, poller) if is_probed else desk.ws(poller.sid)
        assert ws.ends() == NO_CODE
        until_unprobed(desk, poller)
        held = desk.held(poller)
        assert poller.post(b"4polling") == (200, b"ok")
        assert held.answer().body == b"4polling"
        poller.leave()


def test_the_time_for_an_upgrade_ends_with_it(runtime: Runtime) -> None:
    """A WebSocket that has committed is not closed by the timeout of its upgrade."""
    with engine(runtime, upgrade_timeout=0.1, ping_interval=0.3, ping_timeout=5) as desk:
        poller = desk.poller()
        ws = desk.ws(poller.sid, early=frame(TEXT, b"2probe") + frame(TEXT, b"5"))
        assert ws.text() == "3probe"
        assert ws.text() == "2"
        ws.send("4later")
        assert ws.text() == "4later"
        ws.leave()


def test_a_second_websocket_does_not_disturb_an_upgrade(desk: Desk, poller: Poller) -> None:
    """It gets its 101 and the end; the first one commits."""
    ws = probed(desk, poller)
    second = desk.ws(poller.sid, early=frame(TEXT, b"2probe") + frame(TEXT, b"5"))
    assert second.ends() == NO_CODE
    ws.send("5", "4first")
    assert ws.text() == "4first"
    ws.leave()


def test_a_websocket_session_cannot_be_taken_over(desk: Desk) -> None:
    """Whoever knows the sid of a session born on a WebSocket gets a 101 and the end."""
    ws = desk.ws()
    second = desk.ws(ws.sid, early=frame(TEXT, b"2probe") + frame(TEXT, b"5"))
    assert second.ends() == NO_CODE
    ws.send("4first")
    assert ws.text() == "4first"
    ws.leave()


@pytest.mark.parametrize(
    ("options", "upgrades"),
    [({"allow_upgrades": False}, "[]"), ({"transports": ["polling"]}, "[]")],
)
def test_an_upgrade_that_was_not_announced_is_refused(
    runtime: Runtime, options: dict[str, object], upgrades: str
) -> None:
    """With 400 and without a 101; the session goes on."""
    with engine(runtime, **options) as desk:
        poller = desk.poller()
        assert f'"upgrades":{upgrades},' in poller.opened
        answer = ask(desk, upgrade_request(f"{ENDPOINT}websocket&sid={poller.sid}"))
        assert answer.status == 400
        assert poller.post(b"4polling") == (200, b"ok")
        assert poller.get() == (200, b"4polling")
        poller.leave()
        if "transports" in options:  # `engine` looks for an honest client on a WebSocket
            desk.engine.transports = ("polling", "websocket")


def test_polling_may_be_switched_off(runtime: Runtime) -> None:
    """A handshake by a plain GET is then an unknown transport."""
    with engine(runtime, transports=["websocket"]) as desk:
        answer = ask(desk, request("GET", f"{ENDPOINT}polling"))
        assert (answer.status, answer.body) == (400, b'{"code":0,"message":"Transport unknown"}')
        ws = desk.ws()
        assert '"upgrades":[],' in ws.opened
        ws.leave()


# -- races ---------------------------------------------------------------------------------


def test_polls_are_answered_while_the_client_upgrades(desk: Desk, poller: Poller) -> None:
    """The held GET and each later one gets ``6``; POSTs are taken until the commit."""
    held = desk.held(poller)
    ws = probed(desk, poller)
    assert held.answer().body == b"6"
    assert poller.get() == (200, b"6")
    assert poller.get() == (200, b"6")
    assert poller.post(b"4posted") == (200, b"ok")
    assert poller.get() == (200, b"4posted")
    assert poller.get() == (200, b"6")
    ws.send("5")
    ws.leave()


def test_a_websocket_that_has_not_probed_releases_nothing(desk: Desk, poller: Poller) -> None:
    """A GET stays held beside it, and gets the next packet."""
    held = desk.held(poller)
    ws = desk.ws(poller.sid)
    desk.live.until(lambda: desk.connection(poller.sid).probe)
    desk.push(poller.sid, "4pushed")
    assert held.answer().body == b"4pushed"
    ws.leave()
    until_unprobed(desk, poller)
    poller.leave()


def test_packets_in_flight_arrive_in_order(desk: Desk, poller: Poller) -> None:
    """Those a poll did not take come over the WebSocket after the commit, before later ones."""
    desk.push(poller.sid, "41")
    ws = probed(desk, poller)
    assert poller.get() == (200, b"41")
    desk.push(poller.sid, *(f"4{number}" for number in range(2, 40)))
    assert poller.get()[1].count(b"\x1e") == 15
    ws.send("5", "4echo")
    assert [ws.text() for _ in range(22)] == [f"4{number}" for number in range(18, 40)]
    assert ws.text() == "4echo"
    desk.push(poller.sid, "4last")
    assert ws.text() == "4last"
    ws.leave()


def test_a_get_that_is_held_at_the_commit_is_released(desk: Desk, poller: Poller) -> None:
    """With ``6``: a ``1`` would tell the client that its session is over."""
    held = desk.held(poller)
    ws = desk.ws(poller.sid)
    ws.send("5")
    assert held.answer().body == b"6"
    ws.leave()


def test_a_post_in_flight_at_the_commit_is_delivered(desk: Desk, poller: Poller) -> None:
    """It was accepted before; its echo comes over the WebSocket."""
    post = desk.peer(request("POST", poller.path, {"Content-Length": "9"}, b"4post"))
    desk.live.until(lambda: desk.connection(poller.sid).polling.posting)
    ws = probed(desk, poller)
    ws.send("5")
    desk.live.until(lambda: desk.connection(poller.sid).websocket)
    post.sendall(b"\x1e4ed")
    assert post.answer().body == b"ok"
    assert [ws.text(), ws.text()] == ["4post", "4ed"]
    ws.leave()


def test_an_upgrade_in_one_segment_with_its_request(desk: Desk, poller: Poller) -> None:
    """Probe, commit and a message may all come before the 101 was read."""
    early = frame(TEXT, b"2probe") + frame(TEXT, b"5") + frame(TEXT, b"4early")
    ws = desk.ws(poller.sid, early=early)
    assert [ws.text(), ws.text()] == ["3probe", "4early"]
    ws.leave()


def test_a_session_that_ends_takes_its_probe_with_it(desk: Desk, poller: Poller) -> None:
    """The WebSocket beside it is closed."""
    ws = probed(desk, poller)
    poller.leave()
    assert ws.ends() == NO_CODE
    assert desk.has_left() == "transport close"


def test_an_overlap_ends_the_probe_too(desk: Desk, poller: Poller) -> None:
    """Whatever ends the session ends its probe."""
    ws = desk.ws(poller.sid)
    held = desk.held(poller)
    assert poller.get() == (400, b"")
    assert held.answer().body == b"1"
    assert ws.ends() == NO_CODE


# -- heartbeat -----------------------------------------------------------------------------


@pytest.fixture
def brisk(runtime: Runtime) -> Iterator[Desk]:
    """A server that pings soon."""
    with engine(runtime, ping_interval=0.2, ping_timeout=0.3) as desk:
        yield desk


def test_a_ping_during_an_upgrade_goes_by_polling(brisk: Desk) -> None:
    """Where a GET takes it; its pong may come by the WebSocket."""
    poller = brisk.poller()
    ws = brisk.ws(poller.sid)
    assert poller.get() == (200, b"2")
    ws.send("2probe", "5", "3")
    assert ws.text() == "3probe"
    assert ws.text() == "2"
    ws.send("3")
    ws.leave()


def test_a_ping_that_no_poll_took_follows_the_commit(brisk: Desk) -> None:
    """It is flushed to the WebSocket like any packet."""
    poller = brisk.poller()
    ws = probed(brisk, poller)
    connection = brisk.connection(poller.sid)
    brisk.live.until(lambda: connection.polling._queue)
    ws.send("5")
    assert ws.text() == "2"
    ws.send("3")
    assert ws.text() == "2"
    ws.leave()


def test_a_client_that_falls_silent_in_an_upgrade_is_dropped(brisk: Desk) -> None:
    """An open probe is no sign of life."""
    poller = brisk.poller()
    ws = probed(brisk, poller)
    assert ws.ends() in (NO_CODE, NO_FRAME)
    assert brisk.has_left() == "ping timeout"
    assert poller.get()[0] == 400
