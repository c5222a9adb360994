"""The page, and Django's own views to log in and out."""

from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path

from example_app.django_site.sockets import TEXT_CHARS


def chat(request: HttpRequest) -> HttpResponse:
    """Show the chat, also to those whom it will refuse."""
    return render(request, "chat.html", {"text_chars": TEXT_CHARS})


urlpatterns = [
    path("", chat, name="chat"),
    path("login", LoginView.as_view(template_name="login.html"), name="login"),
    path("logout", LogoutView.as_view(), name="logout"),
]
