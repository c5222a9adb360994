from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_sio.errors import PacketError, PayloadTooBig
from flask_sio.protocol.json_codec import JsonCodec, ModuleCodec
from flask_sio.protocol.sio import (
    ACK,
    BINARY_ACK,
    BINARY_EVENT,
    CONNECT,
    CONNECT_ERROR,
    DISCONNECT,
    EVENT,
    RESERVED,
    Decoder,
    Packet,
    check_name,
    check_namespace,
    encode,
)

FIRST = '{"_placeholder":true,"num":0}'
SECOND = '{"_placeholder":true,"num":1}'


def nested(depth: int, bottom: Any) -> Any:
    """Put lists around a value."""
    for _ in range(depth):
        bottom = [bottom]
    return bottom


def decode(*messages: str | bytes) -> Packet | None:
    """Feed all; return what the last one completes, and check that the others complete nothing."""
    decoder = Decoder()
    *first, last = messages
    for message in first:
        assert decoder.feed(message) is None
    return decoder.feed(last)


# --- reading --------------------------------------------------------------------------


def test_the_types_have_the_numbers_of_the_protocol() -> None:
    """Types are plain integers on the wire."""
    kinds = [CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR, BINARY_EVENT, BINARY_ACK]
    assert kinds == [0, 1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("text", "packet"),
    [
        ("0", Packet(CONNECT)),
        ("0{}", Packet(CONNECT, "/", {})),
        ('0{"token":"123"}', Packet(CONNECT, "/", {"token": "123"})),
        ("0/admin", Packet(CONNECT, "/admin")),
        ("0/admin,", Packet(CONNECT, "/admin")),
        ('0/admin,{"token":"123"}', Packet(CONNECT, "/admin", {"token": "123"})),
        ("0/a?x=1&y=2,", Packet(CONNECT, "/a?x=1&y=2")),
        ("1", Packet(DISCONNECT)),
        ("1/admin", Packet(DISCONNECT, "/admin")),
        ("1/admin,", Packet(DISCONNECT, "/admin")),
        ('2["a"]', Packet(EVENT, "/", ["a"])),
        (
            '2["foo",1,"2",{"3":[true]}]',
            Packet(EVENT, "/", ["foo", 1, "2", {"3": [True]}]),
        ),
        ('2/admin,13["foo"]', Packet(EVENT, "/admin", ["foo"], 13)),
        ('2/admin,["foo"]', Packet(EVENT, "/admin", ["foo"])),
        ('20["foo"]', Packet(EVENT, "/", ["foo"], 0)),
        ('2007["foo"]', Packet(EVENT, "/", ["foo"], 7)),
        ('2/,["x"]', Packet(EVENT, "/", ["x"])),
        ('2/12,12["x"]', Packet(EVENT, "/12", ["x"], 12)),
        ('2/é,["x"]', Packet(EVENT, "/é", ["x"])),
        ("2[1]", Packet(EVENT, "/", [1])),
        ('2["",0]', Packet(EVENT, "/", ["", 0])),
        ('2["message","\\u001e"]', Packet(EVENT, "/", ["message", "\x1e"])),
        ('2["error"]', Packet(EVENT, "/", ["error"])),
        # The reference takes an id anywhere; it means nothing here.
        ("15", Packet(DISCONNECT, "/", None, 5)),
        ('3/admin,13["bar"]', Packet(ACK, "/admin", ["bar"], 13)),
        ("312[]", Packet(ACK, "/", [], 12)),
        ("3[]", Packet(ACK, "/", [])),
        ('4/a,{"message":"no"}', Packet(CONNECT_ERROR, "/a", {"message": "no"})),
        ('4"no"', Packet(CONNECT_ERROR, "/", "no")),
    ],
)
def test_packets_are_read(text: str, packet: Packet) -> None:
    """The grammar, with id 0 as an id and the comma optional at the end (traps 21, 23, 31)."""
    assert decode(text) == packet


@pytest.mark.parametrize(
    "text",
    [
        # no type of the protocol (traps 6 and 22)
        "", "7", "a", "abc", " 2", "-1", "٢[]", "²[]", "/admin,", "[]",
        # attachments (trap 20)
        "5", "6", '5["a"]', '51["a"]', "5a-", '51.5-["a"]', '5-["a"]', '5-1-["a"]',
        '50-["a"]', '500-["a"]', '60-1[]', '511-["a"]', '599999999999999-["a"]',
        '51e1-["a"]', '50x2-["a"]', '5 1-["a"]', '5٣-["a"]',
        # data
        "2[", '2["a"', '2["a"]x', '2["a"]["b"]', "2[NaN]", '2["a",Infinity]', '2["a",-Infinity]',
        "2[undefined]", '2["a",]', '2[\'a\']', '2["a\n"]', '2["a\x00"]',
        # shapes
        "0[]", '0"x"', "0null", "0true", "01[]",
        "1{}", "1[]", "1null", '1/admin,{}',
        "2", "212", "2/admin,", "2/admin", '2{}', '2"a"', "2null", "2[]", "2[null]", "2[true]",
        '2[["a"]]', '2[{"a":1}]', '2/a,[]', '21[]', "25",
        "3", "312", '3{}', '3"a"', "3null", "3/a,1",
        "4", "4[]", "41", "4null", "4/a,",
        # names
        '2["connect"]', '2["connect_error"]', '2["disconnect"]', '2["disconnecting"]',
        '2["newListener"]', '2["removeListener"]', '21["disconnect"]', '2/a,["connect"]',
        '51-["connect"]', '51-/a,1["newListener",{}]',
        # a comma forgotten, and control characters in a namespace (trap 38)
        '2/admin["x"]', '2/admin12["x"]', "0/a\x1eb,", "0/a\n", "0/\x00,{}", '2/a\x7f,["x"]',
        # ids (trap 22)
        '2-1["a"]', '21_0["a"]', '2٣["a"]', '2²["a"]', '21.5["a"]', '21e1["a"]',
        '2123456789012345678901["a"]', f'2{"9" * 5000}["a"]', '2abc["m"]',
    ],
)  # fmt: skip
def test_malformed_packets_are_refused(text: str) -> None:
    """Each of these ends the connection with PacketError (6.4 of the protocol)."""
    with pytest.raises(PacketError):
        decode(text)


def test_a_long_id_is_exact() -> None:
    """Twenty digits are echoed right where JavaScript would round (trap 22)."""
    packet = decode('212345678901234567891["a"]')
    assert packet is not None
    assert packet.id == 12345678901234567891


def test_data_that_is_hard_on_parsers() -> None:
    """Deep nesting and endless integers are invalid payloads, no other error (traps 34, 35)."""
    for payload in ("[" * 100_000, '["a",' + "[" * 100_000, '["a",' + "1" * 5000 + "]"):
        for head in ("2", "2/a,", "3", "51-", "0/a,"):
            with pytest.raises(PacketError):
                decode(head + payload)


def test_numbers_beyond_javascripts() -> None:
    """1e400 is an infinity, -0 is 0, and a long integer stays exact (traps 33 and 34)."""
    packet = decode('2["a",1e400,-0,9007199254740993]')
    assert packet is not None
    assert packet.data == ["a", math.inf, 0, 9007199254740993]


def test_a_lone_surrogate_is_taken() -> None:
    """Python has no trouble with it before it writes it (trap 10)."""
    assert decode('2["\\ud800"]') == Packet(EVENT, "/", ["\ud800"])


@pytest.mark.parametrize(
    ("messages", "packet"),
    [
        ((f'51-["baz",{FIRST}]', b"\x01"), Packet(EVENT, "/", ["baz", b"\x01"])),
        (
            (f'52-/admin,7["baz",{FIRST},{{"k":[{SECOND}]}}]', b"a", b""),
            Packet(EVENT, "/admin", ["baz", b"a", {"k": [b""]}], 7),
        ),
        ((f"61-15[{FIRST}]", b"\x01"), Packet(ACK, "/", [b"\x01"], 15)),
        # Any order, the same one twice, some not at all (6.3).
        ((f'52-["a",{SECOND},{FIRST}]', b"0", b"1"), Packet(EVENT, "/", ["a", b"1", b"0"])),
        ((f'51-["a",{FIRST},{FIRST}]', b"0"), Packet(EVENT, "/", ["a", b"0", b"0"])),
        (('52-["a"]', b"0", b"1"), Packet(EVENT, "/", ["a"])),
        # Further keys go; only true makes a placeholder (trap 24).
        (
            ('51-["a",{"_placeholder":true,"num":0,"x":1}]', b"0"),
            Packet(EVENT, "/", ["a", b"0"]),
        ),
        (
            ('51-["a",{"_placeholder":1,"num":0},{"_placeholder":"true"},{"num":0}]', b"0"),
            Packet(
                EVENT,
                "/",
                ["a", {"_placeholder": 1, "num": 0}, {"_placeholder": "true"}, {"num": 0}],
            ),
        ),
    ],
)
def test_binary_packets_are_put_together(messages: tuple[str | bytes, ...], packet: Packet) -> None:
    """A packet comes out with its last attachment, and as EVENT or ACK."""
    assert decode(*messages) == packet


def test_placeholders_in_a_plain_packet_are_data() -> None:
    """Only binary packets are reconstructed."""
    assert decode(f'2["a",{FIRST}]') == Packet(EVENT, "/", ["a", {"_placeholder": True, "num": 0}])


@pytest.mark.parametrize("num", ["1", "-1", "true", "false", "0.0", '"0"', "null", "[]", "1e0"])
def test_a_placeholder_needs_the_number_of_an_attachment(num: str) -> None:
    """Python's -1 and True must not find one (trap 24)."""
    decoder = Decoder()
    assert decoder.feed(f'51-["a",{{"_placeholder":true,"num":{num}}}]') is None
    with pytest.raises(PacketError):
        decoder.feed(b"x")


def test_a_placeholder_without_a_number_is_refused() -> None:
    """``num`` is not optional."""
    decoder = Decoder()
    decoder.feed('51-["a",{"_placeholder":true}]')
    with pytest.raises(PacketError):
        decoder.feed(b"x")


def test_a_name_is_checked_before_the_attachments() -> None:
    """A placeholder is no name, while an ACK may begin with one (trap 29)."""
    with pytest.raises(PacketError):
        decode(f"51-[{FIRST}]")
    assert decode(f"61-1[{FIRST}]", b"x") == Packet(ACK, "/", [b"x"], 1)


def test_text_while_attachments_are_due_is_refused() -> None:
    """Header and attachments are contiguous (trap 26)."""
    for text in ('2["b"]', "0", ""):
        decoder = Decoder()
        decoder.feed('51-["a"]')
        with pytest.raises(PacketError):
            decoder.feed(text)


def test_an_attachment_nobody_announced_is_refused() -> None:
    """Before any packet, and after one that is complete."""
    decoder = Decoder()
    with pytest.raises(PacketError):
        decoder.feed(b"")
    assert decoder.feed('51-["a"]') is None
    assert decoder.feed(b"x") == Packet(EVENT, "/", ["a"])
    with pytest.raises(PacketError):
        decoder.feed(b"x")


def test_attachments_are_counted() -> None:
    """Ten by default, as in the reference; the limit can be set."""
    assert Decoder().feed('510-["a"]') is None
    with pytest.raises(PacketError):
        Decoder().feed('511-["a"]')
    assert Decoder(max_attachments=12).feed('512-["a"]') is None
    with pytest.raises(PacketError):
        Decoder(max_attachments=0).feed('51-["a"]')


def test_attachments_are_bounded_in_bytes() -> None:
    """All of one packet together; the next packet starts from nothing (trap 27)."""
    decoder = Decoder(max_bytes=10)
    for _ in range(2):
        decoder.feed('52-["a"]')
        decoder.feed(b"x" * 5)
        assert decoder.feed(b"x" * 5) == Packet(EVENT, "/", ["a"])
    decoder.feed('52-["a"]')
    decoder.feed(b"x" * 5)
    with pytest.raises(PayloadTooBig):
        decoder.feed(b"x" * 6)


def test_an_error_lets_the_attachments_go() -> None:
    """What had come in is not kept for a connection that is to be closed."""
    decoder = Decoder()
    decoder.feed('52-["a"]')
    decoder.feed(b"x")
    with pytest.raises(PacketError):
        decoder.feed('2["b"]')
    assert decoder._attachments == []
    assert decoder._header is None


def test_other_bytes_like_attachments_are_copied() -> None:
    """A buffer that is used again cannot change a packet."""
    decoder = Decoder()
    buffer = bytearray(b"x")
    decoder.feed(f'52-["a",{FIRST},{SECOND}]')
    decoder.feed(buffer)  # type: ignore[arg-type]
    buffer[:] = b"y"
    assert decoder.feed(b"z") == Packet(EVENT, "/", ["a", b"x", b"z"])


def test_deep_data_around_an_attachment() -> None:
    """Reconstruction ends with a packet or PacketError (trap 35)."""
    for depth in (100, 500, 900, 1500, 5000):
        decoder = Decoder()
        try:
            decoder.feed('51-["a",' + "[" * depth + FIRST + "]" * depth + "]")
            packet = decoder.feed(b"x")
        except PacketError:
            continue
        assert packet is not None
        assert packet.data[0] == "a"


def test_a_users_json_module_reads_too() -> None:
    """Its errors are invalid payloads, whatever they are."""
    decoder = Decoder(codec=ModuleCodec(json))
    assert decoder.feed('2["a",NaN]') is not None
    for bad in ('2["a"', '2/a,["a"', "2[" * 2):
        with pytest.raises(PacketError):
            decoder.feed(bad)


# --- writing --------------------------------------------------------------------------


@pytest.fixture(params=[True, False], ids=["orjson", "stdlib"])
def codec(request: pytest.FixtureRequest) -> JsonCodec:
    """Each library; without orjson both are the standard one."""
    return JsonCodec(use_orjson=request.param)


@pytest.mark.parametrize(
    ("packet", "text"),
    [
        (Packet(CONNECT), "40"),
        (Packet(CONNECT, "/", {"sid": "wZX3oN0bSVIhsaknAAAI"}), '40{"sid":"wZX3oN0bSVIhsaknAAAI"}'),
        (Packet(CONNECT, "/admin", {"sid": "o"}), '40/admin,{"sid":"o"}'),
        (Packet(DISCONNECT), "41"),
        (Packet(DISCONNECT, "/admin"), "41/admin,"),
        (Packet(EVENT, "/", ["foo", 1, "2", {"3": [True]}]), '42["foo",1,"2",{"3":[true]}]'),
        (Packet(EVENT, "/", ("foo", None)), '42["foo",null]'),
        (Packet(EVENT, "/admin", ["foo"], 13), '42/admin,13["foo"]'),
        (Packet(EVENT, "/", ["foo"], 0), '420["foo"]'),
        (Packet(EVENT, "/", [7]), "42[7]"),
        (Packet(EVENT, "/", ["message", "\x1e"]), '42["message","\\u001e"]'),
        (Packet(EVENT, "/", ["a", float("nan")]), '42["a",null]'),
        (Packet(EVENT, "/", ["a", "\ud800"]), '42["a","\\ud800"]'),
        (Packet(ACK, "/", [], 12), "4312[]"),
        (Packet(ACK, "/admin", ["bar"], 13), '43/admin,13["bar"]'),
        (
            Packet(CONNECT_ERROR, "/admin", {"message": "Not authorized", "data": {"code": 1}}),
            '44/admin,{"message":"Not authorized","data":{"code":1}}',
        ),
    ],
)
def test_packets_are_written(codec: JsonCodec, packet: Packet, text: str) -> None:
    """The comma after a namespace is always there, id 0 is written (trap 21)."""
    encoded = encode(packet, codec)
    assert encoded.text == text
    assert encoded.attachments == ()


@pytest.mark.parametrize(
    ("packet", "text", "attachments"),
    [
        (Packet(EVENT, "/", ["baz", b"\x01"]), f'451-["baz",{FIRST}]', (b"\x01",)),
        (
            Packet(EVENT, "/admin", ["baz", bytearray(b"a"), {"k": memoryview(b"")}], 7),
            f'452-/admin,7["baz",{FIRST},{{"k":{SECOND}}}]',
            (b"a", b""),
        ),
        (Packet(ACK, "/", ["bar", b"x"], 15), f'461-15["bar",{FIRST}]', (b"x",)),
        (Packet(ACK, "/a", [b"x"], 0), f"461-/a,0[{FIRST}]", (b"x",)),
    ],
)
def test_bytes_make_a_binary_packet(
    codec: JsonCodec, packet: Packet, text: str, attachments: tuple[bytes, ...]
) -> None:
    """Any bytes-like value counts, in depth-first order (trap 37)."""
    encoded = encode(packet, codec)
    assert encoded.text == text
    assert encoded.attachments == attachments


def test_the_polling_and_websocket_forms_of_a_binary_event() -> None:
    """Both transports, byte for byte (6.3)."""
    encoded = encode(Packet(EVENT, "/", ["a", b"\x01\x02\x03"]))
    assert encoded.polling == (f'451-["a",{FIRST}]', "bAQID")
    assert encoded.ws == b'\x81\x27451-["a",{"_placeholder":true,"num":0}]\x82\x03\x01\x02\x03'


def test_a_buffer_is_copied_when_it_is_emitted() -> None:
    """Changing it afterwards changes nothing on the wire (trap 37)."""
    buffer = bytearray(b"abc")
    data = ["a", buffer]
    encoded = encode(Packet(EVENT, "/", data))
    buffer[:] = b"xyz"
    assert encoded.attachments == (b"abc",)
    assert data == ["a", bytearray(b"xyz")]


@pytest.mark.parametrize(
    "data",
    [
        None,
        "a",
        {"a": 1},
        5,
        b"x",
        [],
        (),
        {"a"},
        [None],
        [b"a"],
        [True],
        [["a"]],
        ["a", {1}],
        ["a", object()],
        ["a", {(1,): 2}],
    ],
)
def test_events_that_cannot_be_sent_are_type_errors(codec: JsonCodec, data: Any) -> None:
    """The caller is told before anything is queued (trap 36)."""
    with pytest.raises(TypeError):
        encode(Packet(EVENT, "/", data), codec)


@pytest.mark.parametrize("data", [None, "a", {"a": 1}, b"x", [{1}]])
def test_acks_that_cannot_be_sent_are_type_errors(codec: JsonCodec, data: Any) -> None:
    """An acknowledgement is an array, of JSON."""
    with pytest.raises(TypeError):
        encode(Packet(ACK, "/", data, 1), codec)


def test_bytes_belong_in_events_only(codec: JsonCodec) -> None:
    """CONNECT and CONNECT_ERROR have no binary form."""
    for kind in (CONNECT, CONNECT_ERROR):
        with pytest.raises(TypeError):
            encode(Packet(kind, "/", {"a": b"x"}), codec)


def test_data_too_deep_is_a_type_error(codec: JsonCodec) -> None:
    """Not a RecursionError (trap 35)."""
    deep = nested(100_000, "x")
    with pytest.raises(TypeError):
        encode(Packet(EVENT, "/", ["a", deep]), codec)


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_reserved_names_are_not_sent(name: str) -> None:
    """A JavaScript client would drop the link; ACK arguments are free (trap 30)."""
    with pytest.raises(ValueError, match="reserved"):
        encode(Packet(EVENT, "/", [name]))
    with pytest.raises(ValueError, match="reserved"):
        check_name(name)
    assert encode(Packet(ACK, "/", [name], 1)).text == f'431["{name}"]'


def test_the_reserved_names() -> None:
    """Those of revision 5."""
    names = "connect connect_error disconnect disconnecting newListener removeListener"
    assert frozenset(names.split()) == RESERVED


@pytest.mark.parametrize("name", ["error", "connection", "message", "", "é", 5])
def test_other_names_are_fine(name: str | int) -> None:
    """``error`` and ``message`` are nobody's."""
    check_name(name)


@pytest.mark.parametrize("name", [None, True, b"a", 1.5, ("a",), ["a"]])
def test_a_name_is_text_or_a_whole_number(name: Any) -> None:
    """Anything else is a mistake of the caller's."""
    with pytest.raises(TypeError):
        check_name(name)


@pytest.mark.parametrize("name", ["/", "/a", "/a/b", "/a?x=1", "/é", "/with space"])
def test_good_namespaces(name: str) -> None:
    """A slash, then nearly anything."""
    check_namespace(name)


@pytest.mark.parametrize(
    "name", ["", "a", "/a,b", "/\x1e", "/a\n", "/\x00", "/\x7f", ",", "a/", "/\x9b", "/\u2028"]
)
def test_namespaces_that_cannot_be_written(name: str) -> None:
    """A comma ends the name and 0x1E the packet (traps 23 and 38)."""
    with pytest.raises(ValueError):
        check_namespace(name)
    with pytest.raises(ValueError):
        encode(Packet(EVENT, name, ["a"]))


def test_a_users_json_module_writes_too() -> None:
    """Its text, our placeholders."""
    encoded = encode(Packet(EVENT, "/", ["a", b"x", float("inf")]), ModuleCodec(json))
    assert encoded.text == f'451-["a",{FIRST},Infinity]'
    assert encoded.attachments == (b"x",)


# --- properties -----------------------------------------------------------------------

_TEXTS = st.text(max_size=6)
_DATA = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | _TEXTS
    | st.binary(max_size=4)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(_TEXTS.filter(lambda key: key != "_placeholder"), inner, max_size=4)
    ),
    max_leaves=8,
)
_NAMES = st.text(max_size=8).filter(lambda name: name not in RESERVED) | st.integers()
_NAMESPACES = st.just("/") | st.text(
    st.characters(exclude_characters=",", exclude_categories=["Cs", "Cc", "Zl", "Zp"])
).map(lambda name: "/" + name)
_IDS = st.none() | st.integers(0, 10**20 - 1)
_PACKETS = st.one_of(
    st.builds(
        Packet,
        st.just(EVENT),
        _NAMESPACES,
        st.builds(lambda name, args: [name, *args], _NAMES, st.lists(_DATA, max_size=4)),
        _IDS,
    ),
    st.builds(Packet, st.just(ACK), _NAMESPACES, st.lists(_DATA, max_size=4), _IDS),
    st.builds(Packet, st.just(CONNECT), _NAMESPACES, st.none() | st.just({"sid": "x"})),
    st.builds(Packet, st.just(DISCONNECT), _NAMESPACES),
)


@given(st.lists(_PACKETS, max_size=3), st.booleans())
def test_what_is_written_can_be_read(packets: list[Packet], use_orjson: bool) -> None:
    """One decoder gives back every packet, from its header and attachments."""
    codec, decoder = JsonCodec(use_orjson), Decoder(max_attachments=1000)
    for packet in packets:
        encoded = encode(packet, codec)
        messages: list[str | bytes] = [encoded.text[1:], *encoded.attachments]
        results = [decoder.feed(message) for message in messages]
        assert results == [None] * len(encoded.attachments) + [packet]


_TEXT_MESSAGES = st.one_of(
    st.text(),
    st.text('0123456789-/a,["]{}:. '),
    st.builds(
        "{}{}{}{}".format,
        st.sampled_from([*"0123456", "51-", "52-", "61-", "50-", "5-"]),
        st.sampled_from(["", "/", "/a", "/a,", ","]),
        st.sampled_from(["", "0", "12", "9" * 30]),
        st.sampled_from(
            ["", "[]", "{}", '["a"]', f'["a",{FIRST}]', f"[{SECOND}]", "null", "[NaN]", '["a']
        ),
    ),
)


@given(st.lists(st.one_of(_TEXT_MESSAGES, st.binary(max_size=5)), max_size=6))
def test_any_messages_give_packets_or_a_packet_error(messages: list[str | bytes]) -> None:
    """Nothing a client sends raises anything else, and what comes out has its shape."""
    decoder = Decoder(max_bytes=8)
    try:
        packets = [decoder.feed(message) for message in messages]
    except PacketError:
        return
    for packet in packets:
        if packet is not None:
            assert packet.type in (CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR)
            assert packet.namespace.startswith("/")
            if packet.type == EVENT:
                assert type(packet.data[0]) in (str, int, float)
