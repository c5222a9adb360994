import pytest
from survey import create_app, socketio


@pytest.fixture
def app():
    return create_app({"TESTING": True})


@pytest.fixture
def client(app):
    with socketio.test_client(app, flask_test_client=app.test_client()) as client:
        yield client


def test_survey(client):
    client.on("question", lambda text: 42)  # answers the server's call()
    assert client.emit("survey", callback=True) == "thanks, 42"
    assert client.get_received() == [{"name": "question", "args": ["How many?"], "namespace": "/"}]


def test_result_comes_from_a_background_task(client):
    client.on("question", lambda text: 42)
    client.emit("survey")
    client.emit("evaluate")
    assert client.wait_for("result")["args"] == [42]


def test_others_hear(app, client):
    with socketio.test_client(app) as other:
        client.emit("say", "hello")
        assert other.get_received()[0]["args"] == ["hello"]
        assert client.get_received() == []


def test_a_failing_handler_fails_the_test(client):
    with pytest.raises(KeyError):
        client.emit("evaluate")  # there is no answer yet
