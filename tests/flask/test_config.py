"""Options from the application's configuration."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from flask_sio import ConfigError, SocketIO
from tests.flask.polling import PollingClient

pytestmark = pytest.mark.quick


def app_with(**config: Any) -> Flask:
    """Return an application whose configuration has these keys."""
    app = Flask("site")
    app.config.update({f"SOCKETIO_{name}": value for name, value in config.items()})
    return app


def test_options_come_from_the_configuration() -> None:
    """Each SOCKETIO_ key is the option of that name, also those that are Flask's own."""
    app = app_with(PING_TIMEOUT=7, PATH="live", MANAGE_SESSION=False, ASYNC_MODE="threading")
    socketio = SocketIO(app)
    assert socketio.server.options.ping_timeout == 7
    assert socketio.manage_session is False
    assert socketio.async_mode == "threading"
    client = PollingClient(app, path="/live/")
    assert client.connect().startswith("40")
    socketio.shutdown()


def test_arguments_win() -> None:
    """What the constructor or init_app is given comes before the configuration."""
    socketio = SocketIO(ping_timeout=3)
    socketio.init_app(app_with(PING_TIMEOUT=7, PING_INTERVAL=8, MAX_CONNECTIONS=9), ping_interval=4)
    options = socketio.server.options
    assert (options.ping_timeout, options.ping_interval, options.max_connections) == (3, 4, 9)


@pytest.mark.parametrize("name", ["PATH", "RESOURCE"])
@pytest.mark.parametrize("argument", ["path", "resource"])
def test_argument_wins_over_the_other_name_of_it(name: str, argument: str) -> None:
    """path= and resource= are one option, wherever each is given."""
    socketio = SocketIO(app_with(**{name: "theirs"}), **{argument: "ours"})
    assert socketio.server.options.path == "ours"


def test_an_unknown_key_is_named_with_the_nearest() -> None:
    """A mistyped key fails at the start, and the error has both spellings."""
    with pytest.raises(TypeError, match=r"'SOCKETIO_PING_TIMOUT'.*'SOCKETIO_PING_TIMEOUT'"):
        SocketIO(app_with(PING_TIMOUT=7))
    with pytest.raises(TypeError, match="did you mean 'SOCKETIO_MANAGE_SESSION'"):
        SocketIO(app_with(MANAGE_SESION=True))


def test_a_key_of_the_programs_own_is_warned_about() -> None:
    """A key that resembles no option stops nothing; the warning says whose the prefix is."""
    with pytest.warns(UserWarning, match="'SOCKETIO_FRONTEND_URL': keys that begin with SOCKETIO_"):
        socketio = SocketIO(app_with(FRONTEND_URL="https://example.org", PING_TIMEOUT=7))
    assert socketio.server.options.ping_timeout == 7


def test_options_are_checked_by_name_before_there_is_an_application() -> None:
    """SocketIO() refuses at once what init_app would not know."""
    with pytest.raises(TypeError, match="'ping_timout'; did you mean 'ping_timeout'"):
        SocketIO(ping_timout=7)
    SocketIO(ping_timeout=7, resource="live", session_scope="namespace", channel="x")


def test_an_unknown_key_fails_also_where_an_argument_would_win() -> None:
    """Keys are checked whatever the arguments are."""
    with pytest.raises(TypeError, match="SOCKETIO_PING_TIMOUT"):
        SocketIO(app_with(PING_TIMOUT=7), ping_timeout=7)


def test_a_wrong_value_is_named() -> None:
    """A value that cannot work is refused as an argument's would be."""
    with pytest.raises(ConfigError, match="ping_timeout"):
        SocketIO(app_with(PING_TIMEOUT="soon"))


def test_each_application_has_its_own_configuration() -> None:
    """With several applications one's configuration does not reach the next."""
    socketio = SocketIO(max_attachments=3)
    socketio.init_app(app_with(PING_TIMEOUT=7, MESSAGE_QUEUE="memory://config"))
    assert socketio.server.options.client_manager is not None
    socketio.init_app(app_with())
    options = socketio.server.options
    assert (options.ping_timeout, options.max_attachments) == (20, 3)
    assert options.client_manager is None
    assert socketio.server_options == {"max_attachments": 3}


def test_configuration_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flask's from_prefixed_env gives numbers and booleans as they are meant."""
    monkeypatch.setenv("FLASK_SOCKETIO_PING_TIMEOUT", "9.5")
    monkeypatch.setenv("FLASK_SOCKETIO_HTTP_COMPRESSION", "false")
    app = Flask("site")
    app.config.from_prefixed_env()
    options = SocketIO(app).server.options
    assert (options.ping_timeout, options.http_compression) == (9.5, False)
