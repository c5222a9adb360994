from flask_sio.testing import TestClient
from server_methods import server


def test_say():
    with TestClient(server, auth={"name": "Ann"}) as ann:
        bob = TestClient(server, auth={"name": "Bob"})
        assert ann.emit("say", "hello", callback=True) == "delivered"
        assert bob.get_received()[-1]["args"] == ["Ann", "hello"]
        bob.disconnect()
        assert ann.wait_for("left")["args"] == ["Bob"]
