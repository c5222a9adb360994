"""This worker among the others of its host.

Started by the first request, or the first `publish`, of a process: after gunicorn's fork,
with and without ``--preload``. From then on the end of a link is how a worker's end is
noticed, and the directory is read again only then.

The rule that lets nobody be missed: a worker listens before it looks who else does. So of
two workers at least one finds the other, and it has said so, in that one's queue of
connections, before it serves its first client. Who meets an id that it does not know
therefore looks into that queue first (`Mesh.find`), and then knows.
"""

from __future__ import annotations

import _socket
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from flask_sio import ids
from flask_sio.mesh import directory, frames
from flask_sio.mesh.directory import Directory, Unusable
from flask_sio.mesh.door import Door
from flask_sio.mesh.frames import MAX_PAYLOAD, Decoder, Frame, LinkError
from flask_sio.mesh.link import Link, Peer, read_hello
from flask_sio.mesh.owner import Owner, read_answer
from flask_sio.mesh.place import Place
from flask_sio.mesh.remote import RemoteSession
from flask_sio.runtime import worker
from flask_sio.runtime.loop import log_error
from flask_sio.runtime.takeover import plain_socket

if TYPE_CHECKING:
    from flask_sio.engine.gate import EngineRequest
    from flask_sio.engine.server import Engine
    from flask_sio.mesh.passing import Arrival
    from flask_sio.runtime.loop import Loop

__all__ = ["Mesh"]

logger = logging.getLogger("flask_sio.mesh")

DIAL_S = 1.0
RETRY_S = 0.5
"""When to look again for workers that could not be reached, or were lost but may live."""
STATE_S = 5.0
RELEASE_S = 1.0
"""When an ending worker knows which of its peers end too, and until it looks again."""
_MAX_QUEUED_BYTES = 2 * MAX_PAYLOAD
_POST_SLACK_BYTES = 65536
_TAG = 6

_APART = (
    "%s: a worker knows its own clients only, so that polling fails (400) whenever another one "
    "is asked, and rooms and broadcasts end at the worker. %s, or run one worker: -w 1"
)


class Mesh:
    """The links of one server in this process.

    `publish`, `send` and `tags` may be called from any thread, everything else in the
    owner's turn unless it says otherwise.
    """

    def __init__(
        self, engine: Engine, wanted: bool | None, chosen_directory: str | None, path: str
    ) -> None:
        self.engine = engine
        self.tag = ""
        """Of this worker: what its clients' ids begin with. Set before `join` in tests only."""
        self.directory: Directory
        self.peers: dict[str, Peer] = {}
        self.on_message: Callable[[str, bytes], object] = _nothing
        """Called with a peer's tag and what it has sent by `publish` or `send`."""
        self.on_peer: Callable[[str], object] = _nothing
        """Called with the tag of a peer that is there from now on."""
        self.on_peer_lost: Callable[[str], object] = _nothing
        """Called with the tag of a peer whose process, or link, has ended."""
        options = engine.options
        # A POST comes here as it is; an answer to a GET has what was queued, bytes in base64.
        post = options.max_http_buffer_size + _POST_SLACK_BYTES
        most = max(post, 2 * options.max_outbound_bytes)
        self.max_payload = max(MAX_PAYLOAD, most)
        self.max_queued_bytes = max(_MAX_QUEUED_BYTES, 2 * most)
        self._wanted = wanted
        self._place = Place(chosen_directory, path)
        self._owner = Owner(engine)
        self.door = Door(self)
        self._lock = threading.Lock()
        self._reset()

    def _reset(self) -> None:
        self.peers = {}
        self._is_on: bool | None = None
        self._draining = False
        self._release_at = 0.0
        self._told = 0
        self._tell_at = 0.0
        self._unfit: set[str] = set()

    @property
    def loop(self) -> Loop:
        return self.engine.loop

    # -- beginning and end -------------------------------------------------------------

    def join(self) -> bool:
        """Find the others and be found, once; return whether that is wanted and possible."""
        with self._lock:
            if self._is_on is None:
                self._is_on = self._join()
            return self._is_on

    @property
    def is_due(self) -> bool:
        """Whether there may be other workers to link to. Any thread."""
        return worker.count() > 1 if self._wanted is None else self._wanted

    def _join(self) -> bool:
        workers = worker.count()
        if not self.is_due:
            if workers > 1:
                what = f"gunicorn runs {workers} workers, which mesh=False keeps apart"
                self.engine.warn_once(_APART, what, "Leave mesh out")
            return False
        self.tag = self.tag or ids.worker_prefix(self.engine.options.host_tag)
        try:
            self.directory, listener = self._place.listen(self.tag)
        except Unusable as error:
            what = (
                f"{max(workers, 2)} workers" if workers < 2 else f"gunicorn runs {workers} workers"
            )
            self.engine.warn_once(
                _APART,
                f"{what}, but they cannot be linked ({error})",
                f"Set mesh_dir= or {directory.ENVIRONMENT} to a directory of this user's own",
            )
            return False
        dialled = [(tag, sock) for tag in self._strangers() if (sock := self._dial(tag, DIAL_S))]
        self.loop.call(self._begin, listener, dialled)
        return True

    def _begin(self, listener: _socket.socket, dialled: Iterable[tuple[str, Any]]) -> None:
        self.door.open(listener)
        self.loop.on_tick(self._tick)
        for tag, sock in dialled:
            self._link(tag, sock)

    def drain(self) -> None:
        """Tell the peers that this worker ends; soon it holds no polls for them any more."""
        if self._is_on and not self._draining:
            self._draining = True
            self._release_at = self.loop.now() + RELEASE_S
            self._tell()

    def _release(self) -> None:
        """Have the polls answered that wait here, but for those of owners that end as well.

        Such an owner closes the session itself, and its answer comes this way.
        """
        for peer in list(self.peers.values()):
            if not peer.draining:
                for number in peer.waiting:
                    peer.send(frames.RELEASE, number)

    def close(self) -> None:
        """Leave: who asks from now on is told that this worker's sessions have ended."""
        if not self._is_on:
            return
        self._is_on = False
        self.directory.remove(self.tag)
        self.door.close()
        for peer in list(self.peers.values()):
            self._end(peer)

    def forget(self) -> None:
        """In a forked child: close the copies, and remove nothing that is the parent's."""
        for peer in self.peers.values():
            for link in peer.links:
                link.stream.close_in_child()
        self.door.forget()
        self._place.forget()
        self.tag = ""
        self._lock = threading.Lock()
        self._reset()

    # -- links -------------------------------------------------------------------------

    def new_decoder(self) -> Decoder:
        return Decoder(self.max_payload)

    def hello(self) -> bytes:
        """What this worker says first on each link."""
        return frames.to_json(
            {
                "proto": frames.PROTO,
                "tag": self.tag,
                "pid": os.getpid(),
                "draining": self._draining,
            }
        )

    def _strangers(self) -> list[str]:
        known = {self.tag, *self.peers, *self._unfit}
        return [tag for tag in self.directory.tags() if tag not in known]

    def _dial(self, tag: str, timeout: float = 0.0) -> _socket.socket | None:
        try:
            return self.directory.connect(tag, timeout)
        except (BlockingIOError, TimeoutError):
            self.loop.run(self._look_later)
        except OSError:
            pass  # nobody is there any more
        return None

    def _link(self, tag: str, sock: _socket.socket) -> None:
        peer = self.peers.get(tag)
        if peer is None:
            peer = self.peers[tag] = Peer(self, tag)
        is_new = not peer.links
        Link(self, plain_socket(sock), peer)
        if is_new:
            self._hand_up(self.on_peer, tag)

    def _look_later(self) -> None:
        self.loop.call_at(self.loop.now() + RETRY_S, self._look)

    def _look(self) -> None:
        if self._is_on:
            for tag in self._strangers():
                sock = self._dial(tag)
                if sock is not None:
                    self._link(tag, sock)

    def welcome(self, arrival: Arrival, received: list[Frame], decoder: Decoder) -> None:
        """Make a link of a connection whose first frames have come.

        Raises:
            LinkError: it is none.
        """
        hello = read_hello(received[0])
        tag = hello["tag"]
        if tag == self.tag:
            raise LinkError("it has this worker's tag")
        peer = self.peers.get(tag)
        if peer is None:
            peer = self.peers[tag] = Peer(self, tag)
        is_new = not peer.links
        self.greeted(peer, hello)
        link = Link(self, arrival.release(), peer, decoder)
        if is_new:
            self._hand_up(self.on_peer, tag)
        try:
            link.act(received[1:])
        except LinkError as error:
            self.give_up(peer, str(error))

    def greeted(self, peer: Peer, hello: dict[str, Any]) -> None:
        """Take what a peer says of itself."""
        peer.pid = hello.get("pid", 0)
        peer.draining = bool(hello.get("draining"))

    def give_up(self, peer: Peer, why: str) -> None:
        """End the links to a peer that lives but cannot be talked to."""
        if self.peers.get(peer.tag) is not peer:
            return
        if peer.pid == 0:
            self._unfit.add(peer.tag)  # it has never said who it is, and would not next time
        self.loop.defer(logger.warning, "the link to worker %d ended: %s", peer.pid, why)
        self.lost(peer)

    def lost(self, peer: Peer) -> None:
        """Learn that a peer, or the link to it, has ended."""
        if self.peers.get(peer.tag) is peer:
            self._end(peer)
            if self._is_on:
                self._look_later()

    def _end(self, peer: Peer) -> None:
        del self.peers[peer.tag]
        peer.end()
        self._owner.lost(peer)
        self._hand_up(self.on_peer_lost, peer.tag)

    # -- requests ----------------------------------------------------------------------

    def find(self, request: EngineRequest) -> RemoteSession | None:
        """Return the session of a request if another worker owns it. Any thread."""
        tag = request.sid[:_TAG]
        if tag == self.tag:
            return None
        peer = self.peers.get(tag) or self.loop.call(self._catch_up, tag)
        return None if peer is None else RemoteSession(self, peer, request)

    def _catch_up(self, tag: str) -> Peer | None:
        self.door.catch_up()
        return self.peers.get(tag)

    def act(self, peer: Peer, frame: Frame) -> None:
        """Act on one frame of a peer.

        Raises:
            LinkError: no peer sends that.
        """
        kind = frame.kind
        if kind == frames.REQUEST:
            self._owner.request(peer, frame)
        elif kind == frames.ANSWER:
            peer.take_answer(frame.id, read_answer(frame.payload))
        elif kind in (frames.BROADCAST, frames.DIRECT):
            self._hand_up(self.on_message, peer.tag, frame.payload)
        else:
            self._act_rarely(peer, frame)

    def _act_rarely(self, peer: Peer, frame: Frame) -> None:
        if frame.kind == frames.ABORT:
            self._owner.abort(peer, frame)
        elif frame.kind == frames.RELEASE:
            self._owner.release(peer, frame)
        elif frame.kind == frames.END:
            self._owner.end(frame)
        elif frame.kind == frames.STATE:
            state = frames.from_json(frame.payload)
            peer.draining = bool(state.get("draining"))
            peer.clients = int(state.get("clients", 0))
            peer.stalled_s = float(state.get("stalled_s", 0))
        else:
            raise LinkError(f"a frame of kind {frame.kind} in its middle")

    def _hand_up(self, listener: Callable[..., object], *args: Any) -> None:
        """Call the layer above; what goes wrong there ends no link."""
        try:
            listener(*args)
        except Exception as error:  # noqa: BLE001 # of another part of the package
            self.loop.defer(log_error, error)

    def take_socket(self, payload: bytes, sock: socket.socket) -> None:
        """Go on with a client's WebSocket that a peer has accepted.

        Raises:
            LinkError: nothing says whose it is.
        """
        try:
            self._owner.socket(payload, sock)
        except LinkError:
            self.loop.discard(sock)
            raise

    # -- what the layer above sends ----------------------------------------------------

    @property
    def tags(self) -> list[str]:
        """The tags of the peers that are there. Any thread."""
        return list(self.peers)

    def publish(self, payload: bytes) -> None:
        """Send something to every peer, in the order of the calls. Any thread; never blocks.

        Raises:
            ValueError: it is too big for one frame.
        """
        self._check(payload)
        self.loop.run(self._publish, frames.encode(frames.BROADCAST, 0, payload))

    def _publish(self, frame: bytes) -> None:
        for peer in list(self.peers.values()):
            peer.send_frame(frame)

    def _check(self, payload: bytes) -> None:
        if len(payload) > self.max_payload:
            raise ValueError(
                f"{len(payload)} bytes in one message to other workers: at most "
                f"{self.max_payload} are sent; send it in parts, or let clients fetch it"
            )

    def send(self, tag: str, payload: bytes) -> None:
        """Send something to one peer; nothing happens if it has gone. Any thread.

        Raises:
            ValueError: it is too big for one frame.
        """
        self._check(payload)
        self.loop.run(self._send, tag, payload)

    def _send(self, tag: str, payload: bytes) -> None:
        peer = self.peers.get(tag)
        if peer is not None:
            peer.send(frames.DIRECT, 0, payload)

    # -- state -------------------------------------------------------------------------

    def _tick(self) -> None:
        now = self.loop.now()
        if self._is_on and self._draining and now >= self._release_at:
            self._release_at = now + RELEASE_S
            self._release()
        if self._is_on and now >= self._tell_at:
            self._tell_at = now + STATE_S
            self._mend()
            if self._told != len(self.engine.connections):
                self._tell()

    def _mend(self) -> None:
        """Listen again where somebody has removed our name, as cleaners of directories do."""
        if not os.path.lexists(self.directory.socket(self.tag)):
            try:
                self.directory, listener = self._place.listen(self.tag)
            except Unusable:
                return  # as long as it lasts: those that are linked stay linked
            self.door.open(listener)
            self._look()

    def _tell(self) -> None:
        self._told = len(self.engine.connections)
        state = {
            "draining": self._draining,
            "clients": self._told,
            "stalled_s": round(self.loop.stall_s, 3),
        }
        for peer in list(self.peers.values()):
            peer.send(frames.STATE, 0, frames.to_json(state))


def _nothing(*_: object) -> None:
    return None
