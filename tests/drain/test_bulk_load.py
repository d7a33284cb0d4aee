"""An uncommitted bulk load is stepped over, not through: nobody's drain pays for it."""

import pytest
from helpers import burn_transaction_ids, drain, drain_all, enqueue, feed, one

READ = """
select sum(pg_stat_get_xact_tuples_returned(i.indexrelid))::bigint
  from pg_index i
 where i.indrelid in ('publish.outbox_0'::regclass, 'publish.outbox_1'::regclass,
                      'publish.outbox_2'::regclass)
"""


def drain_and_count(db, batch=500):
    """What a drain returned, and how many index entries of the outbox it looked at."""
    with db.transaction():
        before = one(db, READ) or 0
        return drain(db, batch), one(db, READ) - before


@pytest.fixture
def bulk(connect):
    """A session that has 100,000 rows in the outbox and does not commit."""
    bulk = connect(autocommit=False)
    bulk.execute("select publish_define('note')")
    bulk.commit()
    bulk.execute(
        "insert into publish.outbox (kind, source_ids, payload_no, payload)"
        " select 'note', array['bulk ' || i], nextval('publish.payload_no'), '1'"
        "  from generate_series(1, 100000) i"
    )
    return bulk


def test_drains_of_others_look_at_their_own_rows_only(connect, bulk):
    db, older = connect(), connect(autocommit=False)
    for round in range(3):
        enqueue(db, "note", f"small {round}", "1")
        done, read = drain_and_count(db)
        assert (done.scanned, done.published) == (1, 1)
        assert read < 100
    done, read = drain_and_count(db)
    assert done.scanned == 0
    assert read < 100

    enqueue(older, "note", "straggler", "1")
    enqueue(db, "note", "small", "1")
    assert drain(db).published == 1
    older.commit()
    done, read = drain_and_count(db)
    assert done.published == 1
    assert read < 100

    bulk.commit()
    done, read = drain_and_count(db)
    assert (done.scanned, done.published) == (500, 500)
    assert read < 5_000


def test_looking_for_work_steps_over_it_too_and_if_it_rolls_back_it_is_never_published(
    connect, bulk
):
    db = connect()
    drain(db)
    with db.transaction():
        before = one(db, READ) or 0
        assert not one(db, "select publish.await_work(30, 10)")
        assert one(db, READ) - before < 100
    enqueue(db, "note", "small", "1")
    assert one(db, "select publish.await_work(30000, 1)")

    bulk.rollback()
    assert drain_all(db) == 1
    assert list(feed(db, "note")) == ["small"]


def test_drained_rows_that_are_not_truncated_yet_cost_nothing(connect):
    db = connect()
    db.execute("select publish_define('note')")
    burn_transaction_ids(db, 1000)
    with db.transaction():
        for n in range(2000):
            enqueue(db, "note", str(n), "1")
    drain_all(db)
    enqueue(db, "note", "one more", "1")
    done, read = drain_and_count(db)
    assert done.published == 1
    assert read < 100
