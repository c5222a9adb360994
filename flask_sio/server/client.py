"""One connection's share of Socket.IO: its decoder, sockets by namespace, mailbox.

The engine calls `message` and `closed` in the owner's turn; user code is queued in the
mailbox and never runs here.

========== ======================= ============================== ==================
packet     namespace never asked   being decided                  joined or left
========== ======================= ============================== ==================
CONNECT    decided                 closes the connection          closes / decided
EVENT      closes the connection   waits, dropped on refusal      handled / ignored
ACK        closes the connection   resolved                       resolved / ignored
DISCONNECT closes the connection   leaves                         leaves / ignored
========== ======================= ============================== ==================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import Context
from functools import partial
from typing import TYPE_CHECKING, Any

from flask_sio import ids
from flask_sio.adapters.answers import Callback, OwedAnswer
from flask_sio.errors import PacketError, PayloadError
from flask_sio.protocol import sio
from flask_sio.server.handlers import ANY, NOBODY, NOTHING, Handler
from flask_sio.server.input import Partial, weight
from flask_sio.server.jobs import (
    INVALID_PAYLOAD,
    NO_NAMESPACE,
    REJECTED,
    AckJob,
    ConnectJob,
    DisconnectJob,
    DoorJob,
    EventJob,
    LateJob,
    WatchedJob,
    ack_packet,
)
from flask_sio.server.late import TimedCallback
from flask_sio.server.mailbox import Job, Mailbox
from flask_sio.server.overflow import mailbox_is_full, too_fast
from flask_sio.server.patterns import UNDECIDED, Parent
from flask_sio.server.reasons import Reason, public_reason
from flask_sio.server.socket import Socket

if TYPE_CHECKING:
    from flask_sio.engine import connection as engine
    from flask_sio.engine.connection import Connection
    from flask_sio.protocol.codec import PacketDecoder
    from flask_sio.protocol.encoded import Encoded
    from flask_sio.protocol.timers import Timer
    from flask_sio.server.server import Server

_WEIGHED = 256
"""Texts from this length on are weighed: what they become may hold 27 times their bytes."""
_TOMBSTONES = 64
"""Left namespaces remembered per client, so that late events for them do no harm."""
_TOMBSTONE_CHARS = 256
"""Longer names are not remembered: they are a client's invention."""


class Client:
    """What a server keeps of one connection."""

    __slots__ = (
        "_decoder",
        "_left",
        "_mailbox",
        "_partial",
        "_timer",
        "connection",
        "context",
        "kept",
        "on_error",
        "server",
        "sockets",
    )

    def __init__(self, server: Server, connection: Connection) -> None:
        self.server = server
        self.connection = connection
        self.context: Context = server.convention.inherit(connection.context)
        self.sockets: dict[str, Socket] = {}
        self.kept: Any = None
        """A place for what the mount wants to keep per connection."""
        self.on_error: Callable[[BaseException], object] | None = None
        """Gets what user code raises, on its worker, instead of the log: a test raises it."""
        options, loop = server.options, server.engine.loop
        self._decoder = self._make_decoder(options.max_attachments, options.max_http_buffer_size)
        self._partial: Partial | None = None
        self._mailbox = Mailbox(loop, server.slow_handler_hook)
        self._left: dict[str, None] | None = None
        self._timer: Timer | None = loop.call_at(
            loop.now() + options.connect_timeout, self._expect_connect
        )
        server.lobby.enter(self)

    def _make_decoder(self, max_attachments: int, max_bytes: int) -> PacketDecoder:
        return self.server.codec.decoder(max_attachments, max_bytes)

    # -- in ----------------------------------------------------------------------------

    def message(self, data: str | bytes) -> None:
        """Take one Engine.IO message."""
        try:
            packet = self._decoder.feed(data)
        except PacketError:
            self.connection.close("forced close", "no Socket.IO packet")
            return
        size = len(data)
        if size >= _WEIGHED and isinstance(data, str):
            size = weight(data)
        if packet is None:
            self._attachments_are_due(size)
            return
        if self._partial is not None:
            size += self._partial.end()
            self._partial = None
        kind = packet.type
        if kind == sio.EVENT:
            self._on_event(packet, size)
        elif kind == sio.ACK:
            self._on_ack(packet, size)
        elif kind == sio.CONNECT:
            self._on_connect(packet)
        elif kind == sio.DISCONNECT:
            self._on_disconnect(packet)
        else:
            self._violation("a packet that only servers send")

    def _attachments_are_due(self, size: int) -> None:
        """Count what has come of a packet, and give the rest of it its time."""
        if self._partial is None:
            loop, wait = self.server.engine.loop, self.server.options.attachment_timeout
            self._partial = Partial(loop.call_at(loop.now() + wait, self._expect_rest))
        self._partial.size += size

    def _expect_rest(self) -> None:
        self._violation("a packet whose attachments did not come")

    def _violation(self, what: str) -> None:
        self.connection.close("forced server close", what)

    def _socket(self, namespace: str) -> Socket | None:
        """Return the socket a packet is for; a namespace never asked for is a violation."""
        socket = self.sockets.get(namespace)
        if socket is None and (self._left is None or namespace not in self._left):
            self._violation("a packet for a namespace it never asked for")
        return socket

    def _on_event(self, packet: sio.Packet, size: int) -> None:
        socket = self.sockets.get(packet.namespace) or self._socket(packet.namespace)
        if socket is None:
            return
        rate = self.server.event_rate
        if rate is not None and not rate.admits(self, self.server.engine.loop.now()):
            too_fast(self, socket, packet.id)
            return
        if socket.state != "connected" and self._holds(socket, packet, size):
            return
        data = packet.data
        name = data[0]
        handlers = self.server.handlers
        handler = handlers.find(packet.namespace, name)
        if handlers.middleware.watches_events and self._watched(socket, packet, size, handler):
            return
        if handler is None:
            return
        if handler.any_event:
            args, name = tuple(data), ANY
        else:
            args = tuple(data[1:])
        job = EventJob(socket, name, handler, args, size, packet.id)
        if self._put(job, socket, packet.id) and not handler.is_plain:
            handlers.spend(handler)
            for added in handler.more:  # all of an event's handlers are admitted, or none
                self._mailbox.put(EventJob(socket, name, added, job.args, 0, None))

    def _holds(self, socket: Socket, packet: sio.Packet, size: int) -> bool:
        """Deal with an event of a client that leaves, or whose namespace is not known yet."""
        if socket.state == "leaving":
            return True
        if socket.space.parent is not UNDECIDED:
            return False
        name, *args = packet.data
        self._put(LateJob(socket, name, NOBODY, tuple(args), size, packet.id), socket, packet.id)
        return True

    def _watched(
        self, socket: Socket, packet: sio.Packet, size: int, handler: Handler | None
    ) -> bool:
        """Queue an event that somebody sees beside its handler; False if nobody does."""
        handlers = self.server.handlers
        watchers = handlers.middleware.of(handlers.key(socket.namespace))
        if not (watchers.incoming or watchers.event):
            return False
        name, *args = packet.data
        whom = handler or NOBODY
        job = WatchedJob(socket, name, whom, tuple(args), size, packet.id, watchers)
        if self._put(job, socket, packet.id) and not whom.is_plain:
            handlers.spend(whom)
        return True

    def _on_ack(self, packet: sio.Packet, size: int) -> None:
        socket = self._socket(packet.namespace)
        if socket is None or packet.id is None:
            return
        whom = socket.take_ack(packet.id)
        if isinstance(whom, TimedCallback):
            whom = whom.stop()
        if isinstance(whom, OwedAnswer):
            whom.resolve(packet.data)
        elif whom is not None:
            self._put(AckJob(socket, whom, tuple(packet.data), size), socket, None)

    def _on_connect(self, packet: sio.Packet) -> None:
        namespace = packet.namespace
        joined = self.sockets.get(namespace)
        if joined is not None and joined.state != "leaving":
            self._violation("a second CONNECT")
            return
        if (
            self._mailbox.waiting >= self.server.options.max_mailbox_events
            or len(self.sockets) >= self.server.options.max_namespaces
        ):
            self._violation("it joins faster than handlers take it, or without end")
            return
        space = self.server.space(namespace)
        if space is None:
            self._say(self.refusal(namespace, NO_NAMESPACE))
            self._remember_left(namespace)
            return
        if self._left is not None:
            self._left.pop(namespace, None)
        socket = Socket(self, space, ids.new_id(host_tag=self.server.options.host_tag), packet.data)
        self.sockets[namespace] = socket
        space.rooms.add(socket)
        if space.parent is not None and space.parent.asks:
            socket.is_deciding = True
            self._mailbox.put(DoorJob(socket, NOTHING))
            return
        handler = self.server.handlers.find_lifecycle(namespace, "connect")
        if self.server.options.always_connect or handler is None:
            self._accept(socket)
        if handler is not None:
            socket.is_deciding = True
            self._mailbox.put(ConnectJob(socket, handler))

    def _on_disconnect(self, packet: sio.Packet) -> None:
        socket = self._socket(packet.namespace)
        if socket is not None:
            self._start_leaving(socket, public_reason("client namespace disconnect"))

    # -- the mailbox -------------------------------------------------------------------

    def _put(self, job: Job, socket: Socket, ack_id: int | None) -> bool:
        """Queue what a client sent, or do what the overflow policy says and return False."""
        mailbox, options = self._mailbox, self.server.options
        if not mailbox.waiting or (
            mailbox.waiting < options.max_mailbox_events
            and mailbox.waiting_bytes + job.size <= options.max_mailbox_bytes
        ):
            mailbox.put(job)
            return True
        mailbox_is_full(self, socket, ack_id)
        return False

    def _say(self, packet: sio.Packet) -> None:
        self.connection.send(self.server.codec.encode_control(packet))

    def acknowledge(self, socket: Socket, ack_id: int, result: Any) -> None:
        """Send the ack for what a handler returned. Any thread; renders in the caller's."""
        encoded = self.server.codec.encode(ack_packet(socket.namespace, ack_id, result))
        self.server.engine.loop.run(socket.deliver, encoded)

    def tell_invalid(self, socket: Socket, event: str, error: PayloadError) -> None:
        """Tell a client of a payload that no ack answers. Any thread."""
        told = {"event": event, "errors": error.errors}
        packet = sio.Packet(sio.EVENT, socket.namespace, [INVALID_PAYLOAD, told])
        self.server.engine.loop.run(socket.deliver, self.server.codec.encode(packet))

    def call_back(self, socket: Socket, callback: Callback, error: Exception) -> None:
        """Let a callback know that there will be no answer."""
        self._mailbox.put(AckJob(socket, callback, (error,), 0))

    def leave_behind(self, job: Job, answer: Job) -> None:
        """Go on without a handler whose time is up; ``answer`` comes first. Owner's turn."""
        self._mailbox.leave_behind(job, answer)

    def watch(
        self, on_error: Callable[[BaseException], object], on_idle: Callable[[], object]
    ) -> Mailbox:
        """Tell a test client of exceptions and of the end of the last job. Owner's turn."""
        self.on_error = on_error
        self._mailbox.on_idle = on_idle
        return self._mailbox

    # -- joining and leaving -----------------------------------------------------------

    def welcome(self, socket: Socket) -> sio.Packet:
        """Return the answer to the CONNECT of a socket that is accepted."""
        return sio.Packet(sio.CONNECT, socket.namespace, {"sid": socket.id})

    def refusal(self, namespace: str, refusal: dict[str, Any]) -> sio.Packet:
        """Return what tells why a client may not connect: its ``message``, and ``data`` if any."""
        return sio.Packet(sio.CONNECT_ERROR, namespace, refusal)

    def decide(self, socket: Socket, refusal: Encoded | None) -> None:
        """Accept a socket, or refuse it with this CONNECT_ERROR packet."""
        socket.is_deciding = False
        if refusal is None:
            if socket.was_accepted is not False:  # disconnect() in the handler is a refusal
                self._accept(socket)
            return
        if socket.state == "connected":  # always_connect: it has been told otherwise
            self._say(sio.Packet(sio.DISCONNECT, socket.namespace))
        self._remember_left(socket.namespace)
        socket.refuse(refusal)

    def enter(
        self, socket: Socket, found: tuple[Parent, Mapping[str, Any]] | None
    ) -> tuple[Handler | None, bool]:
        """Let a client into a namespace that a pattern has recognised, or not.

        Returns its connect handler, None if it may not come or has left, and whether the
        namespace is new.
        """
        is_new = socket.space.parent is UNDECIDED
        if socket.state != "connecting" or not self.server.adopt(socket.space, found):
            return None, False
        handler = self.server.handlers.find_lifecycle(socket.namespace, "connect")
        if self.server.options.always_connect:
            self._accept(socket)
        return handler or NOTHING, is_new and found is not None

    def _accept(self, socket: Socket) -> None:
        socket.was_accepted = True
        if socket.parting is not None:  # it has left meanwhile
            self._mailbox.put(socket.parting)
            socket.parting = None
        if socket.state == "connecting":
            socket.accept()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
                self.server.lobby.leave(self)

    def disconnect(self, socket: Socket, description: str = "") -> None:
        """Make a socket leave for the server; the connection stays."""
        socket.catch_up()
        if socket.state == "connecting":  # its own connect handler: that is a refusal
            refusal = self.refusal(socket.namespace, REJECTED)
            self.decide(socket, self.server.codec.encode_control(refusal))
        elif socket.state == "connected":
            self.connection.send_kept(socket.namespace)
            self._say(sio.Packet(sio.DISCONNECT, socket.namespace))
            self._start_leaving(socket, public_reason("server namespace disconnect", description))

    def _start_leaving(self, socket: Socket, reason: Reason) -> None:
        """Stop taking events for a socket; its disconnect handler is its last job."""
        if socket.state not in ("connecting", "connected"):
            return
        self._remember_left(socket.namespace)
        self.connection.drop_kept(socket.namespace)
        socket.start_leaving()
        find = self.server.handlers.find_lifecycle
        leaving = find(socket.namespace, "disconnecting")
        handler = find(socket.namespace, "disconnect")
        is_idle = self._mailbox.is_idle
        if handler is None and leaving is None and is_idle:
            socket.end()
            return
        self._mailbox.put(DisconnectJob(socket, handler, reason, leaving))
        if not is_idle:
            self._later(self._mailbox.hurry)

    def part(self, job: DisconnectJob) -> None:
        """Run a disconnect handler once the connect handler, still running, has decided."""
        if job.socket.was_accepted is None:
            job.socket.parting = job
        else:
            self._mailbox.put(job)

    def _later(self, fn: Callable[[], object]) -> None:
        loop = self.server.engine.loop
        loop.call_at(loop.now() + self.server.options.disconnect_wait, fn)

    def _remember_left(self, namespace: str) -> None:
        if len(namespace) > _TOMBSTONE_CHARS:
            return
        if self._left is None:
            self._left = {}
        self._left[namespace] = None
        if len(self._left) > _TOMBSTONES:
            del self._left[next(iter(self._left))]

    def closing(self) -> None:
        """Send what broadcasts on their way have for this client, and what was kept for it."""
        for socket in list(self.sockets.values()):  # one that cannot take it leaves
            socket.catch_up()
        self.connection.send_kept()

    def closed(self, reason: engine.Reason, description: str = "") -> None:
        """Learn that the connection has ended: every socket leaves."""
        self.server.lobby.leave(self)
        if self.server.event_rate is not None:
            self.server.event_rate.forget(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._partial is not None:
            self._partial.end()
            self._partial = None
        may_wait = not self._mailbox.is_idle or len(self.sockets) > 1
        for socket in list(self.sockets.values()):
            self._start_leaving(socket, public_reason(reason, description))
        if may_wait or self._mailbox.waiting > (self._mailbox.running is None):
            self._watch_hanging()  # a callback is told, and comes before the disconnect handler

    def _watch_hanging(self) -> None:
        """Overtake each handler that runs for ``disconnect_wait`` while others wait for it."""
        if self._mailbox.waiting:
            self._later(partial(self._overtake, self._mailbox.running))

    def _overtake(self, job: Job | None) -> None:
        self._mailbox.overtake(job)
        self._watch_hanging()

    def _expect_connect(self) -> None:
        """Close a connection that has joined no namespace in time."""
        loop, wait = self.server.engine.loop, self.server.options.connect_timeout
        if self.sockets:  # its connect handler is still deciding
            self._timer = loop.call_at(loop.now() + wait, self._expect_connect)
        else:
            self._timer = None
            self._violation("no CONNECT in time")
