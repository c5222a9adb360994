"""The bytes on a link."""

from __future__ import annotations

import pytest

from flask_sio.mesh import frames
from flask_sio.mesh.frames import Decoder, Frame, LinkError

ANSWER_7 = b"\x00\x00\x00\x0b\x04\x00\x00\x00\x00\x00\x00\x00\x07ok"
HELLO = b"\x00\x00\x00\x09\x01\x00\x00\x00\x00\x00\x00\x00\x00"


def test_a_frame_is_length_kind_id_payload() -> None:
    """All big endian; the length counts what follows it."""
    assert frames.encode(frames.ANSWER, 7, b"ok") == ANSWER_7
    assert frames.encode(frames.HELLO, 0) == HELLO
    assert Decoder().feed(ANSWER_7 + HELLO) == [Frame(4, 7, b"ok"), Frame(1, 0, b"")]


def test_frames_come_whole_however_they_are_cut() -> None:
    """Each byte alone, or all at once: the same frames in the same order."""
    decoder, found = Decoder(), []
    for byte in ANSWER_7 + HELLO + ANSWER_7:
        found += decoder.feed(bytes([byte]))
    assert found == [Frame(4, 7, b"ok"), Frame(1, 0, b""), Frame(4, 7, b"ok")]


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x00\x00\x09\x00" + bytes(8),  # kind 0
        b"\x00\x00\x00\x09\x0b" + bytes(8),  # kind 11
        b"\x00\x00\x00\x08\x01" + bytes(8),  # shorter than its own head
        b"\x00\x00\x00\x1a\x09" + bytes(8),  # 17 bytes where 16 are taken
        b"GET / HTTP/1.1\r\n",
    ],
)
def test_what_no_peer_sends_is_refused_at_its_head(data: bytes) -> None:
    """An unknown kind or a wrong length ends the link before a payload is waited for."""
    with pytest.raises(LinkError):
        Decoder(16).feed(data)


def test_a_payload_of_two_parts() -> None:
    """The head has its length before it, the body is what is left."""
    assert frames.join(b"head", b"body") == b"\x00\x00\x00\x04headbody"
    assert frames.split(b"\x00\x00\x00\x04headbody") == (b"head", b"body")


@pytest.mark.parametrize("payload", [b"", b"\x00\x00", b"\x00\x00\x00\x05head"])
def test_a_cut_off_head_is_refused(payload: bytes) -> None:
    """A payload shorter than it says is no peer's."""
    with pytest.raises(LinkError):
        frames.split(payload)


@pytest.mark.parametrize("data", [b"", b"[1]", b"\xff", b"[" * 100_000])
def test_only_json_objects_are_read(data: bytes) -> None:
    """Other JSON, no JSON and JSON without an end are refused alike."""
    with pytest.raises(LinkError):
        frames.from_json(data)
