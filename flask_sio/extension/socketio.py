"""The Flask extension: one object that registers handlers, emits, and runs the server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

import flask
from flask import Flask

from flask_sio.adapters.queue import chosen_queue
from flask_sio.errors import ConfigError
from flask_sio.extension.blueprint import SocketBlueprint
from flask_sio.extension.callables import as_sync
from flask_sio.extension.context import current_event
from flask_sio.extension.convention import FlaskConvention
from flask_sio.extension.emitting import Emitter
from flask_sio.extension.hooks import Hooks, HookTable
from flask_sio.extension.recording import Recorder
from flask_sio.extension.registration import Registrar, Registration
from flask_sio.extension.running import Runner
from flask_sio.extension.sessions import SessionScope
from flask_sio.extension.settings import OWN_OPTIONS
from flask_sio.extension.watching import FlaskHook, next_number
from flask_sio.options import check_names, from_config
from flask_sio.runtime.loop import Task
from flask_sio.server import reasons
from flask_sio.server.class_namespace import Namespace
from flask_sio.server.patterns import Spec
from flask_sio.server.server import Server

if TYPE_CHECKING:
    from flask.testing import FlaskClient

    from flask_sio.testing import Headers, SocketIOTestClient

__all__ = ["SocketIO"]

F = TypeVar("F", bound=Callable[..., Any])

_QUEUE_OPTIONS = {"message_queue", "channel"}


class SocketIO(Registrar, Recorder, Emitter, Runner):
    """A Socket.IO server for a Flask application.

    ``options`` are those of `Server`, and ``manage_session``, ``session_scope``,
    ``connect_errors``, ``message_queue``, ``channel``.
    The application's configuration has them too, as ``SOCKETIO_PING_TIMEOUT`` for one; what
    is given here comes first. Without an app, call `init_app` later; its options are added
    to these. Handlers may be registered before and after. With a ``message_queue`` and no
    app it only emits, to the clients of the servers on that queue.
    """

    reason = reasons
    """The constants a disconnect handler's reason is one of."""

    def __init__(self, app: Flask | None = None, **options: Any) -> None:
        super().__init__()
        self.server_options: dict[str, Any] = {}
        self.manage_session = True
        """Keep a copy of the session per connection; False opens and saves it per event."""
        self.session_scope: SessionScope = "connection"
        """Whether that copy is one for all namespaces, or one for each: ``"namespace"``."""
        self.connect_errors: Literal["refuse", "accept"] = "refuse"
        """``"accept"``: who connects is accepted by an error handler that does not say False."""
        self.handlers: list[Registration] = []
        """Every one, so that each application's server gets them all."""
        self.namespace_handlers: list[Namespace] = []
        self.blueprints: list[tuple[SocketBlueprint, Spec, int]] = []
        """Each with its namespace, and when it was registered."""
        self.hooks = HookTable()
        if app is not None or options.get("message_queue"):
            self.init_app(app, **options)
        else:
            check_names(options, FlaskConvention.options)
            self.server_options.update(options)

    def init_app(self, app: Flask | None, **options: Any) -> None:
        """Serve this application; the options are added to the constructor's.

        None, with a ``message_queue``: serve nobody, and emit to that queue.

        Raises:
            TypeError: an option nobody knows; or neither an application nor a queue.
            ConfigError: an option's value cannot work.
        """
        latest, given = options, {**self.server_options, **options}
        options = dict(given)
        if app is not None:
            options.update(from_config(app.config, given, FlaskConvention.options))
        queue = chosen_queue(options, latest, write_only=app is None)
        if queue is not None:
            options["client_manager"] = queue
            if given.keys() & {"message_queue", "client_manager"}:
                given["client_manager"] = queue
        elif app is None:
            raise TypeError("init_app() needs an application, or a message_queue to write to")
        own = {name: options.pop(name, getattr(self, name)) for name in OWN_OPTIONS}
        _check_choices(own)
        given = {name: given[name] for name in given.keys() - set(OWN_OPTIONS)}
        server_options = {name: options[name] for name in options.keys() - _QUEUE_OPTIONS}
        if app is None:
            self._take(own, given)
            self._server = Server(**server_options)
            return
        if options.get("json") is flask.json:
            server_options["json"] = app.json  # the same, and needs no application context
        convention = FlaskConvention(app, self)
        server = convention.server = Server(convention=convention, **server_options)
        self._enter_all(server)
        self._take(own, given)
        self._mount(app, server)

    def _take(self, own: dict[str, Any], given: dict[str, Any]) -> None:
        self.server_options = given
        for name, value in own.items():
            setattr(self, name, value)

    def _enter_all(self, server: Server) -> None:
        for record in self.records:
            record.enter(server)
        for _, enter in sorted(self._entries(), key=itemgetter(0)):
            enter(server)
        for instance in self.namespace_handlers:
            server.register_namespace(instance)

    def _entries(self) -> Iterator[tuple[int, Callable[[Server], None]]]:
        """Give handlers and listeners, each with when it came; a later one may replace another."""
        own: list[Registration | FlaskHook] = [*self.handlers, *self.watchers]
        for each in own:
            yield each.number, each.enter
        for blueprint, where, since in self.blueprints:
            for handler in blueprint.handlers:
                enter = partial(handler.enter, namespace=where, hooks=blueprint.hooks)
                yield max(since, handler.number), enter
            for hook in blueprint.watchers:
                yield max(since, hook.number), partial(hook.enter, namespace=where)

    # -- handlers ----------------------------------------------------------------------

    def _register(self, registration: Registration) -> None:
        registration = replace(registration, namespace=registration.namespace or "/")
        for server in self._servers():
            registration.check(server)
        for server in self._servers():
            registration.enter(server)
        self._keep(registration)

    def off(
        self, event: str, handler: Callable[..., Any] | None = None, namespace: Spec | None = None
    ) -> None:
        for each in [each for each in self.handlers if each.is_for(event, handler)]:
            if each.namespace == (namespace or "/"):
                self.handlers.remove(each)
                for server in self._servers():
                    each.leave(server)

    def listeners(self, event: str, namespace: Spec | None = None) -> list[Callable[..., Any]]:
        there, servers = super().listeners(event, namespace), self._servers()
        if not any(each.once for each in self.handlers):
            return there
        where = namespace or "/"
        spent = [each.handler for each in self.handlers if each.once and each.is_for(event, None)]
        for server in servers:
            left = server.handlers.sources(event, where)
            spent = [each for each in spent if each not in left]
        return [each for each in there if not servers or each not in spent]

    def event_namespace(self) -> str | None:
        """Return the namespace of the event that is being handled here; None outside of one."""
        context = current_event()
        return None if context is None else context.socket.namespace

    def _registrations(self) -> list[Registration]:
        return self.handlers

    def _default_namespace(self, namespace: Any) -> Any:
        return namespace or "/"

    def _enter_hook(self, hook: FlaskHook) -> None:
        for server in self._servers():
            hook.enter(server)

    def _leave_hook(self, hook: FlaskHook) -> None:
        for server in self._servers():
            hook.leave(server)

    def _hooks_of(self, namespace: Spec | None) -> Hooks:
        return self.hooks.of(namespace)

    def _hooks_changed(self) -> None:
        self.hooks.look()

    def register_blueprint(self, blueprint: SocketBlueprint, namespace: Spec | None = None) -> None:
        """Register a blueprint's handlers in ``namespace``, else in its own, else in ``"/"``.

        Raises:
            TypeError: it is no `SocketBlueprint`.
            ValueError: another of its name is registered, or itself in that namespace.
        """
        if not isinstance(blueprint, SocketBlueprint):
            raise TypeError(
                f"{blueprint!r} is no SocketBlueprint; a Flask Blueprint has views only"
            )
        where = namespace or blueprint.namespace or "/"
        for other, there, _ in self.blueprints:
            if other.name == blueprint.name and (other is not blueprint or there == where):
                raise ValueError(f"a blueprint {other.name!r} is registered already, in {there!r}")
        for server in self._servers():
            for registration in blueprint.handlers:
                registration.check(server, where)
        self.blueprints.append((blueprint, where, next_number()))
        self.hooks.of_blueprints.append(blueprint.hooks)
        self.hooks.look()
        blueprint.registered(self)
        for server in self._servers():
            for registration in blueprint.handlers:
                registration.enter(server, where, blueprint.hooks)
            for hook in blueprint.watchers:
                hook.enter(server, where)

    def blueprint_grew(self, blueprint: SocketBlueprint, registration: Registration) -> None:
        """Take a handler of a blueprint that is registered already."""
        for other, namespace, _ in self.blueprints:
            for server in self._servers() if other is blueprint else ():
                registration.check(server, namespace)
        for other, namespace, _ in self.blueprints:
            for server in self._servers() if other is blueprint else ():
                registration.enter(server, namespace, blueprint.hooks)

    def blueprint_watches(
        self, blueprint: SocketBlueprint, hook: FlaskHook, no_more: bool = False
    ) -> None:
        """Take middleware or a listener of a registered blueprint, or forget it."""
        for other, namespace, _ in self.blueprints:
            for server in self._servers() if other is blueprint else ():
                (hook.leave if no_more else hook.enter)(server, namespace)

    def blueprint_shrank(self, blueprint: SocketBlueprint, registration: Registration) -> None:
        """Forget a handler that a registered blueprint has forgotten."""
        for other, namespace, _ in self.blueprints:
            for server in self._servers() if other is blueprint else ():
                registration.leave(server, namespace)

    def on_namespace(self, namespace: Namespace) -> None:
        """Let an object's ``on_...`` methods handle its namespace, without an id first.

        Raises:
            ValueError: it is no `Namespace` object.
        """
        if not isinstance(namespace, Namespace):
            raise ValueError("Not a namespace instance: pass an object, not its class")
        namespace.socketio = self
        for server in self._servers():
            server.register_namespace(namespace)
        self.namespace_handlers.append(namespace)

    # -- exceptions --------------------------------------------------------------------

    @overload
    def on_error(self, where: Spec | None = None, /) -> Callable[[F], F]: ...
    @overload
    def on_error(self, where: None = None, /, *, namespace: Spec | None) -> Callable[[F], F]: ...
    def on_error(self, where: Any = None, /, *, namespace: Any = None) -> Callable[[F], F]:
        """Register the decorated function for what no `errorhandler` is for, in a namespace.

        It is called with the exception, in the event's context; what it returns becomes the
        ack. It may raise. After an exception in a connect handler the client is refused,
        unless it returns True. A function that recognises namespaces is given as
        ``namespace=``; ``"*"`` is every namespace that has none.
        """
        if callable(where):
            raise TypeError("on_error() takes a namespace or nothing: write @socketio.on_error()")

        def register(handler: F) -> F:
            self.hooks.catch_all[where or namespace or "/"] = _callable(handler)
            return handler

        return register

    def on_error_default(self, handler: F) -> F:
        """Register a function for exceptions that no other error handler is there for."""
        self.hooks.default_catch_all = _callable(handler)
        return handler

    @property
    def exception_handlers(self) -> dict[Any, Callable[..., Any]]:
        """What `on_error` has registered, by namespace."""
        return self.hooks.catch_all

    @property
    def default_exception_handler(self) -> Callable[..., Any] | None:
        """What `on_error_default` has registered."""
        return self.hooks.default_catch_all

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


_CHOICES = {"session_scope": ("connection", "namespace"), "connect_errors": ("refuse", "accept")}


def _check_choices(own: dict[str, Any]) -> None:
    for name, words in _CHOICES.items():
        if own[name] not in words:
            accepted = " or ".join(map(repr, words))
            raise ConfigError(f"{name}={own[name]!r}: accepted is {accepted}")


def _callable(handler: Any) -> Callable[..., Any]:
    if not callable(handler):
        raise ValueError("exception_handler must be callable")
    return as_sync(handler)
