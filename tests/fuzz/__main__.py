"""Fuzz the decoders by coverage: ``make fuzz``.

Usage: ``python -m tests.fuzz [--seconds N] [--corpus DIR] [TARGET ...]``

The target ``together`` is all of them in one, for a short run: to start one takes seconds.
Each target runs in a process of its own, two at a time, with a bound on its memory and on
the time of one input. What it has learned stays in ``--corpus``; an input that fails is
written to ``--corpus``/failures, and told how to be run again.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

RSS_MB = 600
INPUT_S = 10
MAX_BYTES = 20_000
_CHILD = "FLASK_SIO_FUZZ_TARGET"


def main() -> int:
    if _CHILD in os.environ:
        return _fuzz(os.environ[_CHILD])
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--seconds", type=float, default=120, help="for each target")
    parser.add_argument("--corpus", type=Path, help="where to keep what was learned")
    parser.add_argument("targets", nargs="*")
    args = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        version = ".".join(map(str, sys.version_info[:2]))
        print(f"atheris is not here for Python {version}: nothing is fuzzed")
        return 0
    from tests.fuzz.targets import TARGETS

    names = args.targets or list(TARGETS)
    if unknown := set(names) - {*TARGETS, "together", "self_test"}:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(TARGETS)}, together")
    workers = min(2, os.cpu_count() or 1)
    with tempfile.TemporaryDirectory() as temporary:
        corpus = args.corpus or Path(temporary)
        with ThreadPoolExecutor(workers) as pool:
            passed = list(pool.map(lambda name: _run(name, args.seconds, corpus), names))
    return 0 if all(passed) else 1


def _run(name: str, seconds: float, corpus: Path) -> bool:
    """Fuzz one target in a process; return whether it passed."""
    from tests.fuzz.targets import SEEDS

    folder, failures = corpus / name, corpus / "failures"
    folder.mkdir(parents=True, exist_ok=True)
    failures.mkdir(exist_ok=True)
    for number, seed in enumerate(SEEDS.get(name) or _all_seeds(name)):
        (folder / f"seed-{number}").write_bytes(seed)
    command = [sys.executable, "-m", "tests.fuzz", str(folder)]
    command += [
        f"-max_total_time={max(1, round(seconds))}",
        f"-rss_limit_mb={RSS_MB}",
        f"-timeout={INPUT_S}",
        f"-max_len={MAX_BYTES}",
        f"-artifact_prefix={failures}/{name}-",
        "-print_final_stats=1",
        "-verbosity=0",
    ]
    env = {**os.environ, _CHILD: name}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    said = done.stdout + done.stderr
    if done.returncode:
        print(f"{name}: FAILED\n{said[-4000:]}", flush=True)
        return False
    runs = [line.split()[-1] for line in said.splitlines() if "number_of_executed_units" in line]
    print(f"{name}: {runs[0] if runs else '?'} inputs", flush=True)
    return True


def _all_seeds(name: str) -> list[bytes]:
    from tests.fuzz.targets import SEEDS, TARGETS

    if name != "together":
        return [b""]
    return [bytes([n]) + seed for n, each in enumerate(TARGETS) for seed in SEEDS[each]]


def _fuzz(name: str) -> int:
    import atheris

    with atheris.instrument_imports(include=["flask_sio"], enable_loader_override=False):
        from tests.fuzz.targets import TARGETS

    every = list(TARGETS.values())

    def together(data: bytes) -> None:
        """Let the first byte choose the target."""
        every[data[0] % len(every) if data else 0](data[1:])

    target = {**TARGETS, "together": together, "self_test": _self_test}[name]
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()  # leaves the process
    return 0


def _self_test(data: bytes) -> None:
    """Fail, so that a test sees the command fail."""
    raise RuntimeError("found")


if __name__ == "__main__":
    sys.exit(main())
