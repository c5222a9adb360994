"""The arrows between the packages, and what an import may pull in."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import flask_sio

ROOT = Path(flask_sio.__file__).parent
RANKS = {
    "errors": 0,
    "coroutines": 0,
    "ids": 1,
    "transactions": 1,
    "protocol": 1,
    "runtime": 2,
    "client_files": 2,
    "option_checks": 3,
    "options": 3,  # reads the engine's policies of cookie and CORS, which read nothing back
    "engine": 3,
    "adapters": 3,
    "mesh": 4,  # above the engine, which knows it by a Protocol; below the server, which makes it
    "server": 5,
    "compat": 5,
    "mounts": 6,
    "namespace": 6,
    "exceptions": 1,
    "signals": 6,
    "extension": 7,
    "testing": 7,
    "test_client": 7,
    "__init__": 8,
}
FRAMEWORKS = {
    "gevent": {"runtime"},
    "greenlet": {"runtime"},
    "flask": {
        "extension",
        "testing",
    },
    "django": {"mounts/django"},
    "sqlalchemy": {"transactions"},
}
FILES = sorted(ROOT.rglob("*.py"))


def part(path: Path) -> str:
    """Return the top-level part of the package a file belongs to."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[str]:
    """Give every module a file imports when it runs, also inside functions."""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            if node.module == "flask_sio":
                yield from (f"flask_sio.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down_only(path: Path) -> None:
    """A part imports parts of its own rank or below, and adapters never the server."""
    own = part(path)
    for module in imported(path):
        names = module.split(".")
        if names[0] == "flask_sio" and len(names) > 1 and names[1] in RANKS:
            assert RANKS[names[1]] <= RANKS[own], f"{own} imports {module}"
        elif names[0] in FRAMEWORKS:
            file = path.relative_to(ROOT).with_suffix("").as_posix()
            places = {own, file, file.rpartition("/")[0]}
            assert places & FRAMEWORKS[names[0]], f"{file} imports {module}"


def test_every_part_has_a_rank() -> None:
    """A new part of the package says where it stands."""
    parts = {part(path) for path in FILES}
    assert {name for name in parts if name not in RANKS} == set()


@pytest.mark.quick
def test_importing_the_package_loads_neither_flask_nor_gevent() -> None:
    """`import flask_sio` is light: frameworks and runtimes are loaded at their first use.

    Of other packages only those are loaded that do in C what is done here in Python.
    """
    program = (
        "import sys; before = set(sys.modules); import flask_sio; "
        "loaded = {m.partition('.')[0] for m in set(sys.modules) - before}; "
        "print(sorted(loaded - sys.stdlib_module_names - {'orjson', 'websockets'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    )
    assert done.stdout.strip() == "['flask_sio']"


@pytest.mark.quick
def test_every_public_name_exists() -> None:
    """`__all__` names what is there, the lazily imported Flask names included."""
    assert [name for name in flask_sio.__all__ if not hasattr(flask_sio, name)] == []
