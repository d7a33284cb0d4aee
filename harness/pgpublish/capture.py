"""Marking keys dirty from outside: the backfill's pages."""

from __future__ import annotations

from collections.abc import Iterator

from pgpublish.database import Connection, call


def estimated_keys(conn: Connection, kind: str) -> int:
    """About how many keys the kind's view shows. Raises NotDefined."""
    estimate: int = call(conn, "select publish.estimated_keys(%s)", kind)[0]
    return estimate


def backfill(
    conn: Connection, kind: str, *, after: str | None = None, batch: int = 1000
) -> Iterator[tuple[str | None, int]]:
    """Marks every key of the kind's view, a page and a transaction at a time.

    Yields (where to go on if stopped now, keys marked) after each page; the last is (None, n).
    Raises NotDefined, BadArgument.
    """
    while True:
        after, marked = call(
            conn, "select next, marked from public.publish_backfill(%s, %s, %s)", kind, after, batch
        )
        yield after, marked
        if after is None:
            return
