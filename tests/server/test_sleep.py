"""A task that belongs to a client: `Socket.sleep`."""

from __future__ import annotations

import threading

from flask_sio import Server
from tests.live import WAIT_S, Runtime, plain
from tests.server.clients import Gate, Log, Peer, in_threads


def test_it_waits_while_the_client_stays(runtime: Runtime) -> None:
    """And leaves nothing of itself behind."""
    server = Server()
    with plain(runtime, server) as live:
        peer = Peer(live)
        socket = server.socket(peer.sid)
        in_threads(3, lambda _number: [socket.sleep(0.001) for _ in range(20)])
        assert socket.sleep(0) is True
        live.settle()
        assert socket._acks is not None
        assert not socket._acks.waiters
        peer.close()


def test_it_ends_when_the_client_leaves(runtime: Runtime) -> None:
    """At once, in every task; afterwards it does not wait at all."""
    server, log = Server(), Log()

    @server.event
    def watch(sid: str) -> None:
        socket = server.socket(sid)

        def work(number: int) -> None:
            server.emit("asleep", number, to=sid)
            log.add((number, socket.sleep(600), socket.sleep(600)))

        for number in range(2):
            server.start_background_task(work, number)

    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('42["watch"]')
        assert {peer.text(), peer.text()} == {'42["asleep",0]', '42["asleep",1]'}
        peer.leave()
        assert sorted(log.wait(2)) == [(0, False, False), (1, False, False)]


def test_it_may_be_used_in_a_handler(runtime: Runtime) -> None:
    """The disconnect handler comes after it; a foreign thread's sleep ends too."""
    server, log = Server(), Log()
    gate = Gate(server)

    @server.event
    def watch(sid: str) -> None:
        gate.open()
        log.add(server.socket(sid).sleep(600))

    server.on("disconnect", lambda sid: log.add("disconnected"))
    with plain(runtime, server) as live:
        peer = Peer(live)
        socket, ended = server.socket(peer.sid), threading.Event()
        thread = threading.Thread(target=lambda: socket.sleep(600) or ended.set())
        thread.start()
        peer.send('42["watch"]')
        live.until(lambda: gate._is_open)
        peer.leave()
        assert log.wait(2) == [False, "disconnected"]
        assert ended.wait(WAIT_S)
        thread.join()
