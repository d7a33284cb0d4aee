"""What the pages show, as data: cards and tables of plain text.

`pgpublish report` writes them as HTML, `pgpublish serve` sends them to its page.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pgpublish.figures import ago, count, rate, seconds, size

STATES = {"active": "good", "resyncing": "good", "paused": "warn"}


@dataclass(frozen=True)
class Cell:
    """tone: good, warn, bad or soft. below: a second line. part: a bar that is so many percent
    full, before the text."""

    text: str
    tone: str = ""
    number: bool = False
    name: bool = False
    below: str = ""
    part: int | None = None


@dataclass(frozen=True)
class Card:
    name: str
    text: str
    tone: str = ""


@dataclass(frozen=True)
class Table:
    """name: for programs. Rows have as many cells as there are heads."""

    name: str
    title: str
    heads: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]


def number(text: str, tone: str = "") -> Cell:
    return Cell(text, tone, number=True)


def name(text: object) -> Cell:
    return Cell(str(text), name=True)


def late(age: float | None, warn: float, bad: float) -> str:
    return "" if age is None or age < warn else "warn" if age < bad else "bad"


def cards(found: dict[str, Any], now: datetime) -> list[Card]:
    """Without what a reader does not see: figures of the database."""
    feed = found["feed"] or {}
    published = [row for row in found["latency"] if row["step"] == "published"]
    minute = published[0] if published else {}
    day = published[-1] if published else {}
    oldest = max((k["oldest_s"] for k in found["kinds"] if k["oldest_s"] is not None), default=None)
    shown = [Card("head", count(feed.get("head", 0)))]
    if "depth" in found:
        shown.append(Card("marks waiting", count(found["depth"])))
    shown += [
        Card("oldest mark", seconds(oldest), late(oldest, 10, 60)),
        Card("changes/s, last minute", rate(minute.get("per_second", 0))),
        Card("published in, p95 of the last minute", seconds(minute.get("p95"))),
        Card("published in, p95 of the last day", seconds(day.get("p95"))),
        Card("since the last drain", ago(feed.get("last_drain_at"), now)),
    ]
    if "bytes" in found:
        sizes = f"{size(found['bytes']['outbox'])}, {size(found['bytes']['feed'])}"
        shown.append(Card("outbox, feed", sizes))
    return shown


def tables(found: dict[str, Any], jobs: Sequence[dict[str, Any]]) -> list[Table]:
    """Of who sees operations. jobs: those that run."""
    now = datetime.fromisoformat(found["at"])
    return [
        kinds(found["kinds"]),
        subscriptions(found),
        workers(found["workers"], now),
        running(jobs, now),
        job_sums(found["jobs"]),
    ]


def kind_names(kinds: Iterable[dict[str, Any]]) -> Table:
    """Of who does not see operations."""
    return Table(
        "kinds",
        "Kinds",
        ("kind", "oldest mark"),
        [
            (name(k["kind"]), number(seconds(k["oldest_s"]), late(k["oldest_s"], 10, 60)))
            for k in kinds
        ],
    )


def kinds(kinds: Iterable[dict[str, Any]]) -> Table:
    return Table(
        "kinds",
        "Kinds",
        ("kind", "view", "waiting", "oldest", "failed", "for later", "walk"),
        [
            (
                name(k["kind"]),
                Cell(k["view"] or "payloads", "soft"),
                number(count(k["depth"])),
                number(seconds(k["oldest_s"]), late(k["oldest_s"], 10, 60)),
                number(count(k["failed"]), "bad" if k["failed"] else ""),
                number(count(k["scheduled"])),
                bar(k["walk_marked"], k["walk_estimate"]),
            )
            for k in kinds
        ],
    )


def bar(done: Any, total: Any) -> Cell:
    if not isinstance(done, int | float):
        return Cell("-", "soft")
    if not isinstance(total, int | float) or not total:
        return Cell(count(done))
    part = max(0, min(100, round(100 * done / total)))
    return Cell(f"{count(done)} of {count(total)}", part=part)


def subscriptions(found: dict[str, Any]) -> Table:
    day = {
        row["subscription"]: row
        for row in found["latency"]
        if row["step"] == "delivered" and row["span"] == 900
    }
    return Table(
        "subscriptions",
        "Subscriptions",
        (
            "subscription",
            "sink",
            "state",
            "behind",
            "oldest",
            "sent/s",
            "p95",
            "retries",
            "dead",
            "waits for, last error",
        ),
        [
            (
                name(s["name"]),
                Cell(s["sink"], "soft"),
                Cell(s["state"], STATES.get(s["state"], "bad")),
                number(count(s["behind"])),
                number(seconds(s["lag_s"]), late(s["lag_s"], 60, 600)),
                number(rate(day.get(s["name"], {}).get("per_second", 0))),
                number(seconds(day.get(s["name"], {}).get("p95"))),
                number(count(s["retries"])),
                number(count(s["dead"]), "bad" if s["dead"] else ""),
                Cell(s["waits_for"] or "-", below=s["last_error"] or ""),
            )
            for s in found["subscriptions"]
        ],
    )


def workers(workers: Iterable[dict[str, Any]], now: datetime) -> Table:
    return Table(
        "workers",
        "Workers",
        ("worker", "kind", "doing", "up for", "seen", "version"),
        [
            (
                name(w["name"]),
                Cell(w["kind"]),
                Cell(w["doing"], "good") if w["is_alive"] else Cell("silent", "bad"),
                number(ago(w["since"], now)),
                number(f"{ago(w['seen_at'], now)} ago"),
                Cell(w["version"] or "-", "soft"),
            )
            for w in workers
        ],
    )


def running(jobs: Iterable[dict[str, Any]], now: datetime) -> Table:
    return Table(
        "running",
        "Running jobs",
        ("job", "kind", "progress", "for", "worker"),
        [
            (
                name(j["id"]),
                Cell(j["kind"]),
                bar(j["data"].get("done"), j["data"].get("total")),
                number(ago(j["started_at"], now)),
                Cell(j["worker"] or "-", "soft"),
            )
            for j in jobs
        ],
    )


def stopped(jobs: Iterable[dict[str, Any]]) -> Table:
    """Jobs that failed; ignored ones are not tried again by themselves."""
    return Table(
        "stopped",
        "Failed jobs",
        ("job", "kind", "status", "attempts", "last error"),
        [
            (
                name(j["id"]),
                Cell(j["kind"]),
                Cell(j["status"], "bad" if j["status"] == "ignored" else "warn"),
                number(count(j["attempts"])),
                Cell(j["error"] or "-", below=j["message"] or ""),
            )
            for j in jobs
        ],
    )


def job_sums(jobs: Iterable[dict[str, Any]]) -> Table:
    return Table(
        "jobs",
        "Jobs",
        ("kind", "status", "jobs"),
        [(name(j["kind"]), Cell(j["status"]), number(count(j["count"]))) for j in jobs],
    )
