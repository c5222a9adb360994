"""Django's settings; what is there for Socket.IO is marked."""

import os
import secrets
from pathlib import Path

HERE = Path(__file__).parent
BASE_DIR = HERE.parent.parent
DATA_DIR = Path(os.environ.get("DJANGO_DATA_DIR") or HERE / "instance")
DATA_DIR.mkdir(parents=True, exist_ok=True)

# Another one at each start ends all logins.
SECRET_KEY = os.environ.get("DJANGO_SECRET_KEY") or secrets.token_hex(32)
DEBUG = os.environ.get("DJANGO_DEBUG") == "1"
ALLOWED_HOSTS = os.environ.get("DJANGO_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]").split(",")

ROOT_URLCONF = "example_app.django_site.urls"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = LOGOUT_REDIRECT_URL = "chat"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "example_app.django_site",
    "flask_sio.mounts.django.SocketIOConfig",  # imports the sockets.py of each app
]
# Socket.IO is in the application that wsgi.py makes: so runserver has it, too.
WSGI_APPLICATION = "example_app.django_site.wsgi.application"
# Options of the server.
SOCKETIO = {"client_dir": os.environ.get("SOCKETIO_CLIENT_DIR") or None}

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [HERE / "templates"],
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "flask_sio.mounts.django.socketio",  # {{ socketio_script }}
            ]
        },
    }
]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": DATA_DIR / "db.sqlite3"}}
USE_TZ = True
