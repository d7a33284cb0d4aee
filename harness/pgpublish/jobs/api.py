"""What is one call of the database."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

from pgpublish import exact
from pgpublish.database import Connection, rows
from pgpublish.jobs.session import data_json, transact


def add(
    conn: Connection,
    id: str,
    kind: str,
    data: Mapping[str, Any] | None = None,
    *,
    run_at: datetime | None = None,
    unique_for: timedelta | None = None,
    max_attempts: int = 10,
    priority: int = 0,
) -> bool:
    """publish_job_add: False if there is a job of this id, which stays as it is.

    unique_for: one that was added longer ago, and has ended, is replaced. Raises BadArgument.
    """
    row = transact(
        conn,
        "select public.publish_job_add(%s::text, %s::text, %s::jsonb, %s::timestamptz, %s::int,"
        " %s::int, interval '10 s', interval '1 h', %s::interval)",
        *(id, kind, data_json(data or {}), run_at, priority, max_attempts, unique_for),
    )
    return bool(row and row[0])


def listing(
    conn: Connection,
    *,
    status: str | None = None,
    kind: str | None = None,
    batch: int = 100,
    oldest_first: bool = False,
    id: str | None = None,
) -> list[dict[str, Any]]:
    """Rows of publish_jobs; a number with a fraction is a Decimal. Raises BadArgument."""
    found = rows(
        conn,
        "select id, kind, status, priority, attempts, max_attempts, due_at, worker, error, message,"
        " created_at, started_at, beat_at, finished_at, data::text"
        " from public.publish_jobs(%s::text, %s::text, %s::int, %s::boolean, %s::text)",
        *(status, kind, batch, oldest_first, id),
    )
    return [row | {"data": exact.loads(row["data"])} for row in found]


def job_errors(conn: Connection, id: str, *, batch: int = 100) -> list[dict[str, Any]]:
    """Rows of publish_job_errors, the newest first. Raises NotDefined."""
    return rows(conn, "select * from public.publish_job_errors(%s::text, %s::int)", id, batch)


def steps(conn: Connection, id: str) -> list[dict[str, Any]]:
    """Rows of publish_job_steps, in order. Raises NotDefined."""
    found = rows(conn, "select name, result::text, at from public.publish_job_steps(%s::text)", id)
    return [row | {"result": exact.loads(row["result"])} for row in found]


def activity(conn: Connection) -> list[dict[str, Any]]:
    """Rows of publish.job_activity: who runs what, with data as in listing."""
    found = rows(
        conn, "select a.*, a.data::text as json from publish.job_activity a order by since, id"
    )
    return [row | {"data": exact.loads(row.pop("json"))} for row in found]


def cancel(conn: Connection, id: str) -> bool:
    """publish_job_cancel: False if it had ended. Raises NotDefined."""
    row = transact(conn, "select public.publish_job_cancel(%s::text)", id)
    return bool(row and row[0])


def retry(conn: Connection, id: str) -> None:
    """publish_job_retry. Raises NotDefined, and Locked while it runs."""
    transact(conn, "select public.publish_job_retry(%s::text)", id)


def limit(conn: Connection, kind: str, max_running: int | None) -> None:
    """publish_job_limit: at most so many jobs of the kind run at a time. Raises BadArgument."""
    transact(conn, "select public.publish_job_limit(%s::text, %s::int)", kind, max_running)


def limits(conn: Connection) -> list[dict[str, Any]]:
    """Rows of publish_job_limits."""
    return rows(conn, "select * from public.publish_job_limits()")


def schedule(
    conn: Connection,
    name: str,
    kind: str,
    cron: str,
    *,
    time_zone: str = "UTC",
    data: Mapping[str, Any] | None = None,
    priority: int = 0,
    max_attempts: int = 10,
    missed: Literal["once", "each"] = "once",
) -> datetime:
    """publish_job_schedule: a job of this kind at each time of cron. Returns the next time.

    Raises BadArgument for what is no cron expression, time zone or time that comes.
    """
    row = transact(
        conn,
        "select public.publish_job_schedule(%s::text, %s::text, %s::text, %s::text, %s::jsonb,"
        " %s::int, %s::int, %s::text)",
        *(name, kind, cron, time_zone, data_json(data or {}), priority, max_attempts, missed),
    )
    assert row is not None
    next_at: datetime = row[0]
    return next_at


def unschedule(conn: Connection, name: str) -> None:
    """publish_job_unschedule. Raises NotDefined."""
    transact(conn, "select public.publish_job_unschedule(%s::text)", name)


def schedules(conn: Connection) -> list[dict[str, Any]]:
    """Rows of publish_job_schedules."""
    return rows(conn, "select * from public.publish_job_schedules()")
