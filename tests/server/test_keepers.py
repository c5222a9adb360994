"""Which server keeps which user, with a network whose every step is a test's own."""

from __future__ import annotations

import random
from collections import deque
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from flask_sio.errors import ProtocolError
from flask_sio.protocol.sio import Body
from flask_sio.server import presence_words as words
from flask_sio.server.keeper import Key
from flask_sio.server.keepers import Keepers
from tests.virtual import VirtualLoop

GRACE_S = 5.0


class Net:
    """Servers on a bus that keeps the order between two of them, and nothing else."""

    def __init__(self, grace_s: float = GRACE_S) -> None:
        self.loop = VirtualLoop()
        self.grace_s = grace_s
        self.nodes: dict[str, Node] = {}
        self.links: dict[tuple[str, str], deque[Any]] = {}
        self.told: list[tuple[str, Key]] = []
        self.told_by: dict[Key, list[str]] = {}

    def join(self, name: str) -> Node:
        """Let a server be there, which the others learn of by and by."""
        node = Node(self, name)
        node.others = list(self.nodes)
        for other in self.nodes.values():
            other.others.append(name)
        self.nodes[name] = node
        return node

    def send(self, to: str, sender: str, item: Any) -> None:
        if to in self.nodes:
            self.links.setdefault((sender, to), deque()).append(item)

    def leave(self, name: str) -> None:
        """Let a server end; what it has sent arrives, and then that it has gone."""
        del self.nodes[name]
        for other in self.nodes:
            self.links.pop((other, name), None)
            self.send(other, name, None)

    def step(self, link: tuple[str, str]) -> None:
        """Let one message arrive."""
        item = self.links[link].popleft()
        if not self.links[link]:
            del self.links[link]
        sender, to = link
        node = self.nodes.get(to)
        if node is None:
            return
        if item is None:
            node.others.remove(sender)
            node.keepers.lost(sender)
        else:
            word = words.read(item)
            self.loop.call(node.keepers.hear, sender, word, partial(self.send, sender, to))

    def settle(self, chance: random.Random | None = None) -> None:
        while self.links:
            links = sorted(self.links)
            self.step(chance.choice(links) if chance else links[0])

    def names(self, user: str = "ann") -> list[str]:
        """Return what was told of a user of the default namespace, in order."""
        return [event for event, key in self.told if key == ("/", user)]


class Node:
    """A server, as `Keepers` sees it."""

    def __init__(self, net: Net, name: str) -> None:
        self.net = net
        self.id = name
        engine = SimpleNamespace(loop=net.loop, keep_running=lambda _: 0, give_back=lambda _: 0)
        self.server: Any = SimpleNamespace(
            engine=engine,
            present_adapter=self,
            options=SimpleNamespace(presence_grace=net.grace_s),
        )
        self.users: set[str] = set()
        self.others: list[str] = []
        self.is_draining = False
        self.keepers = Keepers(self.server, self._tell, lambda: None)

    def _tell(self, event: Any, key: Key) -> None:
        if self.net.nodes.get(self.id) is not self:
            return  # it is dead
        self.net.told.append((event, key))
        self.net.told_by.setdefault(key, []).append(self.id)

    def tell_presence(self, server: str, body: Body) -> None:
        self.net.send(server, self.id, body)

    def came(self, user: str) -> None:
        self.users.add(user)
        self.net.loop.call(self.keepers.came, ("/", user))

    def left(self, user: str) -> None:
        self.users.discard(user)
        self.net.loop.call(self.keepers.left, ("/", user))

    def end(self) -> None:
        """End by the book."""
        self.keepers.end()
        self.net.leave(self.id)

    def kill(self) -> None:
        self.net.leave(self.id)


def cluster(net: Net, count: int) -> list[Node]:
    """Return servers that have met."""
    nodes = [net.join(f"server{number}") for number in range(count)]
    for node in nodes:
        node.came(f"first of {node.id}")
    net.settle()
    net.told.clear()
    return nodes


def keeper_of(net: Net, user: str) -> Node:
    node = next(iter(net.nodes.values()))
    return net.nodes[node.keepers._keeper_of(("/", user))]


def kept_by(net: Net, node: Node) -> str:
    """Return a user whom this server keeps."""
    return next(name for name in map(str, range(10_000)) if keeper_of(net, name) is node)


def test_who_ends_keeps_nobody() -> None:
    """If somebody stays; and all that end wait for whoever comes, also if they end at once."""
    net = Net()
    nodes = cluster(net, 3)
    users = [f"user{number}" for number in range(30)]
    for number, user in enumerate(users):
        nodes[number % 3].came(user)
    net.settle()
    for node in nodes[:2]:
        net.loop.call(node.keepers.drain)
    net.settle()
    assert [node.keepers.is_kept for node in nodes] == [False, False, True]
    net.loop.call(nodes[2].keepers.drain)
    net.settle()
    assert all(node.keepers.is_kept for node in nodes)
    for number, user in enumerate(users):
        nodes[number % 3].left(user)
    newcomer = net.join("newcomer")
    newcomer.came(users[0])
    net.settle()
    assert [node.keepers.is_kept for node in nodes] == [False] * 3
    for node in nodes:
        node.end()
    for user in users[1:]:
        newcomer.came(user)
    net.settle()
    net.loop.advance(GRACE_S * 2)
    assert [net.names(user) for user in users] == [["online"]] * 30


def test_users_spread_over_the_servers() -> None:
    """Each keeps about as many as the others, and all agree who keeps whom."""
    net = Net()
    nodes = cluster(net, 4)
    keepers = [keeper_of(net, f"user{number}").id for number in range(1000)]
    for node in nodes:
        assert 150 < keepers.count(node.id) < 350
        assert keepers == [node.keepers._keeper_of(("/", f"user{n}")) for n in range(1000)]


def test_a_newcomer_asks_before_it_tells() -> None:
    """A user whom others know is not told of again by the server that keeps them from now on."""
    net = Net()
    first = net.join("first")
    users = [f"user{number}" for number in range(20)]
    for user in users:
        first.came(user)
    second = net.join("second")
    for user in users:
        second.came(user)
    assert [event for event, _ in net.told] == ["online"] * 20
    net.settle()
    assert len(net.told) == 20
    moved = [user for user in users if keeper_of(net, user) is second]
    assert moved
    for node in (first, second):
        for user in users:
            node.left(user)
    net.settle()
    net.loop.advance(GRACE_S + 1)
    assert sorted(net.told[20:]) == sorted(("offline", ("/", user)) for user in users)
    assert {net.told_by["/", user][-1] for user in moved} == {"second"}


def test_a_server_that_is_silent_is_waited_for() -> None:
    """Nothing is told before each has said whether it takes part; its end will do."""
    net = Net()
    net.join("silent")
    node = net.join("node")
    node.came("ann")
    assert net.told == []
    net.leave("silent")
    net.settle()
    assert net.names() == ["online"]


def test_the_end_of_a_keeper_is_told_to_nobody() -> None:
    """It is another's turn, who knows what was told."""
    for how in ("end", "kill"):
        net = Net()
        nodes = cluster(net, 3)
        user = kept_by(net, nodes[0])
        nodes[1].came(user)
        net.settle()
        assert net.names(user) == ["online"]
        getattr(nodes[0], how)()
        net.settle()
        net.loop.advance(GRACE_S * 3)
        assert net.names(user) == ["online"]
        nodes[1].left(user)
        net.settle()
        net.loop.advance(GRACE_S + 1)
        net.settle()
        assert net.names(user) == ["online", "offline"]


def test_a_keeper_that_ends_hands_the_grace_over() -> None:
    """What is left of it: "offline" is due when it was, and a return tells nothing."""
    net = Net()
    nodes = cluster(net, 3)
    user = kept_by(net, nodes[0])
    nodes[1].came(user)
    nodes[1].left(user)
    net.settle()
    net.loop.advance(3)
    nodes[0].end()
    net.settle()
    net.loop.advance(1)
    assert net.names(user) == ["online"]
    net.loop.advance(1.1)
    assert net.names(user) == ["online", "offline"]


def test_a_keeper_that_is_killed_leaves_a_deputy() -> None:
    """It knows of a user who was nowhere, or at the dead server only; the grace begins anew."""
    net = Net()
    nodes = cluster(net, 3)
    user = kept_by(net, nodes[0])
    alone = next(
        name for name in map(str, range(10_000, 20_000)) if keeper_of(net, name) is nodes[0]
    )
    nodes[0].came(alone)
    nodes[1].came(user)
    nodes[1].left(user)
    net.settle()
    net.loop.advance(GRACE_S - 1)
    nodes[0].kill()
    net.settle()
    net.loop.advance(GRACE_S - 1)
    assert net.names(user) == net.names(alone) == ["online"]
    net.loop.advance(2)
    assert net.names(user) == net.names(alone) == ["online", "offline"]


def test_a_server_rests_and_comes_back() -> None:
    """Who takes no part for a while is told of nothing, and keeps nobody."""
    net = Net(grace_s=0)
    nodes = cluster(net, 3)
    nodes[2].left("first of server2")
    net.settle()
    nodes[2].keepers.rest()
    net.settle()
    assert {keeper_of(net, str(number)).id for number in range(50)} == {"server0", "server1"}
    nodes[2].came("ann")
    net.settle()
    assert {keeper_of(net, str(number)).id for number in range(50)} == set(net.nodes)
    assert net.names() == ["online"]


def play(seed: int, *, kills: bool = False, drains: bool = False) -> None:
    """Let chance do what can happen, and compare what was told with what is true."""
    chance = random.Random(seed)
    net = Net(grace_s=chance.choice([0, GRACE_S]))
    names = iter(f"server{number}" for number in range(1000))
    users = [f"user{number}" for number in range(chance.choice([1, 5]))]
    net.join(next(names))
    for _ in range(300):
        what = chance.random()
        nodes = list(net.nodes.values())
        if what < 0.03 and len(nodes) < 5:
            net.join(next(names))
        elif what < 0.05 and drains:
            node = chance.choice(nodes)
            node.is_draining = True
            net.loop.call(node.keepers.drain)
        elif what < 0.05 and sum(bool(node.users) for node in nodes) > 1:
            net.settle(chance)  # one at a time: two at once know nothing of each other
            (Node.kill if kills else Node.end)(chance.choice(nodes))
        elif what < 0.4:
            node, user = chance.choice(nodes), chance.choice(users)
            if user in node.users:
                node.left(user)
            elif not node.is_draining:
                node.came(user)
            elif not (node.users or node.keepers.is_kept) and len(nodes) > 1:
                node.end()  # whatever is under way, and whoever else ends
        elif what < 0.42:
            net.loop.advance(chance.random() * GRACE_S)
        elif net.links:
            net.step(chance.choice(sorted(net.links)))
    net.settle(chance)
    net.loop.advance(GRACE_S * 2)
    net.settle(chance)
    for user in users:
        told = net.names(user)
        assert told == ["online", "offline"] * (len(told) // 2) + ["online"] * (len(told) % 2)
        is_here = any(user in node.users for node in net.nodes.values())
        assert len(told) % 2 == is_here, (user, told)
    for node in net.nodes.values():
        for user in users:
            node.left(user)
    net.settle(chance)
    net.loop.advance(GRACE_S * 2)
    net.settle(chance)
    assert all(node.keepers.is_idle for node in net.nodes.values())
    assert not any(node.keepers._notes for node in net.nodes.values())


@pytest.mark.parametrize("seed", range(100))
def test_whatever_comes_between(seed: int) -> None:
    """Servers join and end by the book, users come and go, messages take their time.

    Of each user "online" and "offline" are told in turns, and in the end the last one is true.
    """
    play(seed)


@pytest.mark.parametrize("seed", range(100))
def test_whoever_is_killed(seed: int) -> None:
    """The same, where servers do not say farewell."""
    play(seed, kills=True)


@pytest.mark.parametrize("seed", range(100))
def test_whoever_ends_at_once(seed: int) -> None:
    """The same, where each ends as a worker does, when nobody is there or kept any more."""
    play(seed, drains=True)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        '["what",[]]',
        '["here"]',
        '["here",[["/","ann"]]]',
        '["here",[["/","ann",true]]]',
        '["gone",[["/",7]]]',
        '["kept",[["/","ann","soon"]]]',
        '["kept",[["/","ann",-1]]]',
        '["view",7]',
        '["anew",0]',
        '["noted",[["/","ann",1]]]',
        '["told",[7]]',
    ],
)
def test_what_no_server_says(text: str) -> None:
    """It raises a ProtocolError, whatever it is."""
    with pytest.raises(ProtocolError):
        words.read((text, ()))


def test_many_users_are_several_messages() -> None:
    """Each of a size that leaves others their turn."""
    rows = [("/", str(number), number) for number in range(2500)]
    said = [words.read(body) for body in words.rows_of("here", rows)]
    assert [len(word.rows) for word in said] == [1000, 1000, 500]
    assert [tuple(row) for word in said for row in word.rows] == rows
    long = [("/", "x" * 400_000)] * 7
    assert [len(words.read(body).rows) for body in words.rows_of("gone", long)] == [1, 2, 2, 2]
    assert words.read(words.OUT).view is None
    assert list(words.rows_of("here", [])) == []
