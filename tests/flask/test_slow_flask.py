"""on_high_water, on_drain and disconnect(after_flush=True) in Flask."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, current_app, request

from flask_sio import SocketBlueprint, SocketIO, disconnect, emit
from tests.live import Runtime, serve
from tests.server.clients import Log, Peer
from tests.server.test_slow_clients import BLOCK, fill, read


def test_slow_clients(runtime: Runtime) -> None:
    """The hooks run in the client's context, take nothing, and may emit to it."""
    app, log = Flask("site"), Log()
    socketio = SocketIO(async_mode=runtime, max_outbound_bytes=2**26, high_water_bytes=len(BLOCK))
    blueprint = SocketBlueprint("x")

    @socketio.on_high_water
    def slow() -> None:
        log.add(("high", request.sid, current_app.name))  # type: ignore[attr-defined]
        emit("slow")

    @blueprint.on_drain
    async def caught_up() -> None:
        log.add(("drain", request.sid))  # type: ignore[attr-defined]

    @socketio.on("leave")
    def leave() -> None:
        emit("bye")
        disconnect(after_flush=True)

    socketio.init_app(app)
    socketio.register_blueprint(blueprint)
    with serve(runtime, app, socketio.server) as live:
        peer = Peer(live)
        count = fill(live, peer)
        assert log.wait(1) == [("high", peer.sid, "site")]
        read(peer, count)
        assert peer.text() == '42["slow"]'
        assert log.wait(2)[1] == ("drain", peer.sid)
        peer.send('42["leave"]')
        assert (peer.text(), peer.text()) == ('42["bye"]', "41")
        peer.leave()


def test_a_hook_that_takes_something() -> None:
    """Is refused where it is registered."""
    socketio = SocketIO()
    wrong: Any = lambda sid: None  # noqa: E731
    with pytest.raises(TypeError, match=r"on_high_water\(\) needs a function of nothing"):
        socketio.on_high_water(wrong)


def test_a_rate_for_flask() -> None:
    """The options are the extension's too, also from the configuration."""
    app = Flask("site")
    app.config.update(SOCKETIO_MAX_EVENTS_PER_S=0.001, SOCKETIO_EVENT_BURST=1)
    socketio = SocketIO(app, async_mode="threading")
    socketio.on_event("go", lambda: "done")
    with socketio.test_client(app) as client:
        assert client.emit("go", callback=True) == "done"
        assert client.emit("go", callback=True) == {"error": "too many events"}
