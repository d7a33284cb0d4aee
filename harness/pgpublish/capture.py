"""Walks over a whole kind, a page and a transaction at a time: backfill and verify."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from psycopg.types.json import Jsonb

from pgpublish import jobs
from pgpublish.database import Connection, call
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


def mark(
    conn: Connection, kind: str, after: str | None = None, batch: int = 1000
) -> tuple[str | None, int]:
    """One page of publish_backfill: where to go on, None at the end, and keys marked.

    Raises NotDefined, BadArgument.
    """
    next_after, marked = call(
        conn, "select next, marked from public.publish_backfill(%s, %s, %s)", kind, after, batch
    )
    return next_after, marked


def compare(
    conn: Connection, kind: str, repair: bool = False, after: str | None = None, batch: int = 1000
) -> Compared:
    """One page of publish_verify. Raises NotDefined, BadArgument, Locked."""
    query = "select * from public.publish_verify(%s, %s, %s, %s)"
    return Compared(*call(conn, query, kind, repair, after, batch))


def backfill(conn: Connection, kind: str, *, batch: int = 1000) -> Iterator[int]:
    """Marks every key of the kind's view, and yields how many after each page."""
    after = None
    while True:
        after, marked = mark(conn, kind, after, batch)
        yield marked
        if after is None:
            return


def begin_backfill(conn: Connection, job: Job, *, again: bool = False, **settings: object) -> bool:
    """Whether it goes on after the last page that was committed, as publish.begin_walk decides.

    settings are merged into the job's data. Raises NotDefined, StaleToken.
    """
    return _begin(conn, job, settings, {}, timedelta(0) if again else None)


def begin_verify(conn: Connection, job: Job, *, again: bool = False, **settings: object) -> bool:
    """As begin_backfill; but what was stopped for over an hour begins anew."""
    return _begin(conn, job, settings, {"differences": []}, timedelta(0) if again else AN_HOUR)


def _begin(
    conn: Connection,
    job: Job,
    settings: dict[str, object],
    fresh: dict[str, object],
    within: timedelta | None,
) -> bool:
    query = "select publish.begin_walk(%s, %s, %s, %s, %s)"
    arguments = (job.id, job.token, Jsonb(settings), Jsonb(fresh), within)
    with conn.transaction():
        goes_on: bool = call(conn, query, *arguments)[0]
    job.reload()
    return goes_on


@jobs.handler("backfill")
def backfill_job(conn: Connection, job: Job) -> None:
    """Marks every key of the view of data.kind, data.batch (1000) in a transaction."""
    begin_backfill(conn, job)
    backfill_pages(conn, job)


def backfill_pages(conn: Connection, job: Job, advance: Advance = lambda count: None) -> None:
    """The pages of a backfill that has begun; advance is told of each page's keys."""
    kind, batch = job.data["kind"], job.data.get("batch", 1000)

    def page(after: str | None) -> tuple[str | None, dict[str, int]]:
        next_after, marked = mark(conn, kind, after, batch)
        advance(marked)
        return next_after, {"done": marked}

    sums = jobs.walk(conn, job, page)
    job.update(total=sums["done"])


@jobs.handler("verify")
def verify_job(conn: Connection, job: Job) -> None:
    """Compares every key of data.kind, data.batch (1000) in a transaction, and repairs what
    differs if data.repair.

    Its data holds the sums of publish_verify, the first 20 differences, and since when they count.
    """
    begin_verify(conn, job)
    verify_pages(conn, job)


def verify_pages(conn: Connection, job: Job, advance: Advance = lambda count: None) -> None:
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
