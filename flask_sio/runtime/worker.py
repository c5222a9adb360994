"""The process manager this process is a worker of, if it is one: gunicorn.

In each gunicorn worker the handler of SIGTERM is a method of the worker object, whose
``alive`` turns False on TERM, HUP, QUIT and ``max_requests``. It is looked up late and
again, because a worker installs it after it has forked.
"""

from __future__ import annotations

import signal
from typing import Any

_GRACE_S = 5.0


def _worker() -> Any | None:
    try:
        owner = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    except ValueError:  # an interpreter without signals
        return None
    return owner if hasattr(owner, "alive") and hasattr(owner, "cfg") else None


def is_stopping() -> bool:
    """Whether the worker was told to stop."""
    worker = _worker()
    return worker is not None and not worker.alive


def grace_s() -> float:
    """Return how long an ending process may wait for its clients: 80 % of what it has."""
    worker = _worker()
    if worker is None:
        return _GRACE_S
    return 0.8 * float(worker.cfg.graceful_timeout)


def name() -> str:
    """Return what all workers of an application have in common, restarts included.

    The addresses it listens on and where its code is; empty outside of gunicorn.
    """
    worker = _worker()
    if worker is None:
        return ""
    return f"{_addresses(worker)} {getattr(worker.app, 'app_uri', None) or worker.cfg.wsgi_app}"


def _addresses(worker: Any) -> list[str]:
    try:
        return sorted(str(listener.getsockname()) for listener in worker.sockets)
    except (AttributeError, OSError):  # it listens no more
        return sorted(map(str, worker.cfg.bind))


def count() -> int:
    """Return how many workers serve this address; 1 where nobody tells."""
    worker = _worker()
    return int(worker.cfg.workers) if worker is not None else 1
