from __future__ import annotations

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
