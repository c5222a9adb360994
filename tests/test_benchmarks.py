"""The benchmarks: that they measure, and that their tables say what was measured."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks import report, workers
from benchmarks.__main__ import together
from benchmarks.measuring import LoadError, Server, load, measure, running, weigh
from benchmarks.peers import PEERS, ROOT, MissingError, prepare_c
from benchmarks.rows import ROWS
from tests.conftest import missing

SHORT = ["--seconds", "0.2", "--warmup", "0.05"]


@pytest.fixture(scope="module")
def ours() -> Iterator[Server]:
    """Our program as the benchmarks start it, with the interpreter that runs this."""
    try:
        prepare_c("load")
    except MissingError:
        missing("a C compiler")
    with running(PEERS["ours"], sys.executable) as server:
        yield server


@pytest.mark.parametrize(
    "arguments",
    [
        "--mode echo --connections 10",
        "--mode echo --connections 10 --rate 200",
        "--mode ack --connections 10 --payload 1024",
        "--mode binary --connections 10 --payload 1024",
        "--mode poll --connections 5",
        "--mode fanout --connections 20",
        "--mode fanout --connections 20 --rooms 4",
    ],
)
def test_the_generator_measures_a_load(ours: Server, arguments: str) -> None:
    """Every kind of load is answered; what is counted is timed, and costs CPU time."""
    result = load(ours, [*arguments.split(), *SHORT])

    latency = result["latency"]
    assert result["events"] > 0
    assert latency["count"] == result["events"] or "fanout" in arguments
    assert 0 < latency["p50_us"] <= latency["p99_us"] <= latency["max_us"] * 1.05
    assert 0 < result["load_cpu_share"] <= 1.1
    assert result["server_cpu_s"] >= 0


@pytest.mark.parametrize("kind", ["http", "echo"])
def test_a_probe_is_measured_beside_the_load(ours: Server, kind: str) -> None:
    """Requests, and echoes, beside a broadcast have latencies of their own."""
    result = load(ours, ["--mode", "fanout", "--connections", "20", "--probe", kind, *SHORT])

    assert result["events"] > 0
    assert result["probe"]["count"] > 0


def test_a_row_without_an_answer_is_an_error(ours: Server) -> None:
    """Where nothing was measured there is no number, and no crash either."""
    row = dataclasses.replace(ROWS["echo100"], value=("probe", "p99_us"))

    with pytest.raises(LoadError, match="no answer"):
        measure(ours, row, 0.1)


def test_handshakes_are_counted(ours: Server) -> None:
    """Thirty connections are thirty handshakes."""
    result = load(ours, ["--mode", "connect", "--connections", "30"])

    assert result["events"] == result["latency"]["count"] == 30
    assert result["rate"] > 0


def test_idle_connections_are_weighed(ours: Server) -> None:
    """Idle connections with a browser's headers are held, and weigh what the process grows."""
    result = weigh(ours, ["--mode", "idle", "--connections", "50", "--browser"])

    assert result["events"] == 50
    assert result["kb_each"] >= 0


def test_a_refusal_ends_the_generator_with_its_reason(ours: Server) -> None:
    """What a server should not do is an error, not a number: here a program without jobs."""
    with pytest.raises(LoadError, match="do not fill the rooms evenly"):
        load(ours, ["--mode", "fanout", "--connections", "7", "--rooms", "2"])


@pytest.mark.parametrize(
    ("program", "line"),
    [
        (["growth", "--sizes", "20", "--seconds", "0.1", "--here"], "| 20 "),
        (["micro", "--runs", "1"], "| dispatch: echo, Flask"),
    ],
    ids=["growth", "micro"],
)
def test_the_other_programs_run(program: list[str], line: str, ours: Server) -> None:
    """What measures growth and the parts of an event runs to its end and prints its table."""
    name, *arguments = program
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    assert line in done.stdout


def sample(number: int, peer: str, rate: float, **more: Any) -> dict[str, Any]:
    shown = {"latency": {"p50_us": 10.0, "p99_us": 20.0}, "cpu_us": 5.0, "load_cpu_share": 0.5}
    return {"round": number, "row": "echo100", "peer": peer, "rate": rate, **shown, **more}


RESULTS: dict[str, Any] = {
    "machine": {"time": "now", "cpu": "C", "cores": 2, "system": "S", "python": "3"},
    "seconds": 1.0,
    "samples": [
        sample(0, "flask_socketio", 1000.0),
        sample(0, "ours", 11000.0),
        sample(1, "flask_socketio", 100.0, load_cpu_share=0.95),
        sample(1, "ours", 900.0),
        sample(2, "flask_socketio", 500.0),
        sample(2, "ours", 6000.0),
        {"round": 1, "row": "echo100", "peer": "node", "error": "it fell"},
    ],
}


def test_ratios_are_taken_within_a_round() -> None:
    """A slow minute slows both: the ratio is of one round, the median of those."""
    assert report.ratios(RESULTS, "echo100", "ours", "flask_socketio") == [11.0, 9.0, 12.0]


def test_the_tables_show_medians_goals_and_failures() -> None:
    """Medians, range, the goal and the worst round, a busy generator, and what failed."""
    text = report.text(RESULTS)

    assert "| echo, 100 connections, 32 B, events/s |           500* |    - | 6,000 |" in text
    assert "11.00 (9.00-12.00) | >= 10x: yes" in text
    assert "- echo100, node, round 2: it fell" in text


def test_runs_are_shown_together() -> None:
    """The rounds of a second run count after those of the first."""
    rounds = sorted({each["round"] for each in RESULTS["samples"]})
    both = together([RESULTS, RESULTS])

    assert sorted({each["round"] for each in both["samples"]}) == [
        *rounds,
        *(each + rounds[-1] + 1 for each in rounds),
    ]
    assert len(both["samples"]) == 2 * len(RESULTS["samples"])


def test_the_picture_is_svg() -> None:
    """The picture is well-formed and has a bar for ours."""
    root = ElementTree.fromstring(report.plot(RESULTS))

    assert [node.get("fill") for node in root.findall(".//{*}rect")].count("#0072b2") == 2


def test_the_page_has_a_place_for_the_results() -> None:
    """`--publish` finds its marks in the page, each once."""
    page = report.PAGE.read_text()

    for part in ("results", "growth"):
        begin, end = report.marks(part)
        assert page.count(begin) == page.count(end) == 1
        assert page.index(begin) < page.index(end)


def test_workers_are_compared(capsys: pytest.CaptureFixture[str]) -> None:
    """Requests at their own and at another worker are answered; sockets are handed over."""
    with workers.started(2) as server:
        workers.polls(server, workers.BATCH)
        workers.sockets(server, workers.BATCH)
    shown = capsys.readouterr().out
    for name in ("at its worker", "at another", "handed over", "ratio"):
        assert name in shown
