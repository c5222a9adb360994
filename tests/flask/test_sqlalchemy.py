"""Flask-SQLAlchemy in events: each has its session, which is given back at its end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import request
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import event
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.pool import QueuePool

from flask_sio import after_commit, call, emit
from tests.flask.polling import PollingClient
from tests.flask.site import Site

POOL = 3


class Base(DeclarativeBase):
    """What the tables derive from."""


class Note(Base):
    """A row."""

    __tablename__ = "note"

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]


class Notes:
    """A site with a database of few connections."""

    def __init__(self, site: Site, file: Path) -> None:
        self.site = site
        site.app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{file}"
        site.app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {
            "poolclass": QueuePool,
            "pool_size": POOL,
            "max_overflow": 0,
            "pool_timeout": 5,
            "connect_args": {"check_same_thread": False},
        }
        self.db = SQLAlchemy(site.app, model_class=Base)
        with site.app.app_context():
            Base.metadata.create_all(self.db.engine)
            self.engine = self.db.engine

    @property
    def held(self) -> int:
        """How many database connections are in use."""
        return int(self.engine.pool.checkedout())  # type: ignore[attr-defined]

    def add(self, text: str) -> None:
        """Add a row, without committing."""
        self.db.session.add(Note(text=text))
        self.db.session.flush()

    def texts(self) -> list[str]:
        """Return what is in the table."""
        found = self.db.session.execute(self.db.select(Note.text).order_by(Note.text))
        return list(found.scalars())


@pytest.fixture
def notes(site: Site, tmp_path: Path) -> Iterator[Notes]:
    """A site with a database, all of whose connections are free at the end."""
    notes = Notes(site, tmp_path / "notes.sqlite")
    yield notes
    site.socketio.shutdown()  # waits for the last handlers
    assert notes.held == 0
    notes.engine.dispose()


def test_each_event_gives_its_connection_back(notes: Notes) -> None:
    """Far more events than the pool has connections find one each, also when they fail."""
    client, _ = notes.site.joined()

    def fail() -> None:
        notes.texts()
        assert notes.held == 1
        raise ValueError

    notes.site.socketio.on_event("fail", fail)
    for number in range(3 * POOL):
        client.emit("fail")
        assert notes.site.run(client, notes.texts) == [[]]
        assert notes.held == 0, number


def test_connect_disconnect_and_callbacks_too(notes: Notes) -> None:
    """What runs beside events gives its connection back as well."""
    for name in ("connect", "disconnect"):
        notes.site.socketio.on_event(name, lambda: notes.texts() and None)
    held: list[int] = []

    def answered() -> None:
        notes.texts()
        held.append(notes.held)
        assert notes.held > 0

    for _ in range(2 * POOL):
        client, _ = notes.site.joined()
        notes.site.run(
            client, lambda: notes.site.socketio.emit("q", to=own_sid(), callback=answered)
        )
        reply(client)
        notes.site.run(client, lambda: None)
        client.post("41")
    assert len(held) == 2 * POOL


def own_sid() -> str:
    """Return the id of the client whose event is handled."""
    return str(request.sid)  # type: ignore[attr-defined]


def reply(client: PollingClient) -> None:
    """Answer the question a client was asked."""
    question = client.until("42")
    client.post(f"43{question[2 : question.index('[')]}[]")


def test_what_was_not_committed_goes_out_with_nobody(notes: Notes) -> None:
    """A row that one event left uncommitted is rolled back, not committed by the next."""
    site = notes.site
    alice, _ = site.joined()
    bob, _ = site.joined()
    site.run(alice, notes.add, "alice, uncommitted")

    def commit() -> None:
        notes.add("bob")
        notes.db.session.commit()

    site.run(bob, commit)
    assert site.run(alice, notes.texts) == [["bob"]]


def test_sessions_of_events_that_overlap_are_apart(notes: Notes) -> None:
    """Two handlers that are inside at once have two sessions, and each keeps its own."""
    sessions: list[Any] = []

    def handler() -> bool:
        before = notes.db.session()
        sessions.append(before)
        notes.texts()
        call("wait")
        return notes.db.session() is before

    notes.site.socketio.on_event("overlap", handler)
    clients = [notes.site.joined()[0] for _ in range(2)]
    for client in clients:
        client.post('429["overlap"]')
    for client in clients:
        question = client.until("42")
        client.received.append(question)
    assert notes.held == 2
    for client in clients:
        reply(client)
        assert client.until("439") == "439[true]"
    assert sessions[0] is not sessions[1]


def test_sessions_end_after_the_teardown_hooks(notes: Notes) -> None:
    """Hooks of an event use the handler's session; only then is it given back."""
    site = notes.site
    used: list[bool] = []
    site.socketio.before_event(lambda: notes.add("hook"))
    site.socketio.teardown_event(lambda exc: used.append(notes.held == 1))
    client, _ = site.joined()
    assert site.run(client, notes.texts) == [["hook"]]
    assert used == [True]
    closed: list[Any] = []
    event.listen(notes.engine, "checkin", lambda *args: closed.append(args))
    site.run(client, notes.texts)
    assert len(closed) == 1


def test_emits_after_a_commit(notes: Notes) -> None:
    """They speak for the client whose handler asked, even when a hook commits; else never."""
    site = notes.site
    client, _ = site.joined()
    other, _ = site.joined()
    site.socketio.after_event(lambda result: notes.db.session.commit() if result else None)

    def add(text: str, is_good: bool) -> bool:
        notes.add(text)
        after_commit(notes.db.session)(emit, "added", text)
        return is_good

    assert site.run(client, add, "one", True) == [True]
    assert site.run(client, add, "two", False) == [False]
    assert site.heard(client) == [["added", "one"]]
    assert site.heard(other) == []
    assert site.run(other, notes.texts) == [["one"]]


def test_emits_of_a_view_after_its_commit(notes: Notes) -> None:
    """A view that fails after it has flushed tells nobody."""
    site, db = notes.site, notes.db
    client, sid = site.joined()

    @site.app.post("/add/<text>")
    def add(text: str) -> str:
        notes.add(text)
        after_commit(db.session)(site.socketio.emit, "added", text, to=sid)
        if text == "bad":
            raise ValueError
        db.session.commit()
        return ""

    http = site.app.test_client()
    assert [http.post(f"/add/{text}").status_code for text in ("bad", "good")] == [500, 200]
    assert site.heard(client) == [["added", "good"]]
