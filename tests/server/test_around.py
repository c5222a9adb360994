"""Hooks around events: what they see, and that they change nothing."""

from __future__ import annotations

import builtins
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import pytest

from flask_sio import ConnectionRefusedError, EventRun, Namespace, PayloadError, Server
from tests.live import Runtime, plain
from tests.server.clients import Log, Peer


class Trace:
    """A hook that writes down what it sees, in the order of the ends."""

    def __init__(self) -> None:
        self.runs: list[EventRun] = []
        self.raised: list[type | None] = []

    @contextmanager
    def __call__(self, run: EventRun) -> Iterator[None]:
        assert (run.outcome, run.error, run.duration_s) == (None, None, None)
        raised: type | None = None
        try:
            yield
        except BaseException as error:
            raised = type(error)
            raise
        finally:
            self.raised.append(raised)
            self.runs.append(run)

    @property
    def seen(self) -> list[tuple[Any, ...]]:
        return [(run.kind, run.name, run.namespace, run.outcome) for run in self.runs]


def raising(error: BaseException) -> Any:
    """Return a handler that raises it."""

    def handler(*args: Any) -> None:
        raise error

    return handler


def test_a_hook_sees_every_run_of_user_code(runtime: Runtime) -> None:
    """Connect, events, callbacks and disconnect, each with names, public id, time and outcome."""
    server, trace, log = Server(), Trace(), Log()
    server.on("connect", lambda sid, environ: None)
    server.on("good", lambda sid: server.emit("ask", to=sid, callback=log.add))
    server.on("bad", raising(ZeroDivisionError()))
    server.on("wrong", raising(PayloadError()))
    server.on("disconnect", lambda sid: log.add("left"))
    server.around_event(trace)
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('42["good"]')
        assert peer.text() == '421["ask"]'
        peer.send('431["answer"]', '42["bad"]', '42["wrong"]', "41")
        assert log.wait(2) == ["answer", "left"]
        live.until(lambda: len(trace.runs) == 6)
        peer.close()
    assert trace.seen == [
        ("connect", "connect", "/", "ok"),
        ("event", "good", "/", "ok"),
        ("ack", "ack", "/", "ok"),
        ("event", "bad", "/", "error"),
        ("event", "wrong", "/", "invalid"),
        ("disconnect", "disconnect", "/", "ok"),
    ]
    assert trace.raised == [None, None, None, ZeroDivisionError, PayloadError, None]
    for run in trace.runs:
        assert run.sid == peer.sid
        assert run.duration_s is not None
        assert run.duration_s >= 0
        assert run.environ["REMOTE_ADDR"] == "127.0.0.1"
        assert repr(run).startswith(f"<EventRun '{run.name}' of {peer.sid} in '/' {run.outcome}")
    assert isinstance(trace.runs[3].error, ZeroDivisionError)


@pytest.mark.parametrize(
    ("handler", "outcome"),
    [
        (lambda sid, environ: False, "refused"),
        (raising(ConnectionRefusedError("no")), "refused"),
        (raising(builtins.ConnectionRefusedError()), "refused"),
        (raising(PayloadError()), "invalid"),
        (raising(ValueError()), "error"),
    ],
)
def test_a_refused_client_is_no_error(runtime: Runtime, handler: Any, outcome: str) -> None:
    """However a connect handler says no, the outcome tells it from a failure."""
    server, trace = Server(), Trace()
    server.on("connect", handler)
    server.around_event(trace)
    with plain(runtime, server) as live:
        peer = Peer(live, join=None)
        peer.send("40")
        assert peer.text().startswith("44{")
        peer.close()
    assert [run.outcome for run in trace.runs] == [outcome]


def test_without_hooks_the_convention_is_called(runtime: Runtime) -> None:
    """A server that uses none pays nothing, not even a question."""
    server = Server()
    assert server.invoke == server.convention.invoke

    server.around_event(Trace())
    assert server.invoke != server.convention.invoke


def test_hooks_nest_and_their_variables_are_the_handlers(runtime: Runtime) -> None:
    """The first is the outermost; a context variable that one sets is there in the handler."""
    server, log = Server(), Log()
    variable: ContextVar[str] = ContextVar("variable", default="")

    def hook(name: str) -> Any:
        @contextmanager
        def around(run: EventRun) -> Iterator[None]:
            token = variable.set(variable.get() + name)
            yield
            log.add((name, run.outcome))
            variable.reset(token)

        return around

    server.around_event(hook("a"))
    server.around_event(hook("b"))
    server.on("do", lambda sid: variable.get())
    with plain(runtime, server) as live:
        peer = Peer(live)
        for _ in range(2):
            peer.send('421["do"]')
            assert peer.text() == '431["ab"]'
        peer.close()
    assert log.wait(4) == [("b", "ok"), ("a", "ok")] * 2


def test_a_failure_is_logged_among_its_variables(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    """What listens to the log can tell which run it belongs to, and that it knows of it."""
    server = Server()
    variable: ContextVar[str] = ContextVar("variable", default="")
    found: list[str] = []

    def fail(sid: str, name: str) -> None:
        variable.set(name)
        raise ZeroDivisionError

    def note(record: logging.LogRecord) -> bool:
        found.append(variable.get())
        return True

    server.on("do", fail)
    logger = logging.getLogger("flask_sio.server")
    logger.addFilter(note)
    try:
        with plain(runtime, server) as live:
            peer = Peer(live)
            peer.send('42["do","a"]', '42["do","b"]')
            live.until(lambda: len(found) == 2)
            peer.close()
    finally:
        logger.removeFilter(note)
    assert found == ["a", "b"]


@contextmanager
def swallowing(run: EventRun) -> Iterator[None]:
    try:
        yield
    except ZeroDivisionError:
        pass


@contextmanager
def failing_late(run: EventRun) -> Iterator[None]:
    try:
        yield
    finally:
        raise KeyError("late")


def test_a_broken_hook_changes_no_event(runtime: Runtime, caplog: pytest.LogCaptureFixture) -> None:
    """What it raises, before or after, is logged once; what it swallows is raised all the same."""
    server, trace = Server(error_acks=True), Trace()
    server.on("do", lambda sid: "done")
    server.on("bad", raising(ZeroDivisionError()))
    for hook in (raising(KeyError("early")), failing_late, swallowing, lambda run: None, trace):
        server.around_event(hook)
    with plain(runtime, server) as live, caplog.at_level(logging.WARNING):
        peer = Peer(live)
        for _ in range(2):
            peer.send('421["do"]', '422["bad"]')
            assert peer.text() == '431["done"]'
            assert peer.text() == '432[{"error":"Internal error"}]'
        peer.close()
    assert [run.outcome for run in trace.runs] == ["ok", "error"] * 2
    warned = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert warned == ["a hook of around_event() failed: KeyError: 'early' (said once)"]
    assert [each.getMessage()[:20] for each in caplog.records if each.levelname == "ERROR"] == [
        "the handler of 'bad'"
    ] * 2


def test_names_of_a_clients_invention_are_not_seen(runtime: Runtime) -> None:
    """Neither an event that no method is for, nor the name of one that a catch-all takes."""
    server, trace = Server(namespaces=["/", "/x"]), Trace()
    server.around_event(trace)
    server.register_namespace(Namespace("/"))
    server.on("*", lambda event, sid: event, namespace="/x")
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.join("40/x,")
        peer.send('421["a1"]', '42/x,2["b2"]')
        assert peer.text() == "431[]"
        assert peer.text() == '43/x,2["b2"]'
        peer.close()
    assert trace.seen == [("event", "*", "/x", "ok")]


def test_a_hook_is_a_function() -> None:
    """Anything else is refused where it is registered."""
    with pytest.raises(TypeError, match="around_event"):
        Server().around_event(5)  # type: ignore[type-var]
