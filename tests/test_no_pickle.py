"""Nothing of ours is ever unpickled, evaluated or handed to a shell."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import flask_sio
from tests.test_imports import imported

ROOT = Path(flask_sio.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
FORBIDDEN = {
    "_pickle",
    "cloudpickle",
    "code",
    "dill",
    "jsonpickle",
    "kombu",
    "marshal",
    "pickle",
    "shelve",
    "subprocess",
    "yaml",
}
CALLS = {"eval", "exec", "compile", "__import__"}
ALLOWED = {("runtime/loop.py", "__import__")}  # `original`, of a name that we write


@pytest.mark.quick
@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_can_run_what_came_over_a_wire(path: Path) -> None:
    """CVE-2025-61765: whoever writes to the message queue runs code, by pickle."""
    tops = {name.partition(".")[0] for name in imported(path)}
    assert tops & FORBIDDEN == set()
    called = {
        node.func.id
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    name = str(path.relative_to(ROOT))
    assert {each for each in called & CALLS if (name, each) not in ALLOWED} == set()
