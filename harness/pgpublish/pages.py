"""Pages of the feed on a connection of your own; follow() connects, waits and resets by itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pgpublish import exact
from pgpublish.database import Connection, call
from pgpublish.errors import CursorInvalid


@dataclass(frozen=True, slots=True)
class Page:
    """publish_page's answer. cursor: where the next page begins. more: there is one now."""

    changes: list[dict[str, Any]]
    cursor: str
    head: int
    epoch: str | None
    more: bool


def ask(conn: Connection, cursor: str | None, batch: int, kinds: list[str] | None) -> Any:
    """publish_page's answer as it is. A number with a fraction is a Decimal, so that it has every
    digit that the database has. Raises BadArgument, NotDefined."""
    query = "select public.publish_page(%s::text, %s::int, %s::text[])::text"
    return exact.loads(call(conn, query, cursor, batch, kinds)[0])


def page(
    conn: Connection, cursor: str | None, *, batch: int = 500, kinds: list[str] | None = None
) -> Page:
    """The page after cursor; None is the beginning, a plain rev is a cursor too. Raises as ask, and
    CursorInvalid when what the reader holds can no longer be continued: drop it, begin again."""
    answer = ask(conn, cursor, batch, kinds)
    if answer["reset"]:
        raise CursorInvalid(
            "this cursor cannot be continued",
            detail=answer["reason"],
            hint="Drop what was read, and begin again at 0.",
            sqlstate="PT410",
        )
    return Page(
        answer["changes"], answer["cursor"], answer["head"], answer["epoch"], answer["more"]
    )


def read(
    conn: Connection,
    cursor: str | None = None,
    *,
    batch: int = 500,
    kinds: list[str] | None = None,
) -> Iterator[Page]:
    """Pages from cursor to the head. Raises as page does."""
    more = True
    while more:
        answer = page(conn, cursor, batch=batch, kinds=kinds)
        cursor, more = answer.cursor, answer.more
        if answer.changes:
            yield answer
