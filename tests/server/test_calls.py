"""``Server.call``: from whom it may be called, and how it ends."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from flask_sio import DisconnectedError, NotConnectedError, Server, TimeoutError
from tests.live import WAIT_S, Live, Runtime, plain
from tests.server.clients import Gate, Log, Peer, Poller, in_threads


class Call:
    """A `Server.call` that waits in a thread of its own: the foreign OS thread."""

    def __init__(self, live: Live, *args: Any, **kwargs: Any) -> None:
        self._result: Any = None
        self._error: BaseException | None = None
        self._live = live
        self._thread = threading.Thread(target=self._run, args=args, kwargs=kwargs)
        self._thread.start()

    def _run(self, *args: Any, **kwargs: Any) -> None:
        try:
            self._result = self._live.server.call(*args, **kwargs)
        except BaseException as error:
            self._error = error

    def result(self) -> Any:
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive(), "call() still waits"
        if self._error is not None:
            raise self._error
        return self._result


@pytest.mark.parametrize(
    ("answer", "result"), [("[]", None), ("[1]", 1), ("[1,2]", (1, 2)), ("[[1,2]]", [1, 2])]
)
def test_it_returns_what_the_client_answers(runtime: Runtime, answer: str, result: object) -> None:
    """None, the one argument, or a tuple of several."""
    with plain(runtime, Server()) as live:
        peer = Peer(live)
        call = Call(live, "ask", "data", to=peer.sid)
        assert peer.text() == '421["ask","data"]'
        peer.send(f"431{answer}")
        assert call.result() == result
        peer.close()


def test_it_works_on_polling(runtime: Runtime) -> None:
    """The question goes out by a poll, the answer comes by a POST."""
    with plain(runtime, Server()) as live:
        poller = Poller(live)
        call = Call(live, "ask", sid=poller.sid)
        assert poller.get() == ['421["ask"]']
        poller.post('431["answer"]')
        assert call.result() == "answer"
        poller.leave()


def test_it_may_be_called_inside_a_handler(runtime: Runtime) -> None:
    """Also by the handler of the very client it asks: the answer passes the mailbox."""
    server = Server()

    @server.on("begin")
    def begin(sid: str) -> Any:
        return server.call("ask", to=sid)

    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('420["begin"]')
        assert peer.text() == '421["ask"]'
        peer.send('431["answer"]')
        assert peer.text() == '430["answer"]'
        peer.close()


@pytest.mark.parametrize("policy", ["drop", "error_ack"])
def test_its_answer_is_found_behind_a_flood(runtime: Runtime, policy: str) -> None:
    """A full mailbox does not keep the answer from the handler that waits for it."""
    server = Server(max_mailbox_events=10, mailbox_overflow=policy)

    @server.on("begin")
    def begin(sid: str) -> Any:
        return server.call("ask", to=sid)

    server.on("noise", lambda sid: None)
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('420["begin"]')
        assert peer.text() == '421["ask"]'
        peer.send(*['42["noise"]'] * 2000, '431["answer"]', *['42["noise"]'] * 2000)
        assert peer.text() == '430["answer"]'
        peer.close()


def test_its_answer_is_found_behind_a_mailbox_that_is_just_full(runtime: Runtime) -> None:
    """The default policy closes at the first event too many, not at the bound."""
    server = Server(max_mailbox_events=100)
    log = Log()

    @server.on("begin")
    def begin(sid: str) -> Any:
        return server.call("ask", to=sid)

    server.on("noise", lambda sid, number: log.add(number))
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('420["begin"]')
        assert peer.text() == '421["ask"]'
        peer.send(*(f'42["noise",{number}]' for number in range(100)), '431["answer"]')
        assert peer.text() == '430["answer"]'
        assert log.wait(100) == list(range(100))
        peer.close()


def test_it_may_be_called_from_a_background_task(runtime: Runtime) -> None:
    """One that a handler has started, too."""
    server = Server()
    log = Log()

    @server.on("begin")
    def begin(sid: str) -> None:
        server.start_background_task(lambda: log.add(server.call("ask", to=sid)))

    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('42["begin"]')
        assert peer.text() == '421["ask"]'
        peer.send('431["answer"]')
        assert log.wait(1) == ["answer"]
        peer.close()


def test_it_may_be_called_inside_the_connect_handler_of_another(runtime: Runtime) -> None:
    """A newcomer can be decided upon by a client that is there."""
    server = Server()
    judge: list[str] = []

    @server.on("connect")
    def connect(sid: str, environ: object) -> Any:
        if judge:
            return server.call("let in?", to=judge[0])
        judge.append(sid)
        return True

    with plain(runtime, server) as live:
        first = Peer(live)
        second, third = Peer(live, join=None), Peer(live, join=None)
        second.send("40")
        assert first.text() == '421["let in?"]'
        third.send("40")
        assert first.text() == '422["let in?"]'
        first.send("432[false]", "431[true]")
        assert second.text().startswith('40{"sid":')
        assert third.text() == '44{"message":"Connection rejected by server"}'
        for peer in (first, second, third):
            peer.close()


def test_many_calls_at_once_get_their_own_answers(runtime: Runtime) -> None:
    """Answered in any order, from eight threads at once, on one client."""
    server = Server()
    with plain(runtime, server) as live:
        peer = Peer(live)

        def ask(number: int) -> None:
            assert server.call("ask", number, to=peer.sid) == number * 10

        answers = threading.Thread(target=_answer_backwards, args=(peer, 8))
        answers.start()
        in_threads(8, ask)
        answers.join()
        peer.close()


def _answer_backwards(peer: Peer, count: int) -> None:
    asked = [peer.text() for _ in range(count)]
    for text in sorted(asked, reverse=True):
        ack_id, number = text[2], text[len('421["ask",') : -1]
        peer.send(f"43{ack_id}[{int(number) * 10}]")


def test_a_call_times_out(runtime: Runtime) -> None:
    """A late answer is ignored then, and nothing of the call is kept."""
    server = Server()
    with plain(runtime, server) as live:
        peer = Peer(live)
        with pytest.raises(TimeoutError, match=r"no answer to 'ask' within 0\.02 s"):
            server.call("ask", to=peer.sid, timeout=0.02)
        live.settle()
        socket = server.socket(peer.sid)
        assert socket._acks is not None
        assert socket._acks._owed == {}
        assert peer.text() == '421["ask"]'
        peer.send('431["late"]')
        assert peer.sync() == []
        peer.close()


def test_a_timeout_of_zero_does_not_wait(runtime: Runtime) -> None:
    """It is a timeout, not "for ever"."""
    server = Server()
    with plain(runtime, server) as live:
        peer = Peer(live)
        with pytest.raises(TimeoutError):
            server.call("ask", to=peer.sid, timeout=0)
        peer.close()


@pytest.mark.parametrize("how", ["41", "1", None])
def test_a_call_fails_at_once_when_the_client_leaves(runtime: Runtime, how: str | None) -> None:
    """By a packet, by the end of its connection; with no timeout, too."""
    server = Server()
    with plain(runtime, server) as live:
        peer = Peer(live)
        call = Call(live, "ask", to=peer.sid, timeout=None)
        assert peer.text() == '421["ask"]'
        if how is not None:
            peer.send(how)
        else:
            peer.close()
        with pytest.raises(DisconnectedError):
            call.result()
        peer.close()


def test_a_call_inside_a_handler_fails_at_once_too(runtime: Runtime) -> None:
    """The handler is let go, and then the disconnect handler runs."""
    server = Server(disconnect_wait=WAIT_S * 2)
    log = Log()

    @server.on("begin")
    def begin(sid: str) -> None:
        try:
            server.call("ask", to=sid, timeout=None)
        except DisconnectedError:
            log.add("failed")

    server.on("disconnect", lambda sid: log.add("left"))
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('42["begin"]')
        assert peer.text() == '421["ask"]'
        peer.close()
        assert log.wait(2) == ["failed", "left"]


@pytest.mark.parametrize("slow_client", ["close", "drop"])
def test_a_call_that_cannot_be_sent_fails_at_once(runtime: Runtime, slow_client: str) -> None:
    """The client does not take what it is sent; from a foreign thread and from a handler."""
    server = Server(slow_client=slow_client, max_outbound_packets=2)
    log = Log()

    @server.on("ask another")
    def ask_another(sid: str, another: str) -> None:
        try:
            server.call("ask", to=another)
        except DisconnectedError:
            log.add("failed")

    with plain(runtime, server) as live:
        peer = Peer(live)
        for _ in range(2):
            slow = Poller(live)
            server.emit("one", to=slow.sid)
            server.emit("two", to=slow.sid)
            if log.entries:
                with pytest.raises(DisconnectedError):
                    server.call("ask", to=slow.sid)
            else:
                peer.send(f'42["ask another","{slow.sid}"]')
                log.wait(1)
            if slow_client == "drop":
                slow.leave()
        peer.close()


def test_nobody_is_asked_in_vain(runtime: Runtime) -> None:
    """An unknown id, one of another namespace, and no id at all are refused at once."""
    server = Server(namespaces=["/", "/ns"])
    with pytest.raises(NotConnectedError):
        server.call("ask", to="nobody")
    with plain(runtime, server) as live:
        peer = Peer(live)
        with pytest.raises(NotConnectedError):
            server.call("ask", to="nobody")
        with pytest.raises(NotConnectedError):
            server.call("ask", to=peer.sid, namespace="/ns")
        with pytest.raises(ValueError, match="name it by"):
            server.call("ask")
        with pytest.raises(TypeError):
            server.call("ask", object(), to=peer.sid)
        assert peer.sync() == []
        peer.close()


def test_a_call_to_a_client_that_is_being_decided_waits_for_it(runtime: Runtime) -> None:
    """It is sent on acceptance, and fails on refusal."""
    server = Server()
    gate, log = Gate(server), Log()

    @server.on("connect")
    def connect(sid: str, environ: object, auth: Any) -> Any:
        log.add(sid)
        gate.wait()
        return auth["let in"]

    with plain(runtime, server) as live:
        good, bad = Peer(live, join=None), Peer(live, join=None)
        good.send('40{"let in":true}')
        gate.arrived()
        bad.send('40{"let in":false}')
        gate.arrived()
        sids = log.wait(2)
        calls = [Call(live, "ask", to=sid) for sid in sids]
        live.until(lambda: all(server._socket(sid, "/")._pending for sid in sids))
        gate.open()
        assert good.text().startswith("40{")
        assert good.text() == '421["ask"]'
        good.send("431[1]")
        assert calls[0].result() == 1
        assert bad.text().startswith("44{")
        with pytest.raises(DisconnectedError):
            calls[1].result()
        good.close()
        bad.close()
