"""Looking at the engine from outside."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from pgpublish.database import Connection, call


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
    return Status(*call(conn, "select * from public.publish_status()"))
