"""What happens now as the page shows it: texts, and what may be done about them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from pgpublish import __version__, charts, screens

CHART = 400  # wide, as it is on the page: its texts are not made smaller


@dataclass(frozen=True)
class Action:
    """action: as publish_serve_operate takes it. ask: what is confirmed before."""

    action: str
    name: str
    label: str
    ask: str


def view(found: dict[str, Any], acts: bool) -> dict[str, Any]:
    """found: of publish_serve_overview. acts: the reader has a token that may act."""
    now = datetime.fromisoformat(found["at"])
    may = set(found["may"]) if acts else set()
    if found["operations"]:
        tables = [*screens.tables(found, found["running"]), screens.stopped(found["stopped"])]
    else:
        tables = [screens.kind_names(found["kinds"])]
    return {
        "at": found["at"],
        "version": __version__,
        "database": found.get("database"),
        "is_standby": found["is_standby"],
        "recent": found["recent"],
        "kinds": [k["kind"] for k in found["kinds"]],
        "cards": [asdict(card) for card in screens.cards(found, now)],
        "warnings": found.get("warnings"),
        "tables": [shown(table, found, may) for table in tables],
    }


def shown(table: screens.Table, found: dict[str, Any], may: set[str]) -> dict[str, Any]:
    """A table has the name and the order of what it was made of."""
    actions = ACTIONS.get(table.name, nothing)
    return {
        "name": table.name,
        "title": table.title,
        "heads": table.heads,
        "rows": [
            {
                "cells": [asdict(cell) for cell in cells],
                "actions": [asdict(one) for one in actions(row) if one.action in may],
            }
            for cells, row in zip(table.rows, found[table.name], strict=True)
        ],
    }


def nothing(_: dict[str, Any]) -> Iterable[Action]:
    return ()


def of_kind(kind: dict[str, Any]) -> Iterable[Action]:
    if kind.get("failed"):
        yield Action(
            "retry keys",
            kind["kind"],
            "Retry keys",
            f"The next drain tries {kind['failed']:,} failed keys of this kind again.",
        )


def of_subscription(sub: dict[str, Any]) -> Iterable[Action]:
    name = sub["name"]
    if sub["state"] in ("paused", "disabled", "endpoint failing"):
        yield Action("resume", name, "Resume", "Changes are sent again, at once.")
    if sub["state"] not in ("paused", "disabled"):
        yield Action(
            "pause", name, "Pause", "Nothing more is sent until it is resumed. Nothing is lost."
        )
    if sub["dead"]:
        yield Action(
            "redrive",
            name,
            "Redrive",
            f"{min(sub['dead'], 10_000):,} dead letters are tried again, with all attempts. Each"
            " sends what is published now.",
        )


def of_job(job: dict[str, Any]) -> Iterable[Action]:
    yield Action(
        "retry job",
        job["id"],
        "Retry",
        "It is due now, with the data that it saved, and no attempt is counted.",
    )


ACTIONS: dict[str, Callable[[dict[str, Any]], Iterable[Action]]] = {
    "kinds": of_kind,
    "subscriptions": of_subscription,
    "stopped": of_job,
}


def curves(found: dict[str, Any]) -> list[dict[str, Any]]:
    """found: of publish_serve_history."""
    return [
        asdict(chart) | {"height": charts.HEIGHT, "left": charts.LEFT}
        for chart in charts.of_span(found, "hour", CHART)
    ]
