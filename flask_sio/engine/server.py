"""The table of connections: who comes in, how many, and how all of them leave.

`Engine` owns the connections of one server; `endpoint.py` answers their HTTP requests.
Attributes are read from any thread, and change in the owner's turn only.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import weakref
from collections.abc import Callable, Mapping
from contextvars import Context
from typing import Any, Literal

from flask_sio import ids
from flask_sio.engine.admission import Admission
from flask_sio.engine.away import Away, Others
from flask_sio.engine.connection import Connection, Handler
from flask_sio.engine.connection3 import Connection3
from flask_sio.engine.gate import EngineRequest
from flask_sio.engine.hooks import EngineHooks
from flask_sio.engine.polling import Polling
from flask_sio.engine.pressure import Pressure
from flask_sio.options import ServerOptions
from flask_sio.protocol import eio
from flask_sio.protocol.encoded import Encoded
from flask_sio.protocol.ws_deflate import Deflater
from flask_sio.runtime import worker
from flask_sio.runtime.loop import Loop, PoolOptions, Tasks, choose, is_patched, may_choose, tasks
from flask_sio.runtime.stream import AnyStream

logger = logging.getLogger("flask_sio.engine")

Session = Connection | Away

_FD_RESERVE = 64
"""Descriptors left to the application: files, databases, the listener."""
_OWN_FDS = 16
_LISTENING_S = 1.2
_WINDOW = 0.75
"""The part of an ending worker's time in which its clients are closed."""
_CLOSED_PER_S = 50
"""Clients that one of several ending workers closes in a second; more if there are too many."""


class Engine:
    """The Engine.IO connections of one server in this process."""

    def __init__(self, options: ServerOptions, accept: Callable[[Connection], Handler]) -> None:
        self.options = options
        self.transports = options.transports
        self.revisions = ("3", "4") if options.allow_eio3 else ("4",)
        self.jsonp = options.jsonp
        self.cors = options.cors
        self.cookie = options.engine_cookie
        deflate = options.per_message_deflate
        self.deflate = Deflater(deflate) if deflate else None
        self.hooks = EngineHooks()
        self.pressure = Pressure()
        self.connections: dict[str, Connection] = {}
        self.streams: set[AnyStream] = set()
        self._on_stream_closed = self.streams.discard
        self.is_draining = False
        self._max_streams = _descriptors_left()
        self.max_connections = options.max_connections or self._max_streams
        self.admission = Admission(self)
        self._accept = accept
        self.running: Loop | None = None
        """The loop, once there is one."""
        self._expected = options.async_mode
        self._is_serving = False
        self.others: Others | None = None
        """The other workers of this host; None where there are none, or nobody looks for them."""
        self.on_others: Callable[[], object] = lambda: None
        """Called once this worker is linked to others, before its first request is answered."""
        self._is_ready = False
        self._has_others = False
        self._ready_lock = threading.Lock()
        self._borrowers: set[object] = set()
        self._loop_lock = threading.Lock()
        self._said: set[str] = set()
        self.on_fork: Callable[[], object] = lambda: None
        """Called in a forked child: the layer above forgets its clients."""
        self.on_drain: Callable[[], object] = lambda: None
        """Called when this worker begins to end, before it closes clients. Owner's turn."""
        self.on_leave: Callable[[], object] = lambda: None
        """Called before this worker leaves the others. Owner's turn."""
        self.has_clients: Callable[[], bool] = lambda: False
        """Whether the layer above still has clients on their way out. Owner's turn."""
        _forget_after_fork(self)

    # -- the loop ----------------------------------------------------------------------

    @property
    def loop(self) -> Loop:
        """The loop; the first request chooses it, or who asks before that."""
        return self.running or self.start(None)

    @property
    def has_loop(self) -> bool:
        return self.running is not None

    @property
    def is_serving(self) -> bool:
        """Whether the loop was started for good, and not only for clients in this process."""
        return self._is_serving

    @property
    def is_ready(self) -> bool:
        """Whether requests can be answered: there is a loop, and other workers were looked for."""
        return self._is_ready

    def make_ready(self, on_gevent: bool | None) -> None:
        """Start the loop for good and find the other workers, once. Any thread; not in a turn."""
        with self._ready_lock:
            if not self._is_ready:
                self.start(on_gevent)
                self._has_others = self.others is not None and self.others.join()
                if self._has_others:
                    self.on_others()
                self._is_ready = True

    def start(self, on_gevent: bool | None, borrower: object | None = None) -> Loop:
        """Choose the loop by the first request's socket, once.

        A ``borrower`` gives it back by `give_back`.
        """
        with self._loop_lock:
            if borrower is None:
                self._is_serving = True
            else:
                self._borrowers.add(borrower)
            if self.running is None:
                options = self.options
                shortest = min(options.ping_interval_s, options.ping_timeout_s)
                # What is announced is kept: a silent client of 0.2 s ends within a millisecond.
                resolution_s = min(0.01, shortest / 400)
                pool = PoolOptions(options.max_handlers, options.fresh_greenlets, resolution_s)
                loop = choose(self._expected, on_gevent, pool)
                loop.call(loop.on_tick, self._tick)
                if options.switch_interval is not None:
                    sys.setswitchinterval(options.switch_interval)
                self.running = loop
                atexit.register(self._hold_worker)
        return self.running

    def keep_running(self, borrower: object) -> None:
        """Keep the loop, which runs, until `give_back`. Owner's turn."""
        self._borrowers.add(borrower)

    def give_back(self, borrower: object) -> None:
        """Stop the loop if only borrowers have used it and this was the last. Owner's turn.

        A test suite may make an application per test: its loop's thread and descriptors
        end with its last client. Never waits, since a finaliser may lead here.
        """
        self._borrowers.discard(borrower)
        if not self._loop_lock.acquire(blocking=False):
            return  # a new one is being let in
        try:
            is_used = self._borrowers or self._is_serving or self.is_draining
            if self.running is not None and not is_used:
                self.running.stop()
                self.running = None
                atexit.unregister(self._hold_worker)
        finally:
            self._loop_lock.release()

    def expect(self, name: Literal["gevent", "threading"]) -> None:
        """Note what the server about to be started runs on, where nothing says otherwise."""
        if self._expected is None:
            self._expected = name

    @property
    def may_choose_loop(self) -> bool:
        """Whether the calling thread may have the loop chosen before any request has."""
        return self.running is not None or may_choose(self._expected)

    def tasks(self) -> Tasks:
        """Return what starts background tasks, without choosing the loop yet."""
        if self.running is not None:
            return self.running
        mode = self._expected
        return tasks(mode == "gevent" if mode else is_patched())

    def _tick(self) -> None:
        if not self.is_draining and worker.is_stopping():
            self._drain_as_worker()

    def _drain_as_worker(self) -> None:
        """Close the clients so that those of several workers come back at others.

        One after another, and not before gunicorn's workers have stopped listening, which
        they look at once a second: else many would come back to one that ends, too.
        """
        if not self._has_others:
            self.drain()
            return
        whole = _WINDOW * worker.grace_s()
        first = min(_LISTENING_S, whole / 2)
        self.drain(first, first + min(whole - first, len(self.connections) / _CLOSED_PER_S))

    def lag_s(self, at_most: float) -> float:
        """Return what the loop takes to come to something new. Waits; not in a turn."""
        loop, waiter = self.loop, self.loop.waiter()
        asked = loop.now()
        loop.run(loop.soon, waiter.set)
        waiter.wait(at_most)
        return loop.now() - asked

    def log(self, message: str, *args: Any) -> None:
        """Log from the owner's turn, where nothing may wait."""
        self.loop.defer(logger.info, message, *args)

    def warn_once(self, message: str, *args: Any) -> None:
        """Log a warning the first time only. Any thread."""
        if message not in self._said:
            self._said.add(message)
            self.loop.defer(logger.warning, message, *args)

    def session(self, request: EngineRequest) -> Session | None:
        """Return the session of a request, wherever it is. Any thread."""
        connection = self.connections.get(request.sid)
        if connection is None and self._has_others and self.others is not None and request.sid:
            return self.others.find(request)
        return connection

    # -- coming and going --------------------------------------------------------------

    @property
    def is_full(self) -> bool:
        return (
            self.is_draining
            or len(self.connections) >= self.max_connections
            or self.has_no_stream_left
        )

    @property
    def has_no_stream_left(self) -> bool:
        """Whether our sockets alone use the process's descriptors up: those that end count too."""
        return len(self.streams) >= self._max_streams

    def say_full(self) -> None:
        """Log that a client gets 503. Any thread."""
        if not self.is_draining:
            self.warn_once(
                "max_connections=%d clients are here: more get 503 (said once)",
                self.max_connections,
            )

    def open(
        self,
        sid: str,
        environ: dict[str, Any],
        context: Context,
        *,
        polling: bool,
        query_3: Mapping[str, str] | None = None,
    ) -> Connection:
        """Make a connection and its handler. ``environ`` is slim.

        ``query_3`` is the handshake's query, where that is one of Engine.IO 3.
        """
        if query_3 is None:
            connection = Connection(self, sid, environ, context)
        else:
            connection = Connection3(self, sid, environ, context, query_3)
        if polling:
            connection.polling = Polling(connection)
        self.connections[connection.sid] = connection
        self.admission.enter(sid, environ)
        connection.handler = self._accept(connection)
        if self.is_draining:  # it was let in before the drain began
            self.loop.run(connection.shut_down)
        return connection

    def new_sid(self) -> str | None:
        """Return a fresh sid; None where ``generate_id`` failed. Not in a turn: it is user code."""
        try:
            for _ in range(8):
                sid = ids.new_id(self.options.generate_id, self.options.host_tag)
                if sid not in self.connections:
                    return sid
            logger.error("generate_id keeps returning ids that are in use")
        except Exception:
            logger.exception("generate_id failed")
        return None

    def open_packet(self, connection: Connection, upgrades: list[str]) -> Encoded:
        """Return the handshake's open packet."""
        options = self.options
        return eio.open_packet(
            connection.sid,
            upgrades,
            options.ping_interval_s,
            options.ping_timeout_s,
            options.max_http_buffer_size,
        )

    def forget(self, connection: Connection) -> None:
        """Drop a connection that has ended; `Connection` calls it."""
        self.connections.pop(connection.sid, None)
        self.admission.leave(connection.sid)

    def keep(self, stream: AnyStream) -> None:
        """Know a stream until its descriptor is given back, so that a drain can wait."""
        self.streams.add(stream)
        stream.when_closed(self._on_stream_closed)

    # -- shutdown ----------------------------------------------------------------------

    def drain(self, first_s: float = 0.0, last_s: float = 0.0) -> None:
        """Close every client cleanly and take no new ones. Owner's turn.

        Polls are answered, WebSockets get close code 1001; no client is told of a server
        disconnect, so that stock clients come back by themselves. With times, in seconds
        from now, the clients are closed between them, one after another, and can be reached
        until then: a poll that waits is answered by the close, not sent to look for a worker
        that may not have started yet.
        """
        self.is_draining = True
        if self._has_others and self.others is not None:
            self.others.drain()
        self.on_drain()
        connections, now = list(self.connections.values()), self.loop.now()
        for place, connection in enumerate(connections, 1):
            # Each in its own turn: a failure stops no other.
            if last_s:
                when = now + first_s + (last_s - first_s) * place / len(connections)
                self.loop.call_at(when, connection.shut_down)
            else:
                self.loop.run(connection.shut_down)

    def shutdown(self, timeout: float = 5.0) -> bool:
        """Drain and wait until all are gone and no handler runs.

        Returns False if clients were left after ``timeout`` seconds.
        """
        if self.running is None:
            return True
        self.running.call(self.drain)
        return self._await_end(self.running, timeout)

    def _await_end(self, loop: Loop, timeout: float) -> bool:
        gone = loop.waiter()
        deadline = loop.now() + timeout

        def look() -> None:
            if not self._is_in_use(loop) or loop.now() >= deadline:
                gone.set()
            else:
                loop.call_at(loop.now() + 0.02, look)

        loop.run(look)
        gone.wait(timeout + 1.0)
        is_clean = not self.streams
        loop.call(self._abort_streams)
        self._leave_others(loop)
        atexit.unregister(self._hold_worker)
        loop.run(loop.stop)
        return is_clean

    def _is_in_use(self, loop: Loop) -> bool:
        is_open = any(each.state == "open" for each in self.connections.values())
        return bool(is_open or self.streams or loop.running_handlers or self.has_clients())

    def _leave_others(self, loop: Loop) -> None:
        if self._has_others and self.others is not None:
            loop.call(self.on_leave)
            loop.call(self.others.close)
            self._has_others = False

    def _abort_streams(self) -> None:
        """Give back what still lingers: without its loop nobody would."""
        for stream in list(self.streams):
            stream.abort()

    def _hold_worker(self) -> None:
        """Keep an ending process until its clients have their close frames (``atexit``).

        And until its handlers have ended: what a client was promised is done.
        """
        loop = self.running
        if not self._is_serving or loop is None:
            return
        if self.connections or self.streams or loop.running_handlers or self.has_clients():
            if not self.is_draining:
                loop.call(self._drain_as_worker)
            self._await_end(loop, worker.grace_s())
        self._leave_others(loop)

    def _forget_everything(self) -> None:
        """In a forked child: the clients, the loop and the locks are the parent's."""
        loop, self.running = self.running, None
        streams = list(self.streams)
        self.streams.clear()
        connections, self.connections = self.connections, {}
        self.pressure.clear()
        self._loop_lock = threading.Lock()
        self._is_serving = False
        self._is_ready = False
        self._has_others = False
        self._ready_lock = threading.Lock()
        self._borrowers = set()
        self.is_draining = False
        self.admission.clear()
        atexit.unregister(self._hold_worker)
        for connection in connections.values():
            connection.forget()
        self.on_fork()
        if loop is not None:
            loop.forget()
        for stream in streams:
            stream.close_in_child()
        if self.others is not None:
            self.others.forget()


_engines: weakref.WeakSet[Engine] = weakref.WeakSet()


def _forget_after_fork(engine: Engine) -> None:
    _engines.add(engine)


def _after_fork_in_child() -> None:
    for engine in list(_engines):
        try:
            engine._forget_everything()
        except Exception:  # one whose loop has ended badly keeps no other from it
            logger.exception("a forked child could not forget the connections of its parent")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def _descriptors_left() -> int:
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return 1_000_000
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit == resource.RLIM_INFINITY:
        return 1_000_000
    return max(_OWN_FDS, limit - _FD_RESERVE)
