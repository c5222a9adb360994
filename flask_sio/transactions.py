"""Telling clients of what a database transaction has done, once it has been committed.

For SQLAlchemy, which is imported by who has a session of it. Django has
``transaction.on_commit``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec

from flask_sio.coroutines import is_async

if TYPE_CHECKING:
    from sqlalchemy.orm import Session, SessionTransaction, scoped_session

__all__ = ["AfterCommit", "after_commit"]

P = ParamSpec("P")

logger = logging.getLogger("flask_sio.server")

_KEY = "flask_sio.after_commit"
"""Where a session's `_Due` is in its ``info``."""


def after_commit(session: Session | scoped_session[Any]) -> AfterCommit:
    """Return what calls functions once a SQLAlchemy session's transaction is committed.

    ``after_commit(db.session)(emit, "added", row.id, broadcast=True)`` emits when the
    transaction that the session is in now has been committed; never, if it is rolled back or
    given up, or the savepoint that is open now is. A session that is in none begins one.
    In the thread of the session.
    """
    from sqlalchemy import event
    from sqlalchemy.orm import scoped_session

    own: Session = session() if isinstance(session, scoped_session) else session
    due: _Due | None = own.info.get(_KEY)
    if due is None:
        due = _Due()
        event.listen(own, "after_commit", due.committed)
        event.listen(own, "after_transaction_end", due.ended)
        own.info[_KEY] = due
    now = _transaction(own) or own.begin()
    due.calls.setdefault(now, [])
    return AfterCommit(due, now)


class AfterCommit:
    """What `after_commit` returns."""

    def __init__(self, due: _Due, transaction: SessionTransaction) -> None:
        self._due = due
        self._transaction = transaction

    def __call__(self, fn: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Call ``fn(*args, **kwargs)`` after the commit, and after what was asked for before.

        It runs where the session is committed, in a copy of the context of now: `emit` speaks
        for the client whose handler this is. An emit's data is rendered then. What it raises
        is logged, since the commit has happened.

        Raises:
            TypeError: no function, or an ``async`` one.
            RuntimeError: the transaction has ended.
        """
        given: object = fn
        if is_async(given) or not callable(given):
            raise TypeError(f"after_commit(session)() needs a 'def' function, not {fn!r}")
        calls = self._due.calls.get(self._transaction)
        if calls is None:
            raise RuntimeError("that transaction has ended: call after_commit(session) again")
        calls.append(partial(copy_context().run, fn, *args, **kwargs))


class _Due:
    """What is to be called after the commits of one session, told of them by SQLAlchemy."""

    def __init__(self) -> None:
        self.calls: dict[SessionTransaction, list[Callable[[], object]]] = {}
        """By the transaction or savepoint that it was asked for in."""
        self._committed: SessionTransaction | None = None

    def committed(self, session: Session) -> None:
        """Note what is kept. It ends next; until then the session takes no SQL."""
        self._committed = _transaction(session)

    def ended(self, session: Session, transaction: SessionTransaction) -> None:
        is_kept = transaction is self._committed
        calls = self.calls.pop(transaction, None)
        if not calls or not is_kept:
            return
        outer = transaction.parent
        if outer is not None:
            while outer.parent is not None and not outer.nested:
                outer = outer.parent
            self.calls.setdefault(outer, []).extend(calls)
            return
        for call in calls:
            try:
                call()
            except Exception:
                logger.exception("what was to follow a commit failed")


def _transaction(session: Session) -> SessionTransaction | None:
    """Return the savepoint or transaction that a session is in."""
    return session.get_nested_transaction() or session.get_transaction()
