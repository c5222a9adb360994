"""Who may enter which room, in Flask: asked in the context of the client who enters."""

from __future__ import annotations

from typing import Any

import pytest
from flask import g, request

from flask_sio import (
    EventRefusedError,
    Namespace,
    SocketBlueprint,
    SocketIO,
    current_socket,
    join_room,
    rooms,
)
from tests.flask.site import Site


def test_a_handlers_own_join_is_asked_in_its_context(site: Site) -> None:
    """It shares ``g`` and the request with the handler; False becomes the ack."""

    @site.socketio.use_join
    def policy(socket: Any, room: str) -> bool:
        assert socket is current_socket._get_current_object()  # type: ignore[attr-defined]
        assert request.event["message"] == "do"  # type: ignore[attr-defined]
        return bool(g.team == room)

    def join(room: str) -> list[Any]:
        g.team = "red"
        join_room(room)
        return rooms()

    client, sid = site.joined()
    assert site.run(client, join, "blue") == [{"error": "Room refused"}]
    assert site.run(client, join, "red") == [[sid, "red"]]


def test_another_clients_join_is_asked_in_that_clients_context(site: Site) -> None:
    """Neither the ``g`` of who asks nor its request is there; after it both are again."""
    seen: list[Any] = []

    @site.socketio.use_join
    async def policy(socket: Any, room: str) -> None:
        seen.append((socket.id, current_socket.id, request.sid, g.get("user")))  # type: ignore[attr-defined]

    _, other = site.joined()
    client, sid = site.joined()

    def admit() -> list[Any]:
        g.user = "admin"
        join_room("club", sid=other)
        return [g.user, current_socket.id]

    assert site.run(client, admit) == [["admin", sid]]
    assert seen == [(other, other, other, None)]
    assert site.socketio.room_members("club") == [other]


@pytest.mark.parametrize("may", [True, False])
def test_a_views_join_is_asked_too(site: Site, may: bool) -> None:
    """The view gets the exception, and its own request and ``g`` stay."""
    site.socketio.use_join(lambda socket, room: may and current_socket.id == socket.id)
    _, sid = site.joined()
    with site.app.test_request_context("/admit"):
        g.user = "admin"
        if may:
            join_room("club", sid, "/")
        else:
            with pytest.raises(EventRefusedError, match="Room refused"):
                join_room("club", sid, "/")
        assert (request.path, g.user) == ("/admit", "admin")
    assert site.socketio.room_members("club") == ([sid] if may else [])


def test_a_policy_of_a_blueprint_and_of_a_class(site: Site) -> None:
    """It is for the namespace that the blueprint is registered in, whoever handles the event."""
    blueprint = SocketBlueprint("guards", "/chat")
    blueprint.use_join(lambda socket, room: room != "staff")

    class Chat(Namespace):
        def on_join(self, room: str) -> str:
            join_room(room)
            return "welcome"

    site.socketio.on_namespace(Chat("/chat"))
    site.socketio.register_blueprint(blueprint)
    with site.socketio.test_client(site.app, "/chat") as client:
        refused = {"error": "Room refused"}
        assert client.emit("join", "staff", namespace="/chat", callback=True) == refused
        assert client.emit("join", "guests", namespace="/chat", callback=True) == "welcome"


def test_a_refused_room_in_connect_refuses_the_client(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """As a refusal of the connect handler's own; no error handler sees it, nothing is logged."""
    seen: list[Exception] = []
    site.socketio.errorhandler(Exception)(lambda error: seen.append(error))
    site.socketio.use_join(lambda socket, room: False)
    site.socketio.on_event("connect", lambda: join_room("club"))
    with site.socketio.test_client(site.app) as client:
        assert client.refused == {"message": "Room refused"}
    assert seen == []
    assert caplog.messages == []


def test_a_policy_takes_a_socket_and_a_room() -> None:
    """What does not is refused where it is registered."""
    with pytest.raises(TypeError, match=r"use_join\(\) needs a function of \(socket, room\)"):
        SocketIO().use_join(lambda room: True)  # type: ignore[misc]
