"""Parts of a program that register handlers before there is an application."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from flask_sio.extension.hooks import Hooks
from flask_sio.extension.registration import Registrar, Registration
from flask_sio.extension.watching import FlaskHook
from flask_sio.server.patterns import Spec, check_spec

__all__ = ["SocketBlueprint"]


class SocketBlueprint(Registrar):
    """Handlers, hooks and error handlers of one part of a program, registered together.

    `SocketIO.register_blueprint` puts them into an application. Hooks and error handlers
    are for the blueprint's own handlers. What is registered later counts too.
    """

    def __init__(self, name: str, namespace: Spec | None = None) -> None:
        super().__init__()
        check_spec(namespace)
        self.name = name
        self.namespace = namespace
        """Where its handlers are for; a handler, or its registration, may name another."""
        self.handlers: list[Registration] = []
        self.hooks = Hooks()
        self._users: weakref.WeakSet[Any] = weakref.WeakSet()
        """The extensions it is registered with."""

    def registered(self, extension: Any) -> None:
        """Tell an extension of what is registered from now on."""
        self._users.add(extension)

    def _register(self, registration: Registration) -> None:
        for extension in list(self._users):
            extension.blueprint_grew(self, registration)
        self._keep(registration)

    def off(
        self, event: str, handler: Callable[..., Any] | None = None, namespace: Spec | None = None
    ) -> None:
        for each in [each for each in self.handlers if each.is_for(event, handler)]:
            if namespace in (None, each.namespace or self.namespace):
                self.handlers.remove(each)
                for extension in list(self._users):
                    extension.blueprint_shrank(self, each)

    def _registrations(self) -> list[Registration]:
        return self.handlers

    def _default_namespace(self, namespace: Any) -> Any:
        return namespace or self.namespace

    def _enter_hook(self, hook: FlaskHook) -> None:
        for extension in list(self._users):
            extension.blueprint_watches(self, hook)

    def _leave_hook(self, hook: FlaskHook) -> None:
        for extension in list(self._users):
            extension.blueprint_watches(self, hook, no_more=True)

    def _hooks_of(self, namespace: Spec | None) -> Hooks:
        if namespace is not None:
            raise TypeError("a blueprint's hooks are for its own handlers: name no namespace")
        return self.hooks

    def _hooks_changed(self) -> None:
        for extension in list(self._users):
            extension.hooks.look()

    def __repr__(self) -> str:
        return f"<SocketBlueprint {self.name!r}>"
