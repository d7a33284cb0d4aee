"""publish_status counts what a drain would find."""

import pytest
from helpers import drain, drain_all, enqueue, one


@pytest.fixture
def db(connect):
    db = connect()
    db.execute("select publish_define('note')")
    return db


def status(db):
    return db.execute("select * from publish_status()").fetchone()


def test_before_anything_happened_everything_is_zero(db):
    now = status(db)
    assert (now.head, now.depth, now.lag, now.delayed, now.quarantined, now.floor) == (
        0, 0, None, 0, 0, 0,
    )  # fmt: skip
    assert (now.epoch, now.last_drain_at) == (None, None)


def test_depth_is_what_is_committed_and_not_drained(db, connect):
    late, other = connect(autocommit=False), connect(autocommit=False)
    enqueue(late, "note", "late", "1")
    for n in range(3):
        enqueue(db, "note", str(n), "1")
    assert status(db).depth == 3
    drain_all(db)
    assert (status(db).depth, status(db).lag) == (0, None)
    late.commit()
    assert status(db).depth == 1
    assert status(db).lag.total_seconds() > 0
    for n in range(25):
        enqueue(other, "note", str(n), "1")
    other.commit()
    drain(db, batch=10)
    assert status(db).depth == 25
    drain(db, batch=10)
    assert status(db).depth == 15
    drain_all(db)
    assert status(db).depth == 0


def test_it_says_what_the_last_drain_did_and_what_waits(db):
    enqueue(db, "note", "a", "1")
    enqueue(db, "note", "a", "1")
    done = drain(db)
    enqueue(db, "note", "b", "1", available_at=one(db, "select now() + interval '1 day'"))
    drain(db)
    now = status(db)
    assert (now.head, now.delayed) == (1, 1)
    assert (now.last_drain_scanned, now.last_drain_published) == (done.scanned, done.published)
    assert now.epoch is not None


def test_lag_is_the_age_of_the_oldest_row(db):
    enqueue(db, "note", "old", "1")
    db.execute("update publish.outbox set enqueued_at = enqueued_at - interval '1 hour'")
    enqueue(db, "note", "new", "1")
    assert 3600 <= status(db).lag.total_seconds() < 3700
    drain(db)
    assert one(db, "select extract(epoch from lag) from publish.drain") >= 3600
