"""An OS thread for what would hold up gevent's hub, an asyncio event loop for one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import gevent
from gevent.event import Event
from gevent.lock import Semaphore

from flask_sio.runtime.loop import Ticket, is_patched, original

if TYPE_CHECKING:
    from flask_sio.runtime.gevent import GeventLoop

T = TypeVar("T")

MAX_THREADS = 256
"""Threads at once; more callers wait."""
_NAME = "flask_sio async handler"


class OSThreads:
    """Starts an OS thread for each call; one that asyncio was in is not fit for another."""

    def __init__(self, loop: GeventLoop) -> None:
        self._loop = loop
        self._free = Semaphore(MAX_THREADS)

    def call(self, fn: Callable[..., T], *args: Any) -> T:
        """Call a function there, and let other greenlets run until it has returned or raised."""
        self._free.acquire()
        # Its place is free when the thread has ended, be it that the caller waits no more.
        relay = _Relay(self._loop, self._free.release)
        try:
            if is_patched():  # threading.Thread would be a greenlet
                ticket = Ticket(relay, _in_patched, (fn, *args))
                original("_thread", "start_new_thread")(ticket.settle, ())
            else:
                ticket = Ticket(relay, fn, args)
                threading.Thread(target=ticket.settle, name=_NAME, daemon=True).start()
        except BaseException:
            relay.set()  # nobody else will
            raise
        return ticket.result()  # type: ignore[no-any-return]


class _Relay:
    """A waiter of the hub's thread that another OS thread sets, once.

    The hub counts it as something to wait for: else it may find that nothing is left.
    """

    __slots__ = ("_event", "_on_end", "_wake")

    def __init__(self, loop: GeventLoop, on_end: Callable[[], object]) -> None:
        self._on_end = on_end
        self._event: Any = Event()
        self._wake = loop.libev.async_()
        self._wake.start(self._awake)

    def wait(self, timeout: float | None = None) -> Any:
        return self._event.wait(timeout)

    def set(self) -> None:
        self._wake.send()

    def _awake(self) -> None:
        # Here and not in wait(), whose greenlet may be killed: then somebody still sends.
        self._wake.stop()
        self._wake.close()
        self._on_end()
        self._event.set()


def _in_patched(fn: Callable[..., T], *args: Any) -> T:
    """Call a function in an OS thread of a patched process, and clean up after it.

    What it believes to be threads are greenlets of this thread. Those that have been told to
    end do so here, before the caller goes on.
    """
    try:
        return fn(*args)
    finally:
        gevent.sleep(0)
        gevent.get_hub().destroy(destroy_loop=True)
        # The entry of a thread that threading has not started; nobody else removes it.
        getattr(threading, "_active", {}).pop(threading.get_ident(), None)
