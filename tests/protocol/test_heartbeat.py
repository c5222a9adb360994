from __future__ import annotations

import pytest

from flask_sio.protocol.heartbeat import Heartbeat, Heartbeat3

INTERVAL_S, TIMEOUT_S = 0.3, 0.2


def due(heartbeat: Heartbeat, now: float, held_up_s: float = 0.0) -> tuple[str, float]:
    action, when = heartbeat.due(now, INTERVAL_S, TIMEOUT_S, held_up_s)
    return action, round(when, 4)


def test_the_first_ping_is_due_one_interval_after_the_opening() -> None:
    """Not a bit earlier than a timer's rounding."""
    heartbeat = Heartbeat(100.0)
    assert due(heartbeat, 100.2) == ("wait", 100.3)
    assert due(heartbeat, 100.297) == ("wait", 100.3)
    assert due(heartbeat, 100.3)[0] == "ping"


def test_a_silent_peer_is_told_within_the_announced_time() -> None:
    """Who was opened at 100 and says nothing is silent at 100.5 and not at 100.49."""
    heartbeat = Heartbeat(100.0)
    assert due(heartbeat, 100.301) == ("ping", 100.499)
    assert due(heartbeat, 100.49) == ("wait", 100.499)
    assert due(heartbeat, 100.499) == ("silent", 100.499)


def test_anything_heard_after_a_ping_puts_off_the_next_one_only() -> None:
    """Pings keep their interval, and lateness of timers does not add up."""
    heartbeat = Heartbeat(0.0)
    now = 0.0
    for count in range(1, 100):
        now = count * INTERVAL_S + 0.001
        assert due(heartbeat, now)[0] == "ping"
        heartbeat.heard = True
        assert due(heartbeat, now + TIMEOUT_S) == ("wait", round((count + 1) * INTERVAL_S, 4))
    assert now < 99 * INTERVAL_S + 0.002


def test_a_ping_that_is_really_late_gets_its_whole_timeout() -> None:
    """After a stall the peer has as long as it was told."""
    heartbeat = Heartbeat(0.0)
    assert due(heartbeat, 5.0) == ("ping", 5.199)
    assert due(heartbeat, 5.19)[0] == "wait"
    assert due(heartbeat, 5.2)[0] == "silent"


def test_a_stall_moves_the_deadline() -> None:
    """Time in which nobody could have read the pong does not count."""
    heartbeat = Heartbeat(0.0)
    assert due(heartbeat, 0.3, held_up_s=1.0)[0] == "ping"
    assert due(heartbeat, 0.6, held_up_s=1.5) == ("wait", 0.999)
    assert due(heartbeat, 1.0, held_up_s=1.5)[0] == "silent"


def test_a_timeout_longer_than_the_interval() -> None:
    """No second ping while a pong may still come; then the next one at once."""
    heartbeat = Heartbeat(0.0)
    assert heartbeat.due(0.2, 0.2, 5.0, 0.0) == ("ping", pytest.approx(0.399))
    assert heartbeat.due(0.4, 0.2, 5.0, 0.0) == ("wait", pytest.approx(5.199))
    heartbeat.heard = True
    assert heartbeat.due(5.2, 0.2, 5.0, 0.0)[0] == "ping"
    assert heartbeat.due(10.21, 0.2, 5.0, 0.0)[0] == "silent"


# -- Engine.IO 3: the client pings -----------------------------------------------------------


def due3(heartbeat: Heartbeat3, now: float, held_up_s: float = 0.0) -> tuple[str, float]:
    action, when = heartbeat.due(now, INTERVAL_S, TIMEOUT_S, held_up_s)
    return action, round(when, 4)


def test_a_client_that_never_says_anything_is_silent_after_both_times() -> None:
    """The interval and the timeout, from the opening on; it is never pinged."""
    heartbeat = Heartbeat3(100.0)
    assert due3(heartbeat, 100.3) == ("wait", 100.5)
    assert due3(heartbeat, 100.49) == ("wait", 100.5)
    assert due3(heartbeat, 100.5)[0] == "silent"


def test_each_byte_puts_the_end_off() -> None:
    """By both times from then on."""
    heartbeat = Heartbeat3(100.0)
    heartbeat.hear(100.2)
    assert due3(heartbeat, 100.3) == ("wait", 100.7)
    assert heartbeat.heard is False
    heartbeat.hear(100.699)
    assert heartbeat.heard is True
    assert due3(heartbeat, 100.7) == ("wait", 101.199)
    assert due3(heartbeat, 101.2)[0] == "silent"


def test_a_stall_moves_the_deadline_of_a_client_that_pings() -> None:
    """By what was added since it was last heard of."""
    heartbeat = Heartbeat3(100.0)
    assert due3(heartbeat, 100.3, held_up_s=7.0) == ("wait", 100.5)
    assert due3(heartbeat, 100.5, held_up_s=8.0) == ("wait", 101.5)
    assert due3(heartbeat, 101.5, held_up_s=8.0)[0] == "silent"


def test_chatter_is_counted_anew_after_each_look() -> None:
    """Its bound is for a time, not for a life."""
    heartbeat = Heartbeat3(100.0)
    heartbeat.chatter = 5
    heartbeat.hear(100.1)
    due3(heartbeat, 100.3)
    assert heartbeat.chatter == 0
