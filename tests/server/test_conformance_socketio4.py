"""Socket.IO 4 on the wire, as socket.io-client 1.x and 2.x speak it over Engine.IO 3."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from flask_sio import ConnectionRefusedError, Server
from tests.live import Live, Runtime, plain
from tests.raw3 import OCTETS, TEXT, Frames3, Poller3
from tests.raw_more import NO_CODE, Frames
from tests.server.clients import Log
from tests.server.desk import Desk, socketio

SID = "[A-Za-z0-9_-]{20}"


@pytest.fixture
def desk(runtime: Runtime) -> Iterator[Desk]:
    with socketio(runtime) as desk:
        yield desk


@pytest.fixture
def ws(desk: Desk) -> Iterator[Frames3]:
    """A client that has been told that it is in ``/``."""
    ws = desk.keep(Frames3(desk))
    assert ws.text() == "40"
    assert ws.text() == '42["auth",{}]'
    yield ws
    ws.leave()


# -- connect -----------------------------------------------------------------------------


def test_the_server_connects_a_polling_client_by_itself(desk: Desk) -> None:
    """No CONNECT is needed, and its answer has no data."""
    poller = Poller3(desk)
    got = b""
    while b"auth" not in got:
        got += poller.take()[1]
    assert got == b'2:4013:42["auth",{}]'
    poller.leave()


@pytest.mark.parametrize(
    ("packet", "auth"),
    [
        ("40/custom,", {}),
        ("40/custom", {}),
        ("40/custom?token=1&uid=a%2Cb,", {"token": "1", "uid": "a,b"}),
        ("40/custom?a=%E2%82%AC+x&b=&a=2", {"a": "2", "b": ""}),
        ("40/custom?", {}),
        ('40/custom,{"token":1}', {}),
    ],
)
def test_a_namespace_is_joined_with_a_query(ws: Frames3, packet: str, auth: object) -> None:
    """The query is what the handler gets as auth, and is no part of the name."""
    ws.send(packet)
    assert ws.text() == "40/custom,"
    assert ws.text() == f'42/custom,["auth",{json.dumps(auth, separators=(",", ":"))}]'


def test_a_second_connect_is_ignored(ws: Frames3) -> None:
    """Of ``/``, which the server has joined, and of any other."""
    ws.send("40", "40/custom,", "40/custom,")
    assert ws.text() == "40/custom,"
    assert ws.text() == '42/custom,["auth",{}]'
    ws.send('421["message-with-ack"]')
    assert ws.text() == "431[]"


def test_packets_of_a_namespace_never_joined_are_ignored(ws: Frames3) -> None:
    """Servers of that age did so; a newer client's connection is closed."""
    ws.send('42/other,["note",1]', "43/other,1[]", "41/other,", '421["message-with-ack"]')
    assert ws.text() == "431[]"


def test_an_unknown_namespace_is_refused_with_text(ws: Frames3) -> None:
    """An ERROR has no object."""
    ws.send("40/random?a=1,")
    assert ws.text() == '44/random,"Invalid namespace"'


def test_an_error_from_a_client_ends_the_connection(desk: Desk) -> None:
    """Only servers send it."""
    ws = desk.keep(Frames3(desk))
    assert ws.text() == "40"
    ws.send('44"no"')
    assert ws.skip_to_end() == NO_CODE


def refusing(runtime: Runtime, error: Exception | None, **options: Any) -> Any:
    server = Server(**options)

    @server.on("connect")
    def connect(sid: str, environ: object) -> bool:
        if error is not None:
            raise error
        return False

    return plain(runtime, server)


@pytest.mark.parametrize(
    ("error", "packet"),
    [
        (None, '44"Connection rejected by server"'),
        (ConnectionRefusedError(), '44"Connection rejected by server"'),
        (ConnectionRefusedError("go away"), '44"go away"'),
        (ConnectionRefusedError("go away", {"code": 1}), '44{"code":1}'),
        (ConnectionRefusedError("go away", None), '44"go away"'),
        (ConnectionRefusedError("geh weg \u20ac"), '44"geh weg \\u20ac"'),
    ],
)
def test_a_refusal_is_its_data_or_else_its_text(
    runtime: Runtime, error: Exception | None, packet: str
) -> None:
    """In the place of the answer to ``/``."""
    with refusing(runtime, error) as live:
        ws = Frames3(live)
        assert ws.text() == packet
        ws.leave()


def test_a_client_that_is_in_no_namespace_is_closed(runtime: Runtime) -> None:
    """After ``connect_timeout``, as any other."""
    with refusing(runtime, None, connect_timeout=0.1) as live:
        ws = Frames3(live)
        assert ws.text() == '44"Connection rejected by server"'
        assert ws.ends() == NO_CODE
        ws.close()


def test_a_server_without_the_main_namespace_says_so(runtime: Runtime) -> None:
    """The client learns that ``/`` is not there, and the others are."""
    with plain(runtime, Server(namespaces=["/a"])) as live:
        ws = Frames3(live)
        assert ws.text() == '44"Invalid namespace"'
        ws.send("40/a")
        assert ws.text() == "40/a,"
        ws.leave()


def test_the_id_on_the_server_is_a_public_one(runtime: Runtime) -> None:
    """Not the one the client makes up, which is the secret of its connection."""
    server, log = Server(), Log()
    server.on("connect", lambda sid, environ: log.add(sid))
    with plain(runtime, server) as live:
        ws = Frames3(live)
        assert ws.text() == "40"
        (sid,) = log.wait(1)
        assert re.fullmatch(SID, sid)
        assert sid[6:] != ws.sid[6:]
        server.emit("to you", to=sid)
        assert ws.text() == '42["to you"]'
        server.disconnect(sid)
        assert ws.text() == "41"
        ws.leave()


# -- packets -----------------------------------------------------------------------------


def test_events_and_bytes_go_both_ways(ws: Frames3) -> None:
    """Each attachment with the type of a message before it."""
    ws.send('42["message",1,"2",{"3":[true]}]')
    assert ws.text() == '42["message-back",1,"2",{"3":[true]}]'
    ws.send(
        '452-["message",{"_placeholder":true,"num":0},[{"_placeholder":true,"num":1}]]',
        b"\x04\x01\x02",
        b"\x04",
    )
    assert ws.text() == (
        '452-["message-back",{"_placeholder":true,"num":0},[{"_placeholder":true,"num":1}]]'
    )
    assert (ws.binary(), ws.binary()) == (b"\x04\x01\x02", b"\x04")
    ws.send('451-789["message-with-ack",{"_placeholder":true,"num":0}]', "b4AQI=")
    assert ws.text() == '461-789[{"_placeholder":true,"num":0}]'
    assert ws.binary() == b"\x04\x01\x02"


def test_a_binary_event_without_attachments_is_delivered_at_once(ws: Frames3) -> None:
    """A 2.x client that was told to send binary sends one."""
    ws.send('450-17["message-with-ack","x"]')
    assert ws.text() == '4317["x"]'


@pytest.mark.parametrize("packet", ["45-[]", "451", "45x-[]", "43x-[]", "47", "46-1[]", "4599-[1]"])
def test_what_is_no_packet_ends_the_connection(desk: Desk, packet: str) -> None:
    """As in revision 5."""
    ws = desk.keep(Frames3(desk))
    assert (ws.text(), ws.text()) == ("40", '42["auth",{}]')
    ws.send(packet)
    assert ws.ends() == NO_CODE


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        (["43%d[1]"], 1),
        (["430-%d[1]"], 1),
        (['461-%d[{"_placeholder":true,"num":0}]', b"\x04ab"], b"ab"),
        (['431-%d[{"_placeholder":true,"num":0}]', b"\x04ab"], b"ab"),
    ],
)
def test_acks_of_all_ages_are_read(
    runtime: Runtime, answer: list[str | bytes], value: object
) -> None:
    """The first clients of 1.0 write each like a binary one."""
    server, log = Server(), Log()
    with plain(runtime, server) as live:
        ws = Frames3(live)
        assert ws.text() == "40"
        server.emit("ask", callback=log.add)
        (number,) = re.fullmatch(r'42([0-9]+)\["ask"\]', ws.text()).groups()  # type: ignore[union-attr]
        ws.send(*(part % int(number) if isinstance(part, str) else part for part in answer))
        assert log.wait(1) == [value]
        ws.leave()


# -- both revisions ------------------------------------------------------------------------


def everybody(live: Live) -> tuple[Frames3, Frames, Poller3, Poller3]:
    """Connect a client of each kind to ``/``."""
    ws, new, poller, text_poller = (
        Frames3(live),
        Frames(live),
        Poller3(live),
        Poller3(live, "&b64=1"),
    )
    assert ws.text() == "40"
    new.send("40")
    assert new.text().startswith('40{"sid":"')
    assert poller.get() == text_poller.get() == (200, b"2:40")
    return ws, new, poller, text_poller


def test_one_broadcast_reaches_clients_of_both_revisions(runtime: Runtime) -> None:
    """Each in its own form; those of revision 3 get JSON in ASCII."""
    server = Server()
    with plain(runtime, server) as live:
        ws, new, poller, text_poller = everybody(live)
        server.emit("e", "é😀")
        assert new.text() == '42["e","é😀"]'
        assert ws.text() == '42["e","\\u00e9\\ud83d\\ude00"]'
        due = (TEXT, b'28:42["e","\\u00e9\\ud83d\\ude00"]')
        assert poller.take() == text_poller.take() == due
        server.emit("e", b"\x01\x02")
        head = '451-["e",{"_placeholder":true,"num":0}]'
        assert (new.text(), new.binary()) == (head, b"\x01\x02")
        assert (ws.text(), ws.binary()) == (head, b"\x04\x01\x02")
        binary = b"\x00\x03\x09\xff" + head.encode() + b"\x01\x03\xff\x04\x01\x02"
        assert poller.take() == (OCTETS, binary)
        assert text_poller.take() == (TEXT, f"39:{head}6:b4AQI=".encode())
        for client in (ws, new, poller, text_poller):
            client.leave()


def test_a_name_that_is_not_ascii_stays_as_it_is(runtime: Runtime) -> None:
    """It stands raw in the packet, which then goes by the binary form."""
    server = Server(namespaces="*")
    with plain(runtime, server) as live:
        poller = Poller3(live)
        assert poller.get() == (200, b"2:40")
        assert poller.post_bytes(b"\x00\x06\xff40/\xc3\xa9,") == (200, b"ok")
        assert poller.take() == (OCTETS, b"\x00\x06\xff40/\xc3\xa9,")
        server.emit("e", "é", namespace="/é")
        assert poller.take() == (OCTETS, b'\x00\x02\x00\xff42/\xc3\xa9,["e","\\u00e9"]')
        poller.leave()


def test_msgpack_is_spoken_in_revision_3_too(runtime: Runtime) -> None:
    """The same map, without an id in the answer, after the type of a message."""
    with plain(runtime, Server(serializer="msgpack")) as live:
        ws = Frames3(live)
        assert ws.binary() == b"\x04\x82\xa4type\x00\xa3nsp\xa1/"
        ws.send(b"\x04\x82\xa4type\x00\xa3nsp\xa6/a?b=c")
        assert ws.binary() == b"\x04\x83\xa4type\x04\xa3nsp\xa2/a\xa4data\xb1Invalid namespace"
        ws.leave()
