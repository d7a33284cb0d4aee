"""Emptying outbox slots: only what is drained goes, nobody waits, and the feed stays whole."""

import psycopg
import pytest
from helpers import (
    ARTICLES,
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

# The slot that was current five minutes ago.
OLD_SLOT = "((floor(extract(epoch from clock_timestamp()) / 300)::bigint + 2) %% 3)"


@pytest.fixture
def db(connect):
    db = connect()
    db.execute(ARTICLES)
    db.execute("select publish_define('note')")
    return db


def add_old(conn, key, payload="1"):
    """Enqueues as a transaction did that began five minutes ago."""
    conn.execute(
        "insert into publish.outbox (kind, source_ids, payload_no, payload, slot)"
        f" values ('note', array[%s], nextval('publish.payload_no'), %s, {OLD_SLOT})".encode(),
        [key, payload],
    )


def age_drains(conn, interval="2 minutes"):
    conn.execute("update publish.drain set at = at - %s::interval", [interval])


def emptied(conn):
    return one(conn, "select slots_emptied from publish_maintain()")


def rows(conn):
    return one(conn, "select count(*) from publish.outbox")


def test_a_slot_whose_rows_were_all_drained_a_while_ago_is_emptied(db):
    for n in range(10):
        add_old(db, str(n))
    db.execute("insert into article (id, title) values (1, 'in the current slot')")
    drain_all(db)
    age_drains(db)
    assert emptied(db) == 1
    assert rows(db) == 1
    assert emptied(db) == 0
    assert len(feed(db, "note")) == 10
    enqueue(db, "note", "0", "2")
    assert drain_all(db) == 1
    check_feed(db)


def test_a_slot_with_an_undrained_row_is_kept(db):
    add_old(db, "drained")
    drain_all(db)
    age_drains(db)
    add_old(db, "undrained")
    assert emptied(db) == 0
    assert rows(db) == 2
    assert drain_all(db) == 1


def test_a_slot_is_kept_that_only_a_drain_of_this_minute_has_drained(db):
    add_old(db, "a")
    drain_all(db)
    age_drains(db, "20 seconds")
    assert emptied(db) == 0
    age_drains(db, "50 seconds")
    assert emptied(db) == 1


def test_the_current_slot_is_never_emptied(db):
    enqueue(db, "note", "a", "1")
    drain_all(db)
    age_drains(db, "1 day")
    assert emptied(db) == 0


def test_nothing_is_emptied_before_the_first_drain(db):
    add_old(db, "a")
    assert emptied(db) == 0
    assert drain_all(db) == 1


def test_a_slot_with_a_straggler_that_committed_after_the_drain_is_kept(db, connect):
    late = connect(autocommit=False)
    add_old(late, "late")
    add_old(db, "early")
    drain_all(db)
    late.commit()
    age_drains(db)
    assert emptied(db) == 0
    assert drain_all(db) == 1
    assert set(feed(db, "note")) == {"early", "late"}


def test_a_slot_with_what_is_left_of_a_cut_transaction_is_kept(db):
    with db.transaction():
        for n in range(20):
            add_old(db, str(n))
    assert drain(db, batch=10).scanned == 10
    age_drains(db)
    assert emptied(db) == 0
    drain_all(db)
    assert len(feed(db, "note")) == 20


def test_a_slot_with_the_rows_of_a_prepared_transaction_is_kept(db, connect):
    other = connect()
    add_old(db, "drained")
    drain_all(db)
    age_drains(db)
    other.execute("begin")
    add_old(other, "prepared")
    other.execute("prepare transaction 'prepared'")
    assert emptied(db) == 0
    db.execute("commit prepared 'prepared'")
    assert emptied(db) == 0
    drain_all(db)
    assert set(feed(db, "note")) == {"drained", "prepared"}


def test_it_gives_up_on_a_slot_that_a_writer_is_in_and_other_writers_go_on(db, connect):
    writer, another = connect(autocommit=False), connect()
    add_old(db, "drained")
    drain_all(db)
    age_drains(db)
    add_old(writer, "open")
    maintain = begin(emptied, db)
    another.execute("set lock_timeout = '20s'")
    add_old(another, "meanwhile")
    assert maintain.result(PATIENCE) == 0
    writer.commit()
    drain_all(db)
    assert set(feed(db, "note")) == {"drained", "open", "meanwhile"}


def test_a_row_committed_between_the_look_and_the_lock_is_not_thrown_away(db, connect):
    writer, maintainer = connect(autocommit=False), connect()
    db.execute("alter function publish.empty_slot(int) set lock_timeout = '20s'")
    add_old(db, "drained")
    drain_all(db)
    age_drains(db)
    add_old(writer, "just in time")
    maintain = begin(emptied, maintainer)
    until(lambda: waits(db, pid(maintainer)))
    writer.commit()
    assert maintain.result(PATIENCE) == 0
    drain_all(db)
    assert set(feed(db, "note")) == {"drained", "just in time"}


def test_a_snapshot_older_than_a_commit_does_not_throw_its_row_away(db, connect):
    maintainer = connect(autocommit=False)
    add_old(db, "drained")
    drain_all(db)
    age_drains(db)
    maintainer.execute("set transaction isolation level repeatable read; select 1")
    add_old(db, "unseen")
    with pytest.raises(psycopg.Error) as refused:
        emptied(maintainer)
    maintainer.commit()
    assert refused.value.sqlstate == "PT400"
    drain_all(db)
    assert set(feed(db, "note")) == {"drained", "unseen"}


def test_a_rollback_after_emptying_brings_everything_back(db):
    add_old(db, "a")
    drain_all(db)
    age_drains(db)
    with db.transaction(force_rollback=True):
        assert emptied(db) == 1
    assert rows(db) == 1


def test_writers_drains_and_readers_of_the_current_slot_do_not_wait_for_it(db, connect):
    other = connect(options="-c lock_timeout=1")
    add_old(db, "a")
    drain_all(db)
    age_drains(db)
    with db.transaction():
        assert emptied(db) == 1
        enqueue(other, "note", "b", "1")
        assert len(one(other, "select publish_page()")["changes"]) == 1
    assert drain_all(db) == 1


def test_slots_follow_the_time_at_which_a_transaction_began(db):
    with db.transaction():
        enqueue(db, "note", "a", "1")
        enqueue(db, "note", "b", "1")
    now = "floor(extract(epoch from o.enqueued_at) / 300)::bigint % 3"
    slots = db.execute(f"select distinct slot, {now} as now from publish.outbox o".encode())
    for slot, current in slots.fetchall():
        assert slot in (current, (current + 2) % 3)


def test_the_drain_history_is_trimmed_to_ten_thousand_rows_and_ten_minutes(db):
    drain_all(db)
    enqueue(db, "note", "a", "1")
    drain_all(db)
    db.execute(
        "insert into publish.drain select d.drain_id + i, head, head, drained, null, null, 1, 1, 0,"
        " 1, 0, lag, duration, now() from publish.drain d, generate_series(1, 10050) i"
    )
    trimmed = "select drains_trimmed from publish_maintain(batch => %s)"
    assert one(db, trimmed, 1000) == 0
    age_drains(db, "9 minutes")
    assert one(db, trimmed, 1000) == 0
    age_drains(db, "2 minutes")
    assert [one(db, trimmed, 30) for _ in range(3)] == [30, 21, 0]
    enqueue(db, "note", "b", "1")
    assert drain(db).head == 2
