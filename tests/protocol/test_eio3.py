from __future__ import annotations

import json
import re
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_sio.errors import PacketError
from flask_sio.protocol import eio, eio3
from flask_sio.protocol.eio import MESSAGE, Packet

# -- packets -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind", "data"),
    [
        ("0{}", eio.OPEN, "{}"),
        ("2probe", eio.PING, "probe"),
        ("4", eio.MESSAGE, ""),
        ("4b4", eio.MESSAGE, "b4"),
        ("b4", eio.MESSAGE, b""),
        ("b4AQIDBA==", eio.MESSAGE, b"\x01\x02\x03\x04"),
        ("b4AQIDBA", eio.MESSAGE, b"\x01\x02\x03\x04"),
    ],
)
def test_bytes_in_text_have_a_type(text: str, kind: str, data: str | bytes) -> None:
    """``b``, the type, then base64; revision 4 has no type there (trap 4)."""
    assert eio3.decode_packet(text) == Packet(kind, data)


@pytest.mark.parametrize("text", ["", "7", "a", "b", "bAQ==", "b2", "b9AQ==", "b4A", "b4*", "٤"])
def test_what_is_no_packet_is_refused(text: str) -> None:
    """An unknown type, bytes without one, and bytes that are no message."""
    with pytest.raises(PacketError):
        eio3.decode_packet(text)


def test_a_binary_frame_begins_with_the_number_of_its_type() -> None:
    """A number, not a digit; an empty message is one (traps 3 and 5)."""
    assert eio3.decode_binary(b"\x04\x01\x02") == Packet(MESSAGE, b"\x01\x02")
    assert eio3.decode_binary(b"\x04") == Packet(MESSAGE, b"")


@pytest.mark.parametrize("data", [b"", b"4\x01", b"\x09\x01", b"\x02", b"\x00\x04"])
def test_a_binary_frame_of_another_type_is_refused(data: bytes) -> None:
    """Only messages carry bytes."""
    with pytest.raises(PacketError):
        eio3.decode_binary(data)


# -- payloads of text --------------------------------------------------------------------

TEXT_PAYLOADS = [
    (b"6:4hello", ["4hello"]),
    (b"1:2", ["2"]),
    (b"6:4hello2:4\xe2\x82\xac", ["4hello", "4€"]),
    (b"3:4\xf0\x9f\x98\x801:2", ["4😀", "2"]),
    (b"5:4\xf0\x9f\x98\x80\xe2\x82\xacx3:4\xf0\x9f\x98\x80", ["4😀€x", "4😀"]),
    (b"2:4\xe2\x82\xac10:b4AQIDBA==", ["4€", "b4AQIDBA=="]),
    (b"1:61:1", ["6", "1"]),
]


@pytest.mark.parametrize(("body", "packets"), TEXT_PAYLOADS)
def test_a_length_counts_utf_16_units(body: bytes, packets: list[str]) -> None:
    """Not bytes, not characters: an emoji is two (trap 1)."""
    assert eio3.split_payload(body) == packets
    assert eio3.encode_payload(packets) == body


@pytest.mark.parametrize(
    ("body", "packets"),
    [(b"0:", []), (b"0:1:20:", ["2"]), (b"01:2", ["2"]), (b"0:3:4\xf0\x9f\x98\x80", ["4😀"])],
)
def test_an_empty_packet_is_skipped(body: bytes, packets: list[str]) -> None:
    """``0:`` is legal and holds nothing (trap 7)."""
    assert eio3.split_payload(body) == packets


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b":",
        b"2",
        b"1:",
        b"5:4abc",
        b"1:2x",
        b"1:2 1:2",
        b" 1:2",
        b"+1:2",
        b"-1:2",
        b"1.0:2",
        b"1e0:2",
        b"0x1:2",
        b"\xd9\xa1:2",
        b"00000000001:2",
        b"99999999999999999999:2",
        b"9999999999:2",
        b"3:4\xe2\x82\xac",
        b"4:4\xf0\x9f\x98\x80",
        b"4hello",
        b"\x00\x01\xff2",
    ],
)
def test_a_payload_that_does_not_add_up_is_refused(body: bytes) -> None:
    """ASCII digits, few of them, and as much text as they say."""
    with pytest.raises(PacketError):
        eio3.split_payload(body)


def test_invalid_utf_8_is_read_as_a_browser_reads_it() -> None:
    """Each bad byte is one U+FFFD, and counts as that."""
    assert eio3.split_payload(b"2:4\xff1:2") == ["4\ufffd", "2"]


def test_a_length_that_cuts_a_character_in_two_is_refused() -> None:
    """What follows half of an emoji is no length."""
    with pytest.raises(PacketError):
        eio3.split_payload(b"2:4\xf0\x9f\x98\x801:2")


def test_a_lone_surrogate_is_written_as_one_unit() -> None:
    """It has no UTF-8, and the length must fit what is written for it (trap 10)."""
    assert eio3.encode_payload(["4\ud800", "2"]) == b"2:4?1:2"


TEXT = st.text(min_size=1)


@given(st.lists(TEXT, min_size=1))
def test_a_payload_of_text_comes_back(packets: list[str]) -> None:
    """Whatever text it is, it is split where it was joined."""
    assert eio3.split_payload(eio3.encode_payload(packets)) == packets


@given(st.binary() | st.text("0123456789:b4é😀").map(str.encode))
def test_any_body_of_text_is_packets_or_an_error(body: bytes) -> None:
    """Nothing but PacketError comes out."""
    try:
        packets = [eio3.decode_packet(text) for text in eio3.split_payload(body)]
    except PacketError:
        return
    assert all(packet.type in "0123456" for packet in packets)


# -- text that was encoded twice -----------------------------------------------------------


def test_text_of_a_1_x_client_is_decoded_once_more() -> None:
    """engine.io-parser 1 made a string of the bytes of UTF-8, and a length of their count."""
    (text,) = eio3.split_payload(b"4:4\xc3\xa2\xc2\x82\xc2\xac")
    assert text == "4â\x82¬"
    assert eio3.undouble(text) == "4€"


@pytest.mark.parametrize("text", ["4€", "4é", "4«à»", "4\ud800", "4ÿ"])
def test_text_that_cannot_have_been_encoded_twice_is_told_apart(text: str) -> None:
    """Characters beyond a byte, or bytes that are no UTF-8."""
    assert eio3.undouble(text) is None


@given(TEXT)
def test_any_text_can_be_decoded_once_more(text: str) -> None:
    """What 1.x made of it is undone."""
    assert eio3.undouble(text.encode().decode("latin-1")) == text


# -- payloads of bytes -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        ("00 04 ff 34 e2 82 ac", ["4€"]),
        ("01 05 ff 04 01 02 03 04", [b"\x01\x02\x03\x04"]),
        ("00 01 ff 32 01 01 ff 04", ["2", b""]),
        ("01 01 02 01 ff 04" + 120 * " 78", [120 * b"x"]),
        ("00 05 ff 34 f0 9f 98 80", ["4😀"]),
        ("", []),
    ],
)
def test_a_binary_payload_counts_bytes(body: str, parts: list[str | bytes]) -> None:
    """The mark, a byte per decimal digit, ``ff``, the data with its type (trap 2)."""
    packets = [
        Packet(MESSAGE, part) if isinstance(part, bytes) else Packet(part[0], part[1:])
        for part in parts
    ]
    assert eio3.decode_binary_payload(bytes.fromhex(body)) == packets
    assert eio3.encode_binary_payload(parts) == bytes.fromhex(body)


@pytest.mark.parametrize(
    "body",
    [
        "00",
        "00 ff",
        "00 00 ff",
        "00 01",
        "00 01 32",
        "00 02 ff 32",
        "02 01 ff 32",
        "30 31 ff 32",
        "00 31 ff 32",
        "00 0a ff 32",
        "00 00 00 00 00 00 00 00 00 00 00 01 ff 32",
        "00 09 09 09 09 09 09 09 09 09 09 ff 32",
        "00 01 ff 37",
        "00 01 ff 32 00",
        "01 00 ff",
        "01 01 ff 34",
        "01 02 ff 09 01",
        "31 3a 32",
        "ff",
    ],
)
def test_a_binary_payload_that_does_not_add_up_is_refused(body: str) -> None:
    """Marks 0 and 1, digits 0 to 9, at most ten, and as many bytes as they say."""
    with pytest.raises(PacketError):
        eio3.decode_binary_payload(bytes.fromhex(body))


@given(st.lists(TEXT.map(lambda text: "4" + text) | st.binary()))
def test_a_binary_payload_comes_back(parts: list[str | bytes]) -> None:
    """Text and bytes in any order."""
    packets = eio3.decode_binary_payload(eio3.encode_binary_payload(parts))
    assert [packet.data for packet in packets] == [
        part[1:] if isinstance(part, str) else part for part in parts
    ]


@given(st.binary() | st.lists(st.sampled_from(b"\x00\x01\x02\x04\x09\xff4b")).map(bytes))
def test_any_binary_body_is_packets_or_an_error(body: bytes) -> None:
    """Nothing but PacketError comes out."""
    try:
        packets = eio3.decode_binary_payload(body)
    except PacketError:
        return
    assert all(packet.type in "0123456" for packet in packets)


# -- JSONP -------------------------------------------------------------------------------


def test_a_script_calls_the_clients_function() -> None:
    """The payload is a string of JSON."""
    assert eio3.encode_script("7", '96:0{"sid":"x"}') == b'___eio[7]("96:0{\\"sid\\":\\"x\\"}");'
    assert eio3.encode_script("", "1:6") == b'___eio[]("1:6");'


def test_a_script_holds_nothing_that_ends_its_string_or_its_page() -> None:
    """Quotes, backslashes, line ends of JavaScript, and what closes a script (trap 13)."""
    payload = '"\\\n\r\x00\u2028\u2029</script><!--é😀\ud800'
    assert eio3.encode_script("0", payload) == (
        b'___eio[0]("\\"\\\\\\n\\r\\u0000\\u2028\\u2029\\u003c/script>\\u003c!--'
        b'\\u00e9\\ud83d\\ude00\\ud800");'
    )


@given(st.text())
def test_a_script_is_one_line_of_ascii_that_gives_the_payload_back(payload: str) -> None:
    """Whatever is in it."""
    script = eio3.encode_script("0", payload).decode("ascii")
    found = re.fullmatch(r'___eio\[0\]\(("[ -~\x7f]*")\);', script)
    assert found is not None
    assert "<" not in script
    assert json.loads(found[1]) == payload


def as_the_client_posts(payload: str) -> bytes:
    """Return the body of a form as socket.io-client 1 and 2 make it."""
    escaped = payload.replace("\\n", "\\\n").replace("\n", "\\n")
    return urlencode({"d": escaped}).encode()


@pytest.mark.parametrize(
    ("body", "payload"),
    [
        (b"d=6%3A4hello", b"6:4hello"),
        (b"d=6:4a+b%2Bc", b"6:4a b+c"),
        (b"d=a%5Cnb", b"a\nb"),
        (b"d=a%5C%5Cnb", b"a\\nb"),
        (b"d=a%5C%5C%5Cnb", b"a\\\\nb"),
        (b"d=2%3A4%E2%82%AC", b"2:4\xe2\x82\xac"),
        (b"x=1&d=1%3A2&y=", b"1:2"),
        (b"d=", b""),
    ],
)
def test_a_form_holds_the_payload(body: bytes, payload: bytes) -> None:
    """Line ends and what looks like an escaped one are told apart again."""
    assert eio3.decode_form(body) == payload


@pytest.mark.parametrize("body", [b"", b"d", b"x=1", b"d=1&d=2", b"dd=1", b"6:4hello"])
def test_a_form_without_its_field_is_refused(body: bytes) -> None:
    """It is there once."""
    with pytest.raises(PacketError):
        eio3.decode_form(body)


@given(st.text(st.characters(codec="utf-8") | st.sampled_from("\\n\n")))
def test_a_form_comes_back(payload: str) -> None:
    """Whatever was posted."""
    assert eio3.decode_form(as_the_client_posts(payload)) == payload.encode()


def test_the_packets_of_a_payload_are_counted() -> None:
    """Those that are empty too: they cost as much to find."""
    for body in (16_385 * b"0:", 16_385 * b"1:6"):
        with pytest.raises(PacketError, match="too many"):
            eio3.split_payload(body)
    assert eio3.split_payload(16_384 * b"0:") == []
    with pytest.raises(PacketError, match="too many"):
        eio3.decode_binary_payload(16_385 * b"\x00\x01\xff6")
