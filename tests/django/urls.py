"""The pages of the project."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import path


def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"page for {request.user}")


urlpatterns = [path("page", page, name="page")]
