"""The kinds of job that `pgpublish work` knows by itself."""

from __future__ import annotations

from collections.abc import Mapping

from pgpublish import capture, jobs
from pgpublish.database import Connection, call
from pgpublish.jobs import Job


@jobs.handler("backfill")
def backfill(conn: Connection, job: Job) -> None:
    """Marks every key of the view of kind data.kind dirty, data.batch (1000) in a transaction."""
    kind, batch = job.data["kind"], job.data.get("batch", 1000)
    if job.data.get("after") is None:
        job.save(done=0, total=capture.estimated_keys(conn, kind))

    def page(after: str | None) -> tuple[str | None, Mapping[str, int]]:
        next_after, marked = call(
            conn, "select next, marked from public.publish_backfill(%s, %s, %s)", kind, after, batch
        )
        return next_after, {"done": marked}

    sums = jobs.walk(conn, job, page)
    job.update(total=sums["done"])
