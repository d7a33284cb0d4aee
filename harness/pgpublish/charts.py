"""Curves as data, and as SVG inside a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from typing import Any

from pgpublish.figures import rate, seconds, series
from pgpublish.terminal import printable

WIDTH, HEIGHT, LEFT, BOTTOM = 640, 150, 52, 20
ANCHORS = ("start", "middle", "middle", "middle", "end")


def e(value: object) -> str:
    """Any text as HTML that shows it."""
    return escape(printable(str(value)), quote=True)


@dataclass(frozen=True)
class Chart:
    """As wide as width, and HEIGHT high. levels: texts at 0, half and the top, with their y. times:
    texts below, from the left edge to the right. curves: each as runs of points, "x,y x,y …", with
    gaps between them. base: where the area below the only curve ends; None: p50 and p95, not
    filled."""

    title: str
    width: int
    levels: list[tuple[float, str]]
    times: list[tuple[float, str]]
    curves: list[list[str]]
    base: float | None


def charts(found: dict[str, Any]) -> str:
    drawn = [chart for span in ("hour", "day") for chart in of_span(found, span)]
    return f"<div class=two>{''.join(map(html, drawn))}</div>"


def of_span(found: dict[str, Any], span: str, width: int = WIDTH) -> list[Chart]:
    """Of the last hour or day: changes a second, and how long they took."""
    return [
        chart(f"Changes a second, last {span}", found, span, width, changes_a_second),
        chart(f"Commit to published, last {span}", found, span, width, p50, p95, unit=seconds),
    ]


def changes_a_second(row: dict[str, Any]) -> float:
    return row["published"] / row["seconds"]  # type: ignore[no-any-return]


def p50(row: dict[str, Any]) -> float | None:
    return row["p50"]  # type: ignore[no-any-return]


def p95(row: dict[str, Any]) -> float | None:
    return row["p95"]  # type: ignore[no-any-return]


def chart(
    title: str,
    found: dict[str, Any],
    span: str,
    width: int,
    *values: Callable[[dict[str, Any]], float | None],
    unit: Callable[[float | None], str] = rate,
) -> Chart:
    """One curve, filled, of what happens (0 where there was no drain); or two, with gaps."""
    step, steps = (10, 360) if span == "hour" else (300, 288)
    history, filled = found[span], len(values) == 1
    at = series(history, step, found["at"], steps)
    rows = [
        [None if n < 0 or not history[n]["seconds"] else value(history[n]) for n in at]
        for value in values
    ]
    if filled:
        rows = [[v or 0.0 for v in rows[0]]]
    most = max((v for row in rows for v in row if v is not None), default=0.0)
    top = nice(most)
    return Chart(
        title,
        width,
        [(y(part, 1), unit(top * part)) for part in (0, 0.5, 1)],
        times(found["at"], step * steps, width),
        [runs(row, top, width) for row in rows],
        y(0, top) if filled else None,
    )


def html(chart: Chart) -> str:
    lines = "".join(
        f"<path class=grid d='M{LEFT} {at:.1f}H{chart.width}' />"
        f"<text x={LEFT - 6} y={at + 4:.1f} text-anchor=end>{e(text)}</text>"
        for at, text in chart.levels
    )
    drawn = "".join(
        (
            f"<polygon class=fill points='{LEFT},{chart.base:.1f} {points}"
            f" {chart.width},{chart.base:.1f}' />"
            if chart.base is not None
            else ""
        )
        + f"<polyline class='curve {'b' if n else 'a'}' stroke-linecap=round points='{points}' />"
        for n, curve in enumerate(chart.curves)
        for points in curve
    )
    below = "".join(
        f"<text x={at:.0f} y={HEIGHT - 4} text-anchor={anchor}>{e(text)}</text>"
        for (at, text), anchor in zip(chart.times, ANCHORS, strict=True)
    )
    key = "<p class=key><i class=ink-a>p50</i> · <i class=ink-b>p95</i></p>"
    return (
        f"<section><h2>{e(chart.title)}</h2>"
        f"<svg viewBox='0 0 {chart.width} {HEIGHT}' role=img aria-label='{e(chart.title)}'>"
        f"{lines}{drawn}{below}</svg>{key if chart.base is None else ''}</section>"
    )


def nice(most: float) -> float:
    """1, 2 or 5 times a power of ten, not below most."""
    if most <= 0:
        return 1.0
    power = 10.0 ** (len(f"{int(most)}") - 1) if most >= 1 else 1.0
    while most < power and most < 1:
        power /= 10
    return next(power * n for n in (1, 2, 5, 10) if power * n >= most * 0.999)


def x(n: int, steps: int, width: int) -> float:
    return LEFT + (width - LEFT) * n / max(1, steps - 1)


def y(value: float, top: float) -> float:
    return 8 + (HEIGHT - BOTTOM - 8) * (1 - value / top)


def runs(row: Sequence[float | None], top: float, width: int) -> list[str]:
    found: list[list[str]] = [[]]
    for n, value in enumerate(row):
        if value is None:
            found.append([])
        else:
            found[-1].append(f"{x(n, len(row), width):.1f},{y(value, top):.1f}")
    return [" ".join(run if len(run) > 1 else [run[0], run[0]]) for run in found if run]


def times(until: str, span_s: int, width: int) -> list[tuple[float, str]]:
    end = datetime.fromisoformat(until)
    return [
        (x(n, len(ANCHORS), width), f"{end - timedelta(seconds=span_s * (4 - n) / 4):%H:%M}")
        for n in range(len(ANCHORS))
    ]
