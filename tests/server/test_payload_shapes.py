"""What the annotations of a handler accept, convert and refuse, without a server."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timezone
from decimal import Decimal
from typing import Annotated, Any, Generic, List, NewType, Optional, TypedDict, TypeVar, Union  # noqa: UP035 # as older programs write it
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_sio.errors import MAX_FAULTS, PayloadError
from flask_sio.server.payloads import Typed, typed
from tests.server.models import Branch, Colour, Everything, Fork, Point, Tags, User

pytestmark = pytest.mark.quick

T = TypeVar("T")
UserId = NewType("UserId", int)


def reader(annotation: Any) -> Typed:
    """Return a handler with this annotation, which returns what it gets."""

    def handler(it: Any, model: Any = None) -> Any:
        return it

    handler.__annotations__ = {"it": annotation, "model": User}  # so that all is checked
    fn = typed(handler)
    assert isinstance(fn, Typed)
    return fn


def read(annotation: Any, value: Any) -> Any:
    """Return what a handler with this annotation gets for a value, or for JSON."""
    return reader(annotation)(json.loads(value) if isinstance(value, str) else value)


def faults(annotation: Any, value: Any) -> list[tuple[tuple[Any, ...], str]]:
    with pytest.raises(PayloadError) as caught:
        read(annotation, value)
    return caught.value.faults


@pytest.mark.parametrize(
    ("field", "sent", "got"),
    [
        ("whole", "5", 5),
        ("number", "5", 5.0),
        ("number", "5.5", 5.5),
        ("truth", "true", True),
        ("text", '"x"', "x"),
        ("anything", '{"a":[1]}', {"a": [1]}),
        ("nothing", "null", None),
        ("day", '"2026-11-25"', date(2026, 11, 25)),
        ("moment", '"2026-11-25T10:00:00.000Z"', datetime(2026, 11, 25, 10, tzinfo=timezone.utc)),
        ("hour", '"10:30:00"', time(10, 30)),
        ("price", '"10.30"', Decimal("10.30")),
        ("price", "10", Decimal(10)),
        ("key", '"12345678123456781234567812345678"', UUID("12345678" * 4)),
        ("colour", '"red"', Colour.RED),
        ("colour", "2", Colour.BLUE),
        ("colour", "null", None),
        ("word", '"off"', "off"),
        ("word", "1", 1),
        ("names", '["a","b","a"]', {"a", "b"}),
        ("row", '[1,"a"]', (1, "a")),
        ("rows", "[1,2,3]", (1, 2, 3)),
        ("table", '{"a":{"x":1},"b":[2,3]}', {"a": Point(1.0), "b": Point(2.0, 3.0)}),
        ("either", '"a"', "a"),
        ("either", "[1]", [1]),
        ("even", "4", 4),
        ("loose", '[1,"a"]', [1, "a"]),
    ],
)
def test_what_a_field_takes(field: str, sent: str, got: Any) -> None:
    """JSON's value becomes the annotation's; the types are exact."""
    made = read(Everything, f'{{"{field}":{sent}}}')

    assert isinstance(made, Everything)
    assert getattr(made, field) == got
    assert type(getattr(made, field)) is type(got)


@pytest.mark.parametrize(
    ("field", "sent", "text"),
    [
        ("whole", '"5"', "must be a whole number"),
        ("whole", "5.0", "must be a whole number"),
        ("whole", "true", "must be a whole number"),
        ("whole", "null", "must be a whole number"),
        ("number", '"5"', "must be a number"),
        ("number", "true", "must be a number"),
        ("number", "1" + "0" * 400, "is too big a number"),
        ("truth", "1", "must be true or false"),
        ("text", "5", "must be text"),
        ("data", '"x"', "must be binary data"),
        ("nothing", "0", "must be null"),
        ("day", '"25.11.2026"', "must be a date or must be null"),
        ("moment", "5", "must be a date and time or must be null"),
        ("price", '"NaN"', "must be a decimal number or must be null"),
        ("price", "0.1", "must be a decimal number or must be null"),
        ("key", '"x"', "must be a UUID or must be null"),
        ("colour", '"green"', 'must be "red" or 2 or must be null'),
        ("colour", "[]", 'must be "red" or 2 or must be null'),
        ("word", "true", 'must be "on" or "off" or 1'),
        ("names", '"ab"', "must be a list"),
        ("row", "[1]", "must be a list of 2 or must be null"),
        ("table", "[]", "must be an object"),
        ("either", "1.5", "must be a whole number or must be text or must be a list"),
        ("even", "3", "must be even"),
        ("even", '"3"', "must be a whole number"),
    ],
)
def test_what_a_field_refuses(field: str, sent: str, text: str) -> None:
    """The text says what is wanted, the path where."""
    assert faults(Everything, f'{{"{field}":{sent}}}') == [((0, field), text)]


def test_bytes_are_data_of_attachments() -> None:
    """Binary data arrives as bytes beside the JSON."""
    assert read(Everything, {"data": b"\x00"}).data == b"\x00"


def test_the_path_leads_to_every_fault() -> None:
    """Nested models, lists and dicts each add a step; all faults are told at once."""
    sent = '{"name":5,"friends":[{"name":"a","age":1},{"name":"b"}],"more":1}'

    assert faults(User, sent) == [
        ((0, "name"), "must be text"),
        ((0, "age"), "is missing"),
        ((0, "friends", 1, "age"), "is missing"),
    ]
    assert faults(dict[str, list[User]], '{"x":[{"name":"a","age":1},[]]}') == [
        ((0, "x", 1), "must be an object")
    ]


def test_a_model_may_refuse_by_itself() -> None:
    """A ValueError of __post_init__ is a fault of the whole model, with its text."""
    assert faults(User, '{"name":"a","age":-1}') == [((0,), "nobody is that young")]


def test_fields_that_a_model_does_not_have_are_left_out() -> None:
    """A newer client may send more; the handler does not get it."""
    assert read(Tags, '{"main":"a","other":1}') == {"main": "a"}
    assert read(User, '{"name":"a","age":1,"counted":3}') == User("a", 1)
    assert read(Everything, '{"counted":3}').counted == 7


def test_keys_of_a_typed_dict() -> None:
    """One may be missing only if it says so; also with total=False, and inherited."""

    class Base(TypedDict):
        a: int

    class Part(Base, total=False):
        b: int

    assert read(Tags, '{"main":"a"}') == {"main": "a"}
    assert read(Part, '{"a":1}') == {"a": 1}
    assert faults(Part, '{"b":"x"}') == [
        ((0, "a"), "is missing"),
        ((0, "b"), "must be a whole number"),
    ]
    assert faults(Tags, '{"more":[1]}') == [
        ((0, "main"), "is missing"),
        ((0, "more", 0), "must be text"),
    ]


def test_a_named_tuple_is_a_list_or_an_object() -> None:
    """Its fields have names and places."""
    assert read(Point, "[1,2]") == Point(1.0, 2.0)
    assert read(Point, "[1]") == Point(1.0)
    assert read(Point, '{"y":1,"x":2}') == Point(2.0, 1.0)
    assert faults(Point, "[1,2,3]") == [((0,), "must be a list of 2")]
    assert faults(Point, "[]") == [((0, "x"), "is missing")]


def test_one_of_several_models() -> None:
    """The faults told are those of the one that was meant, as far as that can be seen."""
    kinds = Union[list[User], Tags]  # noqa: UP007 # as older programs write it

    assert read(kinds, '{"main":"a"}') == {"main": "a"}
    assert faults(kinds, '[{"name":"a"}]') == [((0, 0, "age"), "is missing")]
    assert faults(kinds, "5") == [((0,), "must be a list or must be an object")]
    assert faults(Union[User, Tags], "{}") == [((0,), "has none of the forms that are taken")]  # noqa: UP007


@pytest.mark.parametrize("leaf", [[], [5]])
def test_alternatives_within_alternatives_are_read_once(leaf: list[Any]) -> None:
    """A client cannot make the work grow with the power of the depth, right or wrong."""
    tree: dict[str, Any] = {"kind": "fork", "below": leaf}
    for _ in range(60):
        tree = {"kind": "fork", "below": [tree]}

    if leaf:
        assert faults(list[Union[Branch, Fork]], [tree])  # noqa: UP007
    else:
        [made] = read(list[Union[Branch, Fork]], [tree])  # noqa: UP007
        depth = 0
        while made.below:
            assert isinstance(made, Fork)
            [made] = made.below
            depth += 1
        assert depth == 60


@pytest.mark.parametrize(
    ("annotation", "sent", "got"),
    [
        (Optional[User], "null", None),  # noqa: UP045 # as older programs write it
        (List, "[1]", [1]),  # noqa: UP006
        (List[int], "[1]", [1]),  # noqa: UP006
        (Sequence[int], "[1]", [1]),
        (Mapping[str, int], '{"a":1}', {"a": 1}),
        (dict, '{"a":1}', {"a": 1}),
        (tuple, "[1]", (1,)),
        (set, "[1]", {1}),
        (UserId, "5", 5),
        (T, "5", 5),
        (object, "5", 5),
        (Annotated[int, "a comment"], "5", 5),
        ("int", "5", 5),
        ("list[User]", "[]", []),
    ],
)
def test_other_spellings(annotation: Any, sent: str, got: Any) -> None:
    """Generic aliases, abstract containers, new types and postponed annotations are types."""
    assert read(annotation, sent) == got


@pytest.mark.skipif(sys.version_info < (3, 12), reason="has no such statement")
def test_an_alias_may_refer_to_itself() -> None:
    """Alone it asks for no model, and is left alone; beside one it is checked to its depth."""
    names: dict[str, Any] = {"User": User}
    exec("type Json = dict[str, Json] | list[Json] | int\ntype Users = User | list[Users]", names)
    json_type, users_type = names["Json"], names["Users"]

    def handler(it: Any) -> None: ...

    handler.__annotations__ = {"it": json_type}
    assert typed(handler) is handler
    assert read(json_type, '{"a":[1,{"b":2}]}') == {"a": [1, {"b": 2}]}
    with pytest.raises(PayloadError):
        read(json_type, '{"a":["x"]}')
    assert read(users_type, '[[{"name":"a","age":1}]]') == [[User("a", 1)]]


@dataclass
class _Box(Generic[T]):
    it: T


@pytest.mark.parametrize(
    "annotation",
    [Callable[[], None], complex, dict[int, str], _Box[int], Annotated[int, object()], type],
)
def test_a_type_that_cannot_be_checked_is_an_error_of_the_program(annotation: Any) -> None:
    """Beside a model every annotation counts: the handler is refused at its registration."""
    with pytest.raises(TypeError, match=r"it of .*handler"):
        read(annotation, "5")


def test_the_number_of_arguments_is_checked_too() -> None:
    """Missing ones and those too many are faults of the client; defaults and *args count."""

    def handler(user: User, loud: bool = False, *more: int) -> Any:
        return [user.name, loud, more]

    fn = typed(handler)
    alice = {"name": "a", "age": 1}

    assert fn(alice) == ["a", False, ()]
    assert fn(alice, True, 1, 2) == ["a", True, (1, 2)]
    for args, fault in (
        ((), ((0,), "is missing")),
        ((alice, 1), ((1,), "must be true or false")),
        ((alice, True, 1, "x"), ((3,), "must be a whole number")),
    ):
        with pytest.raises(PayloadError) as caught:
            fn(*args)
        assert caught.value.faults == [fault]

    def one(user: User) -> None: ...

    with pytest.raises(PayloadError, match="1: is one too many"):
        typed(one)(alice, 2)

    def several(*users: User) -> int:
        return len(users)

    assert typed(several)() == 0
    assert typed(several)(alice, alice) == 2


def test_a_handler_that_asks_for_no_model_is_left_as_it_is() -> None:
    """Nothing of it is checked, and calling it costs nothing more."""

    def plain(text: str, number: int = 0) -> None: ...
    def bare(text): ...  # type: ignore[no-untyped-def]
    def commented(text: Any, more: Any) -> None: ...

    commented.__annotations__.update(text="the words", more=5)
    for handler in (plain, bare, commented, print, str.upper):
        assert typed(handler) is handler


def test_faults_are_bounded_whatever_a_client_sends() -> None:
    """Neither their number, nor a key, nor the depth of a value makes the answer long."""
    assert len(faults(list[User], [5] * 1000)) == MAX_FAULTS

    error = PayloadError(faults=[(("k" * 10_000,), "x" * 10_000)] * 100)
    assert len(json.dumps(error.errors)) < 100 * 200
    deep: dict[str, Any] = {"name": "a", "age": 1}
    for _ in range(5000):
        deep = {"name": "a", "age": 1, "friends": [deep]}
    with pytest.raises(PayloadError, match="nested too deep"):
        read(User, deep)


FIELDS = list(Everything.__dataclass_fields__)
TEXTS = st.one_of(
    st.text(),
    st.sampled_from(["1e999999999", "2026-11-25T24:00", "25:61", "{", "on", "red", "\ud800"]),
    st.dates().map(str),
    st.datetimes().map(str),
    st.decimals().map(str),
    st.uuids().map(str),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS, st.binary()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.sampled_from([*FIELDS, "x"]), inner)
    ),
    max_leaves=10,
)


EVERYTHING, MANY, POINTS = map(reader, (Everything, list[Everything], dict[str, Point]))
ONE_OF = reader(Union[User, Tags, list[Point]])  # noqa: UP007 # as older programs write it


@given(VALUES, st.dictionaries(st.sampled_from(FIELDS), VALUES))
def test_no_payload_does_anything_else_than_fit_or_not(value: Any, fields: Any) -> None:
    """Whatever a client sends: a model, or a PayloadError that has a JSON form."""
    for fn, sent in ((EVERYTHING, fields), (MANY, [fields]), (POINTS, value), (ONE_OF, value)):
        try:
            fn(sent)
        except PayloadError as error:
            json.dumps(error.errors)


def test_the_text_of_a_payload_error() -> None:
    """It can be raised by a handler, with a path or without."""
    error = PayloadError("no such room", [0, "room"])

    assert str(error) == "0.room: no such room"
    assert error.errors == [{"path": [0, "room"], "message": "no such room"}]
    assert str(PayloadError()) == "is not valid"
