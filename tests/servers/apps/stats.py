"""What a server process holds at the moment, as the answer to ``GET /stats``."""

from __future__ import annotations

import gc
import json
import os
import sys
import threading
from typing import Any

from flask_sio import ids

HANDLED: dict[str, int] = {}
"""How often each handler ran in this process."""


def count(event: str) -> None:
    HANDLED[event] = HANDLED.get(event, 0) + 1


def stats() -> dict[str, Any]:
    gc.collect()
    return {
        "pid": os.getpid(),
        "tag": ids.worker_prefix(),
        "greenlets": greenlets(),
        "threads": threading.active_count(),
        "os_threads": status("Threads"),
        "fds": len(os.listdir("/dev/fd")),
        "rss_kb": status("VmRSS"),
        "handled": HANDLED,
        "gevent": "gevent" in sys.modules,
    }


def body() -> bytes:
    return json.dumps(stats()).encode()


def greenlets() -> int:
    """Count the greenlets that have begun and not ended."""
    greenlet = sys.modules.get("greenlet")
    if greenlet is None:
        return 0
    return sum(1 for each in gc.get_objects() if isinstance(each, greenlet.greenlet) and bool(each))


def status(name: str) -> int:
    """Return a number of /proc/self/status, 0 where there is none."""
    try:
        with open("/proc/self/status") as file:
            for line in file:
                if line.startswith(f"{name}:"):
                    return int(line.split()[1])
    except OSError:
        pass
    return 0
