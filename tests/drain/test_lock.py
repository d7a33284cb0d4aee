"""One drain at a time, never waiting, never deciding on a snapshot older than its lock."""

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
    one,
    pid,
    until,
    waits,
)

DRAIN_LOCK = (
    "select count(*) from pg_locks l where l.relation = 'publish.writer'::regclass"
    " and l.mode = 'ShareUpdateExclusiveLock' and l.granted and l.pid = %s"
    " and l.database = (select oid from pg_database where datname = current_database())"
)


@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
@pytest.mark.parametrize("function", ["publish_drain", "publish_maintain"])
def test_a_snapshot_older_than_the_lock_is_refused(connect, isolation, function):
    conn = connect(autocommit=False)
    conn.execute(f"set transaction isolation level {isolation}".encode())
    with pytest.raises(psycopg.Error) as refused:
        conn.execute(f"select * from {function}()".encode())
    assert refused.value.sqlstate == "PT400"


def test_a_busy_drain_returns_at_once_and_does_nothing(connect):
    db, other = connect(), connect()
    db.execute("select publish_define('note')")
    enqueue(db, "note", "a", "1")
    drain_all(db)
    with other.transaction():
        drain(other)
        enqueue(db, "note", "b", "1")
        db.execute("set lock_timeout = '1ms'")
        assert drain(db) == (0, 0, 0, 0, 0, 1, True)
    assert drain(db).published == 1


@pytest.mark.parametrize("scanned", [0, 1])
def test_the_lock_ends_with_the_transaction_and_not_with_the_statement(connect, scanned):
    db, other = connect(), connect()
    db.execute("select publish_define('note')")
    drain(db)
    if scanned:
        enqueue(db, "note", "a", "1")
    with other.transaction():
        assert drain(other).scanned == scanned
        assert one(db, DRAIN_LOCK, pid(other)) == 1
        assert drain(db).busy
    assert one(db, DRAIN_LOCK, pid(other)) == 0
    assert not drain(db).busy
    assert one(db, DRAIN_LOCK, pid(db)) == 0


def test_the_lock_is_held_before_the_state_is_read(connect):
    db, other = connect(), connect()
    db.execute("select publish_define('note')")
    enqueue(db, "note", "a", "1")
    drain(db)
    db.execute(GATE)
    db.execute(
        "alter table publish.drain enable row level security;"
        "alter table publish.drain force row level security;"
        "create policy slow on publish.drain using (gate(9) = 9)"
    )
    db.execute("select pg_advisory_lock(1, 9)")
    draining = begin(drain, other)
    until(lambda: waits(db, pid(other)))
    assert one(db, DRAIN_LOCK, pid(other)) == 1
    db.execute("select pg_advisory_unlock(1, 9)")
    assert not draining.result(PATIENCE).busy


def test_a_drain_rolled_back_to_a_savepoint_gives_the_lock_and_the_revs_back(connect):
    db, other = connect(), connect()
    db.execute("select publish_define('note')")
    enqueue(db, "note", "a", "1")
    with other.transaction():
        with other.transaction(force_rollback=True):
            assert drain(other).head == 1
        assert drain_all(db) == 1
    check_feed(db)


def test_a_poisoned_key_does_not_release_the_lock(connect):
    db, other = connect(), connect()
    db.execute(
        "create table t (id int primary key);"
        "create view v as select id, 1 / id as reciprocal from t;"
        "select publish_define('t', 'v');"
        "insert into t select i from generate_series(0, 20) i"
    )
    for id in range(21):
        enqueue(db, "t", str(id))
    with other.transaction():
        assert drain(other).quarantined == 1
        assert one(db, DRAIN_LOCK, pid(other)) == 1
        assert drain(db).busy


# Each statement waits, in the middle, for advisory lock (3, 3), and drains only then.
WAITING = {
    "stable function": """
        create function drain_stably() returns setof record stable language plpgsql as $$
        begin
          perform pg_advisory_xact_lock(3, 3);
          return query select * from publish_drain();
        end $$;
        """,
    "one statement": """
        create function drain_stably() returns setof record language sql as $$
          with waited as materialized (select pg_advisory_xact_lock(3, 3))
          select d.* from waited cross join lateral publish_drain() d
        $$;
        """,
}


@pytest.mark.parametrize("form", WAITING)
def test_a_drain_in_an_older_snapshot_sees_all_that_was_committed_before_its_lock(connect, form):
    db, old = connect(), connect()
    db.execute(ARTICLES)
    db.execute(WAITING[form].encode())
    db.execute("insert into article (id, title) values (1, 'one')")
    drain_all(db)

    db.execute("select pg_advisory_lock(3, 3)")
    draining = begin(old.execute, "select * from drain_stably() as d (a int, b int, c int, d int,"
                     " e int, head bigint, busy boolean)")  # fmt: skip
    until(lambda: waits(db, pid(old)))
    db.execute("insert into article (id, title) values (2, 'two')")
    assert drain_all(db) == 1
    db.execute("update article set title = 'changed'")
    db.execute("select pg_advisory_unlock(3, 3)")
    result = draining.result(PATIENCE).fetchone()

    assert (result.head, result.busy) == (4, False)
    assert {key: row["title"] for key, row in feed(db, "article").items()} == {
        "1": "changed",
        "2": "changed",
    }
    check_feed(db)


def test_only_one_of_many_drains_at_once_works_and_none_waits(connect):
    db = connect()
    db.execute("select publish_define('note')")
    competitors = [connect(options="-c lock_timeout=1ms") for _ in range(4)]
    for round in range(20):
        enqueue(db, "note", str(round), "1")
        drains = [begin(drain, competitor) for competitor in competitors]
        assert sum(future.result(PATIENCE).published for future in drains) == 1
    check_feed(db)


@pytest.mark.parametrize("batch", [0, -1, None])
def test_a_batch_below_one_is_refused(db, batch):
    with pytest.raises(psycopg.Error) as refused:
        drain(db, batch)
    assert refused.value.sqlstate == "PT400"


def test_any_other_batch_is_taken(db):
    db.execute("select publish_define('note')")
    for batch in (1, 2**31 - 1):
        enqueue(db, "note", str(batch), "1")
        assert drain(db, batch).published == 1


def test_an_empty_outbox_drains_to_nothing(db):
    assert drain(db) == (0, 0, 0, 0, 0, 0, False)
    assert drain(db) == (0, 0, 0, 0, 0, 0, False)


def test_only_a_drain_that_published_notifies_and_says_the_head(connect):
    db, listener = connect(), connect()
    db.execute("select publish_define('note')")
    listener.execute("listen publish")
    for payload in ("1", "1", "2"):
        enqueue(db, "note", "a", payload)
        drain(db)
    heard = [n.payload for n in listener.notifies(timeout=PATIENCE, stop_after=2)]
    assert heard == ["1", "2"]


@pytest.mark.parametrize("role", ["publish_writer", "publish_reader"])
@pytest.mark.parametrize("statement", ["select 1 from {} for update", "insert into {} values (1)"])
def test_who_may_only_name_the_table_cannot_take_the_lock(connect, role, statement):
    db, other = connect(), connect(autocommit=False)
    db.execute("select publish_define('note')")
    enqueue(db, "note", "a", "1")
    other.execute(f"set role {role}".encode())
    other.execute(f"prepare p as {statement.format('publish.writer')}".encode())
    assert drain(db).published == 1
