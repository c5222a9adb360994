"""Gunicorn's configuration under test: each worker says when signals reach it."""

from __future__ import annotations

from typing import Any

READY = "Worker is ready"


def post_worker_init(worker: Any) -> None:
    worker.log.info("%s (pid: %s)", READY, worker.pid)
