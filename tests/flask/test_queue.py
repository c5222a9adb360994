"""Message queues: servers that share one reach each other's clients."""

from __future__ import annotations

import gc
import itertools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from flask import Flask, current_app, g, request

from flask_sio import (
    ConfigError,
    DisconnectedError,
    MessageQueue,
    NotConnectedError,
    Server,
    SocketIO,
    TimeoutError,
    emit,
    join_room,
    rooms,
)
from flask_sio.adapters.bus import Message, Reply
from flask_sio.adapters.cluster import ClusterAdapter
from flask_sio.adapters.queue import Channel
from flask_sio.testing import SocketIOTestClient, TestClient
from tests.live import WAIT_S, Runtime

_numbers = itertools.count()


@pytest.fixture(scope="module", autouse=True)
def hub() -> None:
    """Have this thread's hub, which is never given back, before leaks are looked for."""
    gevent.get_hub()
    gevent.sleep(0)


class Site:
    """An application on a queue; its event "do" runs what a test says, in two namespaces."""

    def __init__(self, name: str, **options: Any) -> None:
        self.app = Flask(name)
        self.socketio = SocketIO(self.app, **options)
        self.do: Callable[..., Any] = lambda *args: None
        for namespace in ("/", "/other"):
            self.socketio.on_event("do", lambda *args: self.do(*args), namespace)

    def client(self, namespace: str | None = None, **options: Any) -> SocketIOTestClient:
        options.setdefault("timeout", WAIT_S)
        return self.socketio.test_client(self.app, namespace, **options)

    def run(self, client: TestClient, fn: Callable[..., Any]) -> Any:
        """Run ``fn`` as a handler of a client; return its result."""
        self.do = fn
        return client.emit("do", callback=True)


class Cluster:
    """Two applications and a process without clients, on one queue."""

    def __init__(self, runtime: Runtime) -> None:
        self.url = f"memory://{next(_numbers)}"
        self.near = Site("near", async_mode=runtime, message_queue=self.url)
        self.far = Site("far", async_mode=runtime, message_queue=self.url)
        self.writer = SocketIO(message_queue=self.url)
        self.clients: list[SocketIOTestClient] = []

    def pair(self, namespace: str | None = None) -> tuple[SocketIOTestClient, SocketIOTestClient]:
        """Return a client of each application."""
        self.clients += [self.near.client(namespace), self.far.client(namespace)]
        return self.clients[-2], self.clients[-1]


@pytest.fixture
def cluster(runtime: Runtime) -> Iterator[Cluster]:
    """A cluster on either runtime; nothing runs once its clients have left."""
    cluster = Cluster(runtime)
    yield cluster
    for client in cluster.clients:
        client.close()
    gc.collect()
    for site in (cluster.near, cluster.far):
        assert not site.socketio.server.engine.has_loop
        adapter = site.socketio.server.adapter
        assert isinstance(adapter, ClusterAdapter)
        assert not adapter._gatherings
        assert not adapter._inquiries


def heard(client: TestClient, namespace: str | None = None) -> list[tuple[str, Any]]:
    """Return names and arguments of what a client has received."""
    return [(event["name"], event["args"]) for event in client.get_received(namespace)]


# -- reaching clients of others ---------------------------------------------------------


def test_an_emit_reaches_clients_of_every_server(cluster: Cluster) -> None:
    """A broadcast goes to the clients of both servers, each once, with its bytes."""
    near, far = cluster.pair()
    cluster.near.socketio.emit("news", {"text": "hi", "data": b"\x00"})
    assert heard(near) == heard(far) == [("news", [{"text": "hi", "data": b"\x00"}])]


def test_an_emit_stays_in_its_namespace_and_skips(cluster: Cluster) -> None:
    """Namespaces and skip_sid hold across servers; send() is an event like others."""
    near, far = cluster.pair()
    _, other = cluster.pair("/other")
    cluster.near.socketio.send("for the others", namespace="/other")
    assert heard(far) == []
    assert heard(other, "/other") == [("message", "for the others")]
    cluster.near.socketio.emit("news", skip_sid=[far.sid()])
    assert (heard(near), heard(far)) == ([("news", [])], [])


def test_an_emit_finds_a_client_or_a_room_elsewhere(cluster: Cluster) -> None:
    """An id or a room of another server is a target like an own one; a list has no doubles."""
    near, far = cluster.pair()
    cluster.far.run(far, lambda: join_room("room"))
    for to in (far.sid(), "room", ["room", far.sid(), near.sid()]):
        cluster.near.socketio.emit("news", 1, to=to)
    assert heard(far) == [("news", [1])] * 3
    assert heard(near) == [("news", [1])]


def test_a_handler_reaches_all_and_replies_to_its_own(cluster: Cluster) -> None:
    """In a handler broadcast=True reaches the others; a reply to the own client stays here."""
    near, far = cluster.pair()

    def handler() -> None:
        emit("all", broadcast=True, include_self=False)
        emit("own")

    cluster.near.run(near, handler)
    assert heard(near) == [("own", [])]
    assert heard(far) == [("all", [])]


def test_an_emit_is_rendered_when_it_is_called(cluster: Cluster) -> None:
    """What cannot be sent fails at the call; a later change of the data has no effect."""
    _, far = cluster.pair()
    data = {"value": 1}
    cluster.near.socketio.emit("news", data)
    data["value"] = 2
    with pytest.raises(TypeError):
        cluster.near.socketio.emit("news", {"bad": object()})
    assert heard(far) == [("news", [{"value": 1}])]


def test_ignore_queue_keeps_an_emit_on_its_own_server(cluster: Cluster) -> None:
    """ignore_queue=True reaches own clients only, by every way to emit, call and disconnect."""
    near, far = cluster.pair()
    socketio = cluster.near.socketio
    socketio.emit("one", ignore_queue=True)
    socketio.send("two", ignore_queue=True)
    socketio.server.emit("three", ignore_queue=True)
    cluster.near.run(near, lambda: emit("four", broadcast=True, ignore_queue=True))
    socketio.server.disconnect(far.sid(), ignore_queue=True)
    with pytest.raises(NotConnectedError):
        socketio.call("ask", to=far.sid(), ignore_queue=True)
    assert [name for name, _ in heard(near)] == ["one", "message", "three", "four"]
    assert heard(far) == []


def test_only_the_same_url_and_channel_is_one_cluster(runtime: Runtime) -> None:
    """Another channel, or another URL, is another cluster."""
    url = f"memory://{next(_numbers)}"
    here = Site("here", async_mode=runtime, message_queue=url, channel="a")
    with here.client() as client:
        for other, channel in ((url, None), (url, "b"), (url + "x", "a")):
            SocketIO(message_queue=other, channel=channel).emit("no")
        SocketIO(message_queue=url, channel="a").emit("yes")
        assert heard(client) == [("yes", [])]


def test_a_process_without_clients_reaches_all(cluster: Cluster) -> None:
    """SocketIO(message_queue=...) without an application emits, moves and disconnects clients."""
    near, far = cluster.pair()
    writer = cluster.writer
    writer.server.enter_room(far.sid(), "room")
    writer.emit("news", (1, 2), to="room")
    writer.send({"text": "all"}, json=True)
    assert heard(far) == [("news", [1, 2]), ("json", {"text": "all"})]
    assert heard(near) == [("json", {"text": "all"})]
    writer.close_room("room")
    writer.emit("news", to="room")
    writer.server.disconnect(near.sid())
    assert heard(far) == []
    assert not near.is_connected()


def test_an_emit_from_any_thread(cluster: Cluster) -> None:
    """A write-only process's emits, here of another thread, arrive in their order."""
    _, far = cluster.pair()

    def write() -> None:
        for number in range(20):
            cluster.writer.emit("news", number)

    thread = threading.Thread(target=write)
    thread.start()
    thread.join()
    numbers = [far.wait_for("news", WAIT_S)["args"][0] for _ in range(20)]
    assert numbers == list(range(20))


# -- rooms and leaving ------------------------------------------------------------------


def test_rooms_are_entered_left_and_closed_elsewhere(cluster: Cluster) -> None:
    """A server moves clients of another in and out of rooms, and closes rooms everywhere."""
    near, far = cluster.pair()
    server = cluster.near.socketio.server
    for sid in (near.sid(), far.sid()):
        server.enter_room(sid, "a")
        server.enter_room(sid, "b")
    assert cluster.far.run(far, rooms) == [far.sid(), "a", "b"]
    server.leave_room(far.sid(), "a")
    assert cluster.far.run(far, rooms) == [far.sid(), "b"]
    cluster.near.socketio.close_room("b")
    assert cluster.far.run(far, rooms) == [far.sid()]
    assert cluster.near.run(near, rooms) == [near.sid(), "a"]


def test_a_clients_own_room_is_nobody_elses_elsewhere(cluster: Cluster) -> None:
    """Another server cannot let a client into the room of an id, nor close such a room."""
    near, far = cluster.pair()
    third = cluster.far.client()
    cluster.clients.append(third)
    server = cluster.near.socketio.server
    server.enter_room(far.sid(), third.sid())
    server.close_room(third.sid())
    server.emit("private", to=third.sid())
    assert (heard(near), heard(far), heard(third)) == ([], [], [("private", [])])


def test_a_client_of_another_server_is_disconnected(cluster: Cluster) -> None:
    """disconnect() finds a client wherever it is, and its own server runs its handler."""
    near, far = cluster.pair()
    socketio = cluster.far.socketio
    socketio.on_event("disconnect", lambda reason: socketio.emit("left", reason))
    cluster.near.socketio.server.disconnect(far.sid())
    assert near.wait_for("left", WAIT_S)["args"] == ["server disconnect"]
    assert not far.is_connected()
    assert near.is_connected()


# -- answers ----------------------------------------------------------------------------


def test_a_callback_gets_the_answer_of_a_client_elsewhere(cluster: Cluster) -> None:
    """The callback runs once, in the context of the client whose handler has emitted."""
    near, far = cluster.pair()
    far.on("question", lambda text: (text.upper(), 2))
    done = threading.Event()
    answers: list[Any] = []

    def callback(*args: Any) -> None:
        sid = request.sid  # type: ignore[attr-defined]
        answers.append((args, current_app.name, sid, "handler" in g))
        emit("answered", args)
        done.set()

    def handler() -> None:
        g.handler = True
        emit("question", "why", to=far.sid(), callback=callback)

    cluster.near.run(near, handler)
    assert near.wait_for("answered", WAIT_S)["args"] == ["WHY", 2]
    assert done.wait(WAIT_S)
    assert answers == [(("WHY", 2), "near", near.sid(), False)]


def test_a_callback_gets_each_answer_of_a_room(cluster: Cluster) -> None:
    """Clients of one room answer from both servers; a failing callback disturbs nobody."""
    clients = [*cluster.pair(), *cluster.pair()]
    elsewhere = clients[1].sid()
    answers: list[str] = []
    for client in clients:
        client.on("question", client.sid)
        cluster.writer.server.enter_room(client.sid(), "room")

    def callback(answer: str) -> None:
        answers.append(answer)
        clients[0].server.emit("counted", to=clients[0].sid())
        if answer == elsewhere:  # what comes of a client's own answer is raised by that client
            raise ValueError("in a callback")

    cluster.near.socketio.emit("question", to="room", callback=callback)
    for _ in clients:
        clients[0].wait_for("counted", WAIT_S)
    assert sorted(answers) == sorted(client.sid() for client in clients)


def test_a_callback_of_nobody_leaves_nothing(cluster: Cluster) -> None:
    """No client, or one that leaves without an answer: the server keeps nothing of it."""
    near, far = cluster.pair()
    cluster.near.socketio.emit("question", to="empty room", callback=print)
    cluster.near.socketio.emit("question", to=far.sid(), callback=print)
    far.disconnect()
    assert near.is_connected()  # the fixture looks what is left


def test_call_waits_for_a_client_elsewhere(cluster: Cluster) -> None:
    """call() returns what a client of another server answers: nothing, one or several."""
    near, far = cluster.pair()
    for answer in (None, "one", ("one", "two")):
        far.on("question", lambda answer=answer: answer)

        def handler() -> Any:
            return [cluster.near.socketio.call("question", to=far.sid(), timeout=WAIT_S)]

        wanted = list(answer) if isinstance(answer, tuple) else answer
        assert cluster.near.run(near, handler) == [wanted]


def test_call_ends_when_the_client_leaves(cluster: Cluster) -> None:
    """A client that leaves ends the wait at once; one that has left is told apart."""
    near, far = cluster.pair()
    cluster.pair()  # the far server goes on without the client
    sid = far.sid()
    far.on("question", lambda: cluster.far.socketio.server.disconnect(sid))

    def handler() -> str:
        try:
            cluster.near.socketio.call("question", to=sid, timeout=WAIT_S)
        except (DisconnectedError, NotConnectedError) as error:
            return type(error).__name__
        return "answered"

    assert cluster.near.run(near, handler) == "DisconnectedError"
    far.close()  # until its disconnect handlers have ended it is still leaving
    assert cluster.near.run(near, handler) == "NotConnectedError"


def test_call_gives_up_in_time(cluster: Cluster) -> None:
    """A client elsewhere that does not answer ends a call by its timeout."""
    near, far = cluster.pair()

    def handler() -> str:
        with pytest.raises(TimeoutError):
            cluster.near.socketio.call("question", to=far.sid(), timeout=0.02)
        return "gave up"

    assert cluster.near.run(near, handler) == "gave up"


def test_a_server_without_clients_can_ask(cluster: Cluster) -> None:
    """A server that nobody has connected to asks clients of others; its loop ends after that."""
    far = cluster.far.client()
    cluster.clients.append(far)
    done = threading.Event()
    far.on("question", lambda: "yes")
    cluster.near.socketio.emit("question", to=far.sid(), callback=lambda answer: done.set())
    while not done.is_set():
        far.emit("do", callback=True)
    assert far.is_connected()


def test_a_write_only_queue_brings_no_answers(cluster: Cluster) -> None:
    """A callback or a call() of a write-only process is refused, before anything is sent."""
    _, far = cluster.pair()
    with pytest.raises(RuntimeError, match="write-only"):
        cluster.writer.emit("question", callback=print)
    with pytest.raises(RuntimeError, match="write-only"):
        cluster.writer.call("question", to=far.sid())
    assert heard(far) == []


# -- members that come and go -----------------------------------------------------------


def test_servers_of_both_runtimes_are_one_cluster() -> None:
    """A server on threads and one on gevent reach each other's clients."""
    url = f"memory://{next(_numbers)}"
    sites = [Site(mode, async_mode=mode, message_queue=url) for mode in ("threading", "gevent")]
    with sites[0].client() as threads, sites[1].client() as greenlets:
        sites[0].socketio.emit("one")
        sites[1].socketio.emit("two")
        for client in (threads, greenlets):
            assert client.wait_for("one", WAIT_S)
            assert client.wait_for("two", WAIT_S)


def test_plain_servers_share_a_queue(runtime: Runtime) -> None:
    """Server(client_manager=MessageQueue(...)) takes part, without Flask."""
    url = f"memory://{next(_numbers)}"
    servers = [Server(async_mode=runtime, client_manager=MessageQueue(url)) for _ in range(2)]
    with TestClient(servers[1], timeout=WAIT_S) as client:
        servers[0].emit("news", {"a": 1}, to=client.sid())
        assert heard(client) == [("news", [{"a": 1}])]


def test_a_server_that_shut_down_hears_nothing(runtime: Runtime) -> None:
    """After shutdown() a server is no member any more."""
    url = f"memory://{next(_numbers)}"
    server = Server(async_mode=runtime, client_manager=MessageQueue(url))
    channel = MessageQueue(url).open()
    message = Message("emit", "/", body=("[]", ()))
    assert len(channel.publish(message)) == 1
    server.shutdown()
    assert channel.publish(message) == []


def test_a_channel_keeps_no_member_alive() -> None:
    """A dropped server is forgotten; its place among the members is free."""
    url = f"memory://{next(_numbers)}"
    SocketIO(Flask("dropped"), message_queue=url)
    gc.collect()
    assert MessageQueue(url).open().publish(Message("emit", "/")) == []


def test_a_channel_delivers_to_all_but_the_sender() -> None:
    """publish() says who heard a message; a reply goes to the one it is for; leaving is told."""

    class Listener:
        def __init__(self, name: str) -> None:
            self.id = name
            self.log: list[Any] = []

        def deliver(self, message: Message) -> None:
            self.log.append(message)

        def has(self, namespace: str, own_id: str) -> bool:
            return False

        def settle(self, reply: Reply) -> None:
            self.log.append(reply)

        def lost(self, server: str) -> None:
            self.log.append(server)

    channel, listeners = Channel(), [Listener(name) for name in "abc"]
    for listener in listeners:
        channel.join(listener)
    message = Message("disconnect", "/", sender="a")
    assert channel.others("a") == ["b", "c"]
    assert channel.publish(message) == ["b", "c"]
    assert channel.publish(message, to="c") == ["c"]
    reply = Reply(7, "a", "asked")
    channel.reply("b", reply)
    channel.reply("nobody", reply)
    channel.leave(listeners[2])
    channel.leave(listeners[2])
    assert channel.publish(message) == ["b"]
    assert [each.log for each in listeners] == [
        ["c"],
        [message, reply, "c", message],
        [message, message],
    ]


# -- brokers that are not there ---------------------------------------------------------

BROKERS = [
    ("redis://", "Redis"),
    ("rediss://:secret@host:6379/0", "Redis"),
    ("redis+sentinel://host/0/name", "Redis Sentinel"),
    ("valkey://host", "Valkey"),
    ("unix:///run/redis.sock", "Redis"),
    ("amqp://guest:secret@localhost//", "AMQP"),
    ("kafka://localhost:9092", "Kafka"),
    ("zmq+tcp://host:5555+5556", "ZeroMQ"),
    ("foo://bar", "unknown kind"),
    ("no url at all", "unknown kind"),
]


@pytest.mark.parametrize(("url", "names"), BROKERS)
def test_a_broker_is_kept_and_fails_at_its_first_use(url: str, names: str) -> None:
    """Construction works and reports; the first emit says what is missing, not the password."""
    socketio = SocketIO(message_queue=url)
    queue = socketio.server_options["client_manager"]
    assert (queue.url, queue.channel, queue.write_only) == (url, "flask-socketio", True)
    for use in (
        lambda: socketio.emit("news"),
        lambda: socketio.close_room("room"),
        lambda: socketio.server.enter_room("sid", "room"),
        lambda: socketio.server.disconnect("sid"),
    ):
        with pytest.raises(ConfigError, match="later") as caught:
            use()
        assert names in str(caught.value)
        assert "memory://" in str(caught.value)
        assert "secret" not in str(caught.value) + repr(queue)


def test_a_server_with_a_missing_broker_serves_its_own(runtime: Runtime) -> None:
    """Clients connect and get replies; only what concerns other servers fails."""
    site = Site("site", async_mode=runtime, message_queue="redis://")
    with site.client() as client:

        def reply() -> None:
            join_room("room")
            emit("own")

        site.run(client, reply)
        assert heard(client) == [("own", [])]

        def handler() -> str:
            with pytest.raises(ConfigError, match="Redis"):
                emit("all", broadcast=True)
            return "failed"

        assert site.run(client, handler) == "failed"


# -- which queue ------------------------------------------------------------------------


def test_write_only_is_without_an_application() -> None:
    """An application reads and writes; without one a queue is written only."""

    def manager(socketio: SocketIO) -> MessageQueue:
        queue: MessageQueue = socketio.server_options["client_manager"]
        return queue

    url = "redis://"
    assert not manager(SocketIO(Flask("a"), message_queue=url)).write_only
    assert manager(SocketIO(message_queue=url)).write_only
    for app, write_only in ((Flask("b"), False), (None, True)):
        socketio = SocketIO()
        socketio.init_app(app, message_queue=url)
        assert manager(socketio).write_only is write_only
    late = SocketIO(message_queue=url, channel="mine")
    late.init_app(Flask("c"))
    assert (manager(late).write_only, manager(late).channel) == (False, "mine")


def test_no_queue_is_no_queue() -> None:
    """An empty URL, as from an unset variable, waits for init_app like any other option."""
    for url in (None, ""):
        socketio = SocketIO(message_queue=url)
        assert socketio.async_mode is None
        socketio.init_app(Flask("a"))
        assert "client_manager" not in socketio.server_options
        socketio.emit("news")
    with pytest.raises(TypeError, match="message_queue"):
        SocketIO().init_app(None)


def test_a_client_manager_comes_before_a_url() -> None:
    """client_manager= of the same call wins; without it the URL does."""
    mine = MessageQueue("memory://mine", channel="mine")
    socketio = SocketIO(Flask("a"), client_manager=mine, message_queue="redis://")
    assert socketio.server_options["client_manager"] is mine
    kept = SocketIO(client_manager=mine)
    kept.init_app(Flask("b"))
    assert kept.server_options["client_manager"] is mine
    kept.init_app(Flask("c"), message_queue="memory://other")
    assert kept.server_options["client_manager"].url == "memory://other"


def test_what_is_no_queue_is_refused() -> None:
    """A URL is text, and a manager of another package is none of ours."""
    with pytest.raises(ConfigError, match="message_queue"):
        SocketIO(Flask("a"), message_queue=["kafka://a"])
    with pytest.raises(ConfigError, match="client_manager"):
        SocketIO(Flask("a"), client_manager=object())
    assert repr(MessageQueue("redis://x:y@z", "c", write_only=True)) == (
        "MessageQueue('redis:...', channel='c', write_only=True)"
    )
