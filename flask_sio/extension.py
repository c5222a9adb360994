"""The Flask extension: one object that registers handlers, emits, and runs the server."""

from __future__ import annotations

import os
import sys
import warnings
import weakref
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, overload

import flask
from flask import Flask
from markupsafe import Markup
from werkzeug.debug import DebuggedApplication
from werkzeug.serving import is_running_from_reloader

from flask_sio.adapters.queue import chosen_queue
from flask_sio.client_files import ClientFiles, script_tag
from flask_sio.context import EmitterCallback, FlaskConvention, current_event, error_hook
from flask_sio.errors import ConnectionRefusedError
from flask_sio.functions import event_args, skipped, target_rooms
from flask_sio.mounts.wsgi import WSGIApp
from flask_sio.runtime.loop import Task
from flask_sio.runtime.serve import Plan, run_pywsgi, run_werkzeug
from flask_sio.server import reasons
from flask_sio.server.class_namespace import Namespace
from flask_sio.server.handlers import Kind
from flask_sio.server.server import Server

if TYPE_CHECKING:
    from flask.testing import FlaskClient

    from flask_sio.testing import Headers, SocketIOTestClient

__all__ = ["SocketIO"]

F = TypeVar("F", bound=Callable[..., Any])

_QUEUE_OPTIONS = {"message_queue", "channel"}
_NO_FILES = ClientFiles(os.devnull)
"""Finds no bundle, for a server that serves none."""


class Registration(NamedTuple):
    """A handler and what it was registered for."""

    event: str
    handler: Callable[..., Any]
    namespace: str
    concurrent: bool | None

    def enter(self, server: Server) -> None:
        """Register the handler with a server."""
        server.handlers.add(self.event, self.handler, self.namespace, self.concurrent)


class _Mount:
    """What stands in ``app.wsgi_app`` for good, whichever server is behind it."""

    def __init__(self, app: Flask, server: Server) -> None:
        self._app = app
        self.wsgi = WSGIApp(server, app.wsgi_app)

    def replace(self, server: Server) -> None:
        """Put another server here, in front of the same application."""
        self.wsgi = WSGIApp(server, self.wsgi.wsgi_app)

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        environ["flask.app"] = self._app
        return self.wsgi(environ, start_response)


class SocketIO:
    """A Socket.IO server for a Flask application.

    ``options`` are those of `Server`, and ``manage_session``, ``message_queue``, ``channel``.
    Without an app, call `init_app` later; its options are added to these. Handlers may be
    registered before and after. With a ``message_queue`` and no app it only emits, to the
    clients of the servers on that queue.
    """

    reason = reasons
    """The constants a disconnect handler's reason is one of."""

    def __init__(self, app: Flask | None = None, **options: Any) -> None:
        self.server_options: dict[str, Any] = {}
        self.manage_session = True
        """Keep a copy of the session per connection; False opens and saves it per event."""
        self.handlers: list[Registration] = []
        """Every one, so that each application's server gets them all."""
        self.namespace_handlers: list[Namespace] = []
        self.exception_handlers: dict[str, Callable[[Exception], Any]] = {}
        self.default_exception_handler: Callable[[Exception], Any] | None = None
        self.wsgi_server: Any = None
        """pywsgi's server object, while `run` serves with it."""
        self._server: Server | None = None
        self._apps: weakref.WeakSet[Flask] = weakref.WeakSet()
        self._stop: Callable[[], None] | None = None
        if app is not None or options.get("message_queue"):
            self.init_app(app, **options)
        else:
            self.server_options.update(options)

    @property
    def server(self) -> Server:
        """The server of the application that came last; None before `init_app`."""
        return self._server  # type: ignore[return-value] # nobody reads it before init_app()

    @property
    def sockio_mw(self) -> WSGIApp | None:
        """What stands in front of the last application, which is its ``wsgi_app``."""
        mounts = filter(None, map(self._mount_of, self._apps))
        return next((each.wsgi for each in mounts if each.wsgi.server is self._server), None)

    def init_app(self, app: Flask | None, **options: Any) -> None:
        """Serve this application; the options are added to the constructor's.

        None, with a ``message_queue``: serve nobody, and emit to that queue.

        Raises:
            TypeError: an option nobody knows; or neither an application nor a queue.
            ConfigError: an option's value cannot work.
        """
        latest, options = options, {**self.server_options, **options}
        queue = chosen_queue(options, latest, write_only=app is None)
        if queue is not None:
            options["client_manager"] = queue
        elif app is None:
            raise TypeError("init_app() needs an application, or a message_queue to write to")
        manage_session = options.pop("manage_session", self.manage_session)
        server_options = {name: options[name] for name in options.keys() - _QUEUE_OPTIONS}
        if app is None:
            self.manage_session, self.server_options = manage_session, options
            self._server = Server(**server_options)
            return
        if options.get("json") is flask.json:
            server_options["json"] = app.json  # the same, and needs no application context
        convention = FlaskConvention(app, self)
        server = convention.server = Server(convention=convention, **server_options)
        for registration in self.handlers:
            registration.enter(server)
        for namespace in self.namespace_handlers:
            server.register_namespace(namespace)
        self.manage_session, self.server_options = manage_session, options
        self._server = server
        self._mount(app, server)

    def _mount(self, app: Flask, server: Server) -> None:
        mount = self._mount_of(app)
        if mount is None:
            mount = _Mount(app, server)
            # Kept by the application: a table of ours would keep every application alive.
            app.extensions.setdefault("flask_sio", {})[self] = mount
            app.wsgi_app = mount  # type: ignore[method-assign] # how Flask is extended
            self._apps.add(app)
        else:
            mount.replace(server)
        app.extensions["socketio"] = self
        files = ClientFiles(server.options.client_dir, app.root_path)
        mount.wsgi.client_files = files
        if not server.options.serve_client:
            files = _NO_FILES

        def socketio_script() -> Markup:
            """Return the tag that loads the browser client."""
            prefix = flask.request.script_root if flask.has_request_context() else ""
            return Markup(script_tag(server.options.path, prefix, files))

        app.jinja_env.globals["socketio_script"] = socketio_script

    def _mount_of(self, app: Flask) -> _Mount | None:
        mounts: dict[SocketIO, _Mount] = app.extensions.get("flask_sio", {})
        return mounts.get(self)

    def _servers(self) -> list[Server]:
        mounts = [self._mount_of(app) for app in list(self._apps)]
        return [mount.wsgi.server for mount in mounts if mount is not None]

    # -- handlers ----------------------------------------------------------------------

    def on(
        self, message: str, namespace: str | None = None, *, concurrent: bool | None = None
    ) -> Callable[[F], F]:
        """Register the decorated function, which stays as it is, for an event.

        ``connect`` handlers take nothing or the client's auth data, ``disconnect`` handlers
        nothing or the reason, others what the client sent. A later handler replaces an
        earlier one. Events of one client run in order; ``concurrent=True`` lets this one
        run beside the others.

        Raises:
            TypeError: the function cannot be called so.
        """

        def register(handler: F) -> F:
            self._register(Registration(message, handler, namespace or "/", concurrent))
            return handler

        return register

    def on_event(
        self,
        message: str,
        handler: Callable[..., Any],
        namespace: str | None = None,
        *,
        concurrent: bool | None = None,
    ) -> None:
        """Register a function for an event, as `on` does."""
        self._register(Registration(message, handler, namespace or "/", concurrent))

    @overload
    def event(self, namespace: F, /) -> F: ...
    @overload
    def event(
        self, namespace: str | None = None, *, concurrent: bool | None = None
    ) -> Callable[[F], F]: ...
    def event(self, namespace: Any = None, *, concurrent: bool | None = None) -> Any:
        """Register a function by its name: ``@socketio.event``, ``@socketio.event("/chat")``."""
        if callable(namespace):
            return self.on(namespace.__name__)(namespace)

        def register(handler: F) -> F:
            return self.on(handler.__name__, namespace, concurrent=concurrent)(handler)

        return register

    def _register(self, registration: Registration) -> None:
        kind: Any = registration.event
        if kind not in ("connect", "disconnect"):
            kind = "event"
        # A wrong handler fails here, with or without a server.
        FlaskConvention.adapt(kind, registration.handler)
        self.handlers.append(registration)
        for server in self._servers():
            registration.enter(server)

    def on_namespace(self, namespace: Namespace) -> None:
        """Let an object's ``on_...`` methods handle its namespace, without an id first.

        Raises:
            ValueError: it is no `Namespace` object.
        """
        if not isinstance(namespace, Namespace):
            raise ValueError("Not a namespace instance: pass an object, not its class")
        namespace.socketio = self
        self.namespace_handlers.append(namespace)
        for server in self._servers():
            server.register_namespace(namespace)

    def on_error(self, namespace: str | None = None) -> Callable[[F], F]:
        """Register the decorated function for exceptions of a namespace's handlers.

        It is called with the exception, in the event's context; what it returns becomes the
        ack. It may raise. After an exception in a connect handler the client is refused,
        unless it returns True.
        """

        def register(handler: F) -> F:
            self.exception_handlers[namespace or "/"] = _callable(handler)
            return handler

        return register

    def on_error_default(self, handler: F) -> F:
        """Register a function for exceptions that no namespace's error handler is there for."""
        self.default_exception_handler = _callable(handler)
        return handler

    def handle_error(
        self, error: Exception, namespace: str, handler: Callable[..., Any], kind: Kind
    ) -> Any:
        """Return what the error handlers make of an exception; raise what they leave.

        The context of the event calls it. A namespace's handler comes first, or else the
        default one, then the ``error`` method of the handler's class.
        """
        handle = self.exception_handlers.get(namespace, self.default_exception_handler)
        hooks = [None if isinstance(error, ConnectionRefusedError) else handle, error_hook(handler)]
        raised = error
        for hook in hooks:
            if hook is None:
                continue
            try:
                result = hook(raised)
            except Exception as another:
                raised = another
                continue
            if kind != "connect":
                return result
            if isinstance(error, ConnectionRefusedError) and result is not True:
                raise error
            return result is True
        raise raised

    # -- emitting ----------------------------------------------------------------------

    def emit(
        self,
        event: str,
        *args: Any,
        namespace: str | None = None,
        to: Any = None,
        room: Any = None,
        include_self: bool = True,
        skip_sid: str | Iterable[str] | None = None,
        callback: Callable[..., Any] | None = None,
        broadcast: bool | None = None,
        ignore_queue: bool = False,
    ) -> Any:
        """Send an event to everybody in the namespace, ``"/"`` by default, or to ``to``.

        Needs no context. ``to`` (or ``room``): an id, a room, or a list, tuple or set of
        them. One tuple as data is several arguments, as are several values. Any thread.

        Raises:
            TypeError: data that has no JSON form.
            RuntimeError: ``include_self=False`` outside of an event.
        """
        if broadcast is not None:
            warnings.warn(
                "socketio.emit() goes to everybody by itself; leave out broadcast=",
                DeprecationWarning,
                stacklevel=2,
            )
        namespace = namespace or "/"
        context = current_event()
        if callback is not None and context is not None:
            callback = EmitterCallback(context, callback)
        return self._require().emit_args(
            event,
            event_args(args),
            namespace=namespace,
            rooms=target_rooms(to, room),
            skip=skipped(skip_sid, include_self, namespace),
            callback=callback,
            ignore_queue=ignore_queue,
        )

    def send(
        self,
        data: Any,
        json: bool = False,
        namespace: str | None = None,
        to: Any = None,
        callback: Callable[..., Any] | None = None,
        include_self: bool = True,
        skip_sid: str | Iterable[str] | None = None,
        *,
        room: Any = None,
        broadcast: bool | None = None,
        ignore_queue: bool = False,
    ) -> Any:
        """Emit ``"message"``, or ``"json"`` with ``json=True``; the rest as `emit`."""
        return self.emit(
            "json" if json else "message",
            data,
            namespace=namespace,
            to=to,
            room=room,
            include_self=include_self,
            skip_sid=skip_sid,
            callback=callback,
            broadcast=broadcast,
            ignore_queue=ignore_queue,
        )

    def call(
        self,
        event: str,
        *args: Any,
        namespace: str | None = None,
        to: str | None = None,
        timeout: float | None = 60,
        ignore_queue: bool = False,
    ) -> Any:
        """Emit to the client ``to`` and wait for its answer: None, a value, or a tuple.

        Raises:
            ValueError: no client is named.
            TimeoutError: no answer within ``timeout`` seconds.
            DisconnectedError: the client left before it answered.
        """
        if not to:
            raise ValueError("Cannot use call() to broadcast.")
        server = self._require()
        return server.call_args(
            event, event_args(args), to, namespace or "/", timeout, ignore_queue
        )

    def close_room(self, room: Any, namespace: str | None = None) -> None:
        """Take everybody out of a room."""
        self._require().close_room(room, namespace=namespace or "/")

    # -- tasks -------------------------------------------------------------------------

    @property
    def async_mode(self) -> str | None:
        """``"gevent"`` or ``"threading"``; None before `init_app`."""
        return None if self._server is None else self._server.async_mode

    def start_background_task(self, target: Callable[..., Any], *args: Any, **kwargs: Any) -> Task:
        """Run a function beside the handlers, in no context; return what has ``.join()``."""
        return self._require().start_background_task(target, *args, **kwargs)

    def sleep(self, seconds: float = 0) -> None:
        """Wait without keeping other clients from being served."""
        self._require().sleep(seconds)

    # -- testing -----------------------------------------------------------------------

    def test_client(
        self,
        app: Flask,
        namespace: str | None = None,
        query_string: str | None = None,
        headers: Headers | None = None,
        auth: dict[str, Any] | None = None,
        flask_test_client: FlaskClient | None = None,
        *,
        timeout: float | None = 5.0,
        auto_ack: bool = False,
    ) -> SocketIOTestClient:
        """Return a connected client for tests, inside this process; see `flask_sio.testing`."""
        from flask_sio.testing import SocketIOTestClient

        return SocketIOTestClient(
            app,
            self,
            namespace,
            query_string,
            headers,
            auth,
            flask_test_client,
            timeout=timeout,
            auto_ack=auto_ack,
        )

    # -- running -----------------------------------------------------------------------

    def run(
        self,
        app: Flask,
        host: str | None = None,
        port: int | None = None,
        *,
        debug: bool | None = None,
        log_output: bool | None = None,
        use_reloader: bool | None = None,
        reloader_options: dict[str, Any] | None = None,
        allow_unsafe_werkzeug: bool = False,
        **server_options: Any,
    ) -> None:
        """Serve the application until SIGINT, SIGTERM or `stop`.

        gevent's pywsgi serves, or Werkzeug's development server with
        ``async_mode="threading"``; ``server_options`` are that server's own. Under the
        ``flask`` command this does nothing, since that command serves.

        Raises:
            TypeError: an option the server does not have.
            RuntimeError: `init_app` was not called with this app; or Werkzeug's server
                without a terminal, which ``allow_unsafe_werkzeug=True`` permits.
        """
        if os.environ.get("FLASK_RUN_FROM_CLI") == "true":
            if not is_running_from_reloader():
                sys.stderr.write(" * socketio.run() does nothing: the flask command serves\n")
            return
        mount = self._mount_of(app)
        if mount is None:
            raise RuntimeError(f"call init_app(app) with the application {app.name!r} first")
        app.debug = debug = app.debug if debug is None else debug
        _, _, default_port = (app.config["SERVER_NAME"] or "").partition(":")
        reloader = dict(reloader_options or {})
        if extra_files := server_options.pop("extra_files", None):
            reloader["extra_files"] = extra_files
        plan = Plan(
            app=app,
            host=host or "127.0.0.1",
            port=int(default_port or 5000) if port is None else port,
            options=server_options,
            reloader=reloader if (debug if use_reloader is None else use_reloader) else None,
            log_output=debug if log_output is None else log_output,
            shutdown=self.shutdown,
            on_start=self._started,
        )
        if mount.wsgi.server.options.async_mode != "threading":
            mount.wsgi.server.use_runtime("gevent")
            if debug and not isinstance(mount.wsgi.wsgi_app, DebuggedApplication):
                inner: Any = mount.wsgi.wsgi_app
                mount.wsgi.wsgi_app = DebuggedApplication(inner, evalex=True)
            run_pywsgi(plan)
        else:
            run_werkzeug(plan, allow_unsafe_werkzeug)

    def _started(self, stop: Callable[[], None] | None, wsgi_server: Any) -> None:
        """Know the server that `run` has started, and that it has ended."""
        self._stop, self.wsgi_server = stop, wsgi_server

    def stop(self) -> None:
        """End what `run` began, after a good-bye to all clients. Never waits.

        Raises:
            RuntimeError: nothing runs; a server that was started otherwise is ended its way.
        """
        if self._stop is None:
            raise RuntimeError("stop() ends what socketio.run() began, and nothing runs")
        self._stop()

    def shutdown(self) -> None:
        """Close every connection so that clients come back by themselves, and take no more.

        Waits until all are gone, a few seconds at most.
        """
        for server in self._servers():
            server.shutdown()

    def _require(self) -> Server:
        if self._server is None:
            raise RuntimeError("this SocketIO has no application yet: call init_app(app) first")
        return self._server


def _callable(handler: F) -> F:
    if not callable(handler):
        raise ValueError("exception_handler must be callable")
    return handler
