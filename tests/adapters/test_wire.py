"""Messages and replies as bytes: what goes in comes out, and nothing else does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_sio.adapters.adapter import BroadcastOptions, SocketRecord
from flask_sio.adapters.bus import KINDS, REPLIES, Message, Reply
from flask_sio.adapters.rooms import UserRoom
from flask_sio.adapters.wire import decode, encode
from flask_sio.errors import ProtocolError

TEXT = st.text(max_size=8)
PLAIN = st.one_of(TEXT, st.integers(-(2**53), 2**53))
ROOM = st.one_of(PLAIN, st.tuples(PLAIN, PLAIN), TEXT.map(UserRoom))
ROOMS = st.lists(ROOM, max_size=3).map(tuple)
OPTIONS = st.builds(
    BroadcastOptions,
    st.one_of(st.none(), ROOMS),
    ROOMS,
    local=st.just(False),  # one that is local is not sent
    volatile=st.booleans(),
    compress=st.booleans(),
    coalesce=st.one_of(st.none(), ROOM),
)
BODY = st.tuples(st.text(), st.lists(st.binary(), max_size=2).map(tuple))
MESSAGE = st.builds(
    Message,
    st.sampled_from(KINDS),
    TEXT,
    OPTIONS,
    st.one_of(st.none(), BODY),
    ROOMS,
    st.booleans(),
    TEXT,
    st.one_of(st.none(), st.integers(0, 2**53)),
    st.booleans(),
)
VALUE = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), TEXT, st.binary()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=8,
)
RESULT = st.one_of(
    st.none(),
    st.lists(VALUE, max_size=3),
    st.dictionaries(ROOM, st.integers(0, 100), max_size=3),
    st.lists(
        st.builds(
            SocketRecord, TEXT, ROOMS, st.dictionaries(TEXT, TEXT), st.dictionaries(TEXT, VALUE)
        ),
        max_size=2,
    ),
)
REPLY = st.builds(
    Reply,
    st.integers(0, 2**53),
    TEXT,
    st.sampled_from(REPLIES),
    st.lists(TEXT, max_size=3).map(tuple),
    RESULT,
)


@given(st.one_of(MESSAGE, REPLY))
def test_what_goes_in_comes_out(value: Any) -> None:
    """Rooms keep their types, bodies their attachments, results what they are of."""
    assert decode(encode(value)) == value


def test_the_bytes_of_a_message() -> None:
    """A version, the head, the text that clients get, its attachments: each with its size."""
    options = BroadcastOptions(("room", 7, UserRoom("ada")), ("sid",), volatile=True)
    body = ('["hi",{"_placeholder":true,"num":0}]', (b"\x00\xff",))
    message = Message("emit", "/", options, body, sender="me", request=3)
    head = (
        b'["message","emit","/",[["room",7,["user","ada"]],["sid"],true,true,null],'
        b'true,[],false,"me",3,false]'
    )
    assert encode(message) == (
        b"\x01\x00\x00\x00" + bytes([len(head)]) + head + b"\x00\x00\x00\x24"
        b'["hi",{"_placeholder":true,"num":0}]\x00\x00\x00\x02\x00\xff'
    )


def test_the_bytes_of_a_reply() -> None:
    """Its value is JSON beside the head."""
    assert encode(Reply(3, "me", "answer", ("sid",), [1, "é"])) == (
        b'\x01\x00\x00\x00\x21["reply",3,"me","answer",["sid"]]'
        b'\x00\x00\x00\x14[{"value":[1,"\xc3\xa9"]}]'
    )


@pytest.mark.parametrize("room", [frozenset({1}), b"bytes", object(), ("a", object())])
def test_a_room_that_cannot_leave_the_process_is_refused(room: Any) -> None:
    """Whoever uses such rooms with several servers is told so where he does it."""
    with pytest.raises(TypeError, match="rooms of several servers"):
        encode(Message("join", "/", rooms=(room,)))
    with pytest.raises(TypeError):
        encode(Message("emit", "/", BroadcastOptions((room,))))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_a_protocol_error(data: bytes) -> None:
    """Nothing else comes out, whatever comes in."""
    for each in (data, b"\x01" + data):
        try:
            decode(each)
        except ProtocolError:
            pass


@given(st.one_of(MESSAGE, REPLY), st.data())
def test_damaged_bytes_are_a_value_or_a_protocol_error(value: Any, data: Any) -> None:
    """Cut off anywhere, or with one byte changed."""
    good = encode(value)
    place = data.draw(st.integers(0, len(good) - 1))
    changed = bytearray(good)
    changed[place] = data.draw(st.integers(0, 255))
    for each in (good[:place], bytes(changed)):
        try:
            decode(each)
        except ProtocolError:
            pass


@pytest.mark.parametrize(
    "head",
    [
        '["message"]',
        '["message","unknown","/",[null,[],false,true,null],false,[],false,"",null,false]',
        '["message","emit",1,[null,[],false,true,null],false,[],false,"",null,false]',
        '["message","emit","/",[null,[],false,true,null],false,[],false,"","x",false]',
        '["message","emit","/",[[["other",1]],[],false,true,null],false,[],false,"",null,false]',
        '["message","emit","/",[[["user",1]],[],false,true,null],false,[],false,"",null,false]',
        '["message","emit","/",[[{}],[],false,true,null],false,[],false,"",null,false]',
        '["reply","x","","asked",[]]',
        '["reply",1,"","unknown",[]]',
        '["reply",1,"","asked",[1]]',
        "{}",
        "[]",
        "7",
    ],
)
def test_a_head_of_another_shape_is_refused(head: str) -> None:
    """Each field has its type."""
    text = b'[{"value":null}]'
    data = b"\x01" + len(head).to_bytes(4, "big") + head.encode()
    with pytest.raises(ProtocolError):
        decode(data + len(text).to_bytes(4, "big") + text)


FORGED = st.sampled_from(
    [
        {"_placeholder": True, "num": 0},
        {"_placeholder": True, "num": 9},
        {"_placeholder": True},
        {"_placeholder": False, "object": 7},
        {"_placeholder": False, "object": {"_placeholder": True, "num": 0}},
    ]
)


@given(st.lists(st.one_of(FORGED, st.binary(max_size=4), st.lists(FORGED, max_size=2)), max_size=5))
def test_what_looks_like_an_attachment_stays_what_it_is(answer: list[Any]) -> None:
    """Clients may send such objects; with and without true attachments beside them."""
    reply = Reply(3, "me", "answer", ("sid",), answer)
    assert decode(encode(reply)) == reply


def test_attachments_of_objects_are_found() -> None:
    """Also inside what only JSON's rules turn into an object, beside a client's forgery."""

    @dataclass
    class Picture:
        pixels: bytes
        label: Any

    forged = {"_placeholder": True, "num": 5}
    reply = Reply(3, "me", "result", value=[Picture(b"\x00", forged)])
    decoded = decode(encode(reply))
    assert isinstance(decoded, Reply)
    assert decoded.value == [{"pixels": b"\x00", "label": forged}]


@pytest.mark.parametrize("kind", ["result", "answer"])
def test_a_reply_that_cannot_be_read_says_so(kind: str) -> None:
    """Whoever waits for it goes on: of an answer it is known whose it would have been."""
    head = f'["reply",3,"me","{kind}",["sid"]]'.encode()
    for text, more in (
        (b"[", b""),
        (b"[7]", b""),
        (b"[]", b""),
        (b'[{"value":{"_placeholder":true,"num":1}}]', b"\x00\x00\x00\x01x"),
    ):
        data = b"\x01" + len(head).to_bytes(4, "big") + head + len(text).to_bytes(4, "big") + text
        ids = ("sid",) if kind == "answer" else ()
        assert decode(data + more) == Reply(3, "me", "unable", ids)
