"""Links and who is at their other end. Owner's turn only.

Two workers that start at the same moment may dial each other. Both connections stay, and
each side sends on the first it knew: so what one side sends stays in order, and nothing has
to be agreed on. The end of either is the end of the peer: a kernel closes what a process
leaves open, also a process that was killed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from flask_sio.engine import http
from flask_sio.engine.http import Response
from flask_sio.engine.polling import HeldPoll
from flask_sio.mesh import frames
from flask_sio.mesh.frames import Decoder, Frame, LinkError
from flask_sio.runtime.stream import Stream

if TYPE_CHECKING:
    from flask_sio.mesh.mesh import Mesh
    from flask_sio.protocol.timers import Timer

Answered = Callable[[Response], object]


class Peer:
    """Another worker, and what is under way between it and this one."""

    __slots__ = (
        "_asked",
        "_mesh",
        "_number",
        "clients",
        "draining",
        "held",
        "links",
        "pid",
        "stalled_s",
        "tag",
    )

    def __init__(self, mesh: Mesh, tag: str) -> None:
        self._mesh = mesh
        self.tag = tag
        self.pid = 0
        self.draining = False
        self.clients = 0
        self.stalled_s = 0.0
        self.links: list[Link] = []
        self.held: dict[int, tuple[str, HeldPoll]] = {}
        """Its GETs that wait here, by its numbers: the session's id, and what is held."""
        self._asked: dict[int, tuple[Answered, Timer]] = {}
        self._number = 0

    @property
    def queued_bytes(self) -> int:
        """What it has not taken yet."""
        return self.links[0].stream.buffered_bytes if self.links else 0

    def takes(self, payload: bytes) -> bool:
        """Whether it is no bigger than a frame may be."""
        return len(payload) <= self._mesh.max_payload

    def send(self, kind: int, number: int, payload: bytes = b"") -> None:
        """Send a frame; nothing happens if it has gone."""
        self.send_frame(frames.encode(kind, number, payload))

    def send_frame(self, frame: bytes) -> None:
        """Send a frame that is encoded.

        A peer that does not read is given up before what waits for it fills the memory.
        """
        if not self.links:
            return
        stream = self.links[0].stream
        stream.send(frame)
        if stream.buffered_bytes > self._mesh.max_queued_bytes:
            self._mesh.give_up(self, "it does not take what it is sent")

    def ask(self, payload: bytes, answered: Answered, timeout: float) -> int:
        """Send a request; ``answered`` is called once, in a turn.

        Returns its number, or 0 if it has been answered already: the peer has gone.
        """
        if not self.links:
            answered(http.error(1))
            return 0
        self._number += 1
        number, loop = self._number, self._mesh.loop
        timer = loop.call_at(loop.now() + timeout, lambda: self._late(number))
        self._asked[number] = answered, timer
        self.send(frames.REQUEST, number, payload)
        return number if number in self._asked else 0

    def take_answer(self, number: int, response: Response) -> None:
        """Settle a request; one that nobody waits for any more is dropped."""
        answered = self.forget(number)
        if answered is not None:
            answered(response)

    def forget(self, number: int) -> Answered | None:
        """Wait for an answer no longer."""
        asked = self._asked.pop(number, None)
        if asked is None:
            return None
        asked[1].cancel()
        return asked[0]

    @property
    def waiting(self) -> Iterable[int]:
        """The numbers of the requests that have no answer yet."""
        return list(self._asked)

    def _late(self, number: int) -> None:
        # After a stall timers fire before readable sockets: look once more.
        for link in list(self.links):
            link.stream.read_now()
        self._mesh.loop.soon(self.take_answer, number, http.unavailable())

    def end(self) -> None:
        """Fail what waits for it: its sessions have ended with it."""
        links, self.links = self.links, []
        for link in links:
            link.stream.abort()
        for number in self.waiting:
            self.take_answer(number, http.error(1))


class Link:
    """One connection to a peer."""

    __slots__ = ("_decoder", "_is_known", "_mesh", "peer", "stream")

    def __init__(self, mesh: Mesh, sock: Any, peer: Peer, decoder: Decoder | None = None) -> None:
        """Begin on a connection that was dialled, or (``decoder``) whose HELLO has come."""
        self._mesh = mesh
        self.peer = peer
        self._is_known = decoder is not None
        self._decoder = decoder or mesh.new_decoder()
        self.stream = Stream(mesh.loop, sock, self)
        peer.links.append(self)
        self.stream.send(frames.encode(frames.HELLO, 0, mesh.hello()))

    def received(self, data: bytes) -> None:
        try:
            self.act(self._decoder.feed(data))
        except LinkError as error:
            self._mesh.give_up(self.peer, str(error))

    def act(self, received: list[Frame]) -> None:
        """Act on frames in their order.

        Raises:
            LinkError: no peer sends that.
        """
        for frame in received:
            if not self._is_known:
                self._greet(frame)
            else:
                self._mesh.act(self.peer, frame)
            if not self.stream.is_open:
                return

    def _greet(self, frame: Frame) -> None:
        hello = read_hello(frame)
        if hello["tag"] != self.peer.tag:
            raise LinkError("its socket has another's name")
        self._is_known = True
        self._mesh.greeted(self.peer, hello)

    def gone(self) -> None:
        self._mesh.lost(self.peer)


def read_hello(frame: Frame) -> dict[str, Any]:
    """Return what a peer says of itself.

    Raises:
        LinkError: it is no HELLO, or one of another protocol.
    """
    if frame.kind != frames.HELLO:
        raise LinkError(f"it begins with a frame of kind {frame.kind}")
    hello = frames.from_json(frame.payload)
    if hello.get("proto") != frames.PROTO:
        raise LinkError(f"it speaks revision {hello.get('proto')!r} of the mesh")
    tag = hello.get("tag")
    if not isinstance(tag, str) or len(tag) != 6:
        raise LinkError("it has no tag")
    return hello
