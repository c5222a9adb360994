"""The pages of the project."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import path


def page(request: HttpRequest) -> HttpResponse:
    body = f"page for {request.user}"
    return HttpResponse(body, headers={"Content-Length": len(body)})


urlpatterns = [path("page", page, name="page")]
