"""The programs that the documentation shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.py"))
MODULES_NEEDED = {"django_wsgi": "django"}


@pytest.mark.parametrize("program", EXAMPLES, ids=lambda program: program.stem)
def test_a_program_in_the_docs_can_be_imported(program: Path, tmp_path: Path) -> None:
    """Each program loads in a fresh interpreter, with warnings as errors."""
    if needed := MODULES_NEEDED.get(program.stem):
        pytest.importorskip(needed)
    settings = tmp_path / "mysite" / "settings.py"
    settings.parent.mkdir()
    settings.write_text("SECRET_KEY = 'docs'\n")
    path = os.pathsep.join([str(program.parent), str(tmp_path), str(ROOT)])

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"import {program.stem}"],
        env={**os.environ, "PYTHONPATH": path},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
    )

    assert (0, "") == (done.returncode, done.stderr)


def test_the_readme_shows_a_program_that_is_tested() -> None:
    """The README's first program is the quickstart's, and shorter than 15 lines."""
    readme = (ROOT / "README.md").read_text()
    found = re.search(r"```python\n(.*?)```", readme, re.DOTALL)

    assert found is not None
    assert (ROOT / "docs" / "examples" / "chat.py").read_text() == found[1]
    assert len(found[1].splitlines()) < 15
