"""The settings of a Django project: an SQLite file, users, an app with a sockets.py."""

from __future__ import annotations

from pathlib import Path

HERE = "tests.django"
AUTH = "django.contrib.auth.middleware.AuthenticationMiddleware"
SESSION = "django.contrib.sessions.middleware.SessionMiddleware"


def set_up(folder: Path) -> None:
    """Make this process run the project, once, with its database in a folder."""
    import django
    from django.conf import settings
    from django.core.management import call_command

    settings.configure(
        SECRET_KEY="of the tests",
        ALLOWED_HOSTS=["127.0.0.1"],
        ROOT_URLCONF=f"{HERE}.urls",
        SOCKETIO={"ping_interval": 7, "path": "live"},
        INSTALLED_APPS=[
            "flask_sio.mounts.django.SocketIOConfig",
            "django.contrib.contenttypes",
            "django.contrib.auth",
            "django.contrib.sessions",
            f"{HERE}.discovered",
        ],
        MIDDLEWARE=["django.middleware.locale.LocaleMiddleware", SESSION, AUTH],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": folder / "db.sqlite3",
                "CONN_MAX_AGE": None,  # Django itself would keep them open for good
                "OPTIONS": {"timeout": 20},
            }
        },
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "OPTIONS": {"context_processors": ["flask_sio.mounts.django.socketio"]},
            }
        ],
        USE_TZ=True,
    )
    django.setup()
    call_command("migrate", verbosity=0)


def close_connections() -> None:
    """Close what this thread has open; under gevent a handler would use it, too."""
    from django.db import connections

    connections.close_all()
