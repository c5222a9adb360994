"""Who may enter which room: `use_join`, on a plain server."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from flask_sio import (
    ConnectionRefusedError,
    EventRefusedError,
    MessageQueue,
    NotConnectedError,
    Server,
)
from flask_sio.testing import TestClient
from tests.live import Runtime, plain
from tests.server.clients import Log, Peer

_numbers = count()


def test_each_way_to_join_is_asked_in_order(runtime: Runtime) -> None:
    """Those of all namespaces first; once for each room, before anything is entered."""
    server, log = Server(async_mode=runtime), Log()

    @server.use_join
    def own(socket: Any, room: Any) -> None:
        log.add(("own", socket.id, room, server.rooms(socket.id)[1:]))

    @server.use_join(namespace="*")
    def everywhere(socket: Any, room: Any) -> bool:
        log.add(("all", socket.namespace, room))
        return True

    server.use_join(lambda socket, room: log.add("another's"), namespace="/other")
    with TestClient(server) as client:
        sid = client.sid()
        server.enter_room(sid, ["a", "b"])
        server.socket(sid).join(("c", 1))
        assert server.rooms(sid) == [sid, "a", "b", ("c", 1)]
    assert log.entries == [
        ("all", "/", "a"),
        ("own", sid, "a", []),
        ("all", "/", "b"),
        ("own", sid, "b", []),
        ("all", "/", ("c", 1)),
        ("own", sid, ("c", 1), ["a", "b"]),
    ]


REFUSALS: list[tuple[Any, dict[str, Any]]] = [
    (False, {"error": "Room refused"}),
    (EventRefusedError("members only", {"fee": 3}), {"error": "members only", "data": {"fee": 3}}),
    (ConnectionRefusedError("no", 1), {"error": "no", "data": 1}),
    (ConnectionRefusedError("no"), {"error": "no"}),
]


def answer_with(given: Any) -> Callable[[Any, Any], Any]:
    """Return a policy that raises what it is given, or returns it, for the room "shut"."""

    def policy(socket: Any, room: Any) -> Any:
        if room == "shut" and isinstance(given, Exception):
            raise given
        return given if room == "shut" else None

    return policy


@pytest.mark.parametrize(("given", "told"), REFUSALS)
def test_who_may_not_enter_enters_nothing(
    runtime: Runtime, given: Any, told: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """The caller gets an EventRefusedError, whose payload is an event's ack; nothing is logged."""
    server = Server(async_mode=runtime, error_acks=True)
    server.use_join(answer_with(given))
    server.on("join", lambda sid, rooms: server.enter_room(sid, rooms))
    with TestClient(server) as client:
        sid = client.sid()
        with pytest.raises(EventRefusedError) as refused:
            server.enter_room(sid, ["open", "shut"])
        assert refused.value.payload == told
        assert client.emit("join", ["open", "shut"], callback=True) == told
        assert server.rooms(sid) == [sid]
        assert client.emit("join", "open", callback=True) == []
        assert server.rooms(sid) == [sid, "open"]
    assert caplog.messages == []


def test_a_room_refused_in_a_connect_handler_refuses_the_client(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    """With the policy's text and data."""
    server = Server()
    server.use_join(answer_with(EventRefusedError("members only", {"fee": 3})))
    server.on("connect", lambda sid, environ: server.enter_room(sid, "shut"))
    with plain(runtime, server) as live:
        peer = Peer(live, join=None)
        peer.send("40")
        assert peer.text() == '44{"message":"members only","data":{"fee":3}}'
        peer.leave()
    assert caplog.messages == []


def test_a_policy_may_wait(runtime: Runtime) -> None:
    """It runs where the handler does and keeps no other client waiting: it may ask its own."""
    server = Server()
    server.use_join(lambda socket, room: socket.call("password?", room) == "swordfish")
    server.on("join", lambda sid, room: server.enter_room(sid, room))
    with plain(runtime, server) as live:
        peer, other = Peer(live), Peer(live)
        peer.send('427["join","club"]')
        assert peer.text() == '421["password?","club"]'
        other.send('420["unknown"]')
        other.sync()
        peer.send('431["cod"]')
        assert peer.text() == '437[{"error":"Room refused"}]'
        peer.send('428["join","club"]')
        assert peer.text() == '422["password?","club"]'
        peer.send('432["swordfish"]')
        assert peer.text() == "438[]"
        assert server.room_members("club") == [peer.sid]
        for each in (peer, other):
            each.leave()


def test_nobody_is_asked_of_a_clients_own_room_nor_of_many_at_once(runtime: Runtime) -> None:
    """It is in its own already; ``sockets_join`` is the program's own decision."""
    server = Server(async_mode=runtime)
    server.use_join(lambda socket, room: False)
    with TestClient(server) as client:
        sid = client.sid()
        server.enter_room(sid, sid)
        server.of("/").to(sid).sockets_join("team")
        server.of("/").fetch_sockets()[0].join("club")
        server.engine.loop.settle()
        assert server.rooms(sid) == [sid, "team", "club"]


def test_a_policy_that_fails_keeps_the_client_out(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    """Its exception is the caller's."""
    server = Server(async_mode=runtime, error_acks=True)
    server.use_join(answer_with(LookupError("no database")))
    server.on("join", lambda sid, room: server.enter_room(sid, room))
    with TestClient(server) as client:
        sid = client.sid()
        with pytest.raises(LookupError, match="no database"):
            server.enter_room(sid, "shut")
        with pytest.raises(LookupError):
            client.emit("join", "shut", callback=True)
        assert server.rooms(sid) == [sid]


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
def test_a_coroutine_lets_nobody_in() -> None:
    """A policy that only turns out to be async when it is called refuses."""
    server = Server(async_mode="threading")

    async def never(socket: Any, room: Any) -> bool:
        return True

    server.use_join(lambda socket, room: never(socket, room))
    with TestClient(server) as client, pytest.raises(TypeError, match="not awaited"):
        server.enter_room(client.sid(), "room")


def test_policies_of_a_pattern() -> None:
    """They are asked in the namespaces that it recognises, and in no others."""
    server = Server(async_mode="threading", namespaces=["/plain"])
    server.on("connect", lambda namespace, sid, environ: None, namespace="/team/<team>")

    @server.of("/team/<team>").use_join
    def policy(socket: Any, room: Any) -> bool:
        return bool(room == socket.namespace)

    with TestClient(server, "/team/red") as client:
        server.enter_room(client.sid("/team/red"), "/team/red", namespace="/team/red")
        with pytest.raises(EventRefusedError):
            server.enter_room(client.sid("/team/red"), "x", namespace="/team/red")
        client.connect("/plain")
        server.enter_room(client.sid("/plain"), "x", namespace="/plain")


def test_another_servers_client_is_asked_there_only(runtime: Runtime) -> None:
    """Where a policy is, its id cannot be joined from here; where none can be, it can."""
    queue = f"memory://joining{next(_numbers)}"
    here, there = (
        Server(
            async_mode=runtime,
            namespaces=["/", "/guarded", "/free"],
            client_manager=MessageQueue(queue),
        )
        for _ in range(2)
    )
    here.use_join(lambda socket, room: True, namespace="/guarded")
    here.use_join(lambda socket, room: True, namespace="/team/<name>")
    here.on("connect", lambda sid, environ: None, namespace="/free")
    with TestClient(here, "/") as own, TestClient(there, "/guarded") as client:
        client.connect("/free")
        own.connect("/guarded")
        here.enter_room(own.sid("/guarded"), "room", namespace="/guarded")
        with pytest.raises(NotConnectedError, match="sockets_join"):
            here.enter_room(client.sid("/guarded"), "room", namespace="/guarded")
        with pytest.raises(NotConnectedError):
            here.enter_room("anybody", "room", namespace="/team/red")
        here.enter_room(client.sid("/free"), "room", namespace="/free")
        assert here.room_members("room", "/free") == [client.sid("/free")]
        assert here.room_members("room", "/guarded") == [own.sid("/guarded")]


def test_a_policy_takes_a_socket_and_a_room() -> None:
    """What does not is refused where it is registered."""
    server = Server()
    with pytest.raises(TypeError, match=r"use_join\(\) needs a function that takes \(socket, room"):
        server.use_join(lambda room: True)  # type: ignore[misc]
