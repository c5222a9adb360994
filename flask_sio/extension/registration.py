"""Registering handlers, hooks and error handlers, as the extension and blueprints do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, overload

from werkzeug.exceptions import default_exceptions

from flask_sio.errors import ConnectionRefusedError
from flask_sio.extension.callables import Bound, as_sync
from flask_sio.extension.convention import FlaskConvention
from flask_sio.extension.hooks import Hooks, When
from flask_sio.extension.watching import FlaskWatching, next_number
from flask_sio.server.calling import fitting
from flask_sio.server.handlers import ANY, Handlers, check_event, check_timeout, kind_of
from flask_sio.server.patterns import Spec, check_spec, names_of

if TYPE_CHECKING:
    from flask_sio.server.server import Server

__all__ = ["Registrar", "Registration"]

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Registration:
    """A handler and what it was registered for."""

    event: str
    handler: Callable[..., Any]
    namespace: Spec | None
    """None is the default, which a blueprint learns when it is registered."""
    concurrent: bool | None = None
    add: bool = False
    once: bool = False
    timeout: float | None = None
    number: int = field(default_factory=next_number, compare=False)

    def enter(self, server: Server, namespace: Spec = "/", hooks: Hooks | None = None) -> None:
        """Register the handler with a server, in its own namespace or else in ``namespace``."""
        self._enter(server.handlers, namespace, hooks)

    def check(self, server: Server, namespace: Spec = "/") -> None:
        """Raise what `enter` would, and leave the server as it is."""
        self._enter(Handlers(server.convention, concurrent=False), namespace, None)

    def _enter(self, handlers: Handlers, namespace: Spec, hooks: Hooks | None) -> None:
        handler = self.handler if hooks is None else Bound(self.handler, hooks)
        where = self.namespace or namespace
        handlers.add(
            self.event,
            handler,
            where,
            self.concurrent,
            self.add,
            once=self.once,
            source=self.handler,
            timeout=self.timeout,
        )

    def leave(self, server: Server, namespace: Spec = "/") -> None:
        """Take the handler out of a server again."""
        server.handlers.remove(self.event, self.handler, self.namespace or namespace)

    def is_for(self, event: str, handler: Callable[..., Any] | None) -> bool:
        """Whether it is a registration of an event, and of this handler if one is given."""
        return self.event == event and (handler is None or self.handler == handler)


class Registrar(FlaskWatching):
    """What the extension and its blueprints register alike."""

    # -- what differs ------------------------------------------------------------------

    def _register(self, registration: Registration) -> None:
        raise NotImplementedError

    def off(
        self, event: str, handler: Callable[..., Any] | None = None, namespace: Spec | None = None
    ) -> None:
        """Forget what was registered here for an event, or only ``handler``. Any thread.

        Handlers of other blueprints, and methods of classes, stay. Nothing happens if
        there is none.
        """
        raise NotImplementedError

    def listeners(self, event: str, namespace: Spec | None = None) -> list[Callable[..., Any]]:
        """Return the functions that were registered here for an event, in order."""
        where = self._default_namespace(namespace)
        return [
            each.handler
            for each in self._registrations()
            if each.event == event and self._default_namespace(each.namespace) == where
        ]

    def _registrations(self) -> list[Registration]:
        raise NotImplementedError

    def _keep(self, registration: Registration) -> None:
        """Remember a registration, and forget those that it replaces."""
        there = self._registrations()
        if not registration.add:
            # Not the default namespace: a blueprint may be registered for another one.
            of = (registration.event, registration.namespace)
            there[:] = [each for each in there if (each.event, each.namespace) != of]
        there.append(registration)

    def _hooks_of(self, namespace: Spec | None) -> Hooks:
        """Return the scope that a hook of ``namespace`` belongs to."""
        raise NotImplementedError

    def _hooks_changed(self) -> None:
        raise NotImplementedError

    # -- handlers ----------------------------------------------------------------------

    def on(
        self,
        message: str,
        namespace: Spec | None = None,
        *,
        concurrent: bool | None = None,
        add: bool = False,
        timeout: float | None = None,
    ) -> Callable[[F], F]:
        """Register the decorated function, which stays as it is, for an event.

        ``connect`` handlers take nothing or the client's auth data, ``disconnect`` handlers
        nothing or the reason, others what the client sent; any may be ``async``. A later
        handler replaces an earlier one, or with ``add=True`` runs after it, and the first
        one's result is the ack. Events of one client run in order; ``concurrent=True`` lets
        this one run beside the others. ``timeout``: seconds after which an event's handler is
        interrupted where it waits, with `HandlerTimeoutError` for its error handlers; None is
        the option ``handler_timeout``, ``math.inf`` any time. Any thread.

        Raises:
            TypeError: the function cannot be called so; a ``timeout`` for connect or disconnect.
            ValueError: an event of the protocol's own, which no client can send; a ``timeout``
                that is none.
            RuntimeError: an ``async`` function, but asgiref is missing.
        """
        if callable(message):
            raise TypeError('on() takes the name of an event: write @socketio.on("name")')

        def register(handler: F) -> F:
            self.on_event(
                message, handler, namespace, concurrent=concurrent, add=add, timeout=timeout
            )
            return handler

        return register

    def on_event(
        self,
        message: str,
        handler: Callable[..., Any],
        namespace: Spec | None = None,
        *,
        concurrent: bool | None = None,
        add: bool = False,
        timeout: float | None = None,
    ) -> None:
        """Register a function for an event, as `on` does."""
        self._check_and_register(
            Registration(message, handler, namespace, concurrent, add, timeout=timeout)
        )

    def _check_and_register(self, registration: Registration) -> None:
        check_event(registration.event)
        check_timeout(registration.timeout, kind_of(registration.event))
        check_spec(registration.namespace)
        # A wrong handler fails here, with or without a server.
        event, handler = registration.event, registration.handler
        where = self._default_namespace(registration.namespace)
        names = () if where is None else names_of(where)
        FlaskConvention.adapt(kind_of(event), handler, event == ANY, names=names)
        self._register(registration)

    @overload
    def once(
        self, event: str, handler: None = None, namespace: Spec | None = None, *, add: bool = False
    ) -> Callable[[F], F]: ...
    @overload
    def once(
        self, event: str, handler: F, namespace: Spec | None = None, *, add: bool = False
    ) -> F: ...
    def once(
        self, event: str, handler: Any = None, namespace: Spec | None = None, *, add: bool = False
    ) -> Any:
        """Register a handler, as a decorator or at once, for the first event of a name only.

        Whichever client sends it, of the clients of one application: each that `init_app` is
        given waits for its own first. The rest as `on`.
        """

        def register(fn: F) -> F:
            self._check_and_register(Registration(event, fn, namespace, None, add, True))
            return fn

        return register if handler is None else register(handler)

    @overload
    def event(self, handler: F, /) -> F: ...
    @overload
    def event(
        self,
        where: Spec | None = None,
        /,
        *,
        concurrent: bool | None = None,
        add: bool = False,
        timeout: float | None = None,
    ) -> Callable[[F], F]: ...
    @overload
    def event(
        self,
        where: None = None,
        /,
        *,
        namespace: Spec | None,
        concurrent: bool | None = None,
        add: bool = False,
        timeout: float | None = None,
    ) -> Callable[[F], F]: ...
    def event(
        self,
        where: Any = None,
        /,
        *,
        namespace: Any = None,
        concurrent: bool | None = None,
        add: bool = False,
        timeout: float | None = None,
    ) -> Any:
        """Register a function by its name: ``@socketio.event``, ``@socketio.event("/chat")``.

        A function that recognises namespaces is given as ``namespace=``.
        """

        def register(handler: F, namespace: Any = where or namespace) -> F:
            name = getattr(handler, "__name__", None)
            if name is None:
                raise TypeError(f'{handler!r} has no name: write on_event("name", function)')
            return self.on(name, namespace, concurrent=concurrent, add=add, timeout=timeout)(
                handler
            )

        return register(where, namespace) if callable(where) else register

    # -- exceptions --------------------------------------------------------------------

    def errorhandler(
        self, error: type[Exception] | int, namespace: Spec | None = None
    ) -> Callable[[F], F]:
        """Register the decorated function for exceptions of a class, or of an HTTP status.

        It is called with the exception, in the event's context; what it returns becomes the
        ack. The nearest class wins; a blueprint's handlers come before the namespace's, those
        before the others, and all before `SocketIO.on_error`. After an exception in a connect
        handler the client is refused, unless it returns True. A status stands for its class,
        404 for `NotFound`; 500 takes no other exceptions: write ``errorhandler(Exception)``.

        Raises:
            TypeError: no class of exceptions; or a function that does not take one.
        """
        kind: Any = default_exceptions.get(error) if isinstance(error, int) else error
        if not (isinstance(kind, type) and issubclass(kind, Exception)):
            raise TypeError(f"errorhandler() is for a class of exceptions, not {error!r}")
        if issubclass(kind, ConnectionRefusedError):
            raise TypeError("a refusal is what the client is told: no handler sees it")

        def register(handler: F) -> F:
            self._hooks_of(namespace).errors[kind] = _checked(handler, 1, "an error handler")
            return handler

        return register

    # -- hooks -------------------------------------------------------------------------

    @overload
    def before_event(self, fn: F, /) -> F: ...
    @overload
    def before_event(self, where: Spec | None = None, /) -> Callable[[F], F]: ...
    @overload
    def before_event(
        self, where: None = None, /, *, namespace: Spec | None
    ) -> Callable[[F], F]: ...
    def before_event(self, where: Any = None, /, *, namespace: Any = None) -> Any:
        """Run a function before each event, of one namespace if one is named.

        It takes nothing; ``request.event`` has the event. What it returns, but None, becomes
        the ack, and the handler does not run; what it raises goes to the error handlers.
        Hooks are for events only, not for connect, disconnect and callbacks.
        """
        return self._hook("before", where, namespace)

    @overload
    def after_event(self, fn: F, /) -> F: ...
    @overload
    def after_event(self, where: Spec | None = None, /) -> Callable[[F], F]: ...
    @overload
    def after_event(self, where: None = None, /, *, namespace: Spec | None) -> Callable[[F], F]: ...
    def after_event(self, where: Any = None, /, *, namespace: Any = None) -> Any:
        """Run a function on each event's result, of one namespace if one is named.

        What it returns, but None, replaces the result; ``()`` is the empty ack. It does not
        run after an exception that nobody handled.
        """
        return self._hook("after", where, namespace)

    @overload
    def teardown_event(self, fn: F, /) -> F: ...
    @overload
    def teardown_event(self, where: Spec | None = None, /) -> Callable[[F], F]: ...
    @overload
    def teardown_event(
        self, where: None = None, /, *, namespace: Spec | None
    ) -> Callable[[F], F]: ...
    def teardown_event(self, where: Any = None, /, *, namespace: Any = None) -> Any:
        """Run a function at the end of each event, whatever has happened.

        It takes the exception that nobody handled, or None. What it raises is logged.
        """
        return self._hook("teardown", where, namespace)

    def _hook(self, when: When, where: Any, namespace: Any) -> Any:
        def register(fn: F, namespace: Any = where or namespace) -> F:
            hook = _checked(fn, 0 if when == "before" else 1, f"{when}_event")
            self._hooks_of(namespace).add(when, hook)
            self._hooks_changed()
            return fn

        return register(where, namespace) if callable(where) else register


def _checked(fn: Any, count: int, what: str) -> Callable[..., Any]:
    """Return what calls a hook.

    Raises:
        TypeError: it cannot be called with ``count`` arguments.
    """
    if not callable(fn) or fitting(fn, count, count) is None:
        name = getattr(fn, "__qualname__", repr(fn))
        takes_what = "nothing" if count == 0 else "one argument"
        raise TypeError(f"{what} needs a function that takes {takes_what}; {name} does not")
    return as_sync(fn)
