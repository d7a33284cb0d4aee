"""What the feed costs does not depend on statistics: a session that planned its queries on empty
tables reads as little at 100,000 rows, and so does one that plans by statistics of another time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, LiteralString

import pytest
from helpers import Connection, one

ROWS = 100_000
TABLES = ["published", "departed", "drain", "floor", "epoch", "kind", "reader"]

QUERIES: dict[str, LiteralString] = {
    "get": "select * from publish_get('large', %(pub_id)s)",
    "get of another kind": "select * from publish_get('small', %(pub_id)s)",
    "pub_id": "select publish_pub_id('large', '77')",
    "pub_id of none": "select publish_pub_id('large', 'none')",
    "head": "select publish_head()",
    "changes": "select * from publish_changes(%(since)s, 10, null, %(since)s)",
    "changes of a large kind": "select * from publish_changes(%(since)s, 10, '{large}', %(since)s)",
    "changes of a small kind": "select * from publish_changes(%(since)s, 10, '{small}', %(since)s)",
    "changes of kinds": "select * from publish_changes(%(since)s, 10, '{small,event}', %(since)s)",
    "page of a scope": "select publish_serve_page('publish_reader', 'b', %(since)s::text, 10)",
    "first page of a scope": "select publish_serve_page('publish_reader', 'b', null, 10)",
    "get of a scope": "select publish_serve_get('publish_reader', 'b', 'large', %(pub_id)s)",
    "feed of all": "select * from publish_serve_feed(%(since)s::text, 10)",
    "page": "select publish_page(%(since)s::text, 10)",
    "prune": "select publish.prune(10)",
}


@pytest.fixture
def db(connect: Callable[[], Connection]) -> Connection:
    db = connect()
    db.execute("select publish_define('large', scope => 'owner'); select publish_define('small')")
    db.execute("select publish_define('event', retention => '1 day')")
    for table in TABLES:
        db.execute(f"alter table publish.{table} set (autovacuum_enabled = false)".encode())
        db.execute(f"vacuum analyze publish.{table}".encode())
    return db


def fill(db: Connection, kind: str, count: int, tombstones: int = 0) -> None:
    """As if count keys had been drained one by one, and as many steps of pruning gone before."""
    db.execute(
        "with head as (select publish_head() as head),"
        " feed as (insert into publish.published (rev, kind, source_id, schema_version, payload,"
        "   payload_hash, deleted, payload_no, created_at, updated_at, scope)"
        "  select h.head + i, %(kind)s, i::text, 1, case when i > %(dead)s then '1'::jsonb end,"
        "   case when i > %(dead)s then '\\x00'::bytea end, i <= %(dead)s, i, now(), now(),"
        "   case when %(kind)s <> 'large' then null when i %% 5000 = 0 then 'b' else 'a' end"
        "  from head h, generate_series(1, %(count)s) i),"
        " departed as (insert into publish.departed (rev, kind, source_id, pub_id, schema_version,"
        "   scope, created_at, departed_at)"
        "  select h.head + i, 'large', i::text, gen_random_uuid(), 1,"
        "   case when i %% 5000 = 0 then 'b' else 'a' end, now(), now()"
        "   from head h, generate_series(1, %(count)s) i where %(kind)s = 'large'),"
        " floor as (insert into publish.floor (kind, floor, pruned)"
        "  select %(kind)s, i, 1 from generate_series(1, least(%(count)s / 2, 5000)) i)"
        "insert into publish.drain (drain_id, head_before, head, drained, scanned, keys,"
        "  published, unchanged, quarantined, lag, duration, at)"
        " select h.head + i, h.head + i - 1, h.head + i, '3:3:', 1, 1, 1, 0, 0, '0', '0', now()"
        "  from head h, generate_series(1, %(count)s) i",
        {"kind": kind, "count": count, "dead": tombstones},
    )


def explained(db: Connection, query: str, arguments: dict[str, Any]) -> Any:
    row = db.execute(
        f"explain (analyze, buffers, format json) {query}".encode(), arguments
    ).fetchone()
    assert row is not None
    return row[0]


def blocks(db: Connection) -> dict[str, int]:
    """Blocks that each query touches, once its functions have run in this session before."""
    arguments = {
        "pub_id": "00000000-0000-4000-8000-000000000000",
        "since": one(db, "select greatest(publish_head() - 5, 0)"),
    }
    found = db.execute("select p.pub_id from publish.published p where p.kind = 'large' limit 1")
    for row in found.fetchall():
        arguments["pub_id"] = row.pub_id
    answer = {}
    for name, query in QUERIES.items():
        for _ in range(7):  # after five, a plan for any arguments may be kept
            plan = explained(db, query, arguments)
        touched = plan[0]["Plan"]
        answer[name] = touched["Shared Hit Blocks"] + touched["Shared Read Blocks"]
    return answer


def test_a_session_that_planned_on_empty_tables_reads_no_more_when_they_are_large(
    db: Connection, connect: Callable[[], Connection]
) -> None:
    session = connect()
    assert max(blocks(session).values()) < 60
    fill(db, "event", ROWS // 10)
    fill(db, "large", ROWS, tombstones=ROWS // 2)
    fill(db, "small", 10)
    assert {name: count for name, count in blocks(session).items() if count > 60} == {}
    assert {name: count for name, count in blocks(connect()).items() if count > 60} == {}


def test_statistics_of_another_time_change_nothing(
    db: Connection, connect: Callable[[], Connection]
) -> None:
    fill(db, "small", 1000)
    for table in TABLES:
        db.execute(f"vacuum analyze publish.{table}".encode())
    session = connect()
    assert max(blocks(session).values()) < 60
    fill(db, "event", ROWS // 10)
    fill(db, "large", ROWS, tombstones=ROWS // 2)
    assert {name: count for name, count in blocks(session).items() if count > 60} == {}
    assert {name: count for name, count in blocks(connect()).items() if count > 60} == {}
