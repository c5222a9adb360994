"""No log line and no representation tells what only a client may know (docs/limits.md).

A noisy session: every way to be refused, to fail and to end, with every logger of the
process at DEBUG. What must stay secret is then looked for in all that was written, and in
the representation of every object of ours that is alive.
"""

from __future__ import annotations

import gc
import io
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from flask_sio import ConnectionRefusedError, Server
from tests.live import Runtime, plain
from tests.raw_more import Frames, Poller, ask, frame, request, upgrade_request
from tests.server.clients import Log
from tests.server.desk import Desk
from tests.servers.raw import ENDPOINT

AUTH, COOKIE, QUERY, DATA, HEADER = "auth-5ecret", "cookie-5ecret", "q-5ecret", "d-5ecret", "h-5e"
PRIVATE = (AUTH, COOKIE, QUERY, DATA, HEADER)
HEADERS = {"Cookie": f"session={COOKIE}", "Authorization": f"Bearer {HEADER}"}


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What all loggers write at DEBUG, tracebacks included."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s"))
    root = logging.getLogger()
    names = [name for name in logging.root.manager.loggerDict if name.startswith("flask_sio")]
    before = {each: each.level for each in (root, *map(logging.getLogger, names))}
    for each in before:
        each.setLevel(logging.DEBUG)
    root.addHandler(handler)
    try:
        yield out
    finally:
        root.removeHandler(handler)
        for each, level in before.items():
            each.setLevel(level)


def noisy_server(log: Log) -> Server:
    server = Server(
        max_outbound_bytes=1000,
        max_mailbox_events=5,
        max_connections_per_address=10,
        error_acks=True,
        namespaces="*",
    )

    @server.event
    def connect(sid: str, environ: dict[str, Any], auth: Any) -> None:
        if auth is not None and "refuse" in auth:
            raise ConnectionRefusedError("no")
        if auth is not None and "fail" in auth:
            raise RuntimeError("the handler's own words")

    @server.event
    def fail(sid: str, data: Any) -> None:
        log.add("failed")
        raise RuntimeError("the handler's own words")

    @server.event
    def much(sid: str, data: Any) -> None:
        for _ in range(3):
            server.emit("much", 2_000_000 * "x", to=sid)

    @server.event
    def disconnect(sid: str, reason: str) -> None:
        log.add(reason)
        raise RuntimeError("the handler's own words")

    return server


def _noise(desk: Desk, log: Log, secrets: list[str]) -> None:
    poller = Poller(desk, f"&token={QUERY}")
    secrets.append(poller.sid)
    assert poller.post(f'40{{"token":"{AUTH}"}}'.encode()) == (200, b"ok")
    assert poller.get()[1].startswith(b"40{")
    assert poller.post(f'420["fail","{DATA}"]'.encode()) == (200, b"ok")
    assert poller.get()[1].startswith(b"430[")
    for method, extra in (("GET", "&EIO=3"), ("PUT", ""), ("GET", "&transport=websocket")):
        ask(desk, request(method, poller.path + extra, HEADERS))
    ask(desk, request("GET", f"{ENDPOINT}polling&t={QUERY}", {"Origin": "https://evil"}))
    ask(desk, upgrade_request(f"{ENDPOINT}websocket&t={QUERY}", HEADERS | {"Origin": "x"}))
    probe = Frames(desk, poller.sid)
    probe.send(f"4{DATA}")
    probe.skip_to_end()
    probe.close()
    assert poller.post(f'4{DATA}\x1e"'.encode())[0] in (200, 400)
    log.wait_for(lambda entries: len(entries) >= 2)
    for text in (f'40{{"refuse":"{AUTH}"}}', f'40{{"fail":"{AUTH}"}}', f"4{DATA}", f'42["{DATA}'):
        ws = Frames(desk)
        secrets.append(ws.sid)
        ws.send(text)
        ws.sendall(frame(1, b"\xff" + DATA.encode()))
        ws.skip_to_end()
        ws.close()
    slow = Frames(desk)
    secrets.append(slow.sid)
    slow.send("40", *(4 * [f'42["much","{DATA}"]']))
    log.wait_for(lambda entries: "transport error" in entries[2:])
    slow.skip_to_end()
    slow.close()


def test_nothing_private_is_written_or_shown(runtime: Runtime, written: io.StringIO) -> None:
    """Engine.IO ids, auth, cookies, headers, query strings and data stay where they are."""
    log, secrets = Log(), list(PRIVATE)
    with plain(runtime, noisy_server(log)) as live:
        desk = Desk(live)
        _noise(desk, log, secrets)
        kept = Poller(desk, f"&token={QUERY}")
        secrets.append(kept.sid)
        assert kept.post(f'40{{"token":"{AUTH}"}}'.encode()) == (200, b"ok")
        desk.live.until(lambda: len(desk.engine.connections) == 1)
        shown = [repr(each) for each in gc.get_objects() if _is_ours(each)]
        kept.leave()
        desk.until_empty()
    text = written.getvalue()
    assert "the handler's own words" in text  # it was noisy indeed
    assert "slow client" in text
    assert any("Socket" in each for each in shown)
    for secret in secrets:
        assert secret not in text
        assert [each for each in shown if secret in each] == []


def _is_ours(thing: object) -> bool:
    module = type(thing).__module__
    return isinstance(module, str) and module.startswith("flask_sio.")


def test_representations_hide_what_they_hold() -> None:
    """Those that live too briefly to be found above."""
    from flask_sio.adapters.bus import Message, Reply
    from flask_sio.adapters.queue import MessageQueue
    from flask_sio.engine.gate import EngineRequest
    from flask_sio.engine.hooks import ConnectionFailure
    from flask_sio.protocol import eio, sio
    from flask_sio.protocol.encoded import Encoded

    environ = {
        "REQUEST_METHOD": "GET",
        "QUERY_STRING": f"EIO=4&transport=polling&sid={DATA}&token={QUERY}",
        "HTTP_COOKIE": COOKIE,
    }
    things = (
        EngineRequest.from_environ(environ),
        ConnectionFailure(3, "Bad request", {"name": "X"}, environ),
        eio.Packet("4", DATA),
        sio.Packet(sio.CONNECT, "/", {"token": AUTH}),
        Encoded(f'40{{"token":"{AUTH}"}}', (DATA.encode(),)),
        eio.open_packet(DATA, [], 25, 20, 1),
        Message("emit", "/", body=(DATA, (DATA.encode(),))),
        Reply(1, "someone", "answer", value=(DATA,)),
        MessageQueue(f"redis://user:{AUTH}@example/0"),
    )
    shown = " ".join(map(repr, things))
    assert [secret for secret in PRIVATE if secret in shown] == []


@pytest.mark.parametrize("name", ["/a\r\nERROR root fake", "/\x9b2J", "/a\u2028b"])
def test_a_name_cannot_forge_a_log_line(name: str) -> None:
    """Namespaces that a client invents hold no line break and no control sequence."""
    from flask_sio.errors import PacketError
    from flask_sio.protocol import sio

    for packet in (f"0{name},", f'2{name},["x"]', f"1{name}"):
        with pytest.raises(PacketError):
            sio.Decoder().feed(packet)


# -- what every answer says ----------------------------------------------------------------


def test_every_answer_is_private_and_varies(runtime: Runtime) -> None:
    """No cache keeps it, no browser takes it for a script, and the origin makes a difference."""
    with plain(runtime, Server(max_header_bytes=2000)) as live:
        desk = Desk(live)
        poller = desk.poller()
        closed = "&sid=AAAAAAAAAAAAAAAAAAAA"
        polling, websocket = f"{ENDPOINT}polling", f"{ENDPOINT}websocket"
        answers = {
            "handshake": poller.handshake,
            "unknown sid": ask(desk, request("GET", polling + closed)),
            "unknown transport": ask(desk, request("GET", f"{ENDPOINT}smoke")),
            "foreign page": ask(desk, request("GET", polling, {"Origin": "https://evil"})),
            "foreign page, upgrade": ask(desk, upgrade_request(websocket, {"Origin": "x://y"})),
            "method": poller.ask("PUT"),
            "post": poller.ask("POST", body=b"40"),
            "poll": poller.ask("GET"),
            "too large": poller.ask("POST", {"Content-Length": "2000000"}),
            "headers": ask(desk, request("GET", polling, {"X": 2000 * "x"})),
            "bad post": poller.ask("POST", body=b"x"),
            "http 1.0": ask(desk, upgrade_request(websocket).replace(b"HTTP/1.1", b"HTTP/1.0")),
        }
        desk.until_empty()
    for name, answer in answers.items():
        assert answer.headers.get("cache-control") == "no-store", name
        assert answer.headers.get("x-content-type-options") == "nosniff", name
        assert "Origin" in answer.headers.get("vary", ""), name
        assert "access-control-allow-origin" not in answer.headers, name
