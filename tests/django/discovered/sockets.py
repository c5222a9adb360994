"""Handlers of the project's server."""

from __future__ import annotations

from flask_sio.mounts.django import request, server


@server.on("who")
def who(sid: str) -> str:
    return str(request.user)
