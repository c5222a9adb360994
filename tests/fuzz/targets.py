"""What is fuzzed: every decoder of bytes that others write.

A target takes any bytes and returns. It fails by any exception but ProtocolError, by an
outcome that depends on how the bytes were cut, or by keeping more than it may. The same
functions are driven by atheris (``make fuzz``) and, with the seeds and Hypothesis's bytes, by
`test_targets.py` on every interpreter.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from typing import Any

from flask_sio.adapters import wire
from flask_sio.engine import http
from flask_sio.engine.cors import CorsPolicy
from flask_sio.engine.gate import EngineRequest, matches
from flask_sio.engine.payload import Jsonp3, Payload3
from flask_sio.engine.proxies import Proxies
from flask_sio.errors import ProtocolError
from flask_sio.mesh import frames
from flask_sio.protocol import (
    eio,
    eio3,
    json_codec,
    msgpack_codec,
    sio,
    sio4,
    websocket,
    ws_deflate,
    ws_handshake,
)

Target = Callable[[bytes], None]

LIMIT = 10_000
"""Bytes of one message, for targets that bound them."""


def _pieces(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


# -- Engine.IO -----------------------------------------------------------------------------


def eio_payload(data: bytes) -> None:
    try:
        packets = eio.decode_payload(data)
    except ProtocolError:
        return
    assert packets
    assert all(packet.type in "0123456" for packet in packets)


def eio3_text(data: bytes) -> None:
    for base64 in (False, True):
        try:
            Payload3(base64).decode(data, "text/plain;charset=UTF-8")
        except ProtocolError:
            pass


def eio3_binary(data: bytes) -> None:
    try:
        packets = eio3.decode_binary_payload(data)
    except ProtocolError:
        return
    assert all(packet.type in "0123456" for packet in packets)


def eio3_form(data: bytes) -> None:
    try:
        Jsonp3("0").decode(data, "application/x-www-form-urlencoded")
    except ProtocolError:
        pass


# -- Socket.IO -----------------------------------------------------------------------------


def _messages(data: bytes) -> list[str | bytes]:
    """Cut bytes into messages at 0x1E; those that begin with 0xFF are binary."""
    parts = data.split(b"\x1e")
    return [p[1:] if p[:1] == b"\xff" else p.decode("utf-8", "replace") for p in parts]


def _feed(decoder: Any, data: bytes) -> None:
    for message in _messages(data):
        try:
            packet = decoder.feed(message)
        except ProtocolError:
            return
        if packet is not None:
            _check_packet(packet)


def _check_packet(packet: sio.Packet) -> None:
    assert packet.type in range(5)
    assert packet.namespace[:1] == "/"
    if packet.type == sio.EVENT:
        assert isinstance(packet.data, list)
        assert packet.data[0] not in sio.RESERVED
    assert packet.id is None or 0 <= packet.id < 10**20


def sio_packets(data: bytes) -> None:
    _feed(sio.Decoder(10, LIMIT), data)


def sio4_packets(data: bytes) -> None:
    decoder = sio4.Decoder4(10, LIMIT)
    for message in _messages(data):
        try:
            packet = decoder.feed(message)
        except ProtocolError:
            return
        if packet is not None and packet.type == sio.CONNECT:
            sio4.read_name(packet.namespace)


def msgpack_packets(data: bytes) -> None:
    decoder = msgpack_codec.MsgpackCodec().decoder(10, LIMIT)
    try:
        packet = decoder.feed(data)
    except ProtocolError:
        return
    assert packet.type in range(5)
    assert packet.namespace[:1] == "/"


def json_values(data: bytes) -> None:
    codec = json_codec.JsonCodec()
    text = data.decode("utf-8", "replace")
    try:
        value = codec.loads(text)
    except ValueError:  # what a codec raises; the decoders turn it into PacketError
        return
    try:
        written = codec.dumps(value)
    except TypeError:  # nested deeper than it may be written
        return
    again = codec.loads(written)
    assert codec.dumps(again) == written


# -- WebSocket -----------------------------------------------------------------------------


def websocket_frames(data: bytes) -> None:
    _compare(lambda: websocket.Decoder(LIMIT, 100), data)


def deflated_frames(data: bytes) -> None:
    _compare(lambda: ws_deflate.InflatingDecoder(LIMIT, 100), data)


def deflated_message(data: bytes) -> None:
    """One masked message whose payload is these bytes: past the framing at once."""
    size = len(data)
    head = b"\xc2" + (bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big"))
    if size < 65536:
        _compare(lambda: ws_deflate.InflatingDecoder(LIMIT), head + bytes(4) + data)


def _compare(make: Callable[[], websocket.Decoder], data: bytes) -> None:
    whole, cut = make(), make()
    messages = whole.feed(data)
    assert [m for piece in _pieces(data) for m in cut.feed(piece)] == messages
    errors = [None if d.error is None else d.error.code for d in (whole, cut)]
    assert errors[0] == errors[1]
    assert all(len(payload) <= LIMIT for _, payload in messages)
    assert len(whole._buffer) <= len(data)
    if whole.error is not None:
        assert whole.feed(b"\x81\x80\x00\x00\x00\x00") == []


def deflate_offer(data: bytes) -> None:
    offers = data.decode("latin-1")
    for bits in (9, 15):
        answer = ws_deflate.negotiate(offers, bits)
        assert answer is None or answer.isprintable()


def ws_headers(data: bytes) -> None:
    headers = dict(_pairs(data))
    try:
        accept = ws_handshake.check(headers)
    except ProtocolError:
        return
    ws_handshake.response(accept)


# -- HTTP ----------------------------------------------------------------------------------


def _pairs(data: bytes) -> list[tuple[str, str]]:
    """Read bytes as lines ``name: value``, as servers hand them over."""
    lines = data.decode("latin-1").split("\n")
    return [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]


def _environ(data: bytes) -> dict[str, Any]:
    environ: dict[str, Any] = {"REQUEST_METHOD": "GET", "wsgi.url_scheme": "http"}
    for name, value in _pairs(data):
        environ[name if name.isupper() else f"HTTP_{name.upper().replace('-', '_')}"] = value
    return environ


def requests(data: bytes) -> None:
    environ = _environ(data)
    request = EngineRequest.from_environ(environ)
    assert all(isinstance(value, str) for value in request.query.values())
    matches(environ.get("PATH_INFO", ""), "socket.io")
    http.header_bytes(environ)
    answer = http.Response("200 OK", [], b"x" * 20)
    http.compress(answer, environ.get("HTTP_ACCEPT_ENCODING"), 10)


def query(data: bytes) -> None:
    found = http.parse_query({"QUERY_STRING": data.decode("latin-1")})
    assert sum(map(len, found.values())) <= 3 * len(data)


def origins(data: bytes) -> None:
    environ = _environ(data)
    for policy in (
        CorsPolicy(None, trusted_proxies="10.0.0.0/8"),
        CorsPolicy(["https://example.org"]),
        CorsPolicy("*"),
    ):
        policy.allows(environ)
        for name, value in policy.headers(environ) + policy.preflight(environ).headers:
            assert "\r" not in name + value
            assert "\n" not in name + value
    Proxies("10.0.0.0/8").client_of({**environ, "REMOTE_ADDR": "10.0.0.1"})


class _Slow(io.BytesIO):
    """A body that comes some bytes at a time."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(7, size) if size is not None and size >= 0 else 7)


def bodies(data: bytes) -> None:
    """The first line is Content-Length, the second Transfer-Encoding, the rest the body."""
    length, _, rest = data.partition(b"\n")
    coding, _, body = rest.partition(b"\n")
    outcomes = []
    for stream in (io.BytesIO, _Slow):
        environ = {
            "CONTENT_LENGTH": length.decode("latin-1"),
            "HTTP_TRANSFER_ENCODING": coding.decode("latin-1"),
            "wsgi.input": stream(body),
            "wsgi.input_terminated": coding[:1] == b"c",
        }
        try:
            outcomes.append(http.read_body(environ, 100))
        except ProtocolError as error:
            outcomes.append(type(error).__name__.encode())
    assert outcomes[0] == outcomes[1]
    assert len(outcomes[0]) <= 100


# -- between servers -----------------------------------------------------------------------


def mesh_frames(data: bytes) -> None:
    outcomes = []
    for pieces in ([data], _pieces(data)):
        decoder, found = frames.Decoder(LIMIT), []
        try:
            for piece in pieces:
                found += decoder.feed(piece)
        except ProtocolError:
            outcomes.append(None)
            continue
        outcomes.append(found)
        for frame in found:
            try:
                head, _ = frames.split(frame.payload)
                frames.from_json(head)
            except ProtocolError:
                pass
    assert outcomes[0] == outcomes[1]


def bus_messages(data: bytes) -> None:
    try:
        value = wire.decode(data)
    except ProtocolError:
        return
    wire.decode(wire.encode(value))


TARGETS: dict[str, Target] = {
    each.__name__: each
    for each in (
        eio_payload,
        eio3_text,
        eio3_binary,
        eio3_form,
        sio_packets,
        sio4_packets,
        msgpack_packets,
        json_values,
        websocket_frames,
        deflated_frames,
        deflated_message,
        deflate_offer,
        ws_headers,
        requests,
        query,
        origins,
        bodies,
        mesh_frames,
        bus_messages,
    )
}


def _deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return (packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


SEEDS: dict[str, list[bytes]] = {
    "eio_payload": [b'42["a"]\x1e4x\x1ebAQID', b"2probe\x1e6\x1e1", b""],
    "eio3_text": [b'7:42["a"]', "3:4\U0001f600".encode(), b"6:b4AQID1:2", b"0:", b"1:61:6"],
    "eio3_binary": [b"\x00\x03\xff4ab", b"\x01\x04\xff\x04\x01\x02\x03", b"\x00\x01\xff2"],
    "eio3_form": [b"d=7%3A42%5B%22a%22%5D", b"d=3:4%5C%5Cn"],
    "sio_packets": [
        b'2["a",1]\x1e3/b,12["x"]',
        b'51-["a",{"_placeholder":true,"num":0}]\x1e\xff\x01\x02',
        b'0/admin,{"token":"x"}\x1e1/admin,',
        b'4/x,{"message":"no"}',
    ],
    "sio4_packets": [b"0/admin?a=1&b=%20,", b'31-["a"]', b'50-["a"]\x1e2["b"]'],
    "msgpack_packets": [
        b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data\x91\xa1a",
        b"\x84\xa4type\x02\xa3nsp\xa1/\xa4data\x92\xa1a\xd7\x00\x00\x00\x00\x00\x00\x00\x00\x01\xa2id\x00",
        b"\x82\xa4type\x03\xa4data\x91\xc4\x01x",
    ],
    "json_values": [b'{"a":[1,-0,1.5e3,null,true,"\\ud83d\\ude00"]}', b"[[[[]]]]", b"1e999"],
    "websocket_frames": [
        b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
        b"\x01\x81\x00\x00\x00\x00a\x89\x80\x00\x00\x00\x00\x80\x81\x00\x00\x00\x00b",
        b"\x82\xfe\x00\x7e\x00\x00\x00\x00" + 126 * b"x",
        b"\x88\x82\x00\x00\x00\x00\x03\xe8",
    ],
    "deflated_frames": [
        b"\xc1" + bytes([0x80 | len(_deflated(b"hello"))]) + bytes(4) + _deflated(b"hello"),
        b"\x81\x81\x00\x00\x00\x00a",
    ],
    "deflated_message": [_deflated(b"hello"), _deflated(1000 * b"x"), b"\x03\x00", b""],
    "deflate_offer": [b"permessage-deflate; client_max_window_bits, x; y=1"],
    "ws_headers": [
        (
            b"Upgrade: websocket\nConnection: keep-alive, Upgrade\nSec-WebSocket-Version: 13\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
        )
    ],
    "requests": [
        (
            b"QUERY_STRING:EIO=4&transport=polling&sid=abc\nUpgrade: websocket\nOrigin: http://a\n"
            b"PATH_INFO:/socket.io/\nAccept-Encoding: gzip;q=0.5, *;q=0"
        )
    ],
    "query": [b"EIO=4&transport=polling&sid=a%20b+c&x", b"a=%zz&=&&"],
    "origins": [
        (
            b"Origin: https://example.org\nHost: example.org:443\nREMOTE_ADDR:10.0.0.1\n"
            b"X-Forwarded-Host: a.com\nX-Forwarded-For: 1.2.3.4, [::1]:80\n"
            b"Access-Control-Request-Headers: a, b"
        )
    ],
    "bodies": [b"5\n\nhello", b"\nchunked\nhello", b"-1\n\n", b"007\n\nhello", b"5,5\n\nhello"],
    "mesh_frames": [
        frames.encode(frames.HELLO, 0, frames.to_json({"proto": 1})),
        frames.encode(frames.REQUEST, 7, frames.join(b'{"m":"GET"}', b"body")),
    ],
    "bus_messages": [
        wire.encode(wire.Message("emit", "/", body=('["a",1]', (b"x",)), sender="s")),
        wire.encode(wire.Reply(1, "s", "answer", value=[1, "x"])),
    ],
}
