"""Clients for tests, inside the process of the server: no port, no thread of your own.

``socketio.test_client(app)`` gives Flask-SocketIO's test client; `TestClient` is the same
for a plain `Server`. What they send and get are real WebSocket frames, and handlers run as
they do in production, each client's in order. A call of the client returns when all that
came of it has ended: what a handler raised is raised from there. In a ``conftest.py``::

    @pytest.fixture
    def app():
        return create_app({"TESTING": True})

    @pytest.fixture
    def client(app):
        with socketio.test_client(app, flask_test_client=app.test_client()) as client:
            yield client

And a test::

    def test_survey(client):
        client.on("question", lambda text: "42")        # answers a call() of the server
        assert client.emit("survey", callback=True) == "thanks"
        assert client.get_received()[0]["name"] == "question"
        client.emit("evaluate")
        result = client.wait_for("result")              # from a background task

A client that is dropped without `disconnect` or ``with`` is forgotten, and its disconnect
handlers do not run. The loop ends with the last client, unless the server serves too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, overload
from wsgiref.util import setup_testing_defaults

from flask_sio.engine.environ import slim
from flask_sio.engine.memory import MemoryStream, connect
from flask_sio.errors import TimeoutError
from flask_sio.protocol import sio
from flask_sio.server.far_end import Busy, FarEnd, Received, raise_errors

if TYPE_CHECKING:
    from types import TracebackType

    from flask import Flask
    from flask.testing import FlaskClient
    from typing_extensions import Self

    from flask_sio.extension.socketio import SocketIO
    from flask_sio.server.server import Server

__all__ = ["SocketIOTestClient", "TestClient"]

logger = logging.getLogger("flask_sio.testing")

F = TypeVar("F", bound=Callable[..., Any])
Headers = Mapping[str, str] | Iterable[tuple[str, str]]


class TestClient:
    """A client of a `Server`, connected when it is made; usable from any thread.

    ``timeout``: seconds a call waits for handlers, None for ever. ``auto_ack``: whether
    events that ask for an answer, and that no function of `on` is for, get an empty one.
    A context manager that leaves all namespaces at its end.
    """

    __test__ = False  # no class of tests, whatever pytest thinks of its name

    def __init__(
        self,
        server: Server,
        namespace: str | None = None,
        query_string: str | None = None,
        headers: Headers | None = None,
        auth: dict[str, Any] | None = None,
        *,
        timeout: float | None = 5.0,
        auto_ack: bool = False,
    ) -> None:
        self.server = server
        self.timeout = timeout
        self.callback_counter = 0
        self._far = FarEnd(server.codec, auto_ack)
        self.connect(namespace, query_string, headers, auth)

    # -- what it knows -----------------------------------------------------------------

    @property
    def eio_sid(self) -> str:
        """The id of its connection, the same for all namespaces; a secret elsewhere."""
        return self._far.eio_sid

    @property
    def connected(self) -> dict[str, bool]:
        """Whether it is connected, by namespace."""
        return self._far.connected

    @property
    def queue(self) -> list[Received]:
        """What was received and not asked for yet, of all namespaces."""
        return self._far.queue

    @property
    def refused(self) -> Any:
        """What the server answered when it refused the last `connect`: ``{"message": ...}``."""
        return self._far.refused

    def sid(self, namespace: str | None = None) -> str:
        """Return its id in a namespace, as ``request.sid`` has it.

        Raises:
            RuntimeError: not connected.
        """
        self._require(namespace or "/")
        return self._far.sids[namespace or "/"]

    def is_connected(self, namespace: str | None = None) -> bool:
        """Return whether a namespace is connected; what is due happens first."""
        self._settle()
        return self.connected.get(namespace or "/", False)

    # -- coming and going --------------------------------------------------------------

    def connect(
        self,
        namespace: str | None = None,
        query_string: str | None = None,
        headers: Headers | None = None,
        auth: dict[str, Any] | None = None,
    ) -> None:
        """Connect to a namespace, again if it is connected; a refusal does not raise.

        All namespaces share one connection and its request; ``query_string`` and
        ``headers`` given for a later one change that request for all.
        """
        namespace, far = namespace or "/", self._far
        if auth is not None and not isinstance(auth, dict):
            raise TypeError("auth must be a dict: no other client can send anything else")
        if self.connected.get(namespace):
            self.disconnect(namespace)
        packet = far.encode(sio.CONNECT, namespace, auth)
        if not far.is_open:
            connect(self.server.engine, far, self._environ(query_string, headers), far.eio_sid)
        elif query_string or headers:
            environ = slim(self._environ(query_string, headers))
            far.stream.loop.call(far.replace_environ, environ)
        far.refused = None
        self._act(partial(far.transmit, packet), f"connect({namespace!r})")

    def disconnect(self, namespace: str | None = None) -> None:
        """Leave a namespace; the connection ends with the last.

        Raises:
            RuntimeError: not connected.
        """
        namespace = namespace or "/"
        self._require(namespace)
        self._leave([namespace])

    def close(self) -> None:
        """Leave all namespaces."""
        if self._far.is_open:
            self._leave([name for name, is_in in self.connected.items() if is_in])

    def _leave(self, namespaces: list[str]) -> None:
        far = self._far
        goodbyes = {name: far.encode(sio.DISCONNECT, name) for name in namespaces}
        self._act(partial(far.leave, goodbyes), "disconnect()")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.close()
        except Exception:
            if error is None:
                raise
            logger.exception("a test has failed, and so did a handler at its end")

    # -- sending -----------------------------------------------------------------------

    def emit(
        self,
        event: str,
        *args: Any,
        namespace: str | None = None,
        callback: Any = False,
        wait: bool = False,
        broadcast: Any = None,
    ) -> Any:
        """Send an event and wait for its handler, and for what that sets in motion.

        ``namespace``; ``callback=True`` to ask for an acknowledgement: returns its value,
        a list of several or none, or None if there was no answer; with ``wait=True`` it is
        waited for, as a `flask_sio.Ack` may come later. ``broadcast`` means nothing, as in
        Flask-SocketIO.

        Raises:
            RuntimeError: not connected.
            TimeoutError: a handler has not ended in time; it goes on.
            TypeError: what is sent is no JSON.
        """
        namespace, far = namespace or "/", self._far
        self._require(namespace)
        ack_id = None
        if callback:
            self.callback_counter += 1
            ack_id = self.callback_counter
        packet = far.encode(sio.EVENT, namespace, [event, *args], ack_id)
        self._act(partial(far.transmit, packet), f"emit({event!r})")
        if ack_id is None:
            return None
        if far.is_answering or wait:
            far.until(lambda: far.acks.get(ack_id, None if far.is_open else []), self.timeout)
        answer = far.acks.pop(ack_id, None)
        return answer[0] if answer is not None and len(answer) == 1 else answer

    def send(
        self, data: Any, json: bool = False, callback: bool = False, namespace: str | None = None
    ) -> Any:
        """Emit ``"message"``, or ``"json"`` with ``json=True``; see `emit`."""
        name = "json" if json else "message"
        return self.emit(name, data, callback=callback, namespace=namespace)

    # -- receiving ---------------------------------------------------------------------

    def get_received(self, namespace: str | None = None) -> list[Received]:
        """Return what was received in a namespace since the last call.

        Each is ``{"name", "args", "namespace"}``; ``args`` is a list, but for ``message``
        and ``json`` the one value.

        Raises:
            RuntimeError: not connected.
        """
        self._settle()
        self._require(namespace or "/")
        raise_errors([self._far.stream])
        return self._far.stream.loop.call(self._far.take_all, namespace or "/")

    def wait_for(
        self, event: str, timeout: float | None = 5.0, namespace: str | None = None
    ) -> Received:
        """Return the next event of this name, out of what was received; wait for it.

        Raises:
            RuntimeError: not connected, or no more.
            TimeoutError: it has not come within ``timeout`` seconds.
        """
        far = self._far
        found = far.until(lambda: far.take(event, namespace or "/"), timeout)
        if found is None:
            raise_errors([far.stream])
            names = [received["name"] for received in self.queue]
            raise TimeoutError(f"no {event!r} within {timeout} s, but {names}")
        return found  # type: ignore[no-any-return]

    @overload
    def on(
        self, event: str, function: None = None, namespace: str | None = None
    ) -> Callable[[F], F]: ...
    @overload
    def on(self, event: str, function: F, namespace: str | None = None) -> F: ...
    def on(self, event: str, function: F | None = None, namespace: str | None = None) -> Any:
        """Call a function for each event of a name, also as a decorator; one at a time.

        What it returns answers the server's callback or ``call()``: a tuple is several
        values, None is none. It runs on a worker; what it raises is raised in the test.
        """

        def register(function: F) -> F:
            self._far.functions[namespace or "/", event] = function
            return function

        return register if function is None else register(function)

    # -- waiting -----------------------------------------------------------------------

    def _require(self, namespace: str) -> None:
        if not self.connected.get(namespace):
            raise RuntimeError("not connected")

    def _settle(self) -> None:
        if self._far.is_open:
            self._far.stream.loop.settle()

    def _act(self, feed: Callable[[], None], what: str) -> None:
        """Run ``feed`` in a turn, and wait until all that came of it has ended.

        The connection ends as soon as no namespace is left.
        """
        far, loop = self._far, self._far.stream.loop
        if far.is_answering:
            loop.call(feed)
            return
        try:
            far.wait_idle(loop.call(self._begin, feed), what, self.timeout)
        except BaseException:
            if not far.is_anywhere:
                loop.run(far.hang_up)
            raise
        if not far.is_anywhere and far.is_open:
            far.wait_idle(loop.call(self._begin, far.hang_up), what, self.timeout)
            ended = loop.waiter()
            loop.run(far.stream.when_closed, lambda _stream: ended.set())
            ended.wait(self.timeout)

    def _begin(self, feed: Callable[[], None]) -> list[Busy]:
        """Run ``feed``; return what to wait for: this client, and others that it may stir."""
        own = self._far.stream
        others = [
            stream
            for stream in self.server.engine.streams
            if isinstance(stream, MemoryStream) and stream is not own and not stream.busy()
        ]
        feed()
        outgoing = self.server.outgoing
        return [own, *others] if outgoing is None else [own, *others, outgoing]

    # -- the request -------------------------------------------------------------------

    def _environ(self, query_string: str | None, headers: Headers | None) -> dict[str, Any]:
        """Return the WSGI environ of the connection's request."""
        environ: dict[str, Any] = {
            "PATH_INFO": f"/{self.server.options.path}/",
            "QUERY_STRING": (query_string or "").removeprefix("?"),
            "REMOTE_ADDR": "127.0.0.1",
            "SERVER_PROTOCOL": "HTTP/1.1",
        }
        setup_testing_defaults(environ)
        pairs = headers.items() if isinstance(headers, Mapping) else headers or ()
        for name, value in pairs:
            key = name.upper().replace("-", "_")
            environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
        return environ


class SocketIOTestClient(TestClient):
    """Flask-SocketIO's test client; `SocketIO.test_client` makes one.

    With ``flask_test_client`` its cookies and its ``environ_base`` are used, so that a user
    who logged in through it is logged in here. The rest is `TestClient`.

    Raises:
        RuntimeError: `SocketIO.init_app` has not been called.
    """

    def __init__(
        self,
        app: Flask,
        socketio: SocketIO,
        namespace: str | None = None,
        query_string: str | None = None,
        headers: Headers | None = None,
        auth: dict[str, Any] | None = None,
        flask_test_client: FlaskClient | None = None,
        *,
        timeout: float | None = 5.0,
        auto_ack: bool = False,
    ) -> None:
        self.app = app
        self.socketio = socketio
        self.flask_test_client = flask_test_client
        mount = app.extensions.get("flask_sio", {}).get(socketio)
        server = socketio.server if mount is None else mount.wsgi.server
        if server is None:
            raise RuntimeError("this SocketIO has no application yet: call init_app(app) first")
        super().__init__(
            server, namespace, query_string, headers, auth, timeout=timeout, auto_ack=auto_ack
        )

    def _environ(self, query_string: str | None, headers: Headers | None) -> dict[str, Any]:
        from flask.testing import EnvironBuilder

        http = self.flask_test_client
        builder = EnvironBuilder(
            self.app,
            path=f"/{self.server.options.path}/",
            query_string=(query_string or "").removeprefix("?"),
            headers=headers,
            environ_base={"REMOTE_ADDR": "127.0.0.1"} if http is None else http.environ_base,
        )
        environ: dict[str, Any] = builder.get_environ()
        builder.close()
        if http is not None:
            http._add_cookies_to_wsgi(environ)
        environ["flask.app"] = self.app
        return environ
