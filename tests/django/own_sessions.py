"""A project's own session middleware."""

from __future__ import annotations

from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest


class OwnSessions(SessionMiddleware):  # type: ignore[misc] # Django is untyped
    """Put something of its own into each session."""

    def process_request(self, request: HttpRequest) -> None:
        super().process_request(request)
        request.session["own"] = "yes"
