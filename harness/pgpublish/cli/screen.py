"""What `pgpublish top` shows, made with rich."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from pgpublish.cli.progress import progress
from pgpublish.cli.status import STATE, alive, late, lately, walk
from pgpublish.figures import ago, count, rate, seconds, series, size, sparkline
from pgpublish.terminal import words

STEPS = 60  # of ten seconds
KEPT = 600  # looks at what waits
NARROW = 110  # columns of a terminal that shows less


class Screen:
    """The newest look, and how much waited at those before."""

    def __init__(self) -> None:
        self._found: dict[str, Any] | None = None
        self._jobs: list[dict[str, Any]] = []
        self._depths: deque[float] = deque(maxlen=KEPT)

    def add(self, found: dict[str, Any], jobs: list[dict[str, Any]]) -> None:
        self._found, self._jobs = found, jobs
        self._depths.append(found["depth"])

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        if self._found is None:
            return
        found, now = self._found, datetime.fromisoformat(self._found["at"])
        parts = [head(found, now), curves(found, list(self._depths), console.width)]
        if found["warnings"]:
            parts.append(warnings(found))
        parts += [kinds(found), subscriptions(found, console.width), workers(found, now)]
        if self._jobs or found["jobs"]:
            parts.append(jobs(found, self._jobs, now))
        height = options.height or console.height
        yield Cropped(Group(*parts), height)


class Cropped:
    """As many lines as fit; the screen does not scroll."""

    def __init__(self, content: RenderableType, height: int) -> None:
        self._content, self._height = content, height

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        lines = console.render_lines(self._content, options.update(height=None), pad=True)
        shown = lines[: self._height]
        for n, line in enumerate(shown):
            yield from line  # type: ignore[misc]
            if n < len(shown) - 1:
                yield Text("")


def head(found: dict[str, Any], now: datetime) -> RenderableType:
    feed, minute = found["feed"] or {}, lately(found)
    line = Text.assemble(
        words(f" {found['database']} ", "reverse bold"),
        words(" a standby" if found["is_standby"] else "", "yellow"),
        *fact("head", count(feed.get("head", 0))),
        *fact("changes/s", rate(minute.get("per_second", 0))),
        *fact("p50", seconds(minute.get("p50")), late(minute.get("p50"), 5, 30)),
        *fact("p95", seconds(minute.get("p95")), late(minute.get("p95"), 5, 30)),
        *fact("last drain", ago(feed.get("last_drain_at"), now) + " ago" if feed else "none"),
        *fact("outbox", size(found["bytes"]["outbox"])),
        *fact("feed", size(found["bytes"]["feed"])),
        words(f"  {now.astimezone():%H:%M:%S}", "dim"),
    )
    line.no_wrap, line.overflow = True, "ellipsis"
    return line


def fact(name: str, text: str, colour: str | None = None) -> tuple[Text, Text]:
    return words(f"  {name} ", "dim"), words(text, f"bold {colour or ''}".strip())


def curves(found: dict[str, Any], depths: list[float], width: int) -> RenderableType:
    """Three curves side by side."""
    room = max(10, min(STEPS, width // 3 - 4))
    wide = width >= NARROW
    hour = found["hour"]
    at = series(hour, 10, found["at"], room)
    rates = [0.0 if n < 0 else hour[n]["published"] / max(hour[n]["seconds"], 1) for n in at]
    lags = [None if n < 0 else hour[n]["p95"] for n in at]
    grid = Table.grid(expand=True)
    for _ in range(3):
        grid.add_column(ratio=1)
    shown = [lag for lag in lags if lag is not None]
    grid.add_row(
        curve("changes/s", rates, room, most(wide, rate(max(rates, default=0))), "green"),
        curve("p95", lags, room, most(wide, seconds(max(shown, default=None))), "cyan"),
        curve("waiting", depths, room, most(wide, count(max(depths, default=0))), "yellow"),
    )
    return grid


def most(wide: bool, figure: str) -> str:
    return f"  highest {figure}" if wide else f"  ≤ {figure}"


def curve(
    name: str, values: Sequence[float | None], width: int, about: str, colour: str
) -> RenderableType:
    return Panel(
        words(sparkline(values, width), colour),
        title=Text.assemble(words(name, "bold"), words(about, "dim")),
        title_align="left",
        border_style="dim",
        box=box.ROUNDED,
    )


def warnings(found: dict[str, Any]) -> RenderableType:
    lines = [
        Text.assemble(
            words("! ", "bold red"),
            words(f"{warning['about']}: ", "bold"),
            words(warning["message"]),
        )
        for warning in found["warnings"][:6]
    ]
    for line in lines:
        line.no_wrap, line.overflow = True, "ellipsis"
    more = len(found["warnings"]) - len(lines)
    if more > 0:
        lines.append(words(f"and {more} more: pgpublish status", "dim"))
    return Padding(Group(*lines), (0, 1))


def grid(*heads: str, right: Sequence[int] = ()) -> Table:
    made = Table(box=box.SIMPLE_HEAD, expand=True, pad_edge=False, header_style="bold dim")
    for n, name in enumerate(heads):
        made.add_column(
            words(name),
            justify="right" if n in right else "left",
            ratio=None if n in right else 3 if n in (0, len(heads) - 1) else 2,
            min_width=7 if n in right else 10,
            no_wrap=True,
            overflow="ellipsis",
        )
    return made


def kinds(found: dict[str, Any]) -> RenderableType:
    made = grid("kind", "waiting", "oldest", "failed", "for later", "walk", right=(1, 2, 3, 4))
    for kind in found["kinds"]:
        made.add_row(
            words(kind["kind"]),
            words(count(kind["depth"])),
            words(seconds(kind["oldest_s"]), late(kind["oldest_s"], 10, 60) or ""),
            words(count(kind["failed"]), "red" if kind["failed"] else ""),
            words(count(kind["scheduled"])),
            words(walk(kind)),
        )
    return made


def subscriptions(found: dict[str, Any], width: int) -> RenderableType:
    if not found["subscriptions"]:
        return Text()
    speed = {
        row["subscription"]: row
        for row in found["latency"]
        if row["step"] == "delivered" and row["span"] == 60
    }
    heads = ["subscription", "state", "behind", "oldest", "dead", "sent/s", "p95", "retries"]
    if width < NARROW:
        del heads[5:]
    made = grid(*heads, "waits for", right=range(2, len(heads)))
    for sub in found["subscriptions"]:
        minute = speed.get(sub["name"], {})
        cells = [
            words(sub["name"]),
            words(sub["state"], STATE.get(sub["state"], "")),
            words(count(sub["behind"])),
            words(seconds(sub["lag_s"]), late(sub["lag_s"], 60, 600) or ""),
            words(count(sub["dead"]), "red" if sub["dead"] else ""),
            words(rate(minute.get("per_second", 0))),
            words(seconds(minute.get("p95"))),
            words(count(sub["retries"])),
        ]
        made.add_row(*cells[: len(heads)], words(sub["waits_for"] or "-"))
    return made


def workers(found: dict[str, Any], now: datetime) -> RenderableType:
    made = grid("worker", "kind", "doing", "up for", "seen", right=(3, 4))
    for worker in found["workers"]:
        made.add_row(
            words(worker["name"]),
            words(worker["kind"]),
            words(worker["doing"] if worker["is_alive"] else "silent", alive(worker)),
            words(ago(worker["since"], now)),
            words(ago(worker["seen_at"], now) + " ago"),
        )
    if not found["workers"]:
        made.add_row(words("none is known", "dim"))
    return made


def jobs(found: dict[str, Any], running: Sequence[dict[str, Any]], now: datetime) -> RenderableType:
    made = grid("running job", "kind", "progress", "for", "worker", right=(3,))
    for job in running:
        made.add_row(
            words(job["id"]),
            words(job["kind"]),
            words(progress(job["data"]) or "-", "cyan"),
            words(ago(job["started_at"], now)),
            words(job["worker"] or "-"),
        )
    sums: dict[str, float] = {}
    for job in found["jobs"]:
        sums[job["status"]] = sums.get(job["status"], 0) + job["count"]
    said = "  ".join(f"{status} {count(n)}" for status, n in sorted(sums.items()))
    return Group(made, words(f"jobs  {said}", "dim"))
