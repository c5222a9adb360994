"""Requests that are refused before they reach a session (protocol sheet 1.3 to 1.7)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.live import Runtime
from tests.raw_more import Answer, Frames, Poller, ask, request, upgrade_request
from tests.server.desk import Desk, engine
from tests.servers.raw import ENDPOINT

TRANSPORT_UNKNOWN = b'{"code":0,"message":"Transport unknown"}'
SID_UNKNOWN = b'{"code":1,"message":"Session ID unknown"}'
BAD_METHOD = b'{"code":2,"message":"Bad handshake method"}'
BAD_REQUEST = b'{"code":3,"message":"Bad request"}'
FORBIDDEN = b'{"code":4,"message":"Forbidden"}'
WHICH = (
    b"Unsupported protocol version: this client speaks %b, "
    b"this server revisions 3 and 4 (socket.io-client 1 to 4); %b"
)
NO_REVISION = WHICH % (b"no known revision of Engine.IO", b"its requests need EIO=4")
REVISION_2 = WHICH % (b"Engine.IO revision 2", b"use socket.io-client 4")
NOBODY = "AAAAAAAAAAAAAAAAAAAA"
EVIL = {"Origin": "https://evil.example"}


@pytest.fixture
def desk(runtime: Runtime) -> Iterator[Desk]:
    with engine(runtime) as desk:
        yield desk


@pytest.fixture
def poller(desk: Desk) -> Iterator[Poller]:
    """A session that must be unharmed at the end."""
    poller = desk.poller()
    yield poller
    assert poller.post(b"4unharmed") == (200, b"ok")
    assert poller.get() == (200, b"4unharmed")
    poller.leave()


@pytest.fixture
def ws(desk: Desk) -> Iterator[Frames]:
    """A session on a WebSocket that must be unharmed at the end."""
    ws = desk.ws()
    yield ws
    ws.send("4unharmed")
    assert ws.text() == "4unharmed"
    ws.leave()


def refused(answer: Answer, status: int, body: bytes) -> None:
    """Check a refusal of a plain request."""
    assert (answer.status, answer.body) == (status, body)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"


# -- plain requests without a session ------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "query", "body"),
    [
        ("GET", "", TRANSPORT_UNKNOWN),
        ("GET", "EIO=4", TRANSPORT_UNKNOWN),
        ("GET", "EIO=4&transport=", TRANSPORT_UNKNOWN),
        ("GET", "EIO=4&transport=Polling", TRANSPORT_UNKNOWN),
        ("GET", "EIO=4&transport=webtransport", TRANSPORT_UNKNOWN),
        ("GET", "EIO=4&transport=__proto__", TRANSPORT_UNKNOWN),
        ("GET", "EIO=4&transport=polling&transport=x", TRANSPORT_UNKNOWN),
        ("GET", f"EIO=4&transport=x&sid={NOBODY}", TRANSPORT_UNKNOWN),
        ("GET", f"EIO=4&transport=polling&sid={NOBODY}", SID_UNKNOWN),
        ("POST", f"EIO=4&transport=polling&sid={NOBODY}", SID_UNKNOWN),
        ("GET", f"EIO=3&transport=polling&sid={NOBODY}", SID_UNKNOWN),
        ("GET", f"EIO=4&transport=websocket&sid={NOBODY}", SID_UNKNOWN),
        ("GET", "EIO=4&transport=polling&sid=%00", SID_UNKNOWN),
        ("GET", "EIO=4&transport=polling&sid=%F0%9F%98%80", SID_UNKNOWN),
        ("GET", "EIO=4&transport=polling&sid=" + 5000 * "A", SID_UNKNOWN),
        ("POST", "EIO=4&transport=polling", BAD_METHOD),
        ("PUT", "EIO=4&transport=polling", BAD_METHOD),
        ("DELETE", "EIO=4&transport=polling&sid=", BAD_METHOD),
        ("POST", "EIO=3&transport=polling", BAD_METHOD),
        ("GET", "EIO=4&transport=websocket", BAD_REQUEST),
        ("GET", "transport=polling", b'{"code":5,"message":"%b"}' % NO_REVISION),
        ("GET", "EIO=2&transport=polling", b'{"code":5,"message":"%b"}' % REVISION_2),
        ("GET", "EIO=%22%3C&transport=polling", b'{"code":5,"message":"%b"}' % NO_REVISION),
        ("GET", "EIO=4&EIO=2&transport=polling", b'{"code":5,"message":"%b"}' % REVISION_2),
    ],
)
def test_the_first_fault_of_a_request_is_told(
    desk: Desk, method: str, query: str, body: bytes
) -> None:
    """Code and text, in the order of the reference's checks."""
    refused(ask(desk, request(method, f"/socket.io/?{query}")), 400, body)


@pytest.mark.parametrize(
    ("origin", "status", "body"),
    [
        ("https://evil.example", 403, FORBIDDEN),
        ("null", 403, FORBIDDEN),
        ("http://127.0.0.1.evil.example", 403, FORBIDDEN),
        ("http://a\x01b", 400, BAD_REQUEST),
    ],
)
def test_a_foreign_origin_is_refused(desk: Desk, origin: str, status: int, body: bytes) -> None:
    """It is refused before the revision is looked at, and its name is not repeated."""
    for eio in (4, 3):
        data = request("GET", f"/socket.io/?EIO={eio}&transport=polling", {"Origin": origin})
        refused(ask(desk, data), status, body)


@pytest.mark.parametrize("query", ["&sid=", "&t=1&t=2", "&transport=x&transport=polling", "&%zz=%"])
def test_what_is_odd_but_no_fault_opens_a_session(desk: Desk, query: str) -> None:
    """An empty sid asks for a new session; of a repeated name the last counts."""
    desk.poller(query).leave()


def test_a_sid_of_the_clients_choice_is_never_adopted(desk: Desk) -> None:
    """A refused sid opens nothing."""
    path = f"{ENDPOINT}polling&sid={NOBODY}"
    assert ask(desk, request("GET", path)).status == 400
    assert ask(desk, upgrade_request(f"{ENDPOINT}websocket&sid={NOBODY}")).status == 400
    assert ask(desk, request("GET", path)).status == 400
    assert desk.engine.connections == {}


def test_a_failing_id_generator_refuses_the_client(runtime: Runtime) -> None:
    """It is the server's fault, and code 3 on either transport."""

    def broken() -> str:
        if not works:
            raise RuntimeError("no entropy")
        return "BBBBBBBBBBBBBB"

    works: list[bool] = []
    with engine(runtime, generate_id=broken) as desk:
        refused(ask(desk, request("GET", f"{ENDPOINT}polling")), 400, BAD_REQUEST)
        answer = ask(desk, upgrade_request(f"{ENDPOINT}websocket"))
        assert (answer.status, answer.body) == (400, b"Bad request")
        works.append(True)
        poller = desk.poller()
        assert poller.sid.endswith("BBBBBBBBBBBBBB")
        poller.leave()


def test_a_full_server_says_so(runtime: Runtime) -> None:
    """With 503 on either transport, and only until somebody leaves."""
    with engine(runtime, max_connections=1) as desk:
        first = desk.poller()
        for data in (
            request("GET", f"{ENDPOINT}polling"),
            upgrade_request(f"{ENDPOINT}websocket"),
        ):
            answer = ask(desk, data)
            assert (answer.status, answer.body) == (503, b"")
        assert first.post(b"4x") == (200, b"ok")
        first.leave()
        desk.poller().leave()


# -- plain requests of a session -----------------------------------------------------------


@pytest.mark.parametrize(
    "query", ["EIO=4&transport=websocket", "EIO=3&transport=polling", "transport=polling"]
)
def test_a_request_that_does_not_fit_its_session_is_refused(
    desk: Desk, poller: Poller, query: str
) -> None:
    """Another transport or revision: code 3, and the session goes on."""
    for method in ("GET", "POST"):
        data = request(method, f"/socket.io/?{query}&sid={poller.sid}", body=b"")
        refused(ask(desk, data), 400, BAD_REQUEST)


@pytest.mark.parametrize(
    ("method", "transport"), [("GET", "polling"), ("POST", "polling"), ("GET", "websocket")]
)
def test_polling_a_websocket_session_is_refused(
    desk: Desk, ws: Frames, method: str, transport: str
) -> None:
    """A plain GET must not hang, and the WebSocket goes on."""
    refused(ask(desk, request(method, f"{ENDPOINT}{transport}&sid={ws.sid}")), 400, BAD_REQUEST)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD", "BREW"])
def test_other_methods_consume_nothing_of_a_session(
    desk: Desk, poller: Poller, method: str
) -> None:
    """They answer 405 and leave what is queued for the next GET."""
    assert poller.post(b"4queued") == (200, b"ok")
    peer = desk.peer(request(method, poller.path, {"Connection": "close"}))
    head, _, body = peer.rest().decode().partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 405 "), head
    assert "\r\nAllow: GET, POST, OPTIONS" in head
    assert body == ""
    assert poller.get() == (200, b"4queued")


def test_a_preflight_touches_no_session(desk: Desk, poller: Poller) -> None:
    """OPTIONS answers 204 with and without a sid, and tells a foreign page nothing."""
    for path in (poller.path, f"{ENDPOINT}polling"):
        answer = ask(desk, request("OPTIONS", path, EVIL))
        assert (answer.status, answer.body) == (204, b"")
        assert "access-control-allow-origin" not in answer.headers


def test_every_answer_to_an_allowed_origin_says_so(runtime: Runtime) -> None:
    """Also refusals, or browsers would hide their text, and the 101."""
    origin = {"Origin": "https://page.example"}
    with engine(runtime, cors_allowed_origins=["https://page.example"]) as desk:
        poller = desk.poller()
        for data in (
            request("GET", f"{ENDPOINT}x", origin),
            request("OPTIONS", f"{ENDPOINT}polling", origin),
            request("POST", poller.path, origin, b"4x"),
            request("GET", poller.path, origin),
            request("PUT", poller.path, origin),
        ):
            headers = ask(desk, data).headers
            assert headers["access-control-allow-origin"] == "https://page.example"
            assert headers["access-control-allow-credentials"] == "true"
        poller.leave()
        peer = desk.peer(upgrade_request(f"{ENDPOINT}websocket", origin))
        head = peer.through(b"\r\n\r\n")
        assert b"\r\nAccess-Control-Allow-Origin: https://page.example\r\n" in head


def test_the_affinity_cookie_comes_with_the_polling_handshake_only(runtime: Runtime) -> None:
    """Not with a poll, nor with a WebSocket from the first byte."""
    with engine(runtime, cookie="io") as desk:
        poller = desk.poller()
        cookie = poller.handshake.headers["set-cookie"]
        assert cookie == f"io={poller.sid}; Path=/; HttpOnly; SameSite=Lax"
        assert poller.post(b"4x") == (200, b"ok")
        assert "set-cookie" not in poller.ask("GET").headers
        poller.leave()
        assert "set-cookie" not in desk.ws().head.lower()


# -- WebSocket requests --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("EIO=4&transport=x", b"Transport unknown"),
        ("EIO=4", b"Transport unknown"),
        (f"EIO=4&transport=websocket&sid={NOBODY}", b"Session ID unknown"),
        ("EIO=4&transport=polling", b"Bad request"),
        ("transport=websocket", NO_REVISION),
        ("EIO=2&transport=websocket", REVISION_2),
    ],
)
def test_a_refused_upgrade_is_told_in_plain_text(desk: Desk, query: str, body: bytes) -> None:
    """Always 400, and before any 101."""
    answer = ask(desk, upgrade_request(f"/socket.io/?{query}"))
    assert (answer.status, answer.body) == (400, body)
    assert answer.headers["content-type"] == "text/plain; charset=UTF-8"


def test_an_upgrade_from_a_foreign_page_is_refused(desk: Desk, poller: Poller) -> None:
    """For a new session and for an existing one alike, with 400."""
    for path in (f"{ENDPOINT}websocket", f"{ENDPOINT}websocket&sid={poller.sid}"):
        answer = ask(desk, upgrade_request(path, EVIL))
        assert (answer.status, answer.body) == (400, b"Forbidden")


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-WebSocket-Key": None},
        {"Sec-WebSocket-Key": ""},
        {"Sec-WebSocket-Key": "dGhlIHNhbXBsZQ=="},
        {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ"},
        {"Sec-WebSocket-Key": "************************"},
        {"Connection": None},
        {"Connection": "keep-alive"},
    ],
)
def test_a_bad_opening_handshake_is_refused(
    desk: Desk, poller: Poller, headers: dict[str, str | None]
) -> None:
    """What is no WebSocket request of RFC 6455 gets 400, and the session stays."""
    for path in (f"{ENDPOINT}websocket", f"{ENDPOINT}websocket&sid={poller.sid}"):
        answer = ask(desk, upgrade_request(path, headers))
        assert (answer.status, answer.body) == (400, b"Bad request")


@pytest.mark.parametrize("version", [None, "8", "12", "014", "13, 13"])
def test_another_websocket_version_is_refused(desk: Desk, version: str | None) -> None:
    """The answer names the version that would do."""
    data = upgrade_request(f"{ENDPOINT}websocket", {"Sec-WebSocket-Version": version})
    answer = ask(desk, data)
    assert answer.status == 400
    assert answer.headers["sec-websocket-version"] == "13"
    assert "upgrade" not in answer.headers  # hop-by-hop: wsgiref would answer 500


def test_an_upgrade_by_http_1_0_is_refused_with_advice(desk: Desk) -> None:
    """Where a proxy speaks HTTP/1.0, the answer has the line to add to it."""
    data = upgrade_request(f"{ENDPOINT}websocket").replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    answer = ask(desk, data)
    assert answer.status == 400
    assert b"proxy_http_version 1.1;" in answer.body


@pytest.mark.parametrize(
    ("method", "headers", "body"),
    [
        ("POST", {}, BAD_METHOD),
        ("GET", {"Upgrade": "h2c"}, BAD_REQUEST),
        ("GET", {"Upgrade": None}, BAD_REQUEST),
    ],
)
def test_what_only_looks_like_an_upgrade_is_no_upgrade(
    desk: Desk, method: str, headers: dict[str, str | None], body: bytes
) -> None:
    """Another method or another protocol is a plain request."""
    data = upgrade_request(f"{ENDPOINT}websocket", headers).replace(b"GET", method.encode(), 1)
    refused(ask(desk, data), 400, body)


@pytest.mark.parametrize(
    "data",
    [
        b"\x81\x85\x00\x00\x00\x00hello\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET\r\n\r\n",
        b"",
    ],
)
def test_bytes_that_are_no_http_open_nothing(desk: Desk, data: bytes) -> None:
    """The WSGI server sees to them; no session comes of it."""
    peer = desk.peer(data)
    peer.sock.shutdown(1)
    assert b" 101 " not in peer.rest()
    assert desk.engine.connections == {}
