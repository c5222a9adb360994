"""What handlers are given beside what clients sent: `Inject`, and their client's `Socket`.

Signatures are read where a handler is registered, those of the functions too that give the
values, and put into one plan, in the order in which they are called. To who reads its signature
later, the handler has no such parameters. One that has none is returned as it is.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable
from contextlib import ExitStack, contextmanager
from inspect import Parameter
from typing import Annotated, Any, NamedTuple, get_args, get_origin

from flask_sio.coroutines import is_async
from flask_sio.server.annotations import hint_of, keep_local_names, parameters_of
from flask_sio.server.calling import name_of
from flask_sio.server.jobs import running_socket
from flask_sio.server.socket import Socket

__all__ = ["Inject", "Injected", "injected", "without_injected"]

Function = Callable[..., Any]


class Inject:
    """Give a parameter of a handler what a function returns: ``Annotated[Session, Inject(fn)]``.

    ``fn()`` is called for each event, connect or disconnect, in its context, after the payload
    is checked and before the handler with its decorators; what it raises is as if the handler
    had. A function that yields once, one of `contextlib.contextmanager` too, goes on after the
    handler, and gets what that has raised. Its own parameters may be `Inject`, or annotated with
    `Socket`; others need a default. A function that is asked for twice is called once.

    The event's own thread calls it, under gevent its greenlet. A handler that you call yourself
    is the plain function. Wrong use is a `TypeError` where the handler is registered.
    """

    __slots__ = ("fn",)

    def __init__(self, fn: Callable[..., Any]) -> None:
        # What is wrong with it is told where it is known whose parameter it is.
        self.fn = fn

    def __repr__(self) -> str:
        return f"Inject({name_of(self.fn)})"


def injected(fn: Function, reads: Any = None) -> Function:
    """Return a handler, or one that is called without what it is to be given besides.

    ``reads`` is the function whose signature counts, if that is not ``fn``'s.

    Raises:
        TypeError: an `Inject` that cannot work; the text names handler and parameter.
    """
    reads = fn if reads is None else reads
    plan = _Plan()
    places = plan.places(reads, parameters_of(reads) or [], name_of(reads))
    return Injected(fn, reads, plan, places) if places else fn


def without_injected(fn: Function, ask: Function) -> Function:
    """Return what hands on to ``ask`` the arguments of a handler that were not injected."""
    places = _Plan().places(fn, parameters_of(fn) or [], name_of(fn))
    if not places:
        return ask
    names = {place.name for place in places}
    indexes = {place.at for place in places}

    def asked(*args: Any, **values: Any) -> Any:
        kept = [value for index, value in enumerate(args) if index not in indexes]
        return ask(*kept, **{name: values[name] for name in values if name not in names})

    return asked


class _Place(NamedTuple):
    """A parameter that is given a value."""

    at: int | None
    """Its position; None if it is given by name only."""
    name: str
    number: int
    """That of the value."""


class _Step(NamedTuple):
    """A function that gives a value."""

    fn: Function
    is_entered: bool
    """Whether it gives a context, whose value it is."""
    places: tuple[_Place, ...]


_SOCKET = 0
"""The number of the value that is no function's."""


class _Plan:
    """The functions that one handler needs, each after those that it needs itself."""

    def __init__(self) -> None:
        self.steps: list[_Step] = []
        self._numbers: dict[Any, int] = {}
        self._under_way: list[Any] = []

    def places(
        self, fn: Any, parameters: list[Parameter], whose: str, *, is_handler: bool = True
    ) -> tuple[_Place, ...]:
        """Return which parameters of a function are given what."""
        keep_local_names(fn, parameters)
        found = []
        for index, each in enumerate(parameters):
            where = f"{each.name} of {whose}"
            number = self._number(fn, each, where)
            if number is not None:
                is_named = each.kind is each.KEYWORD_ONLY
                found.append(_Place(None if is_named else index, each.name, number))
            elif not is_handler and each.default is each.empty and each.kind not in _ANY_NUMBER:
                raise TypeError(f"{where} has neither Inject(...) nor a default")
        return tuple(found)

    def _number(self, fn: Any, parameter: Parameter, where: str) -> int | None:
        """Return the number of what a parameter is given; None if it is the client's."""
        written, name = parameter.annotation, parameter.name
        if isinstance(parameter.default, Inject) or isinstance(written, Inject):
            raise TypeError(f"{where}: write {name}: Annotated[<type>, Inject(<function>)]")
        try:
            hint = hint_of(fn, parameter)
        except NameError as error:
            if "Inject" in str(written):
                raise TypeError(f"{where} cannot be read: {error}") from error
            return None
        if hint is Socket and parameter.kind not in _ANY_NUMBER:
            return _SOCKET
        marks: list[Any] = []
        if get_origin(hint) is Annotated:
            marks = [each for each in get_args(hint)[1:] if isinstance(each, Inject)]
        if len(marks) == 1 and parameter.kind not in _ANY_NUMBER:
            return self._number_of(marks[0].fn, where)
        if marks or "Inject(" in str(written) or _holds_inject(hint):
            raise TypeError(f"{where}: one Inject(<function>) goes around a whole annotation")
        return None

    def _number_of(self, fn: Any, where: str) -> int:
        """Return the number of what a function gives; put it into the plan if it is new."""
        if not callable(fn):
            raise TypeError(f"{where}: Inject() takes a function, not {fn!r}")
        if is_async(fn):
            raise TypeError(f"{where}: nothing awaits the 'async def' {name_of(fn)}")
        if fn in self._under_way:
            raise TypeError(f"{where}: {name_of(fn)} needs itself")
        key = fn if isinstance(fn, Hashable) else id(fn)
        if key not in self._numbers:
            self._under_way.append(fn)
            reads = fn.__init__ if isinstance(fn, type) else fn  # type: ignore[misc] # it is its own
            parameters = parameters_of(fn) or []
            whose = f"{name_of(fn)}, for {where}"
            places = self.places(reads, parameters, whose, is_handler=False)
            self._under_way.pop()
            is_entered = inspect.isgeneratorfunction(inspect.unwrap(fn))
            if inspect.isgeneratorfunction(fn):
                self.steps.append(_Step(contextmanager(fn), True, places))
            else:
                self.steps.append(_Step(fn, is_entered, places))
            self._numbers[key] = len(self.steps)  # the socket's is before the first
        return self._numbers[key]


def _holds_inject(hint: Any, known: tuple[Any, ...] = ()) -> bool:
    """Whether an annotation has an `Inject` anywhere within, be it by another's name."""
    if hasattr(hint, "__value__"):  # a `type` statement's, which may be within itself
        if hint in known:
            return False
        return _holds_inject(hint.__value__, (*known, hint))
    within = hint if isinstance(hint, (list, tuple)) else get_args(hint)
    return isinstance(hint, Inject) or any(_holds_inject(each, known) for each in within)


_ANY_NUMBER = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


class Injected:
    """A handler that is given values besides."""

    def __init__(
        self, fn: Function, reads: Function, plan: _Plan, places: tuple[_Place, ...]
    ) -> None:
        self._fn = fn
        self._places = places
        self._steps = plan.steps
        all_places = [places, *(step.places for step in plan.steps)]
        self._asks_socket = any(place.number == _SOCKET for each in all_places for place in each)
        self._is_closing = any(step.is_entered for step in plan.steps)
        self.__wrapped__ = reads
        self.__qualname__ = name_of(reads)
        given = {place.name for place in places}
        rest = [each for each in parameters_of(reads) or [] if each.name not in given]
        self.__signature__ = inspect.Signature(rest)

    def __call__(self, *args: Any, **values: Any) -> Any:
        if not self._is_closing:
            return self._call(None, args, values)
        raised: BaseException | None = None
        try:
            with ExitStack() as stack:
                try:
                    return self._call(stack, args, values)
                except BaseException as error:
                    raised = error
                    raise
            # What a function makes of it in closing, it may not make nothing of it: then a
            # refused client would be let in.
            raise raised
        finally:
            del raised  # its traceback holds this frame

    def _call(self, stack: ExitStack | None, args: tuple[Any, ...], values: dict[str, Any]) -> Any:
        made: list[Any] = [running_socket() if self._asks_socket else None]
        for step in self._steps:
            more, named = _placed(step.places, made, (), {})
            value = step.fn(*more, **named)
            if step.is_entered:
                assert stack is not None
                value = stack.enter_context(value)
            made.append(value)
        args, values = _placed(self._places, made, args, values)
        return self._fn(*args, **values)


def _placed(
    places: tuple[_Place, ...], made: list[Any], args: tuple[Any, ...], values: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return arguments with those between them that are not the caller's."""
    given, named = list(args), dict(values)
    for at, name, number in places:
        if at is not None and at <= len(given):
            given.insert(at, made[number])
        else:
            named[name] = made[number]
    return tuple(given), named
