"""Curves as SVG inside a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from html import escape
from typing import Any

from pgpublish.figures import rate, seconds, series
from pgpublish.terminal import printable

WIDTH, HEIGHT, LEFT, BOTTOM = 640, 150, 52, 20


def e(value: object) -> str:
    """Any text as HTML that shows it."""
    return escape(printable(str(value)), quote=True)


def charts(found: dict[str, Any]) -> str:
    made = [
        chart(f"Changes a second, {name}", found, span, lambda r: r["published"] / r["seconds"])
        + chart(f"Commit to published, {name}", found, span, p50, p95, unit=seconds)
        for name, span in (("last hour", "hour"), ("last day", "day"))
    ]
    return f"<div class=two>{''.join(made)}</div>"


def p50(row: dict[str, Any]) -> float | None:
    return row["p50"]  # type: ignore[no-any-return]


def p95(row: dict[str, Any]) -> float | None:
    return row["p95"]  # type: ignore[no-any-return]


def chart(
    title: str,
    found: dict[str, Any],
    span: str,
    *values: Callable[[dict[str, Any]], float | None],
    unit: Callable[[float | None], str] = rate,
) -> str:
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
    lines = "".join(
        f"<path class=grid d='M{LEFT} {y(part, 1):.1f}H{WIDTH}' />"
        f"<text x={LEFT - 6} y={y(part, 1) + 4:.1f} text-anchor=end>{e(unit(top * part))}</text>"
        for part in (0, 0.5, 1)
    )
    drawn = "".join(curve(row, top, "b" if n else "a", filled) for n, row in enumerate(rows))
    key = "" if filled else "<p class=key><i class=ink-a>p50</i> · <i class=ink-b>p95</i></p>"
    return (
        f"<section><h2>{e(title)}</h2>"
        f"<svg viewBox='0 0 {WIDTH} {HEIGHT}' role=img aria-label='{e(title)}'>{lines}{drawn}"
        f"{times(found['at'], step * steps)}</svg>{key}</section>"
    )


def nice(most: float) -> float:
    """1, 2 or 5 times a power of ten, not below most."""
    if most <= 0:
        return 1.0
    power = 10.0 ** (len(f"{int(most)}") - 1) if most >= 1 else 1.0
    while most < power and most < 1:
        power /= 10
    return next(power * n for n in (1, 2, 5, 10) if power * n >= most * 0.999)


def x(n: int, steps: int) -> float:
    return LEFT + (WIDTH - LEFT) * n / max(1, steps - 1)


def y(value: float, top: float) -> float:
    return 8 + (HEIGHT - BOTTOM - 8) * (1 - value / top)


def curve(row: Sequence[float | None], top: float, colour: str, filled: bool) -> str:
    runs: list[list[str]] = [[]]
    for n, value in enumerate(row):
        if value is None:
            runs.append([])
        else:
            runs[-1].append(f"{x(n, len(row)):.1f},{y(value, top):.1f}")
    drawn = ""
    for run in filter(None, runs):
        points = " ".join(run if len(run) > 1 else [run[0], run[0]])
        if filled:
            base = f"{y(0, top):.1f}"
            drawn += f"<polygon class=fill points='{LEFT},{base} {points} {WIDTH},{base}' />"
        drawn += f"<polyline class='curve {colour}' stroke-linecap=round points='{points}' />"
    return drawn


def times(until: str, span_s: int) -> str:
    end = datetime.fromisoformat(until)
    return "".join(
        f"<text x={x(n, 5):.0f} y={HEIGHT - 4} text-anchor={anchor}>"
        f"{end - timedelta(seconds=span_s * (4 - n) / 4):%H:%M}</text>"
        for n, anchor in enumerate(("start", "middle", "middle", "middle", "end"))
    )
