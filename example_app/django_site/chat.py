"""The chat of the page: handlers take the socket's id first, as python-socketio's do."""

from __future__ import annotations

import os
import threading
from collections import deque
from typing import Any

from flask_sio import ConnectionRefusedError, Server

NAME_CHARS = 24
TEXT_CHARS = 500
HISTORY = 50

server = Server(client_dir=os.environ.get("SOCKETIO_CLIENT_DIR") or None)

_lock = threading.Lock()
_names: dict[str, str] = {}
_history: deque[dict[str, str]] = deque(maxlen=HISTORY)


@server.on("connect")
def connect(sid: str, environ: dict[str, Any], auth: Any) -> None:
    """Take the name the page sends along, and send back what was said so far."""
    name = _text(auth.get("name") if isinstance(auth, dict) else None, NAME_CHARS)
    if name is None:
        raise ConnectionRefusedError(f"A name has 1 to {NAME_CHARS} characters.")
    with _lock:
        _names[sid] = name
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
def say(sid: str, text: Any = None) -> dict[str, Any]:
    """Tell everybody; the answer is the acknowledgement."""
    clean = _text(text, TEXT_CHARS)
    if clean is None:
        return {"ok": False, "error": f"A message has 1 to {TEXT_CHARS} characters."}
    with _lock:
        message = {"from": _names[sid], "text": clean}
        _history.append(message)
    server.emit("message", message)
    return {"ok": True}


def _online() -> list[str]:
    with _lock:
        return sorted(set(_names.values()))


def _text(value: Any, most: int) -> str | None:
    """Return a clean text of at most ``most`` characters, None when it is not one."""
    text = value.strip() if isinstance(value, str) else ""
    return text if 0 < len(text) <= most and text.isprintable() else None
