"""The chat's events: handlers take the socket's id first, and read Django's request."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

from flask_sio.mounts.django import login_required, request, server

TEXT_CHARS = 500
HISTORY = 50

_lock = threading.Lock()
_names: dict[str, str] = {}
_history: deque[dict[str, str]] = deque(maxlen=HISTORY)


@server.on("connect")
@login_required
def connect(sid: str, environ: dict[str, Any]) -> None:
    """Send a user what was said so far; all others are refused."""
    with _lock:
        _names[sid] = request.user.get_username()
        said = list(_history)
    server.emit("history", said, to=sid)
    server.emit("online", _online())


@server.on("disconnect")
def disconnect(sid: str) -> None:
    """Forget who left."""
    with _lock:
        _names.pop(sid, None)
    server.emit("online", _online())


@server.on("say")
@login_required
def say(sid: str, text: Any = None) -> dict[str, Any]:
    """Tell everybody; the answer is the acknowledgement."""
    clean = text.strip() if isinstance(text, str) else ""
    if not 0 < len(clean) <= TEXT_CHARS or not clean.isprintable():
        return {"ok": False, "error": f"A message has 1 to {TEXT_CHARS} characters."}
    message = {"from": request.user.get_username(), "text": clean}
    with _lock:
        _history.append(message)
    server.emit("message", message)
    return {"ok": True}


def _online() -> list[str]:
    with _lock:
        return sorted(set(_names.values()))
