"""Walks over a whole kind, a page and a transaction at a time: backfill and verify."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from pgpublish import jobs
from pgpublish.database import Connection, call
from pgpublish.jobs import Job

SHOWN = 20  # differences that a verify keeps

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


@jobs.handler("backfill")
def backfill_job(conn: Connection, job: Job, advance: Advance = lambda count: None) -> None:
    """Marks every key of the view of data.kind, data.batch (1000) in a transaction.

    Goes on after the last page that was committed. advance is told of each page's keys.
    """
    kind, batch = job.data["kind"], job.data.get("batch", 1000)
    if job.data.get("after") is None:
        job.save(done=0, total=estimated_keys(conn, kind))

    def page(after: str | None) -> tuple[str | None, dict[str, int]]:
        next_after, marked = mark(conn, kind, after, batch)
        advance(marked)
        return next_after, {"done": marked}

    sums = jobs.walk(conn, job, page)
    job.update(total=sums["done"])


@jobs.handler("verify")
def verify_job(conn: Connection, job: Job, advance: Advance = lambda count: None) -> None:
    """Compares every key of data.kind, data.batch (1000) in a transaction, and repairs what
    differs if data.repair.

    Its data holds the sums of publish_verify, and the first 20 differences. Goes on after the last
    page that was committed. advance is told of each page's keys.
    """
    kind, batch = job.data["kind"], job.data.get("batch", 1000)
    repair = job.data.get("repair", False)
    if job.data.get("after") is None:
        job.save(done=0, total=estimated_keys(conn, kind), differences=[])

    def page(after: str | None) -> tuple[str | None, dict[str, int]]:
        compared = compare(conn, kind, repair, after, batch)
        kept = job.data["differences"]
        if compared.differences and len(kept) < SHOWN:
            job.save(differences=(kept + compared.differences)[:SHOWN])
        advance(compared.checked or batch)
        counts = {k: v for k, v in asdict(compared).items() if isinstance(v, int)}
        return compared.next, {"done": compared.checked, **counts}

    jobs.walk(conn, job, page)
