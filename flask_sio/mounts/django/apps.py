"""The Django app that lets a project's handlers be found."""

from __future__ import annotations

from django.apps import AppConfig

from flask_sio.mounts.django.project import autodiscover

__all__ = ["SocketIOConfig"]


class SocketIOConfig(AppConfig):  # type: ignore[misc] # Django is untyped
    """The Django app that imports every other app's ``sockets.py`` when the project starts."""

    name = __name__.rpartition(".")[0]
    label = "flask_sio"
    verbose_name = "Socket.IO"

    def ready(self) -> None:
        autodiscover()
