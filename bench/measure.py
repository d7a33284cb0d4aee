"""What a line is, and how two ways of doing one thing are compared."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Step = Callable[[], object]


@dataclass(frozen=True)
class Target:
    """What a figure must reach: at least, or at most, `limit`."""

    limit: float
    at_least: bool = True

    def met(self, value: float) -> bool:
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        return f"{'>=' if self.at_least else '<='} {self.limit:g}"


@dataclass(frozen=True)
class Line:
    """One row of the table. ratio is ours against theirs within a round, the median of all rounds;
    where nothing is compared, it is None and the target is for `ours`."""

    line: str
    name: str
    ours: float
    unit: str
    theirs: float | None = None
    against: str = ""
    ratios: Sequence[float] = ()
    target: Target | None = None

    @property
    def ratio(self) -> float | None:
        return statistics.median(self.ratios) if self.ratios else None

    @property
    def met(self) -> bool | None:
        if self.target is None:
            return None
        return self.target.met(self.ours if self.ratio is None else self.ratio)


def seconds(step: Step) -> float:
    """Wall-clock seconds that step took."""
    began = time.perf_counter()
    step()
    return time.perf_counter() - began


def both(ours: Sequence[Step], theirs: Sequence[Step]) -> tuple[float, float]:
    """Seconds of all of ours and of all of theirs, done step by step in turn: what else the machine
    does meets both. Who goes first changes with every step."""
    sums = [0.0, 0.0]
    for n, pair in enumerate(zip(ours, theirs, strict=True)):
        for side in (0, 1) if n % 2 == 0 else (1, 0):
            sums[side] += seconds(pair[side])
    return sums[0], sums[1]


def rates(
    line: str,
    name: str,
    count: int,
    rounds: Sequence[tuple[float, float]],
    *,
    unit: str,
    against: str,
    target: Target | None = None,
) -> Line:
    """A line of `count` things done in so many seconds by us and by them, as things per second."""
    return Line(
        line,
        name,
        ours=count / statistics.median(ours for ours, _ in rounds),
        theirs=count / statistics.median(theirs for _, theirs in rounds),
        unit=unit,
        against=against,
        ratios=[theirs / ours for ours, theirs in rounds],
        target=target,
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that `percent` of all values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
