"""Walks over a whole kind, a page and a transaction at a time: backfill and verify."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pgpublish.database import Connection, call


@dataclass(frozen=True)
class Marked:
    """One page of a backfill. page: keys of this page; total: since the backfill began."""

    total: int
    page: int
    done: bool


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


def backfill(
    conn: Connection, kind: str, *, batch: int = 1000, again: bool = False
) -> Iterator[Marked]:
    """Marks every key of the kind's view, going on where a backfill that was stopped ended.

    again: from the beginning. Raises NotDefined, BadArgument.
    """
    while True:
        marked = Marked(
            *call(conn, "select * from publish.backfill_page(%s, %s, %s)", kind, batch, again)
        )
        yield marked
        if marked.done:
            return
        again = False


def verify(
    conn: Connection, kind: str, *, repair: bool = False, batch: int = 1000
) -> Iterator[Compared]:
    """Compares every key of the kind. Raises NotDefined, BadArgument, Locked."""
    after: str | None = None
    while True:
        page = Compared(
            *call(
                conn,
                "select * from public.publish_verify(%s, %s, %s, %s)",
                kind, repair, after, batch,
            )
        )  # fmt: skip
        yield page
        after = page.next
        if after is None:
            return
