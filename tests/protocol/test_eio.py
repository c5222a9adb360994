from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_sio.errors import PacketError
from flask_sio.protocol import eio
from flask_sio.protocol.eio import MESSAGE, Packet, decode_packet, decode_payload, encode_payload
from flask_sio.protocol.encoded import Encoded


@pytest.mark.parametrize(
    ("text", "kind", "data"),
    [
        ("0{}", eio.OPEN, "{}"),
        ("1", eio.CLOSE, ""),
        ("2probe", eio.PING, "probe"),
        ("3", eio.PONG, ""),
        ("4hello", eio.MESSAGE, "hello"),
        ("5", eio.UPGRADE, ""),
        ("6", eio.NOOP, ""),
        ("4", eio.MESSAGE, ""),
        ("42", eio.MESSAGE, "2"),
        ("4\x1e", eio.MESSAGE, "\x1e"),
        ("b", eio.MESSAGE, b""),
        ("bAQIDBA==", eio.MESSAGE, b"\x01\x02\x03\x04"),
    ],
)
def test_a_packet_is_its_first_character_and_the_rest(
    text: str, kind: str, data: str | bytes
) -> None:
    """Only the first character is the type; ``b`` is a message of bytes (traps 5 and 6)."""
    assert decode_packet(text) == Packet(kind, data)


@pytest.mark.parametrize("text", ["", "7", "a", "B", "-1", " 4", "٤", "²", "\x00", "\x1e"])
def test_an_unknown_type_is_refused(text: str) -> None:
    """An empty packet and a first character outside 0-6 and b are errors (trap 6)."""
    with pytest.raises(PacketError):
        decode_packet(text)


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("b+/8=", b"\xfb\xff"),
        ("b-_8=", b"\xfb\xff"),
        ("b-_8", b"\xfb\xff"),
        ("bAQIDBA", b"\x01\x02\x03\x04"),
        ("bAQ", b"\x01"),
        ("bAR==", b"\x01"),
    ],
)
def test_base64_may_lack_its_padding_and_be_url_safe(text: str, data: bytes) -> None:
    """Node takes both, so clients send both; loose last bits are dropped as there."""
    assert decode_packet(text).data == data


@pytest.mark.parametrize(
    "text",
    [
        "bA",
        "bA===",
        "bAQ=",
        "bAQ===",
        "bAQ====",
        "b=",
        "b==",
        "b====",
        "bAQ==AQ==",
        "bAQ ==",
        "bA\nQ==",
        "bAQID BA==",
        "bAQ!=",
        "b€€€€",
        "bAQI\ud800",
    ],
)
def test_other_base64_is_refused(text: str) -> None:
    """Wrong length or padding, white space and foreign characters are errors."""
    with pytest.raises(PacketError):
        decode_packet(text)


def test_a_payload_is_split_at_the_separator() -> None:
    """Packets of a POST are joined by 0x1E."""
    assert decode_payload(b"4hello\x1ebAQIDBA==\x1e4world") == [
        Packet(MESSAGE, "hello"),
        Packet(MESSAGE, b"\x01\x02\x03\x04"),
        Packet(MESSAGE, "world"),
    ]


@pytest.mark.parametrize(
    "body",
    [b"", b"\x1e", b"4a\x1e", b"\x1e4a", b"4a\x1e\x1e4b", b"4a\x1e7", b"4a\x1ebA\x1e4b", b"abc"],
)
def test_a_payload_is_taken_whole_or_not_at_all(body: bytes) -> None:
    """One bad packet, an empty body or a trailing separator refuses it all (traps 7 and 8)."""
    with pytest.raises(PacketError):
        decode_payload(body)


def test_invalid_utf_8_in_a_payload_is_replaced() -> None:
    """A polling body is decoded as a browser would, with U+FFFD (trap 11)."""
    assert decode_payload(b"4a\xffb\xc3\x1e4\xe2\x82\xac") == [
        Packet(MESSAGE, "a\ufffdb\ufffd"),
        Packet(MESSAGE, "€"),
    ]


def test_a_poll_answer_joins_the_packets() -> None:
    """The body of a GET has separators between packets and none at the end."""
    assert encode_payload(["4hello", "bAQIDBA==", "4é"]) == b"4hello\x1ebAQIDBA==\x1e4\xc3\xa9"
    assert encode_payload(["6"]) == b"6"


def test_a_lone_surrogate_cannot_stop_a_poll() -> None:
    """A text that UTF-8 cannot hold is still sent (trap 10)."""
    assert encode_payload(["4\ud800", "6"]) == b"4?\x1e6"


def test_the_handshake_has_exact_milliseconds() -> None:
    """Seconds become whole milliseconds: 0.3 is 300, neither 0 nor 300.0 (trap 64)."""
    packet = eio.open_packet("lv_VI97HAXpY6yYWAAAC", ["websocket"], 25, 0.3, 1000000)
    assert packet.text == (
        '0{"sid":"lv_VI97HAXpY6yYWAAAC","upgrades":["websocket"],'
        '"pingInterval":25000,"pingTimeout":300,"maxPayload":1000000}'
    )


@pytest.mark.parametrize(
    ("seconds", "wanted"), [(0.29, 290), (1.001, 1001), (2.01, 2010), (0.07, 70)]
)
def test_no_millisecond_is_lost_to_rounding(seconds: float, wanted: int) -> None:
    """0.29 * 1000 is 289.99999999999994 in floats and must be 290 on the wire."""
    packet = eio.open_packet("s", [], seconds, seconds, 1)
    handshake = json.loads(packet.text[1:])
    assert handshake["pingInterval"] == handshake["pingTimeout"] == wanted


def test_upgrades_are_always_there() -> None:
    """JavaScript clients iterate ``upgrades`` without a check: it may be empty, never absent."""
    assert '"upgrades":[]' in eio.open_packet("s", [], 1, 1, 1).text


@pytest.mark.parametrize(
    ("packet", "text"),
    [
        (eio.CLOSE_PACKET, "1"),
        (eio.PING_PACKET, "2"),
        (eio.PONG_PACKET, "3"),
        (eio.NOOP_PACKET, "6"),
        (eio.PROBE_REPLY, "3probe"),
    ],
)
def test_constant_packets(packet: Encoded, text: str) -> None:
    """Packets without data are made once."""
    assert packet.text == text
    assert packet.attachments == ()


_TEXTS = st.text(st.characters(exclude_characters="\x1e", exclude_categories=["Cs"]))
_PACKETS = st.one_of(
    st.builds(
        Encoded,
        st.sampled_from("0123456").flatmap(lambda kind: _TEXTS.map(lambda text: kind + text)),
    ),
    st.builds(Encoded, st.just("4"), st.lists(st.binary(), max_size=3).map(tuple)),
)


@given(st.lists(_PACKETS, min_size=1))
def test_what_is_written_can_be_read(packets: list[Encoded]) -> None:
    """A payload gives back the packets it was made of."""
    body = encode_payload(part for packet in packets for part in packet.polling)
    wanted = []
    for packet in packets:
        wanted.append(Packet(packet.text[0], packet.text[1:]))
        wanted.extend(Packet(MESSAGE, data) for data in packet.attachments)
    assert decode_payload(body) == wanted


@given(st.one_of(st.binary(), st.text("0123456b=AQ-_\x1e").map(str.encode)))
def test_any_body_gives_packets_or_a_packet_error(body: bytes) -> None:
    """Nothing a client sends raises anything else."""
    try:
        packets = decode_payload(body)
    except PacketError:
        return
    assert len(packets) == body.count(b"\x1e") + 1
