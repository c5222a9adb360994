"""Middleware for events, in the ways Django knows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden

Next = Callable[[HttpRequest], HttpResponse]

CALLS: list[str] = []


def tenant(get_response: Next) -> Next:
    """Put a tenant on the request, by its host."""

    def middleware(request: HttpRequest) -> HttpResponse:
        CALLS.append("tenant in")
        request.tenant = request.headers.get("X-Tenant")
        try:
            return get_response(request)
        finally:
            CALLS.append("tenant out")

    return middleware


class Guard:
    """Answer by itself for those who are banned."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        CALLS.append(f"guard of {request.tenant}, {request.user}")
        if request.headers.get("X-Banned") or request.session.get("banned"):
            return HttpResponseForbidden()
        return self.get_response(request)


class Unused:
    """Is for other projects."""

    def __init__(self, get_response: Next) -> None:
        raise MiddlewareNotUsed


class OnlyAsync:
    """Cannot run here."""

    sync_capable = False
    async_capable = True

    def __init__(self, get_response: Any) -> None: ...
