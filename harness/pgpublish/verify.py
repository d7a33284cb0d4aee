"""Verify: compares a kind's view with the feed, a page and a transaction at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, LiteralString

from psycopg.types.json import Jsonb

from pgpublish import jobs
from pgpublish.database import Connection, call, rows
from pgpublish.jobs import Job

SHOWN = 20  # differences that a verify keeps
AN_HOUR = timedelta(hours=1)  # after which what a verify has seen says nothing about now

Advance = Callable[[int], None]


@dataclass(frozen=True)
class Compared:
    """One page of publish_verify, as its comment says. next: None at the end."""

    next: str | None
    checked: int
    missing: int
    stale: int
    surplus: int
    duplicate: int
    unpublishable: int
    pending: int
    repaired: int
    differences: list[dict[str, Any]] | None


def estimated_keys(conn: Connection, kind: str) -> int:
    """About how many keys the kind's view shows. Raises NotDefined."""
    estimate: int = call(conn, "select publish.estimated_keys(%s)", kind)[0]
    return estimate


def compare(
    conn: Connection, kind: str, repair: bool = False, after: str | None = None, batch: int = 1000
) -> Compared:
    """One page of publish_verify. Raises NotDefined, BadArgument, Locked."""
    query: LiteralString = (
        "select next, checked, missing, stale, surplus, duplicate, unpublishable, pending,"
        " repaired, differences"
        " from public.publish_verify(%s::text, %s::boolean, %s::text, %s::int)"
    )
    return Compared(*call(conn, query, kind, repair, after, batch))


def fields(conn: Connection, kind: str, differences: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """These differences, each with its fields: old as published, new as the view says. Raises as
    publish.differing_fields does."""
    query = "select * from publish.differing_fields(%s, %s)"
    keys = [d["source_id"] for d in differences if d["source_id"]]
    found: dict[str, list[dict[str, Any]]] = {key: [] for key in keys}
    for row in rows(conn, query, kind, keys) if keys else []:
        found[row.pop("source_id")].append(row)
    return [{**d, "fields": found.get(d["source_id"], [])} for d in differences]


def begin(conn: Connection, job: Job, *, again: bool = False, **settings: object) -> bool:
    """Whether it goes on after the last page that was committed, as publish.begin_verify decides;
    what was stopped for over an hour begins from the first key.

    settings are merged into the job's data. Raises NotDefined, StaleToken.
    """
    within = timedelta(0) if again else AN_HOUR
    query = "select publish.begin_verify(%s, %s, %s, %s, %s)"
    with conn.transaction():
        goes_on: bool = call(
            conn, query, job.id, job.token, Jsonb(settings), Jsonb({"differences": []}), within
        )[0]
    job.reload()
    return goes_on


@jobs.handler("verify")
def verify_job(conn: Connection, job: Job) -> None:
    """Compares every key of data.kind, data.batch (1000) in a transaction, and repairs what
    differs if data.repair.

    Its data holds the sums of publish_verify, the first 20 differences, and since when they count.
    """
    begin(conn, job)
    pages(conn, job)


def pages(conn: Connection, job: Job, advance: Advance = lambda count: None) -> None:
    """The pages of a verify that has begun; advance is told of each page's keys."""
    kind, batch = job.data["kind"], job.data.get("batch", 1000)
    repair, found = job.data.get("repair", False), job.data["differences"]

    def page(after: str | None) -> tuple[str | None, dict[str, int]]:
        compared = compare(conn, kind, repair, after, batch)
        if compared.differences and len(found) < SHOWN:
            found.extend(compared.differences[: SHOWN - len(found)])
            job.save(differences=found)
        advance(compared.checked or batch)
        counts = {k: v for k, v in asdict(compared).items() if isinstance(v, int)}
        return compared.next, {"done": compared.checked, **counts}

    jobs.walk(conn, job, page)
