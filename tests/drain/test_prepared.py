"""Two-phase commit: what a prepared transaction enqueued waits for COMMIT PREPARED."""

import pytest
from helpers import ARTICLES, drain, drain_all, enqueue, feed, one


@pytest.fixture
def db(connect):
    db = connect()
    db.execute(ARTICLES)
    db.execute("select publish_define('note')")
    return db


def prepare(conn, name, id):
    conn.execute("begin")
    conn.execute("insert into article (id, title) values (%s, 'prepared')", [id])
    enqueue(conn, "note", str(id), '"prepared"')
    conn.execute(f"prepare transaction '{name}'".encode())


def test_it_is_drained_after_commit_prepared_and_never_after_rollback_prepared(db, connect):
    prepare(connect(), "kept", 1)
    prepare(connect(), "dropped", 2)
    db.execute("insert into article (id, title) values (3, 'plain')")
    assert drain_all(db) == 1
    assert set(feed(db, "article")) == {"3"}

    db.execute("rollback prepared 'dropped'")
    assert drain(db).scanned == 0
    db.execute("commit prepared 'kept'")
    assert drain_all(db) == 2
    assert set(feed(db, "article")) == {"1", "3"}
    assert feed(db, "note") == {"1": "prepared"}


def test_many_drains_pass_while_it_is_prepared_and_it_loses_against_later_payloads(db, connect):
    prepare(connect(), "old", 1)
    for number in range(5):
        enqueue(db, "note", "1", str(number))
        assert drain_all(db, batch=1) == 1
    db.execute("commit prepared 'old'")
    assert drain_all(db, batch=1) == 1
    assert set(feed(db, "article")) == {"1"}
    assert feed(db, "note") == {"1": 4}


def test_a_transaction_that_only_enqueued_can_be_prepared(db):
    with db.transaction():
        enqueue(db, "note", "a", "1")
        db.execute("prepare transaction 'enqueued'")
    assert one(db, "select count(*) from pg_prepared_xacts where gid = 'enqueued'") == 1
    db.execute("commit prepared 'enqueued'")
    assert drain_all(db) == 1
