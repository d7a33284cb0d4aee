"""What capture left behind, asked without the code under test; and what publish_verify says."""

from __future__ import annotations

from collections import Counter
from typing import Any

import psycopg
import pytest
from helpers import Connection, drain_all, feed, one
from psycopg import sql


def marked(conn: Connection, kind: str | None = None) -> list[str]:
    """Each key marked since this was last asked, of all kinds or of one; empties the outbox."""
    rows = conn.execute(
        "select distinct o.kind, m.key from publish.outbox o"
        " cross join lateral unnest(o.source_ids) as m (key)"
    ).fetchall()
    conn.execute("truncate publish.outbox")
    return sorted(key for of, key in rows if kind in (None, of))


def walks(conn: Connection) -> list[str]:
    """The kinds that the drain was asked to walk since this was last asked, each once."""
    kinds = conn.execute("delete from publish.walk returning kind").fetchall()
    return sorted({kind for (kind,) in kinds})


def marks_of(conn: Connection, statement: str, kind: str | None = None) -> list[str]:
    """What a statement marks, in a transaction that is rolled back."""
    with conn.transaction(force_rollback=True):
        conn.execute("truncate publish.outbox")
        conn.execute(statement.encode())
        return marked(conn, kind)


def knows(conn: Connection, statement: str) -> bool:
    """Whether the server is new enough for it: MERGE came with PostgreSQL 15."""
    return not statement.startswith("merge") or conn.info.server_version >= 150000


def says(conn: Connection, kind: str) -> dict[str, object]:
    """source_id → payload, as the kind's view says now."""
    with conn.transaction():
        conn.execute("set local timezone = 'UTC'; set local datestyle = 'ISO'")
        view, key = conn.execute(
            "select k.view, publish.source_id_sql(k.kind) from publish.kind k where k.kind = %s",
            [kind],
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


def unseen(db: Any, statement: str) -> None:
    """A write that no trigger sees, as after `disable trigger`."""
    db.execute("set session_replication_role = replica")
    db.execute(statement.encode())
    db.execute("reset session_replication_role")


def verify(db: Any, kind: str = "article", *, repair: bool = False, batch: int = 1000) -> Any:
    """Sums over all pages, and source_id → problem."""
    sums: Counter[str] = Counter()
    found: dict[str, str] = {}
    after, pages = None, 0
    while True:
        page = db.execute(
            "select * from publish_verify(%s, %s, %s, %s)", [kind, repair, after, batch]
        ).fetchone()
        assert pages < 200
        pages += 1
        sums.update({k: v for k, v in page._asdict().items() if isinstance(v, int)})
        found |= {d["source_id"]: d["problem"] for d in page.differences or []}
        after = page.next
        if after is None:
            return sums, found
