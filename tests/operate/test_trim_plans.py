"""What is trimmed is looked up by its age: a session that made its plans while there was little of
anything does not read all of it later, counted in blocks."""

from __future__ import annotations

from typing import LiteralString

import pytest
from conftest import Connect, Connection
from helpers import blocks

MOST = 2000  # blocks; what is removed in each of these tests is nothing, or one row

FEW = """
alter table publish.job set (autovacuum_enabled = false);
alter table publish.job_error set (autovacuum_enabled = false);
alter table publish.parked set (autovacuum_enabled = false);
alter table publish.worker_beat set (autovacuum_enabled = false);
vacuum analyze publish.job, publish.job_error, publish.parked, publish.worker_beat;
"""
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
    "a dead letter": "select publish_discard('s', (select p.pub_id from publish.parked p limit 1))",
}


@pytest.mark.parametrize("query", TRIM.values(), ids=TRIM.keys())
def test_trimming_reads_what_is_old_alone(
    db: Connection, connect: Connect, query: LiteralString
) -> None:
    for statement in FEW.strip().splitlines():
        db.execute(statement.encode())
    db.execute("select publish_subscribe('s', 'stdout')")
    db.execute(FILL.format(1, 10).encode())
    session = connect()
    session.execute("set statement_timeout = '20s'")
    for _ in range(7):
        blocks(session, query)
    db.execute(FILL.format(11, 30_000).encode())
    assert blocks(session, query) < MOST
    assert blocks(session, query) < MOST
