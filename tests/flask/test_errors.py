"""What becomes of the exceptions of handlers."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from flask import abort, got_request_exception, has_request_context, request
from werkzeug.exceptions import Forbidden, HTTPException, NotFound

from flask_sio import ConnectionRefusedError, Namespace, SocketBlueprint, SocketIO, emit
from tests.flask.site import Site
from tests.live import Runtime


def fail(error: Exception) -> Any:
    """Raise it; for a lambda."""
    raise error


# -- by class ---------------------------------------------------------------------------


def test_the_nearest_class_wins(site: Site) -> None:
    """The handler of the most derived class an exception is of makes the ack."""
    for kind in (Exception, LookupError, KeyError):
        site.socketio.errorhandler(kind)(lambda error, kind=kind: kind.__name__)
    client, _ = site.joined()
    errors = [KeyError(), IndexError(), ValueError()]
    answers = [site.run(client, lambda error=error: fail(error)) for error in errors]
    assert answers == [["KeyError"], ["LookupError"], ["Exception"]]


def test_the_scopes_of_error_handlers(site: Site) -> None:
    """A blueprint's handler comes before the namespace's, which comes before the others'."""
    blueprint = SocketBlueprint("x", "/other")
    blueprint.on_event("mine", lambda: fail(ValueError()))
    blueprint.errorhandler(Exception)(lambda error: "blueprint")
    socketio = site.socketio
    socketio.errorhandler(ValueError, namespace="/other")(lambda error: "namespace")
    socketio.errorhandler(ValueError)(lambda error: "everywhere")
    socketio.errorhandler(Exception)(lambda error: "last")
    socketio.register_blueprint(blueprint)
    client, _ = site.joined()
    client.connect("/other")
    site.do = lambda: fail(ValueError())
    assert client.ask("mine", namespace="/other") == ["blueprint"]
    assert client.ask("do", namespace="/other") == ["namespace"]
    assert client.ask("do") == ["everywhere"]
    site.do = lambda: fail(OSError())
    assert client.ask("do", namespace="/other") == ["last"]


def test_classes_come_before_what_catches_all(site: Site) -> None:
    """on_error and on_error_default get what no handler of a class is for."""
    site.socketio.errorhandler(ValueError)(lambda error: "class")
    site.socketio.on_error("/other")(lambda error: f"catch-all {request.namespace}")  # type: ignore[attr-defined]
    site.socketio.on_error_default(lambda error: "default")
    client, _ = site.joined()
    client.connect("/other")
    site.do = lambda: fail(ValueError())
    assert client.ask("do", namespace="/other") == ["class"]
    site.do = lambda: fail(OSError())
    assert client.ask("do", namespace="/other") == ["catch-all /other"]
    assert client.ask("do") == ["default"]


def test_an_error_handler_has_the_events_context(site: Site) -> None:
    """It may emit to the client and answer with several values."""

    @site.socketio.errorhandler(ValueError)
    def handle(error: ValueError) -> Any:
        emit("sorry", str(error))
        return "failed", request.event["message"]  # type: ignore[attr-defined]

    client, _ = site.joined()
    assert site.run(client, lambda: fail(ValueError("why"))) == ["failed", "do"]
    assert client.events() == [["sorry", "why"]]


def test_abort_in_an_event(site: Site) -> None:
    """flask.abort raises an HTTPException; handlers are found by status or by class."""
    site.socketio.errorhandler(403)(lambda error: {"error": error.name})
    site.socketio.errorhandler(HTTPException)(lambda error: error.code)
    client, _ = site.joined()
    assert site.run(client, lambda: abort(403)) == [{"error": Forbidden().name}]
    assert site.run(client, lambda: abort(404)) == [NotFound.code]


def test_an_error_in_an_error_handler_is_nobodys(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """What an error handler raises is not handled again."""
    site.socketio.errorhandler(ValueError)(lambda error: fail(KeyError("second")))
    site.socketio.errorhandler(KeyError)(lambda error: "never")
    site.socketio.on_event("fail", lambda: fail(ValueError("first")))
    client, _ = site.joined()
    client.emit("fail")
    assert site.run(client, lambda: "next") == ["next"]
    assert "second" in caplog.text


def test_the_class_of_a_namespace_comes_last(site: Site) -> None:
    """A class's own error() gets what the handlers leave, and makes the ack."""

    class Chat(Namespace):
        def on_fail(self) -> None:
            raise ValueError("why")

        def error(self, error: Exception) -> str:
            return f"class: {error}"

    site.socketio.on_namespace(Chat("/class"))
    client = site.client()
    client.connect("/class")
    assert client.ask("fail", namespace="/class") == ["class: why"]
    site.socketio.errorhandler(ValueError, "/class")(lambda error: "handler")
    assert client.ask("fail", namespace="/class") == ["handler"]


# -- connect ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "accepted"), [(True, True), (None, False), (False, False), ("text", False)]
)
def test_an_error_in_connect_refuses(site: Site, answer: Any, accepted: bool) -> None:
    """A connect handler that fails refuses, unless an error handler returns True."""
    site.socketio.on_event("connect", lambda: fail(ValueError()))
    site.socketio.errorhandler(ValueError)(lambda error: answer)
    assert site.client().connect().startswith("40" if accepted else "44")


@pytest.mark.parametrize("answer", [None, True, "sorry", False])
def test_an_error_in_connect_may_be_accepted(site: Site, answer: Any) -> None:
    """With connect_errors="accept" only False refuses; without an error handler all is as ever."""
    site.socketio.connect_errors = "accept"
    site.socketio.on_event("connect", lambda: fail(ValueError()))
    assert site.client().connect().startswith("44")
    site.socketio.on_error()(lambda error: answer)
    assert site.client().connect().startswith("44" if answer is False else "40")
    site.socketio.on_event("connect", lambda: fail(ConnectionRefusedError("no")))
    assert site.client().connect() == '44{"message":"no"}'


def test_a_refusal_passes_the_error_handlers(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """ConnectionRefusedError is for the client: no error handler sees it, and no log."""
    seen: list[Exception] = []
    site.socketio.on_event("connect", lambda: fail(ConnectionRefusedError("no")))
    site.socketio.errorhandler(Exception)(seen.append)
    site.socketio.on_error_default(seen.append)
    assert site.client().connect() == '44{"message":"no"}'
    assert seen == []
    assert "failed" not in caplog.text


@pytest.mark.parametrize("debug", [False, True])
def test_details_of_a_failed_connect_in_debug_only(
    site: Site, debug: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """A client whose connect handler failed is told so; why, only in debug mode."""
    site.app.debug = debug
    site.socketio.on_event("connect", lambda: fail(ValueError("secret")))
    told = "ValueError: secret" if debug else "Internal error"
    assert site.client().connect() == f'44{{"message":"{told}"}}'
    assert "secret" in caplog.text


# -- the log ----------------------------------------------------------------------------


def test_what_nobody_handles_is_logged_once(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """app.logger gets event, id and traceback, within the event's context, and no payload."""
    inside: list[bool] = []

    class Formatter(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            inside.append(has_request_context())
            return True

    site.app.logger.addFilter(Formatter())
    site.socketio.on_event("fail", lambda data: fail(KeyError("why")))
    client, sid = site.joined()
    client.emit("fail", {"password": "s3cret"})
    site.run(client, lambda: None)
    [record] = [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert record.name == site.app.logger.name
    assert record.getMessage() == f"the handler of 'fail' failed for {sid} in /"
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], KeyError)
    assert "s3cret" not in caplog.text
    assert inside == [True]


def test_one_exception_raised_twice_is_logged_twice(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """A program that raises the same object again has each time in the log."""
    always = ValueError("the same object")
    site.socketio.on_event("fail", lambda: fail(always))
    client, _ = site.joined()
    for _ in range(2):
        client.emit("fail")
    site.run(client, lambda: None)
    assert caplog.text.count("the handler of 'fail' failed") == 2


def test_flasks_signal_of_exceptions(site: Site) -> None:
    """got_request_exception, which error trackers listen to, is sent for what nobody handles."""
    seen: list[Any] = []

    def receive(sender: Any, exception: Exception, **_: Any) -> None:
        seen.append((sender, exception, request.event["message"]))  # type: ignore[attr-defined]

    error = ValueError()
    site.socketio.on_event("fail", lambda: fail(error))
    site.socketio.errorhandler(KeyError)(lambda error: "handled")
    client, _ = site.joined()
    with got_request_exception.connected_to(receive, site.app):
        client.emit("fail")
        site.run(client, lambda: fail(KeyError()))
    assert seen == [(site.app, error, "fail")]


def test_arguments_a_handler_cannot_take(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """A client that sends too much or too little is one line in the log, without a traceback."""

    def two(first: int, second: int) -> str:
        return "fine"

    site.socketio.on_event("two", two)
    client, sid = site.joined()
    client.emit("two", 1, 2, 3)
    assert client.ask("two", 1, 2) == ["fine"]
    [record] = [each for each in caplog.records if "arguments" in each.getMessage()]
    assert record.levelno == logging.WARNING
    assert record.exc_info is None
    assert sid in record.getMessage()
    site.socketio.errorhandler(TypeError)(lambda error: "handled")
    assert client.ask("two") == ["handled"]


def test_a_type_error_within_a_handler_keeps_its_traceback(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """Only a call that could not be made counts as the client's fault."""

    def inner(needed: int) -> None: ...

    site.socketio.on_event("outer", lambda *args: inner())  # type: ignore[call-arg]
    client, _ = site.joined()
    client.emit("outer", 1)
    site.run(client, lambda: None)
    [record] = [each for each in caplog.records if "outer" in each.getMessage()]
    assert record.exc_info is not None


def test_an_ack_that_is_no_json_is_logged(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """A result without a JSON form is a failure of its event like any other."""
    site.socketio.on_event("wrong", lambda: object())
    client, sid = site.joined()
    client.post('427["wrong"]')
    assert site.run(client, lambda: "next") == ["next"]
    [record] = [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert record.name == site.app.logger.name
    assert record.getMessage() == f"the handler of 'wrong' failed for {sid} in /"


# -- error acks -------------------------------------------------------------------------


@pytest.mark.parametrize("debug", [False, True])
def test_error_acks(runtime: Runtime, debug: bool) -> None:
    """error_acks=True answers a failed event with a fixed text; the details in debug only."""
    site = Site(async_mode=runtime, error_acks=True)
    site.app.debug = debug
    client, _ = site.joined()
    told = "ValueError: secret" if debug else "Internal error"
    assert site.run(client, lambda: fail(ValueError("secret"))) == [{"error": told}]
    site.socketio.errorhandler(ValueError)(lambda error: "handled")
    assert site.run(client, lambda: fail(ValueError("secret"))) == ["handled"]
    [answer] = site.run(client, lambda: object())
    assert answer["error"].startswith("TypeError" if debug else "Internal error")
    client.emit("do")  # asks for no answer, and gets none
    assert site.heard(client) == []
    site.socketio.shutdown()


def test_without_error_acks_there_is_no_answer(site: Site) -> None:
    """By default a failed event is not acknowledged."""
    site.socketio.on_event("fail", lambda: fail(ValueError()))
    client, _ = site.joined()
    client.post('427["fail"]')
    site.run(client, lambda: None)
    assert not [packet for packet in client.received if packet.startswith("437")]


# -- registration -----------------------------------------------------------------------


@pytest.mark.quick
def test_what_an_error_handler_may_be_for() -> None:
    """Only exceptions and HTTP errors have handlers, and a handler takes the exception."""
    socketio: Any = SocketIO()
    for wrong in (BaseException, ValueError(), "ValueError", 999, ConnectionRefusedError):
        with pytest.raises(TypeError):
            socketio.errorhandler(wrong)
    with pytest.raises(TypeError, match="an error handler needs a function"):
        socketio.errorhandler(ValueError)(lambda: None)
    with pytest.raises(ValueError, match="callable"):
        socketio.on_error()("text")
    with pytest.raises(ValueError, match="callable"):
        socketio.on_error_default(None)


def test_on_error_of_every_namespace(site: Site) -> None:
    """on_error("*") gets what no namespace's own on_error is for, before on_error_default."""
    site.socketio.on_error("*")(lambda error: "everywhere")
    site.socketio.on_error("/other")(lambda error: "other")
    site.socketio.on_error_default(lambda error: "default")
    client, _ = site.joined()
    client.connect("/other")
    site.do = lambda: fail(ValueError())
    assert client.ask("do") == ["everywhere"]
    assert client.ask("do", namespace="/other") == ["other"]
