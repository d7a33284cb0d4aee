"""Walks over a whole kind: asked for here, done by the drains, page by page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from threading import Event

from pgpublish.database import Connection, call, tuples
from pgpublish.errors import NotDefined

LOOK_EVERY_S = 0.2


@dataclass(frozen=True)
class Walk:
    """One row of publish_walks: asked for, under way (began_at) or ended (ended_at)."""

    kind: str
    reason: str
    position: str | None
    marked: int
    estimate: int | None
    requested_at: datetime
    began_at: datetime | None
    ended_at: datetime | None
    due_at: datetime | None
    attempts: int
    message: str | None


def ask(conn: Connection, kind: str) -> datetime:
    """Asks for a walk; returns when. Raises NotDefined."""
    asked_at: datetime = call(conn, "select public.publish_walk(%s::text)", kind)[0]
    return asked_at


def walks(conn: Connection, kind: str | None = None) -> list[Walk]:
    """Rows of publish_walks. Raises NotDefined."""
    found = tuples(
        conn,
        "select of_kind, reason, position, marked, estimate, requested_at, began_at, ended_at,"
        " due_at, attempts, message from public.publish_walks(%s::text)",
        kind,
    )
    return [Walk(*row) for row in found]


def follow(conn: Connection, kind: str, asked_at: datetime, stop: Event) -> Iterator[Walk]:
    """The kind's walk, looked at five times a second until one that began after asked_at has ended
    (that is the last) or stop is set.

    Raises NotDefined when the walk is gone without having ended.
    """
    while not stop.is_set():
        found = walks(conn, kind)
        for walk in found:
            if walk.ended_at and walk.began_at and walk.began_at >= asked_at:
                yield walk
                return
        if not found or found[0].ended_at:
            raise NotDefined(
                "the walk is gone",
                detail=f"kind {kind!r}",
                hint="The kind was defined without a view. See: pgpublish audit",
            )
        yield found[0]
        stop.wait(LOOK_EVERY_S)
