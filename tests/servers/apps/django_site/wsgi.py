"""What a Django project's wsgi.py looks like with this library."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

from flask_sio import Server, WSGIApp
from tests.servers.apps import events

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.servers.apps.django_site.settings")

server = Server()
events.register(server)
application = WSGIApp(server, get_wsgi_application())
