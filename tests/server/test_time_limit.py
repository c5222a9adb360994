"""Handlers that take too long: what becomes of them, and of their clients' next events."""

from __future__ import annotations

import gc
import logging
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from flask_sio import (
    ConfigError,
    EventRun,
    HandlerTimeoutError,
    Namespace,
    Server,
    TimeoutError,
    idempotent,
)
from flask_sio.runtime.loop import TimeIsUp
from flask_sio.server.mailbox import MAX_LEFT_BEHIND
from flask_sio.testing import TestClient
from tests.live import Live, Runtime, plain
from tests.server.clients import Gate, Log, Peer

SOON_S = 0.03
"""A time that is over before what a test waits for."""
LONG_S = 600.0
"""One that never is."""
FAILED = '[{"error":"Internal error"}]'


@contextmanager
def program(runtime: Runtime, **options: Any) -> Iterator[tuple[Server, Log]]:
    """Give a server with a handler of "next", and what the handlers have noted."""
    server, log = Server(error_acks=True, **options), Log()

    @server.on("next", timeout=LONG_S)
    def next_(sid: str, number: int = 0) -> int:
        log.add(("next", number))
        return number

    yield server, log


def has_no_limit(live: Live) -> None:
    """Wait until no handler has a time limit any more."""
    if live.runtime == "threading":
        loop: Any = live.server.engine.loop
        live.until(lambda: not loop.limits)
        live.until(lambda: not [each for each in timers(loop) if "ThreadLimit" in str(each)])


def mailboxes(server: Server) -> list[Any]:
    return [each.handler._mailbox for each in server.engine.connections.values()]


def timers(loop: Any) -> list[Any]:
    return [each.item for bucket in loop._wheel._buckets.values() for each in bucket]


# -- interrupted ---------------------------------------------------------------------------


def test_a_handler_is_interrupted_where_it_waits(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    """Its clean-up runs, its client is told, and the events behind it are handled in order."""
    with program(runtime) as (server, log):
        gate = Gate(server)

        @server.on("hang", timeout=SOON_S)
        def hang(sid: str) -> None:
            try:
                gate.wait()
            except Exception:  # a library's way to try again
                log.add("taken for a failure")
            finally:
                log.add("cleaned up")

        with caplog.at_level(logging.WARNING), plain(runtime, server) as live:
            peer = Peer(live)
            peer.send('420["hang"]', '421["next",1]', '422["next",2]')
            assert [peer.text() for _ in range(3)] == [f"430{FAILED}", "431[1]", "432[2]"]
            assert log.entries == ["cleaned up", ("next", 1), ("next", 2)]
            has_no_limit(live)
            peer.leave()
    [record] = caplog.records
    assert "the handler of 'hang' failed" in record.getMessage()
    assert record.exc_info is not None
    error = record.exc_info[1]
    assert isinstance(error, HandlerTimeoutError)
    assert error.seconds == SOON_S
    assert "hang took longer than 0.03 s" in str(error)
    assert isinstance(error.__cause__, TimeIsUp)  # which shows where it waited


@pytest.mark.parametrize("how", ["sleep", "socket.sleep", "call"])
def test_our_own_waits_end_on_both_runtimes(runtime: Runtime, how: str) -> None:
    """`sleep`, `Socket.sleep` and `call`; nothing of the wait is left."""
    with program(runtime) as (server, _):
        waits = {
            "sleep": lambda sid: server.sleep(LONG_S),
            "socket.sleep": lambda sid: server.socket(sid).sleep(LONG_S),
            "call": lambda sid: server.call("ask", to=sid, timeout=None),
        }
        server.on("hang", waits[how], timeout=SOON_S)
        with plain(runtime, server) as live:
            peer = Peer(live)
            peer.send('420["hang"]')
            if how == "call":
                assert peer.text() == '421["ask"]'
            assert peer.text() == f"430{FAILED}"
            acks = live.until(lambda: [server.socket(peer.sid)._acks])[0]
            assert acks is None or not acks.waiters
            peer.send('421["next",1]')
            assert peer.text() == "431[1]"
            has_no_limit(live)
            peer.leave()


def test_a_call_that_ends_by_its_own_time_is_no_interruption(runtime: Runtime) -> None:
    """The shorter time wins: a handler may deal with a client that does not answer."""
    with program(runtime) as (server, _):

        @server.on("ask", timeout=LONG_S)
        def ask(sid: str) -> str:
            with pytest.raises(TimeoutError):
                server.call("question", to=sid, timeout=SOON_S)
            server.sleep(SOON_S)
            return "asked"

        with plain(runtime, server) as live:
            peer = Peer(live)
            peer.send('420["ask"]')
            assert [peer.text(), peer.text()] == ['421["question"]', '430["asked"]']
            has_no_limit(live)
            peer.leave()


def test_a_handler_that_swallows_it_has_dealt_with_it(runtime: Runtime) -> None:
    """It is interrupted once: what it returns is the answer, however long it goes on."""
    with program(runtime) as (server, _):
        gate = Gate(server)

        @server.on("hang", timeout=SOON_S)
        def hang(sid: str) -> str:
            try:
                server.sleep(LONG_S)
            except BaseException:  # as nobody should
                pass
            server.sleep(3 * SOON_S)
            gate.wait()
            return "went on"

        with plain(runtime, server) as live:
            peer = Peer(live)
            peer.send('420["hang"]', '421["next",1]')
            gate.arrived()
            gate.open()
            assert [peer.text(), peer.text()] == ['430["went on"]', "431[1]"]
            has_no_limit(live)
            peer.leave()


def test_what_comes_next_on_a_worker_is_never_hit(runtime: Runtime) -> None:
    """Handlers that end just when their time does leave nothing for the next one's waits."""
    with program(runtime) as (server, _):
        within_s = 0.005

        @server.on("close", timeout=within_s)
        def close(sid: str, number: int) -> None:
            server.sleep(within_s + (number % 5 - 2) * 0.0005)

        @server.on("free")
        def free(sid: str, number: int) -> int:
            server.sleep(2 * within_s)
            return number

        with plain(runtime, server) as live:
            peers = [Peer(live) for _ in range(4)]
            for number in range(40):
                for peer in peers:
                    peer.send(f'42["close",{number}]', f'421["free",{number}]')
            for number in range(40):
                assert [peer.text() for peer in peers] == [f"431[{number}]"] * len(peers)
            has_no_limit(live)
            for peer in peers:
                peer.leave()


def test_what_an_interrupted_handler_had_is_let_go(runtime: Runtime) -> None:
    """At once, not when garbage is next collected."""
    with program(runtime) as (server, log):

        class Held:
            def __del__(self) -> None:
                log.add("let go")

        @server.on("hang", timeout=SOON_S)
        def hang(sid: str) -> None:
            held = Held()
            server.sleep(LONG_S)
            del held

        server.convention.report = lambda *_: None  # type: ignore[method-assign]
        with plain(runtime, server) as live:
            peer = Peer(live)
            gc.disable()
            try:
                peer.send('420["hang"]')
                assert peer.text() == f"430{FAILED}"
                assert log.wait(1) == ["let go"]
            finally:
                gc.enable()
            peer.leave()


def test_a_retry_runs_what_was_interrupted(runtime: Runtime) -> None:
    """An `idempotent` handler that ran out of time has no answer: who waited for it runs it."""
    with program(runtime) as (server, log):

        @server.on("order", timeout=SOON_S)
        @idempotent(key="own")
        def order(sid: str, own: str) -> str:
            log.add(own)
            if len(log.entries) == 1:
                server.sleep(LONG_S)
            return own

        with plain(runtime, server) as live:
            peer = Peer(live)
            peer.send('420["order","a"]', '421["order","a"]', '422["order","a"]')
            assert [peer.text() for _ in range(3)] == [f"430{FAILED}", '431["a"]', '432["a"]']
            assert log.entries == ["a", "a"]
            peer.leave()


# -- left behind ---------------------------------------------------------------------------


def test_a_thread_that_cannot_be_interrupted_is_left_behind(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its client is told and goes on; what it returns in the end is nobody's."""
    with program("threading") as (server, log):
        gate, ended = Gate(server, held=True), Log()
        runs: list[EventRun] = []

        @contextmanager
        def trace(run: EventRun) -> Iterator[None]:
            try:
                yield
            finally:
                if run.name == "hang":
                    runs.append(run)
                    ended.add("ended")

        server.around_event(trace)

        @server.on("hang", timeout=SOON_S)
        def hang(sid: str) -> str:
            gate.wait()
            log.add("hung")
            return "late"

        with caplog.at_level(logging.WARNING), plain("threading", server) as live:
            peer = Peer(live)
            peer.send('420["hang"]', '421["next",1]', '422["next",2]')
            assert [peer.text() for _ in range(3)] == [f"430{FAILED}", "431[1]", "432[2]"]
            assert log.entries == [("next", 1), ("next", 2)]
            gate.open()
            ended.wait(1)
            peer.send('423["next",3]')
            assert peer.text() == "433[3]"
            has_no_limit(live)
            live.until(lambda: server.engine.loop.running_handlers == 0)
            sid = peer.sid
            peer.leave()
    [line, failure] = [record.getMessage() for record in caplog.records]
    assert "hang took longer than 0.03 s, the handler of 'hang', for " + sid in line
    assert re.search(r"\(at \S+:\d+ in \w+\)", line)
    assert "the handler of 'hang' failed" in failure
    assert [run.outcome for run in runs] == ["error"]


def test_a_thread_left_behind_is_interrupted_at_its_next_wait_with_us() -> None:
    """Once; what it raises then, or by itself, is nobody's either."""
    with program("threading") as (server, log):
        gate = Gate(server, held=True)

        @server.on("hang", timeout=SOON_S)
        def hang(sid: str, how: str) -> None:
            gate.wait()
            if how == "raise":
                log.add("failed")
                raise OSError("away")
            try:
                server.sleep(LONG_S)
            finally:
                log.add("cleaned up")

        with plain("threading", server) as live:
            peer = Peer(live)
            peer.send('420["hang","wait"]', '421["hang","raise"]')
            assert [peer.text(), peer.text()] == [f"430{FAILED}", f"431{FAILED}"]
            gate.open()
            assert sorted(log.wait(2)) == ["cleaned up", "failed"]
            has_no_limit(live)
            peer.send('422["next",2]')
            assert peer.text() == "432[2]"
            peer.leave()


def test_the_disconnect_handler_waits_for_who_was_left_behind() -> None:
    """As for a concurrent handler."""
    with program("threading", disconnect_wait=LONG_S) as (server, log):
        gate = Gate(server, held=True)
        server.on("hang", lambda sid: gate.wait() or log.add("hung"), timeout=SOON_S)
        server.on("disconnect", lambda sid: log.add("disconnected"))
        with plain("threading", server) as live:
            peer = Peer(live)
            peer.send('420["hang"]')
            assert peer.text() == f"430{FAILED}"
            peer.send("41", '420["next"]')
            live.until(lambda: mailboxes(server)[0].waiting)
            gate.open()
            assert log.wait(2) == ["hung", "disconnected"]
            peer.close()


def test_one_client_leaves_only_so_many_behind() -> None:
    """Each keeps a thread: beyond that its events wait, and are answered none the less."""
    with program("threading") as (server, _):
        gate = Gate(server, held=True)
        server.on("hang", lambda sid: gate.wait(), timeout=SOON_S)
        with plain("threading", server) as live:
            peer = Peer(live)
            for number in range(MAX_LEFT_BEHIND + 3):
                peer.send(f'42{number}["hang"]')
            for number in range(MAX_LEFT_BEHIND + 1):
                assert peer.text() == f"43{number}{FAILED}"
            gate.arrived(MAX_LEFT_BEHIND + 1)
            live.settle()
            assert gate.nobody_arrived()
            gate.open()
            # These two are in time now, or not if the machine is slow.
            assert [peer.text()[:3] for _ in range(2)] == ["439", "431"]
            peer.send('4299["next",5]')
            assert peer.text() == "4399[5]"
            peer.leave()


def test_who_is_answered_waits_for_no_worker() -> None:
    """Where all of them hang, of one client or of many, those whose time is up hear of it."""
    with program("threading", max_handlers=2) as (server, _):
        gate = Gate(server, held=True)
        server.on("hang", lambda sid: gate.wait(), timeout=SOON_S)
        server.on("beside", lambda sid: gate.wait(), timeout=SOON_S, concurrent=True)
        with plain("threading", server) as live:
            one, other = Peer(live), Peer(live)
            one.send('420["hang"]')
            other.send('420["beside"]')
            for peer in (one, other):
                assert peer.text() == f"430{FAILED}"
            gate.open()
            for peer in (one, other):
                peer.send('421["next",5]')
                assert peer.text() == "431[5]"
                peer.leave()


def test_a_concurrent_handler_is_left_behind_too() -> None:
    """Nobody waits for it; only its client is told."""
    with program("threading") as (server, _):
        gate = Gate(server, held=True)
        server.on("hang", lambda sid: gate.wait(), concurrent=True, timeout=SOON_S)
        with plain("threading", server) as live:
            peer = Peer(live)
            peer.send('420["hang"]')
            assert peer.text() == f"430{FAILED}"
            gate.open()
            live.until(lambda: server.engine.loop.running_handlers == 0)
            peer.leave()


@pytest.mark.parametrize(("pattern", "to"), [("/", ""), (re.compile("/job/.*"), "/job/1,")])
def test_the_answer_is_one_whatever_runs_around(runtime: Runtime, pattern: Any, to: str) -> None:
    """With listeners and middleware, in a namespace by pattern; added handlers answer nothing."""
    server, log = Server(error_acks=True), Log()
    gate = Gate(server, held=True)

    def hang(*args: Any) -> Any:
        gate.wait()
        return args[-1]

    server.on("hang", hang, pattern, timeout=SOON_S)
    server.on("both", lambda *args: args[-1], pattern)
    server.on("both", hang, pattern, add=True, timeout=SOON_S)
    server.on("both", lambda *args: log.add(args[-1]), pattern, add=True)
    server.on("next", lambda *args: "next", pattern)
    server.on_any(lambda *args: None, pattern)
    with plain(runtime, server) as live:
        peer = Peer(live, join=None)
        # At once: in a namespace by pattern these come before anybody knows whose they are.
        events = [f'42{to}0["hang",1]', f'42{to}1["both",2]', f'42{to}2["next"]']
        peer.send(f"40{to}", *events)
        assert peer.text().startswith(f"40{to}")
        expected = [f"43{to}0{FAILED}", f"43{to}1[2]", f'43{to}2["next"]']
        assert [peer.text() for _ in range(3)] == expected
        gate.open()
        log.wait_for(lambda entries: 2 in entries)
        peer.send(f'42{to}3["next"]')
        assert peer.text() == f'43{to}3["next"]'
        peer.leave()


# -- which time counts -----------------------------------------------------------------------


def test_the_option_is_for_those_that_say_nothing_else(runtime: Runtime) -> None:
    """A handler's own time counts before it, infinity is any time, a class may have its own."""

    class Patient(Namespace):
        handler_timeout = math.inf

        def on_hang(self, sid: str) -> str:
            gate.wait()
            return "patient"

    class Watched(Patient):
        handler_timeout = None

        def trigger_event(self, event: str, *args: Any) -> Any:
            return super().trigger_event(event, *args)

    server = Server(error_acks=True, handler_timeout=SOON_S)
    gate = Gate(server)
    server.on("connect", lambda sid, environ: server.sleep(3 * SOON_S), "/")
    server.on("hang", lambda sid: server.sleep(LONG_S))
    server.on("*", lambda event, sid: server.sleep(LONG_S))
    server.on("own", lambda sid: gate.wait() or "own", timeout=LONG_S)
    server.event(namespace="/more", timeout=math.inf)(Patient("/x").on_hang)
    server.of(re.compile("/job/.*")).on("hang", lambda *_: gate.wait() or "job", timeout=LONG_S)
    server.register_namespace(Patient("/patient"))
    server.register_namespace(Watched("/watched"))
    with plain(runtime, server) as live:
        peer = Peer(live)
        for name in ("/patient", "/watched", "/job/1"):
            peer.join(f"40{name},")
        peer.send('420["hang"]', '421["any"]', '42/watched,2["hang"]')
        expected = [f"430{FAILED}", f"431{FAILED}", f"43/watched,2{FAILED}"]
        assert [peer.text() for _ in range(3)] == expected
        peer.send('423["own"]', '42/patient,4["hang"]', '42/job/1,5["hang"]')
        gate.arrived()
        gate.open()
        assert peer.text() == '433["own"]'
        assert peer.text() == '43/patient,4["patient"]'
        assert peer.text() == '43/job/1,5["job"]'
        peer.leave()


def test_outside_of_an_event_there_is_no_limit() -> None:
    """A test client gets the exception itself; a handler that is called is a function."""
    server = Server(async_mode="threading")

    @server.on("hang", timeout=SOON_S)
    def hang(sid: str, seconds: float) -> str:
        server.sleep(seconds)
        return sid

    with TestClient(server) as client, pytest.raises(HandlerTimeoutError, match="hang took"):
        client.emit("hang", LONG_S)
    assert hang("x", 2 * SOON_S) == "x"


@pytest.mark.parametrize("wrong", [0, -1, "5", True, math.nan, -math.inf, 10**9])
def test_what_is_no_time(wrong: Any) -> None:
    """It is refused where it is registered, by its name."""
    server = Server()
    with pytest.raises(ConfigError, match=r"timeout=.*accepted is None or seconds"):
        server.on("x", lambda sid: None, timeout=wrong)
    with pytest.raises(ConfigError, match="handler_timeout="):
        Server(handler_timeout=wrong)

    class Hasty(Namespace):
        handler_timeout = wrong

    with pytest.raises(ConfigError, match="handler_timeout="):
        server.register_namespace(Hasty("/x"))


@pytest.mark.parametrize("event", ["connect", "disconnect", "disconnecting"])
def test_only_events_have_a_time_limit(event: str) -> None:
    """A connect handler decides, and a disconnect handler comes last: neither is left behind."""
    with pytest.raises(TypeError, match="timeout= is for handlers of events"):
        Server().on(event, lambda *args: None, timeout=1)


def test_a_handler_without_a_limit_is_what_it_was() -> None:
    """It pays nothing."""
    server = Server()

    def handler(sid: str) -> None: ...

    server.on("x", handler)
    server.on("y", handler, timeout=math.inf)
    assert server.handlers.find("/", "x").fn is handler  # type: ignore[union-attr]
    assert server.handlers.find("/", "y").fn is handler  # type: ignore[union-attr]
