"""The pool of workers: how many run, in which order, and when they end."""

from __future__ import annotations

import gc
import importlib
import sys
import threading
import time
import weakref
from collections.abc import Iterable
from typing import Any

import gevent
import pytest
from greenlet import getcurrent, settrace

from flask_sio import Server, WSGIApp
from flask_sio.server.client import Client
from tests.live import WAIT_S, Live, Runtime, plain, serve
from tests.server.clients import Gate, Log, Peer
from tests.servers.raw import http


def _module(runtime: Runtime) -> Any:
    return importlib.import_module(
        "flask_sio.runtime." + ("greenlet_pool" if runtime == "gevent" else "thread_pool")
    )


def test_over_max_handlers_clients_wait_in_the_order_they_came(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    """FIFO over all clients, one event of each; a line says that they wait."""
    server = Server(max_handlers=2)
    gate, log = Gate(server, held=True), Log()
    server.on("block", lambda sid: gate.wait())
    server.on("work", lambda sid, number: log.add(number))
    with caplog.at_level("WARNING", "flask_sio"), plain(runtime, server) as live:
        blockers, workers = [Peer(live) for _ in range(2)], [Peer(live) for _ in range(4)]
        for peer in blockers:
            peer.send('42["block"]')
        gate.arrived(2)
        for number, peer in enumerate(workers):
            peer.send(f'42["work",{number}]', f'42["work",{number + 4}]')
            peer.sync()
        live.settle()
        assert log.entries == []
        live.until(lambda: caplog.messages)
        gate.open()
        entries = log.wait(8)
        if runtime == "gevent":
            assert entries == list(range(8))
        else:  # two threads may note what they do in either order
            assert sorted(entries[:4]) == [0, 1, 2, 3]
        for peer in (*blockers, *workers):
            peer.close()
    assert caplog.messages == ["max_handlers=2 handlers are running; further events wait"]


def test_handlers_that_wait_do_not_starve_others(runtime: Runtime) -> None:
    """A handler in our `call` or `sleep` does not keep its place, where places are few."""
    server = Server(max_handlers=2 if runtime == "threading" else None)

    @server.on("call")
    def call(sid: str) -> Any:
        return server.call("ask", to=sid)

    sleeping = threading.Event()

    @server.on("sleep")
    def sleep(sid: str) -> None:
        while not sleeping.is_set():
            server.sleep(0.01)

    server.on("echo", lambda sid, data: data)
    with plain(runtime, server) as live:
        callers, peer = [Peer(live) for _ in range(8)], Peer(live)
        sleepers = [Peer(live) for _ in range(4)]
        for caller in callers:
            caller.send('420["call"]')
            assert caller.text() == '421["ask"]'
        for sleeper in sleepers:
            sleeper.send('420["sleep"]')
        for number in range(20):
            peer.send(f'420["echo",{number}]')
            assert peer.text() == f"430[{number}]"
        for caller in callers:
            caller.send('431["answer"]')
            assert caller.text() == '430["answer"]'
        sleeping.set()
        for sleeper in sleepers:
            assert sleeper.text() == "430[]"
        for each in (*callers, *sleepers, peer):
            each.close()


def test_a_handler_that_waits_is_counted_again_when_it_goes_on(runtime: Runtime) -> None:
    """The gauge of running handlers ends at zero, whatever handlers did."""
    server = Server(max_handlers=3 if runtime == "threading" else None)
    server.on("call", lambda sid: server.call("ask", to=sid))
    server.on("sleep", lambda sid: server.sleep(0.001))
    with plain(runtime, server) as live:
        peers = [Peer(live) for _ in range(6)]
        for _ in range(5):
            for peer in peers:
                peer.send('420["sleep"]', '420["call"]')
            for peer in peers:
                assert peer.text() == "430[]"
                text = peer.text()
                peer.send(f"43{text[2 : text.index('[')]}[1]")
                assert peer.text() == "430[1]"
        live.until(lambda: server.engine.loop.running_handlers == 0)
        for peer in peers:
            peer.close()


def test_plain_http_is_served_beside_many_active_sockets(runtime: Runtime) -> None:
    """A request that comes while 200 clients have 2,000 events waiting is not behind them.

    Without the ready queue's time budget all of them would be handled first.
    """
    clients, events = 200, 10
    handled = 0
    server = Server()
    held = threading.Event()
    counts: list[int] = []

    @server.on("work")
    def work(sid: str) -> None:
        nonlocal handled
        handled += 1
        until = time.perf_counter() + 0.001
        while time.perf_counter() < until:
            pass

    def page(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        counts.append(handled)
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    with serve(runtime, WSGIApp(server, page), server) as live:
        peers = [Peer(live) for _ in range(clients)]
        # In a turn: nothing is read and nothing is handled until all of it has come.
        holder = threading.Thread(target=server.engine.loop.run, args=(held.wait,))
        holder.start()
        for peer in peers:
            peer.send(*['42["work"]'] * events)
        asked = Log()
        asker = threading.Thread(target=lambda: asked.add(http(live, "GET", "/")))
        asker.start()
        held.set()
        holder.join()
        (answer,) = asked.wait(1)
        asker.join()
        assert answer[2] == b"ok"
        live.until(lambda: handled == clients * events)
        for peer in peers:
            peer.close()
    assert counts[0] < clients * events // 2


# -- the end of workers ----------------------------------------------------------------------


def _idle(live: Live) -> int:
    pool: Any = live.server.engine.loop._pool  # type: ignore[attr-defined]
    return len(pool._idle)


def test_idle_workers_are_trimmed(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that nobody needed for `IDLE_S` end, down to `IDLE_WORKERS`."""
    monkeypatch.setattr(_module(runtime), "IDLE_S", 0.05)
    monkeypatch.setattr(_module(runtime), "IDLE_WORKERS", 2)
    server = Server(async_handlers=True)
    gate = Gate(server)
    server.on("wait", lambda sid: gate.wait())
    server.on("echo", lambda sid, data: data)
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send(*['42["wait"]'] * 20)
        gate.arrived(20)
        gate.open()
        # From 3.13 on nothing tells what a thread keeps: no thread is used again.
        left = 2 if runtime == "gevent" or sys.version_info < (3, 13) else 0
        live.until(lambda: not server.engine.loop.running_handlers and _idle(live) == left)
        for number in range(3):
            peer.send(f'420["echo",{number}]')
            assert peer.text() == f"430[{number}]"
        assert _idle(live) <= 3
        peer.close()


@pytest.mark.parametrize("fresh", [False, True])
def test_workers_hold_nothing_of_the_job_they_ran(runtime: Runtime, fresh: bool) -> None:
    """Neither an idle worker nor one that ended keeps arguments, sockets or connections."""
    server = Server(fresh_greenlets=fresh)
    refs: list[weakref.ref[Any]] = []

    class Thing:
        """Something to weigh."""

    @server.on("work")
    def work(sid: str) -> None:
        thing = Thing()
        refs.append(weakref.ref(thing))
        refs.append(weakref.ref(server.socket(sid).client.connection.environ["wsgi.input"]))

    def collected() -> bool:
        gc.collect()
        return not [
            thing for thing in gc.get_objects() if type(thing) is Client and thing.server is server
        ]

    with plain(runtime, server) as live:
        peers = [Peer(live) for _ in range(5)]
        for peer in peers:
            peer.send('420["work"]')
            assert peer.text() == "430[]"
            peer.close()
        live.until(lambda: not server.engine.connections and not server.engine.streams)
        live.until(lambda: server.engine.loop.running_handlers == 0)
        live.until(collected)
        assert all(ref() is None for ref in refs[::2])


def test_workers_end_with_the_server(runtime: Runtime) -> None:
    """Those that are busy at shutdown end after their job; the leak check sees the threads."""
    server = Server()
    gate = Gate(server, held=True)
    waiting = Gate(server)
    server.on("block", lambda sid: gate.wait())
    server.on("wait", lambda sid: waiting.wait())
    with plain(runtime, server) as live:
        peers = [Peer(live) for _ in range(2)]
        peers[0].send('42["block"]')
        peers[1].send('42["wait"]')
        gate.arrived()
        waiting.arrived()
        for peer in peers:
            peer.close()
        assert server.shutdown(0.01)
        pool: Any = server.engine.loop._pool  # type: ignore[attr-defined]
        gate.open()
        waiting.open()
        live.until(lambda: True)
        _until(lambda: not pool._idle and not pool.running)


def _until(test: Any) -> None:
    """Wait for what no event tells of: the last breath of a worker."""
    deadline = time.monotonic() + 10
    while not test():
        assert time.monotonic() < deadline
        threading.Event().wait(0.005)


class Ended(BaseException):
    """No Exception: like a kill."""


@pytest.mark.parametrize(
    ("runtime", "how"),
    # gevent ends the process on a SystemExit, wherever it is raised.
    [("gevent", Ended), ("threading", Ended), ("threading", SystemExit)],
)
def test_a_handler_that_ends_its_worker_keeps_no_place(
    runtime: Runtime, how: type[BaseException]
) -> None:
    """Its place is free again, and its client's next event is handled."""
    server = Server(max_handlers=2)

    @server.on("end")
    def end(sid: str) -> None:
        raise how

    server.on("echo", lambda sid, data: data)
    with plain(runtime, server) as live:
        peer = Peer(live)
        for number in range(6):
            peer.send('42["end"]', f'420["echo",{number}]')
            assert peer.text() == f"430[{number}]"
        live.until(lambda: server.engine.loop.running_handlers == 0)
        peer.close()


def test_no_thread_that_ended_by_a_base_exception_runs_another_job() -> None:
    """Threads: what such a job has left behind is unknown."""
    server = Server()
    ended: list[threading.Thread] = []

    @server.on("end")
    def end(sid: str) -> None:
        ended.append(threading.current_thread())
        raise Ended

    server.on("who", lambda sid: threading.current_thread() in ended)
    with plain("threading", server) as live:
        peer = Peer(live)
        for _ in range(5):
            peer.send('42["end"]', '420["who"]')
            assert peer.text() == "430[false]"
        for thread in ended:
            thread.join(10)
            assert not thread.is_alive()
        peer.close()


# -- gevent: what reaches a worker while it is idle --------------------------------------------


@pytest.mark.parametrize("what", ["kill", "timeout"])
def test_a_worker_that_dies_while_it_is_idle_loses_no_job(what: str) -> None:
    """A kill or a leaked Timeout that comes after its job: the next event is still handled."""

    server = Server()
    kept: list[Any] = []
    events: dict[str, Any] = {}

    @server.on("hold")
    def hold(sid: str, name: str) -> None:
        events[name] = gevent.event.Event()
        server.emit("holding", to=sid)
        events[name].wait()

    @server.on("leak")
    def leak(sid: str) -> None:
        if what == "timeout":
            kept.append(gevent.Timeout.start_new(0.001))
        else:
            kept.append(getcurrent())
        # The other handler ends after this one, so that its worker is the next to be used.
        gevent.get_hub().loop.run_callback(events["first"].set)

    @server.on("strike")
    def strike(sid: str) -> None:
        victim = kept.pop()
        if what == "timeout":
            while victim.pending:
                gevent.sleep(0.001)
        else:
            gevent.kill(victim)

    server.on("echo", lambda sid: "here")
    with plain("gevent", server) as live:
        a, b = Peer(live), Peer(live)
        a.send('420["hold","first"]')
        assert a.text() == '42["holding"]'
        b.send('420["leak"]')
        assert sorted([a.text(), b.text()]) == ["430[]", "430[]"]
        a.send('420["strike"]')
        assert a.text() == "430[]"
        live.settle()
        a.send('420["hold","second"]')
        assert a.text() == '42["holding"]'
        b.send('420["echo"]')
        assert b.text() == '430["here"]'
        server.engine.loop.run(lambda: events["second"].set())
        assert a.text() == "430[]"
        live.until(lambda: server.engine.loop.running_handlers == 0)
        a.close()
        b.close()


@pytest.mark.quick
@pytest.mark.parametrize("leaves", ["nothing", "a local", "a reference", "a timeout"])
def test_a_clean_worker_goes_on_with_the_next_client(leaves: str) -> None:
    """Without a switch to the hub; one that its last job has left something in does not."""
    from gevent.local import local

    server, steps = Server(), []
    kept: Any = []
    values = local()

    @server.on("first")
    def first(sid: str) -> None:
        if leaves == "a local":
            values.user = "alice"
        elif leaves == "a reference":
            kept.append(getcurrent())
        elif leaves == "a timeout":
            kept.append(gevent.Timeout.start_new(60))
        steps.append("first")

    @server.on("second")
    def second(sid: str) -> None:
        steps.append(f"second, {vars(values) or getcurrent() in kept or 'clean'}")

    def trace(what: str, _: Any) -> None:
        if what == "switch":
            steps.append("switch")

    def both() -> None:
        settrace(trace)
        clients = [socket.client for socket in server.spaces["/"].rooms.everyone.values()]
        clients[0].message('2["first"]')
        clients[1].message('2["second"]')

    with plain("gevent", server) as live:
        peers = Peer(live), Peer(live)
        server.engine.loop.call(both)
        live.until(lambda: len([each for each in steps if each != "switch"]) == 2)
        server.engine.loop.call(settrace, None)
        ran = steps[steps.index("first") : steps.index("second, clean") + 1]
        assert ("switch" in ran) == (leaves != "nothing")
        for each in kept:
            if isinstance(each, gevent.Timeout):
                server.engine.loop.call(each.close)
        kept.clear()
        for peer in peers:
            peer.close()


def test_a_worker_that_waited_goes_back_to_the_hub() -> None:
    """Who has switched back into it is not the pool, which must not wait for it."""
    server, ended = Server(), Log()
    gate = Gate(server, held=True)

    @server.on("wait")
    def wait(sid: str) -> None:
        gate.wait()
        ended.add("waited")

    server.on("quick", lambda sid: ended.add("quick"))
    with plain("gevent", server) as live:
        peers = [Peer(live) for _ in range(3)]
        peers[0].send('42["wait"]')
        gate.arrived(1)
        gate.open()
        for peer in peers[1:]:
            peer.send('42["quick"]')
        assert sorted(ended.wait(3)) == ["quick", "quick", "waited"]
        live.until(lambda: server.engine.loop.running_handlers == 0)
        pool: Any = server.engine.loop._pool  # type: ignore[attr-defined]
        assert pool._inside is None
        for peer in peers:
            peer.close()


@pytest.mark.quick
def test_idle_greenlets_are_measured_as_they_are() -> None:
    """The number of references an idle worker is compared with is that of an idle worker."""
    server = Server()
    server.on("echo", lambda sid: "here")
    with plain("gevent", server) as live:
        peer = Peer(live)
        peer.send('420["echo"]')
        assert peer.text() == '430["here"]'
        pool: Any = server.engine.loop._pool  # type: ignore[attr-defined]

        def is_clean() -> bool:
            worker = pool._idle.pop()
            clean: bool = pool._is_clean(worker, pool._idle_references)
            pool._idle.append(worker)
            return clean

        live.until(lambda: _idle(live) > 0)
        assert server.engine.loop.call(is_clean)
        peer.close()


def test_what_is_left_for_a_later_pass_keeps_the_hub_running() -> None:
    """gevent: without a server, one who waits for a handler that has to wait is not given up."""
    from gevent import get_hub
    from gevent.event import Event

    from flask_sio.runtime.gevent import GeventLoop

    module = _module("gevent")

    class Turn:
        rests_until = 0.0

        def __init__(self, job: Any) -> None:
            self.job = job

        def take_turn(self) -> Any:
            return self.job

        def kind(self, job: Any = None) -> Any:
            return None

    def hold() -> None:
        until = time.perf_counter() + 2 * module.TURN_BUDGET_S
        while time.perf_counter() < until:
            pass

    def main() -> None:
        loop = GeventLoop(module.PoolOptions())
        handled, later = Event(), Event()
        for job in (hold, hold, handled.set):  # the hub makes one pass in any case
            loop.ready(Turn(job))
        heard.append(handled.wait())
        loop.later(loop.later, later.set)
        heard.append(later.wait())
        loop.stop()
        get_hub().destroy(destroy_loop=True)

    heard: list[bool] = []
    thread = threading.Thread(target=main)
    thread.start()
    thread.join(WAIT_S)
    assert heard == [True, True]
