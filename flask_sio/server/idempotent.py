"""Handlers that run once for each id which a client has chosen, however often it tries.

Rules this file holds:

* No lock: a handler's greenlet may be switched, and a finaliser run, wherever memory is taken.
  Keys are of types whose comparison runs no Python, so that each operation of a dict is whole.
* Who finishes a run keeps its answer *before* it gives up the key; who has got a key looks for a
  kept answer *after* that. So nobody runs what was just answered.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from functools import wraps
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID
from weakref import WeakKeyDictionary

from flask_sio.adapters.adapter import EmitResult
from flask_sio.errors import ConfigError, EventRefusedError, PayloadError
from flask_sio.server.calling import check_function, name_of
from flask_sio.server.injection import without_injected
from flask_sio.server.jobs import running_socket
from flask_sio.server.late import Ack

if TYPE_CHECKING:
    from flask_sio.runtime.loop import Waiter
    from flask_sio.server.server import Server

__all__ = ["Answers", "idempotent"]

F = TypeVar("F", bound=Callable[..., Any])
Key = tuple[Any, ...]

_MAX_TEXT = 256
"""Characters, or bytes, of an id; a UUID has 36."""
_MAX_PARTS = 8


def idempotent(
    *, key: str | Callable[..., Any], keep_s: float = 300.0, max_keys: int = 10_000
) -> Callable[[F], F]:
    """Run the decorated handler once for each id of a client's; answer retries as the first.

    For clients that send an event again when no acknowledgement has come, with the same id.
    Put it under ``@socketio.on(...)``, or on a method of a `Namespace`. ``key`` is the name of
    the parameter that gets the id, or a function of all that the handler gets, ``self`` and
    ``sid`` too, which returns it: a text of at most 256 characters, a number, bytes, a `UUID`,
    or a tuple of these. For None the handler runs as if it were not decorated; anything else
    is a `PayloadError`, of which the client is told.

    What the handler returns, or its refusal by `EventRefusedError`, is kept for ``keep_s``
    seconds, of the latest ``max_keys`` ids; what it raises otherwise is not. A second event
    that comes while the first is being handled waits for its answer.

    An id counts for one handler of one server, in one namespace, and for one user if the
    client has one. Of clients without a user it must be one that nobody guesses, or the ``key``
    function must add whose it is: who knows it gets the answer. Answers are kept in this
    process: one of several workers knows nothing of the others'.

    Called outside of an event the decorated function is what it was.

    Raises:
        TypeError: no such parameter, no function, or an async one.
        ConfigError: a time or number that is not above 0.
    """
    if not keep_s > 0:
        raise ConfigError(f"keep_s= is a number of seconds above 0, not {keep_s!r}")
    if not max_keys > 0:
        raise ConfigError(f"max_keys= is a whole number above 0, not {max_keys!r}")

    def decorate(fn: F) -> F:
        check_function(fn, "idempotent()")
        read = _reader(fn, key) if isinstance(key, str) else _reader_by(fn, key)
        answers: WeakKeyDictionary[Server, Answers] = WeakKeyDictionary()

        @wraps(fn)
        def once(*args: Any, **values: Any) -> Any:
            socket = running_socket()
            own = None if socket is None else read(*args, **values)
            if socket is None or own is None:
                return fn(*args, **values)
            server = socket.client.server
            user = socket.user
            of_server = answers.get(server)
            if of_server is None:
                of_server = answers.setdefault(server, Answers(keep_s, max_keys))
            whole = (user, socket.namespace, _checked(own))
            return of_server.give(whole, lambda: fn(*args, **values), server.engine.loop.waiter)

        return once  # type: ignore[return-value] # called as what it wraps

    return decorate


class Answers:
    """The answers of one handler, by key. Any thread."""

    __slots__ = ("_clock", "_keep_s", "_kept", "_max_keys", "_running")

    def __init__(
        self, keep_s: float, max_keys: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._keep_s = keep_s
        self._max_keys = max_keys
        self._clock = clock
        self._running: dict[Key, _Run] = {}
        self._kept: OrderedDict[Key, _Run] = OrderedDict()
        """Those that have ended, in that order; a dict would take long to find its first."""

    def __len__(self) -> int:
        """How many are kept, or on their way."""
        return len(self._kept) + len(self._running)

    def give(self, key: Key, call: Callable[[], Any], waiter: Callable[[], Waiter]) -> Any:
        """Return, or raise, what ``call()`` gives, or what it has given for this key before."""
        while True:
            run = self._find(key)
            if run is not None:
                return run.answer()
            own = _Run()
            run = self._running.setdefault(key, own)
            if run is own:
                return self._run(key, own, call)
            run.wait(waiter())
            if run.is_answered:
                return run.answer()  # also where nothing of it is kept any more

    def _run(self, key: Key, own: _Run, call: Callable[[], Any]) -> Any:
        try:
            before = self._find(key)
            if before is not None:  # it has ended between the two looks
                return before.answer()
            own.make(call)
            self._keep(key, own)
            return own.answer()
        finally:
            del self._running[key]
            own.end()

    def _find(self, key: Key) -> _Run | None:
        run = self._kept.get(key)
        return run if run is not None and run.until > self._clock() else None

    def _keep(self, key: Key, run: _Run) -> None:
        kept, now = self._kept, self._clock()
        run.until = now + self._keep_s
        kept.pop(key, None)
        kept[key] = run
        while kept:
            try:
                oldest = next(iter(kept))
                if len(kept) <= self._max_keys and kept[oldest].until > now:
                    break
            except (KeyError, RuntimeError, StopIteration):  # another thread was there first
                continue
            before = kept.pop(oldest, None)
            if before is not None and before.until > now and len(kept) < self._max_keys:
                kept.setdefault(oldest, before)  # another thread has just put it there


class _Run:
    """One run of a handler: what it has given, and who waits for that."""

    __slots__ = ("_has_ended", "_refusal", "_value", "_waiters", "is_answered", "until")

    def __init__(self) -> None:
        self.is_answered = False
        """Whether it has given what answers the others too."""
        self.until = 0.0
        self._value: Any = None
        self._refusal: tuple[type[EventRefusedError], tuple[Any, ...], dict[str, Any]] | None = None
        self._waiters: list[Waiter] = []
        self._has_ended = False

    def make(self, call: Callable[[], Any]) -> None:
        """Run it, and note what it gives; what is no answer passes through."""
        try:
            value = call()
        except EventRefusedError as error:
            # Not itself: its traceback holds all that the handler has.
            self._refusal = type(error), error.args, dict(vars(error))
        else:
            if value.__class__ is Ack:
                raise TypeError("an Ack is answered later, and for one event: nothing to keep")
            self._value = None if value.__class__ is EmitResult else value
        self.is_answered = True

    def answer(self) -> Any:
        """Return the handler's result, or raise its refusal."""
        if self._refusal is None:
            return self._value
        kind, args, more = self._refusal
        error = kind.__new__(kind, *args)
        error.args = args
        vars(error).update(more)
        raise error

    def wait(self, waiter: Waiter) -> None:
        """Wait until it has ended."""
        self._waiters.append(waiter)
        if not self._has_ended:
            waiter.wait()

    def end(self) -> None:
        """Let those go who wait, and who come now."""
        self._has_ended = True
        while self._waiters:
            self._waiters.pop().set()


def _reader(fn: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Return what finds the argument of a handler that its parameter of this name gets."""
    parameters = signature(fn).parameters
    if name not in parameters or parameters[name].kind in (
        Parameter.VAR_POSITIONAL,
        Parameter.VAR_KEYWORD,
    ):
        raise TypeError(f"idempotent(key={name!r}): {name_of(fn)} has no such parameter")
    index, default = list(parameters).index(name), parameters[name].default

    def read(*args: Any, **values: Any) -> Any:
        if name in values:
            return values[name]
        if index < len(args):
            return args[index]
        return None if default is Parameter.empty else default  # if it is missing, the call fails

    return read


def _reader_by(fn: Callable[..., Any], key: Callable[..., Any]) -> Callable[..., Any]:
    """Return what asks a function about what a handler gets, but for what is injected into it."""
    check_function(key, "idempotent(key=)")
    ask: Callable[..., Any] | None = None

    def read(*args: Any, **values: Any) -> Any:
        nonlocal ask
        if ask is None:  # not before all annotations can be read
            ask = without_injected(fn, key)
        return ask(*args, **values)

    return read


def _checked(own: Any) -> Any:
    """Return an id as what may be a key.

    Raises:
        PayloadError: it is none.
    """
    parts = own if isinstance(own, tuple) else (own,)
    found = tuple(str(each) if isinstance(each, UUID) else each for each in parts)
    if len(found) > _MAX_PARTS or not all(map(_is_part, found)):
        raise PayloadError("no id: it must be a number, or a text of at most 256 characters")
    return found


def _is_part(part: Any) -> bool:
    if part.__class__ is str or part.__class__ is bytes:
        return len(part) <= _MAX_TEXT
    if part.__class__ is int:
        return bool(part.bit_length() <= 8 * _MAX_TEXT)
    return part is None or part.__class__ in (float, bool)
