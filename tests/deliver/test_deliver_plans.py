"""What delivery costs depends neither on statistics nor on a snapshot that is held: a session that
planned its queries on empty tables reads as little when 60,000 changes wait. Counted in blocks, of
which a query that reads a whole table or index touches hundreds."""

from __future__ import annotations

import json
from collections.abc import Callable
from statistics import median
from typing import Any

import pytest
from conftest import Connect, Connection
from delivery import subscribe
from helpers import blocks, one

GROWN = 60_000
BATCH = 500
TABLES = ["published", "drain", "floor", "epoch", "kind", "batch", "parked", "lane", "subscription",
          "failure_class"]  # fmt: skip


def analyzed(db: Connection) -> None:
    """The statistics say that everything is empty."""
    for table in TABLES:
        db.execute(f"vacuum analyze publish.{table}".encode())


def unknown(db: Connection) -> None:
    """There are no statistics."""


@pytest.fixture
def db(db: Connection) -> Connection:
    for table in TABLES:
        db.execute(f"alter table publish.{table} set (autovacuum_enabled = false)".encode())
    db.execute("select publish_define('note'); select publish_define('rare')")
    return db


def fill(db: Connection, count: int) -> None:
    """As if count notes had been drained one by one."""
    db.execute(
        "with head as (select publish_head() as head),"
        " feed as (insert into publish.published (rev, kind, source_id, schema_version, payload,"
        "   payload_hash, deleted, payload_no, created_at, updated_at)"
        "  select h.head + i, 'note', (h.head + i)::text, 1, '1', '\\x00', false, i, now(), now()"
        "   from head h, generate_series(1, %(count)s) i)"
        "insert into publish.drain (drain_id, head_before, head, drained, scanned, keys,"
        "  published, unchanged, quarantined, lag, duration, at)"
        " select h.head + i, h.head + i - 1, h.head + i, '3:3:', 1, 1, 1, 0, 0, '0', '0', now()"
        "  from head h, generate_series(1, %(count)s) i",
        {"count": count},
    )


def failed(db: Connection, token: int, kind: str | None) -> str:
    """What publish_settle is told: each change of the open batch has failed, or none."""
    if kind is None:
        return "[]"
    rows = db.execute(
        "select p.pub_id::text, p.rev from publish.batch b join publish.published p"
        "    on b.part = 'retries' and p.pub_id = any (b.parked_ids)"
        "    or b.part = 'fresh' and p.rev > b.cursor and p.rev <= b.cursor_to"
        " where b.token = %s", [token],
    ).fetchall()  # fmt: skip
    return json.dumps(
        [{"pub_id": pub_id, "rev": rev, "class": kind, "message": "no"} for pub_id, rev in rows]
    )


def deliver(db: Connection, session: Connection, kind: str | None) -> int:
    """Blocks of one batch: its claim, and its settling."""
    touched = blocks(session, f"select * from publish_claim('s', 'w', {BATCH})")
    token = one(db, "select token from publish.batch where settled_at is null")
    told = failed(db, token, kind)
    return touched + blocks(session, f"select * from publish_settle({token}, '{told}')")


def due(db: Connection) -> None:
    db.execute(
        "update publish.parked set next_attempt_at = clock_timestamp()"
        " where next_attempt_at is not null"
    )


@pytest.mark.parametrize("kinds", [None, ["note", "rare"]], ids=["all kinds", "some kinds"])
@pytest.mark.parametrize("statistics", [analyzed, unknown])
def test_a_session_that_began_with_empty_tables_reads_as_much_for_each_of_60000_refused_changes(
    db: Connection,
    connect: Connect,
    statistics: Callable[[Connection], None],
    kinds: list[str] | None,
) -> None:
    statistics(db)
    subscribe(db, "s", kinds=kinds, max_attempts=1000)
    session, holder = connect(), connect(autocommit=False)
    for _ in range(7):  # one by one: plans are made
        fill(db, 2)
        deliver(db, session, "rejected")
        due(db)
        deliver(db, session, None)
    holder.execute("set transaction isolation level repeatable read")
    holder.execute("select count(*) from publish.published")

    fill(db, GROWN)
    db.execute("update publish.subscription set backoff_min = '1 day', backoff_max = '1 day'")
    refused = [deliver(db, session, "rejected") for _ in range(GROWN // BATCH)]
    assert one(db, "select count(*) from publish.parked") == GROWN
    assert median(refused[-5:]) <= 1.5 * median(refused[:5])

    due(db)
    again = [deliver(db, session, "rejected") for _ in range(GROWN // BATCH // 2)]
    sent = [deliver(db, session, None) for _ in range(GROWN // BATCH // 2)]
    assert one(db, "select count(*) from publish.parked") == GROWN // 2
    assert median(again[-5:]) <= 1.5 * median(again[:5])
    assert median(sent[-5:]) <= 1.5 * median(sent[:5])

    quiet = {
        "an empty claim": "select * from publish_claim('s', 'w')",
        "deliverable": "select * from publish.deliverable()",
        "dead letters": "select * from publish_dead_letters('s')",
        "redrive": "select * from publish_redrive('s', batch => 10)",
        "discard": "select publish_discard('s', batch => 10)",
    }
    touched: dict[str, Any] = {name: blocks(session, query) for name, query in quiet.items()}
    assert {name: count for name, count in touched.items() if count > 200} == {}


def test_256_idle_lanes_cost_a_claim_a_few_blocks_each(db: Connection, connect: Connect) -> None:
    analyzed(db)
    subscribe(db, "s", lanes=256)
    fill(db, 2000)
    session = connect()
    while db.execute("select * from publish.deliverable()").fetchone():
        token = one(session, "select max(token) from publish_claim('s', 'w', 1000)")
        session.execute("select publish_settle(%s)", [token])
    assert blocks(session, "select * from publish_claim('s', 'w')") < 256 * 12
    assert blocks(session, "select * from publish.deliverable()") < 256 * 12


def test_a_quiet_lane_is_not_looked_for_in_the_log_of_a_busy_one(
    db: Connection, connect: Connect
) -> None:
    """Statistics say that nearly each batch is of the lane that is asked for."""
    subscribe(db, "quiet")
    subscribe(db, "busy")
    fill(db, 10)
    failing = connect()
    failing.execute("select * from publish_claim('quiet', 'w', 1)")
    token = one(db, "select token from publish.batch where settled_at is null")
    failing.execute("select publish_settle(%s, %s)", [token, failed(db, token, "rejected")])
    db.execute(
        "insert into publish.batch (subscription_id, lane, worker, cursor, cursor_to, retried_to,"
        "  retry_to, claimed, error_class, error, settled_at)"
        " select s.subscription_id, 0, 'w', 0, 0, 'epoch', 'epoch', 1, 'busy', 'no', now()"
        "   from publish.subscription s, generate_series(1, 20000) n where s.name = 'busy'"
    )
    analyzed(db)
    session = connect()
    queries = (
        "select * from publish_claim('quiet', 'w')",
        "select * from publish.deliverable()",
        "select * from publish.lane_state where subscription = 'quiet'",
        "select * from publish_subscriptions()",
        "select * from publish.last_error(1)",
        "select publish.lost_size(row(1, 0, 1, true, 'w', '-infinity', 0, '-infinity', 'fresh',"
        " 0, null, 0, null, null)::publish.state)",
    )
    for query in queries:
        blocks(session, query.replace("quiet", "busy"))
    touched = {query: blocks(session, query) for query in queries}
    assert {query: count for query, count in touched.items() if count > 100} == {}
