"""What servers say to each other of their users: JSON arrays, ``[kind, ...]``.

===================== ==============================================================
``["anew", number,    what the sender has said of its users is void, ``view`` ends it; how often
ends]``               it has said so; true: it ends soon, and is to keep nobody if others can
``["here", rows]``    it has these users: ``[namespace, user, number]``, 0 if it knows
                      that it was told, else one for ``told``
``["gone", rows]``    it has them no more: ``[namespace, user]``
``["kept", rows]``    it has kept them, and told that they are online: ``[namespace, user,
                      seconds until "offline" is due, or null]``
``["told", rows]``    it keeps them, and has told that they are online: ``[namespace, user,
                      number]``
``["offline", rows]`` it may have been told otherwise, but "offline" was told of them: ``[namespace,
                      user, when, by whom]``, on the clock that all of a host have
``["view", view]``    whom it counts among those who take part, as a digest; null: not
                      itself
``["done", state]``   it has handed over what others keep, and whose ``anew`` it has heard
                      until then, with their numbers and the view, as a digest
``["void"]``          what it has noted is void; ``noted`` follows
``["noted", rows]``   the receiver is next to keep these users, should the sender die:
                      ``[namespace, user, whether it was told that they are online]``
===================== ==============================================================
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Any, Literal, NamedTuple, get_args

from flask_sio.errors import ProtocolError
from flask_sio.protocol.sio import Body

__all__ = ["OUT", "Kind", "VOID", "Word", "anew", "digest", "done", "read", "rows_of", "view"]

_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode

Kind = Literal["anew", "here", "gone", "kept", "told", "offline", "view", "done", "void", "noted"]

ROWS = 1000
"""Of one message: others want their turn in between."""
CHARS = 1_000_000
"""Of one message: a user's id may be long, and what workers can send each other is bounded."""

_WIDTHS = {"here": 3, "gone": 2, "kept": 3, "told": 3, "offline": 4, "noted": 3}


class Word(NamedTuple):
    """One message, read."""

    kind: Kind
    rows: Sequence[Sequence[Any]] = ()
    view: str | None = None
    number: int = 0
    ends: bool = False


def _body(*parts: Any) -> Body:
    return _encode(parts), ()


VOID = _body("void")
OUT = _body("view", None)
"""The sender takes no part, or no more."""


def anew(number: int, ends: bool) -> Body:
    """Return what makes void what was said of one's users, for so many times now."""
    return _body("anew", number, ends)


def view(digest: str) -> Body:
    """Return what says whom the sender counts."""
    return _body("view", digest)


def done(digest: str) -> Body:
    """Return what says that all was handed over."""
    return _body("done", digest)


def digest(lines: Iterable[str]) -> str:
    """Return what stands for these lines, in whatever order, in ``view`` and ``done``."""
    return blake2b("\n".join(sorted(lines)).encode(), digest_size=8).hexdigest()


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
        if kind == "anew":
            number, ends = rest
            _need(type(number) is int and isinstance(ends, bool))
            return Word(kind, number=number, ends=ends)
        (content,) = rest
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
    elif kind == "offline":
        _need(isinstance(row[2], (int, float)) and isinstance(row[3], str))
    elif kind == "noted":
        _need(isinstance(row[2], bool))
    elif kind == "kept":
        _need(row[2] is None or (isinstance(row[2], (int, float)) and 0 <= row[2] < 1e9))


def _need(holds: bool) -> None:
    if not holds:
        raise ValueError("a field of another type")
