"""allow_request, connection_error, initial_headers and headers: on HTTP, before any client."""

from __future__ import annotations

import logging
from typing import Any
from wsgiref.headers import Headers

import pytest

from flask_sio import ConnectionRefusedError, Server
from tests.live import Live, Runtime, plain
from tests.server.clients import ENDPOINT, Peer, Poller, connection
from tests.servers.raw import http

UPGRADE = (
    "Host: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
OPEN = f"{ENDPOINT}polling"


def upgrade(live: Live, more: str = "", path: str = f"{ENDPOINT}websocket") -> tuple[str, bytes]:
    """Ask for a WebSocket; return the status line and the body of the refusal."""
    reader = connection(live)
    reader.sock.sendall(f"GET {path} HTTP/1.1\r\n{more}{UPGRADE}".encode())
    line = reader.through(b"\r\n").decode().strip()
    _, _, body = _after_line(reader)
    reader.close()
    return line, body


def _after_line(reader: Any) -> tuple[int, dict[str, str], bytes]:
    reader.data = b"HTTP/1.1 000 \r\n" + reader.data
    response: tuple[int, dict[str, str], bytes] = reader.response()
    return response


def ask(live: Live, more: str = "") -> tuple[int, bytes]:
    """Open a session on polling; return status and body."""
    reader = connection(live)
    reader.sock.sendall(f"GET {OPEN} HTTP/1.1\r\nHost: 127.0.0.1\r\n{more}\r\n".encode())
    status, _, body = reader.response()
    reader.close()
    return status, body


# -- allow_request -----------------------------------------------------------------------


def answer(environ: dict[str, Any]) -> Any:
    """Do what the request's header X-Answer says."""
    return {
        "yes": True,
        "user": {"id": 7},
        "no": False,
        "nothing": None,
        "text": "come back later",
        "empty": "",
    }[environ["HTTP_X_ANSWER"]]


@pytest.mark.parametrize("allowed", ["yes", "user"])
def test_what_is_true_lets_a_client_come(runtime: Runtime, allowed: str) -> None:
    """It is asked at the handshake, on polling and on WebSocket."""
    server = Server(allow_request=answer)
    with plain(runtime, server) as live:
        status, body = ask(live, f"X-Answer: {allowed}\r\n")
        assert (status, body[:1]) == (200, b"0")
        reader = connection(live)
        head = f"GET {ENDPOINT}websocket HTTP/1.1\r\nX-Answer: {allowed}\r\n{UPGRADE}"
        reader.sock.sendall(head.encode())
        assert reader.through(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
        reader.close()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("no", b"Forbidden"),
        ("nothing", b"Forbidden"),
        ("empty", b"Forbidden"),
        ("text", b"come back later"),
    ],
)
def test_what_is_false_or_a_text_refuses(runtime: Runtime, given: str, message: bytes) -> None:
    """With 403 and the text, on either transport, and no session is made."""
    server = Server(allow_request=answer)
    with plain(runtime, server) as live:
        status, body = ask(live, f"X-Answer: {given}\r\n")
        assert (status, body) == (403, b'{"code":4,"message":"' + message + b'"}')
        assert upgrade(live, f"X-Answer: {given}\r\n") == ("HTTP/1.1 403 Forbidden", message)
        assert server.engine.connections == {}


def test_its_refusals_and_failures(runtime: Runtime, caplog: pytest.LogCaptureFixture) -> None:
    """ConnectionRefusedError gives the text; another exception refuses and is logged once."""
    errors: list[Exception] = [
        ConnectionRefusedError("too many of you"),
        ConnectionRefusedError(),
        LookupError("secret"),
        LookupError("secret"),
    ]

    def fail(environ: dict[str, Any]) -> bool:
        raise errors.pop(0)

    server = Server(allow_request=fail)
    with plain(runtime, server) as live:
        assert ask(live) == (403, b'{"code":4,"message":"too many of you"}')
        assert ask(live) == (403, b'{"code":4,"message":"Forbidden"}')
        assert ask(live) == (403, b'{"code":4,"message":"Forbidden"}')
        assert ask(live) == (403, b'{"code":4,"message":"Forbidden"}')
    records = [each for each in caplog.records if each.name == "flask_sio.engine"]
    assert [each.levelno for each in records] == [logging.ERROR]
    assert "allow_request failed, which refuses: LookupError('secret')" in records[0].getMessage()


def test_it_is_asked_once_per_client_and_after_the_gate(runtime: Runtime) -> None:
    """Neither for polls, posts and upgrades of a session, nor for what is refused anyway."""
    asked: list[str] = []

    def allow(environ: dict[str, Any]) -> bool:
        asked.append(environ["QUERY_STRING"])
        return True

    server = Server(allow_request=allow)
    with plain(runtime, server) as live:
        poller = Poller(live)
        poller.leave()
        assert http(live, "GET", "/socket.io/?EIO=4&transport=pigeon")[0] == 400
        assert http(live, "POST", OPEN, b"40")[0] == 400
    assert asked == ["EIO=4&transport=polling"]


# -- connection_error --------------------------------------------------------------------


def test_connection_error_has_code_message_context_environ(runtime: Runtime) -> None:
    """Each refusal of the gate is told, with Engine.IO's code."""
    server = Server(allow_request=lambda environ: "not today")
    told: list[Any] = []
    server.on_connection_error(told.append)
    with plain(runtime, server) as live:
        http(live, "GET", "/socket.io/?EIO=4&transport=pigeon")
        http(live, "GET", f"{OPEN}&sid=aaaaaaaaaaaaaaaaaaaa")
        http(live, "POST", OPEN, b"40")
        http(live, "GET", f"{ENDPOINT}websocket")
        ask(live, "Origin: https://evil.example\r\n")
        http(live, "GET", "/socket.io/?EIO=2&transport=polling")
        ask(live)
        upgrade(live)
    assert [(each.code, each.message.split(":")[0], each.context) for each in told] == [
        (0, "Transport unknown", {"transport": "pigeon"}),
        (1, "Session ID unknown", {}),
        (2, "Bad handshake method", {"method": "POST"}),
        (3, "Bad request", {"name": "TRANSPORT_HANDSHAKE_ERROR"}),
        (4, "Forbidden", {"name": "INVALID_ORIGIN", "origin": "https://evil.example"}),
        (5, "Unsupported protocol version", {"protocol": "2"}),
        (4, "not today", {"name": "ALLOW_REQUEST"}),
        (4, "not today", {"name": "ALLOW_REQUEST"}),
    ]
    assert told[-1].environ["HTTP_UPGRADE"] == "websocket"


def test_connection_error_of_a_failing_handshake(runtime: Runtime) -> None:
    """What fails after the gate is told too: no id, no WebSocket handshake."""
    server = Server(generate_id=lambda: "short")
    told: list[Any] = []
    server.on_connection_error(told.append)
    with plain(runtime, server) as live:
        assert ask(live)[0] == 400
        assert upgrade(live)[0] == "HTTP/1.1 400 Bad Request"
    assert [(each.code, each.context) for each in told] == [
        (3, {"name": "ID_GENERATION_ERROR"}),
        (3, {"name": "ID_GENERATION_ERROR"}),
    ]


def test_a_failing_hook_changes_no_answer(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    """What it raises is logged once; the others run."""
    server = Server()
    told: list[int] = []

    @server.on_connection_error
    def fail(failure: Any) -> None:
        raise LookupError("of no use")

    @server.on_connection_error
    def note(failure: Any) -> None:
        told.append(failure.code)

    with plain(runtime, server) as live:
        for _ in range(2):
            status, _, body = http(live, "GET", "/socket.io/?EIO=4&transport=pigeon")
            assert (status, body) == (400, b'{"code":0,"message":"Transport unknown"}')
    assert told == [0, 0]
    assert caplog.text.count("a connection_error hook failed: LookupError('of no use')") == 1


# -- headers -----------------------------------------------------------------------------


def test_headers_on_polling(runtime: Runtime) -> None:
    """initial_headers are on the handshake's answer, headers on every good one."""
    server = Server()

    @server.on_initial_headers
    def first(headers: Headers, environ: dict[str, Any]) -> None:
        headers["X-First"] = environ["QUERY_STRING"]

    @server.on_headers
    def always(headers: Headers, environ: dict[str, Any]) -> None:
        headers["X-Method"] = environ["REQUEST_METHOD"]
        headers["cache-control"] = "private"

    with plain(runtime, server) as live:
        status, headers, body = http(live, "GET", OPEN)
        assert (headers["x-first"], headers["x-method"]) == ("EIO=4&transport=polling", "GET")
        assert headers["cache-control"] == "private"
        sid = body.decode().split('"')[3]
        status, headers, _ = http(live, "POST", f"{OPEN}&sid={sid}", b"40")
        assert (status, headers["x-method"]) == (200, "POST")
        assert "x-first" not in headers
        status, headers, _ = http(live, "GET", f"{OPEN}&sid={sid}")
        assert (status, headers["x-method"]) == (200, "GET")
        assert "x-first" not in headers
        _, headers, _ = http(live, "GET", f"{OPEN}&sid=aaaaaaaaaaaaaaaaaaaa")
        assert "x-method" not in headers
        assert http(live, "POST", f"{OPEN}&sid={sid}", b"1")[0] == 200


def test_headers_of_a_poll_that_is_held(runtime: Runtime) -> None:
    """They are on an answer that is written long after its request came."""
    server = Server()

    @server.on_headers
    def always(headers: Headers, environ: dict[str, Any]) -> None:
        headers["X-Query"] = environ["QUERY_STRING"][:5]

    with plain(runtime, server) as live:
        poller = Poller(live)
        reader = poller.park()
        live.until(
            lambda: any(
                each.polling is not None and each.polling.held
                for each in server.engine.connections.values()
            )
        )
        server.emit("late")
        status, headers, body = reader.response()
        reader.close()
        assert (status, headers["x-query"], body) == (200, "EIO=4", b'42["late"]')
        poller.leave()


def test_headers_on_the_101(runtime: Runtime) -> None:
    """A WebSocket that comes first has both, one of a session only headers."""
    server = Server()

    @server.on_initial_headers
    def first(headers: Headers, environ: dict[str, Any]) -> None:
        headers.add_header("Set-Cookie", "a=1")
        headers.add_header("Set-Cookie", "b=2")

    @server.on_headers
    def always(headers: Headers, environ: dict[str, Any]) -> None:
        headers["X-Always"] = "yes"

    with plain(runtime, server) as live:
        peer = Peer(live)
        lines = peer.head.decode().split("\r\n")
        assert [line for line in lines if line.startswith(("Set-", "X-"))] == [
            "Set-Cookie: a=1",
            "Set-Cookie: b=2",
            "X-Always: yes",
        ]
        peer.leave()
        poller = Poller(live)
        sid = poller.path.rpartition("=")[2]
        reader = connection(live)
        request = f"GET {ENDPOINT}websocket&sid={sid} HTTP/1.1\r\n{UPGRADE}"
        reader.sock.sendall(request.encode())
        head = reader.through(b"\r\n\r\n").decode()
        assert "X-Always: yes\r\n" in head
        assert "Set-Cookie" not in head
        reader.close()
        poller.leave()


def test_headers_that_would_break_an_answer(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    """Line breaks, bad names and those of the transport are left out; the others stay."""
    server = Server()

    @server.on_headers
    def bad(headers: Headers, environ: dict[str, Any]) -> None:
        headers["X-Good"] = "1"
        headers["X-Split"] = "a\r\nX-Evil: 1"
        headers["X Space"] = "1"
        headers["X-Wide"] = "\u20ac"
        headers["Content-Length"] = "0"
        headers["Sec-WebSocket-Accept"] = "x"
        headers["Upgrade"] = "x"

    @server.on_headers
    def fail(headers: Headers, environ: dict[str, Any]) -> None:
        headers["X-Lost"] = "1"
        raise LookupError("of no use")

    with plain(runtime, server) as live:
        status, headers, body = http(live, "GET", OPEN)
        assert (status, headers["x-good"], body[:1]) == (200, "1", b"0")
        assert not {"x-split", "x-evil", "x space", "x-wide", "x-lost", "upgrade"} & headers.keys()
        peer = Peer(live)
        assert b"X-Good: 1\r\n" in peer.head
        assert b"Evil" not in peer.head
        assert peer.head.count(b"Sec-WebSocket-Accept") == 1
        peer.leave()
    assert caplog.text.count("a headers hook failed: LookupError('of no use')") == 1
    assert caplog.text.count("was left out (said once)") == 1
