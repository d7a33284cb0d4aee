"""Jobs of later cost the due ones nothing, counted in blocks, in a session that began when there
was none and in one that plans by the statistics of then."""

from __future__ import annotations

from collections.abc import Callable
from typing import LiteralString

import pytest
from conftest import Connect, Connection
from helpers import blocks, one

LATER = """
select count(publish_job_add('f' || n, 'mail', priority => n % 21,
                             run_at => now() + interval '1 day' + n * interval '1 s'))
  from generate_series(1, 100000) n;
select count(publish_job_add('o' || n, 'other')) from generate_series(1, 20000) n;
insert into publish.job (id, kind, status, priority, attempts, due_at)
select 'x' || n, 'mail', 'failed', 50, 1, now() + interval '1 hour'
  from generate_series(1, 50000) n;
insert into publish.job_schedule (name, kind, cron, time_zone, next_at)
select 's' || n, 'mail', '0 0 1 1 *', 'UTC', now() + interval '1 day'
  from generate_series(1, 20000) n;
insert into publish.job_limit (kind, max_running)
select 'k' || n, 1 from generate_series(1, 20000) n;
"""
MOST = 400  # blocks: 22 levels of priority, each a look from the root of the index to a leaf
START: dict[str, LiteralString] = {
    "one kind": "select count(*) from publish_job_start(kinds => '{mail}')",
    "three kinds": "select count(*) from publish_job_start(kinds => '{mail,rare,never}')",
    "limited": "select count(*) from publish_job_start(kinds => '{mail,k7}')",
}


def one_start(db: Connection, session: Connection, query: LiteralString) -> tuple[int, int]:
    """Blocks of a start that finds a job, and of one that finds none."""
    db.execute("select publish_job_add('due' || clock_timestamp(), 'mail')")
    found = blocks(session, query)
    assert one(db, "select count(*) from publish.job where status = 'running'") == 1
    none = blocks(session, query)
    assert one(db, "select count(*) from publish.job where status = 'running'") == 1
    db.execute("select publish_job_done(id, token) from publish.job where status = 'running'")
    return found, none


def analyzed(db: Connection) -> None:
    db.execute("analyze publish.job, publish.job_schedule, publish.job_limit")


@pytest.mark.parametrize("statistics", [lambda db: None, analyzed], ids=["none", "of few jobs"])
@pytest.mark.parametrize("query", START.values(), ids=START.keys())
def test_a_start_reads_the_due_ones_whatever_lies_in_the_future(
    db: Connection,
    connect: Connect,
    statistics: Callable[[Connection], None],
    query: LiteralString,
) -> None:
    for table in ("job", "job_schedule", "job_limit"):
        db.execute(f"alter table publish.{table} set (autovacuum_enabled = false)".encode())
    session = connect()
    statistics(db)
    for _ in range(7):  # plans are kept from here
        one_start(db, session, query)
    db.execute(LATER.encode())
    assert max(one_start(db, session, query)) < MOST
    fresh = connect()
    counts = [one_start(db, fresh, query) for _ in range(7)]  # the first ones plan
    assert max(counts[-1]) < MOST
