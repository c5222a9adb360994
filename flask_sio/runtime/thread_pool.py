"""Threads that run handlers, and the queue of clients that have one to run."""

from __future__ import annotations

import ctypes
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flask_sio.runtime.loop import IDLE_S, IDLE_WORKERS, PoolOptions, Turn, original

if TYPE_CHECKING:
    from flask_sio.runtime.threads import ThreadLoop

Job = Callable[[], object]

logger = logging.getLogger("flask_sio.runtime")

_get_ident: Callable[[], int] = original("_thread", "get_ident")
_allocate_lock: Callable[[], Any] = original("_thread", "allocate_lock")


class _Worker:
    """One pool thread; it waits for its next job on a lock of its own."""

    __slots__ = ("_given", "_job", "_pool")

    def __init__(self, pool: ThreadPool, job: Job) -> None:
        self._pool = pool
        self._job: Job | None = job
        self._given = _allocate_lock()
        self._given.acquire()
        threading.Thread(target=self._work, name="flask_sio worker", daemon=True).start()

    def give(self, job: Job | None) -> None:
        self._job = job
        self._given.release()

    def _work(self) -> None:
        pool, ident = self._pool, _get_ident()
        pool.workers.add(ident)
        locals_before = _thread_locals()
        try:
            while self._job is not None:
                try:
                    self._job()
                except SystemExit:
                    break
                except BaseException as error:
                    logger.exception("a job failed outside of its handler")
                    if not isinstance(error, Exception):
                        break
                self._job = None
                if pool.fresh or locals_before is None or _thread_locals() != locals_before:
                    break
                pool.loop.run(pool.job_done, self)
                self._given.acquire()
            else:
                return
        finally:
            pool.workers.discard(ident)
        pool.loop.run(pool.job_done, None)


class ThreadPool:
    """Threads that run handlers one after another; all but `_Worker` in the owner's turn.

    A thread whose job left a ``threading.local`` value behind ends, as does one whose job
    ended by a BaseException: nothing of one job reaches the next.
    """

    def __init__(self, loop: ThreadLoop, options: PoolOptions) -> None:
        self.loop = loop
        self._max = options.max_handlers or 256
        self.fresh = options.fresh_greenlets
        self._ready: deque[Turn] = deque()
        self._pending: deque[Job] = deque()
        self._idle: list[_Worker] = []
        self._fewest_idle = 0
        self._trim_at = time.monotonic() + IDLE_S
        self._warned = False
        self.workers: set[int] = set()
        self.running = 0
        """Workers with a job, but for those that wait in a call or sleep of ours."""
        self.busy = 0
        """Workers with a job."""
        loop.on_tick(self._trim)

    def ready(self, turn: Turn) -> None:
        self._ready.append(turn)
        self._take_turns()

    def _take_turns(self) -> None:
        while self._ready:
            if self.running >= self._max:
                self._warn_full()
                return
            job = self._ready.popleft().take_turn()
            if job is not None:
                self.start(job)

    def start(self, job: Job) -> None:
        self.running += 1
        self.busy += 1
        if self._idle:
            self._idle.pop().give(job)
            return
        try:
            _Worker(self, job)
        except RuntimeError:  # the process may start no more threads: it waits for a worker
            self.running -= 1
            self.busy -= 1
            self._pending.append(job)

    def job_done(self, worker: _Worker | None) -> None:
        """Take back a worker, or only its place where the thread has ended."""
        self.running -= 1
        self.busy -= 1
        if worker is not None:
            if self._pending:
                self.running += 1
                self.busy += 1
                worker.give(self._pending.popleft())
            elif self.loop.is_stopped:
                worker.give(None)
            else:
                self._idle.append(worker)
        self._take_turns()

    def stop(self) -> None:
        """End the idle threads."""
        while self._idle:
            self._idle.pop().give(None)

    def leave(self) -> None:
        self.running -= 1
        self._take_turns()

    def enter(self) -> None:
        self.running += 1

    def _warn_full(self) -> None:
        if not self._warned:
            self._warned = True
            self.start(
                lambda: logger.warning(
                    "max_handlers=%d handlers are running; further events wait", self._max
                )
            )

    def _trim(self) -> None:
        """End the threads that nobody needed for `IDLE_S` seconds; try again to start some."""
        if self._pending:
            self.start(self._pending.popleft())
        self._fewest_idle = min(self._fewest_idle, len(self._idle))
        now = time.monotonic()
        if now >= self._trim_at:
            for _ in range(max(0, self._fewest_idle - IDLE_WORKERS)):
                self._idle.pop(0).give(None)
            self._fewest_idle = len(self._idle)
            self._trim_at = now + IDLE_S


def _thread_locals() -> int | None:
    """Count what ``threading.local`` objects keep for this thread; None if unknown.

    CPython up to 3.12 holds it in the thread state's dict. From 3.13 on nothing tells.
    """
    address = _get_thread_dict() if _get_thread_dict is not None else None
    return len(ctypes.cast(address, ctypes.py_object).value) if address else None


def _find_thread_dict() -> Callable[[], int | None] | None:
    try:
        get = ctypes.pythonapi.PyThreadState_GetDict
    except AttributeError:  # not CPython
        return None
    get.restype = ctypes.c_void_p
    before = len(ctypes.cast(get(), ctypes.py_object).value)
    probe = original("_thread", "_local")()
    probe.value = 1
    after = len(ctypes.cast(get(), ctypes.py_object).value)
    return get if after > before else None


_get_thread_dict = _find_thread_dict()
