import os

from django.core.wsgi import get_wsgi_application
from flask_sio import Server, WSGIApp

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
server = Server()


@server.on("chat")
def chat(sid, text):
    server.emit("chat", text)


application = WSGIApp(server, get_wsgi_application())
