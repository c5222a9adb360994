"""Ids: their length, what they begin with, and what may supply their rest."""

from __future__ import annotations

import pytest

from flask_sio import ConfigError, ids


def test_an_id_is_its_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty characters: two of the host, four of the worker, fourteen that nobody can guess."""
    monkeypatch.delenv(ids.ENVIRONMENT, raising=False)
    one, two = ids.new_id(), ids.new_id()
    assert len(one) == len(two) == 20
    assert one[:6] == two[:6] == ids.worker_prefix()
    assert one[6:] != two[6:]
    assert ids.new_id(lambda: "x" * 14) == ids.worker_prefix() + "x" * 14


@pytest.mark.parametrize("part", ["", "short", "x" * 15, "x" * 13 + "!"])
def test_a_random_part_of_another_shape_is_refused(part: str) -> None:
    """Other workers and proxies route by the length."""
    with pytest.raises(ConfigError, match="14 characters"):
        ids.new_id(lambda: part)


def test_the_host_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the option first, then by the environment; a name that no id can have is refused."""
    monkeypatch.setattr(ids, "_host", None)
    monkeypatch.setenv(ids.ENVIRONMENT, "a0")
    assert ids.worker_prefix().startswith("a0")
    assert ids.worker_prefix("b1") == "b1" + ids.worker_prefix()[2:]
    assert ids.new_id(host_tag="b1").startswith("b1")
    monkeypatch.setattr(ids, "_host", None)
    monkeypatch.setenv(ids.ENVIRONMENT, "a")
    with pytest.raises(ConfigError, match="FLASK_SIO_HOST_TAG"):
        ids.worker_prefix()
    assert ids.worker_prefix("b1").startswith("b1")
