"""Reading the feed: pages, and following it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from threading import Event
from typing import Any

from pgpublish import exact
from pgpublish.database import Connection, call
from pgpublish.errors import CursorInvalid

LOOK_EVERY_S = 1.0  # also without a notification, which a pooler or a standby does not pass on


@dataclass(frozen=True)
class Page:
    """publish_page's answer. cursor: where the next page begins. more: there is one now."""

    changes: list[dict[str, Any]]
    cursor: str
    head: int
    epoch: str | None
    more: bool


def page(
    conn: Connection, cursor: str | None, *, batch: int = 500, kinds: list[str] | None = None
) -> Page:
    """The page after cursor; None is the beginning, a plain rev is a cursor too.

    A number with a fraction is a Decimal, so that it has every digit that the database has.
    Raises CursorInvalid when what the reader holds can no longer be continued (it must drop it and
    begin again), BadArgument, NotDefined.
    """
    answer: dict[str, Any] = exact.loads(
        call(
            conn,
            "select public.publish_page(%s::text, %s::int, %s::text[])::text",
            cursor,
            batch,
            kinds,
        )[0]
    )
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
    follow: Event | None = None,
) -> Iterator[Page]:
    """Pages from cursor to the head and, with follow, whatever comes until it is set.

    A first sync (cursor None or "0") leaves out the tombstones of before. Raises as page does.
    """
    if follow is not None:
        conn.execute("listen publish")
    while True:
        answer = page(conn, cursor, batch=batch, kinds=kinds)
        cursor = answer.cursor
        if answer.changes:
            yield answer
        if answer.more:
            continue
        if follow is None or follow.is_set():
            return
        for _ in conn.notifies(timeout=LOOK_EVERY_S, stop_after=1):
            pass
