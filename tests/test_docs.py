"""The programs that the documentation shows, and what its pages say of them."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import logging
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import flask_sio
import flask_sio.signals
from flask_sio import SocketIOTestClient, TimeoutError
from flask_sio.extension.convention import FlaskConvention
from flask_sio.option_checks import CHECKS, COMPAT
from flask_sio.options import ServerOptions
from flask_sio.testing import TestClient

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
EXAMPLES = sorted((DOCS / "examples").glob("*.py"))
MODULES_NEEDED = {
    "committed": "flask_sqlalchemy",
    "database": "sqlalchemy",
    "django_commit": "django",
    "django_project": "django",
    "django_sockets": "django",
    "django_tests": "django",
    "django_users": "django",
    "django_wsgi": "django",
    "login": "flask_login",
    "sentry": "sentry_sdk",
    "tracing": "opentelemetry",
}
SETTINGS = """
SECRET_KEY = "docs"
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions"]
"""


def pages() -> str:
    """Return the text of all pages."""
    return "\n".join(page.read_text() for page in sorted(DOCS.glob("*.md")))


@pytest.mark.parametrize("program", EXAMPLES, ids=lambda program: program.stem)
def test_a_program_in_the_docs_can_be_imported(program: Path, tmp_path: Path) -> None:
    """Each program loads in a fresh interpreter, with warnings as errors."""
    if needed := MODULES_NEEDED.get(program.stem):
        pytest.importorskip(needed)
    settings = tmp_path / "mysite" / "settings.py"
    settings.parent.mkdir()
    settings.write_text(SETTINGS)
    path = os.pathsep.join([str(program.parent), str(tmp_path), str(ROOT)])

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"import {program.stem}"],
        env={**os.environ, "PYTHONPATH": path, "DJANGO_SETTINGS_MODULE": "mysite.settings"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
    )

    assert (0, "") == (done.returncode, done.stderr)


def test_every_program_is_shown() -> None:
    """No example lies about that no page includes."""
    shown = set(re.findall(r"literalinclude\} examples/(\S+)", pages()))
    assert {file.name for file in (DOCS / "examples").iterdir() if file.is_file()} == shown


def test_the_readme_shows_a_program_that_is_tested() -> None:
    """The README's first program is the quickstart's, and shorter than 15 lines."""
    readme = (ROOT / "README.md").read_text()
    found = re.search(r"```python\n(.*?)```", readme, re.DOTALL)

    assert found is not None
    assert (DOCS / "examples" / "chat.py").read_text() == found[1]
    assert len(found[1].splitlines()) < 15
    assert (DOCS / "examples" / "django_project.py").read_text() in readme


# -- what the pages say ------------------------------------------------------------------


def test_the_options_page_names_every_option_with_its_default() -> None:
    """docs/options.md has the options that there are, and the defaults they have."""
    lines = (DOCS / "options.md").read_text().splitlines()
    cells = [line.split("|")[1:3] for line in lines if line.startswith("| `")]
    shown = {name.strip(" `"): default.strip().replace('"', "'") for name, default in cells}
    fields = [field for field in dataclasses.fields(ServerOptions) if field.init]

    assert {*CHECKS, *COMPAT, *FlaskConvention.options} == shown.keys()
    for field in fields:
        assert shown[field.name] == f"`{field.default!r}`"


def test_the_api_page_has_every_public_name() -> None:
    """docs/api.md shows what there is to import, by docstrings that are there."""
    page = (DOCS / "api.md").read_text()
    shown = set(re.findall(r"\.\. (?:auto\w+|py:data):: (\S+)", page))
    for name in re.findall(r"\.\. automodule:: (\S+)", page):
        module = importlib.import_module(name)
        shown |= {f"flask_sio.{each}" for each in public(module) if name == "flask_sio.errors"}
        shown |= {f"{name}.{each}" for each in public(module)}
    for module in (flask_sio, flask_sio.testing, flask_sio.signals):
        for name in public(module):
            assert {f"{module.__name__}.{name}", f"flask_sio.testing.{name}"} & shown, name
            assert getattr(module, name).__doc__, name


def public(module: ModuleType) -> list[str]:
    """Return the names a module offers; of modules within it, none."""
    own = [name for name, value in vars(module).items() if is_of(value, module)]
    names: list[str] = getattr(module, "__all__", own)
    return [name for name in names if not isinstance(getattr(module, name), ModuleType)]


def is_of(value: Any, module: ModuleType) -> bool:
    return getattr(value, "__module__", "") == module.__name__ and value.__name__[0] != "_"


def test_the_pages_quote_the_log_line_of_a_loop() -> None:
    """What the migration page shows of the log is what the server writes."""
    source = (ROOT / "flask_sio" / "server" / "server.py").read_text()
    found = re.search(r'"event %r waits behind.*?said once\)"', source, re.DOTALL)
    assert found is not None
    written = re.sub(r'"\s+"', "", found[0]).strip('"') % ("stop", "start")
    page = (DOCS / "migration.md").read_text()

    assert written in re.sub(r"\s+", " ", page)


Load = Callable[[str], Any]
NO_ONE = {"message": "Connection rejected by server"}


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Return a function that runs a program of the docs afresh and returns its module."""
    monkeypatch.chdir(tmp_path)

    def load(name: str) -> Any:
        if needed := MODULES_NEEDED.get(name):
            pytest.importorskip(needed)
        spec = importlib.util.spec_from_file_location(name, DOCS / "examples" / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


def client_of(program: Any, *args: Any, **options: Any) -> SocketIOTestClient:
    """Return a connected test client of a program."""
    client: SocketIOTestClient = program.socketio.test_client(program.app, *args, **options)
    return client


def names(client: SocketIOTestClient, namespace: str | None = None) -> list[str]:
    """Return the names of the events a client has received."""
    return [received["name"] for received in client.get_received(namespace)]


def test_a_loop_holds_back_what_would_stop_it(load: Load) -> None:
    """loop_before.py waits for ever, as the migration page says."""
    program = load("loop_before")
    with client_of(program, timeout=0.1) as client:
        with pytest.raises(TimeoutError, match="'start' still runs"):
            client.emit("start")
        with pytest.raises(TimeoutError, match="'start' still runs"):
            client.emit("stop")
        assert program.running
        program.running.clear()
        client.timeout = 10


@pytest.mark.parametrize("name", ["loop_concurrent", "loop_task"])
@pytest.mark.parametrize("leave", [False, True])
def test_a_loop_is_stopped(load: Load, name: str, leave: bool) -> None:
    """Both ways out of it end the loop, also when the client just leaves."""
    program = load(name)
    client = client_of(program, timeout=0.1)
    try:
        client.emit("start")
    except TimeoutError:
        assert name == "loop_concurrent"
    client.timeout = 10
    client.wait_for("tick")
    if not leave:
        client.emit("stop")
        assert not program.running
    client.disconnect()
    assert not program.running


def test_handlers(load: Load, caplog: pytest.LogCaptureFixture) -> None:
    """handlers.py registers, answers and sends as the page says."""
    program = load("handlers")
    with client_of(program) as one, client_of(program) as other:
        assert one.emit("add", 1, 2, callback=True) == 3
        assert one.emit("divide", 7, 2, callback=True) == [3, 1]
        one.send("hey")
        assert [each["args"] for each in one.get_received()] == [["hey", 3], ["hey", 3]]
        one.emit("rename", "ann")
        assert (names(one), names(other)) == ([], ["renamed"])
        with caplog.at_level(logging.INFO):
            assert one.emit("unknown", 1, callback=True) == []
    assert "nobody handles unknown with 1 arguments" in caplog.messages


def test_refusal(load: Load) -> None:
    """refusal.py refuses in both ways, and greets whom it accepts."""
    program = load("refusal")
    stranger = client_of(program, auth={"token": "no"})
    assert stranger.refused == {"message": "unknown token", "data": {"retry": False}}
    old = client_of(program, auth={"token": "secret-1"}, query_string="version=1")
    assert (old.is_connected(), old.refused) == (False, NO_ONE)
    with client_of(program, auth={"token": "secret-1"}) as ann:
        with client_of(program, auth={"token": "secret-2"}):
            pass
        assert names(ann) == ["welcome", "left"]


def test_namespaces(load: Load) -> None:
    """namespaces.py: a class, a namespace of one handler, and any other."""
    program = load("namespaces")
    with client_of(program, "/chat") as one, client_of(program, "/chat") as other:
        assert one.emit("say", "hi", namespace="/chat", callback=True) == "delivered"
        assert (names(one, "/chat"), names(other, "/chat")) == ([], ["said"])
        assert "error" in one.emit("say", namespace="/chat", callback=True)
        one.emit("kick-user", other.sid("/chat"), namespace="/chat")
        assert (other.is_connected("/chat"), names(one, "/chat")) == (False, ["left"])
        one.connect("/monitor")
        one.emit("ping", namespace="/monitor")
        assert names(one, "/monitor") == ["pong"]
        one.connect("/any")
        assert one.emit("where", namespace="/any", callback=True) == "/any"


def test_per_client(load: Load) -> None:
    """per_client.py counts each player's guesses, and begins anew for who comes back."""
    program = load("per_client")
    with client_of(program, "/game") as one, client_of(program, "/game") as other:
        for client, number in ((one, 1), (one, 10), (other, 10)):
            client.emit("guess", number, namespace="/game")
        assert [each["args"] for each in one.get_received("/game")] == [["more", 1], ["yes", 2]]
        assert [each["args"] for each in other.get_received("/game")] == [["yes", 1]]
        one.connect("/game")
        one.emit("guess", 11, namespace="/game")
        assert [each["args"] for each in one.get_received("/game")] == [["less", 1]]


def test_calls(load: Load) -> None:
    """calls.py asks its client, a room, and a client from a view."""
    program = load("calls")
    with client_of(program) as one, client_of(program) as other:
        one.on("confirm", lambda text: text == "Call you Al?")
        assert one.emit("rename", "Al", callback=True) == "renamed"
        assert one.emit("rename", "Bo", callback=True) == "unchanged"
        one.on("question", lambda text: "yes")
        other.on("question", lambda text: ("no", "way"))
        other.emit("vote", "?")
        other.get_received()
        one.emit("vote", "?")
        votes = [each["args"] for each in one.queue if each["name"] == "vote"]
        assert sorted(votes) == [["no", "way"], ["yes"]]
        assert names(other) == ["question"]
        one.on("battery", lambda: 55)
        assert program.app.test_client().get(f"/battery/{one.sid()}").json == {"percent": 55}


def test_later(load: Load) -> None:
    """later.py acknowledges from a task, and tells who answers and who has left."""
    program = load("later")
    with client_of(program) as asking, client_of(program) as quick:
        leaving = client_of(program)
        left = leaving.sid()
        quick.on("ready?", lambda: "yes")
        leaving.on("ready?", lambda: leaving.disconnect())
        assert asking.emit("render", "p1", callback=True, wait=True) == ["rendered", "p1"]
        asking.emit("ready?")
        assert dict(asking.wait_for("ready")["args"] for _ in range(2)) == {
            quick.sid(): "yes",
            left: "the client left before it answered 'ready?'",
        }


def test_time_limit(load: Load, caplog: pytest.LogCaptureFixture) -> None:
    """A slow report is given up: it is closed, and the client is told."""
    module = load("time_limit")
    with module.socketio.test_client(module.app) as client:
        assert client.emit("report", "slow", callback=True)["error"].startswith("this takes too")
        assert client.emit("report", "quick", callback=True) == 12
    assert module.closed == ["slow", "quick"]
    assert "report: report took longer than 1 s" in caplog.text


def test_injection(load: Load) -> None:
    """A note is written and committed, and an exception takes it back; who it is by is asked."""
    program = load("injection")
    with program.socketio.test_client(program.app, auth={"name": "Ann"}) as client:
        client.emit("add", "milk")
        with pytest.raises(Exception, match="binding"):
            client.emit("add", {"no": "text"})
        assert client.emit("list", callback=True) == ["milk"]
    with program.socketio.test_client(program.app) as client:
        assert client.emit("add", "tea", callback=True) == {"error": "who are you?"}
        assert client.emit("list", callback=True) == ["milk"]


def test_retries(load: Load) -> None:
    """retries.py takes an order once, however often and over which connection it comes."""
    program = load("retries")
    with client_of(program) as client:
        first = client.emit("order", {"id": "a", "item": "tea"}, callback=True)
        assert client.emit("order", {"id": "a", "item": "tea"}, callback=True) == first
        refusal = client.emit("order", {"id": "b", "item": "gold"}, callback=True)
        assert refusal == {"error": "we have no gold"}
    with client_of(program) as again:
        assert again.emit("order", {"id": "a", "item": "tea"}, callback=True) == first
        assert again.emit("order", {"id": "c", "item": "tea"}, callback=True) == {"number": 2}
    assert (first, program.orders) == ({"number": 1}, ["tea", "tea"])


def test_broadcasting(load: Load) -> None:
    """broadcasting.py moves, votes and empties a room."""
    module = load("broadcasting")
    a, b = (module.socketio.test_client(module.app) for _ in range(2))
    for client, answer in ((a, True), (b, False)):
        client.emit("join", "room")
        client.on("question", lambda _text, answer=answer: answer)
    assert a.get_received()[0] == {"name": "joined", "args": [b.sid()], "namespace": "/"}
    a.emit("move", 1, 2)
    assert b.get_received()[0]["args"] == [a.sid(), 1, 2]
    assert a.emit("vote", "room", callback=True) == [1, 2]
    module.positions["room"] = 1
    assert a.emit("empty", "room", callback=True) is None  # it has left itself
    assert not a.is_connected()
    while module.positions:  # what listens to rooms runs beside the clients
        assert not b.is_connected()
    b.close()


def test_errors(load: Load, caplog: pytest.LogCaptureFixture) -> None:
    """errors.py: each namespace's handler, the default one, and a connect that fails."""
    program = load("errors")
    with client_of(program) as client:
        assert client.emit("divide", 1, 0, callback=True) == {"error": "sorry"}
        assert "divide failed" in caplog.messages
        client.connect("/admin")
        answer = client.emit("divide", 1, 0, namespace="/admin", callback=True)
        assert answer == {"error": "ZeroDivisionError"}
        client.connect("/broken")
        assert not client.is_connected("/broken")


def test_payloads(load: Load) -> None:
    """payloads.py checks what clients send, and the page shows the answer."""
    program = load("payloads")
    assert client_of(program).refused == {
        "message": "Invalid payload",
        "data": {"errors": [{"path": [], "message": "must be an object"}]},
    }
    with client_of(program, auth={"token": "secret"}) as client:
        items = [{"product": "tea", "count": 2}, {"product": "milk"}]
        answer = client.emit("order", {"items": items}, True, callback=True)
        assert answer == {"pieces": 3, "urgent": True}
        answer = client.emit(
            "order", {"items": [{"product": "tea", "count": 0}, {}]}, callback=True
        )
        assert answer == {
            "error": "Invalid payload",
            "errors": [
                {"path": [0, "items", 0], "message": "order at least one of each"},
                {"path": [0, "items", 1, "product"], "message": "is missing"},
            ],
        }
        client.emit("order", {"items": items * 6, "ship_by": "bike"})
        [event] = client.get_received()
        assert event["args"][0]["errors"] == [
            {"path": [0, "items"], "message": "does not fit on a bike"}
        ]


def test_slow_events(load: Load, caplog: pytest.LogCaptureFixture) -> None:
    """slow_events.py tells of those that take long, and of no others."""
    program = load("slow_events")
    program.SLOW_S = 0.01
    with client_of(program) as client:
        client.emit("sleep", 0.02)
        program.SLOW_S = 50
        client.emit("sleep", 0)
        [told] = [line for line in caplog.messages if " took " in line]
        assert told.startswith("sleep took ")
        assert told.endswith(f" s for {client.sid()}")


SENTRY = """
import json, logging, sys, warnings
warnings.filterwarnings("ignore", "'cgi' is deprecated")  # webob, if installed
sys.path[:0] = sys.argv[1:]
import sentry_sdk
import sentry
from tests.flask.polling import PollingClient

logging.getLogger("flask_sio.engine").setLevel("ERROR")
reports = []

class Transport(sentry_sdk.transport.Transport):
    def capture_envelope(self, envelope):
        event = envelope.get_event()
        if event is not None:
            reports.append(event)

sentry_sdk.init(dsn="https://key@sentry.invalid/1", transport=Transport)
client = PollingClient(sentry.app)
sid = client.sid()
assert client.ask("divide", 1, 2) == [0.5]
client.emit("divide", 1, 0)
client.ask("divide", 1, 2)
sentry.socketio.shutdown()
sentry_sdk.get_client().close()
print(json.dumps([sid, reports]))
"""


def test_sentry() -> None:
    """sentry.py: a scope per event, and one report per exception, with the event's names.

    In a process of its own, with what Sentry does by itself: it reads the log, too.
    """
    pytest.importorskip("sentry_sdk")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SENTRY, str(ROOT), str(DOCS / "examples")],
        capture_output=True,
        check=True,
        text=True,
        timeout=50,
    )
    sid, reports = json.loads(done.stdout)

    [report] = reports
    assert report["exception"]["values"][0]["type"] == "ZeroDivisionError"
    assert report["transaction"] == "/ divide"
    assert report["tags"] == {
        "socketio.event": "divide",
        "socketio.namespace": "/",
        "socketio.sid": sid,
    }
    said = [each["message"] for each in report["breadcrumbs"]["values"]]
    assert [each for each in said if " by " in each] == ["1 by 0"]


def test_tracing(load: Load) -> None:
    """tracing.py: a trace per event, with the handler's spans in it and what went wrong."""
    pytest.importorskip("opentelemetry.sdk")
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    spans, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    program = load("tracing")
    program.tracer = provider.get_tracer("chat")
    with provider.get_tracer("http").start_as_current_span("GET /socket.io/") as request:
        client = client_of(program)
    with client:
        assert client.emit("add", 1, 2, callback=True) == 3
        assert client.emit("add", 1, None, callback=True) == "numbers, please"
    found = [each for each in spans.get_finished_spans() if each.name != "GET /socket.io/"]
    provider.shutdown()
    assert [each.name for each in found] == ["adding", "/ add", "adding", "/ add"]
    inner, outer, _, handled = found
    assert inner.parent == outer.context
    assert outer.parent is None
    assert outer.kind is trace.SpanKind.SERVER
    assert outer.context.trace_id != handled.context.trace_id
    assert [each.context for each in outer.links] == [request.get_span_context()]
    assert [each.attributes["socketio.outcome"] for each in (outer, handled)] == ["ok", "handled"]
    assert [each.attributes["exception.type"] for each in handled.events] == ["TypeError"]


def test_elsewhere(load: Load) -> None:
    """elsewhere.py emits from a view."""
    program = load("elsewhere")
    with client_of(program) as client:
        program.app.test_client().post("/say/hello")
        assert client.wait_for("said")["args"] == ["hello"]


def test_sessions(load: Load) -> None:
    """sessions.py: the copy is the connection's, and what HTTP changes later is not seen."""
    program = load("sessions")
    http = program.app.test_client()
    http.post("/name/Ann")
    with client_of(program, flask_test_client=http) as client:
        assert client.emit("count", callback=True) == ["Ann", 1]
        http.post("/name/Bob")
        assert client.emit("count", callback=True) == ["Ann", 2]
        with http.session_transaction() as session:
            assert dict(session) == {"name": "Bob"}
    with client_of(program, flask_test_client=http) as client:
        assert client.emit("count", callback=True) == ["Bob", 1]


def test_login(load: Load) -> None:
    """login.py lets users in, on two tabs, one of them to delete; who logs out is out."""
    program = load("login")
    http = program.app.test_client()
    assert client_of(program, flask_test_client=http).refused == {"message": "Please log in."}
    http.post("/login/8")
    with client_of(program, flask_test_client=http) as other:
        answer = other.emit("delete", 1, callback=True)
        assert answer == {"error": "Permission denied"}
    http.post("/login/7")
    tabs = [client_of(program, flask_test_client=http) for _ in range(2)]
    assert tabs[0].emit("delete", 1, callback=True) == "1 deleted"
    tabs[0].send("hello")
    assert [names(tab) for tab in tabs] == [["welcome", "message"], ["welcome", "message"]]
    http.post("/logout")
    assert [tab.is_connected() for tab in tabs] == [False, False]
    assert client_of(program, flask_test_client=http).refused == {"message": "Please log in."}


def test_users(load: Load) -> None:
    """users.py finds a user's clients, and refuses whom it cannot identify."""
    program = load("users")
    assert client_of(program).refused == {"message": "unknown token"}
    with client_of(program, auth={"token": "secret-2"}) as bob:
        tabs = [client_of(program, auth={"token": "secret-1"}) for _ in range(2)]
        assert bob.emit("whisper", "ann", "psst", callback=True) == "delivered"
        assert bob.emit("whisper", "zoe", "psst", callback=True) == "not here"
        assert [names(tab) for tab in tabs] == [["whispered"], ["whispered"]]
        http = program.app.test_client()
        assert http.post("/notify/ann").json == {"clients": [tab.sid() for tab in tabs]}
        http.post("/logout/ann")
        assert [tab.is_connected() for tab in (*tabs, bob)] == [False, False, True]


def test_presence(load: Load) -> None:
    """presence.py tells everybody who comes, once, and who has gone for good."""
    program = load("presence")
    with client_of(program, auth={"name": "ann"}) as ann:
        assert ann.wait_for("came", timeout=20)["args"] == ["ann"]
        tabs = [client_of(program, auth={"name": "bob"}) for _ in range(2)]
        assert ann.wait_for("came", timeout=20)["args"] == ["bob"]
        for tab in tabs:
            tab.close()
        assert ann.wait_for("went", timeout=20)["args"] == ["bob"]
        assert names(ann) == []


def test_expiry(load: Load) -> None:
    """expiry.py disconnects whose token expires, unless its user has sent a fresh one."""
    program = load("expiry")

    def token(user: str, seconds: float) -> str:
        return str(program.signed.dumps({"sub": user, "exp": time.time() + seconds}))

    assert client_of(program, auth={"token": "x"}).refused == {"message": "invalid token"}
    assert client_of(program, auth={"token": token("ann", -1)}).refused == {
        "message": "invalid token"
    }
    with client_of(program, auth={"token": token("ann", 600)}) as ann:
        bob, zoe = (client_of(program, auth={"token": token(name, 60)}) for name in ("bob", "zoe"))
        for wrong in (token("ann", 600), token("bob", -1)):
            assert bob.emit("renew", wrong, callback=True) == {"error": "invalid token"}
        assert bob.emit("renew", token("bob", 600), callback=True) == []
        assert zoe.emit("renew", token("zoe", 0.5), callback=True) == []
        assert ann.wait_for("away")["args"] == ["zoe"]
        assert [bob.is_connected(), zoe.is_connected()] == [True, False]
        bob.close()


def test_plain_users(load: Load) -> None:
    """plain_users.py knows whose a client is by its token."""
    program = load("plain_users")
    assert TestClient(program.server).refused == {"message": "unknown token"}
    bob, *tabs = (
        TestClient(program.server, auth={"token": f"secret-{number}"}) for number in (2, 1, 1)
    )
    assert bob.emit("whisper", "ann", "psst", callback=True) == 2
    assert [tab.get_received()[0]["args"] for tab in tabs] == [["psst"], ["psst"]]
    program.log_out("ann")
    assert [each.is_connected() for each in (bob, *tabs)] == [True, False, False]
    bob.close()


def test_blueprint(load: Load, caplog: pytest.LogCaptureFixture) -> None:
    """blueprint.py checks before its handlers, and times every event."""
    program = load("blueprint")
    http = program.app.test_client()
    with client_of(program, "/admin") as client, caplog.at_level(logging.INFO):
        answer = client.emit("announce", "x", namespace="/admin", callback=True)
        assert answer == {"error": "forbidden"}
    with http.session_transaction() as session:
        session["is_admin"] = True
    with client_of(program, "/admin", flask_test_client=http) as client:
        answer = client.emit("announce", "x", namespace="/admin", callback=True)
        assert (answer, names(client, "/admin")) == ({"ok": True}, ["announcement"])
    assert any(line.startswith("announce: 0.") for line in caplog.messages)


def test_signals(load: Load) -> None:
    """signals.py knows who is online."""
    program = load("signals")
    with client_of(program) as client:
        assert program.online == {("/", client.sid())}
    assert program.online == set()
    # A receiver stays for the life of the process, and its signal is sent for every server.
    program.client_connected.disconnect(program.connected)
    program.client_disconnected.disconnect(program.disconnected)


def test_requests(load: Load, caplog: pytest.LogCaptureFixture) -> None:
    """requests.py lets no bot in, and sets its headers."""
    program = load("requests")
    path = "/socket.io/?EIO=4&transport=polling"
    http = program.app.test_client()
    bot = http.get(path, headers={"User-Agent": "a bot"})
    assert (bot.status_code, bot.json["message"]) == (403, "no bots, please")
    assert "refused: no bots, please ({'name': 'ALLOW_REQUEST'})" in caplog.messages
    headers = http.get(path).headers
    assert (headers["X-Served-By"], headers["Referrer-Policy"]) == ("web-1", "no-referrer")
    program.socketio.shutdown()


def test_middleware(load: Load) -> None:
    """middleware.py refuses strangers and long shouts, and counts what passes."""
    program = load("middleware")
    assert client_of(program).refused == {"message": "unknown token", "data": {"retry": False}}
    with client_of(program, auth={"token": "secret-1"}) as client:
        assert client.emit("shout", " hi ", callback=True) == "done"
        assert client.emit("shout", "x" * 101, callback=True) == {
            "error": "too long",
            "data": {"max": 100},
        }
        received = [(each["name"], each["args"]) for each in client.get_received()]
        assert received == [("welcome", ["ann"]), ("shouted", ["hi"])]
    assert program.counts == {"in / shout": 2, "out welcome": 1, "out shouted": 1}


def test_membership(load: Load) -> None:
    """membership.py lets members into their room, and tells others by the ack."""
    program = load("membership")
    with (
        client_of(program, auth={"user": "ann"}) as ann,
        client_of(program, auth={"user": "bob"}) as bob,
    ):
        assert ann.emit("join", "team", callback=True) == "welcome"
        told = {"error": "members only", "data": {"room": "team"}}
        assert bob.emit("join", "team", callback=True) == told
        assert (names(ann), names(bob)) == (["joined"], [])


def test_jobs(load: Load) -> None:
    """jobs.py: a path with a value, a regular expression, a function."""
    program = load("jobs")
    with client_of(program, "/job/1") as client:
        client.emit("advance", 5, namespace="/job/1")
        assert client.get_received("/job/1")[0]["args"] == [45]
        client.connect("/job/3")
        assert client.refused == NO_ONE
        client.connect("/room-blue")
        client.emit("say", "hi", namespace="/room-blue")
        assert client.get_received("/room-blue")[0]["args"] == ["hi (blue)"]
        client.connect("/team", auth={"teams": ["/team"]})
        assert client.emit("where", namespace="/team", callback=True) == "/team"
        client.connect("/other", auth={"teams": ["/team"]})
        assert client.refused == {"message": "Invalid namespace"}


def test_slow(load: Load) -> None:
    """slow.py: who is told to be slow gets no details until it has caught up."""
    program = load("slow")
    with client_of(program) as client:
        hooks = program.socketio.server.handlers.middleware.hooks
        socket = program.socketio.server.socket(client.sid())

        def tell(what: str) -> None:
            [hook] = hooks(what, "/")
            call = lambda *_: hook.call(socket, what, ())  # noqa: E731
            program.socketio.server.convention.invoke(socket, what, call, (), "hook")

        client.emit("update", 1)
        assert names(client) == ["updated", "details"]
        tell("high_water")
        client.emit("update", 2)
        assert names(client) == ["updated"]
        tell("drain")
        client.emit("update", 3)
        assert names(client) == ["updated", "details"]


def test_database(load: Load) -> None:
    """database.py writes and reads, in different handlers."""
    program = load("database")
    with client_of(program) as client:
        client.emit("add", "milk")
        assert client.emit("list", callback=True) == ["milk"]
    program.engine.dispose()


def test_committed(load: Load) -> None:
    """committed.py tells of orders that are in the database, and of no others."""
    program = load("committed")
    with client_of(program) as client:
        assert program.app.test_client().post("/orders/milk").status_code == 201
        with pytest.raises(Exception, match="NOT NULL"):
            client.emit("order", ["tea", None])  # neither is ordered
        client.emit("order", ["bread"])
        got = [(each["name"], *each["args"]) for each in client.get_received()]
    assert got == [("ordered", 1, "milk"), ("ordered", 2, "bread"), ("thanks", "bread")]
    with program.app.app_context():
        program.db.engine.dispose()


@pytest.mark.parametrize("name", ["survey_tests", "plain_tests"])
def test_the_tests_in_the_docs_pass(name: str) -> None:
    """What the docs show of pytest runs."""
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "-c", os.devnull, "--rootdir", ".", f"{name}.py"],
        cwd=DOCS / "examples",
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == 0, done.stdout


def test_own_codec(load: Load) -> None:
    """A value that JSON could not carry goes there and back."""
    with TestClient(load("own_codec").server) as client:
        assert client.emit("echo", {1, 2}, callback=True) == {1, 2}
        assert client.emit("echo", callback=True) == []


def test_proxy(load: Load) -> None:
    """proxy.py believes what its proxy says of the host, in front of Socket.IO."""
    program = load("proxy")
    environ = {"HTTP_ORIGIN": "https://a.example", "HTTP_X_FORWARDED_HOST": "a.example"}
    query = {"EIO": "4", "transport": "polling"}

    def status(environ: dict[str, str]) -> int:
        http = program.app.test_client()
        return int(
            http.get("/socket.io/", query_string=query, environ_overrides=environ).status_code
        )

    assert status(environ) == 200
    assert status({"HTTP_ORIGIN": "https://a.example"}) == 403
    program.socketio.shutdown()
