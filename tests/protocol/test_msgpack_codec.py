"""MessagePack packets, with the bytes of socket.io-msgpack-parser written out."""

from __future__ import annotations

import contextlib
import datetime
import json
from typing import Any

import msgpack
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from flask_sio.errors import PacketError
from flask_sio.protocol import sio
from flask_sio.protocol.json_codec import JsonCodec
from flask_sio.protocol.msgpack_codec import Decoder, MsgpackCodec
from tests.protocol.test_json_codec import VALUES, Level, Name, Point, nested

UTC = datetime.timezone.utc
NAN, INF = float("nan"), float("inf")
CODEC = MsgpackCodec()

TYPE, NSP, DATA, ID = b"\xa4type", b"\xa3nsp", b"\xa4data", b"\xa2id"
ROOT = NSP + b"\xa1/"


def event(value: bytes, ack_id: bytes = b"") -> bytes:
    """Write an EVENT ``["a", value]`` by hand."""
    count = 4 if ack_id else 3
    tail = ID + ack_id if ack_id else b""
    return bytes([0x80 | count]) + TYPE + b"\x02" + ROOT + DATA + b"\x92\xa1a" + value + tail


def read(message: str | bytes) -> sio.Packet:
    return Decoder().feed(message)


def written(value: Any) -> bytes:
    """Return how one argument of an event is written."""
    encoded = CODEC.encode(sio.Packet(sio.EVENT, "/", ["a", value]))
    message = encoded.attachments[0]
    head = b"\x83" + TYPE + b"\x02" + ROOT + DATA + b"\x92\xa1a"
    assert message.startswith(head)
    return message[len(head) :]


# --- packets --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("packet", "message"),
    [
        (sio.Packet(sio.CONNECT, "/"), "82 a474797065 00 a36e7370 a12f"),
        (
            sio.Packet(sio.CONNECT, "/", {"sid": "x"}),
            "83 a474797065 00 a36e7370 a12f a464617461 81 a3736964 a178",
        ),
        (sio.Packet(sio.DISCONNECT, "/a"), "82 a474797065 01 a36e7370 a22f61"),
        (
            sio.Packet(sio.EVENT, "/", ["a", 1, b"\x01\x02"], 0),
            "84 a474797065 02 a36e7370 a12f a464617461 93 a161 01 c4020102 a26964 00",
        ),
        (
            sio.Packet(sio.ACK, "/é", [], 300),
            "84 a474797065 03 a36e7370 a32fc3a9 a464617461 90 a26964 cd012c",
        ),
        (
            sio.Packet(sio.CONNECT_ERROR, "/", {"message": "no"}),
            "83 a474797065 04 a36e7370 a12f a464617461 81 a76d657373616765 a26e6f",
        ),
    ],
)
def test_a_packet_is_one_map_and_one_binary_message(packet: sio.Packet, message: str) -> None:
    """The same bytes for one recipient and for all, and they are read as the same packet."""
    encoded = CODEC.encode(packet)
    assert (encoded.text, encoded.attachments) == ("", (bytes.fromhex(message),))
    assert encoded.packets == 1
    assert read(bytes.fromhex(message)) == packet


def test_the_forms_on_the_transports() -> None:
    """A binary frame on WebSocket, ``b`` and base64 in a payload."""
    encoded = CODEC.encode(sio.Packet(sio.DISCONNECT, "/"))
    assert encoded.ws == b"\x82\x0d\x82\xa4type\x01\xa3nsp\xa1/"
    assert encoded.polling == ("bgqR0eXBlAaNuc3ChLw==",)


def test_data_is_rendered_once_for_many_ack_ids() -> None:
    """Each recipient of a call has a number of its own in an otherwise equal packet."""
    asked = sio.Packet(sio.EVENT, "/", ["a", {"big": "x" * 100}])
    body = CODEC.render(asked)
    first, second = (
        CODEC.compose(sio.Packet(sio.EVENT, "/", id=number), body).attachments[0]
        for number in (1, 128)
    )
    assert (first[-4:], second[-5:]) == (b"\xa2id\x01", b"\xa2id\xcc\x80")
    assert first[:-1] == second[:-2]
    assert read(second).data == asked.data


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\xc0",
        b"\x93\x02\xa1/\x90",
        event(b"\x01") + b"\xc0",
        event(b"\x01")[:-1],
        event(b"\xc1"),
        event(b"\xd4\x05\x00"),
        event(b"\xc7\x02\x7f\x00\x00"),
        event(b"\xdd\xff\xff\xff\xff"),
        event(b"\xdf\xff\xff\xff\xff"),
        event(b"\xdb\xff\xff\xff\xff"),
        event(b"\xc6\xff\xff\xff\xff"),
        event(b"\xc9\xff\xff\xff\xff\x00"),
        event(b"\x81\x90\x01"),
        event(b"\x81\x01\x01"),
        event(b"\x91" * 100_000 + b"\x01"),
        event(b"\x81\xa1a" * 100_000 + b"\x01"),
        event(b"\xd7\x00\x7f" + b"\xff" * 7),
        event(b"\xc7\x0c\xff" + b"\xff" * 12),
    ],
    ids=lambda message: message[-12:].hex() or "empty",
)
def test_what_is_no_packet_is_refused(message: bytes) -> None:
    """Cut short, trailing bytes, unknown extensions, lengths beyond the message, deep nesting."""
    with pytest.raises(PacketError):
        read(message)


@pytest.mark.parametrize(
    "entries",
    [
        {"nsp": "/", "data": ["a"]},
        {"type": 5, "nsp": "/", "data": ["a", b""]},
        {"type": -1, "nsp": "/"},
        {"type": True, "nsp": "/"},
        {"type": 2.0, "nsp": "/", "data": ["a"]},
        {"type": "2", "nsp": "/", "data": ["a"]},
        {"type": 2, "data": ["a"]},
        {"type": 2, "nsp": "", "data": ["a"]},
        {"type": 2, "nsp": "a", "data": ["a"]},
        {"type": 2, "nsp": "/a\n", "data": ["a"]},
        {"type": 2, "nsp": "/a,b", "data": ["a"]},
        {"type": 2, "nsp": b"/", "data": ["a"]},
        {"type": 2, "nsp": "/", "data": ["a"], "id": -1},
        {"type": 2, "nsp": "/", "data": ["a"], "id": 1.5},
        {"type": 2, "nsp": "/", "data": ["a"], "id": True},
        {"type": 2, "nsp": "/", "data": ["a"], "id": "1"},
        {"type": 2, "nsp": "/"},
        {"type": 2, "nsp": "/", "data": []},
        {"type": 2, "nsp": "/", "data": {}},
        {"type": 2, "nsp": "/", "data": [None]},
        {"type": 2, "nsp": "/", "data": [["a"]]},
        {"type": 2, "nsp": "/", "data": [b"a"]},
        {"type": 2, "nsp": "/", "data": ["connect"]},
        {"type": 2, "nsp": "/", "data": ["newListener"]},
        {"type": 3, "nsp": "/", "id": 1},
        {"type": 3, "nsp": "/", "data": "a", "id": 1},
        {"type": 0, "nsp": "/", "data": []},
        {"type": 0, "nsp": "/", "data": "token"},
        {"type": 1, "nsp": "/", "data": {}},
        {"type": 4, "nsp": "/"},
        {"type": 4, "nsp": "/", "data": []},
    ],
    ids=repr,
)
def test_checks_are_those_of_the_text_protocol(entries: dict[str, Any]) -> None:
    """Types, namespaces, ids, names and shapes; a reserved name too, which the model lets by."""
    with pytest.raises(PacketError):
        read(msgpack.packb(entries))


def test_text_is_refused() -> None:
    """A client with the other parser is told at once, by the end of its connection."""
    with pytest.raises(PacketError):
        read('2["a"]')


def test_what_the_javascript_client_adds_is_ignored() -> None:
    """``options``, and undefined for what is absent; in any order."""
    message = b"\x85\xa7options\x81\xa8compress\xc3" + TYPE + b"\x02" + DATA + b"\x91\xa1a"
    assert read(message + ID + b"\xd4\x00\x00" + ROOT) == sio.Packet(sio.EVENT, "/", ["a"])
    connect = b"\x83" + TYPE + b"\x00" + ROOT + DATA + b"\xd4\x00\x00"
    assert read(connect) == sio.Packet(sio.CONNECT, "/")


def test_nil_is_as_good_as_nothing() -> None:
    """python-socketio writes ``data`` always."""
    left = b"\x83" + TYPE + b"\x01" + DATA + b"\xc0" + ROOT
    assert read(left) == sio.Packet(sio.DISCONNECT, "/")


# --- values in ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", 2**64 - 1),
        (b"\xd3\x80\x00\x00\x00\x00\x00\x00\x00", -(2**63)),
        (b"\xca\x3f\x80\x00\x00", 1.0),
        (b"\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00", INF),
        (b"\xa1\xff", "\ufffd"),
        (b"\xa3\xed\xa0\x80", "\ufffd\ufffd\ufffd"),
        (b"\x82\xa1k\x01\xa1k\x02", {"k": 2}),
        (b"\xc4\x00", b""),
        (b"\xd4\x00\x00", None),
        (b"\xd7\x00\x00\x00\x01\x8d\xf4\xdc\x54\x95", "2024-02-29T12:34:56.789+00:00"),
        (b"\xd7\x00\xff\xff\xff\xff\xff\xff\xff\xff", "1969-12-31T23:59:59.999+00:00"),
        (b"\xd6\xff\x65\xe0\x79\xf0", "2024-02-29T12:34:56+00:00"),
        # ArrayBuffers, of the sizes that undefined and Date have too
        (b"\xc7\x03\x00abc", b"abc"),
        (b"\xc7\x00\x00", b""),
        (b"\xc7\x01\x00\x00", b"\x00"),
        (b"\xc7\x08\x00abcdefgh", b"abcdefgh"),
        (b"\xc8\x00\x08\x00abcdefgh", b"abcdefgh"),
        (b"\xc9\x00\x00\x00\x01\x00a", b"a"),
    ],
)
def test_values_of_a_client(raw: bytes, value: Any) -> None:
    """What JavaScript's own types become; text that is no UTF-8 has U+FFFD."""
    if isinstance(value, str) and value[4:5] == "-":
        value = datetime.datetime.fromisoformat(value)
    got = read(event(raw)).data[1]
    assert (got, type(got)) == (value, type(value))


def test_dates_are_told_from_typed_arrays_behind_anything() -> None:
    """All heads of MessagePack are stepped over, whatever their contents look like."""
    decoy = b"\xc7\x08\x00\xd7\x00\xd4\x00\x00"
    values = [
        b"\x05\xff\xc0\xc2\xc3\xa8" + decoy,
        b"\xc4\x08" + decoy + b"\xc5\x00\x08" + decoy + b"\xc6\x00\x00\x00\x08" + decoy,
        b"\xd9\x08" + decoy + b"\xda\x00\x08" + decoy + b"\xdb\x00\x00\x00\x08" + decoy,
        b"\xca\xc7\x08\x00\x00\xcb" + decoy,
        b"\xcc\xd7\xcd\xd7\x00\xce\xd7\x00\x00\x00\xcf" + decoy,
        b"\xd0\xd7\xd1\xd7\x00\xd2\xd7\x00\x00\x00\xd3" + decoy,
        b"\xd5\x00\xd4\x00\xd6\x00\xd7\x00\x00\x00\xd8\x00" + decoy + decoy,
        b"\xdc\x00\x01\x90\xdd\x00\x00\x00\x01\x80\xde\x00\x01\xa1a\x90\xdf\x00\x00\x00\x01\xa1a\xc0",
        b"\xc7\x08\x00" + decoy + b"\xd7\x00" + bytes(8) + b"\xc7\x01\x00a\xd4\x00\x00",
    ]
    counts = [6, 3, 3, 2, 4, 4, 3, 4, 4]
    flat = b"".join(values)
    head = b"\x83" + TYPE + b"\x02" + ROOT + DATA
    message = head + b"\xdc" + (1 + sum(counts)).to_bytes(2, "big") + b"\xa1a" + flat
    *_, array, date, byte, undefined = read(message).data
    assert array == decoy
    assert date == datetime.datetime(1970, 1, 1, tzinfo=UTC)
    assert (byte, undefined) == (b"a", None)


# --- values out -----------------------------------------------------------------------


class Kilo(float):
    pass


@pytest.mark.parametrize(
    ("value", "raw"),
    [
        ((1, (2,)), b"\x92\x01\x91\x02"),
        ([NAN, INF, -INF, Kilo(NAN)], b"\x94\xc0\xc0\xc0\xc0"),
        (-0.0, b"\xcb\x80\x00\x00\x00\x00\x00\x00\x00"),
        (2**64 - 1, b"\xcf" + b"\xff" * 8),
        (-(2**63), b"\xd3\x80" + bytes(7)),
        (2**64, b"\xcb\x43\xf0" + bytes(6)),
        (-(2**63) - 1, b"\xcb\xc3\xe0" + bytes(6)),
        ("a\ud800", b"\xa4a\xef\xbf\xbd"),
        ({"\udfff": b"\xff"}, b"\x81\xa3\xef\xbf\xbd\xc4\x01\xff"),
        ("\ud83d\ude00\ud800", b"\xa7\xf0\x9f\x98\x80\xef\xbf\xbd"),
        ({1: 2, -3: 4}, b"\x82\xa11\x02\xa2-3\x04"),
        ({None: 1, False: 2, 0.5: 3}, b"\x83\xa4null\x01\xa5false\x02\xa30.5\x03"),
        ([Level.HIGH, Name.ADA], b"\x92\x03\xa3ada"),
        (
            Point(1, b"x"),
            b"\x83\xa1x\x01\xa5inner\xc4\x01x\xa8_private\x00",
        ),
        ([b"", bytearray(b"1"), memoryview(b"2-")[::2]], b"\x93\xc4\x00\xc4\x011\xc4\x012"),
        (datetime.date(2024, 2, 29), b"\xaa2024-02-29"),
        (datetime.datetime(2024, 2, 29), b"\xb32024-02-29T00:00:00"),
        (datetime.datetime(1970, 1, 1, tzinfo=UTC), b"\xd7\x00" + bytes(8)),
        (
            datetime.datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
            b"\xd7\x00" + b"\xff" * 8,
        ),
    ],
)  # fmt: skip
def test_values_of_a_handler(value: Any, raw: bytes) -> None:
    """What JSON makes text is the same text; moments are Dates, in whole milliseconds."""
    assert written(value) == raw


@pytest.mark.parametrize(
    "value",
    [{1, 2}, object(), 1j, {(1, 2): 3}, {b"a": 1}, {NAN: 1}, 10**400, nested(200_000, 1)],
    ids=lambda value: str(type(value)),
)
def test_what_has_no_form_is_a_type_error(value: Any) -> None:
    """As with JSON, before anything is queued; deep data and loops are no RecursionError."""
    with pytest.raises(TypeError):
        written(value)
    loop: list[Any] = [value]
    loop.append(loop)
    with pytest.raises(TypeError):
        written(loop)


@pytest.mark.parametrize(
    ("packet", "error"),
    [
        (sio.Packet(sio.EVENT, "/", "a"), TypeError),
        (sio.Packet(sio.EVENT, "/", []), TypeError),
        (sio.Packet(sio.EVENT, "/", [b"a"]), TypeError),
        (sio.Packet(sio.ACK, "/", {}), TypeError),
        (sio.Packet(sio.EVENT, "/", ["disconnect"]), ValueError),
        (sio.Packet(sio.EVENT, "/a,b", ["a"]), ValueError),
    ],
)
def test_a_packet_that_no_peer_would_take_is_refused(
    packet: sio.Packet, error: type[Exception]
) -> None:
    """Whatever codec a server uses."""
    with pytest.raises(error):
        CODEC.encode(packet)


def test_the_data_is_left_as_it_was() -> None:
    """And a buffer that changes afterwards does not change the packet."""
    buffer = bytearray(b"abc")
    data = ["a", buffer, {"n": NAN}]
    encoded = CODEC.encode(sio.Packet(sio.EVENT, "/", data))
    buffer[:] = b"xyz"
    assert b"\xc4\x03abc" in encoded.attachments[0]
    assert data[1] is buffer


# --- properties -----------------------------------------------------------------------


def as_json(value: Any) -> Any:
    """Say what the text protocol would give the peer, bytes in their places."""
    text, attachments = JsonCodec(use_orjson=False).pack(value)

    def place(obj: Any) -> Any:
        if isinstance(obj, dict) and obj.get("_placeholder") is True:
            return attachments[obj["num"]]
        if isinstance(obj, dict):
            return {clean(key): place(item) for key, item in obj.items()}
        if isinstance(obj, list):
            return [place(item) for item in obj]
        if type(obj) is int and not -(2**63) <= obj < 2**64:
            return float(obj)
        return clean(obj)

    return place(json.loads(text))


def clean(text: Any) -> Any:
    """Put U+FFFD for lone surrogates."""
    if not isinstance(text, str):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def iso(value: Any) -> Any:
    """Put aware datetimes back to what JSON writes of them, as far as they were written."""
    if isinstance(value, datetime.datetime):
        return "moment"
    if isinstance(value, dict):
        return {key: iso(item) for key, item in value.items()}
    return [iso(item) for item in value] if isinstance(value, list) else value


@given(VALUES)
def test_a_peer_reads_what_it_would_read_of_json(value: Any) -> None:
    """But for big integers, surrogates and moments, the serializer makes no difference."""
    assume("tzinfo" not in repr(value))  # moments: Dates there, text here
    try:
        expected = as_json(value)
    except TypeError:
        with pytest.raises(TypeError):
            written(value)
        return
    got = read(CODEC.encode(sio.Packet(sio.EVENT, "/", ["a", value])).attachments[0]).data[1]
    assert repr(got) == repr(expected)


@given(
    st.one_of(
        st.binary(), st.binary().map(event), st.binary(max_size=8).map(lambda b: event(b"\xd7" + b))
    )
)
def test_any_bytes_are_a_packet_or_refused(message: bytes) -> None:
    """No other exception, whatever comes."""  # fmt: skip
    with contextlib.suppress(PacketError):
        read(message)
