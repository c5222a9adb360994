from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_sio.errors import HandshakeError
from flask_sio.protocol.ws_handshake import accept_key, check, response

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
GOOD = {
    "Host": "server.example.com",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
}


def test_the_accept_key_of_the_rfc() -> None:
    """RFC 6455 §1.3 works one key out."""
    assert accept_key(KEY) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_a_good_request_gives_its_accept_key() -> None:
    """The check returns what the answer needs."""
    assert check(GOOD) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@pytest.mark.parametrize(
    "changed",
    [
        {"Upgrade": "WebSocket"},
        {"Upgrade": "h2c, websocket"},
        {"Connection": "keep-alive, Upgrade"},
        {"Connection": "UPGRADE"},
        {"Sec-WebSocket-Key": f" {KEY} "},
    ],
)
def test_tokens_are_read_in_any_case_and_place(changed: dict[str, str]) -> None:
    """Firefox sends ``keep-alive, Upgrade``; token lists and their case are free."""
    assert check({**GOOD, **changed}) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_header_names_may_have_any_case() -> None:
    """Names come from servers that write them differently."""
    assert check({name.lower(): value for name, value in GOOD.items()})
    assert check({name.upper(): value for name, value in GOOD.items()})


@pytest.mark.parametrize(
    "changed",
    [
        {"Upgrade": "h2c"},
        {"Upgrade": "websocketx"},
        {"Upgrade": ""},
        {"Connection": "close"},
        {"Connection": "keep-alive"},
        {"Sec-WebSocket-Key": ""},
        {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ"},
        {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==="},
        {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZR=="},
        {"Sec-WebSocket-Key": "AQIDBA=="},
        {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25j Q=="},
        {"Sec-WebSocket-Key": "é" * 24},
    ],
)
def test_what_is_no_websocket_request_is_refused(changed: dict[str, str]) -> None:
    """A wrong Upgrade, Connection or key of other than 16 bytes gets 400."""
    with pytest.raises(HandshakeError) as caught:
        check({**GOOD, **changed})
    assert caught.value.status == 400
    assert caught.value.headers == ()


@pytest.mark.parametrize("name", ["Upgrade", "Connection", "Sec-WebSocket-Key"])
def test_a_missing_header_is_refused(name: str) -> None:
    """Each of the three is needed."""
    with pytest.raises(HandshakeError) as caught:
        check({key: value for key, value in GOOD.items() if key != name})
    assert caught.value.status == 400


@pytest.mark.parametrize("version", ["8", "", "013", "13, 8", "99"])
def test_another_version_is_told_ours(version: str) -> None:
    """RFC 6455 §4.4: 426, with the version we speak."""
    with pytest.raises(HandshakeError) as caught:
        check({**GOOD, "Sec-WebSocket-Version": version})
    assert caught.value.status == 426
    assert caught.value.headers == (("Sec-WebSocket-Version", "13"), ("Upgrade", "websocket"))


def test_the_answer() -> None:
    """The 101 is complete and ends with an empty line."""
    assert response("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") == (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        b"\r\n"
    )


def test_the_answer_with_a_protocol_and_more_headers() -> None:
    """A subprotocol and further headers, a cookie say, come after ours."""
    assert response("KEY=", [("Set-Cookie", "io=1"), ("X-A", "é")], protocol="chat") == (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: KEY=\r\n"
        b"Sec-WebSocket-Protocol: chat\r\n"
        b"Set-Cookie: io=1\r\n"
        b"X-A: \xe9\r\n"
        b"\r\n"
    )


@pytest.mark.parametrize(
    "header", [("A", "b\r\nEvil: 1"), ("A\nB", "c"), ("A", "b\r"), ("A", "\x00"), ("A\r", "")]
)
def test_a_header_cannot_bring_another_one(header: tuple[str, str]) -> None:
    """A line break in a header is refused, whoever put it there."""
    with pytest.raises(ValueError, match="line break"):
        response("KEY=", [header])


@given(st.binary(min_size=16, max_size=16))
def test_every_16_byte_key_is_taken(nonce: bytes) -> None:
    """A key is any 16 bytes in base64."""
    key = base64.b64encode(nonce).decode()
    assert check({**GOOD, "Sec-WebSocket-Key": key}) == accept_key(key)


@given(st.dictionaries(st.sampled_from(list(GOOD)), st.text(), max_size=5))
def test_any_headers_pass_or_are_refused(headers: dict[str, str]) -> None:
    """Nothing a client sends raises anything but HandshakeError."""
    try:
        accept = check({**GOOD, **headers})
    except HandshakeError:
        return
    assert len(accept) == 28
