from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_sio.errors import PacketError
from flask_sio.protocol.sio import ACK, CONNECT, DISCONNECT, EVENT, Packet
from flask_sio.protocol.sio4 import Decoder4, error_data, read_name


@pytest.mark.parametrize(
    ("messages", "packet"),
    [
        (["0"], Packet(CONNECT)),
        (["0/admin"], Packet(CONNECT, "/admin")),
        (["0/admin?a=1,"], Packet(CONNECT, "/admin?a=1")),
        (["1/admin"], Packet(DISCONNECT, "/admin")),
        (['2["a",1]'], Packet(EVENT, "/", ["a", 1])),
        (['2/b,12["a"]'], Packet(EVENT, "/b", ["a"], 12)),
        (["312[]"], Packet(ACK, "/", [], 12)),
        (["30-12[]"], Packet(ACK, "/", [], 12)),
        (["30-/b,12[1]"], Packet(ACK, "/b", [1], 12)),
        (['31-12[{"_placeholder":true,"num":0}]', b"x"], Packet(ACK, "/", [b"x"], 12)),
        (['61-12[{"_placeholder":true,"num":0}]', b"x"], Packet(ACK, "/", [b"x"], 12)),
        (['50-["x"]'], Packet(EVENT, "/", ["x"])),
        (['50-/b,0["x"]'], Packet(EVENT, "/b", ["x"], 0)),
        (['51-["x",{"_placeholder":true,"num":0}]', b""], Packet(EVENT, "/", ["x", b""])),
    ],
)
def test_what_clients_of_revision_4_send_is_read(
    messages: list[str | bytes], packet: Packet
) -> None:
    """As in revision 5, and no attachments where some were promised (7.4, 7.6)."""
    decoder = Decoder4()
    *first, last = [decoder.feed(message) for message in messages]
    assert first == [None] * (len(messages) - 1)
    assert last == packet


@pytest.mark.parametrize(
    "text", ["", "7", "5-[]", "5[]", "511-[1]", "3-[]", "3x-[]", "2{}", "1[]", "0[]", "4", "30-{}"]
)
def test_what_is_no_packet_is_refused(text: str) -> None:
    """And the bounds of revision 5 hold."""
    with pytest.raises(PacketError):
        Decoder4().feed(text)


@given(st.lists(st.text('012356-/,[]{}"a1') | st.binary(max_size=3)))
def test_any_messages_are_packets_or_an_error(messages: list[str | bytes]) -> None:
    """Nothing but PacketError comes out."""
    decoder = Decoder4()
    for message in messages:
        try:
            decoder.feed(message)
        except PacketError:
            return


@pytest.mark.parametrize(
    ("name", "namespace", "query"),
    [
        ("/", "/", None),
        ("/a", "/a", None),
        ("/a?", "/a", {}),
        ("/a?x=1&y=%2C&x=2&z=", "/a", {"x": "2", "y": ",", "z": ""}),
        ("/a?x=1?2", "/a", {"x": "1?2"}),
        ("/%C3%A9?x=%C3%A9+%FF", "/%C3%A9", {"x": "é \ufffd"}),
    ],
)
def test_a_name_may_have_a_query(name: str, namespace: str, query: object) -> None:
    """From the first question mark on; the name itself is not decoded."""
    assert read_name(name) == (namespace, query)


def test_an_error_has_its_data_or_else_its_text() -> None:
    """Data that are None are none: an ERROR has something to say."""
    assert error_data({"message": "no"}) == "no"
    assert error_data({"message": "no", "data": {"a": 1}}) == {"a": 1}
    assert error_data({"message": "no", "data": None}) == "no"
    assert error_data({"message": "no", "data": 0}) == 0
