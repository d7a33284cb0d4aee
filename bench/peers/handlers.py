"""The handler that `pgpublish work` runs next to the peers: an empty job, and what says it ran."""

from __future__ import annotations

from pgpublish import jobs


@jobs.handler("empty")
def empty(conn: object, job: jobs.Job) -> None:
    if job.data.get("ping"):
        print("ping", flush=True)
