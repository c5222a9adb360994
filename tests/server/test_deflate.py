"""permessage-deflate between a server and clients that offer it."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from flask_sio import Server
from flask_sio.protocol.ws_deflate import InflatingDecoder
from tests.live import Runtime, plain
from tests.raw3 import ENDPOINT_3
from tests.raw_more import (
    ACCEPT,
    BINARY,
    CONTINUED,
    PING,
    TEXT,
    Frames,
    Peer,
    frame,
    upgrade_request,
)
from tests.server.desk import Desk, engine
from tests.servers.launch import free_port, gunicorn, launched, serve
from tests.servers.node import run_node, run_script
from tests.servers.raw import ENDPOINT

OFFER = "permessage-deflate; client_max_window_bits"
ANSWER = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
RSV1 = 0x40
DEFLATED = "tests.servers.apps.deflated:app"
LONG = "x" * 2000


def packed(payload: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return (packer.compress(payload) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


class Packed(Frames):
    """A WebSocket whose client has offered compression."""

    def __init__(
        self, place: Any, sid: str = "", offer: str = OFFER, endpoint: str = ENDPOINT
    ) -> None:
        path = f"{endpoint}websocket" + (f"&sid={sid}" if sid else "")
        headers = {"Sec-WebSocket-Extensions": offer}
        Peer.__init__(self, place, upgrade_request(path, headers))
        self.head = self.through(b"\r\n\r\n").decode()
        assert f"\r\nSec-WebSocket-Accept: {ACCEPT}\r\n" in self.head
        self.opened = "" if sid else self.text()
        self.sid = sid or json.loads(self.opened[1:])["sid"]

    @property
    def answer_header(self) -> str:
        found = [line for line in self.head.split("\r\n") if "Extensions" in line]
        return found[0].partition(": ")[2] if found else ""

    def raw(self) -> bytes:
        """Read one frame as it came."""
        head = self.exactly(2)
        size, more = head[1], b""
        if size > 125:
            more = self.exactly(2 if size == 126 else 8)
            size = int.from_bytes(more, "big")
        return head + more + self.exactly(size)

    def unpacked(self) -> str | bytes:
        """Read a message that must be compressed."""
        data = self.raw()
        assert data[0] & RSV1
        ((_, message),) = InflatingDecoder(10**6, mask_required=False).feed(data)
        return message


@pytest.fixture
def desk(runtime: Runtime) -> Iterator[Desk]:
    """An echo that compresses, with a small limit."""
    with engine(runtime, per_message_deflate=True, max_http_buffer_size=5000) as desk:
        yield desk


def packed_ws(desk: Desk, sid: str = "", offer: str = OFFER) -> Packed:
    return desk.keep(Packed(desk.live, sid, offer))


# -- the handshake -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offer", "answer"),
    [
        (OFFER, ANSWER),
        ("permessage-deflate; server_max_window_bits=12", ANSWER + "; server_max_window_bits=12"),
        ("permessage-deflate; server_max_window_bits=9", ""),
        ("permessage-deflate; what=1", ""),
        ("x-webkit-deflate-frame", ""),
    ],
)
def test_an_offer_is_answered_or_declined(desk: Desk, offer: str, answer: str) -> None:
    """A connection whose offer was declined goes on without, in every respect."""
    ws = packed_ws(desk, offer=offer)
    assert ws.answer_header == answer
    ws.send("4" + LONG)
    if answer:
        assert ws.unpacked() == "4" + LONG
        ws.leave()
    else:
        assert ws.text() == "4" + LONG
        ws.sendall(frame(RSV1 | TEXT, packed(b"4x")))
        assert ws.ends() == 1002


def test_it_is_off_by_default(runtime: Runtime) -> None:
    """No offer is answered, and RSV1 is a violation."""
    with engine(runtime) as desk:
        ws = packed_ws(desk)
        assert ws.answer_header == ""
        ws.send("4" + LONG)
        assert ws.text() == "4" + LONG
        ws.sendall(frame(RSV1 | TEXT, packed(b"4x")))
        assert ws.ends() == 1002


def test_a_client_that_offers_nothing_gets_nothing_of_it(desk: Desk) -> None:
    """Beside others that do."""
    ws = desk.ws()
    assert "Extensions" not in ws.head
    ws.send("4" + LONG)
    assert ws.text() == "4" + LONG
    ws.leave()


def test_an_upgrade_from_polling_negotiates_too(desk: Desk) -> None:
    """The probe, and all that polling had left, by the same WebSocket."""
    poller = desk.poller()
    ws = packed_ws(desk, poller.sid)
    assert ws.answer_header == ANSWER
    ws.sendall(frame(RSV1 | TEXT, packed(b"2probe")))
    assert ws.text() == "3probe"
    ws.sendall(frame(TEXT, b"5") + frame(RSV1 | TEXT, packed(b"4" + LONG.encode())))
    assert ws.unpacked() == "4" + LONG
    ws.leave()


# -- messages ----------------------------------------------------------------------------


def test_messages_both_ways(desk: Desk) -> None:
    """Compressed, plain, fragmented, binary; answers from the threshold on."""
    ws = packed_ws(desk)
    ws.sendall(frame(RSV1 | TEXT, packed(b"4hello")))
    assert ws.text() == "4hello"
    text = packed(b"4" + LONG.encode())
    ws.sendall(frame(RSV1 | TEXT, text[:5], fin=False) + frame(PING, b"p"))
    ws.sendall(frame(CONTINUED, text[5:]))
    assert ws.frame() == (10, b"p")
    assert ws.unpacked() == "4" + LONG
    ws.send("4" + "y" * 1022, "4" + "y" * 1023)
    assert ws.text() == "4" + "y" * 1022
    assert ws.unpacked() == "4" + "y" * 1023
    ws.sendall(frame(RSV1 | BINARY, packed(bytes(3000))))
    assert ws.unpacked() == bytes(3000)
    ws.leave()


def test_a_message_of_each_client_is_the_same_bytes(runtime: Runtime) -> None:
    """A broadcast has one compressed frame, and one plain one; attachments are their own."""
    server = Server(per_message_deflate={"threshold": 100})

    with plain(runtime, server) as live:
        first, second, third = Packed(live), Packed(live), Frames(live)
        for ws in (first, second, third):
            ws.send("40")
            ws.text()
        server.emit("news", ("x" * 500, bytes(500)))
        frames = [ws.raw() + ws.raw() for ws in (first, second)]
        assert frames[0] == frames[1]
        assert frames[0][0] == 0xC1
        assert len(frames[0]) < 150
        assert third.text().startswith('451-["news","xxx')
        assert third.binary() == bytes(500)
        server.of("/").compress(False).emit("news", "x" * 500)
        assert {ws.text() for ws in (first, second, third)} == {f'42["news","{"x" * 500}"]'}
        server.of("/").compress(False).emit("asked", "x" * 500, callback=lambda *args: None)
        server.of("/").emit("asked", "x" * 500, callback=lambda *args: None)
        for ws in (first, second):
            assert ws.text() == f'421["asked","{"x" * 500}"]'
            assert ws.unpacked() == f'422["asked","{"x" * 500}"]'
        for ws in (first, second, third):
            ws.leave()


BOMB = packed(bytes(4_000_000))


def test_clients_of_engine_io_3_have_frames_of_their_own(runtime: Runtime) -> None:
    """Compressed like the others', where the bytes differ; and not where an emit says no."""
    server = Server(per_message_deflate=True)
    with plain(runtime, server) as live:
        old, new = Packed(live, endpoint=ENDPOINT_3), Packed(live)
        assert old.answer_header == ANSWER
        new.send("40")
        assert (old.text(), new.text()[:2]) == ("40", "40")
        server.emit("news", ("é" * 2000, bytes(2000)))
        head, placeholder = '451-["news","', '",{"_placeholder":true,"num":0}]'
        assert old.unpacked() == head + "\\u00e9" * 2000 + placeholder
        assert new.unpacked() == head + "é" * 2000 + placeholder
        assert (old.unpacked(), new.unpacked()) == (b"\x04" + bytes(2000), bytes(2000))
        server.of("/").compress(False).emit("news", "é" * 2000)
        assert old.text() == '42["news","' + "\\u00e9" * 2000 + '"]'
        assert new.text() == '42["news","' + "é" * 2000 + '"]'
        old.leave()
        new.leave()


VIOLATIONS = {
    "RSV1 on a ping": (1002, frame(RSV1 | PING, b"p")),
    "RSV1 on a continuation": (
        1002,
        frame(RSV1 | TEXT, b"\x00", fin=False) + frame(RSV1 | CONTINUED, b"\x00"),
    ),
    "RSV1 and RSV2": (1002, frame(RSV1 | 0x20 | TEXT, b"\x00")),
    "no DEFLATE": (1007, frame(RSV1 | TEXT, b"\xff\xff")),
    "no UTF-8 inside": (1007, frame(RSV1 | TEXT, packed(b"4\xff"))),
    "too much inside": (1009, frame(RSV1 | TEXT, packed(b"4" * 5001))),
    "a bomb": (1009, frame(RSV1 | BINARY, BOMB)),
    "a bomb in fragments": (
        1009,
        frame(RSV1 | BINARY, BOMB[:9], fin=False) + frame(CONTINUED, BOMB[9:1000], fin=False),
    ),
}


@pytest.mark.parametrize("violation", VIOLATIONS)
def test_violations(desk: Desk, violation: str) -> None:
    """The close code of each; no message of it is handled, and others go on."""
    code, data = VIOLATIONS[violation]
    ws = packed_ws(desk)
    ws.sendall(data)
    assert ws.ends() == code
    assert desk.has_left() == "transport error"


# -- other people's clients --------------------------------------------------------------


def test_the_websockets_package_agrees(runtime: Runtime) -> None:
    """It offers a window of 12 bits each way, and compresses what it sends."""
    with engine(runtime, per_message_deflate=True) as desk:
        url = desk.live.url.replace("http", "ws") + f"{ENDPOINT}websocket"
        with connect(url, compression="deflate") as ws:
            names = [extension.name for extension in ws.protocol.extensions]
            assert names == ["permessage-deflate"]
            assert str(ws.recv()).startswith("0{")
            for message in ("4é" + LONG, "4", "4x" * 1000, bytes(10_000), b""):
                ws.send(message)
                assert ws.recv() == message


@pytest.mark.node
@pytest.mark.parametrize("mode", ["websocket", "default"])
@pytest.mark.parametrize("deflate", [True, False])
def test_the_stock_client_agrees(runtime: Runtime, mode: str, deflate: bool) -> None:
    """It offers compression by itself, and gets it from a server that has it."""
    server = Server(per_message_deflate=deflate)

    @server.event
    def echo(sid: str, value: Any) -> Any:
        return value

    @server.event
    def tell(sid: str, value: Any) -> None:
        server.emit("news", value, skip_sid=sid)

    with plain(runtime, server) as live:
        assert run_script("deflate.mjs", live.url, mode, 2) == {
            "extensions": ["permessage-deflate" if deflate else ""],
            "equal": True,
            "broadcast": True,
            "small": deflate,
            "plain": not deflate,
        }


@pytest.mark.node
def test_it_is_negotiated_for_the_worker_that_has_the_session(tmp_path: Path) -> None:
    """The 101 goes with the socket, so that its owner knows."""
    port = free_port()
    command = gunicorn(DEFLATED, port, "gevent", "-w", "2")
    with launched(command, port, tmp_path / "log", workers=2) as server:
        result = run_node("deflate.mjs", server, "default", 16)
        assert result["extensions"] == ["permessage-deflate"]
        assert (result["equal"], result["broadcast"]) == (True, True)


def test_gevent_websockets_handshake_has_no_extension(tmp_path: Path) -> None:
    """Its 101 is out before the server is asked: such a connection goes without."""
    port = free_port()
    with launched(serve("geventwebsocket", DEFLATED, port), port, tmp_path / "log") as server:
        ws = Packed(server)
        assert ws.answer_header == ""
        ws.send("40")
        assert ws.text().startswith("40{")
        ws.send(f'421["echo","{LONG}"]')
        assert ws.text() == f'431["{LONG}"]'
        ws.sendall(frame(RSV1 | TEXT, packed(b"4x")))
        assert ws.ends() == 1002
        ws.close()
