"""What was measured, as tables: medians over rounds, and ratios within a round."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median
from typing import Any

from benchmarks.peers import PEERS, REFERENCES, ROOT
from benchmarks.plot import Bar, bars
from benchmarks.rows import ROWS, Row

PAGE = ROOT / "docs" / "performance.md"
PICTURE = ROOT / "docs" / "performance.svg"
BUSY = 0.9
"""Of its core: the generator may then be what holds a number down."""

Results = dict[str, Any]
Sample = dict[str, Any]


def chosen(results: Results, row: str, peer: str) -> list[Sample]:
    """Return what one peer did in one row, failures left out."""
    return [
        sample
        for sample in results["samples"]
        if sample["row"] == row and sample["peer"] == peer and "error" not in sample
    ]


def present(results: Results, key: str, order: Iterable[str]) -> list[str]:
    found = {sample[key] for sample in results["samples"]}
    return [name for name in order if name in found]


def ratios(results: Results, row: str, peer: str, reference: str) -> list[float]:
    """Return peer / reference of each round that has both."""
    number = ROWS[row].read
    theirs = {each["round"]: number(each) for each in chosen(results, row, reference)}
    return [
        number(each) / theirs[each["round"]]
        for each in chosen(results, row, peer)
        if theirs.get(each["round"])
    ]


def table(head: list[str], lines: list[list[str]]) -> str:
    """Return a Markdown table that is also legible as text; numbers to the right."""
    widths = [max(len(line[at]) for line in [head, *lines]) for at in range(len(head))]

    def drawn(cells: list[str]) -> str:
        padded = [cells[0].ljust(widths[0])]
        padded += [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
        return f"| {' | '.join(padded)} |"

    rule = f"|{'-' * (widths[0] + 2)}|" + "".join(f"{'-' * (width + 1)}:|" for width in widths[1:])
    return "\n".join([drawn(head), rule, *map(drawn, lines)])


def amount(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def spread(values: list[float]) -> str:
    """Return median and range."""
    if not values:
        return "-"
    if len(values) == 1:
        return f"{values[0]:.2f}"
    return f"{median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def medians(results: Results) -> str:
    peers = present(results, "peer", PEERS)
    lines = []
    for name in present(results, "row", ROWS):
        row, cells = ROWS[name], []
        for peer in peers:
            samples = chosen(results, name, peer)
            value = amount(median(map(row.read, samples))) if samples else "-"
            is_busy = row.is_timed and any(s["load_cpu_share"] > BUSY for s in samples)
            cells.append(value + "*" if is_busy else value)
        lines.append([f"{row.title}, {row.unit}", *cells])
    return table(["", *peers], lines)


def verdict(row: Row, found: list[float], goal: float | None) -> str:
    """Return a goal and whether the median and the worst round reach it."""
    if goal is None or not found:
        return "-"
    sign, worst = (">=", min(found)) if row.more_is_better else ("<=", max(found))

    def reached(value: float) -> bool:
        return value >= goal if row.more_is_better else value <= goal

    said = "worst round too" if reached(worst) else "yes" if reached(median(found)) else "no"
    return f"{sign} {goal:g}x: {said}"


def goals(results: Results, peer: str) -> str:
    """Return the ratios of one peer to each reference, within a round, and the goals."""
    references = [name for name in present(results, "peer", REFERENCES) if name != peer]
    head = [peer]
    for reference in references:
        head += [f"to {reference}", "goal"]
    has_ceiling = "ceiling" in present(results, "peer", PEERS)
    lines = []
    for name in present(results, "row", ROWS):
        row, cells = ROWS[name], [name]
        for reference in references:
            found = ratios(results, name, peer, reference)
            cells += [spread(found), verdict(row, found, row.goals.get(reference))]
        if has_ceiling:
            cells.append(spread(ratios(results, name, peer, "ceiling")))
        lines.append(cells)
    return table([*head, "to ceiling"] if has_ceiling else head, lines)


def efficiency(results: Results, peer: str) -> str:
    """Return how many times as much CPU time the others take for the same."""
    others = [name for name in present(results, "peer", PEERS) if "ours" not in name]
    lines = []
    for name in present(results, "row", ROWS):
        own = {each["round"]: each["cpu_us"] for each in chosen(results, name, peer) if _cpu(each)}
        cells = []
        for other in others:
            theirs = [each for each in chosen(results, name, other) if _cpu(each)]
            found = [e["cpu_us"] / own[e["round"]] for e in theirs if e["round"] in own]
            cells.append(spread(found))
        if own:
            lines.append([name, *cells])
    return table([peer, *others], lines)


def _cpu(sample: Sample) -> bool:
    return bool(sample.get("cpu_us")) and not ROWS[sample["row"]].is_memory


def costs(results: Results) -> str:
    """Return latency and CPU time by row and peer."""
    lines = []
    for name in present(results, "row", ROWS):
        for peer in present(results, "peer", PEERS):
            samples = chosen(results, name, peer)
            if not samples or ROWS[name].is_memory:
                continue

            def middle(*keys: str, among: list[Sample] = samples) -> str:
                found: list[Any] = among
                for key in keys:
                    found = [each[key] for each in found if key in each]
                return amount(median(found)) if found else "-"

            cells = [middle("latency", "p50_us"), middle("latency", "p99_us"), middle("cpu_us")]
            share = median(each["load_cpu_share"] for each in samples)
            lines.append([name, peer, *cells, f"{share:.0%}"])
    return table(["", "", "p50 us", "p99 us", "CPU us per event", "load's CPU"], lines)


def failures(results: Results) -> str:
    lines = [
        f"- {each['row']}, {each['peer']}, round {each['round'] + 1}: {each['error']}"
        for each in results["samples"]
        if "error" in each
    ]
    return "\n\nFailed:\n\n" + "\n".join(lines) if lines else ""


def text(results: Results) -> str:
    """Return all tables."""
    rounds = 1 + max(sample["round"] for sample in results["samples"])
    machine = results["machine"]
    where = f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}"
    how = f"Python {machine['python']}; {rounds} rounds of {results['seconds']:g} s"
    parts = [
        f"{machine['time']}: {where}, {how}.",
        f"Medians (`*`: the load used more than {BUSY:.0%} of its core):",
        medians(results),
        "Ratios within a round, median (range):",
    ]
    parts += [goals(results, peer) for peer in present(results, "peer", PEERS) if "ours" in peer]
    parts.append(
        "CPU time of the others for the same, ours being 1; a busy machine disturbs it least:"
    )
    parts += [
        efficiency(results, peer) for peer in present(results, "peer", PEERS) if "ours" in peer
    ]
    parts += ["Latency, and CPU time of the server:", costs(results)]
    return "\n\n".join(parts) + failures(results)


def plot(results: Results) -> str:
    """Return an SVG: each peer's ratio to the first reference, a bar per row and peer."""
    reference = REFERENCES[0]
    peers = [name for name in present(results, "peer", PEERS) if name != reference]
    groups = {}
    for name in present(results, "row", ROWS):
        row = ROWS[name]
        found = {peer: ratios(results, name, peer, reference) for peer in peers}
        groups[name] = [
            Bar(peer, *_as_gain(values, row.more_is_better))
            for peer, values in found.items()
            if values
        ]
    return bars(f"times better than {reference} in the same round", peers, groups)


def _as_gain(values: list[float], more_is_better: bool) -> tuple[float, float, float]:
    """Return median, least and greatest; where less is better, of the inverse."""
    gains = sorted(value if more_is_better else 1 / value for value in values if value > 0)
    return median(gains), gains[0], gains[-1]


def publish(results: Results) -> None:
    """Write the tables between their marks in the documentation, and the picture beside."""
    write("results", text(results))
    PICTURE.write_text(plot(results))


def marks(part: str) -> tuple[str, str]:
    """Return the lines of the page between which a part of it is written."""
    return f"<!-- {part}: written by the benchmarks -->", f"<!-- end of {part} -->"


def write(part: str, content: str) -> None:
    """Replace one part of the page."""
    begin, end = marks(part)
    before, rest = PAGE.read_text().split(begin)
    PAGE.write_text(f"{before}{begin}\n\n{content}\n\n{end}{rest.split(end)[1]}")
