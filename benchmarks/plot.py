"""A bar chart as SVG, on a logarithmic scale."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

COLOURS = {
    "flask_socketio": "#999999",
    "node": "#e69f00",
    "ours": "#0072b2",
    "ours_fast": "#56b4e9",
    "ours_wsgi": "#009e73",
    "ceiling": "#dddddd",
}
LEFT, WIDTH, BAR, GAP, TOP = 150, 560, 9, 9, 46


@dataclass(frozen=True, slots=True)
class Bar:
    name: str
    value: float
    least: float
    greatest: float


def bars(title: str, names: Sequence[str], groups: Mapping[str, Sequence[Bar]]) -> str:
    """Return one horizontal bar per value, with its range as a line; 1 is the base."""
    every = [bar for group in groups.values() for bar in group]
    low = min([0.5, *(bar.least for bar in every)])
    high = max([2.0, *(bar.greatest for bar in every)])

    def x(value: float) -> float:
        return LEFT + WIDTH * math.log(value / low) / math.log(high / low)

    body, y = [], float(TOP)
    for label, group in groups.items():
        if not group:
            continue
        middle = y + BAR * len(group) / 2 + 4
        body.append(
            f'<text x="{LEFT - 8}" y="{middle:.0f}" text-anchor="end">{escape(label)}</text>'
        )
        for bar in group:
            start, end = sorted((x(1), x(bar.value)))
            body.append(
                f'<rect x="{start:.1f}" y="{y:.0f}" width="{max(end - start, 1):.1f}" '
                f'height="{BAR - 1}" fill="{COLOURS[bar.name]}"/>'
                f'<path d="M{x(bar.least):.1f} {y + 4:.0f}H{x(bar.greatest):.1f}" stroke="#000"/>'
            )
            y += BAR
        y += GAP
    scale = [_tick(x(step), step, y) for step in _steps(low, high)]
    size = f'width="{LEFT + WIDTH + 30}" height="{y + 20:.0f}"'
    font = 'font-family="sans-serif" font-size="11"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} {font}>',
            '<rect width="100%" height="100%" fill="#fff"/>',
            f'<text x="{LEFT}" y="14" font-size="13">{escape(title)}</text>',
            *_legend(names),
            *scale,
            *body,
            "</svg>\n",
        ]
    )


def _steps(low: float, high: float) -> list[float]:
    steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]
    return [step for step in steps if low <= step <= high]


def _tick(x: float, step: float, bottom: float) -> str:
    colour = "#000" if step == 1 else "#ccc"
    return (
        f'<path d="M{x:.1f} {TOP - 6}V{bottom:.0f}" stroke="{colour}"/>'
        f'<text x="{x:.1f}" y="{bottom + 14:.0f}" text-anchor="middle">{step:g}x</text>'
    )


def _legend(names: Sequence[str]) -> list[str]:
    return [
        f'<rect x="{LEFT + at * 120}" y="22" width="10" height="10" fill="{COLOURS[name]}"/>'
        f'<text x="{LEFT + at * 120 + 14}" y="31">{escape(name)}</text>'
        for at, name in enumerate(names)
    ]
