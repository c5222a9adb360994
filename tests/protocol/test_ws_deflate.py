"""permessage-deflate, with the bytes of RFC 7692 written out, and an implementation to ask."""

from __future__ import annotations

import random
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode

from flask_sio.protocol.encoded import Encoded
from flask_sio.protocol.websocket import BINARY, CONT, PING, TEXT, Message, frame
from flask_sio.protocol.ws_deflate import (
    DeflateOptions,
    Deflater,
    InflatingDecoder,
    is_negotiated,
    negotiate,
)
from tests.protocol.test_websocket import masked

RSV1 = 0x40
FIN = 0x80
ANSWER = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
ALL = Deflater(DeflateOptions(threshold=0))


def decode(data: bytes, **options: Any) -> tuple[list[Message], int | None]:
    """Feed it whole; return the messages and the error's code."""
    decoder = InflatingDecoder(**{"max_message_bytes": 1000, **options})
    messages = decoder.feed(data)
    return messages, decoder.error.code if decoder.error else None


def decode_bytewise(data: bytes, **options: Any) -> tuple[list[Message], int | None]:
    """Feed it one byte at a time."""
    decoder = InflatingDecoder(**{"max_message_bytes": 1000, **options})
    messages = [message for i in range(len(data)) for message in decoder.feed(data[i : i + 1])]
    return messages, decoder.error.code if decoder.error else None


@pytest.fixture(params=[decode, decode_bytewise], ids=["whole", "bytewise"])
def feed(request: pytest.FixtureRequest) -> Callable[..., tuple[list[Message], int | None]]:
    """Both ways in which bytes may arrive."""
    fed: Callable[..., tuple[list[Message], int | None]] = request.param
    return fed


def peer() -> PerMessageDeflate:
    """Return the other end, as the `websockets` package has it, with nothing taken over."""
    return PerMessageDeflate(True, True, 15, 15)


def packed(payload: bytes) -> bytes:
    """Compress a payload as a client would, by zlib itself."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (packer.compress(payload) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


# --- negotiation ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offers", "answer"),
    [
        ("permessage-deflate", ANSWER),
        ("permessage-deflate; client_max_window_bits", ANSWER),  # Chrome, ws
        ("permessage-deflate;client_max_window_bits=10", ANSWER),
        ('permessage-deflate ; client_max_window_bits = "15"', ANSWER),
        ("permessage-deflate; server_no_context_takeover; client_no_context_takeover", ANSWER),
        (
            "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
            ANSWER + "; server_max_window_bits=12",
        ),
        ("permessage-deflate; server_max_window_bits=15", ANSWER + "; server_max_window_bits=12"),
        # the second offer is what this client can do without
        ("permessage-deflate; server_max_window_bits=10, permessage-deflate", ANSWER),
        ("x-webkit-deflate-frame, permessage-deflate", ANSWER),
        (",, permessage-deflate ,", ANSWER),
        # what would need a frame of its own
        ("permessage-deflate; server_max_window_bits=11", None),
        ("permessage-deflate; server_max_window_bits=8", None),
        # what no client may offer
        ("permessage-deflate; server_max_window_bits", None),
        ("permessage-deflate; server_max_window_bits=16", None),
        ("permessage-deflate; server_max_window_bits=012", None),
        ("permessage-deflate; server_max_window_bits=٩", None),
        ("permessage-deflate; client_max_window_bits=7", None),
        ("permessage-deflate; client_max_window_bits=", None),
        ("permessage-deflate; server_no_context_takeover=1", None),
        ("permessage-deflate; client_no_context_takeover=", None),
        ("permessage-deflate; client_no_context_takeover; client_no_context_takeover", None),
        ("permessage-deflate; client_max_window_bits; client_max_window_bits=10", None),
        ("permessage-deflate; unknown", None),
        ("permessage-deflate; unknown=1", None),
        ("permessage-deflate;", None),
        ("permessage-deflate=1", None),
        ("permessage-bzip2", None),
        ("", None),
    ],
)
def test_an_offer_is_accepted_as_it_is_or_declined(offers: str, answer: str | None) -> None:
    """Nothing is taken over, ever; what a shared frame cannot honour is declined."""
    assert negotiate(offers, 12) == answer


def test_a_window_that_is_wider_declines_more() -> None:
    """The option ``window_bits`` is what a client must be able to take."""
    offer = "permessage-deflate; server_max_window_bits=12"
    assert negotiate(offer, 13) is None
    assert negotiate(offer, 9) == ANSWER + "; server_max_window_bits=9"


@given(st.text('permsgdflatconkxwib-_;,= \t"0123456789'))
def test_any_header_is_answered_or_not(offers: str) -> None:
    """No exception, whatever is offered beside the good one."""
    answer = negotiate(offers + ",permessage-deflate", 12)
    assert answer is not None
    assert answer.startswith(ANSWER)


def test_the_101_tells_whether_it_was_negotiated() -> None:
    """So that a socket can be handed to another worker with its answer."""
    head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
    assert is_negotiated(head + b"Sec-WebSocket-Extensions: " + ANSWER.encode() + b"\r\n\r\n")
    assert not is_negotiated(head + b"X: permessage-deflate\r\n\r\n")
    assert not is_negotiated(b"")


# --- in -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frames",
    [
        [(FIN | RSV1 | TEXT, "f248cdc9c90700")],  # §7.2.3.1
        [(RSV1 | TEXT, "f248cd"), (FIN | CONT, "c9c90700")],
        [(FIN | RSV1 | TEXT, "000500faff48656c6c6f00")],  # §7.2.3.3, not compressed
        [(FIN | RSV1 | TEXT, "f348cdc9c9070000")],  # §7.2.3.4, BFINAL
        [(RSV1 | TEXT, "f348cdc9c907"), (FIN | CONT, "0000")],
        [(FIN | RSV1 | TEXT, "f348cdc9c90700")],
        [(FIN | RSV1 | TEXT, "f248050000" + "00ffffcac9c90700")],  # §7.2.3.5, two blocks
        [(FIN | TEXT, "48656c6c6f")],
        [(TEXT, "48656c"), (FIN | CONT, "6c6f")],
    ],
)
def test_the_examples_of_the_rfc(feed: Any, frames: list[tuple[int, str]]) -> None:
    """All of them say Hello, and what comes after is read anew."""
    data = b"".join(masked(head, bytes.fromhex(payload)) for head, payload in frames)
    again = masked(FIN | TEXT, b"plain")
    assert feed(data + again + data) == ([(TEXT, "Hello"), (TEXT, "plain"), (TEXT, "Hello")], None)


def test_an_empty_message(feed: Any) -> None:
    """§7.2.3.6: one zero byte, or none."""
    data = masked(FIN | RSV1 | TEXT, b"\x00") + masked(FIN | RSV1 | BINARY, b"")
    assert feed(data) == ([(TEXT, ""), (BINARY, b"")], None)


def test_control_frames_between_compressed_fragments(feed: Any) -> None:
    """They are never compressed."""
    payload = packed(b"x" * 300)
    data = masked(RSV1 | BINARY, payload[:3]) + masked(FIN | PING, b"p")
    data += masked(CONT, b"") + masked(FIN | CONT, payload[3:])
    assert feed(data) == ([(PING, b"p"), (BINARY, b"x" * 300)], None)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (masked(FIN | RSV1 | PING, b"p"), 1002),
        (masked(FIN | RSV1 | 0x8, b""), 1002),
        (masked(RSV1 | TEXT, b"\x00") + masked(FIN | RSV1 | CONT, b"\x00"), 1002),
        (masked(FIN | RSV1 | CONT, b"\x00"), 1002),
        (masked(FIN | RSV1 | 0x3, b"\x00"), 1002),
        (masked(FIN | RSV1 | 0x20 | TEXT, b"\x00"), 1002),
        (masked(FIN | 0x10 | TEXT, b"\x00"), 1002),
        (frame(RSV1 | TEXT, b"\x00"), 1002),  # not masked
        (masked(FIN | RSV1 | TEXT, b"\xff\xff\xff"), 1007),
        (masked(RSV1 | TEXT, b"\xff\xff") + masked(FIN | CONT, b"\xff"), 1007),
        (masked(FIN | RSV1 | TEXT, packed(b"\xff")), 1007),
        # §7.2.3.2: it refers to a message before
        (masked(FIN | RSV1 | TEXT, bytes.fromhex("f200110000")), 1007),
        (masked(FIN | RSV1 | TEXT, bytes.fromhex("f348cdc9c907000001")), 1007),
        (masked(FIN | RSV1 | TEXT, bytes.fromhex("f348cdc9c9070001")), 1007),
        (masked(FIN | RSV1 | TEXT, packed(b"x" * 1001)), 1009),
        (masked(FIN | RSV1 | TEXT, packed(b"x" * 10**6)), 1009),
        (masked(FIN | RSV1 | TEXT, b"\x00" * 1200), 1009),
    ],
)
def test_violations(feed: Any, data: bytes, code: int) -> None:
    """Each ends the decoding with its close code; what came before is good."""
    before = masked(FIN | RSV1 | TEXT, packed(b"good"))
    after = masked(FIN | TEXT, b"x")
    assert feed(before + data + after) == ([(TEXT, "good")], code)


def test_data_behind_the_end_is_noticed_at_once() -> None:
    """Fragments are not gathered behind a block that was the last."""
    decoder = InflatingDecoder(10**6)
    assert decoder.feed(masked(RSV1 | TEXT, b"\x03\x00")) == []
    assert decoder.error is None
    decoder.feed(masked(CONT, b"more"))
    assert decoder.error is not None
    assert decoder.error.code == 1007


def test_a_message_of_just_the_bound_is_taken(feed: Any) -> None:
    """Also when it does not compress, and is longer on the wire."""
    noise = random.Random(1).randbytes(1000)
    for payload in (b"x" * 1000, noise):
        assert feed(masked(FIN | RSV1 | BINARY, packed(payload))) == ([(BINARY, payload)], None)
    assert len(packed(noise)) > 1000


def test_fragments_are_bounded_together(feed: Any) -> None:
    """The sum of what they hold, and their number."""
    payload = packed(b"x" * 1001)
    pieces = [payload[i : i + 1] for i in range(len(payload))]
    data = masked(RSV1 | TEXT, pieces[0]) + b"".join(masked(CONT, each) for each in pieces[1:])
    assert feed(data) == ([], 1009)
    assert feed(data, max_fragments=3) == ([], 1009)


def test_a_bomb_is_never_held() -> None:
    """64 KB on the wire would be 64 MB; the memory stays at a multiple of the bound."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = bytes(2**20)
    bomb = b"".join(packer.compress(block) for _ in range(64)) + packer.flush()
    assert len(bomb) < 70_000
    data = masked(FIN | RSV1 | BINARY, bomb, mask=bytes(4))
    decoder = InflatingDecoder(1_000_000)
    tracemalloc.start()
    try:
        assert decoder.feed(data) == []
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert decoder.error is not None
    assert decoder.error.code == 1009
    assert peak < 4_000_000


# --- out ------------------------------------------------------------------------------


def test_what_gets_no_smaller_stays_as_it_is() -> None:
    """An empty message, a short one, and noise."""
    for payload in (b"", b"Hello", random.Random(1).randbytes(70_000)):
        frames = frame(TEXT, payload)
        assert ALL(frames) is frames


def test_frames_are_compressed_each_by_itself() -> None:
    """RSV1 on those that get smaller, and nothing of one in another."""
    short, long_, huge = b"a", b"b" * 200, b"c" * 100_000
    frames = ALL(frame(TEXT, long_) + frame(BINARY, short) + frame(BINARY, huge) + frame(TEXT, b""))
    first = frame(RSV1 | TEXT, frames[2 : 2 + frames[1]])
    assert frames.startswith(first + b"\x82\x01a\xc2\x7e")
    assert frames.endswith(b"\x81\x00")
    decoder = InflatingDecoder(100_000, mask_required=False)
    assert decoder.feed(frames) == [
        (TEXT, "b" * 200),
        (BINARY, short),
        (BINARY, huge),
        (TEXT, ""),
    ]


def test_the_threshold_counts_the_bytes_of_a_message() -> None:
    """Each message of a packet by itself."""
    deflate = Deflater(DeflateOptions(threshold=100))
    short, long_ = frame(TEXT, b"a" * 99), frame(BINARY, b"a" * 100)
    assert deflate(short) is short
    assert deflate(short + long_)[: len(short) + 1] == short + b"\xc2"


def test_a_packet_is_compressed_once() -> None:
    """All recipients of a broadcast share one object per form."""
    encoded = Encoded('42["a"]' + " " * 2000, (bytes(5000), b"short"))
    frames = encoded.deflated(ALL)
    assert frames is encoded.deflated(ALL)
    assert frames is not encoded.ws
    assert len(frames) < 200


def test_a_packet_may_say_no() -> None:
    """What is compressed already, or must not be beside secrets."""
    encoded = Encoded('42["a"]' + " " * 2000)
    encoded.compress = False
    assert encoded.deflated(ALL) is encoded.ws


# --- the other implementation ---------------------------------------------------------

_PAYLOADS = st.one_of(
    st.binary(max_size=300),
    st.text(max_size=100).map(str.encode),
    st.integers(0, 70_000).map(lambda size: b"abcdefg" * (size // 7)),
    st.integers(0, 70_000).map(lambda size: random.Random(size).randbytes(size)),
)


@given(
    st.lists(_PAYLOADS, min_size=1, max_size=4),
    st.integers(1, 9),
    st.integers(9, 15),
    st.integers(1, 9),
)
def test_another_implementation_reads_what_is_written(
    payloads: list[bytes], level: int, bits: int, memory: int
) -> None:
    """Message by message, with the window that was promised and none of an earlier one."""
    deflate = Deflater(DeflateOptions(0, level, bits, memory))
    data = deflate(b"".join(frame(BINARY, payload) for payload in payloads))
    reader = PerMessageDeflate(True, True, bits, 15)
    read = []
    while data:
        size, head = data[1], 2
        if size > 125:
            head += 2 if size == 126 else 8
            size = int.from_bytes(data[2:head], "big")
        one = Frame(Opcode.BINARY, data[head : head + size], rsv1=bool(data[0] & RSV1))
        read.append(bytes(reader.decode(one).data))
        data = data[head + size :]
    assert read == payloads


@given(st.lists(st.tuples(_PAYLOADS, st.integers(1, 5)), min_size=1, max_size=3))
def test_what_another_implementation_writes_is_read(messages: list[tuple[bytes, int]]) -> None:
    """Whole and in fragments, cut anywhere after it was compressed."""
    writer, data = peer(), b""
    for payload, pieces in messages:
        step = len(payload) // pieces + 1
        parts = [payload[i : i + step] for i in range(0, len(payload), step)] or [b""]
        for number, part in enumerate(parts):
            opcode = Opcode.CONT if number else Opcode.BINARY
            done = writer.encode(Frame(opcode, part, fin=number == len(parts) - 1))
            head = (FIN if done.fin else 0) | (RSV1 if done.rsv1 else 0) | int(done.opcode)
            data += masked(head, bytes(done.data), mask=bytes(4))
    decoder = InflatingDecoder(100_000)
    assert decoder.feed(data) == [(BINARY, payload) for payload, _ in messages]
    assert decoder.error is None


@given(st.binary(max_size=60), st.binary(max_size=30))
def test_any_compressed_bytes_are_a_message_or_an_error(first: bytes, rest: bytes) -> None:
    """No other exception, and never more than the bound."""
    decoder = InflatingDecoder(100)
    messages = decoder.feed(masked(RSV1 | BINARY, first) + masked(FIN | CONT, rest))
    for opcode, payload in messages:
        assert opcode == BINARY
        assert len(payload) <= 100
    assert len(messages) + (decoder.error is not None) == 1
