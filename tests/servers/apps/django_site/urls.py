"""Django's own pages beside the Socket.IO endpoint."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import path

from tests.servers.apps import stats


def index(request: HttpRequest) -> HttpResponse:
    return HttpResponse("hello")


def show_stats(request: HttpRequest) -> HttpResponse:
    return HttpResponse(stats.body(), content_type="application/json")


urlpatterns = [path("", index), path("stats", show_stats)]
