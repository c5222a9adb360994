from __future__ import annotations

import itertools
import struct
import sys
import types
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_sio.protocol import websocket
from flask_sio.protocol.websocket import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    TEXT,
    Decoder,
    Message,
    close_frame,
    frame,
)

MASK = b"\x37\xfa\x21\x3d"


def masked(head: int, payload: bytes = b"", mask: bytes = MASK) -> bytes:
    """Make a client's frame, as RFC 6455 §5.3 says it, byte by byte."""
    size = len(payload)
    if size < 126:
        length = struct.pack("!B", 0x80 | size)
    elif size < 65536:
        length = struct.pack("!BH", 0xFE, size)
    else:
        length = struct.pack("!BQ", 0xFF, size)
    body = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
    return bytes([head]) + length + mask + body


def decode(data: bytes, **options: Any) -> tuple[list[Message], int | None]:
    """Feed it whole; return the messages and the error's code."""
    decoder = Decoder(**{"max_message_bytes": 1000, **options})
    messages = decoder.feed(data)
    return messages, decoder.error.code if decoder.error else None


def decode_bytewise(data: bytes, **options: Any) -> tuple[list[Message], int | None]:
    """Feed it one byte at a time."""
    decoder = Decoder(**{"max_message_bytes": 1000, **options})
    messages = [message for i in range(len(data)) for message in decoder.feed(data[i : i + 1])]
    return messages, decoder.error.code if decoder.error else None


@pytest.fixture(params=[decode, decode_bytewise], ids=["whole", "bytewise"])
def feed(request: pytest.FixtureRequest) -> Callable[..., tuple[list[Message], int | None]]:
    """Both ways in which bytes may arrive."""
    found: Callable[..., tuple[list[Message], int | None]] = request.param
    return found


Feed = Callable[..., "tuple[list[Message], int | None]"]


# --- what we send ---------------------------------------------------------------------


def test_a_small_frame() -> None:
    """The unmasked "Hello" of RFC 6455 §5.7."""
    assert frame(TEXT, b"Hello") == b"\x81\x05Hello"


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (0, b"\x82\x00"),
        (125, b"\x82\x7d"),
        (126, b"\x82\x7e\x00\x7e"),
        (65535, b"\x82\x7e\xff\xff"),
        (65536, b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_the_length_takes_the_fewest_bytes(size: int, head: bytes) -> None:
    """One, three or nine bytes of length, by size."""
    assert frame(BINARY, b"x" * size) == head + b"x" * size


def test_control_frames() -> None:
    """Pings and pongs carry their payload."""
    assert frame(PING, b"a") == b"\x89\x01a"
    assert frame(PONG, b"") == b"\x8a\x00"


def test_a_close_frame_without_a_code_is_empty() -> None:
    """The usual close; the peer reads 1005."""
    assert close_frame() == b"\x88\x00"


def test_a_close_frame_with_code_and_reason() -> None:
    """The code is big endian, the reason UTF-8."""
    assert close_frame(1001) == b"\x88\x02\x03\xe9"
    assert close_frame(1002, "bé") == b"\x88\x05\x03\xeab\xc3\xa9"


def test_a_long_reason_is_cut_between_characters() -> None:
    """A control frame holds 125 bytes; half a character would be invalid."""
    assert close_frame(1000, "é" * 100) == b"\x88\x7c\x03\xe8" + b"\xc3\xa9" * 61


# --- what we take ---------------------------------------------------------------------


def test_the_masked_frame_of_the_rfc(feed: Feed) -> None:
    """The masked "Hello" of RFC 6455 §5.7."""
    assert feed(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58") == ([(TEXT, "Hello")], None)


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 124, 125, 126, 127, 1000])
@pytest.mark.parametrize("head", [0x81, 0x82])
def test_messages_of_every_length_form(feed: Feed, head: int, size: int) -> None:
    """Lengths around the borders of the header's forms, and an empty message (trap 5)."""
    wanted: str | bytes = "x" * size if head == 0x81 else b"x" * size
    assert feed(masked(head, b"x" * size)) == ([(head & 0xF, wanted)], None)


def test_a_message_of_the_longest_form() -> None:
    """65536 bytes need the 64-bit length."""
    messages, error = decode(masked(0x82, b"x" * 65536), max_message_bytes=65536)
    assert (messages, error) == ([(BINARY, b"x" * 65536)], None)


def test_many_frames_in_one_chunk(feed: Feed) -> None:
    """All messages of a chunk come out, in order."""
    data = masked(0x81, b"a") + masked(0x89, b"p") + masked(0x82, b"b") + masked(0x8A)
    assert feed(data) == ([(TEXT, "a"), (PING, b"p"), (BINARY, b"b"), (PONG, b"")], None)


def test_a_chunk_may_end_inside_a_frame() -> None:
    """The rest is kept, and the fast path does not overtake it."""
    decoder = Decoder(1000)
    data = masked(0x81, b"first") + masked(0x81, b"second")
    assert decoder.feed(data[:15]) == [(TEXT, "first")]
    # The rest of a frame that looks like a whole one by itself.
    inner = masked(0x81, b"hey")
    outer = masked(0x82, inner, mask=bytes(4))
    assert decoder.feed(data[15:]) == [(TEXT, "second")]
    assert decoder.feed(outer[:6]) == []
    assert decoder.feed(outer[6:]) == [(BINARY, inner)]
    assert decoder.feed(masked(0x81, b"on")) == [(TEXT, "on")]
    assert decoder.error is None


def test_fragments_make_one_message(feed: Feed) -> None:
    """The type is in the first fragment (trap 12); empty fragments are fine."""
    data = masked(0x02, b"a") + masked(0x00) + masked(0x00, b"b") + masked(0x80, b"c")
    assert feed(data) == ([(BINARY, b"abc")], None)


def test_control_frames_may_come_between_fragments(feed: Feed) -> None:
    """They are delivered at once, the message when it is whole."""
    data = masked(0x01, b"He") + masked(0x89, b"!") + masked(0x80, b"llo") + masked(0x81, b"x")
    assert feed(data) == ([(PING, b"!"), (TEXT, "Hello"), (TEXT, "x")], None)


def test_a_small_text_frame_cannot_pass_an_open_message() -> None:
    """The fast path does not apply while fragments are due."""
    decoder = Decoder(1000)
    assert decoder.feed(masked(0x01, b"He")) == []
    assert decoder.feed(masked(0x81, b"x")) == []
    assert decoder.error is not None
    assert decoder.error.code == 1002


def test_a_character_may_span_fragments(feed: Feed) -> None:
    """UTF-8 is checked over the whole message (trap 11)."""
    euro = "€".encode()
    data = masked(0x01, euro[:1]) + masked(0x00, euro[1:2]) + masked(0x80, euro[2:])
    assert feed(data) == ([(TEXT, "€")], None)


@pytest.mark.parametrize(
    "payload", [b"\xff", b"\xc3", b"a\xc0\xaf", b"\xed\xa0\x80", b"\xf5\x80\x80\x80"]
)
def test_text_that_is_not_utf_8_ends_with_1007(feed: Feed, payload: bytes) -> None:
    """Overlong forms, surrogates and cut characters are invalid; binary may be anything."""
    good = masked(0x81, b"good")
    assert feed(good + masked(0x81, payload)) == ([(TEXT, "good")], 1007)
    assert feed(masked(0x01, payload) + masked(0x80)) == ([], 1007)
    assert feed(masked(0x82, payload)) == ([(BINARY, payload)], None)


@pytest.mark.parametrize(
    "data",
    [
        b"\x81\x05Hello",
        masked(0xC1, b"x"),
        masked(0xA1, b"x"),
        masked(0x91, b"x"),
        masked(0x83, b"x"),
        masked(0x87, b"x"),
        masked(0x8B, b"x"),
        masked(0x8F, b"x"),
        masked(0x09, b"x"),
        masked(0x08),
        masked(0x0A),
        masked(0x89, b"x" * 126),
        masked(0x80, b"x"),
        masked(0x00, b"x"),
        masked(0x01, b"x") + masked(0x81, b"y"),
        masked(0x02, b"x") + masked(0x02, b"y"),
        b"\x81\xfe\x00\x7d" + MASK,
        b"\x82\xff\x00\x00\x00\x00\x00\x00\xff\xff" + MASK,
        b"\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00" + MASK,
        masked(0x88, b"\x03"),
        masked(0x88, b"\x03\xe7"),
        masked(0x88, b"\x03\xec"),
        masked(0x88, b"\x03\xed"),
        masked(0x88, b"\x03\xee"),
        masked(0x88, b"\x03\xf7"),
        masked(0x88, b"\x0b\xb7"),
        masked(0x88, b"\x13\x88"),
        masked(0x88, b"\x00\x00"),
    ],
)
def test_violations_end_with_1002(feed: Feed, data: bytes) -> None:
    """Masking, reserved bits, opcodes, fragments, lengths and close codes are checked."""
    assert feed(masked(0x81, b"good") + data) == ([(TEXT, "good")], 1002)


def test_a_server_of_ours_must_not_mask() -> None:
    """The client's side takes unmasked frames only."""
    assert decode(b"\x81\x05Hello", mask_required=False) == ([(TEXT, "Hello")], None)
    assert decode(masked(0x81, b"Hello"), mask_required=False) == ([], 1002)


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"", None),
        (b"\x03\xe8", None),
        (b"\x03\xe9bye", None),
        (b"\x03\xf6", None),
        (b"\x0b\xb8", None),
        (b"\x13\x87\xc3\xa9", None),
        (b"\x03\xe8\xff", 1007),
    ],
)
def test_a_close_is_checked_and_comes_last(feed: Feed, payload: bytes, code: int | None) -> None:
    """A close comes out with its payload, to be echoed; what follows is dropped."""
    messages = [] if code else [(CLOSE, payload)]
    assert feed(masked(0x88, payload) + masked(0x81, b"late")) == (messages, code)


def test_nothing_is_taken_after_an_error_or_a_close() -> None:
    """Later bytes are dropped, the small frames of the fast path too."""
    for last in (masked(0x83), masked(0x88)):
        decoder = Decoder(1000)
        decoder.feed(last)
        assert decoder.feed(masked(0x81, b"late")) == []
        assert decoder.feed(masked(0x82, b"late")) == []


@pytest.mark.parametrize("head", [0x81, 0x82, 0x01])
@pytest.mark.parametrize(("limit", "size"), [(10, 11), (1000, 1001), (0, 1)])
def test_a_message_too_big_is_refused_at_its_header(head: int, limit: int, size: int) -> None:
    """1009 before a byte of it was taken; the limit itself is fine."""
    header = masked(head, b"x" * size)[: 2 if size < 126 else 4]
    assert decode(header, max_message_bytes=limit) == ([], 1009)
    assert decode(masked(0x82, b"x" * limit), max_message_bytes=limit)[1] is None


def test_the_limit_holds_for_the_sum_of_the_fragments(feed: Feed) -> None:
    """Ten bytes in two fragments are too many for nine (trap 12)."""
    data = masked(0x01, b"x" * 5) + masked(0x89, b"p" * 100) + masked(0x80, b"x" * 5)
    assert feed(data, max_message_bytes=10) == ([(PING, b"p" * 100), (TEXT, "x" * 10)], None)
    assert feed(data, max_message_bytes=9) == ([(PING, b"p" * 100)], 1009)


def test_fragments_are_counted(feed: Feed) -> None:
    """Empty fragments cannot go on for ever; the count starts anew with each message."""
    data = masked(0x01) + masked(0x00) + masked(0x80)
    assert feed(data * 3, max_fragments=3) == ([(TEXT, "")] * 3, None)
    assert feed(data * 3, max_fragments=2) == ([], 1009)


def test_both_ways_of_unmasking_agree() -> None:
    """The C function of ``websockets`` and the long integers do the same."""
    for size in (0, 1, 4, 7, 1000):
        data = bytes(i % 251 for i in range(size))
        wanted = bytes(byte ^ MASK[i % 4] for i, byte in enumerate(data))
        assert websocket._unmask_by_int(data, MASK) == wanted
        assert websocket._unmask(data, MASK) == wanted


def test_it_works_without_the_websockets_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """The C function is optional: the module loads without it and decodes the same."""
    monkeypatch.setitem(sys.modules, "websockets.speedups", None)
    alone = types.ModuleType("websocket_alone")
    assert websocket.__file__
    with open(websocket.__file__, encoding="utf-8") as file:
        exec(compile(file.read(), websocket.__file__, "exec"), alone.__dict__)
    assert alone._unmask is alone._unmask_by_int
    data = masked(0x81, b"Hello") + masked(0x82, b"x" * 1000)
    assert alone.Decoder(1000).feed(data) == [(TEXT, "Hello"), (BINARY, b"x" * 1000)]


# --- properties -----------------------------------------------------------------------

_MASKS = st.binary(min_size=4, max_size=4)
_CONTROLS = st.builds(masked, st.sampled_from([0x89, 0x8A]), st.binary(max_size=125), _MASKS)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Draw what a correct client could send, with at most one frame that is wrong."""
    data = b""
    for _ in range(draw(st.integers(0, 4))):
        if draw(st.booleans()):
            payload, head = draw(st.text(max_size=150)).encode(), TEXT
        else:
            payload, head = draw(st.binary(max_size=150)), BINARY
        cuts = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=3)))
        parts = [payload[a:b] for a, b in zip([0, *cuts], [*cuts, len(payload)], strict=True)]
        for number, part in enumerate(parts):
            fin = 0x80 if number == len(parts) - 1 else 0
            data += masked(fin | (CONT if number else head), part, draw(_MASKS))
            if draw(st.booleans()):
                data += draw(_CONTROLS)
    wrong = [
        masked(0x81, b"\xff"),
        masked(0x80, b"x"),
        masked(0x83, b"x"),
        masked(0xC1, b"x"),
        masked(0x09, b"x"),
        b"\x81\x01x",
        masked(0x81, b"x" * 1001),
        masked(0x88, b"\x03\xe8bye"),
        masked(0x88, b"\x03\xec"),
        masked(0x88, b"\x03\xe8\xff"),
    ]
    return data + draw(st.sampled_from([b"", *wrong]))


def chunks(data: bytes, cuts: list[int]) -> list[bytes]:
    """Cut ``data`` at these places, as far as it reaches."""
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


@given(
    st.one_of(streams(), st.binary(max_size=300), st.builds(bytes.__add__, streams(), st.binary())),
    st.lists(st.integers(0, 500), max_size=6),
)
def test_how_the_bytes_arrive_makes_no_difference(data: bytes, cuts: list[int]) -> None:
    """Any bytes, whole, by the byte or in any chunks, give the same and never raise."""
    whole = decode(data)
    assert decode_bytewise(data) == whole
    decoder = Decoder(1000)
    messages = [message for chunk in chunks(data, cuts) for message in decoder.feed(chunk)]
    assert (messages, decoder.error.code if decoder.error else None) == whole


def by_websockets(data: bytes) -> tuple[list[Message], int | None]:
    """Decode with the ``websockets`` package, up to its first complaint."""
    server = pytest.importorskip("websockets.server")
    exceptions = pytest.importorskip("websockets.exceptions")
    state = pytest.importorskip("websockets.protocol").State.OPEN
    protocol = server.ServerProtocol(state=state, max_size=1000)
    protocol.receive_data(data)
    messages: list[Message] = []
    opcode, parts = CONT, b""
    for event in protocol.events_received():
        payload = bytes(event.data)
        if event.opcode >= CLOSE:
            messages.append((int(event.opcode), payload))
            continue
        if event.opcode != CONT:
            opcode, parts = int(event.opcode), b""
        parts += payload
        if event.fin:
            try:
                messages.append((opcode, parts.decode() if opcode == TEXT else parts))
            except UnicodeDecodeError:  # left to its upper layers
                return messages, 1007
    error = protocol.parser_exc
    if error is None or isinstance(error, EOFError):
        return messages, None
    codes = {exceptions.PayloadTooBig: 1009, UnicodeDecodeError: 1007}
    return messages, codes.get(type(error), 1002)


@given(streams())
def test_the_decoder_agrees_with_websockets(data: bytes) -> None:
    """Same messages and same close code as the best-tested decoder there is."""
    messages, error = by_websockets(data)
    if error and messages and messages[-1][0] == CLOSE:
        messages.pop()  # it hands a bad close on before it complains
    assert decode(data) == (messages, error)


@given(st.sampled_from([TEXT, BINARY, PING, PONG]), st.integers(0, 70000), st.randoms())
def test_websockets_can_read_our_frames(opcode: int, size: int, random: Any) -> None:
    """A frame of ours is what its serialisation of the same frame is."""
    frames = pytest.importorskip("websockets.frames")
    payload = bytes(random.randrange(32, 127) for _ in range(min(size, 125))) * (size // 125 or 1)
    if opcode >= CLOSE:
        payload = payload[:125]
    theirs = frames.Frame(frames.Opcode(opcode), payload).serialize(mask=False)
    assert frame(opcode, payload) == theirs


def test_what_a_frame_still_needs_is_known() -> None:
    """Its head first, then its end; nothing between two frames."""
    decoder = Decoder(1_000_000)
    whole = masked(0x80 | BINARY, bytes(100_000))
    assert decoder.awaited() == 0
    decoder.feed(whole[:1])
    assert decoder.awaited() == 1
    decoder.feed(whole[1:2000])
    assert decoder.awaited() == len(whole) - 2000
    assert len(decoder.feed(whole[2000:])) == 1
    assert decoder.awaited() == 0
