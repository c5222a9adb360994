"""Who keeps whom, and who is next."""

from __future__ import annotations

from flask_sio.server.ranking import Ranking

KEYS = [("/", f"user{number}") for number in range(2000)]


def test_only_the_users_of_who_goes_move() -> None:
    """They go to their deputies, whatever order the servers are named in."""
    four, three = Ranking(["a", "b", "c", "d"]), Ranking(["d", "c", "a"])
    keepers = four.sort([(key, None) for key in KEYS])
    deputies = four.sort([(key, None) for key in KEYS], by_deputy=True)
    for server, rows in keepers.items():
        assert 400 < len(rows) < 600
        for namespace, user, _ in rows:
            key = (namespace, user)
            assert four.keeper_of(key) == server
            assert (three.keeper_of(key) == server) is (server != "b")
    for server, rows in deputies.items():
        for namespace, user, _ in rows:
            key = (namespace, user)
            assert four.keeper_of(key) != server
            if four.keeper_of(key) == "b":
                assert three.keeper_of(key) == server


def test_who_is_alone_keeps_all() -> None:
    """Nobody is its deputy; and a user's id may be any text."""
    alone = Ranking(["a"])
    users = [(("/", "ann"), 1), (("/x", "\ud800"), 2)]
    assert alone.sort(users) == {"a": [("/", "ann", 1), ("/x", "\ud800", 2)]}
    assert not alone.has_deputies
    assert alone.keeper_of(("/", "\ud800")) == "a"
