"""What capture left behind, asked without the code under test."""

from __future__ import annotations

import psycopg
import pytest
from helpers import Connection, drain_all, feed, one
from psycopg import sql


def marked(conn: Connection, kind: str | None = None) -> list[str]:
    """Each key marked since this was last asked, of all kinds or of one; empties the outbox."""
    rows = conn.execute(
        "select distinct o.kind, m.key from publish.outbox o"
        " cross join lateral unnest(o.source_id || o.more) as m (key)"
    ).fetchall()
    conn.execute("truncate publish.outbox")
    return sorted(key for of, key in rows if kind in (None, of))


def walks(conn: Connection) -> list[str]:
    """The kinds that the drain was asked to walk since this was last asked, each once."""
    kinds = conn.execute("delete from publish.rescan returning kind").fetchall()
    return sorted({kind for (kind,) in kinds})


def marks_of(conn: Connection, statement: str, kind: str | None = None) -> list[str]:
    """What a statement marks, in a transaction that is rolled back."""
    with conn.transaction(force_rollback=True):
        conn.execute("truncate publish.outbox")
        conn.execute(statement.encode())
        return marked(conn, kind)


def says(conn: Connection, kind: str) -> dict[str, object]:
    """source_id → payload, as the kind's view says now."""
    with conn.transaction():
        conn.execute("set local timezone = 'UTC'; set local datestyle = 'ISO'")
        view, key = conn.execute(
            "select c.view, c.source_id from publish.key_columns(%s) c", [kind]
        ).fetchone()
        query = sql.SQL("select {}, to_jsonb(v.*) from {} v").format(sql.SQL(key), sql.SQL(view))
        return dict(conn.execute(query).fetchall())


def converges(conn: Connection, kind: str, batch: int = 500) -> dict[str, object]:
    """Drains all there is; the feed then says what the view says, and that is returned."""
    drain_all(conn, batch)
    conn.execute("truncate publish.outbox")
    published = feed(conn, kind)
    assert published == says(conn, kind)
    assert one(conn, "select count(*) from publish.quarantine") == 0
    return published


def refused(conn: Connection, statement: str, *arguments: object) -> str:
    """The SQLSTATE with which a statement fails."""
    with pytest.raises(psycopg.Error) as error:
        conn.execute(statement.encode(), arguments or None)
    return str(error.value.sqlstate)
