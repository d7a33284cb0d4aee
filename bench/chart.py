"""A line chart as SVG: both axes logarithmic where their values are far apart, light and dark."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 640, 300
LEFT, RIGHT, TOP, BOTTOM = 70, 16, 64, 46
COLOURS = ("a", "b", "c", "d")
STYLE = """
    text { font: 13px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; fill: #59636e }
    .title { font-size: 15px; font-weight: 600; fill: #1f2328 } .page { fill: #ffffff }
    .grid { stroke: #d1d9e0 } .a { stroke: #0969da } .b { stroke: #bc4c00 } .c { stroke: #1a7f37 }
    .d { stroke: #8250df } polyline, .key { fill: none; stroke-width: 2.2 }
    circle { fill: #ffffff; stroke-width: 2 }
    @media (prefers-color-scheme: dark) {
      text { fill: #9198a1 } .title { fill: #f0f6fc } .page, circle { fill: #0d1117 }
      .grid { stroke: #3d444d } .a { stroke: #4493f8 } .b { stroke: #f0883e }
      .c { stroke: #3fb950 } .d { stroke: #ab7df8 }
    }"""

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Chart:
    """series: points of each curve by its name, x rising."""

    title: str
    x: str
    y: str
    series: Mapping[str, Points]


@dataclass(frozen=True)
class Axis:
    """From data to the picture; ticks are where a line of the grid is drawn."""

    low: float
    high: float
    log: bool
    start: float
    end: float

    def place(self, value: float) -> float:
        low, high, at = (math.log10(v) if self.log else v for v in (self.low, self.high, value))
        return self.start + (self.end - self.start) * (at - low) / (high - low)

    def ticks(self) -> list[float]:
        if not self.log:
            return [self.low + (self.high - self.low) * n / 4 for n in range(5)]
        decades = range(round(math.log10(self.low)), round(math.log10(self.high)) + 1)
        return [10.0**n for n in decades]


def axis(values: Sequence[float], start: float, end: float) -> Axis:
    """Logarithmic from decade to decade if the values span more than one, else from 0."""
    low, high = min(values), max(values)
    if low > 0 and high / low > 10:
        return Axis(10.0 ** math.floor(math.log10(low)), 10.0 ** math.ceil(math.log10(high)), True,
                    start, end)  # fmt: skip
    step = 10.0 ** math.floor(math.log10(high or 1))
    most = next(n * step for n in (1, 2, 4, 5, 8, 10) if n * step >= high)
    return Axis(0.0, most, False, start, end)


def label(value: float) -> str:
    for size, unit in ((1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def svg(chart: Chart) -> str:
    points = [point for series in chart.series.values() for point in series]
    across = axis([x for x, _ in points], LEFT, WIDTH - RIGHT)
    up = axis([y for _, y in points], HEIGHT - BOTTOM, TOP)
    parts = [
        f'<text class="title" x="{LEFT}" y="24">{escape(chart.title)}</text>',
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">'
        f"{escape(chart.x)}</text>",
        f'<text x="8" y="{TOP - 12}">{escape(chart.y)}</text>',
    ]
    for value in up.ticks():
        y = up.place(value)
        parts.append(
            f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
            f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{label(value)}</text>'
        )
    for value in across.ticks():
        x = across.place(value)
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">'
                     f"{label(value)}</text>")  # fmt: skip
    key = WIDTH - RIGHT
    for (name, series), colour in reversed(list(zip(chart.series.items(), COLOURS, strict=False))):
        placed = [(across.place(x), up.place(y)) for x, y in series]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        parts.append(f'<polyline class="{colour}" points="{line}"/>')
        parts += [f'<circle class="{colour}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in placed]
        parts.append(f'<text x="{key}" y="{TOP - 12}" text-anchor="end">{escape(name)}</text>')
        key -= 8 * len(name) + 6
        parts.append(f'<path class="key {colour}" d="M{key - 16} {TOP - 16}H{key}"/>')
        key -= 30
    inside = "\n  ".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
        f' aria-label="{escape(chart.title)}">\n  <style>{STYLE}\n  </style>\n'
        f'  <rect class="page" width="{WIDTH}" height="{HEIGHT}" rx="8"/>\n  {inside}\n</svg>\n'
    )
