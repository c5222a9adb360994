"""The site with Socket.IO: ``gunicorn -k gevent example_app.django_site.wsgi:application``."""

import os

from django.core.wsgi import get_wsgi_application

from example_app.django_site.chat import server
from flask_sio import WSGIApp

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_app.django_site.settings")

application = WSGIApp(server, get_wsgi_application())
