"""Keeps a SQLite file equal to the feed: through kills, lost connections, resets and failovers.

    python examples/sqlite_replica.py DATABASE_URL FILE [KIND…]

Table held has one row for each key that is published. What a page says and the cursor after it
are one transaction of SQLite, so the file is at all times what the feed said at some cursor.
"""

from __future__ import annotations

import sqlite3
import sys

from pgpublish import Change, FeedEvent, Reset, Resynced, exact, follow

SCHEMA = """
create table if not exists held (
  pub_id text primary key, kind text not null, rev integer not null, payload text not null,
  round integer not null
);
create table if not exists place (cursor text, round integer not null);
insert into place select null, 0 where not exists (select 1 from place);
"""


def take(db: sqlite3.Connection, event: FeedEvent) -> None:
    """round counts the resets; a row has the round in which it last came."""
    match event:
        case Reset():
            db.execute("update place set round = round + 1")
        case Change(deleted=True):
            db.execute("delete from held where pub_id = ?", [str(event.pub_id)])
        case Change():
            db.execute(
                "insert or replace into held select ?, ?, ?, ?, round from place",
                [str(event.pub_id), event.kind, event.rev, exact.dumps(event.payload)],
            )
        case Resynced():
            db.execute("delete from held where round < (select round from place)")


def replicate(database_url: str, file: str, kinds: list[str] | None) -> None:
    db = sqlite3.connect(file)
    db.executescript(SCHEMA)
    (saved,) = db.execute("select cursor from place").fetchone()
    for event in follow(database_url, kinds=kinds, cursor=saved, warn=print):
        take(db, event)
        if event.cursor != saved:
            saved = event.cursor
            db.execute("update place set cursor = ?", [saved])
            db.commit()


if __name__ == "__main__":
    replicate(sys.argv[1], sys.argv[2], sys.argv[3:] or None)
