from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_sio.protocol.encoded import Encoded


def test_a_text_packet_is_one_unmasked_text_frame() -> None:
    """The WebSocket form of a packet is its whole text in one frame."""
    assert Encoded('42["a"]').ws == b'\x81\x0742["a"]'


def test_attachments_follow_in_the_same_bytes_object() -> None:
    """Header and attachments are one object, so nothing can be sent between them (trap 28)."""
    encoded = Encoded("452-[]", (b"\x01\x02\x03", b""))
    assert encoded.ws == b"\x81\x06452-[]" + b"\x82\x03\x01\x02\x03" + b"\x82\x00"


def test_an_attachment_carries_no_type_byte() -> None:
    """Engine.IO 4 sends the raw bytes; a leading 04 would be revision 3 (trap 3)."""
    assert Encoded("451-[]", (b"\x01",)).ws.endswith(b"\x82\x01\x01")


def test_polling_writes_attachments_as_padded_base64() -> None:
    """In a payload an attachment is ``b`` and padded standard base64, an empty one ``b``."""
    encoded = Encoded("453-[]", (b"\x01\x02\x03\x04", b"", b"\xfb\xff"))
    assert encoded.polling == ("453-[]", "bAQIDBA==", "b", "b+/8=")


def test_a_packet_without_attachments_is_its_text_in_polling() -> None:
    """The polling form of plain text is that text alone."""
    assert Encoded("2").polling == ("2",)


def test_each_form_is_rendered_once() -> None:
    """All recipients of a broadcast share one object per form."""
    encoded = Encoded("451-[]", (b"\x01",))
    assert encoded.ws is encoded.ws
    assert encoded.polling is encoded.polling


def test_text_beyond_ascii_is_utf_8() -> None:
    """The frame's length counts UTF-8 bytes, not characters."""
    assert Encoded('42["é😀"]').ws == b'\x81\x0c42["\xc3\xa9\xf0\x9f\x98\x80"]'


def test_a_lone_surrogate_cannot_stop_a_connection() -> None:
    """A text that UTF-8 cannot hold is still rendered (trap 10)."""
    assert Encoded('42["\ud800"]').ws == b'\x81\x0742["?"]'


def test_packets_and_size_count_the_attachments() -> None:
    """``packets`` counts Engine.IO packets and ``size`` their bytes, about."""
    assert (Encoded("2").packets, Encoded("2").size) == (1, 1)
    encoded = Encoded("452-[]", (b"abc", b"d"))
    assert (encoded.packets, encoded.size) == (3, 10)


def test_repr_is_short() -> None:
    """A packet in a log line does not bring its payload along."""
    assert repr(Encoded("4" * 1000, (b"x" * 1000,))) == "<Encoded '44'... 1000 +1>"


def test_what_is_left_of_a_packet_is_its_last_attachments() -> None:
    """In both forms, and what is left can be divided again."""
    packet = Encoded('452-["a"]', (b"1", b"2", b"3"))
    rest = packet.after(2)
    assert (rest.packets, rest.polling) == (2, ("bMg==", "bMw=="))
    assert rest.ws == b"\x82\x012\x82\x013"
    assert rest.after(1).polling == ("bMw==",)


# -- for Engine.IO 3 -----------------------------------------------------------------------


def test_ascii_text_is_the_same_in_both_revisions() -> None:
    """Nothing is rendered for it."""
    encoded = Encoded('42["a"]')
    assert encoded.rev3 is encoded
    assert encoded.rev3_base64 is encoded


def test_attachments_have_a_type_in_revision_3() -> None:
    """A byte before each in a frame, none in the parts of a payload: `eio3` adds it there."""
    packet = Encoded("452-[]", (b"\x01", b"")).rev3
    assert packet.ws == b"\x81\x06452-[]\x82\x02\x04\x01\x82\x01\x04"
    assert packet.polling == ("452-[]", b"\x01", b"")
    assert (packet.packets, packet.size) == (3, 7)
    rest = packet.after(2)
    assert (rest.ws, rest.polling) == (b"\x82\x01\x04", (b"",))


def test_attachments_are_text_for_who_takes_no_bytes() -> None:
    """``b4`` and base64, in frames of text too."""
    packet = Encoded("452-[]", (b"\x01", b"")).rev3_base64
    assert packet.ws == b"\x81\x06452-[]\x81\x06b4AQ==\x81\x02b4"
    assert packet.polling == ("452-[]", "b4AQ==", "b4")
    rest = packet.after(2)
    assert (rest.ws, rest.polling) == (b"\x81\x02b4", ("b4",))


def test_a_packet_changes_between_the_forms_of_revision_3() -> None:
    """What polling had left goes out on a WebSocket that may take other data."""
    encoded = Encoded("451-[]", (b"\x01",))
    assert encoded.rev3_base64.rev3.ws == encoded.rev3.ws
    assert encoded.rev3.rev3_base64 is encoded.rev3_base64
    assert encoded.rev3.rev3 is encoded.rev3
    assert encoded.rev3_base64.rev3_base64 is encoded.rev3_base64


def test_the_forms_of_revision_3_are_compressed_alike() -> None:
    """Their own frames are, unless the packet says no."""
    encoded = Encoded("451-[]", (b"\x01",))
    assert encoded.rev3.deflated(bytes.swapcase) == encoded.rev3.ws.swapcase()
    plain = Encoded("451-[]", (b"\x01",))
    plain.compress = False
    assert plain.rev3.deflated(bytes.swapcase) == plain.rev3.ws
    assert plain.rev3_base64.deflated(bytes.swapcase) == plain.rev3_base64.ws


def test_the_forms_of_revision_3_are_rendered_once() -> None:
    """All recipients of a broadcast share one object per form."""
    encoded = Encoded('451-["é"]', (b"\x01",))
    assert encoded.rev3 is encoded.rev3
    assert encoded.rev3.ws is encoded.rev3.ws
    assert encoded.rev3_base64.ws is encoded.rev3_base64.ws
    assert encoded.rev3_base64.polling is encoded.rev3_base64.polling


@pytest.mark.parametrize(
    ("text", "ascii_text"),
    [
        ('42["é€😀\ud800"]', '42["\\u00e9\\u20ac\\ud83d\\ude00\\ud800"]'),
        ('42/é,12["é"]', '42/é,12["\\u00e9"]'),
        ('451-/a["é,["é"]', '451-/a["é,["\\u00e9"]'),
        ('44/é,{"message":"é"}', '44/é,{"message":"\\u00e9"}'),
        ('44"é"', '44"\\u00e9"'),
        ("40/é,", "40/é,"),
        ("4é", "4é"),
        ("0é", "0é"),
    ],
)
def test_only_json_is_escaped_for_revision_3(text: str, ascii_text: str) -> None:
    """Names stand raw, and what is no Socket.IO packet is left alone."""
    assert Encoded(text).rev3.text == ascii_text


@given(st.text(st.characters(min_codepoint=0x80)), st.text())
def test_what_revision_3_reads_is_what_was_written(name: str, value: str) -> None:
    """The JSON means the same."""
    text = json.dumps(["e", value, {value: [value]}], ensure_ascii=False)
    packet = Encoded(f"42/{name},{text}").rev3.text
    assert packet.startswith(f"42/{name},")
    body = packet.removeprefix(f"42/{name},")
    assert body.isascii()
    assert json.loads(body) == json.loads(text)
