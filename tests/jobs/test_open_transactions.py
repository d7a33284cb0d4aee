"""Calls of jobs in transactions that stay open, are rolled back, or look at the past."""

from __future__ import annotations

from typing import LiteralString

import pytest
from conftest import Connect, Connection
from helpers import LOCKS, PATIENCE, begin, one, pid, sqlstate, until, waits

from pgpublish import jobs
from pgpublish.database import connect as open_connection
from pgpublish.errors import StaleToken

START: LiteralString = "select token from publish_job_start('a', client_pid => pg_backend_pid())"
LOCK: LiteralString = "select lock from publish.job_activity where id = 'a'"


@pytest.fixture
def db(db: Connection) -> Connection:
    db.execute("select publish_job_add(id, 'k', '{}') from unnest('{a,b}'::text[]) id")
    return db


def test_a_limit_is_not_counted_in_a_snapshot_older_than_its_lock(
    db: Connection, connect: Connect
) -> None:
    db.execute("select publish_job_limit('k', 1)")
    other = connect()
    other.execute("set default_transaction_isolation = 'repeatable read'")
    assert sqlstate(other, "select * from publish_job_start(kinds => '{k}')") == "PT400"
    assert sqlstate(other, "select * from publish_job_start('a')") == "PT400"
    db.execute("select publish_job_limit('k', null)")
    assert sqlstate(other, "select * from publish_job_start(kinds => '{k}')") is None


def test_a_run_that_looks_at_the_past_is_not_told_that_it_lost_its_job(
    db: Connection, connect: Connect
) -> None:
    session = connect()
    token = one(session, START)
    db.execute("update publish.job set due_at = now() + interval '100 ms' where id = 'a'")
    session.execute("begin isolation level repeatable read")
    session.execute("select pg_sleep(0.2)")
    db.execute("update publish.job set due_at = now() + interval '1 min' where id = 'a'")
    assert sqlstate(session, "select publish_job_beat('a', %s, '{}')", token) == "PT400"
    session.execute("rollback")
    assert one(db, LOCK) == "held"
    assert sqlstate(session, "select publish_job_done('a', %s)", token) is None


@pytest.mark.parametrize(
    "call",
    [
        "publish_job_start('b', lease => '7 s')", "publish_job_beat('a', %s, '{}')",
        "publish_job_step('a', %s, 's', '1')", "publish_job_done('a', %s)",
        "publish_job_fail('a', %s, 'x', 'x')", "publish_job_release('a', %s)",
        "publish_job_next('a', %s, kinds => '{none}')",
    ],
)  # fmt: skip
def test_who_sleeps_on_the_row_of_a_job_is_ended_after_a_lease(
    db: Connection, call: LiteralString
) -> None:
    token = one(db, "select token from publish_job_start('a', lease => '7 s')")
    with db.transaction():
        db.execute(f"select {call}", [token] if "%s" in call else None)
        assert one(db, "show idle_in_transaction_session_timeout") == "7s"
    assert one(db, "show idle_in_transaction_session_timeout") == "0"


def test_a_job_frozen_in_a_step_goes_on_elsewhere(db: Connection, connect: Connect) -> None:
    session = connect()
    token = one(session, "select token from publish_job_start('a', lease => '300 ms')")
    session.execute("begin")
    session.execute("select publish_job_step('a', %s, 's', '1')", [token])
    until(lambda: sqlstate(db, "select * from publish_job_start('a')") is None)
    assert one(db, "select status from publish.job where id = 'a'") == "running"
    assert one(db, "select count(*) from publish.job_step") == 0


def test_a_job_is_added_in_the_place_of_one_that_is_being_pruned(
    db: Connection, connect: Connect
) -> None:
    db.execute("update publish.job set status = 'succeeded', created_at = '2000-01-01',"
               " finished_at = '2000-01-01', due_at = null")  # fmt: skip
    pruning, adding = connect(autocommit=False), connect()
    assert one(pruning, "select publish_job_prune()") == 2
    added = begin(one, adding, "select publish_job_add('a', 'k', unique_for => '5 min')")
    until(lambda: waits(db, pid(adding)))
    pruning.commit()
    assert added.result(PATIENCE)
    assert db.execute("select id, status from publish.job").fetchall() == [("a", "pending")]


def test_the_token_of_another_job_lets_go_of_no_lock(db: Connection, connect: Connect) -> None:
    session = connect()
    token = one(session, START)
    assert sqlstate(session, "select publish_job_beat('b', %s)", token) == "PT409"
    assert sqlstate(session, "select publish_job_beat('A', %s)", token) == "PT404"
    assert one(db, LOCK) == "held"


def test_a_body_that_hears_of_its_cancel_lets_go_of_its_lock(url: str, db: Connection) -> None:
    with open_connection(url) as conn:
        with pytest.raises(StaleToken), jobs.start(conn, "a", lease=3) as job:
            jobs.cancel(db, "a")
            until(lambda: job._told is not None)
            job.check()
        assert one(db, LOCKS) == 0
        db.execute("select publish_job_retry('a')")


def test_a_token_is_on_disk_before_its_job_runs(db: Connection) -> None:
    """Else a crash of the server gives it to two runs."""
    db.execute("set synchronous_commit = off")
    with db.transaction():
        db.execute("select * from publish_job_start('a')")
        assert one(db, "show synchronous_commit") == "local"


def test_a_retry_does_not_wait_for_a_run_that_saves(db: Connection, connect: Connect) -> None:
    session = connect(autocommit=False)
    token = one(session, "select token from publish_job_start('a')")
    session.commit()
    session.execute("select publish_job_beat('a', %s, '{}')", [token])
    db.execute("set statement_timeout = '5s'")
    assert sqlstate(db, "select publish_job_retry('a')") == "PT423"
    assert sqlstate(db, "select publish_job_retry('none')") == "PT404"


def test_unique_for_has_a_limit(db: Connection) -> None:
    add: LiteralString = "select publish_job_add('a', 'k', unique_for => '10000 years')"
    assert sqlstate(db, add) == "PT400"
