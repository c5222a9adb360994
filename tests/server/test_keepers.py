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
from flask_sio.server.ranking import Ranking
from tests.virtual import VirtualLoop

GRACE_S = 5.0


HELLO = object()
GONE = object()


class Net:
    """Servers on a bus that keeps the order between two of them, and nothing else.

    As in a mesh, who comes knows all others, and is known to one as soon as its first message
    arrives there; a link may end while both live, and one of them makes it again.
    """

    def __init__(self, grace_s: float = GRACE_S) -> None:
        self.loop = VirtualLoop()
        self.grace_s = grace_s
        self.nodes: dict[str, Node] = {}
        self.links: dict[tuple[str, str], deque[Any]] = {}
        self.cuts: list[tuple[str, str]] = []
        self.unaware: set[tuple[str, str]] = set()
        """Who still sends on a link that another has ended."""
        self.told: list[tuple[str, Key]] = []
        self.told_by: dict[Key, list[str]] = {}

    def join(self, name: str) -> Node:
        """Let a server be there, which the others learn of by and by."""
        node = self.nodes[name] = Node(self, name)
        for other in self.nodes:
            if other != name:
                self.dial(name, other)
        self.loop.call(node.keepers.joined)
        return node

    def dial(self, name: str, other: str) -> None:
        self.nodes[name].others.append(other)
        self._put(name, other, HELLO)

    def send(self, to: str, sender: str, item: Any) -> None:
        node = self.nodes.get(sender)
        if node is not None and to in node.others and (sender, to) not in self.unaware:
            self._put(sender, to, item)

    def _put(self, sender: str, to: str, item: Any) -> None:
        self.links.setdefault((sender, to), deque()).append(item)

    def leave(self, name: str) -> None:
        """Let a server end; what it has sent arrives, and then that it has gone."""
        known = self.nodes.pop(name).others
        for other, node in self.nodes.items():
            self.links.pop((other, name), None)
            if other in known or name in node.others:
                self._put(name, other, GONE)
        self.cuts = [cut for cut in self.cuts if name not in cut]

    def cut(self, name: str, other: str, arriving: int = 1000) -> None:
        """Let a server end a link; so much of what it has sent arrives, nothing of the other's."""
        node = self.nodes[name]
        is_up = other in node.others and name in self.nodes[other].others
        if is_up and not self.unaware & {(name, other), (other, name)}:
            node.others.remove(other)
            self.links.pop((other, name), None)
            sent = self.links.pop((name, other), deque())
            self.links[name, other] = deque([*[*sent][:arriving], GONE])
            self.unaware.add((other, name))
            self.cuts.append((name, other))
            self.loop.call(node.keepers.lost, other)

    def mend(self, cut: tuple[str, str]) -> None:
        """Let who has ended a link make it again."""
        self.cuts.remove(cut)
        name, other = cut
        self.dial(name, other)
        self.loop.call(self.nodes[name].keepers.gained, other)

    def step(self, link: tuple[str, str]) -> None:
        """Let one message arrive."""
        item = self.links[link].popleft()
        if not self.links[link]:
            del self.links[link]
        sender, to = link
        node = self.nodes.get(to)
        if node is None:
            return
        if item is GONE:
            self.unaware.discard((to, sender))
            if sender in node.others:
                node.others.remove(sender)
                self.loop.call(node.keepers.lost, sender)
        elif item is HELLO:
            node.others.append(sender)
            self.loop.call(node.keepers.gained, sender)
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

    @property
    def is_settled(self) -> bool:
        return self.keepers._keeper.is_settled or not self.keepers._takes_part

    def _tell(self, event: Any, key: Key) -> None:
        if self.net.nodes.get(self.id) is not self:
            return  # it is dead
        self.net.loop.time += 1e-6
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


def test_a_view_of_a_moment_leaves_nothing_behind() -> None:
    """Two lose each other and meet again: a third, whose view stays, hands over what it heard."""
    net = Net()
    first, second, third = cluster(net, 3)
    user = next(
        name
        for name in map(str, range(10_000))
        if keeper_of(net, name) is third
        and Ranking([first.id, second.id]).keeper_of(("/", name)) == first.id
    )
    second.came(user)
    net.settle()
    net.cut(second.id, third.id)
    second.left(user)
    net.mend(net.cuts[0])
    second.came(user)
    net.settle()
    net.loop.advance(GRACE_S * 2)
    assert net.names(user) == ["online"]
    assert ("/", user) not in first.keepers._keeper._entries


def test_a_link_that_is_away_for_longer_than_the_grace() -> None:
    """Each side tells what it believes; once they meet, the last that is told is true."""
    net = Net()
    first, second = cluster(net, 2)
    here, gone = kept_by(net, second), kept_by(net, first)
    first.came(here)
    second.came(gone)
    net.settle()
    net.cut(first.id, second.id)
    net.settle()
    net.loop.advance(GRACE_S + 1)
    assert net.names(here) == net.names(gone) == ["online", "offline"]
    second.left(gone)
    net.mend(net.cuts[0])
    net.settle()
    assert net.names(here) == ["online", "offline", "online"]
    net.loop.advance(GRACE_S * 2)
    assert net.names(gone) == ["online", "offline"]


def test_who_can_be_reached_again_is_waited_for() -> None:
    """A server that was given up because it hangs may take long to say whom it has."""
    net = Net()
    first, second = cluster(net, 2)
    user = kept_by(net, first)
    second.came(user)
    net.settle()
    net.cut(first.id, second.id)
    net.loop.advance(GRACE_S - 1)
    net.mend(net.cuts[0])
    net.loop.advance(GRACE_S * 3)
    net.settle()
    net.loop.advance(GRACE_S * 3)
    assert net.names(user) == ["online"]


def play(seed: int, *, kills: bool = False, drains: bool = False, breaks: bool = False) -> None:
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
        elif what < 0.05 and breaks:
            if net.cuts and chance.random() < 0.5:
                net.mend(chance.choice(net.cuts))
            elif len(nodes) > 1 and not net.cuts and all(node.is_settled for node in nodes):
                one, other = chance.sample(nodes, 2)
                net.cut(one.id, other.id, chance.choice([0, 1, 1000]))
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
    while net.cuts:
        net.mend(net.cuts[0])
    net.settle(chance)
    net.loop.advance(GRACE_S * 2)
    net.settle(chance)
    for user in users:
        told = net.names(user)
        if not breaks:
            assert told == (["online", "offline"] * len(told))[: len(told)]
        is_here = any(user in node.users for node in net.nodes.values())
        assert (told[-1:] == ["online"]) == is_here, (user, told)
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


@pytest.mark.parametrize("seed", range(100))
def test_whichever_link_ends(seed: int) -> None:
    """Where servers lose each other while they live, and meet again, the last told is true."""
    play(seed, breaks=True)


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
        '["anew",true,true]',
        '["anew",0,0]',
        '["anew",false]',
        '["noted",[["/","ann",1]]]',
        '["told",[7]]',
        '["offline",[["/","ann","now","a"]]]',
        '["offline",[["/","ann",1.5,null]]]',
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
