"""One Engine.IO connection against a model of it, in every order of events.

The model knows what both sides said; the connection must lose nothing, repeat nothing,
keep the order, end once, and leave nothing behind.
"""

from __future__ import annotations

from typing import Any

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from flask_sio.engine.connection import Connection
from flask_sio.engine.polling import HeldPoll, Packets
from flask_sio.engine.server import Engine
from flask_sio.engine.websocket import Probe, WebSocket
from flask_sio.options import ServerOptions
from flask_sio.protocol import eio
from flask_sio.protocol.encoded import Encoded
from tests.virtual import CONTEXT, VirtualLoop, VirtualStream

MESSAGES = st.sampled_from(["a", "b", "é", ""])


PHASES = [Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink]
"""Without the one that explains: it takes longer than a test may."""


class Handler:
    def __init__(self) -> None:
        self.got: list[Any] = []
        self.ends = 0

    def message(self, data: str | bytes) -> None:
        assert not self.ends, "a message after the end"
        self.got.append(data)

    def closing(self) -> None:
        pass

    def closed(self, reason: str, description: str) -> None:
        self.ends += 1


class EngineMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualLoop()
        options = ServerOptions.build({"max_connections": 1000})
        self.handlers: list[Handler] = []
        self.engine = Engine(options, self._accept)
        self.engine.running = self.loop  # type: ignore[assignment]
        self.begin()

    def begin(self) -> None:
        self.connection: Connection = self.engine.open("S", {}, CONTEXT, polling=True)
        self.handler = self.handlers[-1]
        self.polls: list[HeldPoll] = []
        self.probe: VirtualStream | None = None
        self.is_probed = self.is_committed = False
        self.websocket: VirtualStream | None = None
        # The model: what each side has said, and what of it must have come.
        self.said: list[str] = []
        self.heard: list[str] = []
        self.posted: list[str] = []
        self.is_over = False
        self.count = 0

    @precondition(lambda self: self.connection.state == "closed")
    @rule()
    def begin_again(self) -> None:
        self.begin()

    def _accept(self, connection: Connection) -> Handler:
        self.handlers.append(Handler())
        return self.handlers[-1]

    # -- what the client reads ---------------------------------------------------------

    def settle(self) -> None:
        self.loop.settle()
        for poll in list(self.polls):
            if isinstance(poll.given, Packets):
                self.polls.remove(poll)
                assert 0 < len(poll.given.parts) <= 16
                for part in poll.given.parts:
                    self._read(part)
        for stream in (self.probe, self.websocket):
            for opcode, payload in () if stream is None else stream.frames():
                if opcode == 1:
                    self._read(payload.decode())
        if self.probe is not None and not self.probe.is_open:
            self.probe, self.is_probed = None, False
        if self.websocket is not None and not self.websocket.is_open:
            self.is_over = True
        if self.connection.state != "open":
            self.is_over = True

    def _read(self, part: Any) -> None:
        assert isinstance(part, str)
        if part[:1] == "4":
            self.heard.append(part[1:])
        elif part == eio.PING:
            self.pinged = True
        elif part == eio.CLOSE:
            self.is_over = True

    # -- what may happen ---------------------------------------------------------------

    @property
    def _may_end(self) -> bool:
        """Whether enough has happened: most orders of events would end in the beginning."""
        return self.count % 4 == 3

    @precondition(lambda self: self.websocket is None)
    @rule()
    def poll(self) -> None:
        if self.polls and not self._may_end:
            return
        overlaps = self.connection.polling is not None and self.connection.polling.held is not None
        poll = HeldPoll()
        self.polls.append(poll)
        if not self.loop.call(self.connection.get, poll) and poll.given is None:
            self.polls.remove(poll)  # refused: 400
        self.settle()
        if overlaps:
            assert self.is_over
            self.polls.clear()

    @rule(data=st.lists(MESSAGES, max_size=20))
    def emit_several(self, data: list[str]) -> None:
        for each in data:
            self.emit(each)

    def emit(self, data: str) -> None:
        self.count += 1
        text = f"{self.count}{data}"
        taken = self.loop.call(self.connection.send, Encoded("4" + text))
        assert taken == (not self.is_over)
        if taken:
            self.said.append(text)
        self.settle()

    @rule(data=st.lists(MESSAGES, max_size=3), close=st.booleans())
    def post(self, data: list[str], close: bool) -> None:
        was_over, is_polling = self.is_over, self.websocket is None
        close = close and self._may_end
        if not self.loop.call(self.connection.begin_post):
            assert was_over or not is_polling
            return
        packets = [eio.Packet("4", each) for each in data]
        if close:
            packets.append(eio.Packet("1", ""))
            packets.append(eio.Packet("4", "behind the close"))
        self.loop.call(self.connection.post, packets)
        self.loop.call(self.connection.end_post)
        if not was_over:
            self.posted += data
            self.is_over = close
        self.settle()

    @precondition(lambda self: self._may_end)
    @rule()
    def post_twice_at_once(self) -> None:
        if self.websocket is None and self.loop.call(self.connection.begin_post):
            assert not self.loop.call(self.connection.begin_post)
            self.settle()
            assert self.is_over

    @precondition(lambda self: self.websocket is None and self.connection.polling is not None)
    @rule()
    def begin_upgrade(self) -> None:
        if self.connection.probe is not None or self.is_over:
            return
        self.probe = VirtualStream(self.loop)
        probe = self.connection.probe = self.loop.call(Probe, self.connection)
        socket = WebSocket(probe, self.probe.attach, max_message_bytes=1000)
        self.engine.keep(self.probe)
        self.loop.call(probe.start, socket)
        self.settle()

    @precondition(lambda self: self.probe is not None)
    @rule(text=st.sampled_from(["2probe", "2probe", "2", "4x", "junk", "5"]))
    def use_probe(self, text: str) -> None:
        probe = self.probe
        assert probe is not None
        probe.feed(text)
        if text == "2probe":
            self.is_probed = True
        elif text == "5":
            if not self.is_over:
                self.websocket, self.probe = probe, None
                self.polls_that_end = list(self.polls)
        self.settle()
        if text not in ("2probe", "5"):
            assert not probe.is_open, "a bad message ends the probe"
        if text == "5" and self.websocket is probe:
            assert not self.polls, "a held GET is released by the commit"

    @precondition(lambda self: self.websocket is None)
    @rule(data=st.lists(MESSAGES, max_size=20))
    def upgrade_while_emitting(self, data: list[str]) -> None:
        """The usual course, with packets on their way before and between."""
        self.begin_upgrade()
        for at, each in enumerate(data):
            self.emit(each)
            if at == 1 and self.probe is not None:
                self.use_probe("2probe")
        if self.probe is not None:
            self.use_probe("5")

    @precondition(lambda self: self.probe is not None or self.websocket is not None)
    @rule()
    def lose_websocket(self) -> None:
        lost = self.websocket or self.probe
        assert lost is not None
        was_over = self.is_over
        lost.lose()
        self.settle()
        assert self.is_over == (was_over or lost is self.websocket)

    @precondition(lambda self: self.websocket is not None)
    @rule(data=st.lists(MESSAGES, max_size=3))
    def send(self, data: list[str]) -> None:
        assert self.websocket is not None
        was_over = self.is_over
        self.websocket.feed(*("4" + each for each in data))
        if not was_over:
            self.posted += data
        self.settle()

    @rule()
    def pong(self) -> None:
        if self.websocket is not None:
            self.websocket.feed("3")
        else:
            self.loop.call(self.connection.post, [eio.Packet("3", "")])
        self.settle()

    @rule(seconds=st.sampled_from([0.1, 11, 24, 46]))
    def wait(self, seconds: float) -> None:
        if seconds > 45 and not self._may_end:
            return
        self.loop.advance(seconds)
        self.settle()
        if seconds > 45:  # interval and timeout together, and nobody has said anything
            assert self.is_over

    @precondition(lambda self: self._may_end)
    @rule()
    def close(self) -> None:
        self.loop.call(self.connection.close)
        self.settle()
        assert self.is_over

    # -- what must hold ----------------------------------------------------------------

    @invariant()
    def nothing_is_lost_or_repeated(self) -> None:
        assert self.heard == self.said[: len(self.heard)]
        assert self.handler.got == self.posted
        held = self.connection.polling is not None and self.connection.polling.held is not None
        if not self.is_over and (held or self.websocket is not None):
            assert self.heard == self.said, "who listens has heard all"

    @invariant()
    def it_ends_once_and_leaves_nothing(self) -> None:
        assert self.handler.ends == (1 if self.is_over else 0)
        if self.connection.state == "closed":
            assert not self.engine.connections
            assert not [stream for stream in self.engine.streams if stream.is_open]
            assert not self.polls, "a GET is held for nobody"
            assert len(self.loop.wheel) == 0, "a timer is left"

    def teardown(self) -> None:
        self.loop.call(self.connection.end, "transport close")
        self.loop.advance(60)
        self.settle()
        assert not self.engine.connections
        assert len(self.loop.wheel) == 0


EngineMachine.TestCase.settings = settings(max_examples=120, stateful_step_count=30, deadline=None)
TestEngineMachine = EngineMachine.TestCase
