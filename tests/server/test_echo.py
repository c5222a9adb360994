"""The shortest way through all layers."""

from __future__ import annotations

from flask_sio import Server
from tests.live import Runtime, plain
from tests.servers.raw import PollingClient, WebSocketClient


def test_an_event_and_its_ack_travel_on_a_websocket(runtime: Runtime) -> None:
    """What a handler emits and returns reaches the client that asked, in this order."""
    server = Server()

    @server.on("echo")
    def echo(sid: str, *args: object) -> object:
        server.emit("echoed", args, to=sid)
        return args

    with plain(runtime, server) as live:
        client = WebSocketClient(live)
        client.send('421["echo","a",2]')
        assert client.text() == '42["echoed","a",2]'
        assert client.text() == '431["a",2]'
        client.close()


def test_a_parked_poll_is_answered(runtime: Runtime) -> None:
    """A held GET returns with what is emitted meanwhile."""
    server = Server()
    with plain(runtime, server) as live:
        client = PollingClient(live)
        server.emit("news", "late")
        assert client.response()[2] == b'42["news","late"]'
        client.close()
