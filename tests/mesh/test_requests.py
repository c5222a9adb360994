"""Requests of a session that another worker owns, on both runtimes."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.live import Live, Runtime
from tests.mesh.pair import Pair, linked
from tests.raw3 import OCTETS, Frames3, Poller3
from tests.server.clients import Peer, Poller, connection
from tests.servers.raw import ENDPOINT, Reader, http, send_request


class Visitor(Poller):
    """A polling client whose session is at home, and whose requests come in elsewhere."""

    def __init__(self, pair: Pair) -> None:
        super().__init__(pair.home)
        self.server = pair.entry


def upgrade(server: Any, path: str) -> Reader:
    """Ask for the WebSocket of a polling session; the probe goes out with the request."""
    reader = connection(server)
    key = base64.b64encode(os.urandom(16)).decode()
    reader.sock.sendall(
        f"GET {path.replace('polling', 'websocket')} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: {key}\r\n\r\n".encode()
        + b"\x81\x86\x00\x00\x00\x002probe"
    )
    return reader


def session(live: Live, path: str) -> Any:
    """The connection that a request path is of."""
    return live.server.engine.connections[path.rpartition("sid=")[2]]


def test_a_poll_is_answered_through_the_owner(pair: Pair) -> None:
    """A POST and a GET at another worker do what they would do at home, and look the same."""
    visitor = Visitor(pair)
    visitor.post('421["echo","one"]', '42["echo","two"]')
    got: list[str] = []
    while len(got) < 3:
        got += visitor.get()
    assert sorted(got) == ['42["echoed","one"]', '42["echoed","two"]', '431["one"]']
    at_home: list[Any] = []
    elsewhere: list[Any] = []
    for answer, server in ((at_home, pair.home), (elsewhere, pair.entry)):
        visitor.post('42["echo","x"]')
        status, headers, body = http(server, "GET", visitor.path)
        of_the_server = ("connection", "date", "server", "")
        ours = {name: headers[name] for name in headers if name not in of_the_server}
        answer += [status, ours, body]
    assert at_home == elsewhere


def test_requests_of_revision_3_are_passed_on_too(pair: Pair) -> None:
    """What they are written in depends on their type, which the owner is told."""
    poller = Poller3(pair.home)
    assert poller.get() == (200, b"2:40")
    poller.place = pair.entry
    assert poller.post(b'17:421["echo","one"]') == (200, b"ok")
    got = b""
    while got.count(b'"one"') < 2:
        got += poller.take()[1]
    ack, event = b'10:431["one"]', b'18:42["echoed","one"]'
    assert got in (ack + event, event + ack)
    head = b'451-["echo",{"_placeholder":true,"num":0}]'
    assert poller.post_bytes(b"\x00\x04\x02\xff" + head + b"\x01\x02\xff\x04\x01") == (200, b"ok")
    content_type, body = poller.take()
    assert content_type == OCTETS
    assert body.endswith(b"\x01\x02\xff\x04\x01")
    ws = Frames3(pair.entry, poller.sid)
    ws.send("2probe", "5", '421["echo","two"]')
    assert ws.text() == "3probe"
    ws.leave()


def test_a_held_poll_is_answered_when_there_is_something(pair: Pair) -> None:
    """It waits at the owner, and what the server emits then goes to the client."""
    visitor = Visitor(pair)
    reader = visitor.park()
    connection = session(pair.home, visitor.path)
    pair.home.until(lambda: connection.polling.held)
    pair.home.server.emit("late", 1)
    assert visitor.finish(reader) == ['42["late",1]']


def test_a_client_that_leaves_its_poll_is_noticed(pair: Pair) -> None:
    """The end of the request's connection at one worker ends the session at the other."""
    visitor = Visitor(pair)
    reader = visitor.park()
    connection = session(pair.home, visitor.path)
    pair.home.until(lambda: connection.polling.held)
    reader.close()
    pair.home.until(lambda: connection.state == "closed")


def test_two_polls_at_once_end_the_session(pair: Pair) -> None:
    """One here and one there overlap as two at the same worker do."""
    visitor = Visitor(pair)
    first = visitor.park()
    connection = session(pair.home, visitor.path)
    pair.home.until(lambda: connection.polling.held)
    assert http(pair.home, "GET", visitor.path)[0] == 400
    assert first.response()[2] == b"1"
    first.close()


def test_broken_posts_end_the_session_at_its_owner(pair: Pair) -> None:
    """Whether it cannot be decoded or has a type that no client sends."""
    for body, kind in ((b"\xff", "text/plain"), (b"4x", "application/octet-stream")):
        visitor = Visitor(pair)
        connection = session(pair.home, visitor.path)
        reader = Reader(pair.entry.connect())
        reader.sock.sendall(
            f"POST {visitor.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        assert reader.response()[0] == 400
        reader.close()
        pair.home.until(lambda connection=connection: connection.state == "closed")


def test_a_body_too_big_harms_nobody(pair: Pair) -> None:
    """It is refused where it came in, and the session goes on."""
    visitor = Visitor(pair)
    reader = connection(pair.entry)
    reader.sock.sendall(
        f"POST {visitor.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\n"
        "Content-Length: 1000001\r\n\r\n".encode()
    )
    assert reader.response()[0] == 413
    reader.close()
    visitor.post('42["echo",1]')
    assert visitor.get() == ['42["echoed",1]']


def test_the_owner_refuses_what_it_would_refuse_at_home(pair: Pair) -> None:
    """A session it does not have, or one that is on another transport by now."""
    visitor = Visitor(pair)
    unknown = f"{visitor.path[:-3]}zzz"
    for path, code in ((unknown, 1), (visitor.path.replace("polling", "websocket"), 3)):
        for server in (pair.entry, pair.home):
            status, _, body = http(server, "GET", path)
            assert (status, json.loads(body)["code"]) == (400, code)


def test_an_unknown_worker_is_refused_at_once(pair: Pair) -> None:
    """An id that no worker's begins like is answered without asking anybody."""
    status, _, body = http(pair.entry, "GET", f"{ENDPOINT}polling&sid={'n' * 20}")
    assert (status, body) == (400, b'{"code":1,"message":"Session ID unknown"}')


def test_an_upgrade_moves_to_the_owner(pair: Pair) -> None:
    """Its socket goes there with what came early; here nothing of it is left."""
    visitor = Visitor(pair)
    reader = upgrade(pair.entry, visitor.path)
    assert reader.through(b"\r\n\r\n").startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert reader.frame() == (1, b"3probe")
    reader.sock.sendall(b"\x81\x81\x00\x00\x00\x005")
    reader.sock.sendall(b"\x81\x8e\x00\x00\x00\x00" + b'420["echo","x"]'[:14])
    connection = session(pair.home, visitor.path)
    pair.home.until(lambda: connection.websocket)
    assert pair.home.until(lambda: len(pair.home.server.engine.streams)) == 1
    pair.entry.until(lambda: not pair.entry.server.engine.streams)
    reader.close()
    pair.home.until(lambda: connection.state == "closed")


def test_an_upgraded_client_talks_to_its_owner(pair: Pair) -> None:
    """Events and answers go as on any WebSocket."""
    visitor = Visitor(pair)
    reader = upgrade(pair.entry, visitor.path)
    reader.through(b"\r\n\r\n")
    assert reader.frame() == (1, b"3probe")
    event = b'4217["echo","x"]'
    head = bytes([0x81, 0x80 | len(event), 0, 0, 0, 0])
    reader.sock.sendall(b"\x81\x81\x00\x00\x00\x005" + head + event)
    answers = {reader.frame(), reader.frame()}
    assert answers == {(1, b'42["echoed","x"]'), (1, b'4317["x"]')}
    reader.close()


def test_an_upgrade_of_a_session_that_has_ended_is_refused(pair: Pair) -> None:
    """The owner says so on the socket that it got."""
    visitor = Visitor(pair)
    reader = upgrade(pair.entry, f"{visitor.path[:-3]}zzz")
    status, _, body = reader.response()
    reader.close()
    assert (status, body) == (400, b"Session ID unknown")


def test_an_owner_without_descriptors_takes_no_socket(pair: Pair) -> None:
    """The upgrade gets 503, and its client stays on polling."""
    visitor = Visitor(pair)
    pair.home.server.engine._max_streams = 0
    reader = upgrade(pair.entry, visitor.path)
    assert reader.response()[0] == 503
    reader.close()
    visitor.post('42["echo",1]')
    assert visitor.get() == ['42["echoed",1]']


def test_a_second_upgrade_is_closed(pair: Pair) -> None:
    """It is accepted and closed; the first is unharmed."""
    visitor = Visitor(pair)
    first, second = upgrade(pair.entry, visitor.path), None
    first.through(b"\r\n\r\n")
    assert first.frame() == (1, b"3probe")
    second = upgrade(pair.entry, visitor.path)
    assert second.through(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
    assert second.frame()[0] == 8
    first.sock.sendall(b"\x81\x81\x00\x00\x00\x005")
    connection = session(pair.home, visitor.path)
    pair.home.until(lambda: connection.websocket)
    first.close()
    second.close()


def test_cors_headers_are_those_of_the_worker_that_answers(runtime: Runtime, folder: Path) -> None:
    """A function of the program is asked where the request came in, in its own thread."""
    with linked(runtime, folder, cors_allowed_origins="http://page.test") as pair:
        visitor = Visitor(pair)
        visitor.post('42["echo",1]')
        reader = connection(pair.entry)
        reader.sock.sendall(
            f"GET {visitor.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://page.test\r\n\r\n".encode()
        )
        status, headers, _ = reader.response()
        reader.close()
        assert (status, headers["access-control-allow-origin"]) == (200, "http://page.test")


def test_a_big_answer_is_compressed_where_it_goes_out(pair: Pair) -> None:
    """As at home: by what the client of this request takes."""
    visitor = Visitor(pair)
    pair.home.server.emit("big", "x" * 5000)
    reader = connection(pair.entry)
    reader.sock.sendall(
        f"GET {visitor.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept-Encoding: gzip\r\n\r\n".encode()
    )
    status, headers, body = reader.response()
    reader.close()
    assert (status, headers["content-encoding"]) == (200, "gzip")
    assert len(body) < 200


def test_the_end_of_the_owner_fails_its_polls_at_once(pair: Pair) -> None:
    """Who waits at another worker is told that the session is unknown."""
    visitor = Visitor(pair)
    reader = visitor.park()
    connection = session(pair.home, visitor.path)
    pair.home.until(lambda: connection.polling.held)
    pair.home.server.engine.loop.call(pair.home.server.mesh.close)
    assert reader.response()[::2] == (400, b'{"code":1,"message":"Session ID unknown"}')
    reader.close()
    assert http(pair.entry, "GET", visitor.path)[0] == 400


def test_the_end_of_the_entry_ends_the_sessions_it_polled_for(pair: Pair) -> None:
    """Their clients' connections have ended with it."""
    visitor = Visitor(pair)
    other = Visitor(pair)
    reader = visitor.park()
    held, idle = session(pair.home, visitor.path), session(pair.home, other.path)
    pair.home.until(lambda: held.polling.held)
    pair.entry.server.engine.loop.call(pair.entry.server.mesh.close)
    pair.home.until(lambda: held.state == "closed")
    assert idle.state == "open"
    reader.close()


def test_a_draining_worker_lets_go_of_the_polls_it_holds(pair: Pair) -> None:
    """They are answered soon, by the owner, so that their clients ask elsewhere."""
    visitor = Visitor(pair)
    reader = visitor.park()
    connection = session(pair.home, visitor.path)
    pair.home.until(lambda: connection.polling.held)
    pair.entry.server.engine.loop.call(pair.entry.server.mesh.drain)
    assert visitor.finish(reader) == ["6"]
    assert connection.state == "open"
    assert next(iter(pair.home.server.mesh.peers.values())).draining


def test_where_both_end_the_owner_closes_what_waits(pair: Pair) -> None:
    """A poll that waits at one ending worker for another is answered by the session's end."""
    visitor, idle = Visitor(pair), Visitor(pair)
    reader = visitor.park()
    held, other = session(pair.home, visitor.path), session(pair.home, idle.path)
    pair.home.until(lambda: held.polling.held)
    home, entry = pair.home.server, pair.entry.server
    home.engine.loop.call(home.engine.drain, 1800.0, 3600.0)
    pair.entry.until(lambda: next(iter(entry.mesh.peers.values())).draining)
    entry.engine.loop.call(entry.mesh.drain)
    entry.engine.loop.call(entry.mesh._release)
    idle.post('42["echo",1]')  # comes after what was sent before on that link
    assert held.polling.held
    assert (held.state, other.state) == ("open", "open")
    home.engine.loop.call(held.shut_down)
    assert reader.response()[::2] == (200, b"6")
    assert held.state == "closed"
    reader.close()
    assert http(pair.entry, "GET", visitor.path)[0] == 400


def test_sessions_of_a_draining_owner_stay_reachable(pair: Pair) -> None:
    """Until each has its turn to be closed."""
    visitor, peer = Visitor(pair), Peer(pair.home)
    pair.home.server.engine.loop.call(pair.home.server.engine.drain, 1800.0, 3600.0)
    visitor.post('42["echo",1]')
    assert visitor.get() == ['42["echoed",1]']
    peer.send('42["echo",2]')
    assert peer.text() == '42["echoed",2]'
    assert http(pair.home, "GET", f"{ENDPOINT}polling")[0] == 503
    peer.close()


@pytest.mark.parametrize("method", ["HEAD", "PUT"])
def test_other_methods_are_refused_without_asking(pair: Pair, method: str) -> None:
    """As for a session at home."""
    visitor = Visitor(pair)
    reader = connection(pair.entry)
    send_request(reader.sock, method, visitor.path)
    assert reader.through(b"\r\n\r\n").startswith(b"HTTP/1.1 405 ")
    reader.close()


def test_big_requests_and_answers_go_through(pair: Pair) -> None:
    """Up to the size that clients may send, and what is sent to them."""
    visitor, text = Visitor(pair), "x" * 900_000
    visitor.post(f'42["echo","{text}"]')
    assert visitor.get() == [f'42["echoed","{text}"]']


def test_an_answer_may_be_as_big_as_what_is_queued(runtime: Runtime, folder: Path) -> None:
    """Of a server that lets more wait for a client than a frame usually takes."""
    with linked(runtime, folder, max_outbound_bytes=50_000_000) as pair:
        visitor = Visitor(pair)
        pair.home.server.emit("big", "x" * (17 * 2**20))
        (event,) = visitor.get()
        assert len(event) == 17 * 2**20 + len('42["big",""]')


def test_an_answer_too_big_ends_its_own_session_only(pair: Pair) -> None:
    """The link stays, and with it the other sessions."""
    visitor, other = Visitor(pair), Visitor(pair)
    reader = other.park()
    connection = session(pair.home, other.path)
    pair.home.until(lambda: connection.polling.held)
    ended = session(pair.home, visitor.path)
    pair.home.server.mesh.max_payload = 1000
    pair.home.server.emit("big", "x" * 1000, to=visitor.sid)
    status, _, body = http(pair.entry, "GET", visitor.path)
    assert (status, json.loads(body)["code"]) == (400, 1)
    pair.home.until(lambda: ended.state == "closed")
    pair.home.server.emit("small")
    assert other.finish(reader) == ['42["small"]']
