"""The site with Socket.IO in front."""

import os

from example_app.django_site.first_start import prepare
from flask_sio.mounts.django import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_app.django_site.settings")

application = get_wsgi_application()
prepare()
