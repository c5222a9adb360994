"""Django's settings: as little as a project can have."""

from __future__ import annotations

SECRET_KEY = "of the tests"
DEBUG = True
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "tests.servers.apps.django_site.urls"
WSGI_APPLICATION = "tests.servers.apps.django_site.wsgi.application"
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
INSTALLED_APPS: list[str] = []
USE_TZ = True
