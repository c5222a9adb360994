"""HTTP answers, query strings and request bodies."""

from __future__ import annotations

import gzip
import io
import zlib
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_sio.engine import http
from flask_sio.errors import PacketError, PayloadTooBig, ProtocolError


def sent(response: http.Response, **options: Any) -> tuple[str, dict[str, str], bytes]:
    """Send a response and give what the server got."""
    seen: list[Any] = []
    body = response.send(lambda status, headers: seen.extend([status, headers]), **options)
    return seen[0], dict(seen[1]), b"".join(body)


@pytest.mark.parametrize(
    ("code", "status", "body"),
    [
        (0, "400 Bad Request", b'{"code":0,"message":"Transport unknown"}'),
        (1, "400 Bad Request", b'{"code":1,"message":"Session ID unknown"}'),
        (2, "400 Bad Request", b'{"code":2,"message":"Bad handshake method"}'),
        (3, "400 Bad Request", b'{"code":3,"message":"Bad request"}'),
        (4, "403 Forbidden", b'{"code":4,"message":"Forbidden"}'),
        (5, "400 Bad Request", b'{"code":5,"message":"Unsupported protocol version"}'),
    ],
)
def test_error_bodies_are_nodes(code: int, status: str, body: bytes) -> None:
    """Every refusal has engine.io's status and JSON body, and is not cached."""
    got, headers, sent_body = sent(http.error(code))
    assert (got, sent_body) == (status, body)
    assert headers["Content-Type"] == "application/json"
    assert headers["Content-Length"] == str(len(body))
    assert headers["Cache-Control"] == "no-store"


def test_error_message_can_be_replaced() -> None:
    """A text of the application replaces the fixed one, escaped as JSON."""
    assert http.error(4, 'no "way"').body == b'{"code":4,"message":"no \\"way\\""}'


@pytest.mark.parametrize(
    ("code", "body"),
    [
        (0, b"Transport unknown"),
        (1, b"Session ID unknown"),
        (2, b"Bad handshake method"),
        (3, b"Bad request"),
        (4, b"Forbidden"),
        (5, b"Unsupported protocol version"),
    ],
)
def test_refused_upgrades_are_always_400(code: int, body: bytes) -> None:
    """A WebSocket refused before its 101 gets 400 and plain text, code 4 too."""
    status, headers, sent_body = sent(http.ws_error(code))
    assert (status, sent_body) == ("400 Bad Request", body)
    assert headers["Content-Type"] == "text/plain; charset=UTF-8"


def test_refused_upgrade_carries_headers() -> None:
    """A refusal for the wrong version names the right one."""
    _, headers, _ = sent(http.ws_error(3, (("Sec-WebSocket-Version", "13"),)))
    assert headers["Sec-WebSocket-Version"] == "13"


@pytest.mark.parametrize(
    ("response", "status", "headers", "body"),
    [
        (
            http.poll_answer(b"4hello\x1ebAQIDBA=="),
            "200 OK",
            {
                "Content-Type": "text/plain; charset=UTF-8",
                "Cache-Control": "no-store",
                "X-Content-Type-Options": "nosniff",
                "Content-Length": "16",
            },
            b"4hello\x1ebAQIDBA==",
        ),
        (
            http.post_ok(),
            "200 OK",
            {"Content-Type": "text/html", "Cache-Control": "no-store", "Content-Length": "2"},
            b"ok",
        ),
        (http.bad_request(), "400 Bad Request", {"Content-Length": "0"}, b""),
        (http.too_large(), "413 Content Too Large", {"Content-Length": "0"}, b""),
        (
            http.method_not_allowed(),
            "405 Method Not Allowed",
            {"Allow": "GET, POST, OPTIONS", "Content-Length": "0"},
            b"",
        ),
        (http.unavailable(), "503 Service Unavailable", {"Retry-After": "5"}, b""),
    ],
)
def test_answers(
    response: http.Response, status: str, headers: dict[str, str], body: bytes
) -> None:
    """Every fixed answer has its status, headers and body."""
    got_status, got_headers, got_body = sent(response)
    assert (got_status, got_body) == (status, body)
    assert headers.items() <= got_headers.items()


def test_answers_share_no_headers() -> None:
    """Headers added to one answer do not show up in the next."""
    http.post_ok().headers.append(("X-Once", "1"))
    assert "X-Once" not in dict(http.post_ok().headers)


@pytest.mark.filterwarnings("error")
def test_answers_satisfy_wsgi() -> None:
    """The standard library's validator finds nothing to say."""

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        return http.poll_answer(b"6").send(start_response)

    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    environ["QUERY_STRING"] = ""
    result: Any = validator(app)(environ, lambda status, headers, exc=None: lambda data: None)
    assert list(result) == [b"6"]
    result.close()


def test_head_leaves_the_body_out() -> None:
    """A HEAD answer has the length of the GET's and no body."""
    status, headers, body = sent(http.error(2), head=True)
    assert (status, headers["Content-Length"], body) == ("400 Bad Request", "43", b"")


def test_raw_is_a_whole_answer() -> None:
    """The raw form is complete HTTP/1.1 and closes the connection."""
    head, _, body = http.post_ok().raw().partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 200 OK"
    assert lines[1].startswith(b"Date: ")
    assert lines[1].endswith(b" GMT")
    assert lines[2:] == [
        b"Content-Type: text/html",
        b"Cache-Control: no-store",
        b"X-Content-Type-Options: nosniff",
        b"Content-Length: 2",
        b"Connection: close",
    ]
    assert body == b"ok"


@given(st.text(), st.text(), st.binary())
def test_raw_never_raises_nor_splits(name: str, value: str, body: bytes) -> None:
    """No header text can add a line or end the head."""
    raw = http.Response("200 OK", [(name, value)], body).raw()
    head, _, rest = raw.partition(b"\r\n\r\n")
    assert rest == body
    assert head.count(b"\r\n") == 4
    assert head.count(b"\n") == head.count(b"\r") == 4


LONG = b"4" + b"a" * 2000


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip", "gzip"),
        ("x-gzip", "gzip"),
        ("GZIP", "gzip"),
        ("gzip, deflate, br, zstd", "gzip"),
        ("deflate, gzip", "gzip"),
        ("deflate", "deflate"),
        ("deflate;q=1, gzip;q=0.5", "deflate"),
        ("gzip;q=0, deflate", "deflate"),
        ("gzip;q=0.000", None),
        ("gzip;q=0, deflate;q=0", None),
        ("*", "gzip"),
        ("*;q=0", None),
        ("gzip;q=0, *", "deflate"),
        ("*;q=0, gzip ; q=0.1", "gzip"),
        ("br", None),
        ("identity", None),
        ("gzip;q=abc", None),
        ("gzip;q=nan", None),
        ("gzip;q=-1", None),
        ("gzip;q=2", None),
        ("", None),
        (None, None),
    ],
)
def test_compression_follows_accept_encoding(accepted: str | None, coding: str | None) -> None:
    """gzip is preferred, deflate next; a weight of 0 forbids."""
    _, headers, body = sent(http.compress(http.poll_answer(LONG), accepted, 1024))
    assert headers.get("Content-Encoding") == coding
    assert headers["Vary"] == "Accept-Encoding"
    assert headers["Content-Length"] == str(len(body))
    if coding is not None:
        body = gzip.decompress(body) if coding == "gzip" else zlib.decompress(body)
    assert body == LONG


@pytest.mark.parametrize(
    ("size", "compressed"), [(0, False), (1023, False), (1024, True), (1025, True)]
)
def test_compression_starts_at_the_threshold(size: int, compressed: bool) -> None:
    """A body of the threshold is compressed, a shorter one is not and does not vary."""
    response = http.compress(http.poll_answer(b"a" * size), "gzip", 1024)
    assert ("Content-Encoding" in dict(response.headers)) is compressed
    assert ("Vary" in dict(response.headers)) is compressed


def test_compression_keeps_other_vary_fields() -> None:
    """Vary stays one header and names both fields."""
    response = http.poll_answer(LONG)
    response.headers.append(("Vary", "Origin"))
    packed = http.compress(response, "gzip", 10)
    assert [v for n, v in packed.headers if n == "Vary"] == ["Origin, Accept-Encoding"]


@given(st.text())
def test_any_accept_encoding_is_survived(accepted: str) -> None:
    """No Accept-Encoding raises."""
    http.compress(http.poll_answer(b"a" * 100), accepted, 1)


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("", {}),
        ("EIO=4&transport=polling", {"EIO": "4", "transport": "polling"}),
        ("sid=a&sid=b", {"sid": "b"}),
        ("sid=", {"sid": ""}),
        ("j", {"j": ""}),
        ("a=b=c", {"a": "b=c"}),
        ("&&a=1&", {"a": "1"}),
        ("=1", {"": "1"}),
        ("a+b=c+d%20e", {"a b": "c d e"}),
        ("a=%2B", {"a": "+"}),
        ("n=%E2%82%AC", {"n": "€"}),
        ("n=\xe2\x82\xac", {"n": "€"}),
        ("n=€", {"n": "€"}),
        ("n=%ff", {"n": "\ufffd"}),
        ("n=%zz%", {"n": "%zz%"}),
        ("a=1;b=2", {"a": "1;b=2"}),
        ("%65io=1", {"eio": "1"}),
    ],
)
def test_query(text: str, query: dict[str, str]) -> None:
    """The last occurrence wins, blank values stay, escapes are UTF-8."""
    assert http.parse_query({"QUERY_STRING": text}) == query


@given(st.one_of(st.none(), st.text(), st.binary(), st.integers()))
def test_any_query_is_survived(value: Any) -> None:
    """No QUERY_STRING raises, whatever its type."""
    http.parse_query({"QUERY_STRING": value})


class Slow(io.RawIOBase):
    """Gives a few bytes for each read."""

    def __init__(self, data: bytes) -> None:
        self.left = data
        self.asked: list[int] = []

    def read(self, size: int = -1, /) -> bytes:
        """Give at most 3 bytes."""
        self.asked.append(size)
        part, self.left = self.left[: min(size, 3)], self.left[min(size, 3) :]
        return part


class Broken(io.RawIOBase):
    """Fails as a server does when its client is gone."""

    def read(self, size: int = -1, /) -> bytes:
        """Raise."""
        raise OSError("unexpected end of file while reading request")


@pytest.mark.parametrize("length", ["5", "05", " 5 "])
def test_body_of_a_declared_length(length: str) -> None:
    """Exactly the declared bytes are read, also when they come slowly."""
    for stream in (io.BytesIO(b"4abcdNEXT"), Slow(b"4abcdNEXT")):
        assert http.read_body({"CONTENT_LENGTH": length, "wsgi.input": stream}, 5) == b"4abcd"


def test_empty_body() -> None:
    """A length of 0 reads nothing."""
    assert http.read_body({"CONTENT_LENGTH": "0", "wsgi.input": Broken()}, 5) == b""


@pytest.mark.parametrize("length", ["6", "1000000000000", "9" * 5000])
def test_too_long_body_is_not_read(length: str) -> None:
    """A declared length over the limit is refused before a byte is read."""
    with pytest.raises(PayloadTooBig):
        http.read_body({"CONTENT_LENGTH": length, "wsgi.input": Broken()}, 5)


@pytest.mark.parametrize(
    "length", ["-1", "+5", "abc", "5,5", "5, 5", "5.0", "0x5", "1_0", "٣", "²", " ", "5\n"]
)
def test_unusable_length(length: str) -> None:
    """A length that is no plain number is the client's fault, and nothing is read."""
    with pytest.raises(PacketError) as caught:
        http.read_body({"CONTENT_LENGTH": length, "wsgi.input": Broken()}, 5)
    assert not isinstance(caught.value, PayloadTooBig)


@pytest.mark.parametrize("environ", [{}, {"CONTENT_LENGTH": ""}, {"CONTENT_LENGTH": None}])
def test_missing_length(environ: dict[str, Any]) -> None:
    """A body of unknown length is refused, unread."""
    with pytest.raises(PacketError):
        http.read_body({**environ, "wsgi.input": Broken()}, 5)


def test_length_beside_chunks() -> None:
    """Both kinds of length at once are refused."""
    environ = {
        "CONTENT_LENGTH": "5",
        "HTTP_TRANSFER_ENCODING": "chunked",
        "wsgi.input": Broken(),
    }
    with pytest.raises(PacketError):
        http.read_body(environ, 5)


@pytest.mark.parametrize(
    "environ", [{"wsgi.input_terminated": True}, {"HTTP_TRANSFER_ENCODING": "chunked"}]
)
def test_chunked_body_is_counted(environ: dict[str, Any]) -> None:
    """A body without a length is read to its end, at most one byte over the limit."""
    exact = {**environ, "wsgi.input": Slow(b"4abcd")}
    assert http.read_body(exact, 5) == b"4abcd"
    stream = Slow(b"4abcde" + b"f" * 100)
    with pytest.raises(PayloadTooBig):
        http.read_body({**environ, "wsgi.input": stream}, 5)
    assert len(stream.left) == 100
    assert max(stream.asked) <= 6


@pytest.mark.parametrize(
    "environ",
    [
        {"CONTENT_LENGTH": "5", "wsgi.input": io.BytesIO(b"4ab")},
        {"CONTENT_LENGTH": "5", "wsgi.input": io.BytesIO(b"")},
        {"CONTENT_LENGTH": "5", "wsgi.input": Broken()},
        {"wsgi.input_terminated": True, "wsgi.input": Broken()},
        {"CONTENT_LENGTH": "5"},
    ],
)
def test_aborted_body(environ: dict[str, Any]) -> None:
    """A body that ends early is an abort, not a short payload."""
    with pytest.raises(http.BodyAborted) as caught:
        http.read_body(environ, 5)
    assert isinstance(caught.value, ConnectionError)
    assert not isinstance(caught.value, PacketError)


@given(
    st.one_of(st.none(), st.text(), st.integers().map(str)),
    st.one_of(st.none(), st.just("chunked"), st.text()),
    st.booleans(),
    st.binary(max_size=30),
)
def test_bodies_end_in_bytes_or_protocol_errors(
    length: str | None, coding: str | None, terminated: bool, data: bytes
) -> None:
    """Whatever the headers say, at most the limit comes back, else a ProtocolError."""
    environ = {
        "CONTENT_LENGTH": length,
        "HTTP_TRANSFER_ENCODING": coding,
        "wsgi.input_terminated": terminated,
        "wsgi.input": io.BytesIO(data),
    }
    try:
        body = http.read_body(environ, 10)
    except ProtocolError:
        return
    assert len(body) <= 10
    assert data.startswith(body)
