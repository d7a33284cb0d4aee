"""Figures as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

BARS = "▁▂▃▄▅▆▇█"


def count(n: float | None) -> str:
    if n is None:
        return "-"
    if n >= 1e9:
        return f"{n / 1e9:.1f} G"
    if n >= 1e6:
        return f"{n / 1e6:.1f} M"
    return f"{n:,.0f}"


def rate(n: float | None) -> str:
    return "-" if n is None else f"{n:.1f}" if 0 < n < 10 else count(n)


def size(n: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if n < 1000:
            return f"{n:.0f} {unit}" if unit == "B" or n >= 100 else f"{n:.1f} {unit}"
        n /= 1000
    return f"{n:.1f} TB"


def seconds(n: float | None) -> str:
    """A span of time in its two largest units."""
    if n is None:
        return "-"
    if n < 1:
        return f"{n * 1000:.0f} ms"
    if n < 60:
        return f"{n:.1f} s"
    for unit, below, part, of in (("min", 3600, "s", 60), ("h", 86400, "min", 3600)):
        if n < below:
            whole, rest = divmod(int(n), of)
            return f"{whole} {unit} {rest * 60 // of if unit == 'h' else rest} {part}"
    return f"{int(n) // 86400} d {int(n) % 86400 // 3600} h"


def ago(at: str | datetime | None, now: datetime | None = None) -> str:
    if at is None:
        return "-"
    when = datetime.fromisoformat(at) if isinstance(at, str) else at
    return seconds(max(0.0, ((now or datetime.now(UTC)) - when).total_seconds()))


def sparkline(values: Sequence[float | None], width: int) -> str:
    """The last values as bars from zero to their highest; a gap is a space."""
    shown = list(values)[-width:]
    most = max((v for v in shown if v is not None), default=0) or 1
    bars = "".join(
        " " if v is None else BARS[min(len(BARS) - 1, int(v / most * (len(BARS) - 1) + 0.5))]
        for v in shown
    )
    return bars.rjust(width)


def series(history: Sequence[dict[str, object]], step_s: int, until: str, steps: int) -> list[int]:
    """Which element of history each of the last steps shows; -1: there was no drain."""
    end = int(datetime.fromisoformat(until).timestamp()) // step_s
    found = {
        int(datetime.fromisoformat(str(row["at"])).timestamp()) // step_s: n
        for n, row in enumerate(history)
    }
    return [found.get(step, -1) for step in range(end - steps + 1, end + 1)]
