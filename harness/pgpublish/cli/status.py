"""`pgpublish status`: one screen."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, NamedTuple

import click

from pgpublish import __version__, operate
from pgpublish.cli.console import json_option, stop_on_signals, with_connection
from pgpublish.cli.durations import Seconds
from pgpublish.cli.progress import progress
from pgpublish.cli.tables import plain, terminal_width
from pgpublish.database import Connection
from pgpublish.errors import Differs
from pgpublish.figures import ago, count, rate, seconds, size
from pgpublish.terminal import clear, painted, say_json, say_painted

STATE = {
    "active": "green",
    "resyncing": "cyan",
    "endpoint failing": "red",
    "reset needed": "red",
    "paused": "yellow",
    "disabled": "red",
}


class Cell(NamedTuple):
    text: str
    colour: str | None = None
    right: bool = False


def number(n: float | None, bad: bool = False) -> Cell:
    return Cell(count(n), "red" if bad and n else None, True)


@click.command()
@click.option("--watch", is_flag=True, help="Show it again and again, until interrupted.")
@click.option(
    "--interval",
    type=Seconds(0.2, 3600),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="Between two looks of --watch.",
)
@click.option("--check", is_flag=True, help="Exit 6 if there is a warning.")
@json_option
@with_connection()
def status(conn: Connection, watch: bool, interval: float, check: bool, as_json: bool) -> None:
    """Show the feed, its workers, and what needs somebody.

    With --json, what publish_status() returns and all that the screen shows.
    """
    with stop_on_signals() as stop:
        while True:
            found = operate.overview(conn)
            if as_json:
                row = {name: plain(value) for name, value in asdict(operate.status(conn)).items()}
                say_json(row | {name: found[name] for name in found if name not in row})
            else:
                if watch:
                    clear()
                say_painted("\n".join(screen(found, operate.running_jobs(conn))))
            sys.stdout.flush()
            if not watch or stop.wait(interval):
                break
    if check and found["warnings"]:
        raise Differs(
            "something needs somebody",
            detail="; ".join(f"{w['about']}: {w['message']}" for w in found["warnings"]),
            hint="pgpublish status says what to do.",
        )


def screen(found: dict[str, Any], jobs: list[dict[str, Any]]) -> Iterator[str]:
    now = datetime.fromisoformat(found["at"])
    yield from summary(found, now)
    if found["warnings"]:
        yield ""
        yield painted("Needs somebody", bold=True, fg="red")
        for warning in found["warnings"]:
            yield painted("  ! ", fg="red") + painted(f"{warning['about']}: {warning['message']}")
            yield painted(f"    {warning['hint']}", dim=True)
    yield from table(
        ("Kinds", "waiting", "oldest", "failed", "for later", "walk"),
        [
            [
                Cell(kind["kind"]),
                number(kind["depth"]),
                Cell(seconds(kind["oldest_s"]), late(kind["oldest_s"], 10, 60), True),
                number(kind["failed"], bad=True),
                number(kind["scheduled"]),
                Cell(walk(kind)),
            ]
            for kind in found["kinds"]
        ],
    )
    yield from table(
        ("Subscriptions", "sink", "state", "behind", "oldest", "retries", "dead", "waits for"),
        [
            [
                Cell(sub["name"]),
                Cell(sub["sink"]),
                Cell(sub["state"], STATE.get(sub["state"])),
                number(sub["behind"]),
                Cell(seconds(sub["lag_s"]), late(sub["lag_s"], 60, 600), True),
                number(sub["retries"]),
                number(sub["dead"], bad=True),
                Cell(sub["waits_for"] or "-"),
            ]
            for sub in found["subscriptions"]
        ],
    )
    yield from table(
        ("Workers", "kind", "doing", "up for", "seen", "version"),
        [
            [
                Cell(worker["name"]),
                Cell(worker["kind"]),
                Cell(worker["doing"] if worker["is_alive"] else "silent", alive(worker)),
                Cell(ago(worker["since"], now), None, True),
                Cell(ago(worker["seen_at"], now) + " ago", None, True),
                Cell(worker["version"] or "-"),
            ]
            for worker in found["workers"]
        ],
        none="none is known",
    )
    yield from table(
        ("Jobs", "status", "count"),
        [[Cell(job["kind"]), Cell(job["status"]), number(job["count"])] for job in found["jobs"]],
    )
    yield from table(
        ("Running", "kind", "progress", "for", "worker"),
        [
            [
                Cell(job["id"]),
                Cell(job["kind"]),
                Cell(progress(job["data"]) or "-"),
                Cell(ago(job["started_at"], now), None, True),
                Cell(job["worker"] or "-"),
            ]
            for job in jobs
        ],
    )


def summary(found: dict[str, Any], now: datetime) -> Iterator[str]:
    feed, minute = found["feed"] or {}, lately(found)
    yield (
        painted("pgpublish ", bold=True)
        + painted(f"{__version__}  ", dim=True)
        + painted(str(found["database"]), bold=True)
        + painted("  a standby" if found["is_standby"] else "", fg="yellow")
        + painted(f"  {now.astimezone():%Y-%m-%d %H:%M:%S}", dim=True)
    )
    oldest = max((k["oldest_s"] for k in found["kinds"] if k["oldest_s"] is not None), default=None)
    yield facts(
        ("head", count(feed.get("head", 0)), None),
        ("waiting", count(found["depth"]), None),
        ("oldest", seconds(oldest), late(oldest, 10, 60)),
        ("last drain", ago(feed.get("last_drain_at"), now) + " ago" if feed else "none", None),
        ("outbox", size(found["bytes"]["outbox"]), None),
        ("feed", size(found["bytes"]["feed"]), None),
    )
    yield facts(
        ("last minute", f"{rate(minute.get('per_second', 0))} changes/s", None),
        *((p, seconds(minute.get(p)), late(minute.get(p), 5, 30)) for p in ("p50", "p95", "p99")),
    )


def lately(found: dict[str, Any]) -> dict[str, Any]:
    """What was published in the last minute."""
    published = [row for row in found["latency"] if row["step"] == "published"]
    return published[0] if published else {}


def facts(*named: tuple[str, str, str | None]) -> str:
    return "  ".join(
        painted(f"{name} ", dim=True) + painted(text, fg=colour, bold=True)
        for name, text, colour in named
    )


def late(age: float | None, warn: float, bad: float) -> str | None:
    return None if age is None or age < warn else "yellow" if age < bad else "red"


def alive(worker: dict[str, Any]) -> str:
    if not worker["is_alive"]:
        return "red"
    return "yellow" if worker["doing"] == "standing by" else "green"


def walk(kind: dict[str, Any]) -> str:
    if kind["walk_marked"] is None:
        return "-"
    of = kind["walk_estimate"]
    if not of:
        return f"{count(kind['walk_marked'])} keys"
    return f"{min(99, 100 * kind['walk_marked'] // of)} % of about {count(of)}"


def table(
    heads: Sequence[str], rows: Sequence[Sequence[Cell]], none: str | None = None
) -> Iterator[str]:
    """Lines of a table as wide as the terminal at most; its first head is its title."""
    if not rows and none is None:
        return
    yield ""
    if not rows:
        yield painted(f"{heads[0]}  ", bold=True) + painted(str(none), dim=True)
        return
    widths = [max(len(head), *(len(row[n].text) for row in rows)) for n, head in enumerate(heads)]
    room = terminal_width(80) - sum(widths[1:]) - 2 * len(widths)
    widths[0] = min(widths[0], max(12, len(heads[0]), room))
    last = len(heads) - 1
    fits = [0 if n == last and not rows[0][n].right else width for n, width in enumerate(widths)]
    yield "  ".join(
        painted(head, fits[n], right=rows[0][n].right, bold=n == 0, dim=n > 0)
        for n, head in enumerate(heads)
    )
    for row in rows:
        yield "  ".join(
            painted(cut(cell.text, widths[n]), fits[n], right=cell.right, fg=cell.colour)
            for n, cell in enumerate(row)
        )


def cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


COMMANDS: list[click.Command] = [status]
