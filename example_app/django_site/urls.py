"""The one page."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from django.utils.safestring import mark_safe

from example_app.django_site.chat import NAME_CHARS, TEXT_CHARS, server
from flask_sio.client_files import ClientFiles, script_tag

client_files = ClientFiles(server.options.client_dir)


def page(request: HttpRequest) -> HttpResponse:
    """Show the chat."""
    prefix = request.META.get("SCRIPT_NAME", "")
    context = {
        # Built by the library from escaped parts.
        "socketio_script": mark_safe(script_tag(server.options.path, prefix, client_files)),
        "socket_path": f"{prefix}/{server.options.path}",
        "name_chars": NAME_CHARS,
        "text_chars": TEXT_CHARS,
    }
    return render(request, "chat.html", context)


urlpatterns = [path("", page)]
