"""`flask_sio.runtime.takeover`, by socketpairs and the readers servers make of them."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import resource
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from flask_sio.runtime.takeover import Found, Swap, find, has_socket, watch_fd

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def tcp() -> Iterator[Pair]:
    """A server's socket and its client's, over TCP."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    with server, client:
        client.settimeout(5)
        yield server, client


def request(**keys: Any) -> dict[str, Any]:
    return {"SERVER_PROTOCOL": "HTTP/1.1", "REQUEST_METHOD": "GET", **keys}


def werkzeug_environ(sock: Any, rfile: Any) -> dict[str, Any]:
    return request(**{"werkzeug.socket": sock, "wsgi.input": rfile})


def gunicorn_environ(sock: Any, early: bytes) -> dict[str, Any]:
    """The body gunicorn gives a request without one, over its parser's unreader."""
    from gunicorn.http.body import Body, LengthReader
    from gunicorn.http.unreader import SocketUnreader

    unreader = SocketUnreader(sock)
    unreader.unread(early)
    body = Body(LengthReader(unreader, 0))
    return request(**{"gunicorn.socket": sock, "wsgi.input": body})


def take(environ: dict[str, Any]) -> Found:
    found = find(environ, None)
    assert found is not None
    return found


def readable(sock: socket.socket) -> None:
    assert select.select([sock], [], [], 5)[0]


# ---------------------------------------------------------------- the swap


def test_swap_moves_the_descriptor_to_a_plain_socket(tcp: Pair) -> None:
    """The number stays, the new socket is the stdlib's, non-blocking and without delay."""
    server, client = tcp
    number = server.fileno()
    swap = Swap.prepare(take(werkzeug_environ(server, None)))
    with swap.commit() as mine:
        assert type(mine) is socket.socket
        assert mine.fileno() == number
        assert not mine.getblocking()
        assert mine.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert mine.family == socket.AF_INET
        with pytest.raises(BlockingIOError):
            mine.recv(1)
        client.sendall(b"in")
        readable(mine)
        assert mine.recv(10) == b"in"
        mine.sendall(b"out")
        assert client.recv(10) == b"out"


def test_server_reads_eof_and_writes_epipe_afterwards(tcp: Pair) -> None:
    """What the server still does to its object reaches the decoy and ends there."""
    server, client = tcp
    with Swap.prepare(take(werkzeug_environ(server, None))).commit() as mine:
        assert server.recv(100) == b""
        with pytest.raises(BrokenPipeError):
            server.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        server.close()
        mine.sendall(b"alive")
        assert client.recv(100) == b"alive"


def test_files_of_the_server_keep_their_reference(tcp: Pair) -> None:
    """The server's object closes only when the files made from it are closed as well."""
    server, _ = tcp
    rfile = server.makefile("rb")
    with Swap.prepare(take(werkzeug_environ(server, rfile))).commit():
        server.close()
        assert server.fileno() >= 0
        rfile.close()
        assert server.fileno() == -1


def test_swap_leaks_no_descriptor(tcp: Pair) -> None:
    """Once the server and we have closed, not one descriptor more is open."""
    server, client = tcp
    before = len(os.listdir("/dev/fd"))
    mine = Swap.prepare(take(werkzeug_environ(server, None))).commit()
    server.close()
    mine.close()
    client.close()
    assert len(os.listdir("/dev/fd")) == before - 2


def test_prepare_without_descriptors_leaves_the_server_its_socket(tcp: Pair) -> None:
    """At the limit of descriptors `prepare` raises and the server can still answer 503."""
    server, client = tcp
    found = take(werkzeug_environ(server, None))
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    filled: list[int] = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, limits[1]))
        with contextlib.suppress(OSError):
            while True:
                filled.append(os.dup(2))
        with pytest.raises(OSError, match="open files") as caught:
            Swap.prepare(found)
    finally:
        for descriptor in filled:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert caught.value.errno == errno.EMFILE
    server.sendall(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")
    assert client.recv(100).startswith(b"HTTP/1.1 503")


def test_abandoned_swap_leaves_the_server_its_socket(tcp: Pair) -> None:
    """After `abandon` the server's socket works and nothing stays open."""
    server, client = tcp
    before = len(os.listdir("/dev/fd"))
    Swap.prepare(take(werkzeug_environ(server, None))).abandon()
    assert len(os.listdir("/dev/fd")) == before
    server.sendall(b"still mine")
    assert client.recv(100) == b"still mine"


def test_prepare_refuses_a_closed_socket(tcp: Pair) -> None:
    """A socket that was closed after `find` is an OSError, not a stranded descriptor."""
    server, _ = tcp
    found = take(werkzeug_environ(server, None))
    server.close()
    with pytest.raises(OSError, match="closed"):
        Swap.prepare(found)


def test_unix_sockets_are_swapped_too() -> None:
    """A server bound to a path hands out unix sockets; they have no delay to turn off."""
    server, client = socket.socketpair()
    with server, client, Swap.prepare(take(werkzeug_environ(server, None))).commit() as mine:
        mine.sendall(b"unix")
        assert client.recv(10) == b"unix"


def run_python(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_gevent_socket_becomes_a_plain_one() -> None:
    """gevent's object gets the decoy, we get the stdlib's class on the same descriptor."""
    pytest.importorskip("gevent")
    program = """
import socket
from gevent.socket import socketpair
from flask_sio.runtime.takeover import Swap, find
theirs, client = socketpair()
number = theirs.fileno()
found = find({"SERVER_PROTOCOL": "HTTP/1.1", "werkzeug.socket": theirs}, None)
mine = Swap.prepare(found).commit()
print(found.is_gevent, found.tls, type(mine) is socket.socket, mine.fileno() == number)
print(theirs.recv(10))
theirs.close()
mine.sendall(b"plain")
print(client.recv(10))
"""
    assert run_python(program).splitlines() == ["True False True True", "b''", "b'plain'"]


def test_patched_process_yields_the_original_class() -> None:
    """After `patch_all` the taken socket is the unpatched class; so is an early plain one."""
    pytest.importorskip("gevent")
    program = """
import socket
plain = socket.socket
early = socket.socketpair()
from gevent import monkey; monkey.patch_all()
from flask_sio.runtime.takeover import Swap, find
for one, other in (early, socket.socketpair()):
    environ = {"SERVER_PROTOCOL": "HTTP/1.1", "werkzeug.socket": one}
    found = find(environ, None)
    mine = Swap.prepare(found).commit()
    mine.sendall(b"x")
    print(found.is_gevent, type(mine) is plain, other.recv(1))
"""
    assert run_python(program).splitlines() == ["False True b'x'", "True True b'x'"]


def test_takeover_does_not_import_gevent() -> None:
    """Finding and swapping a plain socket leaves gevent unimported."""
    program = """
import socket, sys
from flask_sio.runtime.takeover import Swap, find
one, other = socket.socketpair()
environ = {"SERVER_PROTOCOL": "HTTP/1.1", "werkzeug.socket": one}
Swap.prepare(find(environ, None)).commit()
print(any(name.partition(".")[0] == "gevent" for name in sys.modules))
"""
    assert run_python(program) == "False"


# ---------------------------------------------------------------- early bytes


def test_nothing_early_does_not_block(tcp: Pair) -> None:
    """On an idle blocking socket `find` comes back at once and restores the timeout."""
    server, _ = tcp
    rfile = server.makefile("rb")
    for timeout in (None, 10.0):
        server.settimeout(timeout)
        assert take(werkzeug_environ(server, rfile)).early == b""
        assert server.gettimeout() == timeout


def test_early_bytes_stay_until_claimed(tcp: Pair) -> None:
    """`find` copies what the reader holds; only a claim takes it from the server."""
    server, client = tcp
    client.sendall(b"GET / HTTP/1.1\r\n\r\nearly")
    rfile = server.makefile("rb")
    assert rfile.readline() + rfile.readline() == b"GET / HTTP/1.1\r\n\r\n"
    found = take(werkzeug_environ(server, rfile))
    assert found.early == b"early"
    assert rfile.peek(1) == b"early"
    found.claim()
    found.claim()
    client.close()
    assert rfile.read() == b""


def test_commit_claims(tcp: Pair) -> None:
    """After the swap the server finds nothing in its buffer to take for a request."""
    server, client = tcp
    client.sendall(b"\nearly")
    rfile = server.makefile("rb")
    rfile.readline()
    found = take(werkzeug_environ(server, rfile))
    with Swap.prepare(found).commit():
        assert found.early == b"early"
        assert rfile.read() == b""


@pytest.mark.parametrize("early", [b"", b"\x81\x00early"])
def test_gunicorn_keeps_early_bytes_in_its_unreader(tcp: Pair, early: bytes) -> None:
    """They are seen without a read of the socket, and gone from the parser once claimed."""
    server, client = tcp
    client.sendall(b"later")
    readable(server)
    environ = gunicorn_environ(server, early)
    found = take(environ)
    assert found.early == early
    unreader = environ["wsgi.input"].reader.unreader
    assert unreader.buf.getvalue() == early
    found.claim()
    assert unreader.buf.getvalue() == b""
    assert server.recv(10) == b"later"


def test_early_bytes_behind_wrapped_inputs(tcp: Pair) -> None:
    """pywsgi, werkzeug's chunked bodies and Django wrap the reader; it is found below."""
    from django.core.handlers.wsgi import LimitedStream
    from gevent.pywsgi import Input
    from werkzeug.serving import DechunkedInput

    server, client = tcp
    client.sendall(b"\nearly")
    rfile = server.makefile("rb")
    rfile.readline()
    for wrapped in (Input(rfile, None), LimitedStream(rfile, 0), DechunkedInput(rfile)):
        environ = request(**{"wsgi.input": wrapped, "SERVER_SOFTWARE": "WSGIServer/0.2"})
        found = take(environ)
        assert found.sock is server
        assert found.early == b"early"
        assert has_socket(environ)
        assert watch_fd(environ) is server


def test_cheroot_reader_is_only_looked_at(tcp: Pair) -> None:
    """cheroot's pure Python reader is found below the body; a peek reads no socket."""
    from cheroot.makefile import MakeFile
    from cheroot.server import KnownLengthRFile

    server, client = tcp
    client.sendall(b"\nearly")
    rfile = MakeFile(server, "rb")
    rfile.readline()
    client.sendall(b"later")
    readable(server)
    found = take(request(**{"wsgi.input": KnownLengthRFile(rfile, 0)}))
    assert found.sock is server
    assert found.early == b"early"
    found.claim()
    assert not rfile.has_data()
    assert server.recv(10) == b"later"


# ---------------------------------------------------------------- what is found, what is not


def test_gevent_websocket_object_is_closed_only_when_claimed(tcp: Pair) -> None:
    """Its 101 is out: told as handshaken, and kept from closing the connection itself."""
    server, client = tcp
    client.sendall(b"\nearly")
    rfile = server.makefile("rb")
    rfile.readline()
    websocket = SimpleNamespace(closed=False, handler=SimpleNamespace(socket=server, rfile=rfile))
    found = take(request(**{"wsgi.websocket": websocket, "wsgi.input": rfile}))
    assert found.handshaken
    assert found.early == b"early"
    assert not websocket.closed
    with Swap.prepare(found).commit():
        assert websocket.closed


@pytest.mark.parametrize("protocol", ["HTTP/1.0", "HTTP/2.0", "HTTP/2", "INCLUDED", None])
def test_only_http_1_1_is_taken(tcp: Pair, protocol: str | None) -> None:
    """Other versions are never taken; HTTP/1.0 is still watched, a shared HTTP/2 is not."""
    environ = {**werkzeug_environ(tcp[0], None), "SERVER_PROTOCOL": protocol}
    assert find(environ, None) is None
    is_1_0 = protocol == "HTTP/1.0"
    assert has_socket(environ) == is_1_0
    assert (watch_fd(environ) is not None) == is_1_0


def test_gunicorn_http_2_is_told_by_its_own_key(tcp: Pair) -> None:
    """`HTTP_VERSION: 2` refuses, whatever SERVER_PROTOCOL says."""
    environ = {**gunicorn_environ(tcp[0], b""), "HTTP_VERSION": "2"}
    assert find(environ, None) is None
    assert not has_socket(environ)


def test_unknown_server_is_left_alone(tcp: Pair) -> None:
    """A reader over a socket is not enough: nobody knows how that server ends a request."""
    server, _ = tcp
    environ = request(**{"wsgi.input": server.makefile("rb"), "SERVER_SOFTWARE": "Other/1.0"})
    assert find(environ, None) is None
    assert not has_socket(environ)
    assert watch_fd(environ) is None


def test_handler_behind_start_response_tells_the_server(tcp: Pair) -> None:
    """wsgiref is recognised without its SERVER_SOFTWARE, by whose method start_response is."""
    from wsgiref.handlers import SimpleHandler

    server, _ = tcp
    rfile = server.makefile("rb")
    handler = SimpleHandler(rfile, io.BytesIO(), io.StringIO(), {})
    environ = request(**{"wsgi.input": rfile, "SERVER_SOFTWARE": "Renamed/1.0"})
    found = find(environ, handler.start_response)
    assert found is not None
    assert found.sock is server


def test_unknown_socket_class_is_left_alone(tcp: Pair) -> None:
    """A subclass may have any `__init__`, so it is not swapped."""

    class Special(socket.socket):
        pass

    with Special(fileno=tcp[0].detach()) as special:
        assert find(werkzeug_environ(special, None), None) is None


def test_tls_socket_is_found_but_never_swapped() -> None:
    """TLS state is tied to the object: it can be parked on, not taken and not watched."""
    import ssl

    one, other = socket.socketpair()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with other, context.wrap_socket(one, server_side=True, do_handshake_on_connect=False) as sock:
        environ = werkzeug_environ(sock, None)
        found = take(environ)
        assert found.tls
        assert not found.can_swap
        assert has_socket(environ)
        assert watch_fd(environ) is None
        with pytest.raises(OSError, match="cannot be taken"):
            Swap.prepare(found)
        assert sock.fileno() >= 0


class Hostile:
    """An object whose every attribute raises."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


@pytest.mark.parametrize(
    "environ",
    [
        {},
        request(),
        request(**{"wsgi.input": io.BytesIO(b"waitress")}),
        request(**{"wsgi.websocket": object()}),
        request(**{"wsgi.websocket": Hostile()}),
        request(**{"werkzeug.socket": Hostile(), "wsgi.input": Hostile()}),
        request(**{"gunicorn.socket": object()}),
        request(**{"wsgi.early_hints": Hostile(), "gunicorn.socket": Hostile()}),
    ],
)
def test_nothing_is_ever_raised(environ: dict[str, Any]) -> None:
    """Whatever an environ holds, the answer is None or False."""
    assert find(environ, Hostile()) is None
    assert not has_socket(environ, Hostile())
    assert watch_fd(environ) is None


def test_closed_socket_is_not_found(tcp: Pair) -> None:
    """A server's object without a descriptor is no socket."""
    tcp[0].close()
    assert find(werkzeug_environ(tcp[0], None), None) is None
