"""A server whose handlers leave things behind, for test_isolation.py.

It is run patched by gevent, and on threads. ``FRESH=1`` sets ``fresh_greenlets``.
"""

from __future__ import annotations

import contextvars
import os
import sys
import threading
import weakref
from typing import Any

from greenlet import getcurrent
from sqlalchemy import String, create_engine, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, scoped_session, sessionmaker

from flask_sio import Server, WSGIApp

server = Server(fresh_greenlets=os.environ.get("FRESH") == "1")
app = WSGIApp(server)

user: contextvars.ContextVar[str | None] = contextvars.ContextVar("user", default=None)
local = threading.local()
database = create_engine(os.environ["DATABASE"])
Session = scoped_session(sessionmaker(database))


class Base(DeclarativeBase): ...


class Row(Base):
    __tablename__ = "row"

    name: Mapped[str] = mapped_column(String, primary_key=True)


Base.metadata.create_all(database)


class Ended(BaseException):
    """No Exception: like a kill."""


known: weakref.WeakSet[Any] = weakref.WeakSet()
kept: list[Any] = []


def worker() -> Any:
    """Return what runs this handler: a greenlet of the pool, or a thread."""
    return getcurrent() if server.async_mode == "gevent" else threading.current_thread()


@server.on("leave")
def leave(sid: str, name: str, how: str) -> None:
    """Leave values everywhere, and end in one of many ways."""
    assert (user.get(), getattr(local, "value", None), list(Session().new)) == (None, None, [])
    user.set(name)
    local.value = name
    Session().add(Row(name=name))
    if how == "exception":
        raise RuntimeError("on purpose")
    if how == "base exception":
        raise Ended
    if how == "exit of the thread":
        raise SystemExit
    if how == "kept":
        kept.append(worker())
    elif how == "kill":
        import gevent

        gevent.kill(getcurrent())  # type: ignore[arg-type]  # any greenlet will do
        gevent.sleep(60)
    elif how == "late kill":
        import gevent

        gevent.kill(getcurrent())  # type: ignore[arg-type]
    elif how == "timeout":
        import gevent

        gevent.Timeout.start_new(0.001)
    elif how == "timeout at once":
        import gevent

        gevent.Timeout.start_new(0)


@server.on("look")
def look(sid: str) -> list[Any]:
    """Return what another has left, and commit as an unsuspecting handler would."""
    pending = [row.name for row in Session().new]
    Session().commit()
    committed = Session().scalar(select(func.count()).select_from(Row))
    Session.remove()
    return [user.get(), getattr(local, "value", None), pending, committed]


@server.on("look politely")
def look_politely(sid: str) -> list[Any]:
    """Like `look`, without touching anything that is kept for a worker."""
    return [user.get()]


@server.on("reused")
def reused(sid: str) -> bool:
    """Whether this worker has run a job before that it was asked this in."""
    was_known = worker() in known
    known.add(worker())
    return was_known


@server.on("version")
def version(sid: str) -> list[Any]:
    return [server.async_mode, *sys.version_info[:2]]
