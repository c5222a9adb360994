"""Handlers that ask for models, on the wire: what reaches them, and what clients are told."""

from __future__ import annotations

import functools
import logging
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from flask_sio import Namespace, PayloadError, Server
from tests.live import Runtime, plain
from tests.server.clients import Log, Peer
from tests.server.models import User, greet

FAULTS = '"errors":[{"path":[0,"age"],"message":"is missing"}]'


def test_a_valid_payload_reaches_the_handler_as_a_model(runtime: Runtime) -> None:
    """A dataclass of the JSON object, with those in it; the result is the ack."""
    server = Server()
    server.on("greet", greet)
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('421["greet",{"name":"Ada","age":36,"friends":[{"name":"B","age":1}]}]')
        assert peer.text() == '431[["Ada",36,["User"]]]'
        peer.close()


def test_an_invalid_payload_is_answered_and_reaches_nobody(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    """By an error ack where one was asked for, else by an event; logged once per handler."""
    server, log = Server(), Log()

    @server.on("greet")
    def greet(sid: str, user: User) -> None:
        log.add(user)

    with plain(runtime, server) as live, caplog.at_level(logging.WARNING):
        peer = Peer(live)
        for _ in range(2):
            peer.send('421["greet",{"name":"Ada"}]')
            assert peer.text() == f'431[{{"error":"Invalid payload",{FAULTS}}}]'
            peer.send('42["greet",{"name":"Ada"}]')
            assert peer.text() == f'42["invalid_payload",{{"event":"greet",{FAULTS}}}]'
        peer.send('42["greet",{"name":"Ada","age":36}]')
        assert log.wait(1) == [User("Ada", 36)]
        peer.close()
    [record] = caplog.records
    assert record.name == "flask_sio.server"
    assert record.getMessage().endswith("greet: 0.age: is missing (said once for this handler)")


def test_too_many_arguments_are_the_clients_fault(runtime: Runtime) -> None:
    """The handler is not called wrongly, and nothing is logged as its failure."""
    server = Server()
    server.on("greet", greet)
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('421["greet",{"name":"Ada","age":36},2]')
        assert peer.text() == (
            '431[{"error":"Invalid payload","errors":[{"path":[1],"message":"is one too many"}]}]'
        )
        peer.close()


def test_a_handler_may_raise_it_by_itself(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    """What only the handler can know is told the same way, and is no failure."""
    server = Server()

    @server.on("join")
    def join(sid: str, room: str) -> None:
        raise PayloadError("no such room", [0])

    with plain(runtime, server) as live, caplog.at_level(logging.WARNING):
        peer = Peer(live)
        peer.send('421["join","x"]')
        assert peer.text() == (
            '431[{"error":"Invalid payload","errors":[{"path":[0],"message":"no such room"}]}]'
        )
        peer.close()
    assert caplog.records == []


def test_connect_data_is_checked(runtime: Runtime) -> None:
    """Without what the handler asks for the client is refused, and the error says why."""
    server, log = Server(), Log()

    @server.on("connect")
    def connect(sid: str, environ: dict[str, Any], auth: User) -> None:
        log.add(auth)

    with plain(runtime, server) as live:
        peer = Peer(live, join=None)
        peer.send("40")
        assert peer.text() == (
            '44{"message":"Invalid payload",'
            '"data":{"errors":[{"path":[],"message":"must be an object"}]}}'
        )
        peer.send('40{"name":"Ada"}')
        assert peer.text() == (
            '44{"message":"Invalid payload",'
            '"data":{"errors":[{"path":["age"],"message":"is missing"}]}}'
        )
        peer.join('40{"name":"Ada","age":36}')
        assert log.wait(1) == [User("Ada", 36)]
        peer.close()


def test_connect_data_may_be_optional(runtime: Runtime) -> None:
    """A model or None: a client without data is accepted."""
    server, log = Server(), Log()

    @server.on("connect")
    def connect(sid: str, environ: dict[str, Any], auth: User | None) -> None:
        log.add(auth)

    with plain(runtime, server) as live:
        Peer(live).close()
        assert log.wait(1) == [None]


class _Methods(Namespace):
    def on_greet(self, sid: str, user: User) -> str:
        return user.name


class _Trigger(_Methods):
    def trigger_event(self, event: str, *args: Any) -> Any:
        return super().trigger_event(event, *args)


@pytest.mark.parametrize("kind", [_Methods, _Trigger])
def test_methods_of_a_class(runtime: Runtime, kind: Callable[[], Namespace]) -> None:
    """The same for them, also where the class dispatches by itself."""
    server = Server()
    server.register_namespace(kind())
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('421["greet",{"name":"Ada","age":36}]', '422["greet",{"name":"Ada"}]')
        assert peer.text() == '431["Ada"]'
        assert peer.text() == f'432[{{"error":"Invalid payload",{FAULTS}}}]'
        peer.close()


def test_a_handler_of_any_namespace_and_one_of_any_event(runtime: Runtime) -> None:
    """The first is checked after its namespace; the second takes what comes."""
    server = Server(namespaces=["/", "/x"])

    @server.on("greet", namespace="*")
    def greet(namespace: str, sid: str, user: User) -> list[Any]:
        return [namespace, user.name]

    @server.on("*", namespace="/x")
    def anything(event: str, sid: str, user: User) -> str:
        return type(user).__name__

    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('421["greet",{"name":"Ada","age":36}]', '422["greet",{"name":"Ada"}]')
        assert peer.text() == '431[["/","Ada"]]'
        assert peer.text() == f'432[{{"error":"Invalid payload",{FAULTS}}}]'
        peer.send("40/x,", '42/x,1["other",{}]')
        assert peer.text().startswith("40/x,")
        assert peer.text() == '43/x,1["dict"]'
        peer.close()


def test_a_decorated_handler_has_its_own_annotations(runtime: Runtime) -> None:
    """A wrapper that hands everything on hides nothing."""
    server = Server()

    def loud(fn: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(fn)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return fn(*args, **kwargs)

        return wrapper

    server.on("greet", loud(greet))
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('421["greet",{"name":"Ada"}]')
        assert peer.text() == f'431[{{"error":"Invalid payload",{FAULTS}}}]'
        peer.close()


HANDLER = """
from __future__ import annotations
def late(sid, it: Later, more: int = 0): return it.text
def unknown(sid, it: NoSuchName): return it
def half(sid, it: Later, more: NoSuchName = 0): return it
"""
MODEL = """
from __future__ import annotations
from dataclasses import dataclass
@dataclass
class Later:
    text: str
"""


def test_a_model_may_be_defined_after_the_handler(
    runtime: Runtime, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Postponed annotations are read at the first event if their names are not there yet.

    What cannot be read then is left unchecked with a warning, but for a handler that asks for
    a model it is an error, and the handler does not run.
    """
    server = Server(error_acks=True)
    module = ModuleType("late_module")
    monkeypatch.setitem(sys.modules, "late_module", module)
    exec(HANDLER, module.__dict__)
    for name in ("late", "unknown", "half"):
        server.on(name, getattr(module, name))
    exec(MODEL, module.__dict__)
    with plain(runtime, server) as live, caplog.at_level(logging.WARNING):
        peer = Peer(live)
        peer.send('421["late",{"text":"now"}]', '422["late",{}]')
        assert peer.text() == '431["now"]'
        assert '"path":[0,"text"]' in peer.text()
        peer.send('423["unknown",5]', '424["unknown",6]', '425["half",{"text":"x"}]')
        assert peer.text() == "433[5]"
        assert peer.text() == "434[6]"
        assert peer.text() == '435[{"error":"Internal error"}]'
        peer.close()
    warned = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert len(warned) == 2
    assert warned[1].startswith("unknown has an annotation that cannot be read (name 'NoSuchName'")
    failed = [each for each in caplog.records if each.levelname == "ERROR"]
    assert len(failed) == 1


def test_pydantic_checks_its_models(runtime: Runtime) -> None:
    """By the model's own rules, with paths to the fields, and nothing of the input."""
    pydantic = pytest.importorskip("pydantic")

    class Order(pydantic.BaseModel):  # type: ignore[misc,name-defined]
        count: int = pydantic.Field(gt=0)
        name: str

    server = Server()

    def order(sid: str, orders: Any) -> list[Any]:
        return [[each.count, each.name] for each in orders]

    order.__annotations__["orders"] = list[Order]
    server.on("order", order)
    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send('421["order",[{"count":"2","name":"x"}]]', '422["order",[{"count":0}]]')
        assert peer.text() == '431[[[2,"x"]]]'
        assert peer.text() == (
            '432[{"error":"Invalid payload","errors":['
            '{"path":[0,0,"count"],"message":"Input should be greater than 0"},'
            '{"path":[0,0,"name"],"message":"Field required"}]}]'
        )
        peer.close()


def test_msgspec_checks_its_structs(runtime: Runtime) -> None:
    """By the struct's own rules, with the path that msgspec names."""
    msgspec = pytest.importorskip("msgspec")

    class Line(msgspec.Struct):  # type: ignore[misc,name-defined]
        count: int

    class Order(msgspec.Struct, forbid_unknown_fields=True):  # type: ignore[misc,name-defined,call-arg]
        lines: list[Line]
        prices: dict[str, float] | None = None

    server = Server()

    def order(sid: str, order: Any) -> int:
        return sum(each.count for each in order.lines)

    Order.__annotations__["lines"] = list[Line]
    order.__annotations__["order"] = Order
    server.on("order", order)
    with plain(runtime, server) as live:
        peer = Peer(live)
        for sent, answer in (
            ('{"lines":[{"count":2}]}', "[2]"),
            (
                '{"lines":[{"count":"2"}]}',
                '[0,"lines",0,"count"],"message":"Expected `int`, got `str`"',
            ),
            ("{}", '[0],"message":"Object missing required field `lines`"'),
            (
                '{"lines":[],"prices":{"a":"x"}}',
                '[0,"prices","..."],"message":"Expected `float`, got `str`"',
            ),
            ('{"lines":[],"x":1}', '[0],"message":"Object contains unknown field `x`"'),
        ):
            peer.send(f'421["order",{sent}]')
            if not answer.endswith("]"):
                answer = f'[{{"error":"Invalid payload","errors":[{{"path":{answer}}}]}}]'
            assert peer.text() == f"431{answer}"
        peer.close()


@pytest.mark.parametrize("with_middleware", [False, True])
def test_an_added_handler_is_checked_by_itself(
    runtime: Runtime, caplog: pytest.LogCaptureFixture, with_middleware: bool
) -> None:
    """The first one's answer is its own; the client is told of the other, and nothing failed."""
    server = Server()
    if with_middleware:
        server.use_event(lambda socket, event, args: None)
    server.on("greet", lambda sid, user: "seen")
    server.on("greet", greet, add=True)
    with plain(runtime, server) as live, caplog.at_level(logging.ERROR):
        peer = Peer(live)
        peer.send('421["greet",{"name":"Ada"}]')
        told = {peer.text(), peer.text()}
        peer.close()
    assert told == {'431["seen"]', f'42["invalid_payload",{{"event":"greet",{FAULTS}}}]'}
    assert [each for each in caplog.records if each.levelno >= logging.ERROR] == []


def test_values_of_a_namespaces_name_stand_beside_models(runtime: Runtime) -> None:
    """They are the program's, wherever the handler has them; the client's arguments are checked."""
    server = Server()

    @server.on("greet", namespace="/job/<int:number>")
    def greet(namespace: str, sid: str, user: User, number: int, loud: bool = False) -> list[Any]:
        return [namespace, user.name, number, loud]

    with plain(runtime, server) as live:
        peer = Peer(live)
        peer.send("40/job/7,")
        assert peer.text().startswith("40/job/7,")
        peer.send('42/job/7,1["greet",{"name":"Ada","age":36},true]')
        assert peer.text() == '43/job/7,1[["/job/7","Ada",7,true]]'
        peer.send('42/job/7,2["greet",{"name":"Ada"}]')
        assert peer.text() == f'43/job/7,2[{{"error":"Invalid payload",{FAULTS}}}]'
        peer.close()
