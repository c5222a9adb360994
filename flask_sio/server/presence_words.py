"""What servers say to each other of their users: JSON arrays, ``[kind, ...]``.

===================== ==============================================================
``["anew", ends]``    what the sender has said of its users is void, ``view`` ends it;
                      true: it ends soon, and is to keep nobody if others can
``["here", rows]``    it has these users: ``[namespace, user, number]``, 0 if it knows
                      that it was told, else one for ``told``
``["gone", rows]``    it has them no more: ``[namespace, user]``
``["kept", rows]``    it has kept them, and told that they are online: ``[namespace, user,
                      seconds until "offline" is due, or null]``
``["told", rows]``    it keeps them, and has told that they are online: ``[namespace, user,
                      number]``
``["view", view]``    whom it counts among those who take part, as a digest; null: not
                      itself
``["done", view]``    it has handed over what others keep in this view
``["void"]``          what it has noted is void; ``noted`` follows
``["noted", rows]``   the receiver is next to keep these users, should the sender die:
                      ``[namespace, user, whether it was told that they are online]``
===================== ==============================================================
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple, get_args

from flask_sio.errors import ProtocolError
from flask_sio.protocol.sio import Body

__all__ = ["ANEW", "ENDING", "OUT", "VOID", "Word", "done", "read", "rows_of", "view"]

_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode

Kind = Literal["anew", "here", "gone", "kept", "told", "view", "done", "void", "noted"]

ROWS = 1000
"""Of one message: others want their turn in between."""
CHARS = 1_000_000
"""Of one message: a user's id may be long, and what workers can send each other is bounded."""

_WIDTHS: dict[str, int] = {"here": 3, "gone": 2, "kept": 3, "told": 3, "noted": 3}


class Word(NamedTuple):
    """One message, read."""

    kind: Kind
    rows: Sequence[Sequence[Any]] = ()
    view: str | None = None
    ends: bool = False


def _body(*parts: Any) -> Body:
    return _encode(parts), ()


ANEW = _body("anew", False)
ENDING = _body("anew", True)
VOID = _body("void")
OUT = _body("view", None)
"""The sender takes no part, or no more."""


def view(digest: str) -> Body:
    """Return what says whom the sender counts."""
    return _body("view", digest)


def done(digest: str) -> Body:
    """Return what says that all was handed over."""
    return _body("done", digest)


def rows_of(kind: Kind, rows: Sequence[Sequence[Any]]) -> Iterator[Body]:
    """Give the messages that say something of so many users; none for nobody."""
    for start in range(0, len(rows), ROWS):
        yield from _halves(kind, rows[start : start + ROWS])


def _halves(kind: Kind, rows: Sequence[Sequence[Any]]) -> Iterator[Body]:
    body = _body(kind, rows)
    if len(body[0]) <= CHARS or len(rows) == 1:
        yield body
    else:
        middle = len(rows) // 2
        yield from _halves(kind, rows[:middle])
        yield from _halves(kind, rows[middle:])


def read(body: Body) -> Word:
    """Return what a server has said.

    Raises:
        ProtocolError: no server says that.
    """
    try:
        value = json.loads(body[0])
        kind, *rest = value
        if kind not in get_args(Kind):
            raise ValueError(kind)
        if kind == "void":
            return Word(kind)
        (content,) = rest
        if kind == "anew":
            _need(isinstance(content, bool))
            return Word(kind, ends=content)
        if kind in ("view", "done"):
            _need(isinstance(content, str) or (content is None and kind == "view"))
            return Word(kind, view=content)
        for row in content:
            _check(kind, row)
        return Word(kind, content)
    except (ValueError, TypeError, RecursionError) as error:
        raise ProtocolError("no word of presence") from error


def _check(kind: str, row: Any) -> None:
    _need(isinstance(row, list) and len(row) == _WIDTHS[kind])
    _need(isinstance(row[0], str) and isinstance(row[1], str))
    if kind in ("here", "told"):
        _need(type(row[2]) is int)
    elif kind == "noted":
        _need(isinstance(row[2], bool))
    elif kind == "kept":
        _need(row[2] is None or (isinstance(row[2], (int, float)) and 0 <= row[2] < 1e9))


def _need(holds: bool) -> None:
    if not holds:
        raise ValueError("a field of another type")
