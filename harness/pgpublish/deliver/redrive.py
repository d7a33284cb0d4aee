"""Dead letters tried again, as a job."""

from __future__ import annotations

from pgpublish import jobs
from pgpublish.database import Connection, call
from pgpublish.jobs import Job

PAGE = 1000  # dead letters in one transaction


@jobs.handler("redrive")
def redrive_job(conn: Connection, job: Job) -> None:
    """Has the dead letters of data.subscription tried again, a page in a transaction: those of
    data.pub_id and data.class, or all.

    Its data holds how many (redriven). Goes on after the last page that was committed.
    """

    def page(after: str | None) -> tuple[str | None, dict[str, int]]:
        next_after, count = call(
            conn,
            "select next, redriven from public.publish_redrive(%s::text, %s::uuid, %s::text,"
            " %s::int, %s::bigint)",
            job.data["subscription"],
            job.data.get("pub_id"),
            job.data.get("class"),
            job.data.get("batch", PAGE),
            after,
        )
        return next_after and str(next_after), {"redriven": count}

    jobs.walk(conn, job, page)
