"""What the packets of a server are written in: MessagePack, and codecs of one's own."""

from __future__ import annotations

import base64
import json
import pickle
import subprocess
import sys
import types
from typing import Any

import msgpack
import pytest

from flask_sio import ConfigError, ConnectionRefusedError, MessageQueue, Server
from flask_sio.protocol import sio
from flask_sio.protocol.codec import Codec
from flask_sio.testing import TestClient
from tests.live import Runtime, plain
from tests.server.clients import Log, Peer, Poller
from tests.servers.node import need_node, run_script

ROOT = b"\xa3nsp\xa1/"
CONNECT = b"\x82\xa4type\x00" + ROOT
HELLO = b"\x83\xa4type\x02" + ROOT + b"\xa4data\x92\xa5hello\xc4\x02\x01\x02"


def chatty(**options: Any) -> Server:
    """Return a server with handlers for everything a client may do."""
    server = Server(**options)

    @server.on("hello")
    def hello(sid: str, data: bytes) -> bytes:
        server.emit("hello", data + b"!")
        return data

    @server.on("echo")
    @server.on("echo", namespace="/admin")
    def echo(sid: str, *args: Any) -> tuple[Any, ...]:
        return args

    @server.on("ask")
    def ask(sid: str, data: Any) -> Any:
        answer = server.call("question", data, to=sid)
        return list(answer) if isinstance(answer, tuple) else answer

    @server.on("auth")
    def auth(sid: str) -> Any:
        return server.socket(sid).auth

    @server.event
    def nothing(sid: str) -> None: ...

    @server.event
    def several(sid: str) -> tuple[int, str]:
        return 1, "two"

    @server.event
    def tell(sid: str, data: Any) -> None:
        server.emit("news", data, skip_sid=sid)

    @server.event
    def leave(sid: str) -> None:
        server.disconnect(sid)

    return server


def joined(live: Any) -> Peer:
    """Return a client that has connected by MessagePack."""
    peer = Peer(live, join=None)
    peer.send(CONNECT)
    answer = peer.binary()
    assert answer[:24] == b"\x83\xa4type\x00" + ROOT + b"\xa4data\x81\xa3sid\xb4"
    assert len(answer) == 44
    return peer


def test_the_bytes_on_both_transports(runtime: Runtime) -> None:
    """One binary message per packet: a frame, or base64 in a payload; acks have their number."""
    with plain(runtime, chatty(serializer="msgpack")) as live:
        peer, poller = joined(live), Poller(live, join=None)
        poller.post("b" + base64.b64encode(CONNECT).decode())
        (answer,) = poller.get()
        assert base64.b64decode(answer[1:]).startswith(b"\x83\xa4type\x00")
        peer.send(b"\x84" + HELLO[1:] + b"\xa2id\xcd\x01\x2c")
        hello = b"\x83\xa4type\x02" + ROOT + b"\xa4data\x92\xa5hello\xc4\x03\x01\x02!"
        assert peer.binary() == hello
        ack = b"\x84\xa4type\x03" + ROOT + b"\xa4data\x91\xc4\x02\x01\x02\xa2id\xcd\x01\x2c"
        assert peer.binary() == ack
        assert poller.get() == ["b" + base64.b64encode(hello).decode()]
        peer.leave()
        poller.leave()


@pytest.mark.parametrize(
    "message",
    ['2["hello",1]', HELLO + b"\x00", HELLO[:-1], b"", b"\xc1", b"\x82\xa4type\x05" + ROOT],
)
def test_what_is_no_packet_ends_the_connection(runtime: Runtime, message: str | bytes) -> None:
    """As with the text protocol, and no handler has run."""
    with plain(runtime, chatty(serializer="msgpack")) as live:
        peer = joined(live)
        peer.send(message)
        assert peer.rest() == []


def test_a_client_with_the_other_parser_is_let_go(runtime: Runtime) -> None:
    """Nothing on the wire tells them apart before the first packet."""
    with plain(runtime, chatty(serializer="msgpack")) as live:
        peer = Peer(live, join=None)
        peer.send("40")
        assert peer.rest() == []
    with plain(runtime, chatty()) as live:
        peer = Peer(live, join=None)
        peer.send(CONNECT)
        assert peer.rest() == []


def test_a_refusal_is_written_in_it_too(runtime: Runtime) -> None:
    """The handler's words, the server's own, and the good-bye of `disconnect`."""
    server = chatty(serializer="msgpack")

    @server.event
    def connect(sid: str, environ: Any, auth: Any) -> None:
        if auth is not None:
            raise ConnectionRefusedError("no", b"\x01")

    with plain(runtime, server) as live:
        peer = joined(live)
        peer.send(b"\x82\xa4type\x00\xa3nsp\xa2/x")
        assert msgpack.unpackb(peer.binary()) == {
            "type": 4,
            "nsp": "/x",
            "data": {"message": "Invalid namespace"},
        }
        peer.send(b"\x83\xa4type\x02" + ROOT + b"\xa4data\x91\xa5leave")
        assert peer.binary() == b"\x82\xa4type\x01" + ROOT
        peer.leave()
        peer = Peer(live, join=None)
        peer.send(b"\x83\xa4type\x00" + ROOT + b"\xa4data\x80")
        assert msgpack.unpackb(peer.binary()) == {
            "type": 4,
            "nsp": "/",
            "data": {"message": "no", "data": b"\x01"},
        }
        peer.leave()


@pytest.mark.node
@pytest.mark.parametrize("mode", ["polling", "websocket", "default"])
def test_the_stock_client_with_the_msgpack_parser(runtime: Runtime, mode: str) -> None:
    """Values, bytes and dates both ways, acks both ways, namespaces, refusals, broadcasts."""
    need_node("socket.io-msgpack-parser")
    with plain(runtime, chatty(serializer="msgpack")) as live:
        bytes_ = {"type": "Buffer", "data": [0, 255]}  # as JSON, in the script's report
        assert run_script("msgpack.mjs", live.url, mode) == {
            "differing": [],
            "extensions": True,
            "answer": [{"bytes": bytes_}, {"bytes": bytes_}],
            "auth": {"token": "é", "bytes": {"type": "Buffer", "data": [9]}},
            "no_auth": True,
            "admin": "x",
            "refused": "Invalid namespace",
            "none": [],
            "several": [1, "two"],
            "broadcast": True,
            "websocket": mode != "polling",
            "left": "io server disconnect",
        }


def test_without_the_package_the_option_says_what_to_install() -> None:
    """It is an extra; nothing else needs it."""
    program = (
        "import sys; sys.modules['msgpack'] = None\n"
        "import flask_sio\n"
        "flask_sio.Server()\n"
        "try: flask_sio.Server(serializer='msgpack')\n"
        "except flask_sio.ConfigError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "pip install 'flask-sio[msgpack]'" in done.stdout, done.stderr


@pytest.mark.parametrize("serializer", ["default", "msgpack"])
def test_the_test_client_speaks_what_its_server_does(serializer: str) -> None:
    """Events, bytes and answers, without a word about it in the test."""
    with TestClient(chatty(serializer=serializer)) as client:
        client.on("question", lambda data: [data, b"\x00"])
        assert client.emit("ask", b"\x01", callback=True) == [b"\x01", b"\x00"]
        assert client.get_received() == [
            {"name": "question", "args": [b"\x01"], "namespace": "/"},
        ]


def test_a_broadcast_is_rendered_once(runtime: Runtime) -> None:
    """One frame, the same object for every WebSocket."""
    server = chatty(serializer="msgpack")
    log = Log()

    class Value:
        @property
        def shape(self) -> tuple[()]:
            return ()

        def item(self) -> int:
            log.add("rendered")
            return 7

    with plain(runtime, server) as live:
        peers = [joined(live) for _ in range(3)]
        server.emit("news", Value())
        for peer in peers:
            assert peer.binary().endswith(b"\xa4data\x92\xa4news\x07")
            peer.leave()
    assert log.entries == ["rendered"]


# -- codecs of one's own -----------------------------------------------------------------


class Lines:
    """A codec of three lines of text: a head in JSON, the data in JSON, and nothing."""

    def render(self, packet: sio.Packet) -> str:
        return json.dumps(packet.data)

    def compose(self, packet: sio.Packet, body: str) -> str:
        return f"{json.dumps([packet.type, packet.namespace, packet.id])}\n{body}\n"

    def decoder(self, max_attachments: int, max_bytes: int) -> LinesDecoder:
        return LinesDecoder()


class LinesDecoder:
    def feed(self, message: str | bytes) -> sio.Packet:
        assert isinstance(message, str)
        head, data, _ = message.split("\n")
        kind, namespace, number = json.loads(head)
        return sio.Packet(kind, namespace, json.loads(data), number)


CHECKED: type[Codec] = Lines


@pytest.mark.parametrize("serializer", [Lines, Lines()])
def test_a_codec_of_ones_own(runtime: Runtime, serializer: Any) -> None:
    """An object or its class: packets go both ways as it wants them."""
    with plain(runtime, chatty(serializer=serializer)) as live:
        peer = Peer(live, join=None)
        peer.send('4[0,"/",null]\nnull\n')
        assert peer.text().startswith('4[0, "/", null]\n{"sid": "')
        peer.send('4[2,"/",7]\n["echo",1,"two"]\n')
        assert peer.text() == '4[3, "/", 7]\n[1, "two"]\n'
        peer.send('4[2,"/",8]\n["ask","why"]\n')
        assert peer.text() == '4[2, "/", 1]\n["question", "why"]\n'
        peer.send('4[3,"/",1]\n["because"]\n')
        assert peer.text() == '4[3, "/", 8]\n["because"]\n'
        peer.leave()


@pytest.mark.parametrize(
    "message",
    [
        "4no lines",
        b"\x00",
        '4[9,"/",null]\nnull\n',
        '4[2,"no slash",null]\n["echo"]\n',
        '4[2,"/","1"]\n["echo"]\n',
        '4[2,"/",null]\n{}\n',
        '4[2,"/",null]\n["connect"]\n',
        '4[1,"/",null]\n["stray"]\n',
    ],
)
def test_its_packets_are_checked_like_others(runtime: Runtime, message: str | bytes) -> None:
    """Whatever it raises on input ends the connection, and so does a packet against the rules."""
    with plain(runtime, chatty(serializer=Lines)) as live:
        peer = Peer(live, join=None)
        peer.send('4[0,"/",null]\nnull\n')
        peer.text()
        peer.send(message)
        assert peer.rest() == []


def test_its_packets_are_checked_on_the_way_out() -> None:
    """Reserved names and bad namespaces are refused whatever the codec; its own errors come out."""
    server = Server(serializer=Lines)
    with pytest.raises(ValueError, match="reserved"):
        server.emit("connect")
    with pytest.raises(TypeError, match="not JSON"):
        server.emit("a", {1, 2})


class Several(Lines):
    """Puts the data into binary messages, or does what else it is told."""

    def __init__(self, *messages: Any) -> None:
        self.messages = messages

    def compose(self, packet: sio.Packet, body: Any) -> Any:
        return list(self.messages)


@pytest.mark.parametrize(
    ("messages", "polling"),
    [
        ((b"\x01\x02", b""), ("bAQI=", "b")),
        (("a", b"\x01"), ("4a", "bAQ==")),
        (("a",), ("4a",)),
    ],
)
def test_a_packet_may_be_several_messages(messages: Any, polling: tuple[str, ...]) -> None:
    """Text first, if at all, then bytes, as the protocol's own binary packets are."""
    codec = Server(serializer=Several(*messages)).codec
    assert codec.encode(sio.Packet(sio.EVENT, "/", ["a"])).polling == polling


@pytest.mark.parametrize("messages", [("a", "b"), (b"a", "b"), (1,), (None, b"")])
def test_other_messages_are_a_type_error(messages: Any) -> None:
    """The text names what compose() may return."""
    codec = Server(serializer=Several(*messages)).codec
    with pytest.raises(TypeError, match=r"compose\(\) returns"):
        codec.encode(sio.Packet(sio.EVENT, "/", ["a"]))


def test_other_bodies_are_a_type_error() -> None:
    """Text or bytes can be handed to other servers; an object could not."""

    class Wrong(Lines):
        def render(self, packet: sio.Packet) -> Any:
            return [packet]

    with pytest.raises(TypeError, match=r"render\(\) returns"):
        Server(serializer=Wrong).emit("a")


@pytest.mark.parametrize("serializer", ["default", "msgpack", Lines])
def test_servers_on_a_queue_hand_on_what_was_rendered(serializer: Any) -> None:
    """Events, and answers, reach the clients of another server in what those speak."""
    queue = f"memory://{serializer}"
    first, second = (
        Server(serializer=serializer, client_manager=MessageQueue(queue)) for _ in range(2)
    )
    with TestClient(second) as client:
        client.on("question", lambda text: text + "!")
        first.emit("news", {"a": [1, None]})
        assert client.wait_for("news")["args"] == [{"a": [1, None]}]
        assert first.call("question", "why", to=client.sid()) == "why!"
    first.shutdown()


def test_a_decoder_that_returns_no_packet_is_told() -> None:
    """A programmer's error, by an exception that names the call."""

    class Wrong(Lines):
        def decoder(self, max_attachments: int, max_bytes: int) -> Any:
            return types.SimpleNamespace(feed=lambda message: ["a"])

    decoder = Server(serializer=Wrong).codec.decoder(10, 10)
    with pytest.raises(TypeError, match=r"feed\(\) returns"):
        decoder.feed("a")


class PacketSubclass(sio.Packet):
    """What python-socketio takes: it has no codec's methods."""

    def encode(self) -> str:
        return ""


@pytest.mark.parametrize("serializer", [PacketSubclass, pickle, "pickle", "cbor", object(), 5])
def test_what_is_no_codec_is_refused(serializer: Any) -> None:
    """With what is accepted in the text."""
    with pytest.raises(ConfigError, match=r"'msgpack', or an object or class with render\(packet"):
        Server(serializer=serializer)


# -- a JSON module per server ------------------------------------------------------------


@pytest.fixture
def shouting() -> Any:
    """Give a JSON module that writes text in capitals."""
    return types.SimpleNamespace(dumps=lambda obj: json.dumps(obj).upper(), loads=json.loads)


def test_a_json_module_is_one_servers_alone(shouting: Any) -> None:
    """Two servers in one process, two modules; nothing is set on a class."""
    packet = sio.Packet(sio.EVENT, "/", ["a", "b"])
    loud, plain_ = Server(json=shouting), Server()
    assert loud.codec.encode(packet).text == '42["A", "B"]'
    assert plain_.codec.encode(packet).text == '42["a","b"]'


@pytest.mark.parametrize("serializer", ["msgpack", Lines])
def test_a_json_module_for_another_serializer_is_refused(shouting: Any, serializer: Any) -> None:
    """It would do nothing."""
    with pytest.raises(ConfigError, match="accepted is one of them"):
        Server(json=shouting, serializer=serializer)
