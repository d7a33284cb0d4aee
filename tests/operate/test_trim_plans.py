"""What is trimmed is looked up by its age: a session that made its plans while there was little of
anything does not read all of it later, counted in blocks."""

from __future__ import annotations

from typing import LiteralString

import pytest
from conftest import Connect, Connection
from helpers import blocks, one

MOST = 2000  # blocks; what is removed in each of these tests is nothing, or one row

TABLES = ("job", "job_error", "parked", "worker_beat", "batch", "delivered", "accepted", "drain")
FILL = """
set session_replication_role = replica;
insert into publish.job (id, kind, status, finished_at)
select 'j' || n, 'mail', 'succeeded', now() from generate_series({0}, {1}) n;
insert into publish.job_error (id, attempt, error, message)
select 'j' || n, 1, 'x', 'x' from generate_series({0}, {1}) n;
insert into publish.parked (subscription_id, lane, pub_id, rev, attempts, class, message,
                            first_failed_at, last_failed_at)
select s.subscription_id, 0, gen_random_uuid(), n, 1, 'rejected', 'x', now(), now()
  from publish.subscription s, generate_series({0}, {1}) n;
insert into publish.worker_start (worker_id, name, kind)
select ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'w', 'drain'
  from generate_series({0}, {1} / 50) n;
insert into publish.worker_beat (worker_id, doing)
select s.worker_id, 'draining' from publish.worker_start s, generate_series(1, 50);
reset session_replication_role;
"""
TRIM: dict[str, LiteralString] = {
    "workers": "select publish.trim_workers(1000)",
    "jobs": "select publish_job_prune()",
    "batches": "select publish.trim_delivery(1000)",
    "messages": "select publish.trim_inbox(1000)",
    "drains": "select publish.trim_drains(1000)",
    "errors of a job": "select * from publish_job_errors('j1')",
    "a page of jobs": "select * from publish_jobs(status => 'succeeded', batch => 10)",
    "a dead letter": "select publish_discard('s', (select p.pub_id from publish.parked p limit 1))",
}


@pytest.mark.parametrize("query", TRIM.values(), ids=TRIM.keys())
def test_trimming_reads_what_is_old_alone(
    db: Connection, connect: Connect, query: LiteralString
) -> None:
    for table in TABLES:
        db.execute(f"alter table publish.{table} set (autovacuum_enabled = false)".encode())
        db.execute(f"vacuum analyze publish.{table}".encode())
    db.execute("select publish_subscribe('s', 'stdout')")
    db.execute(FILL.format(1, 10).encode())
    session = connect()
    session.execute("set statement_timeout = '20s'")
    for _ in range(7):
        blocks(session, query)
    db.execute(FILL.format(11, 30_000).encode())
    assert blocks(session, query) < MOST
    assert blocks(session, query) < MOST


def test_batches_to_trim_are_chosen_once(db: Connection) -> None:
    """By statistics of a log that was emptied: joined, each row would choose again."""
    db.execute("select publish_subscribe('s', 'stdout')")
    log = """
insert into publish.batch (subscription_id, lane, cursor, cursor_to, retried_to, retry_to,
                           settled_at, claimed_at)
select s.subscription_id, 0, n, n, 'epoch', 'epoch', now(), now() - interval '11 minutes'
  from publish.subscription s, generate_series(1, 10010) n
"""
    db.execute(log.encode())
    db.execute("delete from publish.batch; analyze publish.batch")
    db.execute("set statement_timeout = '20s'")
    db.execute(log.encode())
    assert one(db, "select publish.trim_delivery(4)") == 4
    assert one(db, "select publish.trim_delivery(100)") == 6


def test_the_errors_of_a_job_are_not_looked_for_among_those_of_another(db: Connection) -> None:
    """Statistics say that each error is of the job that is asked for."""
    db.execute(
        "select publish_job_add(j, 'mail', '{}') from unnest('{quiet,busy}'::text[]) j;"
        "insert into publish.job_error (id, attempt, error, message)"
        " select 'busy', n, 'x', 'x' from generate_series(1, 30000) n"
    )
    db.execute("vacuum analyze publish.job_error")
    db.execute(
        "insert into publish.job_error (error_id, id, attempt, error, message)"
        " overriding system value values (0, 'quiet', 1, 'x', 'x')"
    )
    queries: list[LiteralString] = [
        "select * from publish_jobs()", "select * from publish_job_errors('quiet', 1)",
    ]  # fmt: skip
    for query in queries:
        blocks(db, query)
    assert {query: n for query in queries if (n := blocks(db, query)) > 30} == {}
