"""The signals of the extension."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, current_app, request

from flask_sio import ConnectionRefusedError, emit, signals
from tests.flask.site import Site


class Listener:
    """Keeps what a signal sends for one application."""

    def __init__(self, signal: Any, app: Flask) -> None:
        self.heard: list[dict[str, Any]] = []
        self.connection = signal.connected_to(self.receive, app)

    def receive(self, sender: Flask, **details: Any) -> None:
        """Take what is sent."""
        assert sender is not current_app  # the application itself, as Flask's signals have it
        self.heard.append(details)

    def __enter__(self) -> list[dict[str, Any]]:
        self.connection.__enter__()
        return self.heard

    def __exit__(self, *exc: object) -> None:
        self.connection.__exit__(*exc)


@pytest.mark.parametrize("handled", [False, True])
def test_connected_and_disconnected(site: Site, handled: bool) -> None:
    """They are sent for every client that was accepted, with and without handlers."""
    if handled:
        for event in ("connect", "disconnect"):
            site.socketio.on_event(event, lambda: None)
    with (
        Listener(signals.client_connected, site.app) as came,
        Listener(signals.client_disconnected, site.app) as left,
    ):
        client, sid = site.joined()
        other_sid = client.sid("/other")
        client.post("41")
        client.ask("do", namespace="/other")
        site.socketio.server.disconnect(other_sid, namespace="/other")
        client.until("41/other")
        client.connect()
        site.run(client, lambda: None)
    assert [(each["sid"], each["namespace"]) for each in came[:2]] == [
        (sid, "/"),
        (other_sid, "/other"),
    ]
    assert left == [
        {"sid": sid, "namespace": "/", "reason": "client disconnect"},
        {"sid": other_sid, "namespace": "/other", "reason": "server disconnect"},
    ]


def test_a_refused_client_was_never_there(site: Site) -> None:
    """No signal tells of a client that was refused."""

    @site.socketio.on("connect")
    def connect() -> None:
        raise ConnectionRefusedError

    with (
        Listener(signals.client_connected, site.app) as came,
        Listener(signals.client_disconnected, site.app) as left,
    ):
        client = site.client()
        assert client.connect().startswith("44")
        client.connect("/other")
        client.ask("do", namespace="/other")
    assert [each["namespace"] for each in came] == ["/other"]
    assert left == []


def test_receivers_have_the_context_and_may_emit(site: Site) -> None:
    """A receiver of client_connected speaks to the new client, before its first event."""

    def greet(sender: Flask, sid: str, **details: Any) -> None:
        emit("welcome", sid == request.sid)  # type: ignore[attr-defined]

    with signals.client_connected.connected_to(greet, site.app):
        client, _ = site.joined()
        assert site.heard(client) == [["welcome", True]]


def test_received_events(site: Site) -> None:
    """event_received tells of each event a handler is there for, by its own name."""
    site.socketio.on_event("*", lambda *args: None)
    with Listener(signals.event_received, site.app) as heard:
        client, sid = site.joined()
        client.ask("do", 1, {"a": 2})
        client.ask("whatever", 3)
    assert heard == [
        {"event": "do", "args": (1, {"a": 2}), "sid": sid, "namespace": "/"},
        {"event": "whatever", "args": (3,), "sid": sid, "namespace": "/"},
    ]


def test_a_receiver_that_raises_fails_the_event(site: Site) -> None:
    """What a receiver of event_received raises is handled as the handler's own."""

    def refuse(sender: Flask, **details: Any) -> None:
        raise PermissionError

    site.socketio.errorhandler(PermissionError)(lambda error: "no")
    client, _ = site.joined()
    with signals.event_received.connected_to(refuse, site.app):
        assert site.run(client, lambda: "yes") == ["no"]


def test_emitted_events(site: Site) -> None:
    """event_emitted tells what was emitted to whom, of functions and methods alike."""
    client, sid = site.joined()
    with Listener(signals.event_emitted, site.app) as heard:
        site.run(client, lambda: emit("reply", 1, 2))
        site.socketio.emit("all", {"a": 1}, skip_sid=sid)
        site.socketio.send("text", to="room", user=7, namespace="/other")
    assert heard == [
        whom("reply", (1, 2), to=[sid]),
        whom("all", ({"a": 1},), skip_sid=[sid]),
        whom("message", ("text",), to=["room"], users=["7"], namespace="/other"),
    ]


def whom(event: str, args: tuple[Any, ...], **details: Any) -> dict[str, Any]:
    """Return what event_emitted sends."""
    defaults: dict[str, Any] = {"namespace": "/", "to": None, "users": [], "skip_sid": []}
    return {"event": event, "args": args, **defaults, **details}


def test_an_emit_that_fails_is_not_sent(site: Site) -> None:
    """The signal follows the emit, so one without a JSON form is not told of."""
    with Listener(signals.event_emitted, site.app) as heard, pytest.raises(TypeError):
        site.socketio.emit("x", object())
    assert heard == []


@pytest.mark.parametrize("name", signals.__all__)
def test_without_receivers_nothing_is_sent(
    site: Site, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal nobody listens to is not even asked to send."""
    signal = getattr(signals, name)
    sent: list[Callable[..., Any]] = []
    monkeypatch.setattr(signal, "send", lambda *args, **kwargs: sent.append(args))
    client, _ = site.joined()
    site.run(client, lambda: emit("reply"))
    client.post("41")
    client.connect()
    assert sent == []
