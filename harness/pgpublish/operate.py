"""Looking at the engine from outside."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pgpublish.database import Connection, call, rows
from pgpublish.errors import PublishError


@dataclass(frozen=True)
class Status:
    """One row of publish_status. depth: marks to drain. lag: age of the oldest of them."""

    head: int
    depth: int
    lag: timedelta | None
    delayed: int
    quarantined: int
    walks: int
    epoch: UUID | None
    floor: int
    last_drain_at: datetime | None
    last_drain_duration: timedelta | None
    last_drain_scanned: int | None
    last_drain_published: int | None


def status(conn: Connection) -> Status:
    return Status(
        *call(
            conn,
            "select head, depth, lag, delayed, quarantined, walks, epoch, floor, last_drain_at,"
            " last_drain_duration, last_drain_scanned, last_drain_published"
            " from public.publish_status()",
        )
    )


def overview(conn: Connection) -> dict[str, Any]:
    """publish.overview() as it is: everything the screens show. Raises as call does."""
    found: dict[str, Any] = call(conn, "select publish.overview()")[0]
    return found


def running_jobs(conn: Connection) -> list[dict[str, Any]]:
    """Running jobs, the newest first, at most 20; none for a role that may not see them."""
    try:
        return rows(
            conn,
            "select id, kind, worker, started_at, data"
            " from public.publish_jobs('running'::text, null::text, 20, false, null::text)",
        )
    except PublishError as error:
        if error.sqlstate != "42501":
            raise
        return []
