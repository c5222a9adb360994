"""One client's Socket.IO packets against a model of what they do, in every order.

The model is the table of `flask_sio/server/client.py`; beside it are rooms, acks, binary
packets and what a handler is given. After a client has gone nothing of it may be left.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from flask_sio import Server
from flask_sio.engine.websocket import WebSocket
from tests.virtual import CONTEXT, VirtualLoop, VirtualStream

NAMESPACES = st.sampled_from(["/", "/", "/a", "/a", "/refuses", "/unserved"])
SERVED = ("/", "/a")
ONE = '{"_placeholder":true,"num":0}'


PHASES = [Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink]
"""Without the one that explains: it takes longer than a test may."""


def prefix(namespace: str) -> str:
    return "" if namespace == "/" else f"{namespace},"


class ServerMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualLoop()
        self.server = Server(max_rooms=2)
        self.server.engine.running = self.loop  # type: ignore[assignment]
        self.handled: list[Any] = []
        for namespace in SERVED:
            self._register(namespace)

        @self.server.on("connect", namespace="/refuses")
        def refuse(sid: str, environ: Any) -> bool:
            return False

        self.numbers = 0
        self.begin()

    def _register(self, namespace: str) -> None:
        @self.server.on("connect", namespace=namespace)
        def connect(sid: str, environ: Any, auth: Any) -> None:
            self.handled.append((namespace, "connect", auth))

        @self.server.on("say", namespace=namespace)
        def say(sid: str, *args: Any) -> Any:
            self.handled.append((namespace, "say", *args))
            return args

        @self.server.on("disconnect", namespace=namespace)
        def disconnect(sid: str, reason: str) -> None:
            self.handled.append((namespace, "disconnect"))

    def begin(self) -> None:
        """Let a client come, on a WebSocket."""
        engine = self.server.engine
        self.stream = VirtualStream(self.loop)
        connection = engine.open(f"S{self.numbers}", {}, CONTEXT, polling=False)
        self.websocket = WebSocket(connection, self.stream.attach, max_message_bytes=10_000)
        connection.websocket = self.websocket
        engine.keep(self.stream)
        # The model.
        self.is_over = False
        self.sids: dict[str, str] = {}
        self.left: set[str] = set()
        self.rooms: dict[str, set[str]] = {}
        self.asked: dict[str, list[int]] = {}
        self.due: list[bytes] | None = None
        self.handled.clear()
        self.wanted: list[Any] = []

    @precondition(lambda self: self.is_over)
    @rule()
    def begin_again(self) -> None:
        self.begin()

    # -- both sides --------------------------------------------------------------------

    def send(self, *messages: str | bytes) -> list[str]:
        """Send messages; return what the client reads for it."""
        self.numbers += 1
        self.stream.feed(*("4" + m if isinstance(m, str) else m for m in messages))
        return self.read()

    def read(self) -> list[str]:
        self.loop.settle()
        return [payload.decode()[1:] for opcode, payload in self.stream.frames() if opcode == 1]

    def _violated(self, read: list[str]) -> None:
        """A packet that closes: every namespace is left, and nothing explains it."""
        assert read == []
        self._over()

    def _over(self) -> None:
        self.is_over = True
        self.wanted += [(namespace, "disconnect") for namespace in self.sids]
        self.due = None

    def _interrupts(self, read: list[str]) -> bool:
        """Text while attachments are due closes, whatever it says."""
        if self.due is None:
            return False
        self._violated(read)
        return True

    # -- what a client may send --------------------------------------------------------

    @precondition(lambda self: not self.is_over)
    @rule(namespace=NAMESPACES, auth=st.none() | st.just({"token": 1}))
    def connect(self, namespace: str, auth: Any) -> None:
        text = "" if auth is None else json.dumps(auth)
        if namespace in self.sids and self.numbers % 3:
            return  # it closes, and too often
        read = self.send(f"0{prefix(namespace)}{text}")
        if self._interrupts(read):
            return
        if namespace in self.sids:
            self._violated(read)
        elif namespace in SERVED:
            (answer,) = read
            head = f"0{prefix(namespace)}"
            assert answer.startswith(head + '{"sid":"')
            self.sids[namespace] = json.loads(answer[len(head) :])["sid"]
            self.left.discard(namespace)
            self.rooms[namespace] = set()
            self.asked[namespace] = []
            self.wanted.append((namespace, "connect", auth))
        else:
            assert len(read) == 1
            assert read[0].startswith(f"4{namespace},")
            self.left.add(namespace)

    @precondition(lambda self: not self.is_over and self.due is None)
    @rule(namespace=NAMESPACES, ack=st.none() | st.integers(0, 3), data=st.integers())
    def say(self, namespace: str, ack: int | None, data: int) -> None:
        if self._is_unasked(namespace):
            return
        number = "" if ack is None else str(ack)
        read = self.send(f'2{prefix(namespace)}{number}["say",{data}]')
        if self._expects(namespace, read):
            self.wanted.append((namespace, "say", data))
            assert read == ([] if ack is None else [f"3{prefix(namespace)}{number}[{data}]"])

    @precondition(lambda self: not self.is_over and self.due is None)
    @rule(namespace=st.sampled_from(SERVED), count=st.integers(1, 3))
    def begin_binary(self, namespace: str, count: int) -> None:
        if namespace not in self.sids:
            return
        places = ",".join(f'{{"_placeholder":true,"num":{n}}}' for n in range(count))
        assert self.send(f'5{count}-{prefix(namespace)}["say",{places}]') == []
        self.due, self.due_for, self.due_count = [], namespace, count

    @precondition(lambda self: not self.is_over)
    @rule(data=st.binary(max_size=3))
    def attach(self, data: bytes) -> None:
        if self.due is None and self.numbers % 4:
            return
        read = self.send(data)
        if self.due is None:
            self._violated(read)
            return
        self.due.append(data)
        assert read == []
        if len(self.due) == self.due_count:
            if self.due_for in self.sids:  # else it is late
                self.wanted.append((self.due_for, "say", *self.due))
            self.due = None

    @precondition(lambda self: not self.is_over and self.due is None)
    @rule(namespace=NAMESPACES)
    def leave(self, namespace: str) -> None:
        if self._is_unasked(namespace):
            return
        read = self.send(f"1{prefix(namespace)}")
        if self._expects(namespace, read):
            assert read == []
            self._has_left(namespace)

    @precondition(lambda self: not self.is_over and self.numbers % 5 == 4)
    @rule(text=st.sampled_from(["x", '2["connect"]', "2{}", '59["x"]', "2[", "0[]", "4{}"]))
    def send_junk(self, text: str) -> None:
        self._violated(self.send(text))

    @precondition(lambda self: not self.is_over and self.numbers % 5 == 4)
    @rule()
    def vanish(self) -> None:
        self.stream.lose()
        self.loop.settle()
        self._over()

    def _is_unasked(self, namespace: str) -> bool:
        """Spare most packets for a namespace never asked for: each ends the connection."""
        is_asked = namespace in self.sids or namespace in self.left
        return not is_asked and bool(self.numbers % 5)

    def _expects(self, namespace: str, read: list[str]) -> bool:
        """Whether the packet was for a joined namespace; check what else it does."""
        if namespace in self.sids:
            return True
        if namespace in self.left:
            assert read == [], "late packets are ignored"
        else:
            self._violated(read)
        return False

    def _has_left(self, namespace: str) -> None:
        self.wanted.append((namespace, "disconnect"))
        del self.sids[namespace], self.rooms[namespace], self.asked[namespace]
        self.left.add(namespace)

    # -- what a program may do ---------------------------------------------------------

    @precondition(lambda self: bool(self.sids) and not self.is_over)
    @rule(room=st.sampled_from(["r", "s", "t"]), data=st.data())
    def join(self, room: str, data: Any) -> None:
        namespace = data.draw(st.sampled_from(sorted(self.sids)))
        rooms = self.rooms[namespace]
        try:
            self.server.enter_room(self.sids[namespace], room, namespace)
        except ValueError:
            assert len(rooms) == 2
            assert room not in rooms
        else:
            rooms.add(room)

    @precondition(lambda self: bool(self.sids) and not self.is_over)
    @rule(room=st.sampled_from(["r", "s", "t"]), namespace=st.sampled_from(SERVED))
    def emit_to_room(self, room: str, namespace: str) -> None:
        self.server.emit("news", 1, to=room, namespace=namespace)
        told = room in self.rooms.get(namespace, ())
        assert self.read() == ([f'2{prefix(namespace)}["news",1]'] if told else [])

    @precondition(lambda self: bool(self.sids) and not self.is_over)
    @rule(data=st.data())
    def leave_room(self, data: Any) -> None:
        namespace = data.draw(st.sampled_from(sorted(self.sids)))
        self.server.leave_room(self.sids[namespace], "r", namespace)
        self.rooms[namespace].discard("r")

    @precondition(lambda self: bool(self.sids) and not self.is_over)
    @rule(data=st.data())
    def ask(self, data: Any) -> None:
        namespace = data.draw(st.sampled_from(sorted(self.sids)))

        def callback(*args: Any) -> None:
            self.handled.append((namespace, "answer", *args))

        self.server.emit("ask", to=self.sids[namespace], namespace=namespace, callback=callback)
        (read,) = self.read()
        head, tail = f"2{prefix(namespace)}", '["ask"]'
        assert read.startswith(head)
        assert read.endswith(tail)
        self.asked[namespace].append(int(read[len(head) : -len(tail)]))

    @precondition(lambda self: bool(self.sids) and not self.is_over and self.due is None)
    @rule(data=st.data(), is_known=st.booleans())
    def answer(self, data: Any, is_known: bool) -> None:
        namespace = data.draw(st.sampled_from(sorted(self.sids)))
        asked = self.asked[namespace]
        number = asked.pop(0) if is_known and asked else 999
        assert self.send(f'3{prefix(namespace)}{number}["yes"]') == []
        if number != 999:
            self.wanted.append((namespace, "answer", "yes"))

    @precondition(lambda self: bool(self.sids) and not self.is_over)
    @rule(data=st.data())
    def disconnect_it(self, data: Any) -> None:
        namespace = data.draw(st.sampled_from(sorted(self.sids)))
        self.server.disconnect(self.sids[namespace], namespace)
        assert self.read() == [f"1{prefix(namespace)}"]
        self._has_left(namespace)

    # -- what must hold ----------------------------------------------------------------

    @invariant()
    def handlers_saw_what_was_sent(self) -> None:
        assert sorted(map(repr, self.handled)) == sorted(map(repr, self.wanted))
        live = [each for each in self.handled if each[1] != "disconnect"]
        assert live == [each for each in self.wanted if each[1] != "disconnect"], "in order"

    @invariant()
    def the_connection_is_what_the_model_says(self) -> None:
        assert self.stream.is_open == (not self.is_over)
        engine = self.server.engine
        if not self.is_over:
            return
        self.loop.advance(1.1)  # `disconnect_wait`, for handlers that might hang
        assert not engine.connections
        assert not engine.streams
        assert not len(self.server.lobby)
        assert len(self.loop.wheel) == 0, "a timer is left"
        for space in self.server.spaces.values():
            assert not space.rooms.everyone
            assert not space.rooms._rooms
            assert not space.rooms._joined


ServerMachine.TestCase.settings = settings(max_examples=120, stateful_step_count=30, deadline=None)
TestServerMachine = ServerMachine.TestCase
