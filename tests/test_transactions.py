"""What follows a commit of SQLAlchemy's: emitted then, and never without it."""

from __future__ import annotations

import gc
import logging
import weakref
from collections.abc import Iterator
from contextvars import ContextVar
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import gevent
import pytest

from flask_sio import Server, after_commit
from flask_sio.testing import TestClient
from tests.conftest import missing
from tests.live import Runtime

if TYPE_CHECKING:
    from sqlalchemy.orm import Session, scoped_session

variable: ContextVar[str] = ContextVar("variable", default="")


@pytest.fixture(scope="module", autouse=True)
def hub() -> None:
    """Have this thread's hub, which is never given back, before leaks are looked for."""
    gevent.get_hub()
    gevent.sleep(0)


@pytest.fixture
def sessions() -> Iterator[scoped_session[Session]]:
    """Sessions of a database in memory."""
    if find_spec("sqlalchemy") is None:
        missing("sqlalchemy")
    from sqlalchemy import StaticPool, create_engine
    from sqlalchemy.orm import scoped_session, sessionmaker

    # One connection for all: the threads of handlers use it, one after the other.
    engine = create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
    )
    sessions = scoped_session(sessionmaker(engine))
    yield sessions
    sessions.remove()
    engine.dispose()


@pytest.fixture
def session(sessions: scoped_session[Session]) -> Session:
    return sessions()


def query(session: Any) -> int:
    """Ask the database for something."""
    from sqlalchemy import text

    return int(session.execute(text("select 1")).scalar())


def test_nothing_is_called_before_the_commit(session: Session) -> None:
    """Then all is, once and in order, with the arguments it was given."""
    seen: list[Any] = []
    query(session)
    after = after_commit(session)
    after(seen.append, 1)
    after_commit(session)(lambda *args, **kwargs: seen.append((args, kwargs)), 2, to="room")
    after(seen.append, 3)
    session.flush()
    assert seen == []
    session.commit()
    assert seen == [1, ((2,), {"to": "room"}), 3]
    query(session)
    session.commit()
    assert len(seen) == 3


@pytest.mark.parametrize("end", ["rollback", "close", "invalidate"])
def test_without_a_commit_nothing_is_called(session: Session, end: str) -> None:
    """However the transaction ends, and by no commit of a later one either."""
    seen: list[int] = []
    query(session)
    after_commit(session)(seen.append, 1)
    getattr(session, end)()
    query(session)
    after_commit(session)(seen.append, 2)
    session.commit()
    assert seen == [2]


def test_a_commit_that_fails_is_none(session: Session) -> None:
    """The database has the last word."""
    from sqlalchemy import event

    seen: list[int] = []
    after_commit(session)(seen.append, 1)
    event.listen(session, "before_commit", lambda session: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        session.commit()
    session.rollback()
    assert seen == []


def test_a_session_in_no_transaction_begins_one(session: Session) -> None:
    """What is asked for first waits as well."""
    seen: list[int] = []
    after_commit(session)(seen.append, 1)
    assert session.in_transaction()
    query(session)
    assert seen == []
    session.commit()
    assert seen == [1]


def test_savepoints(session: Session) -> None:
    """What was asked for in one that is rolled back is dropped, the rest waits for the last."""
    seen: list[str] = []
    with session.begin():
        after_commit(session)(seen.append, "outer")
        with session.begin_nested():
            after_commit(session)(seen.append, "kept")
            inner = session.begin_nested()
            after_commit(session)(seen.append, "dropped")
            inner.rollback()
        undone = session.begin_nested()
        with session.begin_nested():
            after_commit(session)(seen.append, "dropped with its parent")
        undone.rollback()
        assert seen == []
    assert seen == ["outer", "kept"]


def test_a_transaction_undone_drops_what_its_savepoints_kept(session: Session) -> None:
    """The outermost decides."""
    seen: list[str] = []
    query(session)
    with session.begin_nested():
        after_commit(session)(seen.append, "kept by the savepoint")
    session.rollback()
    session.commit()
    assert seen == []


def test_inside_a_flush_it_is_the_transaction_that_counts(session: Session) -> None:
    """A flush has a transaction of its own, which nobody outside knows."""
    from sqlalchemy import Integer, event
    from sqlalchemy.orm import DeclarativeBase, mapped_column

    class Base(DeclarativeBase):
        pass

    class Row(Base):
        __tablename__ = "row"
        id = mapped_column(Integer, primary_key=True)

    Base.metadata.create_all(session.connection())
    seen: list[int] = []

    @event.listens_for(session, "after_flush")
    def flushed(session: Session, context: object) -> None:
        for row in session.new:
            after_commit(session)(seen.append, row.id)

    with session.begin_nested():
        session.add(Row(id=7))
    session.add(Row(id=8))
    session.commit()
    assert seen == [7, 8]


def test_what_fails_is_logged_and_keeps_nothing_from_the_rest(
    session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    """The commit has happened: it raises nothing."""
    seen: list[int] = []
    after_commit(session)(lambda: 1 // 0)
    after_commit(session)(seen.append, 1)
    with caplog.at_level(logging.ERROR):
        session.commit()
    assert seen == [1]
    assert "what was to follow a commit failed" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_it_may_query_and_ask_for_more(session: Session) -> None:
    """The session is usable again, in a new transaction."""
    seen: list[int] = []

    def again() -> None:
        seen.append(query(session))
        after_commit(session)(seen.append, 2)

    after_commit(session)(again)
    session.commit()
    assert seen == [1]
    session.commit()
    assert seen == [1, 2]


def test_it_runs_in_the_context_of_who_has_asked(session: Session) -> None:
    """Not in that of who commits."""
    seen: list[str] = []
    variable.set("asked")
    after_commit(session)(lambda: seen.append(variable.get()))
    variable.set("committed")
    session.commit()
    assert (seen, variable.get()) == (["asked"], "committed")


def test_what_is_too_late_or_no_function_is_refused(session: Session) -> None:
    """In the call, where the mistake is."""

    async def later() -> None: ...

    after = after_commit(session)
    for fn in (later, "emit"):
        with pytest.raises(TypeError, match="needs a 'def' function"):
            after(fn)  # type: ignore[arg-type]
    session.commit()
    with pytest.raises(RuntimeError, match="has ended"):
        after(print)


def test_a_session_that_is_given_up_is_forgotten(sessions: scoped_session[Session]) -> None:
    """With all that was to follow its commit."""
    dropped = weakref.ref(sessions())
    after_commit(sessions)(print, "never")
    sessions.remove()
    gc.collect()
    assert dropped() is None


def test_emits_of_a_handler(runtime: Runtime, sessions: scoped_session[Session]) -> None:
    """They arrive with the commit, and none of a transaction that is rolled back."""
    server = Server(async_mode=runtime)

    def add(sid: str, text: str, is_good: bool) -> None:
        try:
            query(sessions)
            after_commit(sessions)(server.emit, "added", text, to=sid)
            server.emit("adding", text, to=sid)
            if not is_good:
                sessions.rollback()
            sessions.commit()
        finally:
            sessions.remove()

    server.on("add", add)
    with TestClient(server) as client:
        client.emit("add", "milk", True)
        client.emit("add", "tea", False)
        got = [(each["name"], *each["args"]) for each in client.get_received()]
    assert got == [("adding", "milk"), ("added", "milk"), ("adding", "tea")]
