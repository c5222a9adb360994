"""The table of refusals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_sio.engine.cors import CorsPolicy
from flask_sio.engine.gate import EngineRequest, Refusal, check, matches


@dataclass
class Options:
    """What the gate reads."""

    cors: CorsPolicy
    transports: tuple[str, ...] = ("polling", "websocket")
    revisions: tuple[str, ...] = ("4",)
    jsonp: bool = False


@dataclass
class Connection:
    """What the gate reads of a connection."""

    transport_name: str
    revision: str = "4"


SESSIONS = {
    "poll": Connection("polling"),
    "sock": Connection("websocket"),
    "old": Connection("polling", "3"),
}
OPTIONS = Options(CorsPolicy("https://ok.com"))
NO_JSONP = "JSONP polling is off; it needs jsonp=True on the server"
BOTH = Options(CorsPolicy("https://ok.com"), revisions=("3", "4"))
JSONP = Options(CorsPolicy("https://ok.com"), revisions=("3", "4"), jsonp=True)
BAD = "https://bad.com"

UNKNOWN = Refusal(0, "", "Transport unknown")
NO_SESSION = Refusal(1, "", "Session ID unknown")
METHOD = Refusal(2, "", "Bad handshake method")
CHARACTERS = Refusal(3, "INVALID_ORIGIN", "Bad request")
MISMATCH = Refusal(3, "TRANSPORT_MISMATCH", "Bad request")
REVISION = Refusal(3, "PROTOCOL_MISMATCH", "Bad request")
HANDSHAKE = Refusal(3, "TRANSPORT_HANDSHAKE_ERROR", "Bad request")
ORIGIN = Refusal(4, "INVALID_ORIGIN", "Forbidden")
VERSION = Refusal(
    5,
    "",
    "Unsupported protocol version: this client speaks no known revision of Engine.IO, this "
    "server revision 4 (socket.io-client 3 and 4); its requests need EIO=4",
)


def version(theirs: str, ours: str, todo: str) -> Refusal:
    """Give the refusal of a revision."""
    text = f"this client speaks {theirs}, this server {ours}; {todo}"
    return Refusal(5, "", f"Unsupported protocol version: {text}")


ONLY_4 = "revision 4 (socket.io-client 3 and 4)"
BOTH_3_AND_4 = "revisions 3 and 4 (socket.io-client 1 to 4)"
OLD = version(
    "Engine.IO revision 3 (socket.io-client 1 or 2)",
    ONLY_4,
    "update the client, or let the server have allow_eio3=True",
)


def ask(query: str, method: str = "GET", ws: bool = False, origin: str = "") -> EngineRequest:
    """Give a request."""
    environ = {"REQUEST_METHOD": method, "QUERY_STRING": query, "HTTP_HOST": "a.com"}
    if ws:
        environ |= {"HTTP_UPGRADE": "websocket", "HTTP_CONNECTION": "Upgrade"}
    if origin:
        environ["HTTP_ORIGIN"] = origin
    return EngineRequest.from_environ(environ)


@pytest.mark.parametrize(
    ("request_", "refusal"),
    [
        # accepted
        (ask("EIO=4&transport=polling"), None),
        (ask("EIO=4&transport=polling&sid="), None),
        (ask("EIO=4&transport=polling", origin="https://ok.com"), None),
        (ask("EIO=4&transport=websocket", ws=True), None),
        (ask("EIO=4&transport=polling&sid=poll"), None),
        (ask("EIO=4&transport=polling&sid=poll", "POST"), None),
        (ask("EIO=4&transport=polling&sid=poll", "PUT"), None),  # the caller's 405
        (ask("EIO=4&transport=polling&sid=poll", origin=BAD), None),
        (ask("EIO=4&transport=websocket&sid=poll", ws=True), None),
        (ask("EIO=4&transport=websocket&sid=sock", ws=True), None),  # 101, then closed
        (ask("EIO=4&transport=polling&transport=websocket", ws=True), None),
        # 0: transport
        (ask("EIO=4"), UNKNOWN),
        (ask("EIO=4&transport="), UNKNOWN),
        (ask("EIO=4&transport=Polling"), UNKNOWN),
        (ask("EIO=4&transport=__proto__"), UNKNOWN),
        (ask("EIO=4&transport=webtransport"), UNKNOWN),
        (ask("EIO=4&transport=websocket&transport=tobi", ws=True), UNKNOWN),
        (ask("transport=tobi&sid=nobody", "PUT", origin="\x01"), UNKNOWN),
        (ask(""), UNKNOWN),
        # 3: illegal origin, before the session
        (ask("EIO=4&transport=polling", origin="https://a\x01"), CHARACTERS),
        (ask("EIO=4&transport=polling", origin="https://\u20ac.com"), CHARACTERS),
        (ask("EIO=4&transport=polling&sid=nobody", origin="a\nb"), CHARACTERS),
        # 1: session
        (ask("EIO=4&transport=polling&sid=nobody"), NO_SESSION),
        (ask("EIO=4&transport=polling&sid=nobody", "PUT"), NO_SESSION),
        (ask("EIO=4&transport=websocket&sid=nobody", ws=True), NO_SESSION),
        (ask("EIO=4&transport=polling&sid=nobody", ws=True), NO_SESSION),
        (ask("EIO=3&transport=websocket&sid=nobody"), NO_SESSION),
        (ask("EIO=4&transport=polling&sid=nobody", origin=BAD), NO_SESSION),
        (ask("EIO=4&transport=polling&sid=a%0Ab"), NO_SESSION),
        (ask("EIO=4&transport=polling&sid=" + "x" * 65), NO_SESSION),
        # 3: transport and revision of a session
        (ask("EIO=4&transport=polling&sid=sock"), MISMATCH),
        (ask("EIO=4&transport=polling&sid=sock", "POST"), MISMATCH),
        (ask("EIO=4&transport=websocket&sid=poll"), MISMATCH),
        (ask("EIO=4&transport=websocket&sid=poll", "POST", ws=True), MISMATCH),
        (ask("EIO=3&transport=polling&sid=sock"), MISMATCH),
        (ask("EIO=4&transport=polling&sid=poll", ws=True), MISMATCH),
        (ask("EIO=4&transport=polling", ws=True), MISMATCH),
        (ask("EIO=3&transport=polling&sid=poll"), REVISION),
        (ask("transport=polling&sid=poll", "POST"), REVISION),
        (ask("EIO=3&transport=websocket&sid=poll", ws=True), REVISION),
        # 3: websocket without an upgrade
        (ask("EIO=4&transport=websocket&sid=sock"), HANDSHAKE),
        (ask("EIO=4&transport=websocket"), HANDSHAKE),
        (ask("EIO=3&transport=websocket", origin=BAD), HANDSHAKE),
        # 2: method of a handshake
        (ask("EIO=4&transport=polling", "POST"), METHOD),
        (ask("EIO=4&transport=polling", "HEAD"), METHOD),
        (ask("EIO=4&transport=polling", "OPTIONS"), METHOD),
        (ask("EIO=4&transport=polling", ""), METHOD),
        (ask("EIO=3&transport=websocket", "PUT", origin=BAD), METHOD),
        (ask("EIO=4&transport=websocket", "POST", ws=True), METHOD),
        # 4: origin, of handshakes and upgrades
        (ask("EIO=4&transport=polling", origin=BAD), ORIGIN),
        (ask("EIO=4&transport=polling", origin="null"), ORIGIN),
        (ask("EIO=4&transport=websocket", ws=True, origin=BAD), ORIGIN),
        (ask("EIO=4&transport=websocket&sid=poll", ws=True, origin=BAD), ORIGIN),
        (ask("EIO=3&transport=polling", origin=BAD), ORIGIN),
        # 5: revision of a handshake
        (ask("transport=polling"), VERSION),
        (ask("EIO=&transport=polling"), VERSION),
        (ask("EIO=3&transport=polling"), OLD),
        (
            ask("EIO=5&transport=polling"),
            version("Engine.IO revision 5", ONLY_4, "use socket.io-client 4"),
        ),
        (ask("EIO=abc&transport=polling"), VERSION),
        (ask("EIO=4444&transport=polling"), VERSION),
        (ask("EIO=4&EIO=3&transport=polling"), OLD),
        (ask("EIO=abc&transport=websocket", ws=True), VERSION),
    ],
)
def test_first_failure_wins(request_: EngineRequest, refusal: Refusal | None) -> None:
    """The first rule that applies gives the code and the context."""
    assert check(request_, SESSIONS.get, OPTIONS) == refusal


@pytest.mark.parametrize(
    ("request_", "refusal"),
    [
        (ask("EIO=3&transport=polling"), None),
        (ask("EIO=4&transport=polling"), None),
        (ask("EIO=3&transport=websocket", ws=True), None),
        (ask("EIO=3&transport=polling&sid=old"), None),
        (ask("EIO=3&transport=websocket&sid=old", ws=True), None),
        (ask("EIO=4&transport=polling&sid=old"), REVISION),
        (ask("EIO=3&transport=polling&sid=poll"), REVISION),
        (ask("EIO=3&transport=polling", origin=BAD), ORIGIN),
        (
            ask("EIO=2&transport=polling"),
            version("Engine.IO revision 2", BOTH_3_AND_4, "use socket.io-client 4"),
        ),
        (ask("EIO=3&transport=polling&j=0"), Refusal(3, "JSONP_OFF", NO_JSONP)),
        (ask("EIO=3&transport=polling&j="), Refusal(3, "JSONP_OFF", NO_JSONP)),
        # Revision 4 has none: there it is a parameter of the application's.
        (ask("EIO=4&transport=polling&j=0"), None),
        # What decides is the handshake.
        (ask("EIO=3&transport=polling&j=0&sid=old"), None),
    ],
)
def test_both_revisions_are_served(request_: EngineRequest, refusal: Refusal | None) -> None:
    """Each session keeps to its own revision, and others are told which there are."""
    assert check(request_, SESSIONS.get, BOTH) == refusal


def test_jsonp_is_served_where_it_is_wanted() -> None:
    """Polling only: a WebSocket needs no script tag."""
    assert check(ask("EIO=3&transport=polling&j=0"), SESSIONS.get, JSONP) is None
    assert check(ask("EIO=3&transport=websocket&j=0", ws=True), SESSIONS.get, BOTH) is None


@pytest.mark.parametrize(
    ("headers", "refusal"),
    [
        ({}, None),  # nothing tells
        ({"HTTP_REFERER": "https://ok.com/page?x"}, None),
        ({"HTTP_REFERER": "https://ok.com"}, None),
        ({"HTTP_REFERER": "https://bad.com/https://ok.com/"}, ORIGIN),
        ({"HTTP_REFERER": "https://ok.com@bad.com/"}, ORIGIN),
        ({"HTTP_REFERER": "https://ok.com.bad.com/"}, ORIGIN),
        ({"HTTP_SEC_FETCH_SITE": "cross-site"}, ORIGIN),
        ({"HTTP_SEC_FETCH_SITE": "same-site"}, ORIGIN),
        ({"HTTP_SEC_FETCH_SITE": "same-origin"}, None),
        ({"HTTP_SEC_FETCH_SITE": "none"}, None),
        ({"HTTP_SEC_FETCH_SITE": "cross-site", "HTTP_REFERER": "https://ok.com/"}, None),
    ],
)
def test_a_script_tag_is_of_a_page_too(headers: dict[str, str], refusal: Refusal | None) -> None:
    """It sends no ``Origin``; browsers tell otherwise, and only JSONP is judged by that."""
    for query, due in (("EIO=3&transport=polling&j=0", refusal), ("EIO=4&transport=polling", None)):
        environ = {"REQUEST_METHOD": "GET", "QUERY_STRING": query, **headers}
        assert check(EngineRequest.from_environ(environ), SESSIONS.get, JSONP) == due


@pytest.mark.parametrize(
    ("path", "query", "refusal"),
    [
        ("/socket.io/1/", "t=1355", version("Socket.IO 0.9", ONLY_4, "use socket.io-client 4")),
        ("/socket.io/1/", "EIO=4", UNKNOWN),
        ("/socket.io/", "t=1355", UNKNOWN),
    ],
)
def test_a_client_of_before_engine_io_is_told(path: str, query: str, refusal: Refusal) -> None:
    """Socket.IO 0.9 asks at another path, with no transport yet."""
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": query}
    assert check(EngineRequest.from_environ(environ), SESSIONS.get, OPTIONS) == refusal


@pytest.mark.parametrize(
    ("transports", "query", "ws"),
    [
        (("polling",), "EIO=4&transport=websocket", True),
        (("polling",), "EIO=4&transport=websocket&sid=poll", True),
        (("websocket",), "EIO=4&transport=polling", False),
    ],
)
def test_disabled_transports_are_unknown(transports: Any, query: str, ws: bool) -> None:
    """A transport that is switched off is as unknown as any."""
    assert check(ask(query, ws=ws), SESSIONS.get, Options(CorsPolicy(), transports)) == UNKNOWN


@pytest.mark.parametrize("sid", ["a b", "a/b", "é", "x" * 65, "a\x00", "../x", "a\n"])
def test_odd_sids_are_never_looked_up(sid: str) -> None:
    """Text that cannot be a sid does not reach the table of sessions."""
    request = ask("EIO=4&transport=polling")
    request.sid = sid
    asked: list[str] = []
    assert check(request, lambda key: asked.append(key), OPTIONS) == NO_SESSION
    assert asked == []


@pytest.mark.parametrize(
    ("method", "upgrade", "is_upgrade"),
    [
        ("GET", "websocket", True),
        ("get", "WebSocket", True),
        ("GET", "h2c, websocket", True),
        ("GET", "h2c", False),
        ("GET", "", False),
        ("GET", "websocket2", False),
        ("POST", "websocket", False),
    ],
)
def test_upgrades_are_recognised(method: str, upgrade: str, is_upgrade: bool) -> None:
    """Only a GET that names the websocket protocol is an upgrade."""
    environ = {"REQUEST_METHOD": method, "HTTP_UPGRADE": upgrade}
    assert EngineRequest.from_environ(environ).is_upgrade is is_upgrade


def test_request_holds_what_was_sent() -> None:
    """Every field comes from its place in the environ."""
    environ = {
        "REQUEST_METHOD": "POST",
        "QUERY_STRING": "EIO=4&transport=polling&sid=abc&t=x&user=J%C3%BCrgen",
        "HTTP_ORIGIN": "https://a.com",
    }
    request = EngineRequest.from_environ(environ)
    assert (request.method, request.transport, request.eio) == ("POST", "polling", "4")
    assert (request.sid, request.origin, request.is_upgrade) == ("abc", "https://a.com", False)
    assert request.query["user"] == "Jürgen"
    assert request.environ is environ


KEYS = ["REQUEST_METHOD", "QUERY_STRING", "HTTP_ORIGIN", "HTTP_UPGRADE", "HTTP_HOST", "REMOTE_ADDR"]


@given(st.dictionaries(st.sampled_from(KEYS), st.text()))
def test_any_environ_is_survived(environ: dict[str, Any]) -> None:
    """No request raises on its way through the gate."""
    options = Options(CorsPolicy(None, True, ["10.0.0.0/8"]))
    check(EngineRequest.from_environ(environ), SESSIONS.get, options)


@given(st.dictionaries(st.sampled_from(KEYS), st.one_of(st.none(), st.binary(), st.integers())))
def test_odd_types_are_survived(environ: dict[str, Any]) -> None:
    """An environ with values of the wrong type is read as an empty one."""
    request = EngineRequest.from_environ(environ)
    assert (request.method, request.sid, request.origin) == ("", "", "")


@pytest.mark.parametrize(
    ("path_info", "path", "expected"),
    [
        ("/socket.io", "socket.io", True),
        ("/socket.io/", "socket.io", True),
        ("/socket.io/socket.io.js", "socket.io", True),
        ("/socket.io//", "socket.io", True),
        ("/socket.iox", "socket.io", False),
        ("/socket.io.js", "socket.io", False),
        ("/socketXio/", "socket.io", False),
        ("/socket.i", "socket.io", False),
        ("/x/socket.io/", "socket.io", False),
        ("//socket.io/", "socket.io", False),
        ("socket.io/", "socket.io", False),
        ("xsocket.io/", "socket.io", False),
        ("/", "socket.io", False),
        ("", "socket.io", False),
        ("/a/b/", "a/b", True),
        ("/a/bc", "a/b", False),
        ("/caf\xc3\xa9/", "café", True),
        ("/caf\xc3\xa9s", "café", False),
    ],
)
def test_path_matches_on_a_segment(path_info: str, path: str, expected: bool) -> None:
    """The endpoint is its path with or without a slash and what is below, nothing else."""
    assert matches(path_info, path) is expected
