"""A drain that dies in the middle leaves nothing; the next one does everything."""

import signal

import psycopg
import pytest
from helpers import (
    ARTICLES,
    GATE,
    PATIENCE,
    begin,
    check_feed,
    drain,
    drain_all,
    enqueue,
    feed,
    head,
    one,
    pid,
    record_revs,
    revs_given,
    running_cluster,
    until,
    waits,
)
from psycopg.rows import namedtuple_row

from pgpublish.migrate import migrate

SLOW = """
create view slow_view as select v.*, gate(v.id) as gate from article_view v;
select publish_define('article', 'slow_view');
"""


def prepare(db):
    """20 articles of which 5 are published, a tombstone, and two versions of a note."""
    db.execute(ARTICLES)
    db.execute(GATE)
    db.execute(SLOW)
    record_revs(db)
    db.execute("select publish_define('note')")
    db.execute("insert into article (id, title) select i, 'old' from generate_series(1, 5) i")
    drain_all(db)
    db.execute("update article set title = 'new' where id > 2")
    db.execute("delete from article where id = 1")
    db.execute("insert into article (id, title) select i, 'new' from generate_series(6, 20) i")
    enqueue(db, "note", "a", "1")


def check_everything_is_published(db):
    drain_all(db, batch=7)
    assert feed(db, "article") == dict(
        db.execute("select id::text, to_jsonb(v) from slow_view v").fetchall()
    )
    assert feed(db, "note") == {"a": 1}
    assert revs_given(db) == list(range(1, head(db) + 1))
    assert head(db) == 5 + 3 + 1 + 15 + 1


def test_a_drain_terminated_in_the_middle_leaves_nothing_and_the_next_does_everything(connect):
    db, doomed = connect(), connect()
    prepare(db)
    db.execute("select pg_advisory_lock(1, 12)")
    draining = begin(drain, doomed)
    until(lambda: waits(db, pid(doomed)))
    assert drain(db).busy
    assert one(db, "select pg_terminate_backend(%s)", pid(doomed))
    with pytest.raises(psycopg.Error):
        draining.result(PATIENCE)
    db.execute("select pg_advisory_unlock(1, 12)")

    until(lambda: not drain(db, batch=1).busy)
    check_everything_is_published(db)


def test_a_drain_cancelled_after_it_was_done_but_not_committed_leaves_nothing(connect):
    db, doomed = connect(), connect(autocommit=False)
    prepare(db)
    assert drain(doomed).published == 20
    assert drain(db).busy
    assert head(db) == 5
    assert one(db, "select pg_terminate_backend(%s)", pid(doomed))
    until(lambda: not drain(db, batch=1).busy)
    check_everything_is_published(db)


def test_a_server_that_crashes_in_the_middle_of_a_drain_loses_and_doubles_nothing(server_kind):
    with running_cluster(server_kind) as cluster:

        def connect():
            return psycopg.connect(cluster.url(), autocommit=True, row_factory=namedtuple_row)

        with connect() as db:
            migrate(db)
            prepare(db)
            late = connect()
            late.execute("begin; insert into article (id, title) values (99, 'never committed')")
            db.execute("select pg_advisory_lock(1, 12)")
            doomed = connect()
            draining = begin(drain, doomed)
            until(lambda: waits(db, pid(doomed)))
            cluster.stop(signal.SIGQUIT)
            with pytest.raises(psycopg.Error):
                draining.result(PATIENCE)
        cluster.start()
        with connect() as db:
            assert head(db) == 5
            check_everything_is_published(db)
            db.execute("update article set title = 'after the crash' where id = 3")
            assert drain_all(db) == 1
            assert one(db, "select count(*) from publish.epoch") == 2  # a restart begins one
            check_feed(db)
