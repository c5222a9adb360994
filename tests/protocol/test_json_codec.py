from __future__ import annotations

import collections
import dataclasses
import datetime
import enum
import json
import sys
import types
import uuid
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_sio.protocol import json_codec
from flask_sio.protocol.json_codec import Codec, JsonCodec, ModuleCodec

HAS_ORJSON = json_codec._ORJSON_OPTIONS is not None
NAN, INF = float("nan"), float("inf")


@pytest.fixture(params=["orjson", "stdlib"])
def codec(request: pytest.FixtureRequest) -> JsonCodec:
    """Each library that may do the writing."""
    if request.param == "orjson" and not HAS_ORJSON:
        pytest.skip("orjson is not installed")
    return JsonCodec(use_orjson=request.param == "orjson")


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Name(str, enum.Enum):  # StrEnum is 3.11's
    ADA = "ada"


@dataclasses.dataclass
class Point:
    x: int
    inner: Any = None
    _private: int = 0


Pair = collections.namedtuple("Pair", "a b")  # noqa: PYI024  # the kind that is not annotated


class Text(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "not the content"


class Number(int):
    pass


class Real(float):
    pass


class Listing(list):  # type: ignore[type-arg]
    pass


class Scalar:
    """A scalar as numpy has them: no number itself, and ``item()`` gives one."""

    shape: tuple[int, ...] = ()

    def __init__(self, value: Any) -> None:
        self.value = value

    def item(self) -> Any:
        return self.value


class LongDouble(Scalar):
    """The one whose ``item()`` is of its own type."""

    def item(self) -> Any:
        return self


class Array(Scalar):
    shape = (1,)


class Renaming(dict):  # type: ignore[type-arg]
    """A dict whose ``items`` are not what is stored, as werkzeug's MultiDict."""

    def items(self) -> Any:
        return [(key, value[0]) for key, value in super().items()]


def nested(depth: int, bottom: Any) -> Any:
    """Put lists around a value."""
    for _ in range(depth):
        bottom = [bottom]
    return bottom


# --- reading --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('["a",1,-1.5e3,true,null,{"k":[]}]', ["a", 1, -1500.0, True, None, {"k": []}]),
        (' \t\r\n["a"] \t\r\n', ["a"]),
        ('"\\u00e9é\\ud83d\\ude00"', "éé😀"),
        ('"\\ud800"', "\ud800"),
        ('{"a":1,"a":2}', {"a": 2}),
        ("123456789012345678901234567890", 123456789012345678901234567890),
        ("-0", 0),
    ],
)
def test_json_is_read(text: str, value: Any) -> None:
    """White space around, escapes, long integers, and the last of equal keys (trap 36)."""
    assert JsonCodec().loads(text) == value


def test_a_number_too_big_is_infinity() -> None:
    """1e400 is an infinity in Python; writing makes it null again (trap 33)."""
    assert JsonCodec().loads("1e400") == INF
    assert JsonCodec().dumps(INF) == "null"


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "[",
        "[1,]",
        "{1:2}",
        "{'a':1}",
        "[1]x",
        "[1] 2",
        "NaN",
        "[NaN]",
        "[Infinity]",
        "[-Infinity]",
        "nul",
        "01",
        "+1",
        ".5",
        "1.",
        '"\n"',
        '"\x00"',
        '"\x1e"',
        '"\\x"',
        "\ufeff[]",
        "\xa0[]",
        "[]\xa0",
        "[]\x0c",
        "٣",
    ],
)
def test_what_is_no_json_is_a_value_error(text: str) -> None:
    """As strict as JavaScript's JSON.parse (trap 32)."""
    with pytest.raises(ValueError):
        JsonCodec().loads(text)


def test_reading_may_start_inside_the_text() -> None:
    """The header of a packet needs no copy to be left out."""
    codec = JsonCodec()
    assert codec.loads('2["a"]', 1) == ["a"]
    assert codec.loads('2 ["a"]', 1) == ["a"]
    with pytest.raises(ValueError):
        codec.loads("2", 1)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "[" * 100_000 + "]" * 100_000])
def test_deep_nesting_is_a_value_error(text: str) -> None:
    """Not a RecursionError, and no crash (trap 35)."""
    with pytest.raises(ValueError):
        JsonCodec().loads(text)


def test_an_integer_too_long_is_a_value_error() -> None:
    """int() is quadratic in the digits; CPython stops at 4300 (trap 34)."""
    assert JsonCodec().loads("1" * 4300) == int("1" * 4300)
    with pytest.raises(ValueError):
        JsonCodec().loads("1" * 4301)


def test_interpreters_without_a_limit_get_one() -> None:
    """Early 3.10 releases convert any number of digits."""
    assert json_codec._bounded_int("-12") == -12
    with pytest.raises(ValueError, match="too long"):
        json_codec._bounded_int("1" * 4301)


# --- writing --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (["a", 1, 1.5, True, None, {"k": [], "l": {}}], '["a",1,1.5,true,null,{"k":[],"l":{}}]'),
        (("a", ("b",)), '["a",["b"]]'),
        ([NAN, INF, -INF], "[null,null,null]"),
        ({"a": (NAN, {"b": INF})}, '{"a":[null,{"b":null}]}'),
        (-0.0, "-0.0"),
        ("\ud800", '"\\ud800"'),
        (["\udfff", NAN], '["\\udfff",null]'),
        ("\x1e\n\x00", '"\\u001e\\n\\u0000"'),
        (2**64, "18446744073709551616"),
        ([2**200, NAN], f"[{2**200},null]"),
        ({3: "a", 2.5: "b", True: "c", None: "d"}, '{"3":"a","2.5":"b","true":"c","null":"d"}'),
        (Colour.RED, '"red"'),
        ([Level.HIGH, Name.ADA], '[3,"ada"]'),
        (Point(1, Point(2)), '{"x":1,"inner":{"x":2,"inner":null,"_private":0},"_private":0}'),
        (Pair(1, 2), "[1,2]"),
        ([Text("a"), Number(2), Real(0.5), Listing([1])], '["a",2,0.5,[1]]'),
        (Real(NAN), "null"),
        ({Text("a"): 1}, '{"a":1}'),
        (collections.OrderedDict(a=1), '{"a":1}'),
        (Renaming(a=["first", "second"]), '{"a":"first"}'),
        (datetime.date(2024, 2, 29), '"2024-02-29"'),
        (datetime.time(1, 2, 3), '"01:02:03"'),
        (datetime.datetime(2024, 2, 29, 1, 2, 3, 4), '"2024-02-29T01:02:03.000004"'),
        (
            datetime.datetime(2024, 2, 29, tzinfo=datetime.timezone.utc),
            '"2024-02-29T00:00:00+00:00"',
        ),
        (
            uuid.UUID("12345678-1234-5678-1234-567812345678"),
            '"12345678-1234-5678-1234-567812345678"',
        ),
        (Decimal("1.10"), '"1.10"'),
        (datetime.time(1, 2, tzinfo=datetime.timezone.utc), '"01:02:00+00:00"'),
        (Decimal("NaN"), '"NaN"'),
        ([Scalar(3), Scalar(0.5), Scalar(True)], "[3,0.5,true]"),
        ([Scalar(NAN), Scalar(datetime.date(2024, 2, 29))], '[null,"2024-02-29"]'),
        ([0, -0, -1], "[0,0,-1]"),
        ([2**53 + 1, -(2**63), 2**63], f"[{2**53 + 1},{-(2**63)},{2**63}]"),
    ],
)
def test_values_are_written_alike(codec: JsonCodec, value: Any, text: str) -> None:
    """One outcome with either library, for JSON's types and for what we add to them."""
    assert codec.dumps(value) == text


def test_text_beyond_ascii_means_the_same(codec: JsonCodec) -> None:
    """orjson writes UTF-8, the standard library escapes; both parse to the same."""
    assert json.loads(codec.dumps({"é": "😀\u2028"})) == {"é": "😀\u2028"}


def test_line_separators_survive_inside_text(codec: JsonCodec) -> None:
    """Control characters are escaped, so a polling payload cannot be split (trap 38)."""
    written = codec.dumps(["".join(map(chr, range(0x20)))])
    assert "\x1e" not in written
    assert written.isprintable()


@pytest.mark.parametrize(
    "value",
    [
        {1, 2},
        object(),
        [object],
        Point,
        1j,
        LongDouble(1),
        Array(1),
        Scalar(1j),
        datetime.timedelta(1),
        {(1, 2): 3},
        {b"a": 1},
        {NAN: 1},
        b"",
        [bytearray()],
        {"a": memoryview(b"a")},
        [10**5000],
        [NAN, object()],
    ],
)
def test_what_is_no_json_is_a_type_error(codec: JsonCodec, value: Any) -> None:
    """Sets, tuples as keys, bytes, too long integers: the caller is told (traps 34, 36, 37)."""
    with pytest.raises(TypeError):
        codec.dumps(value)


def test_loops_are_a_type_error(codec: JsonCodec) -> None:
    """A structure that contains itself cannot be written (trap 35)."""
    loop: list[Any] = []
    loop.append(loop)
    point = Point(1)
    point.inner = point
    for value in (loop, point, {"a": [loop, b"x"]}):
        with pytest.raises(TypeError):
            codec.dumps(value)
        with pytest.raises(TypeError):
            codec.pack(value)


def test_deep_data_is_a_type_error(codec: JsonCodec) -> None:
    """Never a RecursionError, with bytes at the bottom or not."""
    for bottom in (1, NAN, b"x"):
        deep = nested(200_000, bottom)
        with pytest.raises(TypeError):
            codec.pack(deep)


def test_nesting_beyond_orjsons_limit_is_written(codec: JsonCodec) -> None:
    """orjson stops at 254 levels, which is no reason to refuse 400."""
    deep: Any = nested(400, 1)
    assert codec.dumps(deep) == "[" * 400 + "1" + "]" * 400


def test_a_default_is_asked_about_the_unknown(codec: JsonCodec) -> None:
    """As ``json.dumps(default=)``, bytes included; what we know it is not asked."""
    seen: list[Any] = []

    def default(obj: Any) -> Any:
        seen.append(obj)
        return "?"

    value = [{1}, b"b", datetime.date(2024, 1, 1)]
    assert codec.dumps(value, default) == '["?","?","2024-01-01"]'
    assert seen == [{1}, b"b"]
    assert codec.dumps([NAN, {1}], default) == '[null,"?"]'


# --- bytes ----------------------------------------------------------------------------


def test_bytes_become_placeholders_in_order(codec: JsonCodec) -> None:
    """Depth first, in the order of the data: 0, 1, 2 ..."""
    data = ["a", b"0", {"k": [bytearray(b"1")], "l": (memoryview(b"2"),)}, b""]
    text, attachments = codec.pack(data)
    assert text == (
        '["a",{"_placeholder":true,"num":0},'
        '{"k":[{"_placeholder":true,"num":1}],"l":[{"_placeholder":true,"num":2}]},'
        '{"_placeholder":true,"num":3}]'
    )
    assert attachments == (b"0", b"1", b"2", b"")
    assert all(type(attachment) is bytes for attachment in attachments)


def test_data_without_bytes_has_no_attachments(codec: JsonCodec) -> None:
    """The usual event; what looks like a placeholder is left alone."""
    data = ["a", {"_placeholder": True, "num": 0}]
    assert codec.pack(data) == ('["a",{"_placeholder":true,"num":0}]', ())


def test_bytes_are_found_wherever_they_are(codec: JsonCodec) -> None:
    """In a dataclass, and beside what sends orjson to the standard library."""
    first = '{"_placeholder":true,"num":0}'
    assert codec.pack([Point(1, b"a")]) == (f'[{{"x":1,"inner":{first},"_private":0}}]', (b"a",))
    assert codec.pack(["\ud800", b"a"]) == (f'["\\ud800",{first}]', (b"a",))
    assert codec.pack([b"a", "\ud800"]) == (f'[{first},"\\ud800"]', (b"a",))
    assert codec.pack([2**64, NAN, {1: b"a"}]) == (
        f'[18446744073709551616,null,{{"1":{first}}}]',
        (b"a",),
    )


def test_the_data_is_left_as_it_was(codec: JsonCodec) -> None:
    """Encoding changes nothing, and a buffer changed afterwards does not change the packet."""
    buffer = bytearray(b"abc")
    data = ["a", buffer, {"k": b"x", "n": NAN}]
    _, attachments = codec.pack(data)
    buffer[:] = b"xyz"
    assert attachments == (b"abc", b"x")
    assert data[1] is buffer
    assert data[2]["k"] == b"x"  # type: ignore[index]


def test_a_view_need_not_be_contiguous(codec: JsonCodec) -> None:
    """Every second byte of a buffer is as good as any other."""
    assert codec.pack([memoryview(b"a-b-c-")[::2]])[1] == (b"abc",)


# --- a user's module ------------------------------------------------------------------


def module(dumps: Any = json.dumps, loads: Any = json.loads) -> Any:
    """Make what a user may pass as ``json=``."""
    return types.SimpleNamespace(dumps=dumps, loads=loads)


def test_a_module_does_it_all() -> None:
    """Its rules, not ours; compact where it can be told so."""
    codec = ModuleCodec(json)
    assert codec.dumps(["a", {"b": NAN}]) == '["a",{"b":NaN}]'
    assert codec.loads('2["a",NaN]'.replace("NaN", "1"), 1) == ["a", 1]
    with pytest.raises(TypeError):
        codec.dumps(datetime.date(2024, 1, 1))


def test_separators_are_passed_only_where_they_are_taken() -> None:
    """The signature is read once; a keyword is never tried."""
    assert ModuleCodec(module(lambda obj: json.dumps(obj))).dumps([1, 2]) == "[1, 2]"
    assert ModuleCodec(module(lambda obj, **kw: json.dumps(obj, **kw))).dumps([1, 2]) == "[1,2]"
    assert ModuleCodec(module(repr)).dumps([1, 2]) == "[1, 2]"


def test_a_function_without_a_signature_is_called_plainly() -> None:
    """Some functions written in C cannot be asked."""
    assert ModuleCodec(module(dict)).dumps({}) == "{}"


def test_a_module_may_write_bytes() -> None:
    """orjson itself does."""
    codec = ModuleCodec(module(lambda obj: json.dumps(obj).encode()))
    assert codec.dumps("é") == '"\\u00e9"'


@pytest.mark.skipif(not HAS_ORJSON, reason="orjson is not installed")
def test_orjson_may_be_the_module() -> None:
    """A common choice."""
    codec = ModuleCodec(pytest.importorskip("orjson"))
    assert codec.pack(["é", b"x"]) == ('["é",{"_placeholder":true,"num":0}]', (b"x",))
    assert codec.loads('["é"]') == ["é"]


def test_a_module_never_sees_bytes() -> None:
    """Placeholders are put in before; other objects reach it as they are."""
    seen: list[Any] = []

    def dumps(obj: Any) -> str:
        seen.append(obj)
        return "[]"

    marker = object()
    codec = ModuleCodec(module(dumps))
    assert codec.pack(["a", marker, (b"x",)]) == ("[]", (b"x",))
    assert seen == [["a", marker, [{"_placeholder": True, "num": 0}]]]
    data = ["a", Pair(1, 2)]
    codec.pack(data)
    assert seen[1] is data


def test_a_default_reaches_the_module() -> None:
    """By its usual keyword."""
    assert ModuleCodec(json).dumps([{1}], default=lambda obj: "?") == '["?"]'


@pytest.mark.parametrize("error", [KeyError, RecursionError, UnicodeError, Exception])
def test_whatever_a_module_raises_on_input_is_a_value_error(error: type[Exception]) -> None:
    """Remote input cannot bring a foreign exception in."""

    def loads(text: str) -> Any:
        raise error("text")

    with pytest.raises(ValueError, match="text"):
        ModuleCodec(module(loads=loads)).loads("[]")


def test_a_loop_is_a_type_error_for_a_module_too() -> None:
    """The search for bytes ends."""
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(TypeError):
        ModuleCodec(json).pack(loop)


# --- properties -----------------------------------------------------------------------

_TEXTS = st.text(st.characters(), max_size=8)  # lone surrogates too
_LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(2**62, 2**70),
    st.floats(),
    st.floats().map(Real),
    _TEXTS,
    _TEXTS.map(Text),
    st.integers().map(Number),
    st.dates(),
    st.times(),
    st.datetimes(timezones=st.none() | st.timezones()),
    st.uuids(),
    st.decimals(),
    st.sampled_from([Colour.RED, Level.HIGH, Name.ADA]),
    st.one_of(st.integers(), st.floats(), st.booleans(), st.datetimes()).map(Scalar),
)
_KEYS = st.one_of(_TEXTS, st.integers(), st.booleans(), st.none(), st.floats(allow_nan=False))
VALUES = st.recursive(
    st.one_of(_LEAVES, st.binary(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.lists(inner, max_size=4).map(Listing),
        st.builds(Pair, inner, inner),
        st.builds(Point, st.integers(), inner),
        st.dictionaries(_TEXTS, inner, max_size=4),
        st.dictionaries(_KEYS, inner, max_size=4),
        st.dictionaries(_TEXTS, inner, max_size=4).map(collections.OrderedDict),
    ),
    max_leaves=10,
)


def outcome(codec: Codec, value: Any) -> Any:
    """Return what a peer reads, or that the caller is told."""
    try:
        text, attachments = codec.pack(value)
    except TypeError:
        return TypeError
    text.encode("utf-8")
    return repr(json.loads(text, parse_constant=pytest.fail)), attachments


@pytest.mark.skipif(not HAS_ORJSON, reason="orjson is not installed")
@given(VALUES)
def test_the_outcome_does_not_depend_on_the_library(value: Any) -> None:
    """A peer reads the same whichever library is installed, or the caller gets TypeError."""
    assert outcome(JsonCodec(use_orjson=True), value) == outcome(JsonCodec(use_orjson=False), value)


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@pytest.mark.skipif(not HAS_ORJSON, reason="orjson is not installed")
@given(st.integers(1, 700), st.sampled_from([1, "\ud800", NAN, 2**64, b"x", Scalar(1), Point(1)]))
def test_nor_does_it_depend_on_the_depth(depth: int, bottom: Any) -> None:
    """orjson's own limit shows nowhere."""
    for wrap in (nested(depth, bottom), {"k": nested(depth, bottom)}):
        fast, slow = (outcome(JsonCodec(use_orjson=each), wrap) for each in (True, False))
        assert fast == slow


@given(_JSON, st.booleans())
def test_what_is_written_can_be_read(value: Any, use_orjson: bool) -> None:
    """JSON's own values come back as they were."""
    codec = JsonCodec(use_orjson)
    assert codec.loads(codec.dumps(value)) == value


@given(st.one_of(st.text(), st.text('[]{}",:0123456789-+.eE\\ud8 \nNaInfity'), _JSON.map(str)))
def test_any_text_is_read_as_the_standard_library_would(text: str) -> None:
    """A value, the one ``json.loads`` gives, or ValueError; nothing else."""
    try:
        wanted = json.loads(text, parse_constant=json_codec._refuse_constant)
    except ValueError:
        with pytest.raises(ValueError):
            JsonCodec().loads(text)
    else:
        assert repr(JsonCodec().loads(text)) == repr(wanted)


def test_it_works_without_orjson(monkeypatch: pytest.MonkeyPatch) -> None:
    """orjson is optional: the module loads without it and writes the same."""
    monkeypatch.setitem(sys.modules, "orjson", None)
    source = types.ModuleType("json_codec_alone")
    monkeypatch.setitem(sys.modules, source.__name__, source)
    assert json_codec.__file__
    with open(json_codec.__file__, encoding="utf-8") as file:
        exec(compile(file.read(), json_codec.__file__, "exec"), source.__dict__)
    assert source.JsonCodec().pack(["é", NAN, b"x"]) == (
        '["\\u00e9",null,{"_placeholder":true,"num":0}]',
        (b"x",),
    )
